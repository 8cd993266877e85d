//! What the registry remembers of agents that are away has an end: by age and by count they are forgotten.

use std::time::Duration;

use protocol::ids::AgentId;
use protocol::time::WallTime;

use super::Phase;
use crate::logic::registry::RegistryOperation;
use crate::logic::{Master, Timer, Turn};

/// Agents that are forgotten in one operation: it has to fit into one write of the store.
const AT_ONCE_MAX: usize = 1_000;

impl Master {
    pub(in crate::logic) fn on_collect_due(&mut self, turn: &mut Turn) {
        turn.start(Timer::Collect, self.config.registry_gc_interval);
        let count = self.config.registry_max_agent_count;
        let away = self.agents.iter().filter(|(_, agent)| agent.is_unreachable());
        let away = away
            .filter_map(|(id, _)| Some((self.registry.agents.get(id)?.unreachable?, id.clone())));
        let due = self.due(turn, away.collect(), count);
        for id in &due {
            if let Some(agent) = self.agents.get_mut(id) {
                agent.enter(Phase::Leaving);
            }
        }
        for some in due.chunks(AT_ONCE_MAX) {
            let (unreachable, gone) = (some.to_vec(), Vec::new());
            turn.write(RegistryOperation::Prune { unreachable, gone });
        }
        self.collect_gone(turn, 0);
    }

    /// Looks at those that are gone only if there are more than so many. One that is forgotten while another such write is
    /// under way is forgotten twice, which does no harm.
    pub(in crate::logic) fn collect_gone(&mut self, turn: &mut Turn, if_over: usize) {
        if self.registry.gone.len() <= if_over {
            return;
        }
        let all = self.registry.gone.iter().map(|(id, since)| (since.at, id.clone())).collect();
        for some in self.due(turn, all, self.config.registry_max_agent_count).chunks(AT_ONCE_MAX) {
            let (unreachable, gone) = (Vec::new(), some.to_vec());
            turn.write(RegistryOperation::Prune { unreachable, gone });
        }
    }

    /// Those that are too old, and the oldest of those that are too many.
    fn due(&self, turn: &Turn, mut all: Vec<(WallTime, AgentId)>, count: usize) -> Vec<AgentId> {
        all.sort_unstable();
        let too_many = all.len().saturating_sub(count);
        let age = |since: WallTime| Duration::from_nanos(turn.now.wall.0.saturating_sub(since.0));
        let too_old =
            all.iter().take_while(|(since, _)| age(*since) > self.config.registry_max_agent_age);
        let due = too_old.count().max(too_many);
        all.truncate(due);
        all.into_iter().map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use coordination::store::{BATCH_BYTES_MAX, Change};
    use protocol::ids::ClusterId;

    use super::*;
    use crate::logic::registry::Registry;
    use crate::records;

    #[test]
    fn part_08_those_that_are_forgotten_in_one_operation_fit_into_one_write() {
        let cluster = "01234567-89ab-cdef-0123-456789abcdef";
        let mut registry = Registry::new(ClusterId::new(cluster), 1);
        let agent = |n| AgentId::new(format!("{cluster}-S{n}"));
        let unreachable = (0..AT_ONCE_MAX).map(|n| agent(usize::MAX - n)).collect();
        let prune = RegistryOperation::Prune { unreachable, gone: Vec::new() };
        let changes = records::apply(&mut registry, &prune);
        assert_eq!(changes.len(), AT_ONCE_MAX);
        assert!(changes.iter().map(Change::bytes).sum::<usize>() < BATCH_BYTES_MAX);
    }
}
