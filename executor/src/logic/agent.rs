//! The executor and its agent: first contact, and what happens when the agent is lost. The task runs on; the executor says who
//! it is and what it has until an agent answers, and ends the task and itself if none does in time.

use libactor::Pid;
use protocol::executor::TaskHeld;
use protocol::task::TaskState;
use serde::{Deserialize, Serialize};

use super::{Bug, Effect, End, Executor, Phase, Timer, Turn};

/// An agent that is lost, as far as it is looked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lost {
    attempts: u32,
}

impl Executor {
    pub(super) fn register(&mut self, turn: &mut Turn) {
        let Phase::Registering { attempts } = &mut self.phase else {
            return;
        };
        let after = self.config.backoff(*attempts);
        *attempts += 1;
        turn.push(Effect::ContactAgent(self.identity.register()));
        turn.start(Timer::Register, after);
    }

    pub(super) fn on_agent_down(&mut self, turn: &mut Turn, pid: Pid) {
        if self.agent != Some(pid) {
            return;
        }
        self.agent = None;
        if let (Phase::Registering { .. } | Phase::Over, Some(end)) = (&self.phase, self.leaving) {
            return turn.push(Effect::Exit(end));
        }
        self.lost = Some(Lost { attempts: 0 });
        self.losses += 1;
        let generation = self.losses;
        if self.config.has(Bug::TaskKilledWithoutAgent) {
            return self.on_recovery_over(turn, generation);
        }
        turn.start(Timer::RecoveryOver { generation }, self.config.recovery_timeout);
        self.pause_before_contact(turn, 0);
    }

    /// Each pause takes other bits of the number that was drawn for this executor.
    fn pause_before_contact(&self, turn: &mut Turn, attempts: u32) {
        let turned = self.updates.source().rotate_left(attempts.wrapping_mul(13));
        let chance = (turned >> 32) as u32;
        let after = self.config.reconnect_backoff(attempts, chance);
        turn.start(Timer::ContactAgain { generation: self.losses }, after);
    }

    pub(super) fn contact_again(&mut self, turn: &mut Turn, generation: u64) {
        let Some(lost) = self.lost.as_mut().filter(|_| generation == self.losses) else {
            return;
        };
        lost.attempts += 1;
        let attempts = lost.attempts;
        let unacknowledged = self.updates.waiting().cloned().collect();
        let message = self.identity.reregister(self.held(), unacknowledged);
        turn.push(Effect::ContactAgent(message));
        self.pause_before_contact(turn, attempts);
    }

    fn held(&self) -> Vec<TaskHeld> {
        let state = match self.phase {
            Phase::Registering { .. } | Phase::Idle => TaskState::Staging,
            Phase::Spawning => TaskState::Starting,
            Phase::Running | Phase::Clearing { .. } => match &self.kill {
                Some(kill) if kill.begun => TaskState::Killing,
                Some(_) | None => TaskState::Running,
            },
            Phase::Over => self.updates.waiting().last().map_or(TaskState::Unknown, |s| s.state),
        };
        self.task.iter().map(|task| TaskHeld { task: task.clone(), state }).collect()
    }

    /// An agent has it again; its unacknowledged news came along.
    pub(super) fn on_reregistered(&mut self, turn: &mut Turn, from: Pid) {
        if self.lost.take().is_some() {
            self.agent = Some(from);
            turn.push(Effect::Link(from));
        }
    }

    /// No agent came back: nobody knows of the task, so it may not run on.
    pub(super) fn on_recovery_over(&mut self, turn: &mut Turn, generation: u64) {
        if self.lost.is_none() || generation != self.losses {
            return;
        }
        self.leaving = Some(End::AgentLost);
        match self.phase {
            Phase::Registering { .. } | Phase::Idle | Phase::Over => {
                turn.push(Effect::Exit(End::AgentLost));
            }
            Phase::Spawning | Phase::Running | Phase::Clearing { .. } => self.clear_tree(turn),
        }
    }
}
