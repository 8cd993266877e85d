//! An executor that lost its agent: its tasks run on, and it says who it is and what it has until an agent answers. If none does
//! in time it ends.

use libactor::Pid;
use protocol::executor::{ExecutorToAgent, TaskHeld};
use protocol::ids::AgentId;
use std::time::Duration;

use super::{Effect, Ending, ExecutorDriver, Phase, Timer, Word};

/// Between tries to reach the agent: doubles up to the most.
const CONTACT_FIRST: Duration = Duration::from_millis(50);
const CONTACT_MOST: Duration = Duration::from_millis(500);
/// News that comes along with a contact; what is more follows.
const ALONG: usize = 64;
/// And so many bytes of their data.
const ALONG_BYTES: usize = 256 * 1024;

impl ExecutorDriver {
    pub(super) fn on_down(&mut self, effects: &mut Vec<Effect>, pid: Pid) {
        let Phase::Registered { agent, id, grace } = &self.phase else {
            return;
        };
        if *agent != pid {
            return;
        }
        self.phase = Phase::Lost { id: id.clone(), grace: *grace, attempts: 0 };
        // News is kept until it is acknowledged; messages may get lost.
        self.backlog.clear();
        self.losses += 1;
        let timer = Timer::Recovery(self.losses);
        effects.push(Effect::StartTimer { timer, after: self.recovery_timeout });
        self.contact(effects, self.losses);
    }

    pub(super) fn contact(&mut self, effects: &mut Vec<Effect>, losses: u64) {
        let Phase::Lost { attempts, .. } = &mut self.phase else {
            return;
        };
        if losses != self.losses {
            return;
        }
        let after = CONTACT_FIRST.saturating_mul(1 << (*attempts).min(8)).min(CONTACT_MOST);
        *attempts += 1;
        let mut bytes = 0;
        let fits = |status: &&protocol::task::TaskStatus| {
            bytes += status.data.len();
            bytes <= ALONG_BYTES
        };
        let news = self.updates.values().flatten().take(ALONG).take_while(fits);
        let unacknowledged = news.cloned().collect();
        let message = self.identity.reregister(self.held(), unacknowledged);
        effects.push(Effect::TellAgent { to: None, message });
        effects.push(Effect::StartTimer { timer: Timer::Contact(losses), after });
    }

    fn held(&self) -> Vec<TaskHeld> {
        let live = self.live.iter().map(|(task, state)| (task, *state));
        let ended = self.updates.iter().filter(|(task, _)| !self.live.contains_key(*task));
        let ended = ended.filter_map(|(task, news)| Some((task, news.back()?.state)));
        live.chain(ended).map(|(task, state)| TaskHeld { task: task.clone(), state }).collect()
    }

    /// All news again, in order: what came along is known by its number.
    pub(super) fn on_reregistered(
        &mut self,
        effects: &mut Vec<Effect>,
        from: Pid,
        id: AgentId,
        grace: Duration,
    ) {
        effects.push(Effect::Link(from));
        self.phase = Phase::Registered { agent: from, id, grace };
        let all: Vec<_> = self.updates.values().flatten().cloned().collect();
        for status in all {
            self.tell(effects, ExecutorToAgent::Updated(status));
        }
        self.repeat = None;
        self.watch_updates(effects);
    }

    pub(super) fn on_recovery_over(&mut self, effects: &mut Vec<Effect>, losses: u64) {
        if losses == self.losses && matches!(self.phase, Phase::Lost { .. }) {
            if !self.ending {
                effects.push(Effect::Author(Word::Shutdown));
            }
            self.exit(effects, Ending::AgentLost);
        }
    }
}
