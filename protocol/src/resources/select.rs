//! What is chosen from resources: by a role, by a need, by an amount; and the same resources on other terms.

use std::cmp::Reverse;
use std::sync::Arc;

use super::algebra::with_value;
use super::list::{self, List};
use super::{Disk, Kind, Milli, Reservation, Resource, Resources, Value};
use crate::ids::Role;
use crate::quantities::{Limits, Quantities};

impl Resources {
    /// Those for which it holds.
    #[must_use]
    pub fn filter(&self, holds: impl Fn(&Resource) -> bool) -> Self {
        if self.0.iter().all(&holds) {
            return self.clone();
        }
        let some = self.0.iter().filter(|entry| holds(entry));
        Self(List::of(some.cloned().collect()))
    }

    /// What is reserved for nobody.
    #[must_use]
    pub fn unreserved(&self) -> Self {
        self.filter(|entry| entry.kind.reserved_for().is_none())
    }

    /// What is reserved for this very role.
    #[must_use]
    pub fn reserved_to(&self, role: &Role) -> Self {
        self.filter(|entry| entry.kind.reserved_for() == Some(role))
    }

    /// What may be offered to a role: what is reserved for nobody, for it, or for a role above it.
    #[must_use]
    pub fn offerable_to(&self, role: &Role) -> Self {
        self.filter(|entry| entry.kind.is_offerable_to(role))
    }

    /// What may be taken back at any time.
    #[must_use]
    pub fn revocable(&self) -> Self {
        self.filter(|entry| entry.kind.is_revocable())
    }

    /// What its user keeps.
    #[must_use]
    pub fn non_revocable(&self) -> Self {
        self.filter(|entry| !entry.kind.is_revocable())
    }

    /// What several may use at once.
    #[must_use]
    pub fn shared(&self) -> Self {
        self.filter(|entry| entry.kind.is_shared())
    }

    /// The amounts by name.
    pub fn quantities(&self) -> Quantities {
        Quantities::of(self)
    }

    /// The same on other terms.
    fn with_kinds(&self, change: impl Fn(&Kind) -> Kind) -> Self {
        let changed = |Resource { name, kind, value }: &Resource| Resource {
            name: name.clone(),
            kind: change(kind),
            value: value.clone(),
        };
        self.0.iter().map(changed).collect()
    }

    /// The same without reservations.
    #[must_use]
    pub fn flattened(&self) -> Self {
        if self.0.iter().all(|entry| entry.kind.reserved_for().is_none()) {
            return self.clone();
        }
        self.with_kinds(|kind| kind.with(|terms| terms.reservations.clear()))
    }

    /// The same, reserved once more, within the reservations that are there.
    #[must_use]
    pub fn push_reservation(&self, reservation: &Reservation) -> Self {
        self.with_kinds(|kind| kind.with(|terms| terms.reservations.push(reservation.clone())))
    }

    /// The same without the innermost reservation of each.
    #[must_use]
    pub fn pop_reservation(&self) -> Self {
        self.with_kinds(|kind| kind.with(|terms| drop(terms.reservations.pop())))
    }

    /// The same, in use or offered under a role.
    #[must_use]
    pub fn allocated_to(&self, role: &Role) -> Self {
        self.with_kinds(|kind| kind.with(|terms| terms.allocated_to = Some(role.clone())))
    }

    /// The same, in use by nobody.
    #[must_use]
    pub fn unallocated(&self) -> Self {
        if self.0.iter().all(|entry| entry.kind.allocated_to().is_none()) {
            return self.clone();
        }
        self.with_kinds(|kind| kind.with(|terms| terms.allocated_to = None))
    }

    /// Which of these to use for a need; `None` if there is not enough. A need that names a reservation is for what is reserved
    /// just so. Any other takes what is reserved first, the farther down the role the sooner, and then what is not; of what
    /// may be taken back, of disks and of volumes only what it names.
    pub fn find(&self, need: &Self) -> Option<Self> {
        let exact = |entry: &Resource| entry.kind.reserved_for().is_some();
        let mut left = self.checked_sub(&need.filter(exact))?;
        let mut found = need.filter(exact);
        for wanted in need.iter().filter(|entry| !exact(entry)) {
            let taken: Self = left.found_for(wanted)?.into_iter().collect();
            left = left.checked_sub(&taken).expect("it was chosen from there");
            found.add(&taken);
        }
        Some(found)
    }

    fn found_for(&self, need: &Resource) -> Option<Vec<Resource>> {
        let from = self.0.partition_point(|entry| entry.name < need.name);
        let named = self.0[from..].iter().take_while(|entry| entry.name == need.name);
        let mut fit: Vec<&Resource> = named.filter(|entry| fits(entry, need)).collect();
        fit.sort_by_cached_key(|entry| Reverse(depth(&entry.kind)));
        let (mut wanted, mut taken) = (need.value.clone(), Vec::new());
        for entry in fit {
            if need.is_counted() {
                if entry.value == wanted {
                    return Some(vec![entry.clone()]);
                }
                continue;
            }
            let here = match (&entry.value, &wanted) {
                (Value::Scalar(has), Value::Scalar(wanted)) => Value::Scalar(*has.min(wanted)),
                (has, wanted) => wanted.common(has),
            };
            wanted = wanted.minus(&here);
            taken.extend(with_value(entry, here));
            if wanted.is_empty() {
                return Some(taken);
            }
        }
        None
    }

    /// So much of these that of no name there is more than its quantity; of a name without one, all. What is used as a whole is
    /// left out where it does not fit; ranges and sets stay.
    #[must_use]
    pub fn shrunk_to(&self, quantities: &Quantities) -> Self {
        self.shrunk(|name| Some(quantities.amount(name)).filter(|amount| *amount > Milli(0)))
    }

    /// As [`shrunk_to`](Self::shrunk_to), where a limit of zero leaves none.
    #[must_use]
    pub fn shrunk_to_limits(&self, limits: &Limits) -> Self {
        self.shrunk(|name| limits.limit(name))
    }

    fn shrunk(&self, most: impl Fn(&str) -> Option<Milli>) -> Self {
        let mut left: Option<(Arc<str>, Option<Milli>)> = None;
        let mut kept: Vec<Resource> = Vec::with_capacity(self.len());
        for entry in self.iter() {
            let Some(amount) = entry.amount() else {
                kept.push(entry.clone());
                continue;
            };
            // Entries of one name stand together.
            if left.as_ref().is_none_or(|(name, _)| *name != entry.name) {
                left = Some((entry.name.clone(), most(&entry.name)));
            }
            let Some((_, Some(room))) = &mut left else {
                kept.push(entry.clone());
                continue;
            };
            // Further copies of what several use take no more.
            if entry.kind.is_shared() && kept.last() == Some(entry) {
                kept.push(entry.clone());
                continue;
            }
            let part = amount.min(*room);
            if part == amount || !entry.is_counted() {
                *room = Milli(room.0.saturating_sub(part.0));
                kept.extend(with_value(entry, Value::Scalar(part)));
            }
        }
        Self(list::collected(kept))
    }
}

/// What a resource is, whoever's it is.
fn thing(kind: &Kind) -> (Option<&Disk>, bool, bool) {
    kind.terms()
        .map_or((None, false, false), |terms| (terms.disk.as_ref(), terms.revocable, terms.shared))
}

/// Whether it is the thing that is needed.
fn fits(entry: &Resource, need: &Resource) -> bool {
    let allocated = need.kind.allocated_to();
    entry.value.place() == need.value.place()
        && thing(&entry.kind) == thing(&need.kind)
        && (allocated.is_none() || entry.kind.allocated_to() == allocated)
}

/// Of the innermost reservation.
fn depth(kind: &Kind) -> usize {
    kind.reserved_for().map_or(0, Role::depth)
}
