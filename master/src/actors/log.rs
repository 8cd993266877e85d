//! What of a master's changes is said in its log: facts that an operator asks for later.

use protocol::change::{AgentNews, What};
use protocol::quota::Quota;

pub(super) fn log(what: &What) {
    match what {
        What::Agent { agent, info, state } => {
            tracing::info!(%agent, hostname = %info.at.hostname, resources = %info.resources, ?state, "agent");
        }
        What::AgentState { agent, state } => tracing::info!(%agent, ?state, "agent"),
        What::AgentDomain { agent, domain } => tracing::info!(%agent, %domain, "agent"),
        What::Framework { info, state } => {
            tracing::info!(framework = %info.framework, name = %info.name, ?state, "framework");
        }
        What::FrameworkState { framework, state } => {
            tracing::info!(%framework, ?state, "framework")
        }
        What::AgentNews { agent, news: AgentNews::DomainUnfit } => tracing::warn!(
            %agent,
            "the agent is back and has to wait: it says where it is and this master does not, or the other way round; start all \
             masters with the same --domain and --require_agent_domain"
        ),
        What::AgentNews { agent, news } => tracing::info!(%agent, ?news, "agent"),
        What::AgentBook { .. }
        | What::OfferMade(_)
        | What::OfferLeased { .. }
        | What::OfferEnded(_) => (),
        What::Task(_) | What::TaskStatus(_) | What::TaskForgotten { .. } => (),
        What::ExecutorBooked { .. } | What::ExecutorUnbooked { .. } => (),
        What::OfferConstraints { .. } => (),
        What::Quotas(quotas) => quotas.iter().for_each(|(role, Quota { guarantees, limits })| {
            tracing::info!(%role, %guarantees, %limits, "quota");
        }),
        What::Weights(weights) => weights.iter().for_each(|(role, weight)| {
            tracing::info!(%role, %weight, "weight");
        }),
    }
}
