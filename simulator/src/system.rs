//! The operating systems of the simulated machines: processes of tasks below processes of executors, signals, and what
//! happens to the one when the other ends.

use std::collections::BTreeMap;
use std::time::Duration;

use agent::logic::{OldExecutor, ProcessIdentity};
use protocol::ids::{ContainerId, TaskId};
use protocol::task::{Exit, TaskState, TaskStatus};

use crate::network::Life;
use crate::process::Seat;
use crate::said::Event;
use crate::task::Behaviour;
use crate::truth::TaskKey;
use crate::world::{Due, World};

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// A task's process.
#[derive(Clone, Debug)]
pub(crate) struct TaskProcess {
    pub(crate) executor: Life,
    pub(crate) key: TaskKey,
    behaviour: Behaviour,
}

/// All processes of tasks that live.
#[derive(Debug, Default)]
pub(crate) struct System {
    next: u64,
    pub(crate) tasks: BTreeMap<u64, TaskProcess>,
    /// How executors that have ended but are not cleared away ended.
    exits: BTreeMap<Life, Exit>,
    /// What executors wrote down of the end of their tasks.
    pub(crate) noted: BTreeMap<ContainerId, Box<TaskStatus>>,
}

impl World {
    /// Starts a task's process below an executor.
    pub(crate) fn spawn_task(&mut self, executor: Life, key: TaskKey, behaviour: Behaviour) -> u64 {
        self.system.next += 1;
        let number = self.system.next;
        self.note(
            executor.process,
            format_args!("starts {} of {} as process {number}", key.1, key.0),
        );
        self.check_task_starts(&key, number);
        self.check_not_killed(executor, &key);
        self.truth.starts.entry(key.clone()).or_default().push(self.queue.now());
        // The news that it runs comes before the news of its end.
        let runs = behaviour.runs.max(Duration::from_millis(4));
        self.queue.after(runs, Due::TaskEnds(number));
        self.system.tasks.insert(number, TaskProcess { executor, key, behaviour });
        number
    }

    pub(crate) fn on_task_due(&mut self, number: u64) {
        if let Some(task) = self.system.tasks.get(&number) {
            let exit = task.behaviour.exit;
            self.end_task(number, exit);
        }
    }

    /// Everything below an executor is gone with its machine.
    pub(crate) fn lose_below(&mut self, executor: Life) {
        self.clear_below(executor);
        self.system.exits.remove(&executor);
    }

    /// A task's process ends; its executor learns of it a little later.
    fn end_task(&mut self, number: u64, exit: Exit) {
        let Some(task) = self.system.tasks.remove(&number) else {
            return;
        };
        self.truth.running.remove(&task.key);
        self.truth.ended.insert(task.key.clone(), exit);
        let (executor, key) = (task.executor, task.key);
        self.note(executor.process, format_args!("process {number} of {} ends: {exit:?}", key.1));
        match &self.processes[&executor.process].seat {
            Seat::Executor { custom: true, .. } => {
                let state = match exit {
                    Exit::Code(0) => TaskState::Finished,
                    Exit::Code(_) => TaskState::Failed,
                    Exit::Signal(_) => TaskState::Killed,
                };
                self.soon(executor, Event::Author(key.1, state));
            }
            Seat::Executor { custom: false, .. } => {
                self.soon(executor, Event::Executor(executor::logic::Event::Exited(exit)));
            }
            Seat::Master | Seat::Agent { .. } | Seat::Framework(_) => (),
        }
    }

    fn tasks_below(&self, executor: Life) -> Vec<u64> {
        let below = self.system.tasks.iter().filter(|(_, task)| task.executor == executor);
        below.map(|(number, _)| *number).collect()
    }

    /// `SIGTERM` to everything below an executor.
    pub(crate) fn terminate_below(&mut self, executor: Life) {
        for number in self.tasks_below(executor) {
            if !self.system.tasks[&number].behaviour.stubborn {
                self.end_task(number, Exit::Signal(SIGTERM));
            }
        }
    }

    /// `SIGTERM` to one task's process.
    pub(crate) fn terminate_task(&mut self, executor: Life, task: &TaskId, force: bool) {
        for number in self.tasks_below(executor) {
            let process = &self.system.tasks[&number];
            if process.key.1 == *task && (force || !process.behaviour.stubborn) {
                self.end_task(number, Exit::Signal(if force { SIGKILL } else { SIGTERM }));
            }
        }
    }

    /// `SIGKILL` to everything below an executor.
    pub(crate) fn clear_below(&mut self, executor: Life) {
        for number in self.tasks_below(executor) {
            self.end_task(number, Exit::Signal(SIGKILL));
        }
    }

    /// An executor's process has ended, whatever the reason. What it left behind lives until its agent has killed it.
    pub(crate) fn executor_ended(&mut self, executor: Life, exit: Exit) {
        self.system.exits.insert(executor, exit);
        let after = self.chance.millis(1, 200);
        self.queue.after(after, Due::Cleared(executor));
    }

    /// The agent that watches the executor, if it lives, has cleared up behind it. Without one, what is left waits for
    /// the agent's next life.
    pub(crate) fn on_cleared(&mut self, executor: Life) {
        let Seat::Executor { parent, container, .. } = &self.processes[&executor.process].seat
        else {
            return;
        };
        let (parent, container) = (*parent, container.clone());
        let agent = &self.processes[&parent.process];
        if agent.life != parent.life || !agent.is_up() {
            return;
        }
        self.clear_below(executor);
        self.executor_is_buried(parent, executor, container);
    }

    fn executor_is_buried(&mut self, agent: Life, executor: Life, container: ContainerId) {
        let exit = self.system.exits.remove(&executor);
        let ended = self.system.noted.get(&container).cloned();
        let event = agent::logic::Event::ExecutorExited { container, exit, ended };
        self.soon(agent, Event::Agent(event));
    }

    /// A new life of an agent looks for an executor of a former one: what lives it watches from here on, what does not it
    /// clears up behind.
    pub(crate) fn find_executor(&mut self, agent: Life, old: &OldExecutor) {
        let container = old.container.clone();
        let Some(number) = self.executor_in(agent.process, &container) else {
            // It may have been told that it runs, and the machine has started anew since.
            let event = match &old.process {
                Some(_) => {
                    let ended = self.system.noted.get(&container).cloned();
                    agent::logic::Event::ExecutorExited { container, exit: None, ended }
                }
                None => agent::logic::Event::ExecutorNeverBegan(container),
            };
            return self.soon(agent, Event::Agent(event));
        };
        let executor = self.present_life(number);
        let process = self.processes.get_mut(&number).expect("it was just found");
        if let Seat::Executor { parent, .. } = &mut process.seat {
            *parent = agent;
        }
        if self.processes[&number].is_up() {
            let process = old.process.clone().unwrap_or_else(|| ProcessIdentity {
                process: number,
                started: 0,
                boot: self.boot_of(agent.process),
            });
            let event = agent::logic::Event::ExecutorFound { container, process };
            self.soon(agent, Event::Agent(event));
        } else {
            self.clear_below(executor);
            self.executor_is_buried(agent, executor, container);
        }
    }

    /// Of the machine on which an agent runs.
    pub(crate) fn boot_of(&self, agent: u32) -> String {
        match &self.processes[&agent].seat {
            Seat::Agent { config, .. } => config.info.boot.clone(),
            Seat::Master | Seat::Executor { .. } | Seat::Framework(_) => String::new(),
        }
    }

    /// A new life of an agent kills what is left of an executor of a former one.
    pub(crate) fn end_old_executor(&mut self, agent: Life, container: &ContainerId) {
        if let Some(executor) = self.executor_in(agent.process, container) {
            let life = self.present_life(executor);
            if self.processes[&executor].is_up() {
                self.end(life, false);
            }
            self.clear_below(life);
        }
        let event = agent::logic::Event::OldExecutorEnded(container.clone());
        let after = self.chance.millis(5, 500);
        self.queue.after(after, Due::Event(agent, Event::Agent(event)));
    }

    /// The process of a container on an agent's machine.
    pub(crate) fn executor_in(&self, agent: u32, container: &ContainerId) -> Option<u32> {
        let found = self.processes.iter().find(|(_, process)| match &process.seat {
            Seat::Executor { parent, container: of, .. } => {
                parent.process == agent && of == container
            }
            Seat::Master | Seat::Agent { .. } | Seat::Framework(_) => false,
        });
        found.map(|(number, _)| *number)
    }

    /// How long it takes until nothing lives below an executor: longer than the news of any single end takes.
    pub(crate) fn reaction(&mut self) -> Duration {
        self.chance.millis(4, 40)
    }
}
