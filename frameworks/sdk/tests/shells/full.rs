//! A master that does not keep up: what a scheduler launches waits for it, in order, and nothing is lost or said twice.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// How much each launch carries: together they are more than the way to the master holds.
const BYTES: usize = 64 << 10;

/// So many offers in each of two messages.
const OFFERS: u32 = 200;

/// Offers much at once, then does nothing until it is released.
struct Busy {
    release: Receiver<()>,
    accepted: mpsc::UnboundedSender<String>,
}

impl Actor for Busy {
    type Context = Context<Self>;
}

fn offers(from: u32) -> MasterToFramework {
    let offers = (from..from + OFFERS).map(|n| Offer {
        offer: OfferId::new(format!("O{n:03}")),
        framework: FrameworkId::new("F"),
        agent: AgentId::new("S1"),
        at: AgentAddress { hostname: "h".into(), listens: "127.0.0.1:1".into() }.into(),
        role: Role::everybody(),
        resources: Resources::cpus_mem(1.0, 64.0),
        attributes: vec![],
        executors: vec![],
    });
    MasterToFramework::Offers(offers.map(Into::into).collect())
}

impl Handler<Received<FrameworkToMaster>> for Busy {
    type Result = ();

    fn handle(&mut self, received: Received<FrameworkToMaster>, ctx: &mut Context<Self>) {
        let from = received.from.expect("schedulers are actors");
        match received.message {
            FrameworkToMaster::Subscribe { .. } => {
                for answer in [subscribed(), offers(0), offers(OFFERS)] {
                    ctx.tell(from, answer).unwrap();
                }
                self.release.recv_timeout(PATIENCE).unwrap();
            }
            FrameworkToMaster::Accept { operations, .. } => {
                for Operation::Launch(tasks) in operations {
                    for task in tasks {
                        self.accepted.send(task.task.to_string()).unwrap();
                    }
                }
            }
            FrameworkToMaster::Decline { .. }
            | FrameworkToMaster::Demand(_)
            | FrameworkToMaster::Acknowledge { .. }
            | FrameworkToMaster::Teardown
            | FrameworkToMaster::Revive
            | FrameworkToMaster::Suppress
            | FrameworkToMaster::SubscribeWith { .. }
            | FrameworkToMaster::Wishes(_)
            | FrameworkToMaster::ReviveRoles(_)
            | FrameworkToMaster::SuppressRoles(_)
            | FrameworkToMaster::UpdateFramework { .. }
            | FrameworkToMaster::Kill { .. }
            | FrameworkToMaster::Reconcile(_)
            | FrameworkToMaster::ToExecutor { .. }
            | FrameworkToMaster::ShutdownExecutor { .. } => (),
        }
    }
}

/// Launches one task on each offer; says so to a busy master when it cannot.
struct Eager {
    launched: Vec<String>,
    refused: Option<Sender<()>>,
}

impl Scheduler for Eager {
    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in &offers {
            let name = format!("on-{}", offer.offer);
            let command = format!("true # {}", "x".repeat(BYTES));
            let task = task::shell(name.clone(), command, &Resources::cpus_mem(0.5, 1.0));
            match calls.launch(offer, task) {
                Ok(()) => self.launched.push(name),
                Err(NotLaunched::NoRoom(_)) => {
                    if let Some(refused) = self.refused.take() {
                        refused.send(()).unwrap();
                        calls.stop();
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[tokio::test]
async fn launches_wait_in_order_for_a_master_that_does_not_keep_up() {
    let (release, released) = channel();
    let (accepted, mut accepts) = mpsc::unbounded_channel();
    let node = Node::start(NodeConfig::loopback()).await.unwrap();
    let tells = Accepts::new().tells::<FrameworkToMaster>();
    let spawn = Spawn { pinned: true, ..Spawn::named("master").accepts(tells) };
    node.spawn(spawn, |_| Busy { release: released, accepted }).unwrap();
    let address = node.address().unwrap().to_string();
    let eager = Eager { launched: Vec::new(), refused: Some(release) };
    let run = run_scheduler(&address, framework("eager"), eager, Options::default());
    let (outcome, eager) = tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
    assert_eq!(outcome, Outcome::Stopped);
    assert_eq!(eager.launched.len(), OFFERS as usize, "those of the second message had no room");
    for expected in eager.launched {
        let arrived = tokio::time::timeout(PATIENCE, accepts.recv()).await;
        assert_eq!(arrived, Ok(Some(expected)));
    }
    node.shutdown().await;
}
