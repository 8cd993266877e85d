//! Whether a client can have something of what is free on an agent: the one place where that is decided, for runs and for who
//! asks why.

use protocol::framework::Capability;
use protocol::offer::Demand;
use protocol::quantities::Quantities;
use protocol::resources::{Milli, Resource, Resources, Value};
use protocol::time::Instant;
use smallvec::SmallVec;

use super::Allocator;
use super::client::Client;
use super::demand::Needs;
use super::place::{Place, is_plain};
use super::quota::{Bound, Bounds};
use crate::logic::bugs::Bug;

/// What is to be proposed.
pub(super) struct Piece {
    /// What of the agent's free resources; `None`: all of them, and nothing in them is particular.
    pub(super) part: Option<Resources>,
    /// Quota left it no more.
    pub(super) is_cut: bool,
    /// For which demand, and for how many of it.
    pub(super) promised: Vec<Demand>,
}

/// The first thing that rules a client out on an agent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Hindrance {
    /// The client cannot deal with such a machine.
    Lacks(Capability),
    /// The agent is not one that it wants.
    Constraint,
    /// Nothing that is free is for its role.
    Nothing,
    /// Less is free than makes an offer.
    TooLittle,
    /// Quota lets it have too little; see [`Bound`], of the scalar at this place.
    Bound(Bound, usize),
    /// Nothing that it needs fits.
    NoFit,
    /// It refused as much as quota leaves it; or as much as there is, if quota leaves it all.
    Refused { until: Instant, is_cut: bool },
}

impl Allocator {
    /// `guaranteed`: of what its role lacks of its guarantee.
    pub(super) fn examine(
        &self,
        now: Instant,
        place: &Place,
        number: u32,
        client: &Client,
        guaranteed: bool,
    ) -> Result<Piece, Hindrance> {
        if let Some(lacks) = self.lacks(place, client) {
            return Err(Hindrance::Lacks(lacks));
        }
        if !self.allows(place, client) {
            return Err(Hindrance::Constraint);
        }
        let mine = self.offerable(place, client);
        let offerable = mine.as_ref().unwrap_or(&place.free);
        if offerable.is_empty() {
            return Err(Hindrance::Nothing);
        }
        if guaranteed && !self.tree.has_of_deficit(client.top, place.free_plain()) {
            return Err(Hindrance::Nothing);
        }
        let cut = self.cut(place, client, offerable, guaranteed);
        let available = cut.as_ref().map_or(offerable, |cut| &cut.resources);
        let or_bound = |otherwise| match &cut {
            Some(Cut { by: (bound, at), .. }) => Hindrance::Bound(*bound, *at),
            None => otherwise,
        };
        let (fit, promised) = match &client.needs {
            Needs::Everything => (None, Vec::new()),
            Needs::Stated(_) => {
                let fit = client.needs.fit(available, &place.whereabouts());
                let (resources, promised) = fit.ok_or_else(|| or_bound(Hindrance::NoFit))?;
                (Some(resources), promised)
            }
        };
        let resources = fit.as_ref().unwrap_or(available);
        let whole = fit.is_none() && cut.is_none() && mine.is_none();
        if !self.is_enough(place, client, resources, whole) {
            return Err(or_bound(Hindrance::TooLittle));
        }
        match self.refused_until(now, place, number, resources) {
            Some(until) => Err(Hindrance::Refused { until, is_cut: cut.is_some() }),
            None => {
                let is_cut = cut.is_some();
                Ok(Piece { part: fit.or(cut.map(|cut| cut.resources)).or(mine), is_cut, promised })
            }
        }
    }

    /// Machines with GPUs are for frameworks that use them, and other regions for those that know of regions.
    fn lacks(&self, place: &Place, client: &Client) -> Option<Capability> {
        let gpus = self.config.filter_gpu_resources && place.has_gpus;
        if gpus && !client.can(Capability::GpuResources) {
            return Some(Capability::GpuResources);
        }
        let far = match &self.config.region {
            Some(here) => place.rest.domain.as_ref().is_some_and(|there| there.region != *here),
            None => false,
        };
        let far = far && !self.config.bugs.has(Bug::FarAgentsForAll);
        (far && !client.can(Capability::RegionAware)).then_some(Capability::RegionAware)
    }

    /// Whether an agent is one that the client wants; of stated demand, for some of it.
    fn allows(&self, place: &Place, client: &Client) -> bool {
        if client.constraints.are_none() && client.needs.are_everything() {
            return true;
        }
        let place = place.whereabouts();
        let ignored = self.config.bugs.has(Bug::ConstraintsIgnored);
        (ignored || client.constraints.holds(&place)) && client.needs.any_allows(&place)
    }

    /// What of an agent's free resources is not for everybody's eyes is left out; `None` if all is for this client.
    fn offerable(&self, place: &Place, client: &Client) -> Option<Resources> {
        if !place.particular {
            return None;
        }
        let anybody = self.config.bugs.has(Bug::ReservedForAnybody);
        let mut all = Resources::none();
        let mine = place
            .free
            .iter()
            .filter(|one| may_take(one, client) || (anybody && !one.kind.is_revocable()));
        mine.for_each(|resource| all.add_one(resource.clone()));
        Some(all)
    }

    /// What of `offerable` quota leaves to a client, if not all.
    fn cut(
        &self,
        place: &Place,
        client: &Client,
        offerable: &Resources,
        guaranteed: bool,
    ) -> Option<Cut> {
        if !self.tree.guarantees.any() {
            return None;
        }
        let mut bounds = Bounds::new();
        self.tree.bounds(client.top, guaranteed, &mut bounds);
        bounds.retain(|(at, most, bound)| {
            let ignored = match bound {
                Bound::Limit => Bug::LimitIgnored,
                Bound::Headroom | Bound::Guarantee => Bug::HeadroomIgnored,
            };
            place.free_plain().at(*at) > *most && !self.config.bugs.has(ignored)
        });
        let (at, _, bound) = *bounds.iter().min_by_key(|(_, most, _)| *most)?;
        let mut most: SmallVec<[(usize, i64); 8]> = SmallVec::new();
        for (at, left, _) in bounds {
            match most.iter_mut().find(|(place, _)| *place == at) {
                Some((_, least)) => *least = left.min(*least),
                None => most.push((at, left)),
            }
        }
        let mut resources = Resources::none();
        for resource in offerable.iter() {
            self.cut_one(resource, &mut most).into_iter().for_each(|part| resources.add_one(part));
        }
        Some(Cut { resources, by: (bound, at) })
    }

    fn cut_one(&self, resource: &Resource, most: &mut [(usize, i64)]) -> Option<Resource> {
        let Some(Milli(amount)) = resource.amount().filter(|_| is_plain(resource)) else {
            return Some(resource.clone());
        };
        let place = self.names.place(&resource.name);
        let Some((_, left)) = most.iter_mut().find(|(at, _)| Some(*at) == place) else {
            return Some(resource.clone());
        };
        let taken = if resource.kind.is_whole() && amount > *left { 0 } else { amount.min(*left) };
        *left -= taken;
        (taken > 0).then(|| Resource { value: Value::Scalar(Milli(taken)), ..resource.clone() })
    }

    /// Whether it is worth an offer to this client. Who states demand has said what is.
    fn is_enough(
        &self,
        place: &Place,
        client: &Client,
        resources: &Resources,
        whole: bool,
    ) -> bool {
        match (&client.allocatable, &client.needs) {
            (Some(least), _) => holds_one_of(resources, least),
            (None, Needs::Stated(_)) => true,
            (None, Needs::Everything) if whole => place.is_enough,
            (None, Needs::Everything) => holds_one_of(resources, &self.least),
        }
    }
}

/// What quota leaves of it.
struct Cut {
    resources: Resources,
    /// The tightest bound, of the scalar at this place.
    by: (Bound, usize),
}

/// Whether something is there, and all of one of the alternatives if there are any.
pub(super) fn holds_one_of(resources: &Resources, alternatives: &[Quantities]) -> bool {
    let has =
        |least: &Quantities| least.iter().all(|(name, amount)| resources.scalar(name) >= amount);
    !resources.is_empty() && (alternatives.is_empty() || alternatives.iter().any(has))
}

/// Whether it is for the client's role, and it knows how to deal with such a one.
pub(super) fn may_take(resource: &Resource, client: &Client) -> bool {
    let kind = &resource.kind;
    kind.reserved_for().is_none_or(|role| client.role.is_within(role))
        && (!kind.is_revocable() || client.can(Capability::RevocableResources))
        && (!kind.is_shared() || client.can(Capability::SharedResources))
        && (!kind.is_refined() || client.can(Capability::ReservationRefinement))
}
