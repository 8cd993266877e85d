//! Executors that speak Mesos's v1 API. A gateway stands for each; it shows the agent no token, but is an actor of the agent's own
//! node. Such an executor subscribes at its start and whenever it lost its stream, and says then what it has.

use std::collections::BTreeSet;

use libactor::Pid;
use protocol::agent::AgentInfo;
use protocol::carried::Carried;
use protocol::executor::AgentToExecutor;
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId};
use protocol::task::{ExecutorSpec, Reason, Run, TaskState, TaskStatus};
use protocol::wishes::FaultDomain;
use serde::{Deserialize, Serialize};

use super::state::{Ending, Executor};
use super::updates::News;
use super::{Agent, Effect, Turn};

/// What an executor that subscribes says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// This life of it.
    pub container: ContainerId,
    /// The tasks that it was told of and of which it has no news that is acknowledged.
    pub tasks: Vec<TaskId>,
    /// News that is not acknowledged, in order.
    pub unacknowledged: Vec<TaskStatus>,
}

/// Whom a call of the v1 API comes from, as far as the agent knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Addressed {
    /// Nothing here is of such a framework.
    NoFramework,
    /// The framework has no such executor here.
    NoExecutor,
    /// The executor is of the agent's making, or speaks our own protocol.
    Native,
    /// It is there.
    Executor(Box<Known>),
}

/// An executor, as it is told of itself when it subscribes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// This life of it.
    pub container: ContainerId,
    /// Its gateway, while it is subscribed.
    pub gateway: Option<Pid>,
    /// The executor.
    pub spec: ExecutorSpec,
    /// As its framework described it, if a task that it has still says so.
    pub described: Option<Carried<api::v1::TaskInfo>>,
    /// Whose.
    pub framework: FrameworkInfo,
    /// The agent.
    pub agent: AgentId,
    /// What the agent says of itself.
    pub info: AgentInfo,
    /// Where it is.
    pub domain: Option<FaultDomain>,
}

impl Agent {
    /// Whether executors of a former life are still missing.
    pub fn is_recovering(&self) -> bool {
        self.membership.is_recovering()
    }

    /// Whose call it is that names these. Of several lives the one that takes tasks, or has a gateway.
    pub fn addressed(&self, framework: &FrameworkId, executor: &ExecutorId) -> Addressed {
        let (Some(entry), Some(agent)) =
            (self.state.frameworks.get(framework), self.membership.agent())
        else {
            return Addressed::NoFramework;
        };
        let open = self.state.open.get(&(framework.clone(), executor.clone()));
        let lives = self.state.executors.iter();
        let lives =
            lives.filter(|(_, one)| one.framework == *framework && one.spec.executor == *executor);
        let found = lives.max_by_key(|(container, one)| {
            let is_open = open == Some(*container);
            (is_open && one.pid.is_some(), one.has_gateway && one.pid.is_some(), is_open)
        });
        let Some((container, life)) = found else { return Addressed::NoExecutor };
        if life.is_for_command() || life.pid.is_some() && !life.has_gateway {
            return Addressed::Native;
        }
        Addressed::Executor(Box::new(Known {
            container: container.clone(),
            gateway: life.pid,
            spec: life.spec.clone(),
            described: self.described(life),
            framework: entry.info.clone(),
            agent: agent.clone(),
            info: self.config.info.clone(),
            domain: self.config.domain.clone(),
        }))
    }

    fn described(&self, life: &Executor) -> Option<Carried<api::v1::TaskInfo>> {
        let tasks = self.state.frameworks.get(&life.framework)?.tasks.values();
        let mut specs = tasks.filter_map(|task| task.spec.as_ref());
        let described = specs.find(|spec| match &spec.run {
            Run::Executor { executor, .. } => *executor == life.spec,
            Run::Command(_) => false,
        });
        described.map(|spec| spec.carried.clone())
    }

    /// Whoever spoke for it before does so no more.
    pub(super) fn on_executor_subscribes(
        &mut self,
        turn: &mut Turn,
        from: Pid,
        subscription: Subscription,
    ) {
        let Subscription { container, tasks, unacknowledged } = subscription;
        let default = self.config.shutdown_grace;
        let (Some(agent), Some(executor)) =
            (self.membership.agent().cloned(), self.state.executors.get_mut(&container))
        else {
            return turn.push(Effect::DismissGateway(from));
        };
        let begins = !executor.has_gateway && executor.losses == 0 && !executor.is_recovered;
        executor.has_gateway = true;
        if let Some(before) = executor.pid.take() {
            self.state.pids.remove(&before);
            turn.push(Effect::Unlink(before));
            turn.push(Effect::DismissGateway(before));
        }
        let executor = &self.state.executors[&container];
        let shutdown_grace = executor.spec.shutdown_grace.unwrap_or(default);
        let framework = self.state.frameworks[&executor.framework].info.clone();
        let (ending, unused) = (executor.ending.clone(), executor.tasks.is_empty());
        self.connect(turn, from, &container);
        if ending.is_none() {
            let registered = AgentToExecutor::Registered { agent, framework, shutdown_grace };
            turn.tell_executor(from, registered);
        }
        let spoken_of: BTreeSet<TaskId> =
            unacknowledged.iter().map(|status| status.task.clone()).collect();
        let has: BTreeSet<TaskId> = tasks.into_iter().collect();
        let strays: Vec<TaskId> = has.difference(&spoken_of).cloned().collect();
        let has = &has | &spoken_of;
        for status in unacknowledged {
            self.on_executor_update(turn, &container, status);
        }
        match ending {
            Some(ending) => {
                self.end_again(turn, &container, ending);
                turn.push(Effect::DismissGateway(from));
            }
            None if begins && unused => self.end_executor(turn, &container, Ending::Idle),
            None => {
                self.settle_tasks(turn, from, &container, &has);
                self.end_strays(turn, from, &container, strays);
                self.tell_launches(turn, &container);
            }
        }
        self.executor_is_back(turn, &container);
    }

    /// A task that it was told of and does not have will not begin. What a former life noted and it does not have begins now, unless
    /// it was to be killed meanwhile.
    fn settle_tasks(
        &mut self,
        turn: &mut Turn,
        pid: Pid,
        container: &ContainerId,
        has: &BTreeSet<TaskId>,
    ) {
        let executor = &self.state.executors[container];
        let (framework, mine) = (executor.framework.clone(), executor.tasks.clone());
        for task in &mine {
            let Some(entry) = self.state.task_mut(&framework, task) else { continue };
            let told_before = std::mem::replace(&mut entry.told, true);
            let is_there = has.contains(task) || entry.state != TaskState::Staging;
            match (is_there, told_before, entry.kill) {
                (true, _, Some(grace)) => {
                    turn.tell_executor(pid, AgentToExecutor::Kill { task: task.clone(), grace });
                }
                (true, _, None) => {}
                (false, _, Some(_)) => self.report_never_told(turn, &framework, task),
                (false, true, None) => {
                    let words = "its executor came back without it".to_owned();
                    let news = News::new(TaskState::Dropped, Reason::AgentRestarted, words);
                    self.report(turn, &framework, task, news);
                }
                (false, false, None) => entry.told = false,
            }
        }
    }

    /// What it has and should not have, it is to end.
    fn end_strays(&self, turn: &mut Turn, pid: Pid, container: &ContainerId, has: Vec<TaskId>) {
        let framework = &self.state.executors[container].framework;
        let grace = self.config.kill_grace;
        for task in has {
            if self.state.task(framework, &task).is_none() {
                turn.tell_executor(pid, AgentToExecutor::Kill { task, grace });
            }
        }
    }
}
