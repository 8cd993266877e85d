//! What an agent counts, in Prometheus's form.

use std::fmt::Write;

use protocol::agent::AgentToMaster;
use serde::{Deserialize, Serialize};

use crate::logic::{Agent, Effect, Notice};
use crate::sandboxes::Collected;

/// Since the agent's start, but for those that say what is there now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    executors_started: u64,
    tasks_ended: u64,
    tasks_refused: u64,
    updates_sent: u64,
    epochs_refused: u64,
    registrations: u64,
    contacts: u64,
    sandboxes_removed: u64,
    sandboxes_not_removed: u64,
    sandboxes_kept: u64,
    /// What is there now.
    tasks: u64,
    executors: u64,
    registered: u64,
    epoch: u64,
}

impl libactor::Message for Counts {
    const NAME: &'static str = "agent.Counts";
}

impl Counts {
    /// Takes notice of what is about to be done.
    pub(crate) fn see(&mut self, effect: &Effect) {
        match effect {
            Effect::StartExecutor(_) => self.executors_started += 1,
            Effect::ContactMaster(_) => self.contacts += 1,
            Effect::TellMaster { message, .. } => {
                if let AgentToMaster::Updated { .. } = message {
                    self.updates_sent += 1;
                }
            }
            Effect::Note(Notice::TaskForgotten { .. }) => self.tasks_ended += 1,
            Effect::Note(Notice::TaskRefused { .. }) => self.tasks_refused += 1,
            Effect::Note(Notice::EpochRefused { .. }) => self.epochs_refused += 1,
            Effect::Note(Notice::Registered { .. }) => self.registrations += 1,
            Effect::Note(_) | Effect::TellExecutor { .. } | Effect::Link(_) | Effect::Unlink(_) => {
            }
            Effect::Write(_) | Effect::EndOldExecutor(_) | Effect::SignalExecutor { .. } => {}
            Effect::FindExecutor(_) | Effect::DropRecords(_) | Effect::DismissGateway(_) => {}
            Effect::StartTimer { .. } | Effect::Stop(_) => {}
        }
    }

    /// Takes notice of a look at the sandboxes.
    pub(crate) fn collected(&mut self, collected: Collected) {
        self.sandboxes_removed += collected.removed;
        self.sandboxes_not_removed += collected.failed;
        self.sandboxes_kept = collected.kept;
    }

    /// With what is there now.
    pub(crate) fn with(mut self, agent: &Agent) -> Self {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        self.tasks = count(agent.tasks().count());
        self.executors = count(agent.executors().count());
        self.registered = u64::from(agent.master().is_some());
        self.epoch = agent.epoch();
        self
    }

    /// The text that Prometheus reads.
    pub(crate) fn prometheus(&self) -> String {
        let rows = [
            ("executors_started_total", "counter", "Executors started.", self.executors_started),
            ("tasks_ended_total", "counter", "Tasks ended and acknowledged.", self.tasks_ended),
            ("tasks_refused_total", "counter", "Tasks not taken.", self.tasks_refused),
            (
                "updates_sent_total",
                "counter",
                "Status updates sent, repeats included.",
                self.updates_sent,
            ),
            (
                "epochs_refused_total",
                "counter",
                "Commands of deposed masters refused.",
                self.epochs_refused,
            ),
            ("registrations_total", "counter", "Registrations that succeeded.", self.registrations),
            ("contacts_total", "counter", "Attempts to register.", self.contacts),
            (
                "gc_path_removals_succeeded_total",
                "counter",
                "Sandboxes removed.",
                self.sandboxes_removed,
            ),
            (
                "gc_path_removals_failed_total",
                "counter",
                "Tries to remove a sandbox that failed.",
                self.sandboxes_not_removed,
            ),
            (
                "gc_path_removals_pending",
                "gauge",
                "Sandboxes of ended executors that are to be removed later.",
                self.sandboxes_kept,
            ),
            ("tasks", "gauge", "Tasks not ended and acknowledged.", self.tasks),
            ("executors", "gauge", "Executors that have not ended.", self.executors),
            ("registered", "gauge", "1 while registered with a master.", self.registered),
            ("epoch", "gauge", "The highest epoch seen.", self.epoch),
        ];
        let mut text = String::new();
        for (name, kind, help, value) in rows {
            let _ = write!(
                text,
                "# HELP airside_agent_{name} {help}\n# TYPE airside_agent_{name} {kind}\nairside_agent_{name} {value}\n"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gc_03_removals_are_summed_up_and_what_waits_is_as_it_is_now() {
        let mut counts = Counts::default();
        for kept in [9, 4] {
            counts.collected(Collected { removed: 3, failed: 2, kept });
        }
        let text = counts.prometheus();
        for line in ["succeeded_total 6", "failed_total 4", "pending 4"] {
            let line = format!("\nairside_agent_gc_path_removals_{line}\n");
            assert!(text.contains(&line), "{text}");
        }
    }
}
