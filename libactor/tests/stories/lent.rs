//! A node with a lent secret: it reaches its lender, there what is open to it, and nobody else.

use libactor::{
    Accepts, AskError, Context, Down, DownReason, DropReason, FLOW_ACTOR, FlowQuery, Node,
    NodeConfig, PayloadAnswer, PayloadFilter, PayloadQuestion, Principal, Received, Secret, Spawn,
};
use tokio::sync::mpsc;

use crate::cast::*;

/// Open to borrowers for numbers, not for bytes.
struct Gate(mpsc::UnboundedSender<(Principal, u64)>);

impl actix::Actor for Gate {
    type Context = Context<Self>;
}

impl actix::Handler<Received<Number>> for Gate {
    type Result = ();
    fn handle(&mut self, received: Received<Number>, _: &mut Context<Self>) {
        let _ = self.0.send((received.principal, received.message.0));
    }
}

impl actix::Handler<Received<Bytes>> for Gate {
    type Result = ();
    fn handle(&mut self, received: Received<Bytes>, _: &mut Context<Self>) {
        panic!("{:?} is not open to borrowers", received.message);
    }
}

async fn with(secret: &Secret, config: NodeConfig) -> Node {
    Node::start(NodeConfig { secret: Some(secret.clone()), ..config }).await.unwrap()
}

#[tokio::test]
async fn a_borrower_reaches_what_is_open_to_it_on_its_lender_and_nothing_else() {
    let cluster = Secret::new(b"0123456789abcdef").unwrap();
    let lender = with(&cluster, listening()).await;
    let third = with(&cluster, listening()).await;
    Counter::spawn(&third, "counter");
    let (send, mut hears) = mpsc::unbounded_channel();
    let accepts = Accepts::new().tells::<Number>().from_lent().tells::<Bytes>();
    lender.spawn(Spawn::named("gate").accepts(accepts), |_| Gate(send)).unwrap();
    // One behind the lender, which relays to it for those who are of the cluster.
    let hidden = with(&cluster, dialling()).await;
    let (middle, member) = (name("middle", &lender), with(&cluster, dialling()).await);
    Counter::spawn(&lender, "middle");
    let of_hidden = Counter::spawn(&hidden, "hidden").pid();
    hidden.tell(&middle, Know(of_hidden)).unwrap();
    hidden.ask(&middle, Sum, SOON).await.unwrap();
    let behind = member.ask(&middle, Whom, SOON).await.unwrap().0.unwrap();
    assert_eq!(member.ask(behind, Sum, SOON).await.unwrap().0, 0);

    let lent = lender.lend_secret().unwrap();
    let borrower = with(&lent, dialling()).await;
    borrower.tell(name("gate", &lender), Number(7)).unwrap();
    assert_eq!(soon("a number", hears.recv()).await, Some((Principal::Lent, 7)));
    // Another type, and a question of the runtime's own actor.
    borrower.tell(name("gate", &lender), Bytes(libactor::Blob(vec![1]))).unwrap();
    until("it is dropped", || lender.metrics().dropped_for(DropReason::NotAccepted) == 1).await;
    let asked = borrower.ask(name(FLOW_ACTOR, &lender), FlowQuery::default(), SOON).await;
    assert!(matches!(&asked, Err(AskError::Refused(why)) if why.contains("accept")), "{asked:?}");
    // And what messages say may be known to those of the cluster only.
    let start =
        PayloadQuestion::Start { filter: PayloadFilter::default(), time: SOON, bytes: 1000 };
    let flow = name(FLOW_ACTOR, &lender);
    let asked = borrower.ask(&flow, start.clone(), SOON).await;
    assert!(
        matches!(&asked, Err(AskError::Refused(why)) if why.contains("know the cluster's secret")),
        "{asked:?}"
    );
    assert_eq!(lender.metrics().dropped_for(DropReason::NotAuthorized), 1);
    let asked = member.ask(&flow, start, SOON).await;
    assert!(matches!(&asked, Ok(PayloadAnswer::Started { .. })), "{asked:?}");
    // Through the lender to a third node.
    let asked = borrower.ask(behind, Sum, SOON).await;
    assert!(
        matches!(&asked, Err(AskError::Unreachable(why)) if why.contains("no route")),
        "{asked:?}"
    );
    // And directly.
    let asked = borrower.ask(name("counter", &third), Sum, SOON).await.unwrap_err().to_string();
    assert!(asked.contains("another cluster secret"), "{asked}");
    // Those who are of the cluster still may.
    member.tell(name("gate", &lender), Number(8)).unwrap();
    assert_eq!(soon("a number", hears.recv()).await, Some((Principal::Cluster, 8)));
}

/// Without a secret nobody is known: only who sits at the machine may read what messages say, and no relay speaks for others.
#[tokio::test]
async fn without_a_secret_what_messages_say_is_told_only_on_the_machine_itself() {
    let (middle, asker) = (listening_node().await, Node::start(dialling()).await.unwrap());
    let hidden = Node::start(dialling()).await.unwrap();
    Counter::spawn(&middle, "middle");
    let at = name("middle", &middle);
    hidden.tell(&at, Know(hidden.local(FLOW_ACTOR).unwrap())).unwrap();
    hidden.ask(&at, Sum, SOON).await.unwrap();
    let behind = asker.ask(&at, Whom, SOON).await.unwrap().0.unwrap();
    let start =
        PayloadQuestion::Start { filter: PayloadFilter::default(), time: SOON, bytes: 1000 };
    let asked = asker.ask(behind, start.clone(), SOON).await;
    assert!(
        matches!(&asked, Err(AskError::Refused(why)) if why.contains("has no secret")),
        "{asked:?}"
    );
    assert_eq!(hidden.metrics().dropped_for(DropReason::NotAuthorized), 1);
    assert!(asker.ask(behind, FlowQuery::default(), SOON).await.is_ok(), "the rest is open");
    let asked = asker.ask(name(FLOW_ACTOR, &middle), start, SOON).await;
    assert!(matches!(&asked, Ok(PayloadAnswer::Started { .. })), "{asked:?}");
}

async fn listening_node() -> Node {
    Node::start(listening()).await.unwrap()
}

#[tokio::test]
async fn who_asks_for_a_borrower_behind_its_lender_hears_at_once_that_there_is_no_route() {
    let cluster = Secret::new(b"0123456789abcdef").unwrap();
    let lender = with(&cluster, listening()).await;
    let accepts = Accepts::new().tells::<Know>().from_lent().asks::<Whom>();
    lender.spawn(Spawn::named("middle").accepts(accepts), |_| Counter::default()).unwrap();
    let middle = name("middle", &lender);
    let borrower = with(&lender.lend_secret().unwrap(), dialling()).await;
    let (counter, mut hears) = Counter::heard_by(&borrower, "counter");
    borrower.tell(&middle, Know(counter.pid())).unwrap();
    let member = with(&cluster, dialling()).await;
    let ask = async || member.ask(&middle, Whom, SOON).await.unwrap().0;
    let known = async {
        loop {
            if let Some(pid) = ask().await {
                break pid;
            }
        }
    };
    let behind = soon("it is known", known).await;
    let asked = member.ask(behind, Sum, SOON).await;
    assert!(
        matches!(&asked, Err(AskError::Unreachable(why)) if why.contains("no route")),
        "{asked:?}"
    );
    let (_watcher, mut downs) = watch(&member, behind).await;
    let Down { pid, reason } = soon("the link's end", downs.recv()).await.unwrap();
    assert!(
        pid == behind
            && matches!(&reason, DownReason::Unreachable(why) if why.contains("no route")),
        "{reason:?}"
    );
    member.tell(behind, Number(1)).unwrap();
    until("the tell is dropped in words", || {
        member.metrics().undelivered.contains(&(DropReason::Unreachable, 1))
    })
    .await;
    assert!(hears.try_recv().is_err());
}

#[tokio::test]
async fn a_node_without_a_secret_has_none_to_lend() {
    assert_eq!(Node::start(listening()).await.unwrap().lend_secret(), None);
}
