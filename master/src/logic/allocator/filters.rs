//! What frameworks refused, where, and until when. A refusal lies with its agent, by client; which agent has the next one to run
//! out is known for all.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ids::{AgentId, Role};
use protocol::resources::Resources;
use protocol::time::Instant;

use super::Allocator;
use super::place::{Filter, Place, Rest};
use crate::logic::bugs::Bug;

/// Refusals of one client on one agent; the one that would run out first makes room.
const EACH_MAX: usize = 8;

/// When the next filter of each agent runs out.
pub(super) type Ends = BTreeSet<(Instant, u32)>;

impl Allocator {
    pub(super) fn add_filter(&mut self, at: u32, client: u32, what: Resources, until: Instant) {
        let revived = self.revived(client);
        let place = &mut self.places[at as usize];
        let first = place.rest.filters.partition_point(|filter| filter.client < client);
        let end = first + place.filters_of(client).len();
        let mut added = 1;
        // Those from before a revival are void, and so is what is refused for longer by now.
        let mut kept: Vec<Filter> = place.rest.filters.drain(first..end).collect();
        kept.retain(|filter| {
            let counts = filter.revived == revived;
            let covered = what.contains(&filter.what) && filter.until <= until;
            added -= isize::from(counts && covered);
            counts && !covered
        });
        let before = end - first;
        kept.push(Filter { client, revived, until, what });
        if kept.len() > EACH_MAX {
            let soonest = (0..kept.len()).min_by_key(|n| kept[*n].until);
            soonest.map(|n| kept.swap_remove(n));
            added -= 1;
        }
        self.stored = self.stored + kept.len() - before;
        place.rest.filters.splice(first..first, kept);
        self.count_filters(client, added);
        let place = &self.places[at as usize];
        if place.rest.first_end.is_none_or(|end| until < end) {
            self.set_first_end(at, Some(until));
        }
        self.bound_filters();
    }

    /// How often what a client of this number refused was forgotten; filters from before are void.
    fn revived(&self, client: u32) -> u32 {
        self.revivals.get(client as usize).copied().unwrap_or(0)
    }

    fn count_filters(&mut self, client: u32, more: isize) {
        if let Some(entry) = self.client_mut(client) {
            entry.filters = entry.filters.saturating_add_signed(more);
        }
        self.settle_fickle(client);
    }

    pub(super) fn set_first_end(&mut self, at: u32, end: Option<Instant>) {
        let place = &mut self.places[at as usize];
        if let Some(before) = std::mem::replace(&mut place.rest.first_end, end) {
            self.ends.remove(&(before, at));
        }
        self.ends.extend(end.map(|end| (end, at)));
    }

    /// There is a limit: whoever would run out first makes room. Those that are void by now need room, too.
    fn bound_filters(&mut self) {
        while self.stored > self.config.refusals_max {
            let Some((end, at)) = self.ends.first().copied() else { return };
            self.expire_at(at, end);
        }
    }

    /// Drops what has run out, and looks again at where it was.
    pub(super) fn expire_filters(&mut self, now: Instant) {
        if self.config.bugs.has(Bug::FilterNeverExpires) {
            return;
        }
        while let Some((_, at)) = self.ends.first().copied().filter(|(end, _)| *end <= now) {
            self.expire_at(at, now);
        }
    }

    fn expire_at(&mut self, at: u32, now: Instant) {
        let mut all = std::mem::take(&mut self.places[at as usize].rest.filters);
        let mut first_end = None;
        self.stored -= all.len();
        all.retain(|filter| {
            let counts = self.revived(filter.client) == filter.revived;
            if counts && filter.until <= now {
                self.count_filters(filter.client, -1);
                self.places[at as usize].look_again_for(filter.client);
            }
            let keeps = counts && filter.until > now;
            if keeps {
                first_end =
                    Some(first_end.map_or(filter.until, |end: Instant| end.min(filter.until)));
            }
            keeps
        });
        self.stored += all.len();
        self.places[at as usize].rest.filters = all;
        self.set_first_end(at, first_end);
        self.look_at(at);
    }

    /// An agent came back. If it is as it was, what was refused there still is; what is more or other than before was not.
    pub(super) fn bring_filters_back(&mut self, at: u32) {
        let place = &self.places[at as usize];
        let Some(away) = self.away.remove(&place.agent) else { return };
        let Rest { total, filters, .. } = *away.place.rest;
        if total != place.rest.total {
            return filters.iter().for_each(|filter| self.drop_filter(filter));
        }
        let first_end = filters.iter().map(|filter| filter.until).min();
        self.places[at as usize].rest.filters = filters;
        self.set_first_end(at, first_end);
    }

    /// An agent does not come back.
    pub(super) fn forget_away(&mut self, agent: &AgentId) {
        self.lose_away(agent);
        let filters = self.away.remove(agent).map(|away| away.place.rest.filters);
        filters.iter().flatten().for_each(|filter| self.drop_filter(filter));
    }

    fn drop_filter(&mut self, filter: &Filter) {
        self.stored -= 1;
        if self.revived(filter.client) == filter.revived {
            self.count_filters(filter.client, -1);
        }
    }

    /// All that a client refused is void; it is dropped when somebody comes by.
    pub(super) fn drop_filters_of_client(&mut self, client: u32) {
        let Some(entry) = self.client_mut(client) else { return };
        entry.filters = 0;
        self.fickle.remove(client);
        let at = client as usize;
        if self.revivals.len() <= at {
            self.revivals.resize(at + 1, 0);
        }
        self.revivals[at] = self.revivals[at].wrapping_add(1);
        self.look_everywhere_for(client);
    }

    /// Until when a client wants nothing of this, if it refused as much or more.
    pub(super) fn refused_until(
        &self,
        now: Instant,
        place: &Place,
        client: u32,
        what: &Resources,
    ) -> Option<Instant> {
        self.client(client).filter(|entry| entry.filters > 0)?;
        if self.config.bugs.has(Bug::RefusalIgnored) {
            return None;
        }
        let revived = self.revived(client);
        let for_ever = self.config.bugs.has(Bug::FilterNeverExpires);
        let counts = |filter: &&Filter| {
            filter.revived == revived
                && (filter.until > now || for_ever)
                && filter.what.contains(what)
        };
        place.filters_of(client).iter().filter(counts).map(|filter| filter.until).max()
    }

    /// How many refusals count, by role.
    pub fn filters_by_role(&self) -> BTreeMap<Role, usize> {
        let mut all = BTreeMap::new();
        for client in self.clients.iter().flatten().filter(|client| client.acts) {
            *all.entry(client.role.clone()).or_default() += client.filters;
        }
        all
    }
}
