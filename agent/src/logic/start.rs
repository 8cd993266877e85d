//! What it takes to start an executor: what is to be fetched for it, and what it, or its command, is shut into.

use std::time::Duration;

use containerizer::isolator::Allowance;
use protocol::container::Wanted;
use protocol::executor::Token;
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ContainerId};
use protocol::task::{CommandSpec, ExecutorSpec, Run};
use serde::{Deserialize, Serialize};

use super::state::{Executor, Phase};
use super::validate::wanted_of;
use super::{Agent, Effect, Fetch, Program, StartFailure, Turn, fetch};

/// What it takes to start an executor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartExecutor {
    /// Whose, and who its tasks run as when they do not say.
    pub framework: FrameworkInfo,
    /// The executor; of a command task, one that the agent made for it.
    pub spec: ExecutorSpec,
    /// This life of it.
    pub container: ContainerId,
    /// What proves that it is this container.
    pub token: Token,
    /// The agent that starts it.
    pub agent: AgentId,
    /// What is started.
    pub program: Program,
    /// What is to lie in its sandbox before.
    pub fetch: Vec<Fetch>,
    /// What it, or its command, is to be shut into; and that command.
    pub wanted: Wanted,
    /// Its own, or that of its task.
    pub command: CommandSpec,
    /// Owns the sandbox. `None`: the agent's own user.
    pub user: Option<String>,
    /// What it and its tasks may take at first.
    pub allowance: Allowance,
    /// How long it has to end by itself when it is told to, or loses its agent.
    pub shutdown_grace: Duration,
}

impl Agent {
    /// It is noted that there will be this executor: now it may be started.
    pub(super) fn start_executor(&mut self, turn: &mut Turn, container: &ContainerId) {
        let agent = self.membership.agent().cloned();
        let Some(executor) = self.state.executors.get_mut(container) else {
            return;
        };
        if executor.ending.is_some() {
            self.on_executor_exited(turn, container, None, None);
            return;
        }
        let (Phase::Recording, Some(agent)) = (&executor.phase, agent) else {
            return;
        };
        executor.phase = Phase::Starting;
        let default = self.config.shutdown_grace;
        let executor = &self.state.executors[container];
        let fetch = match self.fetches(executor) {
            Ok(fetch) => fetch,
            Err(words) => {
                let why = StartFailure::Program(words);
                return self.on_executor_not_started(turn, container, why);
            }
        };
        let (wanted, command) = match self.wanted(executor) {
            Ok(wanted) => wanted,
            Err(words) => {
                let why = StartFailure::Program(words);
                return self.on_executor_not_started(turn, container, why);
            }
        };
        let framework = self.state.frameworks[&executor.framework].info.clone();
        let start = StartExecutor {
            framework,
            spec: executor.spec.clone(),
            container: container.clone(),
            token: executor.token.clone(),
            agent,
            program: executor.program.clone(),
            fetch,
            wanted,
            command,
            user: executor.user.clone(),
            allowance: self.allowed(executor),
            shutdown_grace: executor.spec.shutdown_grace.unwrap_or(default),
        };
        turn.push(Effect::StartExecutor(Box::new(start)));
    }

    /// What its command needs; of one of the agent's making, its task's.
    fn fetches(&self, executor: &Executor) -> Result<Vec<Fetch>, String> {
        if let Program::Custom(command) = &executor.program {
            return fetch::of(command);
        }
        let task =
            executor.tasks.first().and_then(|task| self.state.task(&executor.framework, task));
        match task.and_then(|task| task.spec.as_ref()).map(|spec| &spec.run) {
            Some(Run::Command(command)) => fetch::of(command),
            Some(Run::Executor { .. }) | None => Ok(Vec::new()),
        }
    }

    /// How many executors there are that have the root of an image, or whose task has.
    pub(crate) fn in_images(&self) -> usize {
        let executors = self.state.executors.values();
        let has_image = |executor: &&Executor| {
            self.wanted(executor).is_ok_and(|(wanted, _)| wanted.image.is_some())
        };
        executors.filter(has_image).count()
    }

    /// What it is to be shut into, and the command that is: that of the first task says both, also of its executor.
    pub(super) fn wanted(&self, executor: &Executor) -> Result<(Wanted, CommandSpec), String> {
        let task =
            executor.tasks.first().and_then(|task| self.state.task(&executor.framework, task));
        let Some(spec) = task.and_then(|task| task.spec.as_ref()) else {
            return Ok((Wanted::default(), CommandSpec::default()));
        };
        let wanted = wanted_of(spec).map_err(|refusal| refusal.to_string())?;
        let command = match &spec.run {
            Run::Command(command) => command.clone(),
            Run::Executor { executor, .. } => executor.command.clone(),
        };
        Ok((wanted, command))
    }
}
