//! What follows once a record is on disk, or cannot be.

use crate::logic::checkpoint::Record;
use crate::logic::config::Recover;
use crate::logic::notice::{End, Notice};
use crate::logic::state::Kept;
use crate::logic::{Agent, Effect, Turn};

impl Agent {
    pub(in crate::logic) fn on_written(&mut self, turn: &mut Turn, record: Record) {
        match record {
            Record::Joined { .. } => self.on_joined(turn, &record),
            Record::ExecutorLaunching { container, .. } => self.start_executor(turn, &container),
            Record::Left => {
                if self.membership.is_leaving() {
                    turn.push(Effect::Stop(End::Left));
                } else if self.config.recover == Recover::Cleanup {
                    turn.push(Effect::Stop(End::CleanedUp));
                }
            }
            Record::Registering { nonce } => {
                self.membership.nonce_is_written |= nonce == self.membership.nonce;
                self.on_contact_due(turn, self.membership.generation);
            }
            Record::ExecutorStarted { container, .. } => self.on_process_noted(turn, &container),
            Record::ExecutorEnded(container) => {
                self.on_end_noted(turn, &container);
                turn.push(Effect::DropRecords(container));
            }
            Record::Configured { info, domain } => {
                (self.membership.info, self.membership.domain) = (Some(info), domain);
                self.go_on_if_recovered(turn);
            }
            Record::Booted(_) => {
                self.membership.boot_is_written = true;
                self.go_on_if_recovered(turn);
            }
            Record::TaskTaken(taken) => self.on_task_noted(turn, &taken),
            Record::Updated { status, .. } => self.on_update_kept(turn, &status, Kept::Written),
            Record::Acknowledged { .. } | Record::TaskForgotten { .. } => {}
            Record::FrameworkUpdated(_) => {}
            Record::FrameworkRemoved(_) | Record::ExecutorStarting(_) | Record::Heard { .. } => {}
        }
    }

    pub(in crate::logic) fn on_write_failed(
        &mut self,
        turn: &mut Turn,
        record: Record,
        words: String,
    ) {
        match record {
            Record::Joined { .. }
            | Record::Registering { .. }
            | Record::Booted(_)
            | Record::Configured { .. } => {
                turn.push(Effect::Stop(End::CannotRemember(words)));
            }
            // The next clean-up finds nothing that lives.
            Record::Left if self.config.recover == Recover::Cleanup => {
                turn.push(Effect::Stop(End::CannotRemember(words)));
            }
            Record::Left => turn.push(Effect::Stop(End::Left)),
            Record::ExecutorLaunching { container, .. } => {
                self.on_executor_not_recorded(turn, &container, words);
            }
            Record::TaskTaken(taken) => self.on_task_not_noted(turn, &taken, &words),
            // What runs without its process noted is found by its environment.
            Record::ExecutorStarted { container, .. } => {
                turn.note(Notice::NotWritten(words));
                self.on_process_noted(turn, &container);
            }
            Record::Updated { status, .. } => {
                turn.note(Notice::NotWritten(words));
                self.on_update_kept(turn, &status, Kept::NotWritten);
            }
            // After a restart, what should have ended is looked for in vain, and what was acknowledged is said again:
            // neither does harm.
            Record::ExecutorEnded(container) => {
                turn.note(Notice::NotWritten(words));
                self.on_end_noted(turn, &container);
            }
            Record::Acknowledged { .. }
            | Record::TaskForgotten { .. }
            | Record::FrameworkUpdated(_)
            | Record::FrameworkRemoved(_) => {
                turn.note(Notice::NotWritten(words));
            }
            // Written anew only.
            Record::ExecutorStarting(_) | Record::Heard { .. } => {}
        }
    }
}
