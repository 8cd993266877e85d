//! An agent that leaves: its executors end, its tasks' ends are told, then it goes for good.

use libactor::Pid;
use protocol::agent::AgentToMaster;

use super::Phase;
use crate::logic::checkpoint::Record;
use crate::logic::notice::{End, Notice};
use crate::logic::{Agent, Effect, Timer, Turn};

impl Agent {
    pub(in crate::logic) fn on_leave(&mut self, turn: &mut Turn) {
        if self.membership.is_leaving() {
            return;
        }
        let master = self.membership.master();
        self.leave(turn, master, None);
    }

    fn leave(&mut self, turn: &mut Turn, master: Option<Pid>, removed: Option<String>) {
        self.membership.enter(Phase::Leaving { master, waits_for_acks: true, removed });
        self.shut_all_down(turn);
        self.leave_if_done(turn);
    }

    /// The master has removed this agent and will not have it back: its tasks are ended for their frameworks, and end. It is
    /// a member all the same, so that it does not join as another one by itself.
    pub(super) fn on_removed(&mut self, turn: &mut Turn, from: Pid, reason: String) {
        if !self.may_refuse(from) {
            return;
        }
        if let Some(master) = self.membership.master() {
            turn.push(Effect::Unlink(master));
        }
        turn.note(Notice::Removed(reason.clone()));
        self.leave(turn, None, Some(reason));
    }

    /// With its last executor the agent waits a moment for the acknowledgements of its tasks' ends, then goes.
    pub(in crate::logic) fn leave_if_done(&mut self, turn: &mut Turn) {
        let nothing_left = self.state.tasks().next().is_none();
        let Phase::Leaving { master, waits_for_acks, .. } = &mut self.membership.phase else {
            return;
        };
        if !self.state.executors.is_empty() {
            return;
        }
        if nothing_left || master.is_none() {
            self.leave_now(turn);
        } else if *waits_for_acks {
            *waits_for_acks = false;
            turn.start(Timer::LeaveAnyway, self.config.leave_within);
        }
    }

    pub(in crate::logic) fn on_leave_anyway(&mut self, turn: &mut Turn) {
        if self.membership.is_leaving() && self.state.executors.is_empty() {
            self.leave_now(turn);
        }
    }

    /// Told first, then forgotten: an agent that dies between the two comes back under its id and is refused in words.
    fn leave_now(&mut self, turn: &mut Turn) {
        let Phase::Leaving { master, removed, .. } = &mut self.membership.phase else {
            return;
        };
        if let Some(reason) = removed.take() {
            return turn.push(Effect::Stop(End::Refused(reason)));
        }
        match master.take() {
            Some(to) => {
                turn.push(Effect::TellMaster { to, message: AgentToMaster::Unregister });
                turn.push(Effect::Write(Record::Left));
            }
            // Nobody was told that this agent goes for good, so it keeps its id.
            None => turn.push(Effect::Stop(End::Left)),
        }
    }
}
