//! The least that dominant-resource fairness over two levels can be: a heap of roles, a heap of frameworks in each, numbers in
//! place of resources, nobody who refuses, no names. What a real allocator's cycle is measured beside.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// cpus, mem, disk.
const KINDS: usize = 3;

#[derive(Clone)]
pub(crate) struct Minimal {
    agents: Vec<[f64; KINDS]>,
    totals: [f64; KINDS],
    roles: Vec<[f64; KINDS]>,
    frameworks: Vec<[f64; KINDS]>,
    per_role: usize,
}

/// An offer as text and named numbers.
#[allow(dead_code)] // it is made, and that is what is measured
pub(crate) struct MinimalOffer {
    ids: [String; 3],
    resources: Vec<(String, f64)>,
}

/// Shares are ordered as the bits of numbers that are not below zero.
type Heap = BinaryHeap<Reverse<(u64, usize)>>;

impl Minimal {
    pub(crate) fn new(agents: usize, roles: usize, frameworks: usize) -> Self {
        let one = [24.0, 4096.0, 4096.0];
        Self {
            agents: vec![one; agents],
            totals: one.map(|amount| amount * agents as f64),
            roles: vec![[0.0; KINDS]; roles],
            frameworks: vec![[0.0; KINDS]; frameworks],
            per_role: frameworks / roles,
        }
    }

    fn share(&self, held: &[f64; KINDS]) -> u64 {
        let parts = held.iter().zip(&self.totals).map(|(held, total)| held / total);
        parts.fold(0.0, f64::max).to_bits()
    }

    /// One cycle: who gets which agent.
    pub(crate) fn cycle(&mut self) -> Vec<(usize, usize)> {
        let mut roles: Heap = (0..self.roles.len()).map(|role| Reverse((0, role))).collect();
        let of = |role: usize| role * self.per_role..(role + 1) * self.per_role;
        let mut frameworks: Vec<Heap> = (0..self.roles.len())
            .map(|role| of(role).map(|framework| Reverse((0, framework))).collect())
            .collect();
        let mut taken = Vec::new();
        for agent in 0..self.agents.len() {
            let Some(Reverse((_, role))) = roles.pop() else { break };
            let Some(Reverse((_, framework))) = frameworks[role].pop() else { break };
            let free = std::mem::take(&mut self.agents[agent]);
            for (kind, amount) in free.into_iter().enumerate() {
                self.roles[role][kind] += amount;
                self.frameworks[framework][kind] += amount;
            }
            frameworks[role].push(Reverse((self.share(&self.frameworks[framework]), framework)));
            roles.push(Reverse((self.share(&self.roles[role]), role)));
            taken.push((agent, framework));
        }
        taken
    }

    /// The same, and an offer made of each.
    pub(crate) fn cycle_with_offers(&mut self) -> Vec<MinimalOffer> {
        let names = ["cpus", "mem", "disk", "ports"];
        let taken = self.cycle();
        let offer = |(agent, framework): (usize, usize)| MinimalOffer {
            ids: [
                format!("20261101-000000-m-O{agent}"),
                format!("20261101-000000-c-S{agent}"),
                format!("20261101-000000-c-{framework:04}"),
            ],
            resources: names.iter().map(|name| ((*name).to_owned(), 1.0)).collect(),
        };
        taken.into_iter().map(offer).collect()
    }
}

/// The least of some rounds of two things, in turn, each on what was made for it.
pub(crate) fn least_of_both<A, B>(
    rounds: usize,
    mut ours: impl FnMut() -> (A, Duration),
    mut floor: impl FnMut() -> (B, Duration),
) -> (Duration, Duration) {
    let mut least = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        least.0 = least.0.min(ours().1);
        least.1 = least.1.min(floor().1);
    }
    least
}

/// What comes of it, and how long it took; what it leaves behind is dropped outside.
pub(crate) fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let made = act();
    (made, started.elapsed())
}
