//! What an allocator has to show whoever watches it. Gathered when somebody asks; a run does nothing for it.

use std::collections::BTreeMap;

use protocol::ids::{FrameworkId, Role};
use protocol::resources::Milli;

use super::Allocator;
use super::amounts::Amounts;

/// How it is with an allocator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// How many runs there were.
    pub runs: u64,
    /// Of each scalar that an agent has or somebody holds: how much there is on active agents, and how much of it is proposed,
    /// offered or in use.
    pub scalars: Vec<(String, Milli, Milli)>,
    /// How many refusals count, by role.
    pub filters: BTreeMap<Role, usize>,
    /// For each role of each framework whose scheduler is there: whether it has asked for no offers.
    pub suppressed: BTreeMap<(FrameworkId, Role), bool>,
    /// What part of the cluster each role holds, with those below it: the largest of any scalar. Weights are not in it.
    pub role_shares: BTreeMap<Role, f64>,
    /// What part of the cluster each framework holds under each of its roles.
    pub shares: BTreeMap<(FrameworkId, Role), f64>,
}

impl Allocator {
    /// How it is now.
    pub fn figures(&self) -> Figures {
        let acting = self.clients.iter().flatten().filter(|client| client.acts);
        let suppressed = acting
            .map(|client| ((client.framework.clone(), client.role.clone()), client.suppressed));
        Figures {
            runs: self.runs,
            scalars: self.scalars(),
            filters: self.filters_by_role(),
            suppressed: suppressed.collect(),
            role_shares: self.tree.role_shares().collect(),
            shares: self.shares(),
        }
    }

    fn scalars(&self) -> Vec<(String, Milli, Milli)> {
        let totals = &self.tree.totals;
        let mut held = Amounts::default();
        self.tree.held_by_roles().for_each(|amounts| held.add(amounts));
        let places = 0..totals.len().max(held.len());
        let there = places.filter(|place| totals.at(*place) > 0 || held.at(*place) > 0);
        there
            .map(|at| (self.names.name(at).to_owned(), Milli(totals.at(at)), Milli(held.at(at))))
            .collect()
    }
}
