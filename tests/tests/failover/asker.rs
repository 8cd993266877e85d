//! Somebody who is connected with a master, so that what is asked of it while it is frozen waits at its door.

use std::time::Duration;

use libactor::{Name, Node, NodeConfig};
use protocol::PROTOCOL_VERSION;
use protocol::operator::{KillTask, ReadMoment};
use tests::holder::Held;

use crate::stage::Stage;

const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Asker {
    node: Node,
    master: Name,
}

impl Asker {
    /// Of whoever leads now.
    pub(crate) fn of_leader(stage: &Stage) -> Self {
        let master = format!("master@{}", stage.leader().expect("somebody leads").address);
        let master: Name = master.parse().unwrap();
        let config = NodeConfig { version: PROTOCOL_VERSION, ..NodeConfig::default() };
        let node = stage.waits(Node::start(config)).unwrap();
        stage.waits(node.ask(&master, ReadMoment, ANSWERED_WITHIN)).unwrap();
        Self { node, master }
    }

    /// Asks, and does not wait for the answer.
    pub(crate) fn asks_to_kill_all_of(&self, held: &Held) {
        let framework = held.sees().framework.expect("it has an id");
        for task in &held.tasks {
            let kill = KillTask { framework: framework.clone(), task: task.clone() };
            let asked = self.node.ask(&self.master, kill, ANSWERED_WITHIN);
            // The question is sent by the call; only the answer is waited for.
            drop(asked);
        }
    }
}
