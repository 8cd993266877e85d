//! What could certainly not be told, since there was no room or no way: taken back, owed, or repeated by whoever needs it.

use std::time::Duration;

use libactor::Pid;
use protocol::agent::MasterToAgent;
use protocol::framework::MasterToFramework;
use protocol::ids::{AgentId, FrameworkId};

use super::{Effect, Master, Peer, TaskKey, Timer, Turn};

/// Until it is tried again to tell a scheduler what it is owed.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Master {
    /// What did not arrive is taken back where a loss would last; everything else is repeated by whoever needs it.
    pub(super) fn on_undelivered(&mut self, turn: &mut Turn, effect: Effect) {
        match effect {
            Effect::TellFramework { to, message } => self.scheduler_not_told(turn, to, &message),
            Effect::TellAgent { message, .. } => self.agent_not_told(turn, message),
            Effect::AnswerKill { .. } | Effect::Link(_) | Effect::Unlink(_) => {}
            Effect::Write(_) | Effect::TellAllocator(_) => {}
            Effect::StartTimer { .. } | Effect::StepDown { .. } => {}
        }
    }

    fn scheduler_not_told(&mut self, turn: &mut Turn, to: Pid, message: &MasterToFramework) {
        match message {
            MasterToFramework::Offers(offers) => {
                let numbers = offers.iter().filter_map(|offer| self.offer_number(&offer.offer));
                let numbers = numbers.collect();
                self.take_back_undelivered(turn, numbers);
            }
            MasterToFramework::Subscribed { .. }
            | MasterToFramework::Deltas(_)
            | MasterToFramework::Updated(_) => self.owe_snapshot(turn, to),
            MasterToFramework::FailedOver => {
                turn.start(Timer::LastWord { to, removed: false }, AGAIN_AFTER);
            }
            MasterToFramework::TornDown => {
                turn.start(Timer::LastWord { to, removed: true }, AGAIN_AFTER);
            }
            // The use of an offer that is gone is answered, and so is who asks again.
            MasterToFramework::Rescinded(_) | MasterToFramework::Refused { .. } => {}
            // Promised to nobody.
            MasterToFramework::FromExecutor { .. } | MasterToFramework::ExecutorEnded { .. } => {}
            MasterToFramework::AgentLost(_) | MasterToFramework::Error { .. } => {}
        }
    }

    /// A scheduler that missed something is told all once there is room.
    fn owe_snapshot(&mut self, turn: &mut Turn, to: Pid) {
        let Some(Peer::Framework(id)) = self.peers.get(&to) else { return };
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        if framework.pid() == Some(to) && !std::mem::replace(&mut framework.owed_snapshot, true) {
            let (framework, generation) = (id.clone(), framework.generation);
            turn.start(Timer::Snapshot { framework, generation }, AGAIN_AFTER);
        }
    }

    pub(super) fn on_snapshot_due(&mut self, turn: &mut Turn, id: &FrameworkId, generation: u64) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        if framework.generation != generation {
            return;
        }
        if let Some(pid) = framework.pid()
            && std::mem::take(&mut framework.owed_snapshot)
        {
            self.tell_subscribed(turn, id, pid);
        }
    }

    pub(super) fn on_last_word_due(&mut self, turn: &mut Turn, to: Pid, removed: bool) {
        // It may speak for a framework again.
        if !self.peers.contains_key(&to) {
            let word = match removed {
                true => MasterToFramework::TornDown,
                false => MasterToFramework::FailedOver,
            };
            turn.tell_framework(to, word);
        }
    }

    fn agent_not_told(&mut self, turn: &mut Turn, message: MasterToAgent) {
        match message {
            MasterToAgent::Launch { framework, task, .. } => {
                self.on_launch_undelivered(turn, &framework.framework, &task.task);
            }
            MasterToAgent::Kill { framework, task, grace, .. } => {
                self.owe_kill(&framework, &task, grace);
            }
            // Each is said again by who is not answered: the agent, or the master with its next ping.
            MasterToAgent::Registered { .. } | MasterToAgent::Refused { .. } => {}
            MasterToAgent::Acknowledge { .. } | MasterToAgent::Ping { .. } => {}
            MasterToAgent::Reconcile { .. } | MasterToAgent::ShutdownFramework { .. } => {}
            // Promised to nobody.
            MasterToAgent::ToExecutor { .. } | MasterToAgent::ShutdownExecutor { .. } => {}
        }
    }

    /// With each ping: the kills for which there was no room, and the end of frameworks of which something is left. What is
    /// left may have ended before its framework did; then the agent has forgotten it, and is asked.
    pub(super) fn say_again_to_agent(&mut self, turn: &mut Turn, id: &AgentId, pid: Pid) {
        let Some(agent) = self.agents.get(id) else { return };
        let tasks: Vec<TaskKey> = agent.book.tasks.iter().cloned().collect();
        let removed = agent.frameworks_on().into_iter();
        let removed: Vec<FrameworkId> = removed
            .filter(|framework| self.frameworks.get(framework).is_some_and(|f| f.is_removed()))
            .collect();
        let epoch = self.epoch();
        for (framework, task) in tasks.iter().cloned() {
            if let Some(grace) = self.take_owed_kill(&framework, &task) {
                turn.tell_agent(pid, MasterToAgent::Kill { epoch, framework, task, grace });
            }
        }
        for framework in removed {
            let left = tasks.iter().filter(|(of, _)| *of == framework).cloned().collect::<Vec<_>>();
            turn.tell_agent(pid, MasterToAgent::ShutdownFramework { epoch, framework });
            if !left.is_empty() {
                turn.tell_agent(pid, MasterToAgent::Reconcile { epoch, tasks: left });
            }
        }
    }
}
