//! The shells of executors: of the one for command tasks, and of a framework's own with a simple author's half.

use executor::logic::{Effect, Event as ExecutorEvent, Executor, SpawnFailure};
use protocol::executor::ExecutorToAgent;
use protocol::ids::{FrameworkId, TaskId};
use protocol::task::{Exit, TaskState, TaskStatus};
use sdk::executor::logic::{Effect as CustomEffect, Event as CustomEvent, Report, Word};

use crate::network::{Lane, Life, Sent};
use crate::process::{CustomBody, Seat};
use crate::said::{Event, Said};
use crate::task::Behaviour;
use crate::world::World;

impl World {
    /// Whether the process goes on.
    pub(crate) fn step_executor(
        &mut self,
        life: Life,
        executor: &mut Executor,
        event: Event,
    ) -> bool {
        let Event::Executor(event) = event else {
            return true;
        };
        let now = self.shown(life.process);
        let heard = event.clone();
        let step = executor.step(now, event);
        self.note(life.process, format_args!("{heard:?} -> {:?}", step.effects));
        if let ExecutorEvent::AgentDown { .. } = heard {
            self.check_task_survives(life, &step.effects);
        }
        for (n, effect) in step.effects.into_iter().enumerate() {
            if self.dies_now(life, n) {
                self.executor_ended(life, Exit::Signal(9));
                return false;
            }
            match effect {
                Effect::ContactAgent(message) => {
                    let agent = self.agent_of_executor(life);
                    let now = self.queue.now();
                    let said = Said::ExecutorToAgent(message);
                    self.network.send(now, life, agent, Lane::Normal, said);
                }
                Effect::TellAgent { to, message } => {
                    if let ExecutorToAgent::Updated(status) = &message {
                        self.check_end_noted(life, status);
                    }
                    self.tell(life, to, Said::ExecutorToAgent(message));
                }
                Effect::Link(pid) => self.link(life, pid),
                Effect::NoteEnd(status) => self.note_end(life, status),
                Effect::Spawn(spawn) => self.spawn_for_executor(life, *spawn),
                Effect::TerminateTree => self.terminate_below(life),
                Effect::ClearTree => {
                    self.clear_below(life);
                    let after = self.reaction();
                    let cleared = Event::Executor(ExecutorEvent::TreeCleared);
                    self.queue.after(after, crate::world::Due::Event(life, cleared));
                }
                Effect::StartTimer { timer, after } => {
                    self.timer(life, after, Event::Executor(ExecutorEvent::TimerFired(timer)));
                }
                Effect::Exit(end) => {
                    self.executor_ended(life, Exit::Code(end.code()));
                    return false;
                }
            }
        }
        true
    }

    /// Whoever has the agent's name on this machine now.
    fn agent_of_executor(&self, executor: Life) -> Life {
        match &self.processes[&executor.process].seat {
            Seat::Executor { parent, .. } => self.present_life(parent.process),
            Seat::Master | Seat::Agent { .. } | Seat::Framework(_) => executor,
        }
    }

    fn note_end(&mut self, life: Life, status: Box<TaskStatus>) {
        if let Seat::Executor { container, .. } = &self.processes[&life.process].seat {
            self.system.noted.insert(container.clone(), status);
        }
    }

    fn framework_of_executor(&self, executor: Life) -> FrameworkId {
        match &self.processes[&executor.process].seat {
            Seat::Executor { framework, .. } => framework.clone(),
            Seat::Master | Seat::Agent { .. } | Seat::Framework(_) => {
                unreachable!("only executors have tasks")
            }
        }
    }

    fn spawn_for_executor(&mut self, life: Life, spawn: executor::logic::Spawn) {
        let behaviour = Behaviour::of_command(&spawn.command);
        if !behaviour.starts {
            let failure = SpawnFailure::NotFound(spawn.command.value);
            self.soon(life, Event::Executor(ExecutorEvent::NotSpawned(failure)));
            return;
        }
        let framework = self.framework_of_executor(life);
        let number = self.spawn_task(life, (framework, spawn.task), behaviour);
        let process = u32::try_from(number % 4_000_000).unwrap_or(0);
        self.soon(life, Event::Executor(ExecutorEvent::Spawned { process }));
    }

    /// Whether the process goes on.
    pub(crate) fn step_custom(&mut self, life: Life, body: &mut CustomBody, event: Event) -> bool {
        let event = match event {
            Event::Custom(event) => event,
            Event::Author(task, state) => {
                if state.is_end() && body.tasks.remove(&task).is_none() {
                    return true;
                }
                reported(task, state)
            }
            Event::Master(_)
            | Event::Allocator(_)
            | Event::Proposals(_)
            | Event::AllocatorHasRoom => return true,
            Event::Agent(_) | Event::Executor(_) | Event::Framework(_) | Event::WriteDone => {
                return true;
            }
        };
        let now = self.shown(life.process);
        let heard = event.clone();
        let effects = body.driver.step(now, event);
        self.note(life.process, format_args!("{heard:?} -> {effects:?}"));
        for (n, effect) in effects.into_iter().enumerate() {
            if self.dies_now(life, n) {
                self.executor_ended(life, Exit::Signal(9));
                return false;
            }
            match effect {
                CustomEffect::TellAgent { to, message } => {
                    self.tell_from_custom(life, to, message);
                }
                CustomEffect::Link(pid) => self.link(life, pid),
                CustomEffect::StartTimer { timer, after } => {
                    self.timer(life, after, Event::Custom(CustomEvent::TimerFired(timer)));
                }
                CustomEffect::Author(word) => self.author_hears(life, body, word),
                CustomEffect::Exit(_) => {
                    self.executor_ended(life, Exit::Code(0));
                    return false;
                }
            }
        }
        true
    }

    fn tell_from_custom(
        &mut self,
        life: Life,
        to: Option<libactor::Pid>,
        message: ExecutorToAgent,
    ) {
        let said = Said::ExecutorToAgent(message.clone());
        let sent = match to {
            Some(pid) => self.tell(life, pid, said),
            None => {
                let agent = self.agent_of_executor(life);
                let lane = Lane::Normal;
                self.network.send(self.queue.now(), life, agent, lane, said)
            }
        };
        if sent == Sent::Full {
            self.soon(life, Event::Custom(CustomEvent::NotSent(message)));
        }
    }

    /// The author's half: runs each task as a process, and sends messages back as they came.
    fn author_hears(&mut self, life: Life, body: &mut CustomBody, word: Word) {
        match word {
            Word::Registered(..) => (),
            Word::Launch(spec) => {
                let framework = self.framework_of_executor(life);
                let key = (framework, spec.task.clone());
                let number = self.spawn_task(life, key, Behaviour::of(&spec));
                body.tasks.insert(spec.task.clone(), number);
                self.soon(life, Event::Author(spec.task, TaskState::Running));
            }
            Word::Kill(task, _) => self.terminate_task(life, &task, true),
            Word::Message(data) => {
                let report = CustomEvent::Reported(Report::Message(data));
                self.soon(life, Event::Custom(report));
            }
            Word::Shutdown => self.clear_below(life),
        }
    }
}

fn reported(task: TaskId, state: TaskState) -> CustomEvent {
    let message = "says the simulated author".to_owned();
    CustomEvent::Reported(Report::Task { task, state, message, data: Vec::new() })
}
