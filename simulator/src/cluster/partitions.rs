//! Clusters of several masters whose machines lose sight of one another, at random, for a while.

use std::time::Duration;

use super::{Cluster, View};
use crate::chance::Chance;
use crate::elections::Elections;
use crate::faults::{Fault, Trouble};
use crate::network::Host;
use crate::process::Seat;
use crate::world::{Due, World};

/// After so long without a word, the ensemble takes a master for dead.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

impl Cluster {
    /// So many masters, of which one is elected in an ensemble of ZooKeeper; without this there is one, which always leads.
    #[must_use]
    pub fn masters(mut self, count: u32) -> Self {
        let world = &mut self.world;
        if world.elections.is_none() {
            let chance = world.chance.split();
            world.elections = Some(Elections::new(chance, SESSION_TIMEOUT));
        }
        for n in 2..=count {
            let host = world.add_host();
            let master = world.add_process(format!("master-{n}"), host, true, Seat::Master);
            world.queue.after(Duration::ZERO, Due::Start(master));
        }
        self
    }

    /// From now on the drivers of all schedulers make this mistake: for tests of tests.
    #[must_use]
    pub fn with_mistake(mut self, mistake: sdk::logic::Bug) -> Self {
        for number in &self.schedulers {
            let process = self.world.processes.get_mut(number).expect("it was added");
            if let Seat::Framework(seat) = &mut process.seat {
                seat.bug = Some(mistake);
            }
        }
        self
    }

    /// For so long, machines and the ensemble lose sight of one another, both ways or one way only, many times and several at
    /// once; after that they see each other again. No process dies of it. A cluster that does not find one leader in time
    /// then fails the test.
    #[track_caller]
    pub fn partitions_for(&mut self, span: Duration) -> &mut Self {
        let mut chance = self.world.chance.split();
        let mut at = Duration::ZERO;
        while at < span {
            if let Some(fault) = choose_partition(&self.world, &mut chance) {
                self.world.queue.after(at, Due::Fault(fault));
            }
            at += chance.millis(1_000, 20_000);
        }
        self.advance(span);
        self.world.heal_all();
        if !self.world.come_to_lead() {
            self.fail("healed");
        }
        self
    }
}

fn choose_partition(world: &World, chance: &mut Chance) -> Option<Fault> {
    let hosts: Vec<Host> = world.clocks.keys().copied().collect();
    let (one, other) = (*chance.one_of(&hosts)?, *chance.one_of(&hosts)?);
    let all: Vec<u32> = world.processes.keys().copied().collect();
    let process = *chance.one_of(&all)?;
    let span = chance.millis(500, 60_000);
    Some(match chance.below(12) {
        0..5 => Fault::Block(one, other, span),
        5 => Fault::CutOffAgents(span),
        6 => Fault::Election(Trouble::CutLeaderFromAll(span)),
        7 => Fault::Election(Trouble::Cut { master: None, mute: true, deaf: true, span }),
        8 => Fault::Election(Trouble::Cut { master: None, mute: true, deaf: false, span }),
        9 => Fault::Election(Trouble::Cut { master: None, mute: false, deaf: true, span }),
        10 => Fault::Election(Trouble::CutFinder(process, span)),
        _ => Fault::Break(a_master(world, chance)?, process),
    })
}

fn a_master(world: &World, chance: &mut Chance) -> Option<u32> {
    let masters = world.processes.iter().filter(|(_, p)| matches!(p.seat, Seat::Master));
    let masters: Vec<u32> = masters.map(|(number, _)| *number).collect();
    chance.one_of(&masters).copied()
}

impl View<'_> {
    /// When each process of each task was started, of tasks that ended long ago as well.
    pub fn starts(&self) -> impl Iterator<Item = (&str, &[Duration])> {
        self.world.truth.starts.iter().map(|((_, task), starts)| (task.as_str(), &starts[..]))
    }
}
