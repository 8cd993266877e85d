//! What a framework keeps while its disk hangs.

use libactor::{Accepts, Node, NodeConfig, Spawn};
use protocol::framework::FrameworkInfo;
use protocol::ids::{FrameworkId, MasterId, Role};
use tokio::sync::mpsc;

use super::*;
use crate::logic::{Driver, Settings};

const PATIENCE: Duration = Duration::from_secs(20);

struct Idle;

impl Scheduler for Idle {}

/// Answers whoever subscribes with more than is kept.
struct Master(mpsc::UnboundedSender<()>);

impl Actor for Master {
    type Context = Context<Self>;
}

impl Handler<Received<FrameworkToMaster>> for Master {
    type Result = ();

    fn handle(&mut self, received: Received<FrameworkToMaster>, ctx: &mut Context<Self>) {
        let FrameworkToMaster::Subscribe { .. } = received.message else { return };
        let from = received.from.unwrap();
        let subscribed = MasterToFramework::Subscribed {
            epoch: 1,
            framework: FrameworkId::new("F"),
            master: MasterId::new("M"),
            tasks: Vec::new(),
            change: 0,
        };
        ctx.tell(from, subscribed).unwrap();
        for _ in 0..=DEFERRED_MOST {
            ctx.tell(from, MasterToFramework::Offers(Vec::new())).unwrap();
        }
        self.0.send(()).unwrap();
    }
}

#[tokio::test]
async fn a_disk_that_hangs_does_not_gather_all_that_a_master_says() {
    let there = Node::start(NodeConfig::loopback()).await.unwrap();
    let here = Node::start(NodeConfig::loopback()).await.unwrap();
    let (subscribed, mut subscriptions) = mpsc::unbounded_channel();
    let accepts = Accepts::new().tells::<FrameworkToMaster>();
    there.spawn(Spawn::named("master").accepts(accepts), |_| Master(subscribed)).unwrap();
    let master = coordination::detect::detector(&there.address().unwrap().to_string()).unwrap();

    let (keeper, _jobs) = Keeper::hanging();
    let info = FrameworkInfo {
        framework: FrameworkId::new("given by the master"),
        name: "test".into(),
        user: "nobody".into(),
        roles: vec![Role::everybody()],
        failover_timeout: PATIENCE,
        hostname: "h".into(),
        capabilities: Vec::new(),
        carried: Default::default(),
    };
    let framework = Framework::new(Driver::new(info, None, 1, Settings::default()), Idle);
    let (ends, _ended) = oneshot::channel();
    let accepts = Accepts::new().tells::<MasterToFramework>().links();
    let spawn = Spawn { mailbox: 2 * DEFERRED_MOST, accepts, ..Spawn::default() };
    let stored = (keeper, Stored::default());
    here.spawn(spawn, move |_| FrameworkActor::new(framework, master, stored, ends)).unwrap();
    for time in ["first", "again, since it lost what it had no room for"] {
        let next = tokio::time::timeout(PATIENCE, subscriptions.recv()).await;
        assert_eq!(next, Ok(Some(())), "it subscribes {time}");
    }
}
