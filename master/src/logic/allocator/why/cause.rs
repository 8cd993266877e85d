//! The first thing that rules a client out on one agent.

use std::sync::Arc;

use protocol::quantities::Quantities;
use protocol::resources::{Milli, Resource, Resources, Value};
use protocol::time::Instant;
use protocol::why::Cause;

use crate::logic::allocator::Allocator;
use crate::logic::allocator::client::Client;
use crate::logic::allocator::examine::{Hindrance, holds_one_of, may_take};
use crate::logic::allocator::place::Place;
use crate::logic::allocator::quota::{Bound, Bounds};
use crate::logic::constraints::ports_each;

/// So many roles are named that something is kept for.
const NAMED_MAX: usize = 3;

impl Allocator {
    pub(super) fn cause(
        &self,
        now: Instant,
        place: &Place,
        active: bool,
        number: u32,
        client: &Client,
    ) -> Cause {
        // Whatever else an agent lacks that is not wanted does not matter.
        if let Some(cause) = constraint(place, client) {
            return cause;
        }
        let ruled_out = self.examine(now, place, number, client, false).err();
        // What is away is a copy of what it had, of which nobody holds anything.
        if ruled_out.is_some() || !active {
            let least = &self.least;
            if let Some(cause) = too_small(place, client, least) {
                return cause;
            }
        }
        match ruled_out {
            Some(Hindrance::Lacks(capability)) => Cause::Lacks(capability),
            _ if !active => Cause::Inactive,
            None => Cause::Fits,
            Some(Hindrance::Refused { until, .. }) => {
                Cause::Refused { for_another: until.since(now) }
            }
            Some(Hindrance::Bound(bound, scalar)) => {
                let guaranteed = self.tree.lacks_guarantee(client.top);
                if guaranteed && self.examine(now, place, number, client, true).is_ok() {
                    return Cause::Fits;
                }
                self.by_quota(now, place, client, (bound, scalar))
            }
            Some(_) => match self.binding(client) {
                Some((Bound::Limit, scalar)) => self.bound(client, Bound::Limit, scalar),
                // What is not there is kept for nobody.
                Some((Bound::Headroom | Bound::Guarantee, _)) | None => {
                    self.too_little(now, place, client)
                }
            },
        }
    }

    /// Quota cut off some of what is free: it is the cause if what was left is too little for what is wanted, and all that is
    /// free would not be.
    fn by_quota(&self, now: Instant, place: &Place, client: &Client, cut: (Bound, usize)) -> Cause {
        let wants = Wants::of(client, &self.least);
        let enough = wants.lacking(&takes(&place.free, client)).is_none();
        match self.binding(client) {
            Some((Bound::Limit, scalar)) => self.bound(client, Bound::Limit, scalar),
            Some((bound, scalar)) if enough => self.bound(client, bound, scalar),
            None if enough => self.bound(client, cut.0, cut.1),
            Some(_) | None => self.too_little(now, place, client),
        }
    }

    /// Of what a client wants, the scalar of which its quota leaves it less, wherever that is free: what its limit leaves first.
    fn binding(&self, client: &Client) -> Option<(Bound, usize)> {
        let mut bounds = Bounds::new();
        self.tree.bounds(client.top, false, &mut bounds);
        bounds.sort_by_key(|(_, _, bound)| *bound != Bound::Limit);
        let less_than = |wanted: &dyn Fn(&str) -> Milli| {
            let binds = bounds.iter().find(|(at, most, _)| wanted(self.names.name(*at)).0 > *most);
            binds.map(|(at, _, bound)| (*bound, *at))
        };
        match Wants::of(client, &self.least) {
            Wants::Task { each, .. } => less_than(&|name| each.scalar(name)),
            // All alternatives must be out of reach.
            Wants::Least(least) => {
                let mut all = least.iter().map(|one| less_than(&|name| one.amount(name)));
                all.next()?.filter(|_| all.all(|binds| binds.is_some()))
            }
        }
    }

    fn bound(&self, client: &Client, bound: Bound, scalar: usize) -> Cause {
        let resource = self.names.name(scalar).to_owned();
        let consumption = self.tree.consumption(client.top);
        let limit = consumption.and_then(|consumption| consumption.limit(scalar));
        match (bound, limit) {
            (Bound::Limit, Some(limit)) => Cause::Limit {
                role: self.tree.node(client.top).role.clone(),
                resource,
                limit: Milli(limit),
                consumed: Milli(consumption.map_or(0, |consumption| consumption.at(scalar))),
            },
            (Bound::Limit | Bound::Headroom | Bound::Guarantee, _) => Cause::Guaranteed {
                to: self.tree.lacking(scalar).take(NAMED_MAX).cloned().collect(),
                resource,
                kept: Milli(self.tree.guarantees.headroom.at(scalar)),
                free: Milli(self.tree.guarantees.available.at(scalar)),
            },
        }
    }

    /// Too little is free: of what, and who has it.
    fn too_little(&self, now: Instant, place: &Place, client: &Client) -> Cause {
        let wants = Wants::of(client, &self.least);
        // What is offered, the largest first, until it would be enough.
        let mut offered: Vec<_> =
            place.open.iter().filter_map(|number| self.open.get(*number)).collect();
        offered.sort_by_key(|open| std::cmp::Reverse(open.resources.cpus()));
        let mut free = place.free.clone();
        for open in offered {
            free.add(&open.resources);
            let Some(holder) = self.client(open.client) else { continue };
            if wants.lacking(&takes(&free, client)).is_none() {
                let held_for = now.since(open.since);
                return Cause::Offered { to: holder.framework.clone(), held_for };
            }
        }
        let mine = takes(&place.free, client);
        match (wants.lacking(&mine), &wants) {
            (Some(lacks), Wants::Task { .. }) => reserved(&place.free, &wants, client)
                .unwrap_or_else(|| Cause::TooLittle {
                    total: amount_of(&takes(&place.rest.total, client), &lacks.resource),
                    free: amount_of(&mine, &lacks.resource),
                    resource: lacks.resource,
                    wants: lacks.wants,
                }),
            (Some(_), Wants::Least(least)) => reserved(&place.free, &wants, client)
                .unwrap_or_else(|| Cause::BelowLeast { free: mine, least: Arc::clone(least) }),
            // What it wants is less than makes an offer to it.
            (None, _) => {
                let least = client.allocatable.as_ref().unwrap_or(&self.least);
                Cause::BelowLeast { free: mine, least: least.clone() }
            }
        }
    }
}

/// What of these a client may have.
fn takes(resources: &Resources, client: &Client) -> Resources {
    let mut all = Resources::none();
    let mine = resources.iter().filter(|resource| may_take(resource, client));
    mine.for_each(|resource| all.add_one(resource.clone()));
    all
}

/// What one task needs, or the least that makes an offer.
enum Wants<'c> {
    Task { each: &'c Resources, ports: u64 },
    Least(&'c Arc<[Quantities]>),
}

/// A resource of which there is too little.
struct Lacks {
    resource: String,
    wants: String,
}

impl<'c> Wants<'c> {
    fn of(client: &'c Client, least: &'c Arc<[Quantities]>) -> Self {
        match client.needs.first() {
            Some((demand, _)) => {
                Self::Task { each: &demand.each, ports: ports_each(&demand.constraints) }
            }
            None => Self::Least(client.allocatable.as_ref().unwrap_or(least)),
        }
    }

    fn lacking(&self, have: &Resources) -> Option<Lacks> {
        match self {
            Self::Task { each, ports } => {
                let lacking = each.iter().find(|wanted| !has(have, wanted));
                let lacks = |wanted: &Resource| Lacks {
                    resource: wanted.name.to_string(),
                    wants: amount_of(each, &wanted.name),
                };
                let too_few = have.ranges("ports").minus(&each.ranges("ports")).count() < *ports;
                let no_ports = || {
                    too_few.then(|| Lacks {
                        resource: "ports".to_owned(),
                        wants: format!("{ports} of them"),
                    })
                };
                lacking.map(lacks).or_else(no_ports)
            }
            Self::Least(least) if holds_one_of(have, least) => None,
            Self::Least(least) => Some(Self::lacking_of_least(have, least)),
        }
    }

    /// Of the alternative of which the fewest resources are missing, the first that is.
    fn lacking_of_least(have: &Resources, least: &[Quantities]) -> Lacks {
        let missing = |one: &Quantities| {
            let lacks = one.iter().filter(|(name, amount)| have.scalar(name) < *amount);
            lacks.map(|(name, amount)| (name.to_string(), amount.to_string())).collect::<Vec<_>>()
        };
        let nearest = least.iter().map(missing).min_by_key(Vec::len).unwrap_or_default();
        let anything = || ("anything".to_owned(), "some".to_owned());
        let (resource, wants) = nearest.into_iter().next().unwrap_or_else(anything);
        Lacks { resource, wants }
    }
}

fn has(have: &Resources, wanted: &Resource) -> bool {
    match &wanted.value {
        Value::Scalar(amount) => have.scalar(&wanted.name) >= *amount,
        Value::Ranges(ranges) => have.ranges(&wanted.name).contains_all(ranges),
        Value::Set(_) => {
            let mut one = Resources::none();
            one.add_one(wanted.clone());
            have.contains(&one)
        }
    }
}

/// How much of one there is, in words; of ports, which.
fn amount_of(resources: &Resources, name: &str) -> String {
    let ranges = resources.ranges(name);
    if ranges.is_empty() { resources.scalar(name).to_string() } else { ranges.to_string() }
}

/// What the agent could not give if it were empty: it is reserved, or is not there.
fn too_small(place: &Place, client: &Client, least: &Arc<[Quantities]>) -> Option<Cause> {
    let wants = Wants::of(client, least);
    let mine = takes(&place.rest.total, client);
    let lacks = wants.lacking(&mine)?;
    Some(reserved(&place.rest.total, &wants, client).unwrap_or_else(|| match wants {
        Wants::Task { .. } => Cause::TooSmall {
            total: amount_of(&mine, &lacks.resource),
            resource: lacks.resource,
            wants: lacks.wants,
        },
        Wants::Least(least) => Cause::NeverEnough { total: mine, least: Arc::clone(least) },
    }))
}

/// Whether it would be enough if what is reserved for others were not.
fn reserved(resources: &Resources, wants: &Wants<'_>, client: &Client) -> Option<Cause> {
    if wants.lacking(resources).is_some() {
        return None;
    }
    let lacks = wants.lacking(&takes(resources, client))?;
    let others = resources.iter().filter(|resource| *resource.name == lacks.resource);
    let role = others.filter_map(|resource| resource.kind.reserved_for());
    let role = role.filter(|role| !client.role.is_within(role)).max()?;
    Some(Cause::Reserved { role: role.clone(), resource: lacks.resource })
}

fn constraint(place: &Place, client: &Client) -> Option<Cause> {
    let place = place.whereabouts();
    let of_demand = || client.needs.first().and_then(|(_, all)| all.first_unmet(&place));
    let unmet = client.constraints.first_unmet(&place).or_else(of_demand);
    unmet.map(|constraint| Cause::Constraint { constraint })
}

/// Of two agents with too little, the one with more comes first.
pub(super) fn nearness(cause: &Cause) -> i64 {
    match cause {
        Cause::TooLittle { free, .. } => amount(free),
        Cause::TooSmall { total, .. } => amount(total),
        Cause::BelowLeast { free, .. } => free.cpus().0,
        Cause::Offered { held_for, .. } => i64::try_from(held_for.as_millis()).unwrap_or(i64::MAX),
        Cause::Fits | Cause::Refused { .. } | Cause::Limit { .. } | Cause::Guaranteed { .. } => 0,
        Cause::Inactive | Cause::Reserved { .. } | Cause::Constraint { .. } | Cause::Lacks(_) => 0,
        Cause::NeverEnough { total, .. } => total.cpus().0,
    }
}

fn amount(text: &str) -> i64 {
    text.parse().map_or(0, |units: f64| Milli::from_f64(units).0)
}
