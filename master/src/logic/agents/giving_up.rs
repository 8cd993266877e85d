//! How fast agents are given up, and how many after a fail-over. One switch that is off must not make a master declare a
//! whole room dead: those that are due wait in line, and who answers or returns meanwhile is kept.

use std::collections::{BTreeMap, VecDeque};

use protocol::change::{AgentNews, GivenUp, What};
use protocol::ids::AgentId;
use protocol::time::Instant;
use serde::{Deserialize, Serialize};

use crate::config::RateLimit;
use crate::logic::bugs::Bug;
use crate::logic::{Effect, Master, Timer, Turn};

/// Agents that are to be given up when their turn comes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::logic) struct Condemned {
    /// In the order in which they were found due. Those that were spared stay in it until they come to its front.
    line: VecDeque<(AgentId, u64)>,
    /// Who really waits, by their place in line.
    waiting: BTreeMap<AgentId, (u64, GivenUp)>,
    /// Counts the places.
    places: u64,
    /// No agent is given up before.
    next: Option<Instant>,
    /// Whether [`Timer::GiveUp`] is under way: one for all.
    timer: bool,
}

impl Condemned {
    /// The next one in line that was not spared.
    fn pop(&mut self) -> Option<(AgentId, GivenUp)> {
        while let Some((agent, place)) = self.line.pop_front() {
            if self.waiting.get(&agent).is_some_and(|(of, _)| *of == place) {
                return self.waiting.remove_entry(&agent).map(|(agent, (_, why))| (agent, why));
            }
        }
        None
    }
}

impl Master {
    /// An agent is due to be given up; it is as soon as the limit lets it.
    pub(super) fn condemn(&mut self, turn: &mut Turn, id: &AgentId, why: GivenUp) {
        if self.condemned.waiting.contains_key(id) {
            return;
        }
        let news = AgentNews::UnreachableScheduled;
        turn.what.push(What::AgentNews { agent: id.clone(), news });
        self.condemned.places += 1;
        let place = self.condemned.places;
        self.condemned.line.push_back((id.clone(), place));
        self.condemned.waiting.insert(id.clone(), (place, why));
        self.give_up_whose_turn_it_is(turn);
    }

    /// It answered or returned before its turn came.
    pub(super) fn spare(&mut self, turn: &mut Turn, id: &AgentId) {
        if self.config.bugs.has(Bug::CondemnedAreNotSpared) {
            return;
        }
        if self.condemned.waiting.remove(id).is_some() {
            let news = AgentNews::UnreachableCanceled;
            turn.what.push(What::AgentNews { agent: id.clone(), news });
        }
    }

    pub(in crate::logic) fn on_give_up_due(&mut self, turn: &mut Turn) {
        self.condemned.timer = false;
        self.give_up_whose_turn_it_is(turn);
    }

    fn give_up_whose_turn_it_is(&mut self, turn: &mut Turn) {
        let limit = self.config.agent_removal_rate_limit;
        let limit = limit.filter(|_| !self.config.bugs.has(Bug::GivenUpWithoutRateLimit));
        let pause = limit.map(RateLimit::pause);
        let now = turn.now.steady;
        while !self.condemned.waiting.is_empty() {
            if let Some(next) = self.condemned.next.filter(|next| *next > now) {
                if !std::mem::replace(&mut self.condemned.timer, true) {
                    turn.start(Timer::GiveUp, next.since(now));
                }
                return;
            }
            let Some((agent, why)) = self.condemned.pop() else { return };
            if self.mark_unreachable(turn, &agent) {
                self.condemned.next = pause.map(|pause| now + pause);
                let news = AgentNews::Unreachable(why);
                turn.what.push(What::AgentNews { agent, news });
            }
        }
        self.condemned.line.clear();
    }

    /// All agents of earlier reigns should be back by now. If too many are not, the fault is likely elsewhere, and it is
    /// not for this reign to declare them dead.
    pub(in crate::logic) fn on_agents_return_due(&mut self, turn: &mut Turn) {
        let missing = self.agents.iter().filter(|(_, agent)| agent.is_recovered());
        let missing: Vec<AgentId> = missing.map(|(id, _)| id.clone()).collect();
        let (of, percent) = (self.awaited_at_first, self.config.recovery_agent_removal_percent_max);
        let no_limit = self.config.bugs.has(Bug::GivenUpWithoutSafetyLimit);
        if missing.len() * 100 > of * usize::from(percent) && !no_limit {
            let reason = format!(
                "{} of the {of} agents that the registry knows have not returned within {:?}, and no more than {percent} % may be given up at once: look for what keeps them away, or raise --recovery_agent_removal_limit if they are gone; none was given up, and the next reign waits for them again",
                missing.len(),
                self.config.agent_reregister_timeout,
            );
            return turn.effects.push(Effect::EndReign { reason });
        }
        for agent in missing {
            self.condemn(turn, &agent, GivenUp::NotRecovered);
        }
    }
}
