//! C dials B; B and A listen. A pid of A's is passed through B to C, and used from there.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use libactor::{
    Address, AskError, Down, DownReason, DropReason, Name, Node, NodeConfig, Pid, TellError,
};

use crate::cast::*;
use crate::two_nodes::pass_on;

pub struct Killed(Child);
impl Killed {
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}
impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn killable() -> (Killed, Name) {
    process(&["victim"])
}

/// The example `child` as a process of its own, and the name of its actor, which is its first argument.
pub fn process(args: &[&str]) -> (Killed, Name) {
    let (process, name, _) = process_and_lines(args);
    (process, name)
}

/// And what it says once it listens.
pub fn process_and_lines(args: &[&str]) -> (Killed, Name, impl Iterator<Item = String> + use<>) {
    let tests = std::env::current_exe().unwrap();
    let built = tests.parent().and_then(Path::parent).unwrap().join("examples/child");
    let mut child = Command::new(&built)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "cannot start {}: {error}; `cargo build -p libactor --examples` makes it",
                built.display()
            )
        });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let place = lines
        .find_map(|line| line.split_once("LISTENS ").map(|(_, at)| at.trim().to_owned()))
        .expect("the process says where it listens");
    (Killed(child), format!("{}@{place}", args[0]).parse().unwrap(), lines)
}

/// Whom B knows, once it does.
async fn known_to(b: &Node, asker: &Node) -> Pid {
    let asking = async {
        loop {
            if let Known(Some(pid)) = asker.ask(name("middle", b), Whom, SOON).await.unwrap() {
                return pid;
            }
        }
    };
    soon("an introduction", asking).await
}

#[tokio::test]
async fn a_pid_passed_on_is_told_asked_linked_and_its_death_is_heard_once() {
    let b = Node::start(listening()).await.unwrap();
    let c = Node::start(dialling()).await.unwrap();
    Counter::spawn(&b, "middle");
    let middle = name("middle", &b);
    // A tells B who it is, and C learns it from B.
    let (mut a, _) = process(&["victim", "introduces-itself", &middle.to_string()]);
    let of_a = known_to(&b, &c).await;
    for number in 0..10 {
        c.tell(of_a, Number(number)).unwrap();
    }
    assert_eq!(c.ask(of_a, Sum, SOON).await.unwrap().0, 10);
    let (watcher_b, mut downs_b) = watch(&b, of_a).await;
    let (watcher_c, mut downs_c) = watch(&c, of_a).await;
    let (pending_b, pending_c) = (b.ask(of_a, Forever, SOON), c.ask(of_a, Forever, SOON));
    c.ask(of_a, Sum, SOON).await.unwrap();
    b.ask(of_a, Sum, SOON).await.unwrap();

    let killed = Instant::now();
    a.0.kill().unwrap();
    let (pending_b, pending_c) =
        soon("both fail", async { tokio::join!(pending_b, pending_c) }).await;
    assert_eq!(pending_b.unwrap_err(), AskError::Down(DownReason::ConnectionLost));
    assert_eq!(pending_c.unwrap_err(), AskError::Down(DownReason::ConnectionLost));
    assert!(killed.elapsed() < SOON / 4, "at once, not at the deadline");
    for downs in [&mut downs_b, &mut downs_c] {
        let down = soon("down", downs.recv()).await.unwrap();
        assert_eq!(down, Down { pid: of_a, reason: DownReason::ConnectionLost });
    }
    // Both have heard of it, and whatever B had to say about it has come before its answer.
    c.ask(&middle, Sum, SOON).await.unwrap();
    for (watcher, downs) in [(watcher_b, &mut downs_b), (watcher_c, &mut downs_c)] {
        watcher.stop();
        assert!(soon("no more", downs.recv()).await.is_none(), "exactly one Down");
    }
}

#[tokio::test]
async fn an_actor_of_a_node_that_only_dials_is_reached_through_the_node_it_dialled() {
    let b = Node::start(listening()).await.unwrap();
    let (a, c) = (Node::start(dialling()).await.unwrap(), Node::start(dialling()).await.unwrap());
    Counter::spawn(&b, "middle");
    let (hidden, mut hears) = Counter::heard_by(&a, "hidden");
    let middle: Address = name("middle", &b).into();
    a.tell(&middle, Know(hidden.pid())).unwrap();
    a.ask(&middle, Sum, SOON).await.unwrap();
    let of_a = c.ask(&middle, Whom, SOON).await.unwrap().0.unwrap();
    assert_eq!(of_a.via(), b.address(), "the way is part of the pid");
    c.tell(of_a, Number(7)).unwrap();
    assert_eq!(soon("told through B", hears.recv()).await, Some((7, None)));
    assert_eq!(c.ask(of_a, Sum, SOON).await.unwrap().0, 1);
    let (_watcher, mut downs) = watch(&c, of_a).await;
    let (_other, mut others) = watch(&c, of_a).await;
    let pending = c.ask(of_a, Forever, SOON);
    c.ask(of_a, Sum, SOON).await.unwrap();
    a.shutdown().await;
    for downs in [&mut downs, &mut others] {
        let down = soon("down", downs.recv()).await.unwrap();
        assert_eq!(down.pid, of_a);
    }
    assert!(matches!(soon("it fails", pending).await, Err(AskError::Down(_))));
    // Its actors end before its connection: until that is lost, what is sent there is lost with it.
    until("the relay has lost it", || b.metrics().lost == 1).await;
    c.ask(&middle, Sum, SOON).await.unwrap();
    let none = c.ask(of_a, Sum, SOON).await.unwrap_err();
    assert!(matches!(&none, AskError::Unreachable(why) if why.contains("no route")), "{none}");
    let (_late, mut late) = watch(&c, of_a).await;
    let down = soon("down", late.recv()).await.unwrap();
    assert!(matches!(down.reason, DownReason::Unreachable(_)), "{down:?}");
}

#[tokio::test]
async fn one_that_was_told_through_a_relay_tells_back_through_it_though_its_teller_listens() {
    let b = Node::start(listening()).await.unwrap();
    let (a, c) = (Node::start(listening()).await.unwrap(), Node::start(dialling()).await.unwrap());
    Counter::spawn(&b, "middle");
    let middle: Address = name("middle", &b).into();
    let (mine, mut hears) = Counter::heard_by(&c, "mine");
    c.tell(&middle, Know(mine.pid())).unwrap();
    c.ask(&middle, Sum, SOON).await.unwrap();
    let of_c = a.ask(&middle, Whom, SOON).await.unwrap().0.unwrap();
    let (heard, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let accepts = libactor::Accepts::new().tells::<Number>();
    let spawn = libactor::Spawn::default().accepts(accepts);
    let greets = a.spawn(spawn, move |_| Greets { whom: of_c, heard }).unwrap();
    let (number, from) = soon("told through B", hears.recv()).await.unwrap();
    let from = from.unwrap();
    assert_eq!((number, from.via()), (1, b.address()), "that is the way back that C knows");
    assert_ne!(from, greets.pid());
    c.tell(from, Number(2)).unwrap();
    assert_eq!(soon("told back", answers.recv()).await, Some(2));
}

/// Tells somebody when it starts, and passes on what it is told.
struct Greets {
    whom: Pid,
    heard: tokio::sync::mpsc::UnboundedSender<u64>,
}

impl actix::Actor for Greets {
    type Context = libactor::Context<Self>;
    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.tell(self.whom, Number(1)).unwrap();
    }
}

impl actix::Handler<libactor::Received<Number>> for Greets {
    type Result = ();
    fn handle(&mut self, received: libactor::Received<Number>, _: &mut Self::Context) {
        self.heard.send(received.message.0).unwrap();
    }
}

#[tokio::test]
async fn what_is_sent_to_the_former_life_of_a_node_is_dropped_as_stale_by_the_one_that_took_its_place()
 {
    let here = Node::start(dialling()).await.unwrap();
    let (first, victim) = killable();
    let old = here.resolve(&victim, SOON).await.unwrap();
    drop(first);
    until("its end is booked", || here.metrics().lost == 1).await;
    // The second life is at the same address, and nobody knows yet that it is another.
    let cable = tokio::net::TcpListener::bind(old.via().unwrap()).await.unwrap();
    let second = NodeConfig { advertise: old.via(), ..listening() };
    let second = Node::start(second).await.unwrap();
    let (counter, mut hears) = Counter::heard_by(&second, "victim");
    here.tell(old, Number(1)).unwrap();
    let asking = here.ask(old, Sum, SOON);
    let (_watcher, mut downs) = watch(&here, old).await;
    let _cable = pass_on(&cable, second.address().unwrap()).await;
    assert_eq!(asking.await.unwrap_err(), AskError::Down(DownReason::NoSuchActor));
    let down = soon("down", downs.recv()).await.unwrap();
    assert_eq!(down, Down { pid: old, reason: DownReason::NoSuchActor });
    until("both are dropped", || second.metrics().dropped_for(DropReason::Stale) == 2).await;
    assert_eq!(second.metrics().dropped_all(), 2, "and for no other reason");
    until("its sender is told", || here.metrics().undelivered.contains(&(DropReason::Stale, 1)))
        .await;
    let new = here.resolve(&victim, SOON).await.unwrap();
    assert_eq!((new, new.via()), (counter.pid(), old.via()));
    // However often: it is never `Full`.
    let window = u64::from(libactor::Limits::default().window);
    for number in 0..2 * window {
        soon("room", here.tell_when_room(old, Number(number))).await.unwrap();
    }
    let all = 2 + 2 * window;
    until("all are dropped", || second.metrics().dropped_for(DropReason::Stale) == all).await;
    let ended = TellError::Unreachable("that life of this node has ended".to_owned());
    assert_eq!(second.tell(old, Number(1)), Err(ended));
    here.tell(new, Number(2)).unwrap();
    assert_eq!(soon("its own", hears.recv()).await, Some((2, None)));
    assert_eq!(here.ask(new, Sum, SOON).await.unwrap().0, 1);
}

/// A page of a node.
pub async fn page(at: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
    let mut page = String::new();
    soon("the page", stream.read_to_string(&mut page)).await.unwrap();
    page
}
