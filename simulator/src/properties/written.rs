//! What is told was written before: agents and frameworks in the store, a task's end beside its executor.

use protocol::agent::MasterToAgent;
use protocol::framework::MasterToFramework;
use protocol::ids::AgentId;
use protocol::task::TaskStatus;

use super::WRITTEN;
use crate::network::Life;
use crate::process::Seat;
use crate::world::World;

impl World {
    /// An executor is about to tell how its task ended.
    pub(crate) fn check_end_noted(&mut self, life: Life, status: &TaskStatus) {
        self.truth.checks += 1;
        let Seat::Executor { container, .. } = &self.processes[&life.process].seat else {
            return;
        };
        let noted = self.system.noted.get(container).and_then(|noted| noted.update);
        if status.state.is_end() && noted != status.update {
            let words = format!("the end of {} is told, and is not written down", status.task);
            self.violate(WRITTEN, words, vec![status.task.to_string()]);
        }
    }

    /// An agent that is greeted is in the store.
    pub(crate) fn check_agent_told(&mut self, life: Life, message: &MasterToAgent) {
        let MasterToAgent::Registered { epoch, agent, .. } = message else {
            return;
        };
        self.truth.checks += 1;
        if *epoch == self.registry.epoch && !self.registry.agents.contains_key(agent) {
            let words = format!("{agent} is greeted, but the store does not hold it");
            let name = self.name_of(life.process).to_owned();
            self.violate(WRITTEN, words, vec![name, agent.to_string()]);
        }
    }

    /// A framework that is greeted is in the store.
    pub(crate) fn check_framework_told(
        &mut self,
        life: Life,
        reign: u64,
        message: &MasterToFramework,
    ) {
        if let MasterToFramework::AgentLost(agent) = message {
            return self.check_agent_lost(life, reign, agent);
        }
        let MasterToFramework::Subscribed { epoch, framework, .. } = message else {
            return;
        };
        self.truth.checks += 1;
        if *epoch == self.registry.epoch && !self.registry.frameworks.contains_key(framework) {
            let words = format!("{framework} is greeted, but the store does not hold it");
            let name = self.name_of(life.process).to_owned();
            self.violate(WRITTEN, words, vec![name, framework.to_string()]);
        }
    }
    /// An agent that is told to be lost is unreachable by what the store holds, or not there.
    fn check_agent_lost(&mut self, life: Life, reign: u64, agent: &AgentId) {
        self.truth.checks += 1;
        let entry = self.registry.agents.get(agent);
        if reign == self.registry.epoch && entry.is_some_and(|entry| entry.unreachable.is_none()) {
            let words = format!("{agent} is told to be lost, and the store has it as reachable");
            let name = self.name_of(life.process).to_owned();
            self.violate(WRITTEN, words, vec![name, agent.to_string()]);
        }
    }
}
