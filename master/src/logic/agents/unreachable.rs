//! Agents that are given up: not back in time, silent, or gone for good.

use std::collections::BTreeSet;

use libactor::{Pid, Principal};
use protocol::change::{AgentNews, AgentState, GivenUp, What};
use protocol::framework::{Capability, MasterToFramework};
use protocol::ids::{AgentId, FrameworkId};
use protocol::task::{Reason, TaskState};

use super::{Agent, Phase};
use crate::logic::allocator::BookEntry;
use crate::logic::authorize::{Action, authorize};
use crate::logic::bugs::Bug;
use crate::logic::registry::RegistryOperation;
use crate::logic::{Effect, Master, TaskKey, Turn};

impl Master {
    pub(in crate::logic) fn on_agent_not_back(
        &mut self,
        turn: &mut Turn,
        id: &AgentId,
        generation: u64,
    ) {
        let Some(agent) = self.agents.get(id) else { return };
        if self.counts(generation, agent.generation) {
            self.condemn(turn, id, GivenUp::NotBack);
        }
    }

    /// Written before anybody is told. Whether it was not too late or too early for that.
    pub(super) fn mark_unreachable(&mut self, turn: &mut Turn, id: &AgentId) -> bool {
        let Some(agent) = self.agents.get_mut(id) else { return false };
        match agent.phase {
            Phase::Recovered | Phase::Disconnected | Phase::Active(_) => {}
            Phase::Marking(_) | Phase::Unreachable | Phase::Returning(_) | Phase::Leaving => {
                return false;
            }
        }
        if let Some(pid) = agent.pid() {
            if self.config.bugs.has(Bug::UnreachableKeepsOffers) {
                self.peers.remove(&pid);
                turn.effects.push(Effect::Unlink(pid));
                turn.entries.push(BookEntry::AgentInactive { agent: id.clone() });
            } else {
                self.disconnect(turn, id);
            }
            turn.agent_state(id, AgentState::Disconnected);
        }
        if let Some(agent) = self.agents.get_mut(id) {
            agent.enter(Phase::Marking(None));
        }
        let at = turn.now.wall;
        turn.write(RegistryOperation::MarkUnreachable { agent: id.clone(), at });
        if self.config.bugs.has(Bug::UnreachableToldBeforeWritten) {
            self.on_unreachable_written(turn, id);
        }
        true
    }

    pub(in crate::logic) fn on_unreachable_written(&mut self, turn: &mut Turn, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let Phase::Marking(back) = &mut agent.phase else {
            return;
        };
        let back = back.take();
        agent.enter(Phase::Unreachable);
        agent.was_given_up = true;
        let concerned = agent.frameworks_on();
        let tasks: Vec<TaskKey> = agent.book.tasks.iter().cloned().collect();
        turn.agent_state(id, AgentState::Unreachable);
        turn.entries.push(BookEntry::AgentLost { agent: id.clone() });
        self.await_no_longer(turn, id);
        for (framework, task) in tasks {
            self.task_unreachable(turn, &framework, &task);
        }
        self.tell_agent_lost(turn, id, concerned);
        self.agents_changed(turn);
        if let Some(back) = back {
            self.take_back(turn, id, *back);
        }
    }

    fn tell_agent_lost(&self, turn: &mut Turn, id: &AgentId, concerned: BTreeSet<FrameworkId>) {
        // Those of Mesos's API are told of every agent.
        let all = self.frameworks.iter();
        let meant = all.filter(|(framework, known)| {
            known.has(Capability::NamesItself) || concerned.contains(framework)
        });
        for pid in meant.filter_map(|(_, known)| known.pid()) {
            turn.tell_framework(pid, MasterToFramework::AgentLost(id.clone()));
        }
    }

    /// The agent says that it goes, with all its tasks ended.
    pub(super) fn on_unregister(&mut self, turn: &mut Turn, from: Pid, principal: Principal) {
        let Some(id) = self.agent_of(from).or_else(|| self.has_just_stopped(from)) else { return };
        if let Err(refused) = authorize(principal, Action::RemoveAgent, id.as_str()) {
            return self.refuse_agent(turn, from, refused.to_string());
        }
        self.disconnect(turn, &id);
        if let Some(agent) = self.agents.get_mut(&id) {
            agent.enter(Phase::Leaving);
            let at = turn.now.wall;
            turn.write(RegistryOperation::RemoveAgent { agent: id, at, by_operator: false });
        }
    }

    /// Whose actor this was until it stopped: word of that is urgent, and may overtake the last that it said.
    fn has_just_stopped(&self, from: Pid) -> Option<AgentId> {
        let was =
            |agent: &Agent| agent.last == Some(from) && matches!(agent.phase, Phase::Disconnected);
        self.agents.iter().find(|(_, agent)| was(agent)).map(|(id, _)| id.clone())
    }

    /// An operator says that it is gone. Returns who is to hear of it once that is written; nobody, if it is on its way out.
    pub(in crate::logic) fn send_away(&mut self, turn: &mut Turn, id: &AgentId) -> Option<Pid> {
        let agent = self.agents.get(id).filter(|agent| !matches!(agent.phase, Phase::Leaving))?;
        let pid = agent.pid();
        if pid.is_some() {
            self.disconnect(turn, id);
        }
        if let Some(agent) = self.agents.get_mut(id) {
            agent.enter(Phase::Leaving);
        }
        let (agent, at) = (id.clone(), turn.now.wall);
        turn.write(RegistryOperation::RemoveAgent { agent, at, by_operator: true });
        pid
    }

    /// An active agent is active no more, by the master's own decision.
    pub(super) fn disconnect(&mut self, turn: &mut Turn, id: &AgentId) {
        let Some(pid) = self.agents.get(id).and_then(Agent::pid) else { return };
        self.peers.remove(&pid);
        turn.effects.push(Effect::Unlink(pid));
        self.rescind_all_of_agent(turn, id);
        turn.entries.push(BookEntry::AgentInactive { agent: id.clone() });
    }

    /// The agent is gone, its tasks with it.
    pub(in crate::logic) fn on_agent_removed(
        &mut self,
        turn: &mut Turn,
        id: &AgentId,
        by_operator: bool,
    ) {
        let Some(agent) = self.agents.get(id) else { return };
        turn.what.push(What::AgentNews { agent: id.clone(), news: AgentNews::Removed });
        let concerned = agent.frameworks_on();
        let tasks: Vec<TaskKey> = agent.book.tasks.iter().cloned().collect();
        let executors: Vec<_> = agent.book.executors.keys().cloned().collect();
        let state = if by_operator { TaskState::GoneByOperator } else { TaskState::Gone };
        for (framework, task) in tasks {
            let message = format!("agent {id} is gone");
            self.end_task(turn, &framework, &task, state, Reason::AgentRemoved, message);
        }
        for (framework, executor) in executors {
            self.unbook_executor(turn, id, &framework, &executor);
        }
        self.tell_agent_lost(turn, id, concerned);
        self.agents.remove(id);
        turn.entries.push(BookEntry::AgentGone { agent: id.clone() });
        self.await_no_longer(turn, id);
        self.agent_nonces.retain(|_, agent| agent != id);
        turn.agent_state(id, AgentState::Gone);
        self.agents_changed(turn);
    }

    /// Whether one more agent may join. When the cluster is full, the one that has been unreachable longest goes.
    pub(super) fn make_room_for_agent(&mut self, turn: &mut Turn) -> bool {
        if self.agents.len() + self.joining.len() < self.config.agents_max {
            return true;
        }
        let since = |id: &AgentId| self.registry.agents.get(id).and_then(|entry| entry.unreachable);
        let away = self.agents.iter().filter(|(_, agent)| agent.is_unreachable());
        let oldest = away.min_by_key(|(id, _)| since(id)).map(|(id, _)| id.clone());
        let Some(agent) = oldest else { return false };
        if let Some(entry) = self.agents.get_mut(&agent) {
            entry.enter(Phase::Leaving);
        }
        let at = turn.now.wall;
        turn.write(RegistryOperation::RemoveAgent { agent, at, by_operator: false });
        true
    }
}

impl Agent {
    /// Frameworks that have something on it.
    pub(in crate::logic) fn frameworks_on(&self) -> BTreeSet<FrameworkId> {
        let tasks = self.book.tasks.iter().map(|(framework, _)| framework);
        tasks.chain(self.book.executors.keys().map(|(framework, _)| framework)).cloned().collect()
    }
}
