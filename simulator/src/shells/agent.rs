//! The agent's shell: its checkpoint, its executors' processes and its messages.

use std::time::Duration;

use agent::checkpoint_bytes;
use agent::logic::{Effect, Event as AgentEvent, Program, Signal, StartExecutor, StartFailure};
use protocol::task::Exit;
use sdk::executor::logic::ExecutorDriver;

use crate::bugs::Bug;
use crate::network::{Life, Sent};
use crate::process::{AgentBody, Body, CustomBody, Seat};
use crate::said::{Event, Said};
use crate::world::{Due, World};

impl World {
    /// Whether the process goes on.
    pub(crate) fn step_agent(&mut self, life: Life, body: &mut AgentBody, event: Event) -> bool {
        let event = match event {
            Event::Agent(event) => event,
            Event::WriteDone => match self.agent_write_done(life, body) {
                Some(event) => event,
                None => return true,
            },
            Event::Master(_)
            | Event::Allocator(_)
            | Event::Proposals(_)
            | Event::AllocatorHasRoom => return true,
            Event::Executor(_) | Event::Custom(_) | Event::Author(..) | Event::Framework(_) => {
                return true;
            }
        };
        let now = self.shown(life.process);
        let heard = event.clone();
        let before = body.agent.epoch();
        let step = body.agent.step(now, event);
        self.note(life.process, format_args!("{heard:?} -> {:?}", step.effects));
        self.check_epoch_obeyed(life, before, &heard, &step.effects);
        self.check_agent_step(life, body, &heard, &step.effects);
        for (n, effect) in step.effects.into_iter().enumerate() {
            if self.dies_now(life, n) || !self.perform_for_agent(life, body, effect) {
                return false;
            }
        }
        true
    }

    fn agent_write_done(&mut self, life: Life, body: &mut AgentBody) -> Option<AgentEvent> {
        let record = body.pending.done()?;
        let process = self.processes.get_mut(&life.process).expect("it takes a step");
        if let Seat::Agent { config, checkpoint, file, synced } = &mut process.seat {
            file.extend(checkpoint_bytes::appended(&record));
            let is_left = matches!(record, agent::logic::Record::Joined { .. })
                && config.bugs.contains(&agent::logic::Bug::MembershipNotSynced);
            if record.must_be_synced() && !is_left {
                *synced = file.len();
            }
            checkpoint.apply(record.clone());
        }
        Some(AgentEvent::Written(record))
    }

    /// Whether the process goes on.
    fn perform_for_agent(&mut self, life: Life, body: &mut AgentBody, effect: Effect) -> bool {
        match effect {
            Effect::ContactMaster(message) => {
                self.tell_leader(life, Said::AgentToMaster(message));
            }
            Effect::TellMaster { to, message } => {
                if self.tell(life, to, Said::AgentToMaster(message)) != Sent::Accepted {
                    // What the master does not hear it must learn by a new registration.
                    self.unlink(life, to);
                    let words = "it could not be told".to_owned();
                    self.soon(life, Event::Agent(AgentEvent::Down { pid: to, words }));
                }
            }
            Effect::TellExecutor { to, message } => {
                self.tell(life, to, Said::AgentToExecutor(message));
            }
            Effect::Link(pid) => self.link(life, pid),
            Effect::Unlink(pid) => self.unlink(life, pid),
            Effect::Write(record) => {
                body.pending.write(record);
                self.writes(life);
            }
            Effect::EndOldExecutor(old) => self.end_old_executor(life, &old.container),
            Effect::FindExecutor(old) => self.find_executor(life, &old),
            // No executor here speaks the v1 API.
            Effect::DismissGateway(_) => (),
            // Nothing here takes more than it may.
            Effect::GiveContainer { .. } => (),
            Effect::DropRecords(container) => drop(self.system.noted.remove(&container)),
            Effect::StartExecutor(start) => self.start_executor(life, *start),
            Effect::SignalExecutor { container, signal } => {
                self.signal_executor(life, &container, signal);
            }
            Effect::StartTimer { timer, after } => {
                self.timer(life, after, Event::Agent(AgentEvent::TimerFired(timer)));
            }
            Effect::Note(notice) => self.check_notice(life, &notice),
            Effect::Stop(end) => {
                self.note(life.process, format_args!("stops: {end}"));
                return self.agent_stops(life, &end);
            }
        }
        true
    }

    fn agent_stops(&mut self, life: Life, end: &agent::logic::End) -> bool {
        let process = self.processes.get_mut(&life.process).expect("it takes a step");
        process.supervised = match end {
            agent::logic::End::OldExecutorsLive(_) | agent::logic::End::CannotRemember(_) => true,
            agent::logic::End::Left
            | agent::logic::End::Refused(_)
            | agent::logic::End::OtherCluster { .. }
            | agent::logic::End::CleanedUp
            | agent::logic::End::Reconfigured(_)
            | agent::logic::End::NodeEnded => false,
        };
        self.check_agent_may_stop(life, end);
        false
    }

    fn start_executor(&mut self, agent: Life, start: StartExecutor) {
        let container = start.container.clone();
        if self.setup.rough && self.chance.in_thousand(10) {
            let why = StartFailure::Program("the system has no more processes".to_owned());
            self.soon(agent, Event::Agent(AgentEvent::ExecutorNotStarted { container, why }));
            return;
        }
        let host = self.processes[&agent.process].host;
        let name = format!("{}/{}", self.name_of(agent.process), start.spec.executor);
        let framework = start.framework.framework.clone();
        let custom = matches!(start.program, Program::Custom(_));
        let seat =
            Seat::Executor { parent: agent, container: container.clone(), framework, custom };
        let number = self.add_process(name, host, false, seat);
        let source = self.chance.draw();
        let mut executor = executor::logic::Config {
            recovery_timeout: self.recovery_timeout(agent.process),
            ..Default::default()
        };
        if let Some(Bug::Executor(bug)) = self.setup.bug {
            executor.bug = Some(bug);
        }
        let body = body_of(start, source, executor);
        self.enter_life(number, body);
        let life = self.present_life(number);
        let first = match &self.processes[&number].body {
            Some(Body::Custom(_)) => Event::Custom(sdk::executor::logic::Event::Started),
            Some(_) | None => Event::Executor(executor::logic::Event::Started),
        };
        match self.setup.rough && self.chance.in_thousand(150) {
            // The machine is busy, or the program is large.
            true => {
                let after = self.chance.millis(1_000, 20_000);
                self.queue.after(after, Due::Event(life, first));
            }
            false => self.soon(life, first),
        }
        let process = agent::logic::ProcessIdentity {
            process: number,
            started: u64::try_from(self.queue.now().as_millis()).unwrap_or(u64::MAX),
            boot: self.boot_of(agent.process),
        };
        self.soon(agent, Event::Agent(AgentEvent::ExecutorStarted { container, process }));
    }

    fn recovery_timeout(&self, agent: u32) -> Duration {
        match &self.processes[&agent].seat {
            Seat::Agent { config, .. } => config.recovery_timeout,
            Seat::Master | Seat::Executor { .. } | Seat::Framework(_) => Duration::ZERO,
        }
    }

    fn signal_executor(
        &mut self,
        agent: Life,
        container: &protocol::ids::ContainerId,
        signal: Signal,
    ) {
        let Some(number) = self.executor_in(agent.process, container) else {
            return;
        };
        let life = self.present_life(number);
        match (signal, &self.processes[&number].body) {
            (Signal::Kill, Some(_)) => self.end_executor(life, Exit::Signal(9)),
            (Signal::Terminate, Some(Body::Executor(_))) => {
                self.soon(life, Event::Executor(executor::logic::Event::Terminate));
            }
            (Signal::Terminate, Some(_)) => self.end_executor(life, Exit::Signal(15)),
            (Signal::Terminate | Signal::Kill, None) => (),
        }
    }
}

/// What an executor begins with.
fn body_of(start: StartExecutor, source: u64, config: executor::logic::Config) -> Body {
    let (framework, executor) = (start.framework.framework, start.spec.executor);
    let (container, token) = (start.container, start.token);
    match start.program {
        Program::CommandExecutor => {
            let identity = executor::logic::Identity { framework, executor, container, token };
            Body::Executor(Box::new(executor::logic::Executor::new(identity, config, source)))
        }
        Program::Custom(_) => {
            let identity = sdk::executor::logic::Identity { framework, executor, container, token };
            let driver = ExecutorDriver::new(identity, source, config.recovery_timeout);
            Body::Custom(Box::new(CustomBody { driver, tasks: Default::default() }))
        }
    }
}
