//! What goes wrong, and how a world that went wrong is put right again.

mod election;
mod office;
mod reboot;

use std::time::Duration;

pub(crate) use election::Trouble;
pub(crate) use office::Setback;
use protocol::resources::{Kind, Milli, Resource};

use crate::chance::Chance;
use crate::machines::refurnish;
use crate::network::{Host, Life};
use crate::operator::Order;
use crate::process::{Body, Seat};
use crate::world::{Due, World};

/// One thing that goes wrong, or is put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A process dies; `true`: with its machine, so that nobody is told.
    Kill(u32, bool),
    /// A process dies in the middle of its next step.
    KillInStep(u32, usize),
    /// Some executor of this agent dies.
    KillAnExecutor(u32),
    /// A process stands still.
    Freeze(u32, Duration),
    /// The machine of a process is suspended: whatever runs on it stands still, and its clock with it.
    Suspend(u32, Duration),
    /// It goes on.
    Thaw(Life),
    /// The connections between two processes break.
    Break(u32, u32),
    /// From the one machine nothing comes to the other for a while.
    Block(Host, Host, Duration),
    /// That is over.
    Unblock(Host, Host),
    /// A second master takes over while the first still believes that it leads.
    Usurp,
    /// A master that was usurped finds out that the store obeys another.
    Depose(Life),
    /// Somebody sets a wall clock.
    SetClock(Host),
    /// So many in a thousand tells find their connection full.
    Full(u64),
    /// A second life of a scheduler starts while the first still runs.
    TakeOver(u32),
    /// A switch is off: no agent reaches the leader, nor the other way round, for a while.
    CutOffAgents(Duration),
    /// Whoever leads dies, and for a while no agent reaches any master, nor the other way round.
    Blackout(Duration),
    /// An agent starts anew, and says something else of itself.
    Reconfigure(u32),
    /// The machine of an agent starts anew.
    Reboot(u32),
    /// A reign follows the other, so many and so far apart.
    Reigns(u64, Duration),
    /// Between masters and their ensemble.
    Election(Trouble),
    /// Between schedulers of which one is elected and their ensemble.
    Office(Setback),
    /// No fault: an operator says something of roles.
    Order(Order),
}

impl World {
    /// Puts a schedule of faults into the queue: more or fewer, as the seed wills.
    pub(crate) fn plan_faults(&mut self, chance: &mut Chance, until: Duration) {
        let count = match chance.below(8) {
            0 => 0,
            1..3 => chance.between(1, 3),
            _ => chance.between(3, 14),
        };
        for _ in 0..count {
            let at = chance.span(Duration::from_secs(2), until);
            if let Some(fault) = self.choose_fault(chance) {
                self.queue.at(at, Due::Fault(fault));
            }
        }
        if self.setup.drops && chance.in_thousand(500) {
            self.queue.at(Duration::ZERO, Due::Fault(Fault::Full(chance.between(1, 30))));
        }
    }

    /// Now and then all agents are away for so long that they are given up while tasks run on.
    pub(crate) fn plan_silence(&mut self, chance: &mut Chance, until: Duration) {
        if chance.in_thousand(500) {
            let at = chance.span(Duration::from_secs(10), until / 2);
            let span = self.setup.master.agent_reregister_timeout + chance.millis(15_000, 60_000);
            self.queue.at(at, Due::Fault(Fault::CutOffAgents(span)));
        }
    }

    fn numbers(&self, of: impl Fn(&Seat) -> bool) -> Vec<u32> {
        self.processes.iter().filter(|(_, p)| of(&p.seat)).map(|(number, _)| *number).collect()
    }

    fn choose_fault(&self, chance: &mut Chance) -> Option<Fault> {
        let agents = self.numbers(|seat| matches!(seat, Seat::Agent { .. }));
        let frameworks = self.numbers(|seat| matches!(seat, Seat::Framework(_)));
        let masters = self.numbers(|seat| matches!(seat, Seat::Master));
        let all: Vec<u32> = [&agents[..], &frameworks[..], &masters[..]].concat();
        let any = *chance.one_of(&all)?;
        let (agent, framework) = (*chance.one_of(&agents)?, *chance.one_of(&frameworks)?);
        let master = *chance.one_of(&masters)?;
        let hosts: Vec<Host> = self.clocks.keys().copied().collect();
        let (one, other) = (*chance.one_of(&hosts)?, *chance.one_of(&hosts)?);
        Some(match chance.below(39) {
            0..2 => Fault::Kill(master, false),
            2..4 => Fault::Kill(agent, chance.in_thousand(300)),
            4..6 => Fault::Kill(framework, chance.in_thousand(300)),
            6..8 => Fault::KillInStep(any, chance.index(4)),
            8..10 => Fault::KillAnExecutor(agent),
            10 => Fault::Freeze(any, chance.millis(100, 60_000)),
            11..13 => Fault::Break(master, chance.one_of(&all).copied()?),
            13..16 => Fault::Block(one, other, chance.millis(500, 150_000)),
            16 => Fault::Usurp,
            17 => Fault::SetClock(one),
            18 => Fault::TakeOver(framework),
            19 | 20 => Fault::Freeze(agent, chance.millis(2_000, 120_000)),
            22 => Fault::Usurp,
            21 => Fault::Freeze(framework, chance.millis(10_000, 130_000)),
            23 | 24 => Fault::CutOffAgents(chance.millis(5_000, 400_000)),
            27..29 => Fault::Reconfigure(agent),
            37..39 => Fault::Reboot(agent),
            34..37 => Fault::CutOffAgents(chance.millis(5_000, 80_000)),
            32..34 => Fault::Suspend(any, chance.millis(1_000, 90_000)),
            29..32 => Fault::Blackout(chance.millis(20_000, 300_000)),
            25 => Fault::Reigns(chance.between(2, 4), chance.millis(500, 30_000)),
            _ => Fault::Break(master, agent),
        })
    }

    pub(crate) fn go_wrong(&mut self, fault: Fault) {
        let now = self.queue.now();
        self.transcript.add(now, "fault", format_args!("{fault:?}"));
        match fault {
            Fault::Kill(number, quietly) => self.kill(number, quietly),
            Fault::KillInStep(number, after) => {
                let process = self.processes.get_mut(&number).expect("faults name processes");
                process.dies_after = Some(after);
            }
            Fault::KillAnExecutor(agent) => self.kill_an_executor(agent),
            Fault::Freeze(number, span) => self.freeze(number, span),
            Fault::Suspend(number, span) => self.suspend(number, span),
            Fault::Thaw(life) => {
                let process = &self.processes[&life.process];
                if process.life == life.life && process.frozen.is_none_or(|until| until <= now) {
                    self.network.thawed(life);
                }
            }
            Fault::Break(one, other) => {
                // Of several masters only who leads has connections.
                let is_master = matches!(self.processes[&one].seat, Seat::Master);
                let one = if is_master { self.leader } else { one };
                let (one, other) = (self.present_life(one), self.present_life(other));
                self.network.break_between(now, one, other);
            }
            Fault::Block(from, to, span) => {
                if from != to {
                    self.network.block(now, from, to);
                    if self.chance.in_thousand(700) {
                        self.network.block(now, to, from);
                        self.queue.after(span, Due::Fault(Fault::Unblock(to, from)));
                    }
                    self.queue.after(span, Due::Fault(Fault::Unblock(from, to)));
                }
            }
            Fault::Unblock(from, to) => self.network.unblock(now, from, to),
            Fault::Usurp => self.usurp(),
            Fault::Depose(life) => self.end(life, false),
            Fault::SetClock(host) => {
                let clock = self.clocks.get_mut(&host).expect("faults name machines");
                clock.set_wall(&mut self.chance);
            }
            Fault::Full(in_thousand) => self.network.fill(in_thousand),
            Fault::TakeOver(number) => self.take_over(number),
            Fault::CutOffAgents(span) => self.cut_off_agents(self.leader, span),
            Fault::Blackout(span) => self.black_out(span),
            Fault::Reconfigure(agent) => self.reconfigure(agent),
            Fault::Reboot(agent) => self.reboot(agent),
            Fault::Election(trouble) => self.election_goes_wrong(trouble),
            Fault::Office(setback) => self.office_goes_wrong(setback),
            Fault::Order(order) => self.order(order),
            Fault::Reigns(..) if self.is_healed => (),
            Fault::Reigns(left, apart) => {
                self.usurp();
                if left > 1 && self.elections.is_none() {
                    self.queue.after(apart, Due::Fault(Fault::Reigns(left - 1, apart)));
                }
            }
        }
    }

    fn kill_an_executor(&mut self, agent: u32) {
        let below: Vec<u32> = self
            .processes
            .iter()
            .filter(|(_, process)| process.is_up())
            .filter(|(_, process)| match &process.seat {
                Seat::Executor { parent, .. } => parent.process == agent,
                Seat::Master | Seat::Agent { .. } | Seat::Framework(_) => false,
            })
            .map(|(number, _)| *number)
            .collect();
        if let Some(executor) = self.chance.one_of(&below).copied() {
            self.kill(executor, false);
        }
    }

    /// The old master stands still, as it might on an overloaded machine, and does not know when it goes on that another
    /// has begun to reign. It finds out a little later.
    fn usurp(&mut self) {
        let old = self.leader;
        if !self.processes[&old].is_up() {
            return;
        }
        let span = self.chance.millis(1_000, 40_000);
        self.freeze(old, span);
        if self.elections.is_some() {
            return;
        }
        let finds_out = span + self.chance.millis(0, 6_000);
        self.queue.after(finds_out, Due::Fault(Fault::Depose(self.present_life(old))));
        let process = self.processes.get_mut(&old).expect("it leads");
        process.supervised = false;
        let host = self.add_host();
        let name = format!("master-{}", self.processes.len());
        let number = self.add_process(name, host, true, Seat::Master);
        self.start(number);
    }

    fn black_out(&mut self, span: Duration) {
        for master in self.numbers(|seat| matches!(seat, Seat::Master)) {
            self.cut_off_agents(master, span);
        }
        self.kill(self.leader, false);
    }

    /// It returns under its id, with other resources, and its tasks run on.
    fn reconfigure(&mut self, agent: u32) {
        // Perhaps less than it had, and than its tasks hold, which keep it; the largest task needs no more than two.
        let cpus = i64::try_from(self.chance.between(2, 5)).expect("at most five");
        let process = self.processes.get_mut(&agent).expect("faults name processes");
        if let Seat::Agent { config, .. } = &mut process.seat {
            let is_other = |resource: &Resource| {
                &*resource.name != "cpus" || resource.kind != Kind::Unreserved
            };
            let others = config.info.resources.filter(is_other);
            config.info.resources = others.with_scalar("cpus", Milli::whole(cpus));
            refurnish(&mut config.info, &mut self.chance);
            config.info.version.push('+');
        }
        self.kill(agent, false);
    }

    fn suspend(&mut self, number: u32, span: Duration) {
        let (now, host) = (self.queue.now(), self.processes[&number].host);
        let clock = self.clocks.get_mut(&host).expect("every process has a machine");
        if !clock.stop(now, now + span) {
            return;
        }
        let on_it = self.processes.iter().filter(|(_, process)| process.host == host);
        for number in on_it.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.freeze(number, span);
            if let Some(elections) = &mut self.elections {
                elections.forgets_time(number, span);
            }
            if let Some(office) = &mut self.office {
                office.elections.forgets_time(number, span);
            }
        }
    }

    fn cut_off_agents(&mut self, master: u32, span: Duration) {
        let (now, leader) = (self.queue.now(), self.processes[&master].host);
        for agent in self.numbers(|seat| matches!(seat, Seat::Agent { .. })) {
            let host = self.processes[&agent].host;
            for (from, to) in [(host, leader), (leader, host)] {
                self.network.block(now, from, to);
                self.queue.after(span, Due::Fault(Fault::Unblock(from, to)));
            }
        }
    }

    /// Somebody starts a scheduler a second time. The state directory is the same; the first life is told to end.
    fn take_over(&mut self, number: u32) {
        // Of several schedulers each has its own process already.
        let elected = self.stands_by(number);
        let Some(seat) = self.framework_seat(number).filter(|_| !elected) else {
            return;
        };
        if seat.remembered.is_none() || seat.outcome.is_some() {
            return;
        }
        let heir = seat.heir();
        let name = format!("{}-again-{}", self.name_of(number), self.processes.len());
        let host = self.add_host();
        let heir = self.add_process(name, host, true, Seat::Framework(Box::new(heir)));
        let family = self.truth.families.get(&number).copied().unwrap_or(number);
        self.truth.families.insert(number, family);
        self.truth.families.insert(heir, family);
        self.start(heir);
    }

    /// Everything that is wrong is put right, but for what stands still and comes back by itself: from here on the cluster
    /// has to come to agree.
    pub(crate) fn heal_all(&mut self) {
        let now = self.queue.now();
        self.transcript.add(now, "fault", "all is healed");
        self.network.heal(now);
        self.is_healed = true;
        self.network.fill(0);
        if let Some(elections) = &mut self.elections {
            elections.heal(now);
        }
        if let Some(office) = &mut self.office {
            office.elections.heal(now);
        }
        self.order(Order::NoQuota);
        let numbers: Vec<u32> = self.processes.keys().copied().collect();
        for number in numbers {
            let process = self.processes.get_mut(&number).expect("from the keys");
            process.dies_after = None;
        }
    }

    /// Whether a process is a scheduler that ended for good.
    pub(crate) fn is_over(&self, number: u32) -> bool {
        let process = &self.processes[&number];
        !process.is_up() && !process.supervised
    }

    /// The scheduler in a process, if it is one of this type and lives.
    pub(crate) fn scheduler_in<S: 'static>(&self, number: u32) -> Option<&S> {
        match &self.processes[&number].body {
            Some(Body::Framework(body)) => body.framework.scheduler().downcast_ref(),
            Some(Body::Master(_) | Body::Executor(_) | Body::Custom(_) | Body::Agent(_)) | None => {
                None
            }
        }
    }

    /// The agent in a process, if it is one and lives.
    pub(crate) fn agent_in(&self, number: u32) -> Option<&agent::logic::Agent> {
        match &self.processes[&number].body {
            Some(Body::Agent(body)) => Some(&body.agent),
            Some(Body::Master(_) | Body::Executor(_) | Body::Custom(_) | Body::Framework(_))
            | None => None,
        }
    }
}
