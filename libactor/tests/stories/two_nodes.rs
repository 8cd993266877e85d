//! Two nodes: tells in order, asks and their ends, names, versions, links.

use std::time::{Duration, Instant};

use libactor::{
    Accepts, AskError, DownReason, Node, NodeConfig, Principal, Secret, Spawn, SpawnError,
    StartError, TellError,
};

use crate::cast::*;

#[tokio::test]
async fn tells_arrive_in_order_and_asks_are_answered() {
    let there = Node::start(listening()).await.unwrap();
    let (handle, mut hears) = Counter::heard_by(&there, "counter");
    let here = Node::start(dialling()).await.unwrap();
    for number in 0..1000 {
        here.tell(name("counter", &there), Number(number)).unwrap();
    }
    for number in 0..1000 {
        assert_eq!(soon("a number", hears.recv()).await, Some((number, None)));
    }
    let pid = here.resolve(&name("counter", &there), SOON).await.unwrap();
    assert_eq!(pid, handle.pid());
    assert_eq!(here.ask(pid, Sum, SOON).await.unwrap().0, 1000);
    let nobody = here.resolve(&name("nobody", &there), SOON).await;
    assert!(matches!(nobody, Err(AskError::Unreachable(why)) if why.contains("nobody")));
}

#[tokio::test]
async fn an_ask_ends_with_the_reason_that_ended_it() {
    let there = Node::start(listening()).await.unwrap();
    let here = Node::start(dialling()).await.unwrap();
    let handle = Counter::spawn(&there, "counter");
    let counter = name("counter", &there);
    let short = Duration::from_millis(30);
    assert_eq!(here.ask(&counter, Forever, short).await.unwrap_err(), AskError::Deadline);
    assert_eq!(here.ask(&counter, Ignored, SOON).await.unwrap_err(), AskError::NoAnswer);
    assert_eq!(handle.ask(Ignored).await.unwrap_err(), AskError::NoAnswer);
    let (waiting, local) = (here.ask(&counter, Forever, SOON), handle.ask(Forever));
    let asked = Instant::now();
    here.ask(&counter, Sum, SOON).await.unwrap();
    handle.stop();
    let (waiting, local) = soon("the end", async { tokio::join!(waiting, local) }).await;
    assert_eq!(waiting.unwrap_err(), AskError::Down(DownReason::Stopped));
    assert_eq!(local.unwrap_err(), AskError::Down(DownReason::Stopped));
    assert!(asked.elapsed() < SOON / 2, "at once, not at the deadline");
    until("it is gone", || there.local("counter").is_none()).await;
    assert_eq!(
        here.ask(handle.pid(), Sum, SOON).await.unwrap_err(),
        AskError::Down(DownReason::NoSuchActor)
    );
    assert_eq!(handle.tell(Number(1)), Err(TellError::Stopped));
}

#[tokio::test]
async fn no_listener_is_said_and_counted() {
    let here = Node::start(dialling()).await.unwrap();
    let free = Node::start(listening()).await.unwrap();
    let gone = name("counter", &free);
    free.shutdown().await;
    let told = here.tell(&gone, Number(1));
    assert!(matches!(told, Ok(()) | Err(TellError::Unreachable(_))), "{told:?}");
    let asked = here.ask(&gone, Sum, SOON).await.unwrap_err();
    assert!(matches!(&asked, AskError::Unreachable(why) if why.contains("refused")), "{asked}");
    let booked = || {
        let now = here.metrics();
        now.queued == 0 && now.dropped_for(libactor::DropReason::Unreachable) == now.accepted
    };
    until("what was taken is dropped", booked).await;
    assert!(here.metrics().refused_for(libactor::RefusalKind::Dial) >= 1);
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let node = Node::start(NodeConfig::default()).await.unwrap();
    let first = Counter::spawn(&node, "one");
    let second = node.spawn(Spawn::named("one"), |_| Counter::default());
    assert_eq!(second.unwrap_err(), SpawnError::NameTaken("one".to_owned()));
    first.stop();
    until("the name is free", || node.local("one").is_none()).await;
    Counter::spawn(&node, "one");
    let twice = Spawn::named("two").accepts(Counter::accepts().tells::<Number>());
    assert_eq!(
        node.spawn(twice, |_| Counter::default()).unwrap_err(),
        SpawnError::TwoTypes("story.Number")
    );
}

#[tokio::test]
async fn a_taken_port_is_said() {
    let node = Node::start(listening()).await.unwrap();
    let second = Node::start(NodeConfig { listen: node.address(), ..NodeConfig::default() }).await;
    assert!(
        matches!(second, Err(StartError::Listen { address, .. }) if Some(address) == node.address())
    );
}

#[tokio::test]
async fn a_message_newer_than_the_peer_is_an_error_at_its_sender() {
    let there = Node::start(listening()).await.unwrap();
    let here = Node::start(NodeConfig { version: 2, ..dialling() }).await.unwrap();
    Counter::spawn(&there, "counter");
    here.ask(name("counter", &there), Sum, SOON).await.unwrap();
    let told = here.tell(name("counter", &there), Modern);
    assert_eq!(told, Err(TellError::TooNew { needs: 2, speaks: 1 }));
}

#[tokio::test]
async fn of_what_waits_for_a_connection_only_what_is_newer_than_the_peer_goes_and_its_asks_fail_at_once()
 {
    let cable = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = Node::start(listening()).await.unwrap();
    let here = Node::start(NodeConfig { version: 2, ..dialling() }).await.unwrap();
    let (_counter, mut hears) = Counter::heard_by(&there, "counter");
    let at: libactor::Name = format!("counter@{}", cable.local_addr().unwrap()).parse().unwrap();
    // It is dialled, and nobody has shaken hands.
    here.tell(&at, Number(1)).unwrap();
    here.tell(&at, Modern).unwrap();
    let (new, old) = (here.ask(&at, ModernSum, SOON), here.ask(&at, Sum, SOON));
    here.tell(&at, Number(2)).unwrap();
    let _cable = pass_on(&cable, there.address().unwrap()).await;
    let too_new = TellError::TooNew { needs: 2, speaks: 1 };
    assert_eq!(new.await.unwrap_err(), too_new.into());
    assert_eq!(old.await.unwrap().0, 1, "the first number, and nothing that it did not understand");
    for number in [1, 2] {
        assert_eq!(soon("a number", hears.recv()).await, Some((number, None)));
    }
    assert_eq!(here.metrics().dropped_for(libactor::DropReason::TooNew), 2);
    until("all is booked", || {
        let now = here.metrics();
        let (went_in, came_out) = now.balance();
        went_in == came_out && now.queued == 0
    })
    .await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_an_error_at_its_sender() {
    let there = Node::start(listening()).await.unwrap();
    let mut config = dialling();
    config.limits.message = 100_000;
    let here = Node::start(config).await.unwrap();
    Counter::spawn(&there, "counter");
    let told = here.tell(name("counter", &there), Bytes(libactor::Blob(vec![0; 200_000])));
    assert_eq!(told, Err(TellError::TooLarge { limit: 100_000 }));
    here.tell(name("counter", &there), Bytes(libactor::Blob(vec![0; 90_000]))).unwrap();
    until("the smaller one arrives", || there.metrics().delivered == 1).await;
}

#[tokio::test]
async fn what_an_actor_does_not_accept_is_refused() {
    let there = Node::start(listening()).await.unwrap();
    let here = Node::start(dialling()).await.unwrap();
    there.spawn(Spawn::named("deaf"), |_| Counter::default()).unwrap();
    let asked = here.ask(name("deaf", &there), Sum, SOON).await.unwrap_err();
    assert!(matches!(&asked, AskError::Refused(why) if why.contains("accept")), "{asked}");
    here.tell(name("deaf", &there), Number(1)).unwrap();
    until("it is dropped", || there.metrics().dropped_for(libactor::DropReason::NotAccepted) == 2)
        .await;
    until("its sender's node is told", || {
        here.metrics().undelivered.iter().any(|(_, count)| *count == 1)
    })
    .await;
    let pid = there.local("deaf").unwrap();
    assert_eq!(there.tell(pid, Number(1)), Err(TellError::NotAccepted("story.Number")));
}

#[tokio::test]
async fn what_an_actor_accepts_from_here_only_is_refused_from_elsewhere() {
    let there = Node::start(listening()).await.unwrap();
    let here = Node::start(dialling()).await.unwrap();
    let accepts = Accepts::new().tells_here::<Number>().asks::<Sum>();
    let handle = there.spawn(Spawn::named("shy").accepts(accepts), |_| Counter::default()).unwrap();
    here.tell(name("shy", &there), Number(1)).unwrap();
    until("it is dropped", || there.metrics().dropped_for(libactor::DropReason::NotAccepted) == 1)
        .await;
    there.tell(handle.pid(), Number(1)).unwrap();
    assert_eq!(here.ask(handle.pid(), Sum, SOON).await.unwrap().0, 1);
}

struct Gate(tokio::sync::mpsc::UnboundedSender<Principal>);
impl actix::Actor for Gate {
    type Context = libactor::Context<Self>;
}
impl actix::Handler<libactor::Received<Number>> for Gate {
    type Result = ();
    fn handle(&mut self, received: libactor::Received<Number>, _: &mut libactor::Context<Self>) {
        let _ = self.0.send(received.principal);
    }
}

#[tokio::test]
async fn the_runtime_says_who_a_connection_authenticated_as() {
    let secret = Secret::new(b"0123456789abcdef").unwrap();
    for (secret, principal) in [(Some(secret), Principal::Cluster), (None, Principal::Anonymous)] {
        let there =
            Node::start(NodeConfig { secret: secret.clone(), ..listening() }).await.unwrap();
        let here = Node::start(NodeConfig { secret, ..dialling() }).await.unwrap();
        let (send, mut hears) = tokio::sync::mpsc::unbounded_channel();
        let gate = Spawn::named("gate").accepts(Accepts::new().tells::<Number>());
        let handle = there.spawn(gate, |_| Gate(send)).unwrap();
        here.tell(name("gate", &there), Number(1)).unwrap();
        assert_eq!(soon("a message", hears.recv()).await, Some(principal));
        handle.tell(Number(1)).unwrap();
        assert_eq!(soon("a message", hears.recv()).await, Some(Principal::Local));
    }
}

#[tokio::test]
async fn links_beyond_what_a_connection_may_have_are_down_at_once_and_counted() {
    let mut config = listening();
    config.limits.links = 3;
    let there = Node::start(config).await.unwrap();
    let here = Node::start(dialling()).await.unwrap();
    let handle = Counter::spawn(&there, "counter");
    let pid = here.resolve(&name("counter", &there), SOON).await.unwrap();
    let mut watching = Vec::new();
    for _ in 0..3 {
        watching.push(watch(&here, pid).await);
    }
    let (_refused, mut downs) = watch(&here, pid).await;
    let down = soon("no room", downs.recv()).await.unwrap();
    assert!(
        matches!(&down.reason, DownReason::Unreachable(why) if why.contains("no more than 3 links")),
        "{down:?}"
    );
    assert_eq!(there.metrics().links_refused, 1);
    // One that unlinks makes room for another.
    let (first, mut its_downs) = watching.remove(0);
    first.stop();
    assert!(soon("it is gone", its_downs.recv()).await.is_none());
    watching.push(watch(&here, pid).await);
    here.ask(pid, Sum, SOON).await.unwrap();
    handle.stop();
    for (_watcher, downs) in &mut watching {
        assert_eq!(soon("down", downs.recv()).await.unwrap().reason, DownReason::Stopped);
    }
    assert_eq!(there.metrics().links_refused, 1);
}

/// Passes one connection on, until it is aborted.
pub async fn pass_on(
    from: &tokio::net::TcpListener,
    to: std::net::SocketAddr,
) -> tokio::task::JoinHandle<()> {
    let (mut near, _) = soon("somebody dials", from.accept()).await.unwrap();
    let mut far = tokio::net::TcpStream::connect(to).await.unwrap();
    tokio::spawn(async move {
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    })
}

#[tokio::test]
async fn lp_06_a_link_breaks_with_its_connection_and_linking_again_dials_again() {
    let cable = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let advertise = Some(cable.local_addr().unwrap());
    let there = Node::start(NodeConfig { advertise, ..listening() }).await.unwrap();
    let here = Node::start(dialling()).await.unwrap();
    let handle = Counter::spawn(&there, "counter");
    let (pid, port) = (handle.pid(), there.address().unwrap());
    let (_first, mut downs) = watch(&here, pid).await;
    let first = pass_on(&cable, port).await;
    here.ask(pid, Sum, SOON).await.unwrap();
    first.abort();
    let lost = libactor::Down { pid, reason: DownReason::ConnectionLost };
    assert_eq!(soon("the cable is cut", downs.recv()).await, Some(lost));
    let (_second, mut again) = watch(&here, pid).await;
    let _cable = pass_on(&cable, port).await;
    here.ask(pid, Sum, SOON).await.unwrap();
    assert_eq!((here.metrics().opened, here.metrics().lost), (2, 1));
    handle.stop();
    let stopped = libactor::Down { pid, reason: DownReason::Stopped };
    assert_eq!(soon("the actor stops", again.recv()).await, Some(stopped));
    assert!(downs.try_recv().is_err(), "the first link had its one Down");
}

#[tokio::test]
async fn a_link_to_one_that_is_dead_gives_its_down_too() {
    let there = Node::start(listening()).await.unwrap();
    let here = Node::start(dialling()).await.unwrap();
    let handle = Counter::spawn(&there, "counter");
    let pid = handle.pid();
    let (watcher, mut downs) = watch(&here, pid).await;
    let (_local, mut local_downs) = watch(&there, pid).await;
    here.ask(pid, Sum, SOON).await.unwrap();
    handle.stop();
    for downs in [&mut downs, &mut local_downs] {
        assert_eq!(
            soon("down", downs.recv()).await.unwrap(),
            libactor::Down { pid, reason: DownReason::Stopped }
        );
    }
    let (_late, mut late) = watch(&here, pid).await;
    assert_eq!(soon("down", late.recv()).await.unwrap().reason, DownReason::NoSuchActor);
    watcher.stop();
    assert!(soon("the watcher is gone", downs.recv()).await.is_none(), "one Down, not two");
}

#[tokio::test]
async fn an_ask_that_is_still_being_dialled_ends_with_its_node() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let node = Node::start(dialling()).await.unwrap();
    let name: libactor::Name = format!("counter@{}", silent.local_addr().unwrap()).parse().unwrap();
    let asked = node.ask(name.clone(), Sum, SOON);
    node.shutdown().await;
    let error = soon("it ends", asked).await.unwrap_err();
    assert!(!matches!(error, AskError::Deadline), "{error}");
    assert!(soon("no more are taken", node.ask(name, Sum, SOON)).await.is_err());
}
