//! Where agents are. Their operators say it; the master says where it is itself, and which agents may be without a place. As Mesos
//! has it, an agent that says where it is needs a master that does, since nobody could say whether it is far.

use std::collections::BTreeMap;
use std::sync::Arc;

use libactor::Pid;
use protocol::change::{AgentNews, What};
use protocol::domain::BadDomain;
use protocol::framework::MasterToFramework;
use protocol::ids::AgentId;
use protocol::offer::Offer;
use protocol::wishes::FaultDomain;

use crate::config::Config;
use crate::logic::{Master, Turn};

/// More than any number of agents: who is told to come later is to wait for as long as any.
const MANY: usize = usize::MAX;

/// Why an agent may not be where it says, or where it does not say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// Names that are none.
    #[error("the agent's fault domain cannot be taken: {0}")]
    Bad(#[from] BadDomain),
    /// It cannot be said how far it is.
    #[error(
        "the agent says that it is in {0}, and this master does not say where it is itself: start all masters of the cluster \
         with --domain, or the agent without"
    )]
    OfMasterUnknown(FaultDomain),
    /// Every agent is to say where it is.
    #[error(
        "the agent does not say where it is, and this master takes only agents that do: start the agent with --domain, or all \
         masters of the cluster without --require_agent_domain"
    )]
    Missing,
}

pub(super) fn fits(domain: Option<&FaultDomain>, config: &Config) -> Result<(), Unfit> {
    match (domain, &config.domain) {
        (Some(domain), Some(_)) => Ok(domain.check()?),
        (Some(domain), None) => Err(Unfit::OfMasterUnknown(domain.clone())),
        (None, _) if config.require_agent_domain => Err(Unfit::Missing),
        (None, _) => Ok(()),
    }
}

impl Master {
    /// An agent that is a member may have been right for the master before, and be so for the next one: it is told to come later,
    /// and its tasks run on. The operator reads of it in the master's log.
    pub(super) fn put_off(&self, turn: &mut Turn, id: &AgentId, from: Pid) {
        turn.what.push(What::AgentNews { agent: id.clone(), news: AgentNews::DomainUnfit });
        self.tell_return_later(turn, from, MANY);
    }

    /// For readers, behind what the agent says of itself.
    pub(in crate::logic) fn domain_of(&self, id: &AgentId) -> Option<What> {
        let domain = self.agents.get(id)?.domain.clone()?;
        Some(What::AgentDomain { agent: id.clone(), domain })
    }

    /// Offers of one framework, with where their agents are.
    pub(in crate::logic) fn offers_told(&self, offers: Vec<Arc<Offer>>) -> MasterToFramework {
        let place = |offer: &Arc<Offer>| {
            let agent = self.agents.get(&offer.agent)?;
            Some((offer.agent.clone(), agent.domain.clone()?))
        };
        // Most clusters are in one place, and no agent says where it is to a master that does not.
        let domains: BTreeMap<_, _> = match self.config.domain {
            Some(_) => offers.iter().filter_map(place).collect(),
            None => BTreeMap::new(),
        };
        match domains.is_empty() {
            true => MasterToFramework::Offers(offers),
            false => MasterToFramework::OffersAt { offers, domains },
        }
    }
}
