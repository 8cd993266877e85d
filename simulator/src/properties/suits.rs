//! Everybody is proposed what is for them, as its owners, their own capabilities and their wishes have it: judged by what an
//! allocator was told of agents and frameworks.

use std::collections::BTreeMap;

use master::config::AllocatorConfig;
use master::logic::allocator::{BookEntry, Proposals};
use protocol::framework::Capability;
use protocol::ids::{AgentId, FrameworkId, Role};
use protocol::quantities::Quantities;
use protocol::resources::{Attribute, Resource, Resources};
use protocol::wishes::{FaultDomain, RoleWishes};

use super::{ABLE, FAR, LEAST, OWNERS, PLACES};
use crate::places::Place;

/// What one allocator goes by, and was told.
#[derive(Clone, Debug)]
pub(super) struct Suits {
    /// Agents of other regions are far.
    region: Option<String>,
    /// Of whoever says nothing of the least offer.
    least: Vec<Quantities>,
    agents: BTreeMap<AgentId, Machine>,
    frameworks: BTreeMap<FrameworkId, Wants>,
}

#[derive(Clone, Debug)]
struct Machine {
    hostname: String,
    attributes: Vec<Attribute>,
    domain: Option<FaultDomain>,
}

#[derive(Clone, Debug)]
struct Wants {
    capabilities: Vec<Capability>,
    wishes: BTreeMap<Role, RoleWishes>,
}

impl Suits {
    pub(super) fn new(config: &AllocatorConfig) -> Self {
        let (region, least) = (config.region.clone(), config.allocatable.clone());
        Self { region, least, agents: BTreeMap::new(), frameworks: BTreeMap::new() }
    }

    /// Nobody is known any more.
    pub(super) fn start_over(&mut self) {
        self.agents.clear();
        self.frameworks.clear();
    }

    pub(super) fn learn(&mut self, entry: &BookEntry) {
        let by_role = |wishes: &[RoleWishes]| {
            wishes.iter().map(|wish| (wish.role.clone(), wish.clone())).collect()
        };
        match entry {
            BookEntry::Agent { agent, hostname, attributes, domain, .. } => {
                let (hostname, attributes) = (hostname.clone(), attributes.clone());
                let machine = Machine { hostname, attributes, domain: domain.clone() };
                self.agents.insert(agent.clone(), machine);
            }
            BookEntry::Framework { framework, capabilities, wishes, .. } => {
                let (capabilities, wishes) = (capabilities.clone(), by_role(wishes));
                self.frameworks.insert(framework.clone(), Wants { capabilities, wishes });
            }
            BookEntry::Wishes { framework, wishes } => {
                if let Some(wants) = self.frameworks.get_mut(framework) {
                    wants.wishes = by_role(wishes);
                }
            }
            BookEntry::AgentInactive { .. } | BookEntry::AgentLost { .. } => (),
            BookEntry::AgentGone { .. } | BookEntry::FrameworkInactive { .. } => (),
            BookEntry::Revived { .. } | BookEntry::Suppressed { .. } => (),
            BookEntry::Shares(_) | BookEntry::Awaiting(_) | BookEntry::Returned(_) => (),
            BookEntry::Ended { .. } | BookEntry::Released { .. } | BookEntry::StartOver(_) => (),
        }
    }

    /// The first thing that was proposed to somebody whom it does not suit.
    pub(super) fn wrong(&self, proposals: &[&Proposals]) -> Option<(&'static str, String)> {
        proposals.iter().find_map(|Proposals { framework, role, all }| {
            let wants = self.frameworks.get(framework)?;
            all.iter().find_map(|one| {
                let machine = self.agents.get(&one.agent)?;
                let wrong = wrong_owner(role, &one.resources)
                    .or_else(|| wants.is_unable(&one.resources))
                    .or_else(|| self.is_far(machine, wants))
                    .or_else(|| wants.is_elsewhere(role, machine))
                    .or_else(|| self.is_too_little(role, wants, &one.resources));
                let (property, why) = wrong?;
                let (resources, agent) = (&one.resources, &one.agent);
                let words =
                    format!("{resources} of {agent} go to {framework} for {role}, but {why}");
                Some((property, words))
            })
        })
    }

    fn is_far(&self, machine: &Machine, wants: &Wants) -> Option<(&'static str, String)> {
        let (here, there) = (self.region.as_ref()?, &machine.domain.as_ref()?.region);
        let knows = wants.capabilities.contains(&Capability::RegionAware);
        (here != there && !knows).then(|| (FAR, "it knows of no regions".to_owned()))
    }

    /// Who states demand and says nothing of the least offer takes what fits.
    fn is_too_little(
        &self,
        role: &Role,
        wants: &Wants,
        resources: &Resources,
    ) -> Option<(&'static str, String)> {
        let states = wants.capabilities.contains(&Capability::StatesDemand);
        let least = match wants.wishes.get(role).and_then(|wish| wish.allocatable.as_ref()) {
            Some(least) => least,
            None if states => return None,
            None => &self.least,
        };
        let has = Quantities::of(resources);
        let enough = least.is_empty() || least.iter().any(|one| has.contains(one));
        (!enough).then(|| (LEAST, format!("it wants {least:?} at least")))
    }
}

/// Something is reserved for somebody else.
fn wrong_owner(role: &Role, resources: &Resources) -> Option<(&'static str, String)> {
    let is_anothers = |owner: &&Role| {
        let rest = role.as_str().strip_prefix(owner.as_str());
        !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut owners = resources.iter().filter_map(|resource| resource.kind.reserved_for());
    let owner = owners.find(is_anothers)?;
    Some((OWNERS, format!("some of it is for {owner}")))
}

impl Wants {
    fn is_unable(&self, resources: &Resources) -> Option<(&'static str, String)> {
        let needs = |resource: &Resource| {
            let kind = &resource.kind;
            [
                (kind.is_revocable(), Capability::RevocableResources),
                (kind.is_shared(), Capability::SharedResources),
                (kind.is_refined(), Capability::ReservationRefinement),
            ]
        };
        let mut needed = resources.iter().flat_map(needs).filter(|(needs, _)| *needs);
        let (_, lacks) = needed.find(|(_, needed)| !self.capabilities.contains(needed))?;
        Some((ABLE, format!("it does not say that it can deal with {lacks:?}")))
    }

    /// The role's constraints, and those of something that is demanded if anything is.
    fn is_elsewhere(&self, role: &Role, machine: &Machine) -> Option<(&'static str, String)> {
        let wish = self.wishes.get(role)?;
        let Machine { hostname, attributes, domain } = machine;
        let place = Place { hostname, attributes, domain: domain.as_ref() };
        if !place.is_for(&wish.constraints) {
            return Some((PLACES, format!("it wants {:?}", wish.constraints)));
        }
        let states = self.capabilities.contains(&Capability::StatesDemand);
        let wanted = wish.demand.iter().any(|demand| place.will_do(&demand.constraints));
        let words = || (PLACES, format!("it wants {:?}", wish.demand));
        (states && !wanted).then(words)
    }
}
