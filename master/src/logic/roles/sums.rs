//! What roles hold: for each role all that it and the roles below it have. The master decides by it and the view shows it.

use std::collections::BTreeMap;

use protocol::ids::Role;
use protocol::quantities::Quantities;
use protocol::resources::{Resource, Resources};

/// By role. Amounts are entered under the role that has them; [`Sums::with_those_below`] adds them to the roles above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(BTreeMap<Role, Held>);

/// What one role has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// In use by tasks and executors.
    pub allocated: Quantities,
    /// In offers.
    pub offered: Quantities,
    /// Reserved for it, wherever it is.
    pub reserved: Quantities,
    /// Of `allocated`, what does not count as such: it is counted as reserved, or may be taken back.
    allocated_apart: Quantities,
    /// Of `offered` likewise.
    offered_apart: Quantities,
}

impl Held {
    /// What counts against a quota: what is in use and what is reserved, neither twice.
    pub fn consumed(&self) -> Quantities {
        let mut all = self.allocated.clone();
        all.sub(&self.allocated_apart);
        all.add(&self.reserved);
        all
    }

    /// And what may soon be.
    pub fn consumed_or_offered(&self) -> Quantities {
        let mut all = self.offered.clone();
        all.sub(&self.offered_apart);
        all.add(&self.consumed());
        all
    }

    /// Whatever is in its hands now.
    pub fn offered_or_allocated(&self) -> Quantities {
        let mut all = self.allocated.clone();
        all.add(&self.offered);
        all
    }

    fn add(&mut self, below: &Self) {
        self.allocated.add(&below.allocated);
        self.offered.add(&below.offered);
        self.reserved.add(&below.reserved);
        self.allocated_apart.add(&below.allocated_apart);
        self.offered_apart.add(&below.offered_apart);
    }
}

impl Sums {
    /// What a task or executor holds under a role.
    pub fn allocate(&mut self, role: &Role, resources: &Resources) {
        for (resource, amount) in scalars(resources) {
            self.of(role).allocated.add_one(&resource.name, amount);
            if let Some(apart) = apart(role, resource) {
                self.of(apart).allocated_apart.add_one(&resource.name, amount);
            }
        }
    }

    /// What an offer holds under a role.
    pub fn offer(&mut self, role: &Role, resources: &Resources) {
        for (resource, amount) in scalars(resources) {
            self.of(role).offered.add_one(&resource.name, amount);
            if let Some(apart) = apart(role, resource) {
                self.of(apart).offered_apart.add_one(&resource.name, amount);
            }
        }
    }

    /// What of all that an agent has is reserved.
    pub fn reserve(&mut self, total: &Resources) {
        for (resource, amount) in scalars(total).filter(|(one, _)| !one.kind.is_revocable()) {
            if let Some(role) = resource.kind.reserved_for() {
                self.of(role).reserved.add_one(&resource.name, amount);
            }
        }
    }

    /// A role of which something is known, though it holds nothing.
    pub fn know(&mut self, role: &Role) {
        self.of(role);
    }

    /// Each role with all that those below it have; roles above others are there, too.
    #[must_use]
    pub fn with_those_below(self) -> Self {
        let mut all = self.clone();
        for (role, held) in &self.0 {
            for above in role.ancestors() {
                all.of(&above).add(held);
            }
        }
        all
    }

    /// What one role has.
    pub fn get(&self, role: &Role) -> Option<&Held> {
        self.0.get(role)
    }

    /// By role.
    pub fn all(&self) -> &BTreeMap<Role, Held> {
        &self.0
    }

    fn of(&mut self, role: &Role) -> &mut Held {
        if !self.0.contains_key(role) {
            self.0.insert(role.clone(), Held::default());
        }
        self.0.get_mut(role).expect("it is there by now")
    }
}

/// Under which role it is to be left out, since it counts otherwise: what is reserved counts for the role that it is reserved
/// for, which may be above the one that has it.
fn apart<'a>(role: &'a Role, resource: &'a Resource) -> Option<&'a Role> {
    match resource.kind.is_revocable() {
        true => Some(role),
        false => resource.kind.reserved_for(),
    }
}

fn scalars(resources: &Resources) -> impl Iterator<Item = (&Resource, protocol::resources::Milli)> {
    resources.iter().filter_map(|resource| Some((resource, resource.amount()?)))
}

/// The scalars that cannot be taken back.
pub(super) fn lasting(resources: &Resources) -> Quantities {
    let lasting = scalars(resources).filter(|(one, _)| !one.kind.is_revocable());
    lasting.fold(Quantities::none(), |all, (one, amount)| all.with(&one.name, amount))
}

/// The scalars that any role might get, and for as long as it likes.
pub(super) fn for_anybody(resources: &Resources) -> Quantities {
    let theirs = scalars(resources)
        .filter(|(one, _)| !one.kind.is_revocable() && one.kind.reserved_for().is_none());
    theirs.fold(Quantities::none(), |all, (one, amount)| all.with(&one.name, amount))
}
