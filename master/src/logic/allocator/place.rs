//! Agents as the allocator has them: what is free, who holds what, and who has been ruled out there.

use std::collections::VecDeque;

use protocol::ids::AgentId;
use protocol::resources::{Attribute, Resource, Resources};
use protocol::time::Instant;
use protocol::wishes::FaultDomain;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::amounts::{Amounts, GPUS, Names};
use super::bits::Bits;
use crate::logic::constraints::Whereabouts;

/// An active agent: what a run touches of it, close together. A run over all agents goes from one to the next in memory, and most
/// of its time would be spent waiting for the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) agent: AgentId,
    pub(super) slot: u32,
    pub(super) generation: u64,
    pub(super) free: Resources,
    /// All scalars that are free.
    pub(super) free_all: Amounts,
    /// By client.
    pub(super) held: Held,
    /// Numbers of proposals.
    pub(super) open: SmallVec<[u64; 2]>,
    /// Clients that can have nothing of what is free here, whatever of `judged` it is.
    ruled_out: Bits,
    judged: Resources,
    /// Up to where it has taken note of who is [`Stale`].
    noted: u64,
    /// Not everything here is unreserved and anybody's.
    pub(super) particular: bool,
    /// It has GPUs, used or not.
    pub(super) has_gpus: bool,
    /// What is free is enough for an offer, by what the master is set to.
    pub(super) is_enough: bool,
    /// A run looks at it.
    pub(super) changed: bool,
    pub(super) rest: Box<Rest>,
}

/// What most runs need not know of an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Rest {
    pub(super) hostname: String,
    pub(super) attributes: Vec<Attribute>,
    pub(super) domain: Option<FaultDomain>,
    pub(super) total: Resources,
    pub(super) totals: Amounts,
    /// Of an agent with something particular: scalars that are free, that nobody has a claim to and that are not to be taken back.
    free_plain: Amounts,
    pub(super) filters: Vec<Filter>,
    /// When the first of them runs out.
    pub(super) first_end: Option<Instant>,
    overcommitted: bool,
}

/// What each client holds of an agent. One holds something of most agents; so many need no memory elsewhere.
pub(super) type Held = SmallVec<[(u32, Resources); 1]>;

/// An agent that is not active, and what is held of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Away {
    /// As if it were empty: what it would have to give.
    pub(super) place: Place,
    pub(super) held: Held,
    /// It cannot be reached: nothing of it counts.
    pub(super) is_lost: bool,
}

impl Away {
    pub(super) fn of(mut place: Place) -> Self {
        let held = std::mem::take(&mut place.held);
        place.rest.first_end = None;
        place.rest.overcommitted = false;
        place.free = place.rest.total.clone();
        place.free_all = place.rest.totals.clone();
        place.open.clear();
        place.ruled_out.clear();
        place.changed = false;
        Self { place, held, is_lost: false }
    }
}

/// Whether a client held all of it; it holds it no more then.
pub(super) fn gives_up(held: &mut Held, client: u32, resources: &Resources) -> bool {
    let Some(at) = held.iter().position(|(holder, _)| *holder == client) else {
        return false;
    };
    match held[at].1.checked_sub(resources) {
        None => return false,
        Some(left) if left.is_empty() => drop(held.swap_remove(at)),
        Some(left) => held[at].1 = left,
    }
    true
}

/// What a client refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Filter {
    pub(super) client: u32,
    /// How often the client had been revived; it is void when that is more by now.
    pub(super) revived: u32,
    pub(super) until: Instant,
    pub(super) what: Resources,
}

/// Whether anybody may be given it, and for good: what headroom is made of.
pub(super) fn is_plain(resource: &Resource) -> bool {
    resource.kind.reserved_for().is_none() && !resource.kind.is_revocable()
}

/// Clients that are looked at on all agents as if they had never been ruled out there, in the order in which they became so.
/// An agent takes note of them when it is looked at; one that was not for long forgets all that it noted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Stale {
    /// How many came before the first of these.
    before: u64,
    clients: VecDeque<u32>,
}

/// So many are remembered.
const STALE_MAX: usize = 4096;

impl Stale {
    pub(super) fn add(&mut self, client: u32) {
        if self.clients.len() >= STALE_MAX {
            self.clients.pop_front();
            self.before += 1;
        }
        self.clients.push_back(client);
    }

    fn end(&self) -> u64 {
        self.before + self.clients.len() as u64
    }

    /// `None` if some have been forgotten.
    fn since(&self, noted: u64) -> Option<impl Iterator<Item = u32>> {
        let skipped = usize::try_from(noted.checked_sub(self.before)?).ok()?;
        Some(self.clients.range(skipped..).copied())
    }
}

impl Place {
    /// Nothing is free yet.
    pub(super) fn new(
        agent: AgentId,
        (slot, generation): (u32, u64),
        total: Resources,
        names: &mut Names,
    ) -> Self {
        let particular = total.iter().any(|resource| resource.kind.terms().is_some());
        let totals = names.amounts(&total, |_| true);
        let has_gpus = totals.at(GPUS) > 0;
        let rest = Rest {
            hostname: String::new(),
            attributes: Vec::new(),
            domain: None,
            total,
            totals,
            free_plain: Amounts::default(),
            filters: Vec::new(),
            first_end: None,
            overcommitted: false,
        };
        Self {
            agent,
            slot,
            generation,
            free: Resources::none(),
            free_all: Amounts::default(),
            held: SmallVec::new(),
            open: SmallVec::new(),
            ruled_out: Bits::default(),
            judged: Resources::none(),
            noted: 0,
            particular,
            has_gpus,
            is_enough: false,
            changed: false,
            rest: Box::new(rest),
        }
    }

    /// What nobody holds, counted anew. More may be held of something than there is: an agent may come back with less than its
    /// tasks have.
    pub(super) fn count_free(&mut self) -> Resources {
        let mut all = Resources::none();
        self.held.iter().for_each(|(_, held)| all.add(held));
        self.rest.overcommitted = !self.rest.total.contains(&all);
        self.rest.total.minus(&all)
    }

    /// Whether more is held of something than there is; what is free does not follow from what was free before then.
    pub(super) fn is_overcommitted(&self) -> bool {
        self.rest.overcommitted
    }

    pub(super) fn recount_free(&mut self, names: &mut Names) {
        self.free_all = names.amounts(&self.free, |_| true);
        if self.particular {
            self.rest.free_plain = names.amounts(&self.free, is_plain);
        }
    }

    /// Scalars that are free, that nobody has a claim to and that are not to be taken back.
    pub(super) fn free_plain(&self) -> &Amounts {
        if self.particular { &self.rest.free_plain } else { &self.free_all }
    }

    pub(super) fn whereabouts(&self) -> Whereabouts<'_> {
        let Rest { hostname, attributes, domain, .. } = &*self.rest;
        Whereabouts { hostname, attributes, domain: domain.as_ref() }
    }

    pub(super) fn is_ruled_out(&self, client: u32) -> bool {
        self.ruled_out.has(client)
    }

    pub(super) fn ruled_out(&self) -> &Bits {
        &self.ruled_out
    }

    /// What rules a client out of all that is free rules it out of any part, so that less being free changes nothing.
    pub(super) fn rule_out(&mut self, client: u32) {
        if self.judged != self.free {
            self.judged = self.free.clone();
        }
        self.ruled_out.insert(client);
    }

    pub(super) fn look_again_for(&mut self, client: u32) {
        self.ruled_out.remove(client);
    }

    /// Less is free: what fits for these clients is something else now. Whether any of them was ruled out.
    pub(super) fn on_less_free(&mut self, fickle: &Bits) -> bool {
        self.ruled_out.subtract(fickle)
    }

    /// Whoever has become stale since this was last looked at is not ruled out.
    pub(super) fn note(&mut self, stale: &Stale) {
        if self.noted == stale.end() {
            return;
        }
        match stale.since(self.noted) {
            _ if self.ruled_out.is_empty() => (),
            Some(clients) => clients.for_each(|client| self.ruled_out.remove(client)),
            None => self.ruled_out.clear(),
        }
        self.noted = stale.end();
    }

    /// More is free: more than what clients were ruled out of is looked at anew.
    pub(super) fn on_more_free(&mut self) {
        if !self.ruled_out.is_empty() && !self.judged.contains(&self.free) {
            self.ruled_out.clear();
        }
    }

    /// Whether it held nothing before.
    pub(super) fn holds(&mut self, client: u32, resources: &Resources) -> bool {
        match self.held.iter_mut().find(|(holder, _)| *holder == client) {
            Some((_, held)) => {
                held.add(resources);
                false
            }
            None => {
                self.held.push((client, resources.clone()));
                true
            }
        }
    }

    /// The filters of one client lie together, in the order of clients.
    pub(super) fn filters_of(&self, client: u32) -> &[Filter] {
        let filters = &self.rest.filters;
        let first = filters.partition_point(|filter| filter.client < client);
        let count = filters[first..].partition_point(|filter| filter.client == client);
        &filters[first..first + count]
    }
}
