//! Who holds which offers, since when, and until when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::ids::{FrameworkId, OfferId};
use protocol::offer::Offer;
use protocol::operator::{OfferView, ReadAnswer};
use protocol::time::Instant;

use super::View;
use super::page::{Page, behind};
use crate::sizes;

/// An offer that is not answered.
#[derive(Clone, Debug)]
pub(super) struct HeldOffer {
    pub(super) offer: Arc<Offer>,
    pub(super) since: Instant,
    /// When it is taken back, if ever.
    pub(super) ends: Option<Instant>,
}

/// What one framework holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Holding {
    pub(super) offers: u64,
    /// For how long it has held the oldest of them.
    pub(super) oldest: Duration,
}

impl View {
    /// How long it is held is told next.
    pub(super) fn on_offer(&mut self, offer: Arc<Offer>) {
        if let Some(framework) = self.framework(&offer.framework) {
            framework.offered.add(&offer.resources);
        }
        let id = offer.offer.clone();
        self.offers.insert(id, HeldOffer { offer, since: self.now.steady, ends: None });
    }

    pub(super) fn on_offer_ended(&mut self, offer: &OfferId) {
        if let Some(held) = self.offers.take(offer)
            && let Some(framework) = self.framework(&held.offer.framework)
        {
            let left = framework.offered.checked_sub(&held.offer.resources);
            framework.offered = left.unwrap_or_default();
        }
    }

    /// Offers by id.
    pub(super) fn offers_behind(&self, last: Option<&OfferId>) -> ReadAnswer {
        let all = behind(&self.offers, last).map(|(offer, held)| OfferView {
            offer: offer.clone(),
            framework: held.offer.framework.clone(),
            agent: held.offer.agent.clone(),
            hostname: held.offer.at.hostname.clone(),
            role: held.offer.role.clone(),
            resources: held.offer.resources.clone(),
            held_for: self.now.steady.since(held.since),
            lasts_for: held.ends.map(|ends| ends.since(self.now.steady)),
        });
        Page::of(all, size_of_offer).answer(ReadAnswer::Offers, ReadAnswer::SomeOffers)
    }

    /// What those hold who hold anything.
    pub(super) fn holdings(&self) -> BTreeMap<&FrameworkId, Holding> {
        let mut all: BTreeMap<&FrameworkId, Holding> = BTreeMap::new();
        for held in self.offers.values() {
            let holding = all.entry(&held.offer.framework).or_default();
            holding.offers += 1;
            holding.oldest = holding.oldest.max(self.now.steady.since(held.since));
        }
        all
    }
}

fn size_of_offer(offer: &OfferView) -> usize {
    let words = [offer.hostname.as_str(), offer.role.as_str(), offer.framework.as_str()];
    sizes::OF_THE_REST
        + words.map(str::len).iter().sum::<usize>()
        + sizes::of_resources(&offer.resources)
}
