//! Frameworks, and the offers that they hold: who keeps resources from others, and for how long.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::change::FrameworkState;
use protocol::ids::FrameworkId;
use protocol::operator::{FrameworkView, OfferView};
use serde::Serialize;
use serde_json::Map;

use super::resources_json;
use crate::output::table;

/// What frameworks hold, oldest first; `None`: the master does not say.
pub(crate) struct Held(Option<BTreeMap<FrameworkId, Vec<OfferView>>>);

impl Held {
    pub(crate) fn of(offers: Option<Vec<OfferView>>) -> Self {
        let by_framework = |offers: Vec<OfferView>| {
            let mut all: BTreeMap<FrameworkId, Vec<OfferView>> = BTreeMap::new();
            for offer in offers {
                all.entry(offer.framework.clone()).or_default().push(offer);
            }
            for held in all.values_mut() {
                held.sort_by_key(|offer| std::cmp::Reverse(offer.held_for));
            }
            all
        };
        Self(offers.map(by_framework))
    }

    fn by(&self, framework: &FrameworkId) -> Option<&[OfferView]> {
        let all = self.0.as_ref()?;
        Some(all.get(framework).map_or(&[], Vec::as_slice))
    }
}

fn state(state: FrameworkState) -> &'static str {
    match state {
        FrameworkState::Active => "active",
        FrameworkState::Suppressed => "suppressed",
        FrameworkState::Disconnected => "disconnected",
        FrameworkState::Recovered => "recovered",
        FrameworkState::Removed => "removed",
    }
}

/// In the two units that matter.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

fn lease(offer: &OfferView) -> String {
    offer.lasts_for.map_or_else(|| "-".to_owned(), span)
}

/// The table of `airside frameworks`.
pub(crate) fn frameworks_table(frameworks: &[FrameworkView], held: &Held) -> String {
    let rows = frameworks.iter().map(|framework| {
        let offers = held.by(&framework.info.framework);
        let oldest = offers.and_then(<[_]>::first);
        vec![
            framework.info.framework.to_string(),
            framework.info.name.clone(),
            state(framework.state).into(),
            framework.info.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(","),
            framework.info.user.clone(),
            framework.tasks.to_string(),
            framework.used.cpus().to_string(),
            framework.used.mem().to_string(),
            offers.map_or_else(|| "?".to_owned(), |offers| offers.len().to_string()),
            oldest.map_or_else(|| "-".to_owned(), |oldest| span(oldest.held_for)),
            oldest.map_or_else(|| "-".to_owned(), lease),
        ]
    });
    let head = [
        "FRAMEWORK",
        "NAME",
        "STATE",
        "ROLES",
        "USER",
        "TASKS",
        "CPUS",
        "MEM MB",
        "OFFERS",
        "OLDEST",
        "LEASE LEFT",
    ];
    table(&head, rows)
}

/// The table of `airside frameworks --offers`.
pub(crate) fn offers_table(frameworks: &[FrameworkView], held: &Held) -> String {
    let of = |framework: &FrameworkView| {
        let offers = held.by(&framework.info.framework).unwrap_or_default();
        let name = framework.info.name.clone();
        let rows = offers.iter().map(move |offer| {
            vec![
                offer.framework.to_string(),
                name.clone(),
                offer.role.to_string(),
                offer.offer.to_string(),
                offer.agent.to_string(),
                offer.hostname.clone(),
                span(offer.held_for),
                lease(offer),
                offer.resources.to_string(),
            ]
        });
        rows.collect::<Vec<_>>()
    };
    let head =
        ["FRAMEWORK", "NAME", "ROLE", "OFFER", "AGENT", "HOST", "HELD", "LEASE LEFT", "RESOURCES"];
    table(&head, frameworks.iter().flat_map(of))
}

/// A framework in JSON.
#[derive(Serialize)]
pub(crate) struct FrameworkJson {
    id: String,
    name: String,
    state: &'static str,
    user: String,
    roles: Vec<String>,
    hostname: String,
    tasks: u32,
    used: Map<String, serde_json::Value>,
    offered: Map<String, serde_json::Value>,
    /// `null`: the master does not say.
    open_offers: Option<usize>,
    oldest_offer_seconds: Option<f64>,
    oldest_offer_lease_seconds: Option<f64>,
    /// Only if they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    offers: Option<Vec<OfferJson>>,
}

/// An offer in JSON.
#[derive(Serialize)]
struct OfferJson {
    id: String,
    agent: String,
    hostname: String,
    role: String,
    resources: Map<String, serde_json::Value>,
    held_seconds: f64,
    /// `null`: until it is answered.
    lease_seconds: Option<f64>,
}

impl FrameworkJson {
    pub(crate) fn of(framework: &FrameworkView, held: &Held, each: bool) -> Self {
        let offers = held.by(&framework.info.framework);
        let oldest = offers.and_then(<[_]>::first);
        let seconds = |lasts_for: Duration| lasts_for.as_secs_f64();
        let listed = offers.filter(|_| each);
        Self {
            id: framework.info.framework.to_string(),
            name: framework.info.name.clone(),
            state: state(framework.state),
            user: framework.info.user.clone(),
            roles: framework.info.roles.iter().map(ToString::to_string).collect(),
            hostname: framework.info.hostname.clone(),
            tasks: framework.tasks,
            used: resources_json(&framework.used),
            offered: resources_json(&framework.offered),
            open_offers: offers.map(<[_]>::len),
            oldest_offer_seconds: oldest.map(|oldest| oldest.held_for.as_secs_f64()),
            oldest_offer_lease_seconds: oldest.and_then(|oldest| oldest.lasts_for).map(seconds),
            offers: listed.map(|offers| offers.iter().map(OfferJson::from).collect()),
        }
    }
}

impl From<&OfferView> for OfferJson {
    fn from(offer: &OfferView) -> Self {
        Self {
            id: offer.offer.to_string(),
            agent: offer.agent.to_string(),
            hostname: offer.hostname.clone(),
            role: offer.role.to_string(),
            resources: resources_json(&offer.resources),
            held_seconds: offer.held_for.as_secs_f64(),
            lease_seconds: offer.lasts_for.map(|lasts_for| lasts_for.as_secs_f64()),
        }
    }
}
