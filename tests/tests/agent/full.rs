//! A master that has no room: what it was not told it learns by a new registration.

use std::sync::mpsc as blocking;
use std::time::Duration;

use actix::{Actor, Handler};
use agent::AgentConfig;
use libactor::{Accepts, Context, Message, Name, Node, NodeConfig, Received, Spawn};
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::operator::ReadExecutors;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::stage::registered;

/// Longer than anything here takes on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// From the test to its master: ping the agent, then read nothing until told to go on.
#[derive(Serialize, Deserialize)]
struct StandStill;

impl Message for StandStill {
    const NAME: &'static str = "full.StandStill";
}

/// It has room for one message.
struct Master {
    heard: mpsc::UnboundedSender<AgentToMaster>,
    stands: mpsc::UnboundedSender<()>,
    goes_on: blocking::Receiver<()>,
    agent: Option<libactor::Pid>,
}

impl Actor for Master {
    type Context = Context<Self>;
}

impl Handler<Received<StandStill>> for Master {
    type Result = ();

    fn handle(&mut self, _: Received<StandStill>, ctx: &mut Context<Self>) {
        let agent = self.agent.expect("it has registered");
        for sequence in 1..=8 {
            ctx.tell(agent, MasterToAgent::Ping { epoch: 1, sequence }).unwrap();
        }
        self.stands.send(()).unwrap();
        self.goes_on.recv_timeout(SOON).unwrap();
    }
}

impl Handler<Received<AgentToMaster>> for Master {
    type Result = ();

    fn handle(&mut self, received: Received<AgentToMaster>, ctx: &mut Context<Self>) {
        let from = received.from.unwrap();
        if let AgentToMaster::Register { .. } | AgentToMaster::Reregister { .. } = received.message
        {
            self.agent = Some(from);
            ctx.tell(from, registered()).unwrap();
        }
        if let AgentToMaster::MayReturn { cluster, .. } = &received.message {
            let come = MasterToAgent::ReturnNow { epoch: 1, cluster: cluster.clone() };
            ctx.tell(from, come).unwrap();
        }
        let _ = self.heard.send(received.message);
    }
}

async fn hears(heard: &mut mpsc::UnboundedReceiver<AgentToMaster>, variant: &str) {
    let found = async {
        while let Some(message) = heard.recv().await {
            if format!("{message:?}").starts_with(variant) {
                return;
            }
        }
        panic!("the master is gone");
    };
    tokio::time::timeout(SOON, found).await.unwrap_or_else(|_| panic!("no {variant} was heard"));
}

#[tokio::test]
async fn an_agent_that_cannot_tell_its_master_registers_again() {
    let dir = tempfile::tempdir().unwrap();
    let version = protocol::PROTOCOL_VERSION;
    let config = NodeConfig { version, ..NodeConfig::loopback() };
    let node = Node::start(config).await.unwrap();
    let ((sender, mut heard), (stands, mut stood)) =
        (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let (go_on, goes_on) = blocking::channel();
    let accepts = Accepts::new().tells::<AgentToMaster>().tells::<StandStill>();
    let spawn = Spawn { name: Some("master"), mailbox: 1, accepts, pinned: true };
    let master =
        node.spawn(spawn, move |_| Master { heard: sender, stands, goes_on, agent: None }).unwrap();
    let at = coordination::detect::detector(&node.address().unwrap().to_string()).unwrap();
    let executor = vec![env!("CARGO_BIN_EXE_executor-for-tests").into()];
    let mut config = AgentConfig::new(at, dir.path().join("agent"), executor);
    config.resources = Some("cpus:1;mem:100".into());
    let running = agent::start(&node, config).unwrap();
    hears(&mut heard, "Register").await;
    let name: Name = format!("agent@{}", node.address().unwrap()).parse().unwrap();
    // Before the answer is written down, commands only wait.
    let written =
        async { while node.ask(&name, ReadExecutors, SOON).await.unwrap().agent.is_none() {} };
    tokio::time::timeout(SOON, written).await.unwrap();
    master.tell(StandStill).unwrap();
    tokio::time::timeout(SOON, stood.recv()).await.unwrap();
    // The pings are in its mailbox, so it has tried to answer them before it answers this: of eight pongs one finds room.
    node.ask(&name, ReadExecutors, SOON).await.unwrap();
    go_on.send(()).unwrap();
    hears(&mut heard, "Reregister").await;
    running.leave();
    tokio::time::timeout(SOON, running.ended()).await.unwrap();
    node.shutdown().await;
}
