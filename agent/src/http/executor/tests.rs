//! A gateway between an agent that only answers and an executor that only listens.

use std::time::Duration;

use actix::{Actor, Handler};
use api::v1::executor::{Event, event};
use futures_util::StreamExt;
use gateway::{Encoding, Records};
use libactor::{Accepts, Context, Down, Node, NodeConfig, Received, Spawn};
use protocol::agent::{AgentAddress, AgentInfo};
use protocol::executor::AgentToExecutor;
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ContainerId, ExecutorId, FrameworkId};
use protocol::resources::Resources;
use protocol::task::{CommandSpec, ExecutorSpec};

use super::subscribed::{GatewayActor, HEARTBEAT, Subscriber};
use super::{Dismiss, Subscribes, events};
use crate::logic::{Known, Subscription};

/// An agent that takes whoever subscribes.
struct Takes(Known);

impl Actor for Takes {
    type Context = Context<Self>;
}

impl Handler<Received<Subscribes>> for Takes {
    type Result = ();

    fn handle(&mut self, received: Received<Subscribes>, ctx: &mut Context<Self>) {
        let registered = AgentToExecutor::Registered {
            agent: self.0.agent.clone(),
            framework: self.0.framework.clone(),
            shutdown_grace: Duration::ZERO,
        };
        ctx.tell(received.from.unwrap(), registered).unwrap();
    }
}

impl Handler<Down> for Takes {
    type Result = ();

    fn handle(&mut self, _: Down, _: &mut Context<Self>) {}
}

fn known() -> Known {
    Known {
        container: ContainerId::new("c"),
        gateway: None,
        spec: ExecutorSpec {
            executor: ExecutorId::new("e"),
            name: String::new(),
            command: CommandSpec::default(),
            resources: Resources::none(),
            shutdown_grace: None,
        },
        described: None,
        framework: FrameworkInfo::plain(FrameworkId::new("f")),
        agent: AgentId::new("a"),
        info: AgentInfo {
            at: AgentAddress { hostname: "h".into(), listens: "127.0.0.1:1".into() }.into(),
            resources: Resources::none(),
            attributes: Vec::new(),
            version: "1".into(),
            boot: "b".into(),
        },
        domain: None,
    }
}

#[tokio::test]
async fn exec_11_a_stream_says_again_and_again_that_it_lives() {
    assert_eq!(HEARTBEAT, Duration::from_secs(1800), "as Mesos has it");
    let node = Node::start(NodeConfig::loopback()).await.unwrap();
    let accepts = Accepts::new().tells_here::<Subscribes>().links();
    let agent = node.spawn(Spawn { accepts, ..Spawn::default() }, |_| Takes(known())).unwrap();
    let (records, mut stream) = Records::pipe(1 << 20);
    let subscriber = Subscriber {
        at_its_end: Box::new(|_| ()),
        heartbeat: Duration::from_millis(50),
        agent: agent.pid(),
        first: events::subscribed(&known()).unwrap(),
        known: known(),
        subscription: Subscription {
            container: ContainerId::new("c"),
            tasks: Vec::new(),
            unacknowledged: Vec::new(),
        },
        statuses: Vec::new(),
        encoding: Encoding::Json,
        records,
    };
    let accepts = Accepts::new().tells_here::<AgentToExecutor>().tells_here::<Dismiss>();
    let spawn = Spawn { accepts, ..Spawn::default() };
    let _gateway = node.spawn(spawn, move |_| GatewayActor::new(subscriber)).unwrap();
    let begun = std::time::Instant::now();
    for expected in [event::Type::Subscribed, event::Type::Heartbeat, event::Type::Heartbeat] {
        let part = tokio::time::timeout(Duration::from_secs(60), stream.next()).await;
        let part = part.unwrap().unwrap().unwrap();
        let head = part.iter().position(|byte| *byte == b'\n').unwrap();
        let (length, record) = part.split_at(head + 1);
        assert_eq!(length, format!("{}\n", record.len()).as_bytes(), "in one piece");
        let event: Event = api::json::read(record).unwrap();
        assert_eq!(event.r#type(), expected);
    }
    assert!(begun.elapsed() >= Duration::from_millis(100), "one for each span");
    node.shutdown().await;
}
