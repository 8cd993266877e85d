//! The lives of executors: started, registered, told again what they missed, ended, and what that means for their tasks.

mod words;

use libactor::Pid;
use protocol::agent::AgentToMaster;
use protocol::executor::{AgentToExecutor, ExecutorToAgent, Token};
use protocol::ids::{ContainerId, ExecutorId, FrameworkId};
use protocol::task::{Exit, Reason, TaskSpec, TaskState, TaskStatus};

use super::books::{ExecutorSeen, Life};
use super::checkpoint::{ProcessIdentity, Record};
use super::notice::Notice;
use super::state::{EndedExecutor, Ending, Executor, Phase};
use super::updates::News;
use super::{Agent, Effect, Signal, StartFailure, Timer, Turn};
use words::{news_of_end, words_of};

impl Agent {
    pub(super) fn on_executor_not_recorded(
        &mut self,
        turn: &mut Turn,
        container: &ContainerId,
        words: String,
    ) {
        let words = format!("the agent could not note the executor in its checkpoint: {words}");
        self.on_executor_not_started(turn, container, StartFailure::Sandbox(words));
    }

    pub(super) fn on_executor_started(
        &mut self,
        turn: &mut Turn,
        container: ContainerId,
        process: ProcessIdentity,
    ) {
        let unwanted = |executor: &Executor| executor.ending.is_some() && executor.pid.is_none();
        if self.runs_as(turn, &container, &process, unwanted).is_some() {
            // Not before: what it needs may take long to be fetched.
            let timer = Timer::ExecutorRegistration(container.clone());
            turn.start(timer, self.config.executor_registration_timeout);
            turn.push(Effect::Write(Record::ExecutorStarted { container, process }));
        }
    }

    /// Its process is known. If it is unwanted by now it is killed.
    pub(super) fn runs_as(
        &mut self,
        turn: &mut Turn,
        container: &ContainerId,
        process: &ProcessIdentity,
        unwanted: impl Fn(&Executor) -> bool,
    ) -> Option<&Executor> {
        let executor = self.state.executors.get_mut(container)?;
        executor.phase = Phase::Running(process.clone());
        if unwanted(executor) {
            executor.signal(turn, container, Signal::Kill);
        }
        Some(executor)
    }

    /// It can be found after a restart: now it may be told of tasks.
    pub(super) fn on_process_noted(&mut self, turn: &mut Turn, container: &ContainerId) {
        if let Some(executor) = self.state.executors.get_mut(container) {
            executor.noted = true;
            self.tell_launches(turn, container);
        }
    }

    pub(super) fn on_executor_not_started(
        &mut self,
        turn: &mut Turn,
        container: &ContainerId,
        why: StartFailure,
    ) {
        let (state, reason, words) = match why {
            StartFailure::User(words) => (TaskState::Error, Reason::TaskInvalid, words),
            StartFailure::Sandbox(words) | StartFailure::Program(words) => {
                (TaskState::Failed, Reason::ContainerLaunchFailed, words)
            }
        };
        self.remove_executor(turn, container, None, |_| News::new(state, reason, words.clone()));
    }

    /// Nothing of it lives any more, so its tasks can be said to have ended: as it wrote down, if it did.
    pub(super) fn on_executor_exited(
        &mut self,
        turn: &mut Turn,
        container: &ContainerId,
        exit: Option<Exit>,
        ended: Option<Box<TaskStatus>>,
    ) {
        if let Some(status) = ended.filter(|_| self.state.executors.contains_key(container)) {
            self.on_executor_update(turn, container, *status);
        }
        self.remove_executor(turn, container, exit, |executor| news_of_end(executor, exit));
    }

    fn remove_executor(
        &mut self,
        turn: &mut Turn,
        container: &ContainerId,
        exit: Option<Exit>,
        news: impl Fn(&Executor) -> News,
    ) {
        self.close(container);
        let Some(executor) = self.state.executors.get(container).cloned() else {
            return;
        };
        // Nothing more is given to it.
        if let Some(leaving) = self.state.executors.get_mut(container) {
            leaving.ending.get_or_insert(Ending::Idle);
        }
        for task in &executor.tasks {
            let killed = self
                .state
                .task(&executor.framework, task)
                .is_some_and(|entry| entry.kill.is_some());
            let news = match (killed, exit) {
                (true, Some(exit)) => {
                    let words =
                        format!("killed; its executor {} before it said so", words_of(exit));
                    News::new(TaskState::Killed, Reason::ExecutorTerminated, words)
                }
                (true, None) | (false, _) => news(&executor),
            };
            self.report(turn, &executor.framework, task, news.with_exit(exit));
        }
        let seen = ExecutorSeen { life: Life::Ended, ..executor.seen(container) };
        let most = self.config.past_executors_max;
        self.state.past.executor_ended(&executor.framework, seen, most);
        self.state.executors.remove(container);
        if let Some(pid) = executor.pid {
            self.state.pids.remove(&pid);
            turn.push(Effect::Unlink(pid));
            if executor.has_gateway {
                turn.push(Effect::DismissGateway(pid));
            }
        }
        if executor.holds && !self.state.is_removed(&executor.framework) {
            self.state.release(&executor.spec.resources);
        }
        turn.push(Effect::Write(Record::ExecutorEnded(container.clone())));
        self.state.untold.push(EndedExecutor {
            framework: executor.framework.clone(),
            executor: executor.spec.executor.clone(),
            container: container.clone(),
            exit,
            noted: false,
        });
        self.state.forget_if_empty(&executor.framework);
        self.leave_if_done(turn);
    }

    /// It is written down, or cannot be: what its end meant for its tasks is told by now.
    pub(super) fn on_end_noted(&mut self, turn: &mut Turn, container: &ContainerId) {
        for ended in &mut self.state.untold {
            ended.noted |= ended.container == *container;
        }
        self.tell_ended_executors(turn);
        self.executor_is_back(turn, container);
    }

    /// Said once there is a master: it may have been told of an executor that ended while it was still answering.
    pub(super) fn tell_ended_executors(&mut self, turn: &mut Turn) {
        let Some(to) = self.membership.master() else {
            return;
        };
        let noted = self.state.untold.extract_if(.., |ended| ended.noted);
        for ended in noted.collect::<Vec<_>>() {
            let EndedExecutor { framework, executor, container, exit, noted: _ } = ended;
            // Another life of it has begun: to the master it is one executor, and that lives on.
            let key = (framework, executor);
            if !self.state.open.contains_key(&key) {
                let (framework, executor) = key;
                let message = AgentToMaster::ExecutorEnded { framework, executor, container, exit };
                turn.push(Effect::TellMaster { to, message });
            }
        }
    }

    /// It takes no new tasks; the next one for this id starts another life.
    pub(super) fn close(&mut self, container: &ContainerId) {
        if let Some(executor) = self.state.executors.get(container) {
            let key = (executor.framework.clone(), executor.spec.executor.clone());
            if self.state.open.get(&key) == Some(container) {
                self.state.open.remove(&key);
            }
        }
    }

    /// Tells an executor to end, and kills it if it does not.
    pub(super) fn end_executor(
        &mut self,
        turn: &mut Turn,
        container: &ContainerId,
        ending: Ending,
    ) {
        self.close(container);
        let default = self.config.shutdown_grace;
        let Some(executor) = self.state.executors.get_mut(container) else {
            return;
        };
        if executor.ending.is_some() {
            return;
        }
        executor.ending = Some(ending);
        match executor.pid {
            Some(pid) => {
                turn.tell_executor(pid, AgentToExecutor::Shutdown);
                let grace = executor.spec.shutdown_grace.unwrap_or(default);
                turn.start(Timer::ExecutorEnd(container.clone()), grace);
            }
            // It has no task yet, or cannot be asked.
            None => executor.signal(turn, container, Signal::Kill),
        }
    }

    /// An executor that ends by itself is given its time to do so.
    pub(super) fn expect_end(&mut self, turn: &mut Turn, container: &ContainerId) {
        self.close(container);
        let grace = self.config.shutdown_grace;
        if let Some(executor) = self.state.executors.get_mut(container)
            && executor.ending.is_none()
        {
            executor.ending = Some(Ending::Idle);
            turn.start(Timer::ExecutorEnd(container.clone()), grace);
        }
    }

    pub(super) fn on_executor_end_due(&mut self, turn: &mut Turn, container: &ContainerId) {
        let Some(executor) = self.state.executors.get(container) else {
            return;
        };
        let (executor_id, id) = (executor.spec.executor.clone(), container.clone());
        turn.note(Notice::ExecutorOverdue { executor: executor_id, container: id });
        executor.signal(turn, container, Signal::Kill);
    }

    pub(super) fn on_registration_due(&mut self, turn: &mut Turn, container: &ContainerId) {
        let late = self.state.executors.get(container).is_some_and(|executor| {
            // One that registered and lost its connection has its time for that.
            executor.pid.is_none() && executor.losses == 0 && executor.ending.is_none()
        });
        if late {
            self.end_executor(turn, container, Ending::NotRegistered);
        }
    }

    pub(super) fn on_executor_said(
        &mut self,
        turn: &mut Turn,
        from: Pid,
        message: ExecutorToAgent,
    ) {
        match message {
            ExecutorToAgent::Register { framework, executor, container, token } => {
                match self.recognise(from, &framework, &executor, &container, &token) {
                    Ok(()) => self.on_executor_registered(turn, from, &container),
                    Err(words) => turn_away(turn, from, container, words),
                }
            }
            ExecutorToAgent::Reregister {
                framework,
                executor,
                container,
                token,
                tasks,
                unacknowledged,
            } => match self.recognise(from, &framework, &executor, &container, &token) {
                Ok(()) => {
                    self.on_executor_reregistered(turn, from, &container, &tasks, unacknowledged);
                }
                Err(words) => turn_away(turn, from, container, words),
            },
            ExecutorToAgent::Updated(status) => {
                if let Some(container) = self.state.pids.get(&from).cloned() {
                    self.on_executor_update(turn, &container, status);
                }
            }
            ExecutorToAgent::ToScheduler(data) => {
                if let Some(container) = self.state.pids.get(&from).cloned() {
                    self.on_message_from_executor(turn, &container, data);
                }
            }
        }
    }

    fn recognise(
        &self,
        from: Pid,
        framework: &FrameworkId,
        executor: &ExecutorId,
        container: &ContainerId,
        token: &Token,
    ) -> Result<(), &'static str> {
        let known = self.state.executors.get(container).ok_or("no such container runs here")?;
        // Compared without an early end, so that the time it takes says nothing.
        let (right, token) = (known.token.as_str(), token.as_str());
        let differs = right.len() != token.len()
            || right.bytes().zip(token.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) != 0;
        if differs {
            return Err("its token is wrong");
        }
        if known.framework != *framework || known.spec.executor != *executor {
            return Err("the container belongs to another executor");
        }
        match (&known.ending, known.pid) {
            (Some(Ending::NotBack), _) => Err("it did not come back in time and has to end"),
            (_, Some(pid)) if pid != from => Err("another process is registered as this container"),
            (_, Some(_) | None) => Ok(()),
        }
    }

    fn on_executor_registered(&mut self, turn: &mut Turn, from: Pid, container: &ContainerId) {
        let agent = self.membership.agent().cloned();
        let default = self.config.shutdown_grace;
        let (Some(executor), Some(agent)) = (self.state.executors.get(container), agent) else {
            return;
        };
        if executor.ending.is_some() {
            turn.tell_executor(from, AgentToExecutor::Shutdown);
            return;
        }
        let shutdown_grace = executor.spec.shutdown_grace.unwrap_or(default);
        let framework = self.state.frameworks[&executor.framework].info.clone();
        let registered = AgentToExecutor::Registered { agent, framework, shutdown_grace };
        let unused = executor.tasks.is_empty();
        self.connect(turn, from, container);
        turn.tell_executor(from, registered);
        if unused {
            self.end_executor(turn, container, Ending::Idle);
        } else {
            self.tell_launches(turn, container);
        }
        self.executor_is_back(turn, container);
    }

    pub(super) fn connect(&mut self, turn: &mut Turn, from: Pid, container: &ContainerId) {
        if let Some(executor) = self.state.executors.get_mut(container)
            && executor.pid.is_none()
        {
            executor.pid = Some(from);
            self.state.pids.insert(from, container.clone());
            turn.push(Effect::Link(from));
        }
    }

    fn on_message_from_executor(&self, turn: &mut Turn, container: &ContainerId, data: Vec<u8>) {
        let executor = &self.state.executors[container];
        let (framework, id) = (executor.framework.clone(), executor.spec.executor.clone());
        match self.membership.master() {
            Some(to) if data.len() <= self.config.data_bytes_max => {
                let message = AgentToMaster::FromExecutor { framework, executor: id, data };
                turn.push(Effect::TellMaster { to, message });
            }
            Some(_) | None => {
                let words = match self.membership.master() {
                    Some(_) => format!("for its scheduler, its {} bytes are too many", data.len()),
                    None => "for its scheduler, there is no master".to_owned(),
                };
                turn.note(Notice::MessageDropped { framework, executor: id, words });
            }
        }
    }

    /// Looks again, a little later, whether the executor has reacted to what it was told.
    pub(super) fn watch_executor(&mut self, turn: &mut Turn, container: &ContainerId) {
        let after = self.config.executor_again_after;
        if let Some(executor) = self.state.executors.get_mut(container)
            && !executor.has_gateway
        {
            executor.generation += 1;
            let (container, generation) = (container.clone(), executor.generation);
            turn.start(Timer::ExecutorAgain { container, generation }, after);
        }
    }

    pub(super) fn on_executor_again(
        &mut self,
        turn: &mut Turn,
        container: &ContainerId,
        generation: u64,
    ) {
        let Some(executor) = self.state.executors.get(container) else {
            return;
        };
        let Some(pid) = executor.pid.filter(|_| executor.generation == generation) else {
            return;
        };
        let mut again = Vec::new();
        for task in &executor.tasks {
            let Some(entry) = self.state.task(&executor.framework, task) else {
                continue;
            };
            if let (true, TaskState::Staging, Some(spec)) = (entry.told, entry.state, &entry.spec) {
                again.push(AgentToExecutor::Launch(TaskSpec::clone(spec)));
            }
            if let (true, Some(grace)) = (entry.told, entry.kill) {
                again.push(AgentToExecutor::Kill { task: task.clone(), grace });
            }
        }
        if again.is_empty() {
            return;
        }
        for message in again {
            turn.tell_executor(pid, message);
        }
        self.watch_executor(turn, container);
    }

    /// Its process runs, and so do its tasks: it will be back.
    pub(super) fn on_executor_down(&mut self, turn: &mut Turn, pid: Pid, words: &str) {
        let Some(container) = self.state.pids.remove(&pid) else {
            return;
        };
        let Some(executor) = self.state.executors.get_mut(&container) else {
            return;
        };
        executor.pid = None;
        executor.losses += 1;
        // One that has nothing left to do has ended, most often.
        if !executor.tasks.is_empty() {
            turn.note(Notice::ExecutorLost {
                executor: executor.spec.executor.clone(),
                container: container.clone(),
                words: words.to_owned(),
            });
            self.expect_back(turn, &container);
        }
    }
}

fn turn_away(turn: &mut Turn, from: Pid, container: ContainerId, words: &str) {
    turn.note(Notice::ExecutorTurnedAway { container, words: words.to_owned() });
    turn.tell_executor(from, AgentToExecutor::Shutdown);
}
