//! Frameworks, each under each of its roles: a client is what wants resources, refuses them and holds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::framework::Capability;
use protocol::ids::{FrameworkId, Role};
use protocol::offer::Demand;
use protocol::quantities::Quantities;
use protocol::wishes::RoleWishes;
use serde::{Deserialize, Serialize};

use super::demand::Needs;
use super::quota::Bound;
use crate::logic::constraints::Constraints;

/// A framework.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Framework {
    pub(super) active: bool,
    pub(super) clients: BTreeMap<Role, u32>,
}

/// One role of a framework.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Client {
    pub(super) framework: FrameworkId,
    pub(super) role: Role,
    /// The node of the role directly below the root that its role is, or is below.
    pub(super) top: u32,
    /// The framework acts for the role, and is there. Otherwise it only holds something.
    pub(super) acts: bool,
    pub(super) suppressed: bool,
    pub(super) capabilities: Vec<Capability>,
    pub(super) needs: Needs,
    pub(super) constraints: Constraints,
    pub(super) allocatable: Option<Arc<[Quantities]>>,
    /// Nothing is left for it anywhere, whatever is free: why, and of which scalar.
    pub(super) held_back: Option<(Bound, usize)>,
    /// On how many agents it holds something, proposals included.
    pub(super) holds: usize,
    /// How many proposals are open.
    pub(super) open: usize,
    /// Of those of them that are for stated demand: which, and for how many of it.
    pub(super) promising: BTreeMap<u64, Vec<Demand>>,
    /// Refusals that count.
    pub(super) filters: usize,
    /// The newest run in which something was proposed to it, and where in that run's list.
    pub(super) proposed: (u64, usize),
}

impl Client {
    pub(super) fn of(framework: FrameworkId, role: Role, top: u32) -> Self {
        Self {
            framework,
            role,
            top,
            acts: false,
            suppressed: false,
            capabilities: Vec::new(),
            needs: Needs::Everything,
            constraints: Constraints::none(),
            allocatable: None,
            held_back: None,
            holds: 0,
            open: 0,
            promising: BTreeMap::new(),
            filters: 0,
            proposed: (0, 0),
        }
    }

    pub(super) fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    pub(super) fn is_hungry(&self) -> bool {
        self.acts && !self.suppressed && self.held_back.is_none() && self.needs.wants_offers()
    }

    /// Whether anything but its demand is another than before, so that whatever ruled it out may not hold any more.
    pub(super) fn wish(&mut self, wishes: &RoleWishes) -> bool {
        self.suppressed = wishes.suppressed;
        // The master has found them good.
        let constraints = Constraints::compile(&wishes.constraints);
        let constraints = constraints.unwrap_or_else(|_| Constraints::nowhere());
        let same = self.constraints == constraints
            && self.allocatable.as_deref() == wishes.allocatable.as_deref();
        self.constraints = constraints;
        if !same {
            self.allocatable = wishes.allocatable.as_deref().map(Into::into);
        }
        !same
    }

    /// Whether it holds nothing, so that it is somebody only as long as its framework acts.
    pub(super) fn is_idle(&self) -> bool {
        self.holds == 0 && self.open == 0
    }
}
