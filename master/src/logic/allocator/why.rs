//! Why a framework is not offered what it wants: on each agent the first thing that rules it out, by what runs go by
//! ([`Allocator::examine`]) and by what the book has of who holds the rest.

use protocol::ids::FrameworkId;
use protocol::offer::Demand;
use protocol::quantities::Quantities;
use protocol::resources::{Milli, Resource, Resources, Value};
use protocol::time::Instant;
use protocol::why::{AGENTS_MAX, Cause, Quiet, RoleWhy, WantWhy, WhyAnswer};

use super::Allocator;
use super::client::Client;
use super::demand::Needs;
use super::examine::{Hindrance, holds_one_of, may_take};
use super::place::Place;
use super::quota::Bound;
use crate::logic::constraints::ports_each;

/// Of different causes so many are told, the nearest to fitting.
const CAUSES_MAX: usize = 64;
/// So many roles are named that something is kept for.
const NAMED_MAX: usize = 3;

impl Allocator {
    /// The answer to somebody who asks.
    pub fn why(&self, now: Instant, framework: &FrameworkId) -> WhyAnswer {
        let Some(entry) = self.frameworks.get(framework) else { return WhyAnswer::Unknown };
        let roles = entry.clients.values().filter_map(|number| self.why_role(now, *number));
        WhyAnswer::Because(roles.collect())
    }

    fn why_role(&self, now: Instant, number: u32) -> Option<RoleWhy> {
        let client = self.client(number)?;
        let quiet = if !client.acts {
            Some(Quiet::Absent)
        } else if client.suppressed {
            Some(Quiet::Suppressed)
        } else {
            (!client.needs.wants_offers()).then_some(Quiet::NoDemand)
        };
        let mut holds = Resources::none();
        for (_, place) in &self.places {
            let mine = place.held.iter().filter(|(holder, _)| *holder == number);
            mine.for_each(|(_, held)| holds.add(held));
        }
        let wants = match &client.needs {
            Needs::Everything => vec![(None, 0)],
            Needs::Stated(_) => client.needs.waiting().map(|(d, n)| (Some(d), n)).collect(),
        };
        let wants = wants
            .into_iter()
            .map(|(demand, promised)| self.why_want(now, number, client, demand, promised));
        // Thousandths of a share are few.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let share = (self.tree.share_of(number).clamp(0.0, 1.0) * 1000.0) as u32;
        let wants = if quiet.is_some() { Vec::new() } else { wants.collect() };
        Some(RoleWhy { role: client.role.clone(), share, quiet, holds, wants })
    }

    fn why_want(
        &self,
        now: Instant,
        number: u32,
        client: &Client,
        demand: Option<Demand>,
        promised: u32,
    ) -> WantWhy {
        // As if this were all it wants.
        let mut alone = client.clone();
        if let Some(demand) = &demand {
            alone.needs = Needs::of(demand.clone());
        }
        let places = self.places.iter().map(|(_, place)| (place, true));
        let inactive = self.away.values().map(|place| (place, false));
        let mut agents: Vec<(&Place, Cause)> = places
            .chain(inactive)
            .map(|(place, active)| (place, self.cause(now, place, active, number, &alone)))
            .collect();
        agents
            .sort_by_key(|(place, cause)| (cause.distance(), nearness(cause), place.agent.clone()));
        let mut causes: Vec<(Cause, u32)> = Vec::new();
        for (_, cause) in &agents {
            if let Some((_, count)) = causes.iter_mut().find(|(known, _)| known.is_like(cause)) {
                *count += 1;
            } else if causes.len() < CAUSES_MAX {
                causes.push((cause.clone(), 1));
            }
        }
        let of = u32::try_from(agents.len()).unwrap_or(u32::MAX);
        let told = agents.into_iter().take(AGENTS_MAX);
        let told = told.map(|(place, cause)| (place.agent.clone(), place.rest.hostname.clone(), cause));
        WantWhy { demand, promised, causes, agents: told.collect(), of }
    }

    fn cause(
        &self,
        now: Instant,
        place: &Place,
        active: bool,
        number: u32,
        client: &Client,
    ) -> Cause {
        let ruled_out = match self.examine(now, place, number, client, false) {
            Err(Hindrance::Lacks(capability)) => return Cause::Lacks(capability),
            Err(Hindrance::Constraint) => return constraint(place, client),
            Err(hindrance) => Some(hindrance),
            Ok(_) => None,
        };
        if !active {
            // A copy of what it had, of which nobody holds anything.
            return too_small(place, client).unwrap_or(Cause::Inactive);
        }
        match (ruled_out, client.held_back) {
            (Some(Hindrance::Refused(until)), _) => {
                Cause::Refused { for_another: until.since(now) }
            }
            (Some(Hindrance::Bound(bound, scalar)), _) | (None, Some((bound, scalar))) => {
                self.bound(client, bound, scalar)
            }
            (None, None) => Cause::Fits,
            (Some(_), _) => self.too_little(now, place, client),
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
        if let Some(cause) = too_small(place, client) {
            return cause;
        }
        let wants = Wants::of(client, &self.config.allocatable);
        // What is offered, the largest first, until it would be enough.
        let mut offered: Vec<&super::Open> =
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
        match wants.lacking(&mine) {
            Some(lacks) => match reserved(&place.free, &wants, client) {
                Some(cause) => cause,
                None => Cause::TooLittle {
                    total: amount_of(&takes(&place.rest.total, client), &lacks.resource),
                    free: amount_of(&mine, &lacks.resource),
                    resource: lacks.resource,
                    wants: lacks.wants,
                },
            },
            None => Cause::BelowLeast { free: mine, least: self.config.allocatable.clone() },
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
    Least(&'c [Quantities]),
}

/// A resource of which there is too little.
struct Lacks {
    resource: String,
    wants: String,
}

impl<'c> Wants<'c> {
    fn of(client: &'c Client, least: &'c [Quantities]) -> Self {
        match client.needs.first() {
            Some((demand, _)) => {
                Self::Task { each: &demand.each, ports: ports_each(&demand.constraints) }
            }
            None => Self::Least(client.allocatable.as_deref().unwrap_or(least)),
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
            Self::Least(least) => {
                let first = least.first().and_then(|least| least.iter().next());
                let (name, amount) =
                    first.map_or(("anything".into(), Milli(0)), |(n, m)| (n.clone(), m));
                Some(Lacks { resource: name.to_string(), wants: amount.to_string() })
            }
        }
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
fn too_small(place: &Place, client: &Client) -> Option<Cause> {
    let wants = Wants::of(client, &[]);
    let mine = takes(&place.rest.total, client);
    let lacks = wants.lacking(&mine)?;
    Some(reserved(&place.rest.total, &wants, client).unwrap_or_else(|| Cause::TooSmall {
        total: amount_of(&mine, &lacks.resource),
        resource: lacks.resource,
        wants: lacks.wants,
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

fn constraint(place: &Place, client: &Client) -> Cause {
    let place = place.whereabouts();
    let of_demand = || client.needs.first().and_then(|(_, all)| all.first_unmet(&place));
    let unmet = client.constraints.first_unmet(&place).or_else(of_demand);
    Cause::Constraint { constraint: unmet.unwrap_or_default() }
}

/// Of two agents with too little, the one with more comes first.
fn nearness(cause: &Cause) -> std::cmp::Reverse<i64> {
    std::cmp::Reverse(match cause {
        Cause::TooLittle { free, .. } => amount(free),
        Cause::TooSmall { total, .. } => amount(total),
        Cause::BelowLeast { free, .. } => free.cpus().0,
        Cause::Offered { held_for, .. } => i64::try_from(held_for.as_millis()).unwrap_or(i64::MAX),
        Cause::Fits | Cause::Refused { .. } | Cause::Limit { .. } | Cause::Guaranteed { .. } => 0,
        Cause::Inactive | Cause::Reserved { .. } | Cause::Constraint { .. } | Cause::Lacks(_) => 0,
    })
}

fn amount(text: &str) -> i64 {
    text.parse().map_or(0, |units: f64| Milli::from_f64(units).0)
}
