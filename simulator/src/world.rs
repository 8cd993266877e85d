//! A whole cluster in one value: its time, its network, its machines and processes. [`World::run_until`] takes the next
//! thing that is due, hands it to whom it concerns, performs what comes of it, and looks whether all that must be true is.

use std::collections::BTreeMap;
use std::time::Duration;

use libactor::Pid;
use master::logic::registry::{Registry, RegistryOperation};
use protocol::ids::ClusterId;
use protocol::time::{Instant, Now};

use crate::bugs::Bug;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::elections::{Elections, Happening as ElectionHappening};
use crate::faults::Fault;
use crate::healing::Healing;
use crate::network::{Brought, Happening, Host, Lane, Life, Network, Sent};
use crate::office::{Kept, Office};
use crate::operator::Operator;
use crate::process::{Body, Process, Seat};
use crate::queue::Queue;
use crate::said::{Event, Said};
use crate::system::System;
use crate::transcript::Transcript;
use crate::truth::{Truth, Violation};

/// What is due.
pub(crate) enum Due {
    /// On the network.
    Network(Happening),
    /// At a process.
    Event(Life, Event),
    /// At a process, once its machine's steady clock shows this.
    Timer(Life, Instant, Event),
    /// A task's process comes to its end by itself.
    TaskEnds(u64),
    /// An executor's process, which has ended, has left nothing behind any more.
    Cleared(Life),
    /// A process starts.
    Start(u32),
    /// Something goes wrong, or is put right.
    Fault(Fault),
    /// Between a process and the ensemble.
    Election(ElectionHappening<Vec<RegistryOperation>>),
    /// Between a scheduler's process and the ensemble where it is elected.
    Office(ElectionHappening<Kept>),
    /// A scheduler that was elected has something to keep there.
    Keep(Life),
}

/// How a world is made; the seed decides everything else.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    /// Whether clocks drift, writes are slow and the like.
    pub(crate) rough: bool,
    pub(crate) master: master::config::Config,
    /// A deliberate mistake of some component's.
    pub(crate) bug: Option<Bug>,
    /// How many in a thousand messages between actors of one process are late.
    pub(crate) busy: u64,
    /// Whether tells may find their connection full.
    pub(crate) drops: bool,
    /// Whether lines of the transcript are kept.
    pub(crate) keep: bool,
}

/// A simulated cluster.
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) queue: Queue<Due>,
    pub(crate) network: Network<Said>,
    pub(crate) chance: Chance,
    pub(crate) processes: BTreeMap<u32, Process>,
    pub(crate) clocks: BTreeMap<Host, Clock>,
    pids: BTreeMap<Pid, Life>,
    /// The process whose reign is the newest.
    pub(crate) leader: u32,
    /// What the cluster's store holds.
    pub(crate) registry: Registry,
    /// An ensemble of ZooKeeper holds it, and masters stand for election there; if there is none, who starts leads.
    pub(crate) elections: Option<Elections<Vec<RegistryOperation>>>,
    /// A framework elects one of its schedulers.
    pub(crate) office: Option<Office>,
    pub(crate) operator: Operator,
    pub(crate) system: System,
    pub(crate) transcript: Transcript,
    pub(crate) truth: Truth,
    pub(crate) steps: u64,
    pub(crate) healing: Healing,
    /// Nothing goes wrong any more.
    pub(crate) is_healed: bool,
    pub(crate) violation: Option<Violation>,
}

impl World {
    pub(crate) fn new(setup: Setup) -> Self {
        let mut chance = Chance::new(setup.seed);
        let network = Network::new(chance.split());
        let cluster = ClusterId::new(format!("c{:04x}", chance.below(0x1_0000)));
        Self {
            transcript: Transcript::new(setup.keep),
            setup,
            queue: Queue::default(),
            network,
            chance,
            processes: BTreeMap::new(),
            clocks: BTreeMap::new(),
            pids: BTreeMap::new(),
            leader: 0,
            registry: Registry::new(cluster, 0),
            elections: None,
            operator: Operator::default(),
            office: None,
            system: System::default(),
            truth: Truth::default(),
            steps: 0,
            healing: Healing::default(),
            is_healed: false,
            violation: None,
        }
    }

    /// Adds a machine.
    pub(crate) fn add_host(&mut self) -> Host {
        let host = Host(u32::try_from(self.clocks.len()).expect("few machines"));
        let clock =
            if self.setup.rough { Clock::drifting(&mut self.chance) } else { Clock::right() };
        self.clocks.insert(host, clock);
        host
    }

    /// Adds a process that has not started.
    pub(crate) fn add_process(
        &mut self,
        name: String,
        host: Host,
        supervised: bool,
        seat: Seat,
    ) -> u32 {
        let number = u32::try_from(self.processes.len() + 1).expect("few processes");
        let process = Process {
            name,
            host,
            life: 0,
            frozen: None,
            dies_after: None,
            supervised,
            seat,
            body: None,
        };
        self.processes.insert(number, process);
        number
    }

    /// What the clocks of a process's machine show.
    pub(crate) fn shown(&self, process: u32) -> Now {
        self.clock_of(process).show(self.queue.now())
    }

    pub(crate) fn name_of(&self, process: u32) -> &str {
        &self.processes[&process].name
    }

    /// Takes things that are due until then, or until something is wrong. Returns whether the time has come.
    pub(crate) fn run_until(&mut self, until: Duration) -> bool {
        while self.violation.is_none() {
            if !self.take_one(until) {
                self.queue.rest_until(until);
                return true;
            }
        }
        false
    }

    /// Takes the next thing that is due until then.
    pub(crate) fn take_one(&mut self, until: Duration) -> bool {
        self.schedule_network();
        let Some(due) = self.queue.pop_until(until) else {
            return false;
        };
        self.take(due);
        self.schedule_network();
        true
    }

    fn schedule_network(&mut self) {
        for (at, happening) in self.network.take_due() {
            self.queue.at(at, Due::Network(happening));
        }
        for (at, happening) in self.elections.iter_mut().flat_map(Elections::take_due) {
            self.queue.at(at, Due::Election(happening));
        }
        for (at, happening) in self.office.iter_mut().flat_map(|o| o.elections.take_due()) {
            self.queue.at(at, Due::Office(happening));
        }
    }

    fn take(&mut self, due: Due) {
        match due {
            Due::Network(happening) => {
                if let Some(until) =
                    self.network.receiver(&happening).and_then(|l| self.stands_until(l))
                {
                    return self.queue.at(until, Due::Network(happening));
                }
                for brought in self.network.happen(self.queue.now(), happening) {
                    self.bring(brought);
                }
                self.check_network();
            }
            Due::Event(life, event) => match self.stands_until(life) {
                Some(until) => self.queue.at(until, Due::Event(life, event)),
                None => self.step(life, event),
            },
            Due::Timer(life, at, event) => self.timer_is_due(life, at, event),
            Due::TaskEnds(task) => self.on_task_due(task),
            Due::Cleared(executor) => self.on_cleared(executor),
            Due::Start(process) => self.start(process),
            Due::Fault(fault) => self.go_wrong(fault),
            Due::Election(happening) => self.on_election(happening),
            Due::Office(happening) => self.on_office(happening),
            Due::Keep(life) => match self.stands_until(life) {
                Some(until) => self.queue.at(until, Due::Keep(life)),
                None => self.keep_on(life.process),
            },
        }
    }

    /// A machine that was suspended meanwhile lets its timers run on.
    fn timer_is_due(&mut self, life: Life, at: Instant, event: Event) {
        if let Some(until) = self.stands_until(life) {
            return self.queue.at(until, Due::Timer(life, at, event));
        }
        let missing = at.since(self.shown(life.process).steady);
        if missing.is_zero() {
            return self.step(life, event);
        }
        let after = self.clock_of(life.process).real(missing);
        self.queue.after(after, Due::Timer(life, at, event));
    }

    /// Until when the machine of a process is suspended, if it is.
    pub(crate) fn suspended_until(&self, process: u32) -> Option<Duration> {
        self.clock_of(process).stopped_until(self.queue.now())
    }

    fn clock_of(&self, process: u32) -> &Clock {
        &self.clocks[&self.processes[&process].host]
    }

    /// Until when a process stands still, if it does.
    fn stands_until(&self, life: Life) -> Option<Duration> {
        let process = self.processes.get(&life.process)?;
        process.frozen.filter(|until| process.life == life.life && *until > self.queue.now())
    }

    fn bring(&mut self, brought: Brought<Said>) {
        match brought {
            Brought::Message { from, to, payload } => {
                let from = pid_of(from);
                if let Some(event) = self.heard(to, from, payload) {
                    self.step(to, event);
                }
            }
            Brought::Down { watcher, target, reached } => {
                if let Some(event) = self.down(watcher, pid_of(target), reached) {
                    self.step(watcher, event);
                }
            }
        }
    }

    /// One step of one process.
    pub(crate) fn step(&mut self, life: Life, event: Event) {
        let Some(process) = self.processes.get_mut(&life.process) else {
            return;
        };
        if process.life != life.life {
            return;
        }
        let Some(mut body) = process.body.take() else {
            return;
        };
        self.steps += 1;
        let goes_on = match &mut body {
            Body::Master(body) => self.step_master(life, body, event),
            Body::Agent(body) => self.step_agent(life, body, event),
            Body::Executor(executor) => self.step_executor(life, executor, event),
            Body::Custom(body) => self.step_custom(life, body, event),
            Body::Framework(body) => self.step_framework(life, body, event),
        };
        let process = self.processes.get_mut(&life.process).expect("processes are never removed");
        process.body = Some(body);
        if goes_on {
            self.check_after(life);
        } else {
            self.end(life, false);
        }
    }

    /// Whether the process dies before the effect of this number.
    pub(crate) fn dies_now(&mut self, life: Life, performed: usize) -> bool {
        let process = self.processes.get_mut(&life.process).expect("it takes a step");
        let dies = process.dies_after.is_some_and(|after| performed >= after);
        if dies {
            process.dies_after = None;
            self.note(life.process, "dies in the middle of a step");
            self.candidate_dies(life.process);
            self.stand_by_dies(life.process);
        }
        dies
    }

    /// A line of the transcript.
    pub(crate) fn note(&mut self, process: u32, what: impl std::fmt::Display) {
        self.transcript.add(self.queue.now(), &self.processes[&process].name, what);
    }

    /// The life behind a pid.
    pub(crate) fn life_of(&self, pid: Pid) -> Life {
        *self.pids.get(&pid).expect("pids are made by this world")
    }

    pub(crate) fn know(&mut self, life: Life) {
        self.pids.insert(pid_of(life), life);
    }

    pub(crate) fn tell(&mut self, from: Life, to: Pid, said: Said) -> Sent {
        let to = self.life_of(to);
        self.network.send(self.queue.now(), from, to, Lane::Normal, said)
    }

    /// Tells whoever leads, as far as this process knows.
    pub(crate) fn tell_leader(&mut self, from: Life, said: Said) -> Sent {
        let leader = match &self.elections {
            Some(elections) => elections.leader_of(from.process),
            None => Some(self.leader),
        };
        let Some(leader) = leader else {
            // Nobody leads: whoever asked asks again.
            return Sent::Accepted;
        };
        let to = self.present_life(leader);
        self.network.send(self.queue.now(), from, to, Lane::Normal, said)
    }

    pub(crate) fn link(&mut self, watcher: Life, target: Pid) {
        let target = self.life_of(target);
        self.network.link(self.queue.now(), watcher, target);
    }

    pub(crate) fn unlink(&mut self, watcher: Life, target: Pid) {
        let target = self.life_of(target);
        self.network.unlink(watcher, target);
    }

    /// The newest life of a process, dead or not.
    pub(crate) fn present_life(&self, process: u32) -> Life {
        Life { process, life: self.processes[&process].life }
    }

    /// Something comes to a process after a while by its own clock.
    pub(crate) fn timer(&mut self, life: Life, after: Duration, event: Event) {
        let at = self.shown(life.process).steady + after;
        let after = self.clock_of(life.process).real(after);
        self.queue.after(after, Due::Timer(life, at, event));
    }

    /// Something comes to a process from its own machine, soon.
    pub(crate) fn soon(&mut self, life: Life, event: Event) {
        let after = self.chance.span(Duration::from_micros(10), Duration::from_millis(3));
        self.queue.after(after, Due::Event(life, event));
    }

    /// A write was asked for; it is done later. Later writes of a process are never done before earlier ones, since each
    /// completion takes the oldest.
    pub(crate) fn writes(&mut self, life: Life) {
        let after = match self.chance.below(20) {
            0 if self.setup.rough => self.chance.millis(100, 2000),
            _ => self.chance.millis(1, 20),
        };
        self.queue.after(after, Due::Event(life, Event::WriteDone));
    }

    /// The first thing that must be true and is not.
    pub(crate) fn violate(&mut self, property: &'static str, words: String, subjects: Vec<String>) {
        if self.violation.is_none() {
            let at = self.queue.now();
            self.transcript.add(at, "VIOLATED", format_args!("{property}: {words}"));
            self.violation = Some(Violation { property, words, subjects, at });
        }
    }
}

/// The pid of the one actor of a process that others know.
pub(crate) fn pid_of(life: Life) -> Pid {
    Pid::invented(u64::from(life.process) * 100_000 + u64::from(life.life), 1)
}
