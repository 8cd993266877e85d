//! Whom a master gives up, and when: agents that did not come back or answer in time, frameworks whose schedulers did not,
//! and nobody before.

use std::collections::BTreeMap;
use std::time::Duration;

use libactor::Pid;
use master::config::Config;
use master::logic::registry::RegistryOperation;
use master::logic::{Effect, Event, Step};
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::change::{AgentState, FrameworkState, What};
use protocol::framework::FrameworkToMaster;
use protocol::ids::{AgentId, FrameworkId};
use protocol::time::Instant;

use super::Seen;

/// What one master has said of agents and frameworks, and since when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    agents: BTreeMap<AgentId, (AgentState, Instant)>,
    /// When each agent last answered a ping, or was greeted.
    answered: BTreeMap<AgentId, Instant>,
    pids: BTreeMap<Pid, AgentId>,
    frameworks: BTreeMap<FrameworkId, (FrameworkState, Instant, Duration)>,
}

impl Watch {
    /// What was done too early in a step, in words.
    pub(crate) fn see(&mut self, seen: Seen<'_>) -> Option<String> {
        let Seen { config, now, heard, step } = seen;
        let pong = AgentToMaster::Pong { sequence: 0 };
        if let Event::FromAgent { from, message, .. } = heard
            && std::mem::discriminant(message) == std::mem::discriminant(&pong)
            && let Some(agent) = self.pids.get(from)
        {
            self.answered.insert(agent.clone(), now);
        }
        let early = step.effects.iter().find_map(|effect| match effect {
            Effect::Write(RegistryOperation::MarkUnreachable { agent, .. }) => {
                self.agent_given_up(config, now, agent)
            }
            Effect::Write(RegistryOperation::RemoveFramework { framework }) => {
                self.framework_given_up(now, heard, framework)
            }
            Effect::TellAgent { .. } | Effect::TellFramework { .. } | Effect::Write(_) => None,
            Effect::AnswerKill { .. } | Effect::AnswerSet { .. } => None,
            Effect::Link(_) | Effect::Unlink(_) => None,
            Effect::TellAllocator(_) | Effect::StartTimer { .. } => None,
            Effect::StepDown { .. } | Effect::EndReign { .. } => None,
        });
        self.remember(now, step);
        early
    }

    fn agent_given_up(&self, config: &Config, now: Instant, agent: &AgentId) -> Option<String> {
        let (state, since) = self.agents.get(agent)?;
        let (waited, due) = match state {
            AgentState::Active => {
                let answered = self.answered.get(agent)?;
                (now.since(*answered), config.ping_every * config.ping_misses_max)
            }
            AgentState::Disconnected | AgentState::Recovered => {
                (now.since(*since), config.agent_reregister_timeout)
            }
            AgentState::Unreachable | AgentState::Gone => {
                return Some(format!("{agent} is marked unreachable while it is {state:?}"));
            }
        };
        (waited < due).then(|| {
            format!("{agent}, {state:?}, is marked unreachable after {waited:?} instead of {due:?}")
        })
    }

    fn framework_given_up(
        &self,
        now: Instant,
        heard: &Event,
        framework: &FrameworkId,
    ) -> Option<String> {
        if matches!(heard, Event::FromFramework { message: FrameworkToMaster::Teardown, .. }) {
            return None;
        }
        let (state, since, patience) = self.frameworks.get(framework)?;
        match state {
            FrameworkState::Disconnected | FrameworkState::Recovered => {
                let waited = now.since(*since);
                (waited < *patience).then(|| {
                    format!("{framework}, {state:?}, is removed after {waited:?} instead of {patience:?}")
                })
            }
            FrameworkState::Active | FrameworkState::Suppressed | FrameworkState::Removed => {
                Some(format!("{framework} is removed while it is {state:?}"))
            }
        }
    }

    fn remember(&mut self, now: Instant, step: &Step) {
        for effect in &step.effects {
            if let Effect::TellAgent { to, message: MasterToAgent::Registered { agent, .. } } =
                effect
            {
                self.pids.insert(*to, agent.clone());
                self.answered.insert(agent.clone(), now);
            }
        }
        for change in &step.changes {
            match &change.what {
                What::Agent { agent, state, .. } | What::AgentState { agent, state } => {
                    self.agents.insert(agent.clone(), (*state, now));
                }
                What::Framework { info, state } => {
                    let entry = (*state, now, info.failover_timeout);
                    self.frameworks.insert(info.framework.clone(), entry);
                }
                What::FrameworkState { framework, state } => {
                    if let Some(known) = self.frameworks.get_mut(framework) {
                        (known.0, known.1) = (*state, now);
                    }
                }
                What::AgentDomain { .. } | What::OfferConstraints { .. } => (),
                What::AgentNews { .. } | What::Quotas(_) | What::Weights(_) => (),
                What::ExecutorBooked { .. } | What::ExecutorUnbooked { .. } => (),
                What::AgentBook { .. } | What::OfferMade(_) | What::OfferEnded(_) => (),
                What::OfferLeased { .. } => (),
                What::Task(_) | What::TaskStatus(_) | What::TaskForgotten { .. } => (),
            }
        }
    }
}
