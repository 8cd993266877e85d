//! Frameworks with the offers they hold, and those that were.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::api::v1;
use ::api::v1::framework_info::capability::Type as Capability;
use ::api::v1::master::response::{GetFrameworks, get_frameworks};
use protocol::change::FrameworkState;
use protocol::ids::FrameworkId;
use protocol::offer::Offer;
use protocol::resources::Resources;
use protocol::v1::{Form, constraints_to_v1, resources_to_endpoint, time_to_v1};

use super::super::{Framework, View};

/// Offers by who holds them.
pub(crate) type Held<'v> = BTreeMap<&'v FrameworkId, Vec<&'v Arc<Offer>>>;

/// Its scheduler is here.
pub(crate) fn is_connected(state: FrameworkState) -> bool {
    match state {
        FrameworkState::Active | FrameworkState::Suppressed => true,
        FrameworkState::Disconnected | FrameworkState::Recovered => false,
        FrameworkState::Removed => false,
    }
}

impl View {
    /// `GET_FRAMEWORKS`.
    pub(crate) fn get_frameworks(&self) -> GetFrameworks {
        let held = self.held_offers();
        let (mut here, mut completed) = (Vec::new(), Vec::new());
        for (id, framework) in self.frameworks.iter() {
            let list = if framework.is_removed() { &mut completed } else { &mut here };
            list.push(self.framework_to_v1(framework, held.get(id)));
        }
        GetFrameworks { frameworks: here, completed_frameworks: completed, ..Default::default() }
    }

    /// One of them.
    pub(super) fn one_framework(&self, id: &FrameworkId) -> Option<get_frameworks::Framework> {
        let framework = self.frameworks.get(id)?;
        let offers = self.offers.values().map(|held| &held.offer);
        let offers: Vec<_> = offers.filter(|offer| offer.framework == *id).collect();
        Some(self.framework_to_v1(framework, Some(&offers)))
    }

    /// What it says of agents; nothing of any role if it says nothing.
    pub(crate) fn constraints_of(&self, id: &FrameworkId) -> v1::scheduler::OfferConstraints {
        self.constraints.get(id).map(constraints_to_v1).unwrap_or_default()
    }

    pub(crate) fn held_offers(&self) -> Held<'_> {
        let mut held = Held::new();
        for offer in self.offers.values().map(|held| &held.offer) {
            held.entry(&offer.framework).or_default().push(offer);
        }
        held
    }

    fn framework_to_v1(
        &self,
        framework: &Framework,
        offers: Option<&Vec<&Arc<Offer>>>,
    ) -> get_frameworks::Framework {
        let times = &framework.times;
        let info = framework.info_to_v1();
        let has = |capability| info.capabilities.iter().any(|one| one.r#type() == capability);
        let form = Form {
            multi_role: has(Capability::MultiRole),
            refined: has(Capability::ReservationRefinement),
        };
        let offer_to_v1 = |offer: &&Arc<Offer>| offer.to_v1(form, self.domains.get(&offer.agent));
        get_frameworks::Framework {
            active: framework.state == FrameworkState::Active,
            connected: is_connected(framework.state),
            recovered: framework.state == FrameworkState::Recovered,
            registered_time: Some(time_to_v1(times.registered)),
            reregistered_time: times.reregistered.map(time_to_v1),
            unregistered_time: times.unregistered.map(time_to_v1),
            offers: offers.into_iter().flatten().map(offer_to_v1).collect(),
            allocated_resources: resources_to_endpoint(&framework.used()),
            offered_resources: resources_to_endpoint(&framework.offered),
            offer_constraints: Some(self.constraints_of(&framework.info.framework)),
            framework_info: info,
            ..Default::default()
        }
    }
}

impl Framework {
    pub(crate) fn is_removed(&self) -> bool {
        self.state == FrameworkState::Removed
    }

    /// What it says of itself; of what it only carries nothing, if that is none of its words.
    pub(crate) fn info_to_v1(&self) -> v1::FrameworkInfo {
        self.info.to_v1().unwrap_or_else(|_| v1::FrameworkInfo {
            id: Some(self.info.framework.to_v1()),
            name: self.info.name.clone(),
            user: self.info.user.clone(),
            ..Default::default()
        })
    }

    /// Held by its tasks and executors, each under its role.
    pub(crate) fn used(&self) -> Resources {
        let mut used = Resources::none();
        for report in self.live() {
            used.add(&report.spec.resources.allocated_to(&report.role));
        }
        for (role, resources) in self.executors.values() {
            used.add(&resources.allocated_to(role));
        }
        used
    }
}
