//! Offers: made of the allocator's proposals, held until answered, rescinded or run out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use protocol::change::What;
use protocol::framework::MasterToFramework;
use protocol::ids::{AgentId, FrameworkId, OfferId, Role};
use protocol::offer::Offer;
use protocol::resources::Resources;
use protocol::time::Instant;
use serde::{Deserialize, Serialize};

use super::allocator::{BookEntry, Proposal, Proposals};
use super::bugs::Bug;
use super::numbered::Numbered;
use super::{Master, Timer, Turn};

/// For how long what could not be delivered is not offered to the same framework again.
const UNDELIVERED_REFUSED_FOR: Duration = Duration::from_secs(1);

/// About so many bytes of offers are one message at most, a sixteenth of what it may be; an offer that is larger has one of its own.
const MESSAGE_BYTES: usize = 4 << 20;

/// All open offers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Offers {
    /// The number of the newest.
    made: u64,
    /// All have leases of one length: the oldest ends first.
    open: Numbered<OpenOffer>,
    /// Whether [`Timer::Leases`] is under way: one for all.
    timer_runs: bool,
    /// Rescinded, and yet accepted by a deliberate bug.
    ghosts: BTreeMap<u64, OpenOffer>,
}

/// An open offer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OpenOffer {
    pub(super) proposal: u64,
    pub(super) agent: AgentId,
    pub(super) framework: FrameworkId,
    pub(super) role: Role,
    pub(super) resources: Resources,
    since: Instant,
    lease_ends: Instant,
}

impl OpenOffer {
    /// For readers.
    pub(super) fn leased(&self, offer: Arc<Offer>) -> What {
        What::OfferLeased { offer, since: self.since, ends: Some(self.lease_ends) }
    }
}

/// Offers of one framework, in as many messages as it takes: a whole cluster is more than one may be.
#[derive(Default)]
struct Parts {
    all: Vec<Vec<Arc<Offer>>>,
    /// Of the last one.
    bytes: usize,
}

impl Parts {
    /// One more, of about so many bytes. Room is made for as many as `most`.
    fn push(&mut self, offer: Arc<Offer>, more: usize, most: usize) {
        if self.all.is_empty() || self.bytes + more > MESSAGE_BYTES {
            self.all.push(Vec::with_capacity(most));
            self.bytes = 0;
        }
        self.bytes += more;
        if let Some(part) = self.all.last_mut() {
            part.push(offer);
        }
    }
}

impl Offers {
    pub(super) fn open(&self) -> impl Iterator<Item = (u64, &OpenOffer)> {
        self.open.iter()
    }

    pub(super) fn find(&self, number: u64) -> Option<&OpenOffer> {
        self.open.get(number).or_else(|| self.ghosts.get(&number))
    }

    fn due(&self, now: Instant) -> impl Iterator<Item = (u64, &OpenOffer)> {
        self.open.iter().take_while(move |(_, offer)| offer.lease_ends <= now)
    }

    /// Whether the oldest ends first, and something ends it.
    pub(super) fn leases_ascend(&self) -> bool {
        self.open.iter().map(|(_, offer)| offer.lease_ends).is_sorted()
            && (self.open.is_empty() || self.timer_runs)
    }
}

impl Master {
    /// What still holds is offered; the rest is returned to the allocator. One message for each framework, unless they are very many.
    pub(super) fn on_proposed(&mut self, turn: &mut Turn, proposals: Vec<Proposals>) {
        let mut told: BTreeMap<FrameworkId, Parts> = BTreeMap::new();
        let mut returned = Vec::new();
        let count = proposals.iter().map(|proposals| proposals.all.len()).sum();
        self.offers.open.reserve(count);
        // The offers, and the books of their agents.
        turn.what.reserve(2 * count);
        for Proposals { framework, role, all } in proposals {
            self.proposed = all.iter().map(|one| one.number).fold(self.proposed, u64::max);
            let before = self.offers.made;
            let room = self.room_for_offers(&framework, &role) as u64;
            let (mut parts, most) = (told.remove(&framework).unwrap_or_default(), all.len());
            for proposal in all {
                if self.offers.made - before < room && self.still_holds(&proposal) {
                    let (offer, bytes) = self.open_offer(turn, &framework, &role, proposal);
                    parts.push(offer, bytes, most);
                } else {
                    returned.push(proposal.number);
                }
            }
            if let Some(entry) = self.frameworks.get_mut(&framework) {
                entry.offers.extend(before + 1..=self.offers.made);
            }
            told.insert(framework, parts);
        }
        if !returned.is_empty() {
            turn.entries.push(BookEntry::Returned(returned));
        }
        for (framework, Parts { all, .. }) in told {
            if let Some(pid) = self.scheduler(&framework) {
                all.into_iter().for_each(|part| turn.tell_framework(pid, self.offers_told(part)));
            }
        }
    }

    /// How many more offers a framework may hold, if it takes any for a role.
    fn room_for_offers(&self, framework: &FrameworkId, role: &Role) -> usize {
        let most = self.config.offers_per_framework_max;
        let framework = self.frameworks.get(framework);
        let framework = framework.filter(|framework| framework.takes_offers_for(role));
        framework.map_or(0, |framework| most.saturating_sub(framework.offers.len()))
    }

    fn still_holds(&self, proposal: &Proposal) -> bool {
        let Some(agent) = self.agents.at(proposal.slot).filter(|agent| agent.is_active()) else {
            return false;
        };
        if agent.generation != proposal.generation {
            return self.config.bugs.has(Bug::StaleProposalAccepted);
        }
        agent.book.has_free(&proposal.resources)
    }

    fn open_offer(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        role: &Role,
        proposal: Proposal,
    ) -> (Arc<Offer>, usize) {
        let Proposal { number: proposal, agent, slot, resources, .. } = proposal;
        self.offers.made += 1;
        let number = self.offers.made;
        let (framework, role) = (framework.clone(), role.clone());
        let since = turn.now.steady;
        let lease_ends = since + self.config.offer_lease;
        let open = OpenOffer { proposal, agent, framework, role, resources, since, lease_ends };
        let (_, agent) = self.agents.at_mut(slot).expect("what still holds has an agent");
        agent.book.offers.push(number);
        agent.book.offered.add(&open.resources);
        turn.book_of(agent);
        let agent = self.agents.at(slot).expect("it was just there");
        let offer = Arc::new(self.offer_of(number, &open, agent));
        let bytes = agent.sizes.of_offer(&agent.book.total, &offer);
        turn.what.push(open.leased(offer.clone()));
        self.offers.open.insert(number, open);
        if !self.offers.timer_runs {
            self.offers.timer_runs = true;
            turn.start(Timer::Leases, self.config.offer_lease);
        }
        (offer, bytes)
    }

    /// An offer leaves all books. Who calls tells the allocator what became of its resources.
    pub(super) fn close_offer(&mut self, turn: &mut Turn, number: u64) -> Option<OpenOffer> {
        let Some(offer) = self.offers.open.remove(number) else {
            return self.offers.ghosts.remove(&number);
        };
        if let Some(agent) = self.agents.get_mut(&offer.agent) {
            agent.book.offers.retain(|open| *open != number);
            let left = agent.book.offered.checked_sub(&offer.resources);
            let left = left
                .or_else(|| self.config.bugs.has(Bug::StaleProposalAccepted).then(Resources::none));
            agent.book.offered = left.expect("an open offer's resources are in its agent's book");
            turn.book_of(agent);
        }
        if let Some(framework) = self.frameworks.get_mut(&offer.framework) {
            framework.offers.remove(&number);
        }
        turn.what.push(What::OfferEnded(self.offer_id(number)));
        Some(offer)
    }

    /// Offers end unused, and nobody is told but the allocator. Their ids come back, for who wants to tell.
    pub(super) fn end_offers(
        &mut self,
        turn: &mut Turn,
        numbers: &BTreeSet<u64>,
        refuse_for: Duration,
    ) -> Vec<OfferId> {
        let mut ended = Vec::new();
        for number in numbers {
            if let Some(offer) = self.close_offer(turn, *number) {
                turn.entries.push(BookEntry::Ended {
                    proposals: vec![offer.proposal],
                    used: Resources::none(),
                    refuse_for,
                });
                ended.push(self.offer_id(*number));
            }
        }
        ended
    }

    /// Offers end unused, and their frameworks are told.
    pub(super) fn rescind(
        &mut self,
        turn: &mut Turn,
        numbers: &BTreeSet<u64>,
        refuse_for: Duration,
    ) {
        let mut told: BTreeMap<FrameworkId, Vec<OfferId>> = BTreeMap::new();
        for number in numbers {
            if let Some(offer) = self.offers.open.get(*number).cloned() {
                told.entry(offer.framework.clone()).or_default().push(self.offer_id(*number));
                if self.config.bugs.has(Bug::RescindedOfferStillAccepted) {
                    self.offers.ghosts.insert(*number, offer);
                }
            }
        }
        self.end_offers(turn, numbers, refuse_for);
        for (framework, offers) in told {
            if let Some(pid) = self.scheduler(&framework) {
                turn.tell_framework(pid, MasterToFramework::Rescinded(offers));
            }
        }
    }

    /// Before anything else is told of the agent, so that no framework launches on one that it knows to be lost.
    pub(super) fn rescind_all_of_agent(&mut self, turn: &mut Turn, agent: &AgentId) {
        if let Some(agent) = self.agents.get(agent) {
            let numbers = agent.book.offers.iter().copied().collect();
            self.rescind(turn, &numbers, Duration::ZERO);
        }
    }

    /// Offers whose lease has ended, and who holds them.
    pub fn overdue(&self, now: Instant) -> Vec<(OfferId, FrameworkId)> {
        let due = self.offers.due(now);
        due.map(|(number, offer)| (self.offer_id(number), offer.framework.clone())).collect()
    }

    /// What its framework did not answer in time is offered to others.
    pub(super) fn on_leases(&mut self, turn: &mut Turn) {
        let now = turn.now.steady;
        let mut due: BTreeSet<u64> = self.offers.due(now).map(|(number, _)| number).collect();
        if self.config.bugs.has(Bug::LeaseNeverEnds) {
            due.clear();
        }
        self.rescind(turn, &due, Duration::ZERO);
        let next = self.offers.open().next().map(|(_, offer)| offer.lease_ends);
        self.offers.timer_runs = next.is_some();
        if let Some(next) = next {
            turn.start(Timer::Leases, next.since(now));
        }
    }

    /// The scheduler never heard of these.
    pub(super) fn take_back_untold(&mut self, turn: &mut Turn, numbers: BTreeSet<u64>) {
        self.end_offers(turn, &numbers, UNDELIVERED_REFUSED_FOR);
    }

    pub(super) fn on_decline(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        offers: &[OfferId],
        refuse_for: Duration,
    ) {
        // One that is not the framework's any more has crossed its rescission.
        let mine = offers.iter().filter_map(|id| self.offer_number(id)).filter(|number| {
            self.offers.find(*number).is_some_and(|offer| offer.framework == *framework)
        });
        let mine = mine.collect();
        self.end_offers(turn, &mine, self.refusal(refuse_for));
    }

    /// For how long a refusal counts. One that is over before the next sweep would be none; and none is wanted by whoever names
    /// no time.
    pub(super) fn refusal(&self, refuse_for: Duration) -> Duration {
        if refuse_for.is_zero() {
            return refuse_for;
        }
        refuse_for.max(self.config.allocator.sweep_every).min(self.config.refuse_max)
    }
}

#[cfg(test)]
mod tests {
    use protocol::resources::Ranges;

    use super::*;
    use crate::sizes;

    #[test]
    fn offers_are_told_in_parts_that_fit_into_messages() {
        let ports = |pieces: u64| Ranges::new((0..pieces).map(|n| (2 * n, 2 * n)));
        let offer = |n: usize, pieces| {
            let resources = Resources::none().with_ranges("ports", ports(pieces));
            let (offer, agent) = (OfferId::new(n.to_string()), AgentId::new("a"));
            Arc::new(Offer::plain(offer, FrameworkId::new("f"), agent, resources))
        };
        let pieces = [30_000, 30_000, 30_000, 65_536, 1, 1];
        let offers: Vec<_> =
            pieces.into_iter().enumerate().map(|(n, pieces)| offer(n, pieces)).collect();
        let mut parts = Parts::default();
        let bytes = |offer| sizes::OfAgent::default().of_offer(&Resources::none(), offer);
        offers.iter().for_each(|offer| parts.push(offer.clone(), bytes(offer), offers.len()));
        let parts = parts.all;
        let lengths: Vec<usize> = parts.iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1, 1, 2]);
        assert_eq!(parts.concat(), offers);
        for part in parts {
            let message = MasterToFramework::Offers(part);
            let bytes = libactor::wire::encode(&message, 64 << 20).expect("it fits").len();
            assert!(bytes < 2 * MESSAGE_BYTES, "{bytes}");
        }
    }
}
