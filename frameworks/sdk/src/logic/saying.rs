//! What is said to the master: at once, behind what is being stored, or once the way there has room again.

use std::time::Duration;

use libactor::Pid;
use protocol::framework::{FrameworkToMaster, Operation};

use super::{Bug, Driver, Effect, Phase, Timer, Turn};

/// How long the way to the master may take to drain before it is tried again.
const ROOM_AFTER: Duration = Duration::from_millis(5);

/// The most messages that one try says, so that a way that is still full does not give back all there is each time.
const TRIED_MOST: usize = 256;

/// The most messages that wait. What may be lost is lost before that, and all else is bounded by tasks and offers.
const WITHHELD_MOST: usize = 65_536;

impl Driver {
    /// To the master that is followed. Waits behind what is being stored, of nothing if nobody can say who leads: only a
    /// leader can write. Without a master it is lost, and whatever matters is repeated after the next `Subscribed`.
    pub(crate) fn tell(&mut self, turn: &mut Turn, message: FrameworkToMaster) {
        let waits = self.stores > self.stored || self.suspended;
        if waits && !self.has(Bug::UpdateToldBeforeStored) {
            self.store_in(turn);
            self.withhold(message);
        } else if self.full.is_some() {
            self.withhold(message);
        } else if let Phase::Subscribed { master } = self.phase {
            turn.effects.push(Effect::TellMaster { to: Some(master), message });
        }
    }

    fn withhold(&mut self, message: FrameworkToMaster) {
        let may_be_lost = matches!(message, FrameworkToMaster::ToExecutor { .. });
        if !may_be_lost || self.withheld.len() < WITHHELD_MOST {
            self.withheld.push_back((self.stores, message));
        }
    }

    /// What is said in a turn waits for a write of the same turn, if for none of its own then for one of nothing: so it is
    /// said in the flow of what it answers, and not in that of whatever was being written.
    fn store_in(&mut self, turn: &mut Turn) {
        let newest = self.stores;
        let is_newest =
            |effect: &Effect| matches!(effect, Effect::Store { number, .. } if *number == newest);
        if !turn.effects.iter().any(is_newest) {
            self.stores += 1;
            turn.effects.push(Effect::Store { number: self.stores, entries: Vec::new() });
        }
    }

    pub(super) fn on_stored(&mut self, turn: &mut Turn, number: u64) {
        self.stored = self.stored.max(number);
        if self.full.is_none() {
            self.say_withheld(turn, usize::MAX);
        }
    }

    /// Says what waits for nothing more, but no more than so much of it.
    fn say_withheld(&mut self, turn: &mut Turn, most: usize) {
        let Phase::Subscribed { master } = self.phase else {
            return;
        };
        for _ in 0..most {
            if !self.ready() {
                return;
            }
            if let Some((_, message)) = self.withheld.pop_front() {
                turn.effects.push(Effect::TellMaster { to: Some(master), message });
            }
        }
    }

    /// It goes before all that waits. What was for a master that is not followed any more was never said.
    pub(super) fn on_no_room(
        &mut self,
        turn: &mut Turn,
        to: Pid,
        messages: Vec<FrameworkToMaster>,
    ) {
        if !matches!(self.phase, Phase::Subscribed { master } if master == to) {
            return messages.into_iter().for_each(|message| self.never_said(turn, message));
        }
        for message in messages.into_iter().rev() {
            self.withheld.push_front((0, message));
        }
        self.try_later(turn);
    }

    fn try_later(&mut self, turn: &mut Turn) {
        let generation = self.next_generation();
        self.full = Some(generation);
        turn.start(Timer::Room(generation), ROOM_AFTER);
    }

    pub(super) fn on_room_due(&mut self, turn: &mut Turn, due: u64) {
        if self.full != Some(due) {
            return;
        }
        if self.suspended {
            return self.try_later(turn);
        }
        // Only the next time shows whether there was room for what is said now.
        if self.ready() {
            self.say_withheld(turn, TRIED_MOST);
            self.try_later(turn);
        } else {
            self.full = None;
        }
    }

    /// Whether something waits for nothing but room.
    fn ready(&self) -> bool {
        self.withheld.front().is_some_and(|(waits_for, _)| *waits_for <= self.stored)
    }

    /// What is withheld was never said.
    pub(super) fn drop_withheld(&mut self, turn: &mut Turn) {
        self.full = None;
        for (_, message) in std::mem::take(&mut self.withheld) {
            self.never_said(turn, message);
        }
    }

    /// A launch is certain not to have happened then, and must not be asked about: the answer might be of an earlier task of
    /// its id.
    fn never_said(&mut self, turn: &mut Turn, message: FrameworkToMaster) {
        let FrameworkToMaster::Accept { operations, .. } = message else {
            return;
        };
        for spec in operations.into_iter().flat_map(|Operation::Launch(tasks)| tasks) {
            if let Some(entry) = self.book.remove(&spec.task) {
                let why = "the master was lost before it was told";
                self.drop_task(turn, &spec.task, &entry, why);
            }
        }
    }
}
