//! What schedulers and operators ask of tasks and executors that run: to end, to say how they are, to listen.

use std::time::Duration;

use libactor::Principal;
use protocol::agent::MasterToAgent;
use protocol::change::What;
use protocol::framework::{MasterToFramework, shorter_grace};
use protocol::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use protocol::operator::{KillAnswer, KillTask};
use protocol::task::{Reason, TaskState, TaskStatus};

use super::own_status;
use crate::logic::agents::Agent;
use crate::logic::authorize::{Action, authorize};
use crate::logic::{Effect, Master, Turn};

impl Master {
    /// A scheduler repeats it until the end is known; a task that nobody knows is answered.
    pub(in crate::logic) fn on_kill(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        id: &TaskId,
        agent: Option<&AgentId>,
        grace: Option<Duration>,
    ) {
        if self.task(framework, id).is_some() {
            self.kill(turn, framework, id, grace);
        } else {
            let status = self.status_of_stranger(turn, framework, id, agent);
            status.into_iter().for_each(|status| self.tell_status(turn, status));
        }
    }

    /// Now or when its agent is back, and again with each ping until the task has ended. A kill that is under way may be
    /// shortened, and is not lengthened by whoever asks next.
    pub(super) fn kill(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        id: &TaskId,
        grace: Option<Duration>,
    ) {
        let epoch = self.epoch();
        let Some(task) = self.task_mut(framework, id) else { return };
        let own = task.spec.kill_grace;
        let shorter = |before: Option<_>| shorter_grace(before.or(own), grace.or(own));
        task.kill = Some(task.kill.map_or(grace, shorter));
        let agent = task.agent.clone();
        if let Some(pid) = self.agents.get(&agent).and_then(|agent| agent.pid()) {
            let (framework, task) = (framework.clone(), id.clone());
            turn.tell_agent(pid, MasterToAgent::Kill { epoch, framework, task, grace });
        }
    }

    pub(in crate::logic) fn on_kill_asked(
        &mut self,
        turn: &mut Turn,
        asked: u64,
        principal: Principal,
        question: &KillTask,
    ) {
        let KillTask { framework, task: id } = question;
        let allowed = authorize(principal, Action::KillTask, id.as_str());
        let answer = match (allowed, self.task(framework, id)) {
            (Err(refused), _) => KillAnswer::Refused(refused.to_string()),
            (Ok(()), None) => {
                let known = self.frameworks.get(framework).and_then(|f| f.ended.end_of(id));
                let how = known.map(|end| format!(" any more: it ended as {:?}", end.state));
                let how = how.unwrap_or_default();
                KillAnswer::Refused(format!("framework {framework} has no task {id}{how}"))
            }
            (Ok(()), Some(task)) if task.state.is_end() => {
                KillAnswer::Refused(format!("task {id} has ended already, as {:?}", task.state))
            }
            (Ok(()), Some(_)) => {
                self.kill(turn, framework, id, None);
                self.say_killing(turn, framework, id);
                KillAnswer::KillingAt(self.moment(turn))
            }
        };
        turn.effects.push(Effect::AnswerKill { asked, answer });
    }

    /// The task's state is its agent's to tell: readers see that its end was asked for.
    fn say_killing(&self, turn: &mut Turn, framework: &FrameworkId, id: &TaskId) {
        let Some(task) = self.task(framework, id) else { return };
        let message = match self.agents.get(&task.agent).and_then(|agent| agent.pid()) {
            Some(_) => "an operator asked for its end",
            None => "an operator asked for its end; its agent hears of it when it is back",
        };
        let (at, reason) = (turn.now.wall, Reason::Reconciliation);
        let status = task.status(framework, at, reason, message.to_owned());
        turn.what.push(What::TaskStatus(TaskStatus { reason: None, ..status }.into()));
    }

    /// Each task that is named is answered, or all that are known. No answer comes while an agent that may have the task
    /// is awaited: it would be a guess.
    pub(in crate::logic) fn on_reconcile(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        tasks: &[(TaskId, Option<AgentId>)],
    ) {
        let Some(entry) = self.frameworks.get(framework) else { return };
        let at = turn.now.wall;
        let known = |task: &super::Task| {
            let message = "as the master knows it".to_owned();
            let status = task.status(framework, at, Reason::Reconciliation, message);
            let status = TaskStatus { state: task.as_told(), ..status };
            self.since_when(status)
        };
        let answers: Vec<TaskStatus> = if tasks.is_empty() {
            entry.tasks.values().map(known).collect()
        } else {
            let answer = |(id, agent): &(TaskId, Option<AgentId>)| match entry.tasks.get(id) {
                Some(task) => Some(known(task)),
                None => self.status_of_stranger(turn, framework, id, agent.as_ref()),
            };
            tasks.iter().take(self.config.tasks_per_framework_max).filter_map(answer).collect()
        };
        answers.into_iter().for_each(|status| self.tell_status(turn, status));
    }

    /// Of what is unreachable it is told since when.
    pub(super) fn since_when(&self, status: TaskStatus) -> TaskStatus {
        let entry = status.agent.as_ref().and_then(|agent| self.registry.agents.get(agent));
        let since = entry.and_then(|entry| entry.unreachable);
        match since.filter(|_| status.state == TaskState::Unreachable) {
            Some(since) => status.unreachable_since(since),
            None => status,
        }
    }

    /// A task that is not in the books: its end, if that is remembered; else that nobody knows it. `None` while somebody
    /// still might.
    fn status_of_stranger(
        &self,
        turn: &Turn,
        framework: &FrameworkId,
        id: &TaskId,
        agent: Option<&AgentId>,
    ) -> Option<TaskStatus> {
        let entry = self.frameworks.get(framework)?;
        if let Some(end) = entry.ended.end_of(id) {
            let agent_agrees = agent.is_none() || agent == end.agent.as_ref();
            if agent_agrees {
                return Some(TaskStatus { reason: Some(Reason::Reconciliation), ..end.clone() });
            }
        }
        if let Some(agent) = agent.filter(|agent| self.registry.gone.contains_key(agent)) {
            let by_operator = self.registry.gone.get(agent).is_some_and(|gone| gone.by_operator);
            let state = if by_operator { TaskState::GoneByOperator } else { TaskState::Gone };
            let reason = Reason::AgentRemoved;
            let (at, message) = (turn.now.wall, format!("agent {agent} is gone"));
            let agent = Some(agent.clone());
            return Some(own_status(framework, id, agent, state, reason, message, at));
        }
        let place = agent.and_then(|agent| self.agents.get(agent));
        let any = |is: fn(&Agent) -> bool| match agent {
            Some(_) => place.is_some_and(is),
            None => self.agents.values().any(is),
        };
        if any(Agent::is_awaited) {
            return None;
        }
        let is_away = any(Agent::is_unheard_of) || place.is_some_and(Agent::is_unreachable);
        let (state, message) = if is_away {
            (TaskState::Unreachable, "an agent that may have it is unreachable")
        } else if place.is_some() {
            (TaskState::Gone, "its agent has no such task")
        } else {
            (TaskState::Unknown, "nobody knows this task")
        };
        let (reason, message) = (Reason::TaskUnknown, message.to_owned());
        let at = turn.now.wall;
        let status = own_status(framework, id, agent.cloned(), state, reason, message, at);
        Some(self.since_when(status))
    }

    /// Unreliable: without its agent it is lost.
    pub(in crate::logic) fn on_to_executor(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        agent: &AgentId,
        executor: ExecutorId,
        data: Vec<u8>,
    ) {
        if data.len() > self.config.data_bytes_max {
            if let Some(pid) = self.scheduler(framework) {
                let max = self.config.data_bytes_max;
                let reason =
                    format!("a message to an executor of {} bytes is over {max}", data.len());
                turn.tell_framework(pid, MasterToFramework::Error { reason });
            }
            return;
        }
        if let Some(pid) = self.agents.get(agent).and_then(|agent| agent.pid()) {
            let (epoch, framework) = (self.epoch(), framework.clone());
            turn.tell_agent(pid, MasterToAgent::ToExecutor { epoch, framework, executor, data });
        }
    }

    /// Unreliable, as executors' messages are.
    pub(in crate::logic) fn on_from_executor(
        &mut self,
        turn: &mut Turn,
        agent: AgentId,
        framework: &FrameworkId,
        executor: ExecutorId,
        data: Vec<u8>,
    ) {
        if let Some(pid) = self.scheduler(framework) {
            turn.tell_framework(pid, MasterToFramework::FromExecutor { agent, executor, data });
        }
    }

    pub(in crate::logic) fn on_shutdown_executor(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        agent: &AgentId,
        executor: ExecutorId,
    ) {
        let key = (framework.clone(), executor.clone());
        let entry = self.agents.get_mut(agent);
        if let Some(booked) = entry.and_then(|agent| agent.book.executors.get_mut(&key)) {
            booked.ending = Some(turn.now.steady);
        }
        if let Some(pid) = self.agents.get(agent).and_then(|agent| agent.pid()) {
            let (epoch, framework) = (self.epoch(), framework.clone());
            turn.tell_agent(pid, MasterToAgent::ShutdownExecutor { epoch, framework, executor });
        }
    }
}
