//! Returning one after the other. After a fail-over all agents want to tell a new master all they know, at once; so each asks
//! first, and is let in when there is room. The master's own speed sets the pace: whoever has been dealt with makes room for
//! the next one in line.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use libactor::{Pid, Principal};
use protocol::agent::MasterToAgent;
use protocol::ids::{AgentId, ClusterId};
use serde::{Deserialize, Serialize};

use super::Phase;
use crate::logic::bugs::Bug;
use crate::logic::{Master, Timer, Turn};

/// The least time after which an agent that has to wait asks again, which it does only if what it was promised is lost.
const AGAIN_MIN: Duration = Duration::from_secs(1);
/// For each that waits so much longer: together they ask no more than five thousand times a second.
const AGAIN_FOR_EACH: Duration = Duration::from_micros(200);

/// An agent asks whether it may return.
pub(super) struct Knock {
    pub(super) from: Pid,
    pub(super) cluster: ClusterId,
    pub(super) epoch: u64,
    pub(super) tasks: u32,
}

/// Who is returning, and who waits to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::logic) struct Entrance {
    /// Told to come and not dealt with yet, with the number of their tasks and of their admission.
    inside: BTreeMap<AgentId, (usize, u64)>,
    tasks_inside: usize,
    /// In the order in which they asked. Those that came without being called stay in it until they come to its front.
    line: VecDeque<(AgentId, u64)>,
    /// Who really waits, by their place in line.
    waiting: BTreeMap<AgentId, Waiting>,
    /// Counts the places.
    places: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiting {
    from: Pid,
    tasks: usize,
    place: u64,
}

impl Master {
    /// An agent repeats the question until it is answered, and may ask again from another process.
    pub(super) fn on_may_return(
        &mut self,
        turn: &mut Turn,
        principal: Principal,
        id: &AgentId,
        knock: Knock,
    ) {
        let Knock { from, cluster, epoch, tasks } = knock;
        if !self.may_speak_for(turn, principal, id, from, &cluster, epoch) {
            return;
        }
        let tasks = usize::try_from(tasks).unwrap_or(usize::MAX);
        if self.entrance.inside.contains_key(id) {
            return self.tell_return_now(turn, from);
        }
        if let Some(waiting) = self.entrance.waiting.get_mut(id) {
            (waiting.from, waiting.tasks) = (from, tasks);
        } else {
            self.entrance.places += 1;
            let place = self.entrance.places;
            self.entrance.line.push_back((id.clone(), place));
            self.entrance.waiting.insert(id.clone(), Waiting { from, tasks, place });
        }
        self.let_in(turn);
        if self.entrance.waiting.contains_key(id) {
            self.tell_return_later(turn, from, self.entrance.waiting.len());
        }
    }

    /// The more wait, the longer: so whoever is not called since that was lost is heard of soon, and many are no burden.
    pub(super) fn tell_return_later(&self, turn: &mut Turn, to: Pid, waiting: usize) {
        let (epoch, cluster) = (self.epoch(), self.registry.cluster.clone());
        let after = again_after(waiting).min(self.config.return_again_after);
        turn.tell_agent(to, MasterToAgent::ReturnLater { epoch, cluster, after });
    }

    fn tell_return_now(&self, turn: &mut Turn, to: Pid) {
        let (epoch, cluster) = (self.epoch(), self.registry.cluster.clone());
        turn.tell_agent(to, MasterToAgent::ReturnNow { epoch, cluster });
    }

    /// As many as there is room for. One alone may have more tasks than that.
    fn let_in(&mut self, turn: &mut Turn) {
        while let Some((id, place)) = self.entrance.line.front().cloned() {
            let Some(next) = self.entrance.waiting.get(&id).filter(|next| next.place == place)
            else {
                self.entrance.line.pop_front();
                continue;
            };
            let (from, tasks) = (next.from, next.tasks);
            let entrance = &self.entrance;
            let room = entrance.inside.len() < self.config.returns_at_once_max
                && entrance.tasks_inside.saturating_add(tasks)
                    <= self.config.returning_tasks_at_once_max;
            let bound = !self.config.bugs.has(Bug::EntranceHasNoBound);
            if bound && !room && !entrance.inside.is_empty() {
                return;
            }
            self.entrance.line.pop_front();
            self.entrance.waiting.remove(&id);
            self.entrance.inside.insert(id.clone(), (tasks, place));
            self.entrance.tasks_inside = self.entrance.tasks_inside.saturating_add(tasks);
            self.tell_return_now(turn, from);
            turn.start(Timer::Entrance { agent: id, place }, self.config.return_within);
        }
    }

    /// It was told to come, and did not.
    pub(in crate::logic) fn on_entrance_due(&mut self, turn: &mut Turn, id: &AgentId, place: u64) {
        if self.entrance.inside.get(id).is_some_and(|(_, of)| *of == place) {
            self.has_entered(turn, id);
        }
    }

    /// It has been dealt with, well or not; the next may come.
    pub(super) fn has_entered(&mut self, turn: &mut Turn, id: &AgentId) {
        if self.config.bugs.has(Bug::EntranceStaysShut) {
            return;
        }
        self.entrance.waiting.remove(id);
        if let Some((tasks, _)) = self.entrance.inside.remove(id) {
            self.entrance.tasks_inside = self.entrance.tasks_inside.saturating_sub(tasks);
        }
        self.let_in(turn);
    }

    /// What it told is still held, until the registry has written that it is back.
    pub(super) fn is_being_written(&self, id: &AgentId) -> bool {
        self.agents.get(id).is_some_and(|agent| {
            matches!(agent.phase, Phase::Returning(_) | Phase::Marking(Some(_)))
        })
    }
}

fn again_after(waiting: usize) -> Duration {
    AGAIN_FOR_EACH.saturating_mul(u32::try_from(waiting).unwrap_or(u32::MAX)).max(AGAIN_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of a few is heard of soon if its call was lost, and all together ask no more often than a master can answer.
    #[test]
    fn the_more_agents_wait_the_later_each_of_them_asks_again() {
        let seconds = |waiting| again_after(waiting).as_secs();
        assert_eq!([1, 5_000, 20_000, 50_000].map(seconds), [1, 1, 4, 10]);
    }
}
