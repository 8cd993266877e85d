//! The agent's books as they are shown: a copy at one moment, for readers who take their time.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::agent::AgentInfo;
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ContainerId, FrameworkId, Role, TaskId};
use protocol::resources::Resources;
use protocol::task::{ExecutorSpec, Run, TaskReport, TaskStatus};
use protocol::wishes::FaultDomain;
use serde::{Deserialize, Serialize};

use super::Agent;
use super::state::{Executor, Framework, Phase, Task};
use super::validate::executor_of;

/// All of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Books {
    /// Its id, once it has one.
    pub agent: Option<AgentId>,
    /// What it says of itself, with all that it has.
    pub info: AgentInfo,
    /// Where it is, if its operator says.
    pub domain: Option<FaultDomain>,
    /// What tasks and executors hold.
    pub used: Resources,
    /// Whether executors of a former life are still missing.
    pub is_recovering: bool,
    /// Whether it is registered with a master.
    pub has_master: bool,
    /// Those of which something is here.
    pub frameworks: Vec<FrameworkSeen>,
    /// Those of which something was here.
    pub gone: Vec<FrameworkSeen>,
}

/// A framework.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FrameworkSeen {
    /// What it says of itself.
    pub info: FrameworkInfo,
    /// Those that live.
    pub executors: Vec<ExecutorSeen>,
    /// Those that have ended.
    pub ended: Vec<ExecutorSeen>,
}

/// One life of an executor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutorSeen {
    /// Which.
    pub container: ContainerId,
    /// What was asked for.
    pub spec: ExecutorSpec,
    /// That of the task it was started for.
    pub role: Role,
    /// Whether it is of the agent's making, for one task.
    pub is_for_command: bool,
    /// How far it is.
    pub life: Life,
    /// All its tasks that are known.
    pub tasks: Vec<Arc<TaskSeen>>,
}

/// `Starting -> Running -> Ending -> Ended`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Life {
    /// Its process does not run yet.
    Starting,
    /// It runs, as this process.
    Running(u32),
    /// It is to end; as which process, if one is known.
    Ending(Option<u32>),
    /// Nothing of it runs.
    Ended,
}

impl Life {
    /// Its process, while it has one.
    pub fn process(self) -> Option<u32> {
        match self {
            Self::Running(process) => Some(process),
            Self::Ending(process) => process,
            Self::Starting | Self::Ended => None,
        }
    }
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskSeen {
    /// As its master would be told of it, but for the news that waits to be acknowledged: what of that is shown is below.
    pub report: TaskReport,
    /// Its news so far, without what its executor wrote for its scheduler alone.
    pub statuses: Vec<Arc<TaskStatus>>,
    /// How far it is.
    pub stage: Stage,
}

/// `Queued -> Launched -> Terminated -> Completed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Its executor was not told of it yet.
    Queued,
    /// Its executor has it.
    Launched,
    /// It has ended, and its framework does not know all of that yet.
    Terminated,
    /// It has ended, and its framework knows.
    Completed,
}

impl Stage {
    fn of(task: &Task) -> Self {
        match (task.known().0.is_end(), task.told) {
            (true, _) => Self::Terminated,
            (false, true) => Self::Launched,
            (false, false) => Self::Queued,
        }
    }
}

/// Those of one framework by the executor that has or had them.
type ByContainer = BTreeMap<ContainerId, Vec<Arc<TaskSeen>>>;

impl Executor {
    /// As it is shown, but for its tasks.
    pub(super) fn seen(&self, container: &ContainerId) -> ExecutorSeen {
        let process = match &self.phase {
            Phase::Running(identity) | Phase::Looking(Some(identity)) => Some(identity.process),
            Phase::Looking(None) | Phase::Recording | Phase::Starting => None,
        };
        ExecutorSeen {
            container: container.clone(),
            spec: self.spec.clone(),
            role: self.role.clone(),
            is_for_command: self.is_for_command(),
            life: match (self.ending.is_some(), process) {
                (true, process) => Life::Ending(process),
                (false, Some(process)) => Life::Running(process),
                (false, None) => Life::Starting,
            },
            tasks: Vec::new(),
        }
    }
}

impl Task {
    /// As it is shown; `None`: it is not known here.
    pub(super) fn seen(
        &self,
        agent: &AgentId,
        framework: &FrameworkId,
        stage: Stage,
    ) -> Option<TaskSeen> {
        let (state, _) = self.known();
        Some(TaskSeen {
            report: TaskReport {
                framework: framework.clone(),
                spec: self.spec.clone()?,
                agent: agent.clone(),
                executor: self.executor.clone(),
                state,
                unacknowledged: None,
                role: self.role.clone(),
            },
            statuses: self.statuses.clone(),
            stage,
        })
    }
}

impl Agent {
    /// The books as they are now.
    pub fn books(&self) -> Books {
        let mut executors = BTreeMap::<&FrameworkId, Vec<ExecutorSeen>>::new();
        for (container, executor) in &self.state.executors {
            executors.entry(&executor.framework).or_default().push(executor.seen(container));
        }
        let past = &self.state.past;
        let live = self.state.frameworks.iter().filter_map(|(id, framework)| {
            self.framework_seen(framework, executors.remove(id).unwrap_or_default())
        });
        let frameworks = live.collect();
        let gone = past.frameworks().map(|info| FrameworkSeen {
            info: info.clone(),
            executors: Vec::new(),
            ended: self.ended_of(&info.framework, &mut ByContainer::new()),
        });
        Books {
            agent: self.membership.agent().cloned(),
            info: AgentInfo { resources: self.state.total().clone(), ..self.config.info.clone() },
            domain: self.config.domain.clone(),
            used: self.state.used(),
            is_recovering: self.membership.is_recovering(),
            has_master: self.membership.master().is_some(),
            frameworks,
            gone: gone.collect(),
        }
    }

    /// With its executors that live; `None`: nothing of it is here but questions about tasks that nobody knows.
    fn framework_seen(
        &self,
        framework: &Framework,
        mut executors: Vec<ExecutorSeen>,
    ) -> Option<FrameworkSeen> {
        let id = &framework.info.framework;
        let mut tasks = self.tasks_seen(id, &framework.tasks);
        for executor in &mut executors {
            executor.tasks = tasks.remove(&executor.container).unwrap_or_default();
            executor.tasks.extend(self.state.past.tasks_of(&executor.container).cloned());
        }
        let mut ended = self.ended_of(id, &mut tasks);
        ended.extend(tasks.into_iter().filter_map(known_by_tasks));
        let is_unknown = framework.tasks.values().all(|task| task.spec.is_none());
        let has_left = self.state.past.has_left(id) || ended.is_empty();
        let is_here = !(executors.is_empty() && is_unknown && has_left);
        is_here.then(|| FrameworkSeen { info: framework.info.clone(), executors, ended })
    }

    fn tasks_seen(&self, id: &FrameworkId, tasks: &BTreeMap<TaskId, Task>) -> ByContainer {
        let mut all = ByContainer::new();
        let Some(agent) = self.membership.agent() else { return all };
        for task in tasks.values() {
            // One that was refused never had any.
            let Some(container) = &task.container else { continue };
            let seen = task.seen(agent, id, Stage::of(task)).map(Arc::new);
            all.entry(container.clone()).or_default().extend(seen);
        }
        all
    }

    /// With those of their tasks of which their framework does not know yet.
    fn ended_of(&self, id: &FrameworkId, tasks: &mut ByContainer) -> Vec<ExecutorSeen> {
        let ended = self.state.past.executors_of(id).map(|executor| {
            let mut seen = ExecutorSeen::clone(executor);
            seen.tasks = tasks.remove(&executor.container).unwrap_or_default();
            seen.tasks.extend(self.state.past.tasks_of(&executor.container).cloned());
            seen
        });
        ended.collect()
    }
}

/// One that has ended and is not remembered, in a former life of the agent or because others have ended since, while the end of a task of
/// its is not acknowledged.
fn known_by_tasks((container, tasks): (ContainerId, Vec<Arc<TaskSeen>>)) -> Option<ExecutorSeen> {
    let report = &tasks.first()?.report;
    let is_for_command = match &report.spec.run {
        Run::Command(_) => true,
        Run::Executor { .. } => false,
    };
    let (spec, role) = (executor_of(&report.spec), report.role.clone());
    Some(ExecutorSeen { container, spec, role, is_for_command, life: Life::Ended, tasks })
}
