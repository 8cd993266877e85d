//! Offers: made of the allocator's proposals, held until answered, rescinded or run out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::change::What;
use protocol::framework::MasterToFramework;
use protocol::ids::{AgentId, FrameworkId, OfferId, Role};
use protocol::offer::Offer;
use protocol::resources::Resources;
use protocol::time::Instant;
use serde::{Deserialize, Serialize};

use super::allocator::{BookEntry, Proposal};
use super::bugs::Bug;
use super::{Master, Timer, Turn};

/// For how long what could not be delivered is not offered to the same framework again.
const UNDELIVERED_REFUSED_FOR: Duration = Duration::from_secs(1);

/// All open offers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Offers {
    /// The number of the newest.
    made: u64,
    open: BTreeMap<u64, OpenOffer>,
    /// By the end of their lease.
    leases: BTreeSet<(Instant, u64)>,
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
    lease_ends: Instant,
}

impl Offers {
    pub(super) fn open(&self) -> impl Iterator<Item = (u64, &OpenOffer)> {
        self.open.iter().map(|(number, offer)| (*number, offer))
    }

    pub(super) fn find(&self, number: u64) -> Option<&OpenOffer> {
        self.open.get(&number).or_else(|| self.ghosts.get(&number))
    }

    /// Whether the lease index says what the offers say.
    pub(super) fn leases_agree(&self) -> bool {
        let listed = self.open.iter().map(|(number, offer)| (offer.lease_ends, *number));
        listed.collect::<BTreeSet<_>>() == self.leases
            && (self.leases.is_empty() || self.timer_runs)
    }
}

impl Master {
    /// What still holds is offered; the rest is returned to the allocator. One message for each framework.
    pub(super) fn on_proposed(&mut self, turn: &mut Turn, proposals: Vec<Proposal>) {
        let mut told: BTreeMap<FrameworkId, Vec<Offer>> = BTreeMap::new();
        let mut returned = Vec::new();
        for proposal in proposals {
            self.proposed = self.proposed.max(proposal.number);
            if self.still_holds(&proposal) {
                let offer = self.open_offer(turn, proposal);
                told.entry(offer.framework.clone()).or_default().push(offer);
            } else {
                returned.push(proposal);
            }
        }
        if !returned.is_empty() {
            turn.entries.push(BookEntry::Returned(returned));
        }
        for (framework, offers) in told {
            if let Some(pid) = self.scheduler(&framework) {
                turn.tell_framework(pid, self.offers_told(offers));
            }
        }
    }

    fn still_holds(&self, proposal: &Proposal) -> bool {
        let Some(agent) = self.agents.get(&proposal.agent).filter(|agent| agent.is_active()) else {
            return false;
        };
        let Some(framework) = self.frameworks.get(&proposal.framework) else { return false };
        if !framework.takes_offers_for(&proposal.role)
            || framework.offers.len() >= self.config.offers_per_framework_max
        {
            return false;
        }
        if agent.generation != proposal.generation {
            return self.config.bugs.has(Bug::StaleProposalAccepted);
        }
        agent.book.free().contains(&proposal.resources)
    }

    fn open_offer(&mut self, turn: &mut Turn, proposal: Proposal) -> Offer {
        let Proposal { number: proposal, agent: id, framework, role, resources, .. } = proposal;
        let agent = self.agents.get_mut(&id).expect("a proposal that still holds has an agent");
        self.offers.made += 1;
        let number = self.offers.made;
        agent.book.offers.insert(number);
        agent.book.offered.add(&resources);
        turn.books.insert(id.clone());
        let executors = agent.book.executors_of(&framework);
        let offer = Offer {
            offer: OfferId::new(format!("{}-O{number}", self.identity)),
            framework: framework.clone(),
            agent: id.clone(),
            at: agent.info.at.clone(),
            role: role.clone(),
            resources: resources.clone(),
            attributes: agent.info.attributes.clone(),
            executors: executors.filter(|(_, e)| !e.ended).map(|(id, _)| id.clone()).collect(),
        };
        if let Some(framework) = self.frameworks.get_mut(&framework) {
            framework.offers.insert(number);
        }
        let lease_ends = turn.now.steady + self.config.offer_lease;
        let open = OpenOffer { proposal, agent: id, framework, role, resources, lease_ends };
        self.offers.open.insert(number, open);
        self.offers.leases.insert((lease_ends, number));
        if !self.offers.timer_runs {
            self.offers.timer_runs = true;
            turn.start(Timer::Leases, self.config.offer_lease);
        }
        turn.what.push(What::OfferMade(offer.clone()));
        offer
    }

    /// An offer leaves all books. Who calls tells the allocator what became of its resources.
    pub(super) fn close_offer(&mut self, turn: &mut Turn, number: u64) -> Option<OpenOffer> {
        let Some(offer) = self.offers.open.remove(&number) else {
            return self.offers.ghosts.remove(&number);
        };
        self.offers.leases.remove(&(offer.lease_ends, number));
        if let Some(agent) = self.agents.get_mut(&offer.agent) {
            agent.book.offers.remove(&number);
            let left = agent.book.offered.checked_sub(&offer.resources);
            let left = left
                .or_else(|| self.config.bugs.has(Bug::StaleProposalAccepted).then(Resources::none));
            agent.book.offered = left.expect("an open offer's resources are in its agent's book");
            turn.books.insert(offer.agent.clone());
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
            if let Some(offer) = self.offers.open.get(number).cloned() {
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
        if let Some(numbers) = self.agents.get(agent).map(|agent| agent.book.offers.clone()) {
            self.rescind(turn, &numbers, Duration::ZERO);
        }
    }

    /// Offers whose lease has ended, and who holds them.
    pub fn overdue(&self, now: Instant) -> Vec<(OfferId, FrameworkId)> {
        let due = self.offers.leases.iter().take_while(|(end, _)| *end <= now);
        due.filter_map(|(_, number)| {
            let offer = self.offers.open.get(number)?;
            Some((self.offer_id(*number), offer.framework.clone()))
        })
        .collect()
    }

    /// What its framework did not answer in time is offered to others.
    pub(super) fn on_leases(&mut self, turn: &mut Turn) {
        let now = turn.now.steady;
        let due = self.offers.leases.iter().take_while(|(end, _)| *end <= now);
        let due: BTreeSet<u64> = due.map(|(_, number)| *number).collect();
        self.rescind(turn, &due, Duration::ZERO);
        self.offers.timer_runs = !self.offers.leases.is_empty();
        if let Some((first, _)) = self.offers.leases.first() {
            turn.start(Timer::Leases, first.since(now));
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
