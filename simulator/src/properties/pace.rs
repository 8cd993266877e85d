//! How many at once: agents that a master gives up, and agents that it lets return.

use std::collections::{BTreeMap, BTreeSet};

use libactor::Pid;
use master::config::Config;
use master::logic::registry::RegistryOperation;
use master::logic::{Effect, Event, Step, Timer};
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::change::{AgentState, What};
use protocol::ids::AgentId;
use protocol::time::Instant;

use super::Seen;

/// What one master has done at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    /// When it last gave up an agent.
    gave_up: Option<Instant>,
    /// Agents of earlier reigns that are not back, and how many they were.
    awaited: BTreeSet<AgentId>,
    awaited_at_first: usize,
    /// Who asked whether it may return.
    asked: BTreeMap<Pid, AgentId>,
    /// Who was told to, has not, and has not said that it is there already.
    returning: BTreeSet<AgentId>,
}

impl Pace {
    /// What was too much in a step, in words.
    pub(crate) fn see(&mut self, seen: Seen<'_>) -> Option<String> {
        let Seen { config, now, heard, step } = seen;
        self.hear(heard);
        let missing = self.awaited.len();
        let too_fast = self.given_up(config, now, step);
        self.remember(heard, step);
        let too_many = self.returning.len() > config.returns_at_once_max;
        let too_many = too_many.then(|| {
            let (most, all) = (config.returns_at_once_max, &self.returning);
            format!("{all:?} may return at once, and no more than {most} should")
        });
        too_fast.or(too_many).or_else(|| self.given_up_in_bulk(config, missing, heard, step))
    }

    fn hear(&mut self, heard: &Event) {
        if let Event::FromAgent { from, message, .. } = heard {
            if let AgentToMaster::MayReturn { agent, .. } = message {
                self.asked.insert(*from, agent.clone());
            } else if let AgentToMaster::Pong { .. } = message {
                // It says that it is there.
                if let Some(agent) = self.asked.get(from) {
                    self.returning.remove(agent);
                }
            } else if let AgentToMaster::Reregister { agent, .. }
            | AgentToMaster::ReregisterAt { agent, .. } = message
            {
                self.returning.remove(agent);
                // It is back, though it may have to be written first.
                self.awaited.remove(agent);
            }
        } else if let Event::TimerFired(Timer::Entrance { agent, .. }) = heard {
            self.returning.remove(agent);
        }
    }

    fn given_up(&mut self, config: &Config, now: Instant, step: &Step) -> Option<String> {
        let pause = config.agent_removal_rate_limit?.pause();
        let is_mark = |effect: &&Effect| {
            matches!(effect, Effect::Write(RegistryOperation::MarkUnreachable { .. }))
        };
        let mut words = None;
        for _ in step.effects.iter().filter(is_mark) {
            let since = self.gave_up.replace(now).map(|before| now.since(before));
            if let Some(since) = since.filter(|since| *since < pause) {
                words.get_or_insert(format!(
                    "an agent is given up {since:?} after another, and {pause:?} should lie between"
                ));
            }
        }
        words
    }

    fn remember(&mut self, heard: &Event, step: &Step) {
        for effect in &step.effects {
            if let Effect::TellAgent { message: MasterToAgent::Registered { agent, .. }, .. } =
                effect
            {
                self.returning.remove(agent);
            }
        }
        for effect in &step.effects {
            if let Effect::TellAgent { to, message: MasterToAgent::ReturnNow { .. } } = effect
                && let Some(agent) = self.asked.get(to)
            {
                self.returning.insert(agent.clone());
            }
        }
        for change in &step.changes {
            if let What::Agent { agent, state, .. } | What::AgentState { agent, state } =
                &change.what
            {
                match state {
                    AgentState::Recovered => self.awaited.insert(agent.clone()),
                    AgentState::Active | AgentState::Disconnected => self.awaited.remove(agent),
                    AgentState::Unreachable | AgentState::Gone => self.awaited.remove(agent),
                };
            }
        }
        if matches!(heard, Event::Started) {
            self.awaited_at_first = self.awaited.len();
        }
    }

    fn given_up_in_bulk(
        &self,
        config: &Config,
        missing: usize,
        heard: &Event,
        step: &Step,
    ) -> Option<String> {
        let percent = usize::from(config.recovery_agent_removal_percent_max);
        let of = self.awaited_at_first;
        let ends = |effect: &Effect| matches!(effect, Effect::EndReign { .. });
        let is_due = matches!(heard, Event::TimerFired(Timer::AgentsReturn));
        let too_many = is_due && missing * 100 > of * percent;
        (too_many && !step.effects.iter().any(ends)).then(|| {
            format!("{missing} of {of} agents are given up, and no more than {percent} % may be")
        })
    }
}
