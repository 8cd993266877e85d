//! Which tasks an agent takes. Every reason not to is a variant of [`Refusal`], with words that say what to do.

use protocol::container::{BadContainer, Wanted};
use protocol::ids::{BadId, ExecutorId, TaskId, check_id};
use protocol::limits::{BadLimit, TaskLimits};
use protocol::resources::{Milli, Resources};
use protocol::task::{CommandSpec, ExecutorSpec, Reason, Run, TaskSpec, TaskState};

use super::config::Config;
use super::state::State;

/// Why a task is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{what} is not allowed: {source}")]
    Id { what: &'static str, source: BadId },
    #[error("{0} asks for no resources; name some, such as cpus:0.1;mem:32")]
    NoResources(&'static str),
    #[error("{owner} asks for a negative amount of '{name}'")]
    Negative { owner: &'static str, name: String },
    #[error("needs {wanted}, but the whole agent has only {total}; ask for less")]
    MoreThanTotal { wanted: Resources, total: Resources },
    #[error(
        "needs {wanted}, but only {free} of the agent is free; the offer it came from was stale, try again"
    )]
    MoreThanFree { wanted: Resources, free: Resources },
    #[error("the command is empty; give a command line or the path of an executable")]
    EmptyCommand,
    #[error("the command holds a NUL byte in its {0}, which no process can be given")]
    Nul(&'static str),
    #[error("the name '{0}' of an environment variable is empty or holds '='")]
    VariableName(String),
    #[error(
        "executor {0} already runs here with another description; use another executor id, or the same description"
    )]
    ExecutorDiffers(ExecutorId),
    #[error(
        "the task's data of {bytes} bytes is more than the {limit} allowed; put it in a file and name that"
    )]
    TooMuchData { bytes: usize, limit: usize },
    #[error("the task {0}")]
    Container(BadContainer),
    #[error(transparent)]
    Limit(BadLimit),
    #[error("the task's description cannot be read: {0}")]
    Carried(String),
    #[error("the agent has {0} tasks, as many as it takes")]
    TooManyTasks(usize),
    #[error("the agent has {0} executors, as many as it takes")]
    TooManyExecutors(usize),
    #[error(
        "executor {0} has ended here while the task was on its way to it; launch again, and another is started"
    )]
    ExecutorEnded(ExecutorId),
    #[error("the framework is being removed from this agent")]
    FrameworkRemoved,
    #[error("the agent is being ended by its operator")]
    AgentLeaves,
}

impl Refusal {
    /// What becomes of the task: `Error` if it can never run, `Dropped` if it could elsewhere or later.
    pub(super) fn verdict(&self) -> (TaskState, Reason) {
        match self {
            Self::Id { .. } | Self::NoResources(_) | Self::Negative { .. } => {
                (TaskState::Error, Reason::TaskInvalid)
            }
            Self::EmptyCommand | Self::Nul(_) | Self::VariableName(_) => {
                (TaskState::Error, Reason::TaskInvalid)
            }
            Self::Container(_) | Self::Carried(_) => (TaskState::Error, Reason::TaskInvalid),
            Self::Limit(_) => (TaskState::Error, Reason::TaskInvalid),
            Self::ExecutorDiffers(_) | Self::TooMuchData { .. } => {
                (TaskState::Error, Reason::TaskInvalid)
            }
            Self::MoreThanTotal { .. } => (TaskState::Error, Reason::ResourcesUnknown),
            Self::MoreThanFree { .. } => (TaskState::Dropped, Reason::ResourcesUnknown),
            Self::TooManyTasks(_) | Self::TooManyExecutors(_) => {
                (TaskState::Dropped, Reason::ContainerLaunchFailed)
            }
            Self::ExecutorEnded(_) => (TaskState::Dropped, Reason::ExecutorTerminated),
            Self::FrameworkRemoved => (TaskState::Dropped, Reason::FrameworkRemoved),
            Self::AgentLeaves => (TaskState::Dropped, Reason::AgentRemoved),
        }
    }
}

/// The executor that a task runs in: its own, or the framework's.
pub(super) fn executor_of(task: &TaskSpec) -> ExecutorSpec {
    match &task.run {
        Run::Executor { executor, .. } => executor.clone(),
        Run::Command(_) => ExecutorSpec {
            executor: ExecutorId::of_command(&task.task),
            name: format!("command executor of task {}", task.task),
            command: CommandSpec::default(),
            resources: Resources::none(),
            shutdown_grace: None,
        },
    }
}

/// Checks what the task says, apart from all that is here already.
pub(super) fn check_words(task: &TaskSpec, config: &Config) -> Result<(), Refusal> {
    check_task_id(&task.task)?;
    check_amounts("the task", &task.resources)?;
    if task.resources.is_empty() {
        return Err(Refusal::NoResources("the task"));
    }
    let wanted = wanted_of(task)?;
    match &task.run {
        Run::Command(command) => check_command(command, &wanted),
        Run::Executor { executor, data } => {
            check_id(executor.executor.as_str())
                .map_err(|source| Refusal::Id { what: "the executor's id", source })?;
            check_amounts("the executor", &executor.resources)?;
            let (bytes, limit) = (data.len(), config.data_bytes_max);
            if bytes > limit {
                return Err(Refusal::TooMuchData { bytes, limit });
            }
            check_command(&executor.command, &wanted)
        }
    }
}

/// Checks the task against what is here. `runs` is its executor, if that takes tasks, and whether it is of the
/// agent's making; `takes_over` says that there is room for a new one where one is ending.
pub(super) fn check_room(
    task: &TaskSpec,
    executor: &ExecutorSpec,
    runs: Option<(&ExecutorSpec, bool)>,
    takes_over: bool,
    state: &State,
    config: &Config,
) -> Result<(), Refusal> {
    let command = matches!(task.run, Run::Command(_));
    let tasks = state.task_count();
    if tasks >= config.tasks_max {
        return Err(Refusal::TooManyTasks(tasks));
    }
    let wanted = match runs {
        Some((_, true)) => return Err(Refusal::ExecutorDiffers(executor.executor.clone())),
        Some((running, false)) if command || !executor.is_as(running) => {
            return Err(Refusal::ExecutorDiffers(executor.executor.clone()));
        }
        Some((_, false)) => task.resources.clone(),
        None if state.executors.len() >= config.executors_max => {
            return Err(Refusal::TooManyExecutors(state.executors.len()));
        }
        None if takes_over => task.resources.clone(),
        None => task.resources.plus(&executor.resources),
    };
    // As the master was told it, which is more than what is configured if something held more when this life began.
    let total = state.total();
    if !total.contains(&wanted) {
        return Err(Refusal::MoreThanTotal { wanted, total: total.clone() });
    }
    if !state.free().contains(&wanted) {
        return Err(Refusal::MoreThanFree { wanted, free: state.free().clone() });
    }
    Ok(())
}

fn check_task_id(task: &TaskId) -> Result<(), Refusal> {
    check_id(task.as_str()).map_err(|source| Refusal::Id { what: "the task's id", source })
}

/// Amounts come over the wire as they are, so the algebra's promise that none is negative has to be checked.
fn check_amounts(owner: &'static str, resources: &Resources) -> Result<(), Refusal> {
    let negative = |entry: &&protocol::resources::Resource| {
        entry.amount().is_some_and(|amount| amount < Milli(0))
    };
    match resources.iter().find(negative) {
        Some(entry) => Err(Refusal::Negative { owner, name: entry.name.to_string() }),
        None => Ok(()),
    }
}

/// The container that it is to run in, itself or with its executor. What that may take at most makes sense, too.
pub(super) fn wanted_of(task: &TaskSpec) -> Result<Wanted, Refusal> {
    // Most carry nothing.
    if task.carried.as_bytes().is_empty() {
        return Ok(Wanted::default());
    }
    let info = task.carried.decode().map_err(|bad| Refusal::Carried(bad.to_string()))?;
    TaskLimits::of(&info, &task.resources).map_err(Refusal::Limit)?;
    Wanted::of_task(&info).map_err(Refusal::Container)
}

fn check_command(command: &CommandSpec, wanted: &Wanted) -> Result<(), Refusal> {
    // An image says what to run, unless it is to be a line for the shell.
    let says_image = wanted.image.is_some() && !command.shell;
    if command.value.trim().is_empty() && !says_image {
        return Err(Refusal::EmptyCommand);
    }
    if command.value.contains('\0') {
        return Err(Refusal::Nul("value"));
    }
    if command.arguments.iter().any(|argument| argument.contains('\0')) {
        return Err(Refusal::Nul("arguments"));
    }
    for (name, value) in &command.environment {
        if name.is_empty() || name.contains('=') {
            return Err(Refusal::VariableName(name.clone()));
        }
        if name.contains('\0') || value.contains('\0') {
            return Err(Refusal::Nul("environment"));
        }
    }
    Ok(())
}
