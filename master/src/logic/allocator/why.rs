//! Why a framework is not offered what it wants: on each agent the first thing that rules it out, by what runs go by
//! ([`Allocator::examine`]) and by what the book has of who holds the rest.

mod cause;

use std::cmp::Reverse;

use protocol::ids::{FrameworkId, Role};
use protocol::offer::Demand;
use protocol::resources::Resources;
use protocol::time::Instant;
use protocol::why::{AGENTS_MAX, Cause, OfferWhy, Quiet, RoleWhy, WANTS_MAX, WantWhy, WhyAnswer};

use super::client::Client;
use super::demand::Needs;
use super::place::Place;
use super::{Allocator, Open};
use crate::logic::validate::Refusal;
use cause::nearness;

/// Of different causes so many are told, the nearest to fitting.
const CAUSES_MAX: usize = 64;

impl Allocator {
    /// The answer to somebody who asks.
    pub fn why(&self, now: Instant, framework: &FrameworkId) -> WhyAnswer {
        let Some(entry) = self.frameworks.get(framework) else { return WhyAnswer::Unknown };
        let clients = entry.clients.values();
        let roles = clients.filter_map(|number| self.why_role(now, *number, None));
        WhyAnswer::Because(roles.collect())
    }

    /// Why a framework would not be offered this, were it all that it wanted under one of its roles, or under each. Whoever calls
    /// has found the demand good.
    pub fn why_demand(
        &self,
        now: Instant,
        framework: &FrameworkId,
        role: Option<&Role>,
        demand: &Demand,
    ) -> WhyAnswer {
        let Some(entry) = self.frameworks.get(framework) else { return WhyAnswer::Unknown };
        if let Some(role) = role.filter(|role| !entry.clients.contains_key(*role)) {
            let roles: Vec<&str> = entry.clients.keys().map(Role::as_str).collect();
            let refusal = Refusal::NotItsRole { role: role.clone(), roles: roles.join(", ") };
            return WhyAnswer::Refused(refusal.to_string());
        }
        let asked = entry.clients.iter().filter(|(of, _)| role.is_none_or(|role| role == *of));
        let roles = asked.filter_map(|(_, number)| self.why_role(now, *number, Some(demand)));
        WhyAnswer::Because(roles.collect())
    }

    /// `asked`: what is asked about instead of what it wants.
    fn why_role(&self, now: Instant, number: u32, asked: Option<&Demand>) -> Option<RoleWhy> {
        let client = self.client(number)?;
        let quiet = quiet(client, self.waits(client), asked.is_some());
        let mut holds = Resources::none();
        for (_, place) in &self.places {
            let mine = place.held.iter().filter(|(holder, _)| *holder == number);
            mine.for_each(|(_, held)| holds.add(held));
        }
        let wants = match (asked, &client.needs) {
            (Some(demand), _) => {
                vec![(Some(Demand { count: demand.count.max(1), ..demand.clone() }), 0)]
            }
            (None, _) if quiet.is_some() => Vec::new(),
            (None, Needs::Everything) => vec![(None, 0)],
            (None, Needs::Stated(_)) => client.needs.waiting().map(|(d, n)| (Some(d), n)).collect(),
        };
        let wants_of = u32::try_from(wants.len()).unwrap_or(u32::MAX);
        let wants = wants.into_iter().take(WANTS_MAX);
        let wants =
            wants.map(|(demand, promised)| self.why_want(now, number, client, demand, promised));
        // Thousandths of a share are few.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let share = (self.tree.share_of(number).clamp(0.0, 1.0) * 1000.0) as u32;
        let (offers, offers_of) = self.offers_of(now, number);
        let (role, wants) = (client.role.clone(), wants.collect());
        Some(RoleWhy { role, share, quiet, holds, wants, wants_of, offers, offers_of })
    }

    /// What is proposed or offered to a client, and how many of these there are.
    fn offers_of(&self, now: Instant, number: u32) -> (Vec<OfferWhy>, u32) {
        let mut mine: Vec<&Open> =
            self.open.iter().map(|(_, open)| open).filter(|open| open.client == number).collect();
        mine.sort_by_key(|open| open.since);
        let of = u32::try_from(mine.len()).unwrap_or(u32::MAX);
        let told = mine.into_iter().take(AGENTS_MAX).filter_map(|open| {
            let place = self.places.get(open.at as usize)?;
            Some(OfferWhy {
                agent: place.agent.clone(),
                hostname: place.rest.hostname.clone(),
                resources: open.resources.clone(),
                held_for: now.since(open.since),
            })
        });
        (told.collect(), of)
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
        let inactive = self.away.values().map(|away| (&away.place, false));
        let mut agents: Vec<(&Place, Cause)> = places
            .chain(inactive)
            .map(|(place, active)| (place, self.cause(now, place, active, number, &alone)))
            .collect();
        let key = |(place, cause): &(&Place, Cause)| {
            (cause.distance(), Reverse(nearness(cause)), place.agent.clone())
        };
        agents.sort_by_cached_key(key);
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
        let told =
            told.map(|(place, cause)| (place.agent.clone(), place.rest.hostname.clone(), cause));
        WantWhy { demand, promised, causes, agents: told.collect(), of }
    }
}

/// Why a client is offered nothing, whatever is free.
fn quiet(client: &Client, awaiting: bool, asked: bool) -> Option<Quiet> {
    if !client.acts {
        Some(Quiet::Absent)
    } else if client.suppressed {
        Some(Quiet::Suppressed)
    } else if awaiting {
        Some(Quiet::Awaiting)
    } else if asked || client.needs.wants_offers() {
        None
    } else if client.needs.are_under_way() {
        Some(Quiet::UnderWay)
    } else {
        Some(Quiet::NoDemand)
    }
}
