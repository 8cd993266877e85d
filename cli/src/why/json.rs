//! The answer in JSON, with names of its own.

use protocol::operator::TaskView;
use protocol::why::{OfferWhy, RoleWhy, WantWhy};
use serde::Serialize;

use crate::lists::task_state;

#[derive(Serialize)]
pub(super) struct TaskJson {
    task: String,
    framework: String,
    agent: String,
    state: &'static str,
    reason: Option<String>,
    message: Option<String>,
}

impl TaskJson {
    pub(super) fn of(task: &TaskView) -> Self {
        let last = task.statuses.last();
        Self {
            task: task.report.spec.task.to_string(),
            framework: task.report.framework.to_string(),
            agent: task.report.agent.to_string(),
            state: task_state(task.report.state),
            reason: last.and_then(|last| last.reason).map(|reason| format!("{reason:?}")),
            message: last.map(|last| last.message.clone()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct RoleJson {
    role: String,
    /// Of the cluster, dominant.
    share: f64,
    holds: String,
    quiet: Option<String>,
    wants: Vec<WantJson>,
    /// How much it waits for in all.
    wants_of: u32,
    /// Offers that it has not answered.
    open_offers: u32,
    /// Oldest first.
    offers: Vec<OfferJson>,
}

#[derive(Serialize)]
struct OfferJson {
    agent: String,
    hostname: String,
    resources: String,
    held_seconds: f64,
}

#[derive(Serialize)]
struct WantJson {
    each: Option<String>,
    count: Option<u32>,
    promised: u32,
    agents: u32,
    causes: Vec<CauseJson>,
    by_agent: Vec<AgentJson>,
}

#[derive(Serialize)]
struct CauseJson {
    kind: &'static str,
    words: String,
    agents: u32,
}

#[derive(Serialize)]
struct AgentJson {
    agent: String,
    hostname: String,
    kind: &'static str,
    words: String,
}

impl From<&RoleWhy> for RoleJson {
    fn from(why: &RoleWhy) -> Self {
        Self {
            role: why.role.to_string(),
            share: f64::from(why.share) / 1000.0,
            holds: why.holds.to_string(),
            quiet: why.quiet.map(|quiet| quiet.to_string()),
            wants: why.wants.iter().map(WantJson::from).collect(),
            wants_of: why.wants_of,
            open_offers: why.offers_of,
            offers: why.offers.iter().map(OfferJson::from).collect(),
        }
    }
}

impl From<&OfferWhy> for OfferJson {
    fn from(offer: &OfferWhy) -> Self {
        Self {
            agent: offer.agent.to_string(),
            hostname: offer.hostname.clone(),
            resources: offer.resources.to_string(),
            held_seconds: offer.held_for.as_secs_f64(),
        }
    }
}

impl From<&WantWhy> for WantJson {
    fn from(want: &WantWhy) -> Self {
        let causes = want.causes.iter().map(|(cause, agents)| CauseJson {
            kind: cause.kind(),
            words: cause.to_string(),
            agents: *agents,
        });
        let by_agent = want.agents.iter().map(|(agent, hostname, cause)| AgentJson {
            agent: agent.to_string(),
            hostname: hostname.clone(),
            kind: cause.kind(),
            words: cause.to_string(),
        });
        Self {
            each: want.demand.as_ref().map(|demand| demand.each.to_string()),
            count: want.demand.as_ref().map(|demand| demand.count),
            promised: want.promised,
            agents: want.of,
            causes: causes.collect(),
            by_agent: by_agent.collect(),
        }
    }
}
