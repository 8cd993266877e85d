//! Who is offered what: dominant-resource fairness over a tree of roles, then over the frameworks of a role, with guarantees and
//! limits. The allocator keeps a book of its own from the master's ordered [`BookEntry`] stream and only ever *proposes*; the
//! master decides. The cost of a run follows what changed, not the size of the cluster: on each agent is noted who was ruled out
//! there, and only what was not is looked at ([`place`]). A sweep, each second, looks at all agents; it finds what a run could not
//! know of, such as refusals that have run out.

mod amounts;
mod bits;
mod book;
mod chance;
mod client;
mod clients;
mod demand;
mod examine;
mod figures;
mod filters;
mod messages;
#[cfg(any(test, feature = "testing"))]
mod overlooked;
mod place;
mod queue;
mod quota;
mod run;
mod start_over;
mod tree;
mod walk;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use protocol::ids::{AgentId, FrameworkId};
use protocol::quantities::Quantities;
use protocol::resources::Resources;
use protocol::time::{Instant, Now};
use serde::{Deserialize, Serialize};
use slab::Slab;

use crate::config::{self, AllocatorConfig};
use crate::logic::bugs::Bug;
use crate::logic::numbered::Numbered;
use amounts::Names;
use bits::Bits;
use chance::Chance;
use client::{Client, Framework};
pub use figures::Figures;
use filters::Ends;
pub use messages::{BookEntry, Proposal, Proposals, WholeBook};
use place::{Away, Place, Stale};
use quota::Unbound;
use tree::{Order, Tree};

/// Everything that can happen to an allocator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The first event.
    Started,
    /// The master has decided; in order, and what is left out is made up for by [`BookEntry::StartOver`].
    Book(Vec<BookEntry>),
    /// See [`Effect::RunSoon`].
    Run,
    /// See [`Effect::SweepAfter`].
    Sweep,
}

/// Everything an allocator can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// For the master.
    Propose(Vec<Proposals>),
    /// Comes back as [`Event::Run`] behind what waits already, so that many entries lead to one run.
    RunSoon,
    /// Comes back as [`Event::Sweep`].
    SweepAfter(Duration),
}

/// The state of an allocator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Allocator {
    config: AllocatorConfig,
    /// What makes an offer to those that say nothing of it.
    least: Arc<[Quantities]>,
    chance: Chance,
    names: Names,
    /// Of the newest proposal.
    numbered: u64,
    /// Active agents, and where each is.
    places: Slab<Place>,
    agents: BTreeMap<AgentId, u32>,
    frameworks: BTreeMap<FrameworkId, Framework>,
    /// By the number that each has in the tree.
    clients: Vec<Option<Client>>,
    tree: Tree,
    /// Proposals whose end the master has not told.
    open: Numbered<Open>,
    /// How many refusals are kept, void ones among them.
    stored: usize,
    /// By client: see [`place::Filter::revived`].
    revivals: Vec<u32>,
    ends: Ends,
    /// Agents that are not active now, as they were.
    away: BTreeMap<AgentId, Away>,
    /// Clients that have a least offer of their own.
    own_least: usize,
    unbound: Unbound,
    /// Agents at which a run looks.
    changed: Vec<u32>,
    /// Agents of which something may be offered.
    worth: Bits,
    stale: Stale,
    /// A run looks at all that is free.
    everywhere: bool,
    /// What was just returned would be proposed and returned again: the next sweep looks at it.
    returned: Vec<(u32, u32)>,
    /// Clients for which nothing is left, whatever is free.
    held_back: BTreeSet<u32>,
    /// Clients that quota ruled out on some agents; the next sweep looks at them again.
    bounded: Bits,
    /// Clients with several needs who refused something: when less is free, or less is needed, what fits is something else.
    fickle: Bits,
    /// Something was released since bounds were looked at, or is guaranteed no more.
    relaxed: bool,
    /// Frameworks came since clients were ranked.
    unranked: bool,
    /// Roles with quota are offered nothing, since nobody knows what they hold.
    awaiting: bool,
    run_is_due: bool,
    runs: u64,
    /// At how many agents the newest run looks.
    looks: usize,
    /// When the newest sweep was: refusals that have run out since count until the next one.
    swept: Instant,
}

/// A proposal that is held for its framework, as proposal or as offer.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    at: u32,
    client: u32,
    resources: Resources,
    since: Instant,
}

fn number(of: usize) -> u32 {
    u32::try_from(of).expect("there are fewer agents and frameworks than that")
}

impl Allocator {
    /// One that knows nobody yet. The seed decides what is left to chance.
    pub fn new(config: AllocatorConfig, seed: u64) -> Self {
        let mut names = Names::default();
        let excluded = config.excluded.iter().filter_map(|name| names.place_or_add(name)).collect();
        let mut chance = Chance::new(seed);
        let order = match config.order {
            config::Order::Shares => Order::Shares,
            config::Order::Lots => Order::Lots(chance.split()),
        };
        Self {
            least: config.allocatable.as_slice().into(),
            config,
            chance,
            names,
            numbered: 0,
            places: Slab::new(),
            agents: BTreeMap::new(),
            frameworks: BTreeMap::new(),
            clients: Vec::new(),
            tree: Tree::new(order, excluded),
            open: Numbered::default(),
            stored: 0,
            revivals: Vec::new(),
            ends: Ends::new(),
            away: BTreeMap::new(),
            own_least: 0,
            unbound: Unbound::default(),
            changed: Vec::new(),
            worth: Bits::default(),
            stale: Stale::default(),
            everywhere: false,
            returned: Vec::new(),
            held_back: BTreeSet::new(),
            bounded: Bits::default(),
            fickle: Bits::default(),
            relaxed: false,
            unranked: false,
            awaiting: false,
            run_is_due: false,
            runs: 0,
            looks: 0,
            swept: Instant(0),
        }
    }

    /// The index of everything the allocator reacts to.
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Started => effects.push(Effect::SweepAfter(self.config.sweep_every)),
            Event::Book(entries) => {
                entries.into_iter().for_each(|entry| self.enter(now.steady, entry));
            }
            Event::Run => {
                self.run_is_due = false;
                let proposals = self.run(now.steady);
                if !proposals.is_empty() {
                    effects.push(Effect::Propose(proposals));
                }
            }
            Event::Sweep => {
                self.sweep(now.steady);
                effects.push(Effect::SweepAfter(self.config.sweep_every));
            }
        }
        let lifts = self.relaxed && !self.held_back.is_empty();
        if (self.everywhere || lifts || !self.changed.is_empty()) && !self.run_is_due {
            self.run_is_due = true;
            effects.push(Effect::RunSoon);
        }
        effects
    }

    /// The index of everything the master tells.
    fn enter(&mut self, now: Instant, entry: BookEntry) {
        match entry {
            BookEntry::Agent { .. } => self.on_agent(entry),
            BookEntry::AgentInactive { agent } => self.drop_agent(&agent),
            BookEntry::AgentLost { agent } => {
                self.drop_agent(&agent);
                self.lose_away(&agent);
            }
            BookEntry::AgentGone { agent } => {
                self.drop_agent(&agent);
                self.forget_away(&agent);
            }
            BookEntry::Framework { framework, roles, capabilities, wishes } => {
                self.on_framework(&framework, &roles, &capabilities, &wishes);
            }
            BookEntry::FrameworkInactive { framework } => self.on_framework_inactive(&framework),
            BookEntry::Wishes { framework, wishes } => self.on_wishes(&framework, &wishes),
            BookEntry::Revived { framework, roles } => self.on_revived(&framework, &roles),
            BookEntry::Suppressed { framework, roles } => self.on_suppressed(&framework, &roles),
            BookEntry::Shares(shares) => self.on_shares(&shares),
            BookEntry::Awaiting(awaiting) => self.on_awaiting(awaiting),
            BookEntry::Returned(proposals) => {
                proposals.into_iter().for_each(|proposal| self.on_returned(now, proposal));
            }
            BookEntry::Ended { proposals, used, refuse_for } => {
                self.end(now, &proposals, used, refuse_for);
            }
            BookEntry::Released { agent, framework, role, resources } => {
                self.on_released(&agent, &framework, &role, &resources);
            }
            BookEntry::StartOver(book) => self.start_over(now, book),
        }
    }

    /// Nothing that happens since the last one but was told is lost on a run. What time brings is found here.
    fn sweep(&mut self, now: Instant) {
        self.swept = now;
        for (at, client) in std::mem::take(&mut self.returned) {
            if let Some(place) = self.places.get_mut(at as usize) {
                place.look_again_for(client);
            }
        }
        self.expire_filters(now);
        for client in std::mem::take(&mut self.bounded).iter() {
            self.stale.add(client);
        }
        self.everywhere = true;
    }

    /// A run looks at an agent, if there is something to be offered.
    fn look_at(&mut self, at: u32) {
        let place = &mut self.places[at as usize];
        if !place.changed && self.worth.has(at) && !self.config.bugs.has(Bug::ChangeNotLookedAt) {
            place.changed = true;
            self.changed.push(at);
        }
    }

    /// Whether anything may be offered of what is free on an agent has changed.
    fn settle_worth(&mut self, at: u32) {
        let place = &self.places[at as usize];
        let is = place.is_enough || (self.own_least > 0 && !place.free.is_empty());
        if is {
            self.worth.insert(at);
        } else {
            self.worth.remove(at);
        }
    }

    /// How many runs there were.
    pub fn runs(&self) -> u64 {
        self.runs
    }
}

#[cfg(test)]
mod tests;
