//! Frameworks that do not want their tasks to outlive an agent's connection (in Mesos: those that do not checkpoint). What they have on
//! an agent is lost with its connection, and is ended should the agent come back with it.

use protocol::ids::{AgentId, FrameworkId};
use protocol::task::{Reason, TaskReport, TaskState};

use crate::logic::{Master, TaskKey, Turn};

use libactor::Pid;
use protocol::agent::MasterToAgent;

impl Master {
    /// An agent's connection is lost.
    pub(super) fn forsake(&mut self, turn: &mut Turn, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        let frameworks = agent.frameworks_on().into_iter();
        let forsaken: Vec<FrameworkId> =
            frameworks.filter(|framework| !self.outlives_connections(framework)).collect();
        for framework in forsaken {
            self.forsake_framework(turn, id, &framework);
        }
    }

    fn forsake_framework(&mut self, turn: &mut Turn, id: &AgentId, framework: &FrameworkId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        agent.forsaken.insert(framework.clone());
        let of_it = |key: &&TaskKey| key.0 == *framework;
        let tasks: Vec<TaskKey> = agent.book.tasks.iter().filter(of_it).cloned().collect();
        let executors = agent.book.executors.keys().filter(|(of, _)| of == framework);
        let executors: Vec<_> = executors.map(|(_, executor)| executor.clone()).collect();
        for (framework, task) in tasks {
            let message = format!("agent {id} lost its connection");
            let (state, reason) = (TaskState::Lost, Reason::AgentDisconnected);
            self.end_task(turn, &framework, &task, state, reason, message);
        }
        for executor in executors {
            self.unbook_executor(turn, id, framework, &executor);
        }
    }

    /// Whether what a framework runs goes on without its agent's connection. All do but those that say otherwise.
    fn outlives_connections(&self, framework: &FrameworkId) -> bool {
        self.frameworks.get(framework).is_none_or(|known| known.info.outlives_agents())
    }

    /// An agent is back: which of its tasks are told to end, since they count as lost.
    pub(super) fn is_forsaken(
        &mut self,
        turn: &mut Turn,
        id: &AgentId,
        from: Pid,
        report: &TaskReport,
    ) -> bool {
        let (epoch, framework) = (self.epoch(), report.framework.clone());
        let task = report.spec.task.clone();
        let is_known = self.task(&framework, &task).is_some_and(|known| known.agent == *id);
        let Some(agent) = self.agents.get_mut(id) else { return false };
        if is_known || !agent.forsaken.contains(&framework) || report.state.is_end() {
            return false;
        }
        agent.strays.insert((framework.clone(), task.clone()));
        turn.tell_agent(from, MasterToAgent::Kill { epoch, framework, task, grace: None });
        true
    }
}
