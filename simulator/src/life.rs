//! How simulated processes begin and end: what they find on their disk, and what is left when they crash.

use std::time::Duration;

use agent::checkpoint_bytes;
use agent::logic::Agent;
use master::logic::Master;
use master::logic::allocator::Allocator;
use protocol::ids::{AgentId, MasterId};
use protocol::task::Exit;
use sdk::logic::Driver;

use crate::chance::Chance;
use crate::disk::Pending;
use crate::network::Life;
use crate::process::{AgentBody, Body, FrameworkBody, FrameworkSeat, MasterBody, Seat};
use crate::properties::Policy;
use crate::said::Event;
use crate::world::{Due, World};

impl World {
    /// Starts a process, unless it runs.
    pub(crate) fn start(&mut self, number: u32) {
        if self.processes[&number].is_up() {
            return;
        }
        if let Some(until) = self.suspended_until(number) {
            return self.queue.at(until, Due::Start(number));
        }
        match &self.processes[&number].seat {
            Seat::Master if self.elections.is_some() => self.start_candidate(number),
            Seat::Master => self.start_master(number),
            Seat::Agent { .. } => self.start_agent(number),
            Seat::Framework(_) if self.stands_by(number) => self.start_standing(number),
            Seat::Framework(_) => self.start_framework(number),
            Seat::Executor { .. } => (),
        }
    }

    /// A process begins a life. Its first event is the caller's to give.
    pub(crate) fn enter_life(&mut self, number: u32, body: Body) -> Life {
        let process = self.processes.get_mut(&number).expect("the caller knows it");
        process.life += 1;
        process.frozen = None;
        process.dies_after = None;
        process.body = Some(body);
        let host = process.host;
        let listens = matches!(process.seat, Seat::Master | Seat::Agent { .. });
        let life = self.present_life(number);
        self.know(life);
        self.network.started(life, host, listens);
        self.note(number, format_args!("starts, life {}", life.life));
        life
    }

    /// A new reign: its epoch is in the store before anything else happens.
    fn start_master(&mut self, number: u32) {
        let epoch = self.registry.epoch + 1;
        let identity = MasterId::new(format!("m{:08x}", self.chance.below(1 << 32)));
        self.begin_reign(number, identity, epoch);
    }

    /// A master that has read the registry begins to decide.
    pub(crate) fn begin_reign(&mut self, number: u32, identity: MasterId, epoch: u64) {
        let mut registry = self.registry.clone();
        registry.epoch = epoch;
        if epoch > self.registry.epoch {
            self.registry.epoch = epoch;
            self.leader = number;
        }
        let away = registry.agents.iter().filter(|(_, entry)| entry.unreachable.is_some());
        let away: Vec<AgentId> = away.map(|(agent, _)| agent.clone()).collect();
        let config = self.setup.master.clone();
        let body = MasterBody {
            allocator: Allocator::new(config.allocator.clone(), self.chance.draw()),
            master: Master::new(config, identity, registry),
            pending: Pending::default(),
            writing: false,
            suspended: false,
            waiting: Vec::new(),
            to_allocator: Duration::ZERO,
            to_master: Duration::ZERO,
            between: 0,
            allocator_told: 0,
            allocator_is_stuck: false,
            change: 0,
            books: Default::default(),
            agents: Default::default(),
            watch: Default::default(),
            pace: Default::default(),
            generations: Default::default(),
            policy: Policy::new(&self.setup.master.allocator),
            told: Default::default(),
        };
        let life = self.enter_life(number, Body::Master(Box::new(body)));
        self.step(life, Event::Allocator(master::logic::allocator::Event::Started));
        self.step(life, Event::Master(master::logic::Event::Started));
        self.check_new_reign(life, &away);
    }

    fn start_agent(&mut self, number: u32) {
        let seed = self.chance.bytes();
        self.read_checkpoint(number);
        let Seat::Agent { config, checkpoint, .. } = &self.processes[&number].seat else {
            return;
        };
        let written = checkpoint.epoch;
        let agent = Agent::new((**config).clone(), (**checkpoint).clone(), seed);
        self.check_epoch_remembered(self.present_life(number), &agent, written);
        self.looks_for_leader(number);
        let (pending, greeted, said) = (Pending::default(), false, Default::default());
        let body = AgentBody { agent, pending, greeted, said };
        let life = self.enter_life(number, Body::Agent(Box::new(body)));
        if self.elections.is_some() {
            self.step(life, Event::Agent(agent::logic::Event::MasterDetected(None)));
        }
        self.step(life, Event::Agent(agent::logic::Event::Started));
    }

    /// As each life does: it reads the file, and writes it anew in its shortest form.
    fn read_checkpoint(&mut self, number: u32) {
        let process = self.processes.get_mut(&number).expect("the caller knows it");
        let Seat::Agent { checkpoint, file, synced, .. } = &mut process.seat else {
            return;
        };
        let wrong = match checkpoint_bytes::read(file) {
            Ok(read) if read == **checkpoint => None,
            Ok(read) => Some(format!("{read:?} is read, and {checkpoint:?} was written")),
            Err(error) => Some(error.to_string()),
        };
        *file = checkpoint_bytes::file(checkpoint);
        *synced = file.len();
        if let Some(words) = wrong {
            self.violate_disk(number, words);
        }
    }

    fn start_framework(&mut self, number: u32) {
        if let Some(words) = self.framework_seat(number).and_then(FrameworkSeat::read_file) {
            self.violate_disk(number, words);
        }
        self.begin_framework(number, None);
    }

    /// A scheduler begins with what is kept of its former lives; if it is elected, it hears first how its reign stands.
    pub(crate) fn begin_framework(&mut self, number: u32, standing: Option<sdk::logic::Event>) {
        let nonce = self.chance.draw();
        let Some(seat) = self.framework_seat(number) else {
            return;
        };
        let (info, remembered) = (seat.info.clone(), seat.remembered.clone());
        let driver = Driver::new(info, remembered, nonce, seat.settings.clone());
        let driver = match seat.bug {
            Some(bug) => driver.with_bug(bug),
            None => driver,
        };
        let stored = seat.stored.clone();
        let framework = seat.make.make(driver);
        self.forget_told(number);
        self.looks_for_leader(number);
        let body = FrameworkBody {
            framework,
            pending: Pending::default(),
            stored: 0,
            stores_for: Default::default(),
            careless: Default::default(),
        };
        let life = self.enter_life(number, Body::Framework(Box::new(body)));
        if let Some(standing) = standing {
            self.step(life, Event::Framework(standing));
        }
        self.step(life, Event::Framework(sdk::logic::Event::Started { stored }));
    }

    /// A life ends: by itself, by a signal, or with its machine (`quietly`).
    pub(crate) fn end(&mut self, life: Life, quietly: bool) {
        let process = self.processes.get_mut(&life.process).expect("processes are never removed");
        if process.life != life.life {
            return;
        }
        let Some(body) = process.body.take() else {
            return;
        };
        let (supervised, master_like) = (process.supervised, matches!(process.seat, Seat::Master));
        self.note(life.process, "ends");
        self.network.died(self.queue.now(), life, quietly);
        match body {
            // Only what was sent to the ensemble may still arrive there.
            Body::Master(_) if self.elections.is_some() => (),
            Body::Master(mut body) => {
                for operation in body.pending.crash(&mut self.chance).0 {
                    if self.registry.epoch == body.master.epoch() {
                        self.registry.apply(&operation);
                    }
                }
            }
            Body::Agent(mut body) => {
                let (done, torn) = body.pending.crash(&mut self.chance);
                let process = self.processes.get_mut(&life.process).expect("found above");
                if let Seat::Agent { checkpoint, file, .. } = &mut process.seat {
                    for record in done {
                        file.extend(checkpoint_bytes::appended(&record));
                        checkpoint.apply(record);
                    }
                    if let Some(record) = torn {
                        let bytes = checkpoint_bytes::appended(&record);
                        file.extend(tear(bytes, &mut self.chance));
                    }
                }
            }
            Body::Framework(mut body) => {
                let (done, torn) = body.pending.crash(&mut self.chance);
                let process = self.processes.get_mut(&life.process).expect("found above");
                if let Seat::Framework(seat) = &mut process.seat {
                    done.iter().for_each(|write| seat.apply(write));
                    if let Some(write) = torn {
                        seat.apply_torn(&write, |bytes| tear(bytes, &mut self.chance));
                    }
                }
            }
            Body::Executor(_) | Body::Custom(_) => (),
        }
        if let Some(elections) = &mut self.elections {
            if master_like {
                // The process goes on, and stands again; see `kill`.
                return;
            }
            elections.end(life.process);
        }
        // The process goes on, and stands again.
        if supervised && !self.stands_by(life.process) {
            let after = if master_like {
                self.chance.millis(200, 8_000)
            } else {
                self.chance.millis(200, 20_000)
            };
            self.queue.after(after, Due::Start(life.process));
        }
    }

    /// An executor's process is killed.
    pub(crate) fn end_executor(&mut self, life: Life, exit: Exit) {
        let process = &self.processes[&life.process];
        if process.is_up() && process.life == life.life {
            self.executor_ended(life, exit);
            self.end(life, false);
        }
    }

    /// A process is killed: `kill -9`, or its machine loses power.
    pub(crate) fn kill(&mut self, number: u32, quietly: bool) {
        if self.suspended_until(number).is_some() {
            return;
        }
        let life = self.present_life(number);
        match &self.processes[&number].seat {
            Seat::Executor { .. } => self.end_executor(life, Exit::Signal(9)),
            Seat::Master if self.elections.is_some() => {
                self.candidate_dies(number);
                self.end(life, quietly);
            }
            Seat::Master | Seat::Agent { .. } | Seat::Framework(_) => {
                self.stand_by_dies(number);
                self.end(life, quietly);
            }
        }
    }

    /// A process stands still for a while.
    pub(crate) fn freeze(&mut self, number: u32, span: Duration) {
        let (now, life) = (self.queue.now(), self.present_life(number));
        if let Some(elections) = &mut self.elections {
            elections.freeze(number, now + span);
        }
        if let Some(office) = &mut self.office {
            office.elections.freeze(number, now + span);
        }
        let until = now + span;
        let process = self.processes.get_mut(&number).expect("the caller knows it");
        // Who stands still already may do so for longer.
        if process.body.is_some() && process.frozen.is_none_or(|before| before < until) {
            let stood = process.frozen.replace(until).is_some_and(|before| before > now);
            if !stood {
                self.network.froze(now, life);
            }
            self.queue.at(until, Due::Fault(crate::faults::Fault::Thaw(life)));
        }
    }
}

/// What a crash leaves of the last write: some of its first bytes, or zeroes where they should be.
fn tear(mut bytes: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    // Who stores nothing writes nothing.
    if bytes.is_empty() {
        return bytes;
    }
    bytes.truncate(chance.index(bytes.len()));
    if chance.in_thousand(200) {
        bytes.fill(0);
    }
    bytes
}
