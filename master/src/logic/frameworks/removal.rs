//! How a framework ends: torn down, or not back in time. Its id is never valid again; its tasks are ended, and hold their
//! resources until they have.

use std::time::Duration;

use libactor::Pid;
use protocol::agent::MasterToAgent;
use protocol::change::FrameworkState;
use protocol::framework::MasterToFramework;
use protocol::ids::{AgentId, FrameworkId};
use std::collections::BTreeSet;

use super::Phase;
use crate::logic::allocator::BookEntry;
use crate::logic::registry::RegistryOperation;
use crate::logic::{Effect, Master, Turn};

impl Master {
    pub(in crate::logic) fn on_framework_not_back(
        &mut self,
        turn: &mut Turn,
        id: &FrameworkId,
        generation: u64,
    ) {
        let Some(framework) = self.frameworks.get(id) else { return };
        if self.counts(generation, framework.generation) {
            self.remove_framework(turn, id);
        }
    }

    /// Written before anybody is told.
    pub(in crate::logic) fn remove_framework(&mut self, turn: &mut Turn, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        if matches!(framework.phase, Phase::Leaving { .. } | Phase::Removed) {
            return;
        }
        let tell = framework.pid();
        framework.enter(Phase::Leaving { tell });
        let offers = framework.offers.clone();
        self.end_offers(turn, &offers, Duration::ZERO);
        turn.entries.push(BookEntry::FrameworkInactive { framework: id.clone() });
        turn.write(RegistryOperation::RemoveFramework { framework: id.clone() });
    }

    pub(in crate::logic) fn on_framework_removed(&mut self, turn: &mut Turn, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let tell: Option<Pid> = match framework.phase {
            Phase::Leaving { tell } => tell,
            Phase::Recovered | Phase::Active(_) | Phase::Disconnected | Phase::Removed => None,
        };
        framework.enter(Phase::Removed);
        turn.framework_state(id, FrameworkState::Removed);
        if let Some(pid) = tell {
            self.peers.remove(&pid);
            turn.tell_framework(pid, MasterToFramework::TornDown);
            turn.effects.push(Effect::Unlink(pid));
        }
        self.framework_nonces.retain(|_, framework| framework != id);
        let Some(framework) = self.frameworks.get(id) else { return };
        let executors = framework.executors.iter().map(|(agent, _)| agent);
        let agents: BTreeSet<AgentId> =
            framework.tasks.values().map(|task| &task.agent).chain(executors).cloned().collect();
        let settled = framework.tasks.iter().filter(|(_, task)| task.state.is_end());
        for task in settled.map(|(task, _)| task.clone()).collect::<Vec<_>>() {
            self.forget(turn, id, &task);
        }
        for agent in agents {
            if let Some(pid) = self.agents.get(&agent).and_then(|agent| agent.pid()) {
                let (epoch, framework) = (self.epoch(), id.clone());
                turn.tell_agent(pid, MasterToAgent::ShutdownFramework { epoch, framework });
            }
        }
        self.forget_removed(id);
    }

    /// A removed framework without tasks and executors needs no entry: the registry remembers that it is gone.
    pub(in crate::logic) fn forget_removed(&mut self, id: &FrameworkId) {
        if let Some(framework) = self.frameworks.get(id)
            && framework.is_removed()
            && framework.tasks.is_empty()
            && framework.executors.is_empty()
        {
            self.frameworks.remove(id);
        }
    }
}
