//! Scalars as numbers in a row, so that shares, guarantees and headroom are sums of integers and not of names.

use std::sync::Arc;

use protocol::quantities::{Limits, Quantities};
use protocol::resources::{Milli, Resource, Resources};
use serde::{Deserialize, Serialize};

/// Those that nearly every agent has, in their places.
const FIRST: [&str; 4] = ["cpus", "mem", "disk", "gpus"];
/// The place of `gpus` among them.
pub(super) const GPUS: usize = 3;
/// Kinds of scalars that are counted at all; further ones are offered but are in no share and under no quota.
const NAMES_MAX: usize = 256;

/// The place of each name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Names {
    more: Vec<Arc<str>>,
}

impl Names {
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        let first = FIRST.iter().position(|first| *first == name);
        first.or_else(|| Some(FIRST.len() + self.more.iter().position(|more| **more == *name)?))
    }

    pub(super) fn name(&self, place: usize) -> &str {
        match FIRST.get(place) {
            Some(name) => name,
            None => self.more.get(place - FIRST.len()).map_or("", |name| name),
        }
    }

    /// Where it is from now on; `None` when there are too many.
    pub(super) fn place_or_add(&mut self, name: &str) -> Option<usize> {
        if let Some(place) = self.place(name) {
            return Some(place);
        }
        if self.more.len() >= NAMES_MAX {
            return None;
        }
        self.more.push(Arc::from(name));
        Some(FIRST.len() + self.more.len() - 1)
    }

    /// The scalars among these for which `counts` holds.
    pub(super) fn amounts(
        &mut self,
        resources: &Resources,
        counts: impl Fn(&Resource) -> bool,
    ) -> Amounts {
        let mut all = Amounts::default();
        for resource in resources.iter().filter(|resource| counts(resource)) {
            let Some(Milli(amount)) = resource.amount() else { continue };
            if let Some(place) = self.place_or_add(&resource.name) {
                all.add_at(place, amount);
            }
        }
        all
    }

    pub(super) fn of_quantities(&mut self, quantities: &Quantities) -> Amounts {
        let mut all = Amounts::default();
        for (name, Milli(amount)) in quantities.iter() {
            if let Some(place) = self.place_or_add(name) {
                all.add_at(place, amount);
            }
        }
        all
    }

    /// The limit of each that has one, by its place.
    pub(super) fn of_limits(&mut self, limits: &Limits) -> Vec<(usize, i64)> {
        let mut all = Vec::new();
        for (name, Milli(limit)) in limits.iter() {
            all.extend(self.place_or_add(name).map(|place| (place, limit)));
        }
        all
    }
}

/// So much of each name, in thousandths; what lies behind the end is zero.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Amounts {
    first: [i64; FIRST.len()],
    /// Few have any: a pointer is enough for these.
    more: Option<Box<More>>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct More(Vec<i64>);

impl PartialEq for Amounts {
    fn eq(&self, other: &Self) -> bool {
        let most = self.len().max(other.len());
        (0..most).all(|place| self.at(place) == other.at(place))
    }
}

impl Amounts {
    pub(super) fn at(&self, place: usize) -> i64 {
        match self.first.get(place) {
            Some(amount) => *amount,
            None => self.more().get(place - FIRST.len()).copied().unwrap_or(0),
        }
    }

    /// How many places may be other than zero.
    pub(super) fn len(&self) -> usize {
        FIRST.len() + self.more().len()
    }

    fn more(&self) -> &[i64] {
        self.more.as_ref().map_or(&[], |more| &more.0)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.first.iter().chain(self.more()).all(|amount| *amount == 0)
    }

    pub(super) fn add_at(&mut self, place: usize, amount: i64) {
        let slot = self.slot(place);
        *slot = slot.saturating_add(amount);
    }

    fn slot(&mut self, place: usize) -> &mut i64 {
        if place < FIRST.len() {
            return &mut self.first[place];
        }
        let place = place - FIRST.len();
        let More(more) = &mut **self.more.get_or_insert_default();
        if more.len() <= place {
            more.resize(place + 1, 0);
        }
        &mut more[place]
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (mine, more) in self.first.iter_mut().zip(other.first) {
            *mine = mine.saturating_add(more);
        }
        for (place, more) in other.more().iter().enumerate() {
            self.add_at(FIRST.len() + place, *more);
        }
    }

    pub(super) fn sub(&mut self, other: &Self) {
        for (mine, less) in self.first.iter_mut().zip(other.first) {
            *mine = mine.saturating_sub(less);
        }
        for (place, less) in other.more().iter().enumerate() {
            self.add_at(FIRST.len() + place, less.saturating_neg());
        }
    }

    /// The largest part of any total. Of what nobody has, any amount is all.
    pub(super) fn share_of(&self, totals: &Self, excluded: &[usize]) -> f64 {
        let mut most = 0.0_f64;
        let mut count = |place: usize, held: i64| {
            if held > 0 && !excluded.contains(&place) {
                let total = totals.at(place);
                let part = if total > 0 { held as f64 / total as f64 } else { 1.0 };
                most = most.max(part);
            }
        };
        for (place, held) in self.first.iter().enumerate() {
            count(place, *held);
        }
        for (place, held) in self.more().iter().enumerate() {
            count(FIRST.len() + place, *held);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_names_that_few_have_are_counted_as_well() {
        let mut names = Names::default();
        let all: Resources = "cpus:1;tapes:3;ports:[1-2];lanes:2".parse().expect("resources");
        let amounts = names.amounts(&all, |_| true);
        let (tapes, lanes) = (names.place("tapes").unwrap(), names.place("lanes").unwrap());
        assert_eq!((amounts.at(0), amounts.at(tapes), amounts.at(lanes)), (1000, 3000, 2000));
        assert_eq!((names.place("ports"), names.name(tapes)), (None, "tapes"));
        let mut sum = Amounts::default();
        sum.add(&amounts);
        sum.add(&amounts);
        assert_eq!((sum.at(0), sum.at(lanes)), (2000, 4000));
        sum.sub(&amounts);
        assert_eq!(sum, amounts);
    }
}
