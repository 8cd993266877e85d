//! What could certainly not be told, since there was no room or no way: taken back, owed, or repeated by whoever needs it.

use std::collections::BTreeSet;
use std::time::Duration;

use libactor::Pid;
use protocol::agent::MasterToAgent;
use protocol::framework::MasterToFramework;
use protocol::ids::{AgentId, FrameworkId, OfferId, TaskId, UpdateId};
use serde::{Deserialize, Serialize};

use super::{Effect, Master, Peer, TaskKey, Timer, Turn};

/// Until it is tried again to tell a scheduler or an agent what it is owed.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a tell that could not be performed leaves to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Untold {
    /// The task will not run there.
    Launch {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        task: TaskId,
    },
    /// The framework's end is told with the next ping.
    Shutdown {
        /// To the agent that this speaks for.
        to: Pid,
        /// Whose end.
        framework: FrameworkId,
    },
    /// The agent would say the news again, but only after as much as half a minute.
    Acknowledge {
        /// To the agent that this speaks for.
        to: Pid,
        /// Whose task.
        framework: FrameworkId,
        /// Of which task.
        task: TaskId,
        /// Which news.
        update: UpdateId,
    },
    /// These are taken back.
    Offers(Vec<OfferId>),
    /// The scheduler missed something, and is owed all.
    News {
        /// Which.
        to: Pid,
    },
    /// The scheduler does not know which of its needs cannot be met.
    Unmet {
        /// Which.
        to: Pid,
    },
    /// The scheduler does not know that it is over for it.
    LastWord {
        /// Which.
        to: Pid,
        /// Because the framework is removed, and not because another life has taken over.
        removed: bool,
    },
}

impl Untold {
    /// Whether it is still to be done if the receiver was not full but out of reach, which it may be for ever: then a last
    /// word is needed by nobody.
    pub fn is_owed_to_the_lost(&self) -> bool {
        match self {
            // An agent that returns says all its news again.
            Self::LastWord { .. } | Self::Acknowledge { .. } => false,
            Self::Launch { .. } | Self::Shutdown { .. } => true,
            Self::Offers(_) | Self::News { .. } | Self::Unmet { .. } => true,
        }
    }
}

impl Effect {
    /// What is left to be done if this could not be told; nothing, if it is no tell, or is said again anyway by whoever is
    /// not answered. To be asked before the effect is performed, and cheap.
    pub fn untold(&self) -> Option<Untold> {
        match self {
            Self::TellAgent { to, message } => untold_to_agent(*to, message),
            Self::TellFramework { to, message } => untold_to_framework(*to, message),
            Self::AnswerKill { .. } | Self::AnswerSet { .. } => None,
            Self::Link(_) | Self::Unlink(_) => None,
            Self::Write(_) | Self::TellAllocator(_) => None,
            Self::StartTimer { .. } | Self::StepDown { .. } | Self::EndReign { .. } => None,
        }
    }
}

fn untold_to_agent(to: Pid, message: &MasterToAgent) -> Option<Untold> {
    match message {
        MasterToAgent::Launch { framework, task, .. }
        | MasterToAgent::LaunchInRunning { framework, task, .. } => {
            let (framework, task) = (framework.framework.clone(), task.task.clone());
            Some(Untold::Launch { framework, task })
        }
        MasterToAgent::ShutdownFramework { framework, .. } => {
            Some(Untold::Shutdown { to, framework: framework.clone() })
        }
        MasterToAgent::Acknowledge { framework, task, update, .. } => {
            let (framework, task, update) = (framework.clone(), task.clone(), *update);
            Some(Untold::Acknowledge { to, framework, task, update })
        }
        // With each ping until the task has ended.
        MasterToAgent::Kill { .. } => None,
        // Each is said again by who is not answered: the agent, or the master with its next ping.
        MasterToAgent::Registered { .. } | MasterToAgent::Refused { .. } => None,
        MasterToAgent::Ping { .. } | MasterToAgent::RegisterAgain { .. } => None,
        MasterToAgent::Reconcile { .. } => None,
        MasterToAgent::ReturnNow { .. } | MasterToAgent::ReturnLater { .. } => None,
        MasterToAgent::Shutdown { .. } => None,
        // With the next launch, and when the agent returns.
        MasterToAgent::FrameworkUpdated { .. } => None,
        // Promised to nobody.
        MasterToAgent::ToExecutor { .. } | MasterToAgent::ShutdownExecutor { .. } => None,
    }
}

fn untold_to_framework(to: Pid, message: &MasterToFramework) -> Option<Untold> {
    match message {
        MasterToFramework::Offers(offers) | MasterToFramework::OffersAt { offers, .. } => {
            Some(Untold::Offers(offers.iter().map(|offer| offer.offer.clone()).collect()))
        }
        MasterToFramework::Subscribed { .. }
        | MasterToFramework::Deltas(_)
        | MasterToFramework::Updated(_) => Some(Untold::News { to }),
        MasterToFramework::Unmet(_) => Some(Untold::Unmet { to }),
        MasterToFramework::FailedOver => Some(Untold::LastWord { to, removed: false }),
        MasterToFramework::TornDown => Some(Untold::LastWord { to, removed: true }),
        // The use of an offer that is gone is answered, and so is who asks again.
        MasterToFramework::Rescinded(_) | MasterToFramework::Refused { .. } => None,
        MasterToFramework::FrameworkUpdated { .. } => None,
        // Promised to nobody.
        MasterToFramework::FromExecutor { .. } | MasterToFramework::ExecutorEnded { .. } => None,
        MasterToFramework::AgentLost(_) | MasterToFramework::Error { .. } => None,
    }
}

impl Master {
    /// What did not arrive is taken back where a loss would last, or owed.
    pub(super) fn on_untold(&mut self, turn: &mut Turn, untold: Untold) {
        match untold {
            Untold::Launch { framework, task } => {
                self.on_launch_untold(turn, &framework, &task);
            }
            Untold::Shutdown { to, framework } => {
                if let Some(Peer::Agent(agent)) = self.peers.get(&to)
                    && let Some(agent) = self.agents.get_mut(agent)
                {
                    agent.owed_shutdowns.insert(framework);
                }
            }
            Untold::Acknowledge { to, framework, task, update } => {
                self.owe_acknowledgement(turn, to, (framework, task), update);
            }
            Untold::Offers(offers) => {
                let numbers = offers.iter().filter_map(|offer| self.offer_number(offer)).collect();
                self.take_back_untold(turn, numbers);
            }
            Untold::News { to } => self.owe_snapshot(turn, to),
            Untold::Unmet { to } => {
                if let Some(Peer::Framework(id)) = self.peers.get(&to)
                    && let Some(framework) = self.frameworks.get_mut(id)
                {
                    framework.unmet.clear();
                    self.agents_changed(turn);
                }
            }
            Untold::LastWord { to, removed } => {
                turn.start(Timer::LastWord { to, removed }, AGAIN_AFTER);
            }
        }
    }

    /// There are no more than the agent may have tasks, since one update of each is on its way at a time.
    fn owe_acknowledgement(&mut self, turn: &mut Turn, to: Pid, key: TaskKey, update: UpdateId) {
        let Some(Peer::Agent(id)) = self.peers.get(&to) else { return };
        let Some(agent) = self.agents.get_mut(id) else { return };
        let owed = &mut agent.owed_acknowledgements;
        if owed.is_empty() {
            turn.start(Timer::Acknowledgements { to }, AGAIN_AFTER);
        }
        if owed.len() < self.config.tasks_per_agent_max {
            owed.insert(key, update);
        }
    }

    pub(super) fn on_acknowledgements_due(&mut self, turn: &mut Turn, to: Pid) {
        let Some(Peer::Agent(id)) = self.peers.get(&to) else { return };
        let Some(agent) = self.agents.get_mut(id) else { return };
        let epoch = self.registry.epoch;
        for ((framework, task), update) in std::mem::take(&mut agent.owed_acknowledgements) {
            turn.tell_agent(to, MasterToAgent::Acknowledge { epoch, framework, task, update });
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

    /// With each ping: the kills of what has not ended, and the end of frameworks of which something is left. What is left
    /// may have ended before its framework did; then the agent has forgotten it, and is asked.
    pub(super) fn say_again_to_agent(&mut self, turn: &mut Turn, id: &AgentId, pid: Pid) {
        self.say_kills_again(turn, id, pid);
        let Some(agent) = self.agents.get_mut(id) else { return };
        let mut removed = std::mem::take(&mut agent.owed_shutdowns);
        removed.extend(agent.frameworks_on());
        let tasks: Vec<TaskKey> = agent.book.tasks.iter().cloned().collect();
        let epoch = self.epoch();
        for framework in removed {
            if self.frameworks.get(&framework).is_some_and(|known| !known.is_removed()) {
                continue;
            }
            let left = tasks.iter().filter(|(of, _)| *of == framework).cloned().collect::<Vec<_>>();
            turn.tell_agent(pid, MasterToAgent::ShutdownFramework { epoch, framework });
            if !left.is_empty() {
                turn.tell_agent(pid, MasterToAgent::Reconcile { epoch, tasks: left });
            }
        }
    }

    /// A kill may be lost without anybody's knowing, and only the end of its task shows that it was not.
    fn say_kills_again(&mut self, turn: &mut Turn, id: &AgentId, pid: Pid) {
        let Some(agent) = self.agents.get(id) else { return };
        let wanted = agent.book.tasks.iter().filter_map(|(framework, task)| {
            let known = self.task(framework, task).filter(|task| !task.state.is_end())?;
            Some((framework.clone(), task.clone(), known.kill?))
        });
        let strays = agent.strays.iter().filter(|(framework, task)| {
            // Its id may have been given to this agent by now.
            self.task(framework, task).is_none_or(|known| known.agent != *id)
        });
        let strays: BTreeSet<TaskKey> = strays.cloned().collect();
        let unwanted =
            strays.iter().map(|(framework, task)| (framework.clone(), task.clone(), None));
        let kills: Vec<_> = wanted.chain(unwanted).collect();
        let epoch = self.epoch();
        for (framework, task, grace) in kills {
            turn.tell_agent(pid, MasterToAgent::Kill { epoch, framework, task, grace });
        }
        if let Some(agent) = self.agents.get_mut(id) {
            agent.strays = strays;
        }
    }
}
