//! All that readers may see, for a view that missed changes.

use protocol::change::{FrameworkState, What};
use protocol::offer::Offer;

use super::Master;
use super::agents::Agent;
use super::frameworks::Framework;
use super::offers::OpenOffer;

impl Master {
    /// Changes that lead to where the master is, from nothing: as far as [`Master::change`].
    pub fn snapshot(&self) -> Vec<What> {
        let shares = &self.registry.shares;
        let mut all =
            vec![What::Quotas(shares.quotas.clone()), What::Weights(shares.weights.clone())];
        for (id, agent) in self.agents.iter() {
            let (info, state) = (agent.info.clone().into(), agent.state());
            all.push(What::Agent { agent: id.clone(), info, state });
            all.extend(self.domain_of(id));
            let (used, offered) = (agent.book.used.clone(), agent.book.offered.clone());
            all.push(What::AgentBook { agent: id.clone(), used, offered });
        }
        for (id, framework) in &self.frameworks {
            let state = framework.state();
            let roles = framework.constraints();
            all.push(What::OfferConstraints { framework: id.clone(), roles });
            all.push(What::Framework { info: framework.info.clone().into(), state });
            if state == FrameworkState::Removed {
                all.push(What::FrameworkState { framework: id.clone(), state });
            }
            // An id may have been used again.
            let ended =
                framework.ended.all().filter(|end| !framework.tasks.contains_key(&end.task));
            all.extend(ended.map(|end| What::TaskForgotten {
                framework: id.clone(),
                task: end.task.clone(),
                state: end.state,
            }));
            all.extend(framework.tasks.values().map(|task| What::Task(task.report(id).into())));
        }
        for (id, agent) in self.agents.iter() {
            all.extend(agent.book.executors.iter().map(|((framework, executor), booked)| {
                What::ExecutorBooked {
                    agent: id.clone(),
                    framework: framework.clone(),
                    executor: executor.clone(),
                    role: booked.role.clone(),
                    resources: booked.spec.resources.clone(),
                }
            }));
        }
        for (number, open) in self.offers.open() {
            let Some(agent) = self.agents.get(&open.agent) else { continue };
            all.push(open.leased(self.offer_of(number, open, agent).into()));
        }
        all
    }

    pub(super) fn offer_of(&self, number: u64, offer: &OpenOffer, agent: &Agent) -> Offer {
        let executors = agent.book.executors_of(&offer.framework);
        Offer {
            offer: self.offer_id(number),
            framework: offer.framework.clone(),
            agent: offer.agent.clone(),
            at: agent.info.at.clone(),
            role: offer.role.clone(),
            resources: offer.resources.clone(),
            attributes: agent.info.attributes.clone(),
            executors: executors.filter(|(_, e)| !e.ended).map(|(id, _)| id.clone()).collect(),
        }
    }
}

impl Framework {
    /// As readers were told last.
    pub(super) fn state(&self) -> FrameworkState {
        match (self.is_removed(), self.takes_offers(), self.pid().is_some()) {
            (true, _, _) => FrameworkState::Removed,
            (false, true, _) => FrameworkState::Active,
            (false, false, true) => FrameworkState::Suppressed,
            (false, false, false) if self.is_recovered() => FrameworkState::Recovered,
            (false, false, false) => FrameworkState::Disconnected,
        }
    }
}
