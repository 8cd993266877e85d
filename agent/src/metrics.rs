//! What an agent counts, in Prometheus's form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use gateway::Spans;
use protocol::agent::AgentToMaster;
use protocol::task::TaskState;
use serde::{Deserialize, Serialize};

use crate::logic::{Agent, Effect, Notice};
use crate::sandboxes::Collected;

/// Since the agent's start, but for those that say what is there now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    frameworks: u64,
    /// Tasks that are not ended and acknowledged, by state.
    states: BTreeMap<TaskState, u64>,
    /// Of each scalar: how much there is, and how much of it is used.
    scalars: BTreeMap<String, (f64, f64)>,
    /// Executors that have ended.
    executors_ended: u64,
    /// Tasks that have ended, by how.
    ends: BTreeMap<TaskState, u64>,
    /// Containers of which something is left that could not be undone.
    containers_left: u64,
    /// Executors and tasks that have the root of an image.
    in_images: u64,
}

/// How long pulls took, to Mesos.
const IMAGE_PULL: &str = "containerizer/mesos/provisioner/docker_store/image_pull_ms";

/// What Mesos counts of what can be used.
const SCALARS: [&str; 4] = ["cpus", "gpus", "mem", "disk"];

/// States of tasks that run, or are about to.
const LIVE: [(TaskState, &str); 4] = [
    (TaskState::Staging, "staging"),
    (TaskState::Starting, "starting"),
    (TaskState::Running, "running"),
    (TaskState::Killing, "killing"),
];

/// Ends that Mesos counts.
const ENDS: [(TaskState, &str); 5] = [
    (TaskState::Finished, "finished"),
    (TaskState::Failed, "failed"),
    (TaskState::Killed, "killed"),
    (TaskState::Lost, "lost"),
    (TaskState::Gone, "gone"),
];

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
            Effect::Note(Notice::TaskForgotten { state, .. }) => {
                self.tasks_ended += 1;
                *self.ends.entry(*state).or_default() += 1;
            }
            Effect::Note(Notice::TaskRefused { .. }) => self.tasks_refused += 1,
            Effect::Note(Notice::EpochRefused { .. }) => self.epochs_refused += 1,
            Effect::Note(Notice::Registered { .. }) => self.registrations += 1,
            Effect::Note(_) | Effect::TellExecutor { .. } | Effect::Link(_) | Effect::Unlink(_) => {
            }
            Effect::Write(_) | Effect::EndOldExecutor(_) | Effect::SignalExecutor { .. } => {}
            Effect::DropRecords(_) => self.executors_ended += 1,
            Effect::FindExecutor(_) | Effect::DismissGateway(_) => {}
            Effect::GiveContainer { .. } => {}
            Effect::StartTimer { .. } | Effect::Stop(_) => {}
        }
    }

    /// Takes notice of a container of which something is left.
    pub(crate) fn container_left(&mut self) {
        self.containers_left += 1;
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
        self.in_images = count(agent.in_images());
        self.registered = u64::from(agent.master().is_some());
        self.epoch = agent.epoch();
        let frameworks: BTreeSet<_> =
            agent.executors().map(|(_, framework, _)| framework).collect();
        self.frameworks = count(frameworks.len());
        for (_, _, state) in agent.tasks() {
            *self.states.entry(state).or_default() += 1;
        }
        let (total, used) = (agent.total(), agent.used());
        let scalar = |name: &str| (total.scalar(name).as_f64(), used.scalar(name).as_f64());
        self.scalars = SCALARS.map(|name| (name.to_owned(), scalar(name))).into_iter().collect();
        self
    }

    /// Under the names of Mesos's metrics.
    pub(crate) fn numbers(
        &self,
        fetched: &fetcher::Counts,
        pulled: &Spans,
    ) -> BTreeMap<String, f64> {
        let mut all: BTreeMap<String, f64> = [
            ("slave/registered", self.registered),
            ("slave/frameworks_active", self.frameworks),
            ("slave/executors_running", self.executors),
            ("slave/executors_terminated", self.executors_ended),
            ("slave/valid_status_updates", self.updates_sent),
            ("gc/path_removals_succeeded", self.sandboxes_removed),
            ("gc/path_removals_failed", self.sandboxes_not_removed),
            ("gc/path_removals_pending", self.sandboxes_kept),
            ("containerizer/mesos/container_destroy_errors", self.containers_left),
            ("containerizer/mesos/filesystem/containers_new_rootfs", self.in_images),
            ("containerizer/fetcher/task_fetches_succeeded", fetched.succeeded),
            ("containerizer/fetcher/task_fetches_failed", fetched.failed),
            ("containerizer/fetcher/cache_size_total_bytes", fetched.cache_total),
            ("containerizer/fetcher/cache_size_used_bytes", fetched.cache_used),
        ]
        .map(|(name, count)| (name.to_owned(), count as f64))
        .into();
        all.extend(pulled.milliseconds(IMAGE_PULL));
        for (state, name) in LIVE {
            let count = self.states.get(&state).copied().unwrap_or_default();
            all.insert(format!("slave/tasks_{name}"), count as f64);
        }
        for (state, name) in ENDS {
            let count = self.ends.get(&state).copied().unwrap_or_default();
            all.insert(format!("slave/tasks_{name}"), count as f64);
        }
        for (name, (total, used)) in &self.scalars {
            let percent = if *total > 0.0 { used / total } else { 0.0 };
            for (what, number) in [("total", *total), ("used", *used), ("percent", percent)] {
                all.insert(format!("slave/{name}_{what}"), number);
            }
        }
        all
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_name_that_an_agent_counts_under_is_one_of_mesoss() {
        let mut counts =
            Counts { scalars: [("cpus".to_owned(), (4.0, 1.0))].into(), ..Counts::default() };
        counts.container_left();
        let fetched = fetcher::Counts { cache_total: 8, ..Default::default() };
        let mut pulled = Spans::default();
        pulled.add(Duration::from_millis(1500));
        let numbers = counts.numbers(&fetched, &pulled);
        for name in numbers.keys() {
            assert!(crate::COUNTED.contains(&name.as_str()), "{name}");
        }
        assert_eq!(numbers["containerizer/mesos/container_destroy_errors"], 1.0);
        assert_eq!(numbers["slave/cpus_percent"], 0.25);
        assert_eq!(numbers[IMAGE_PULL], 1500.0);
        assert_eq!(numbers["containerizer/fetcher/cache_size_total_bytes"], 8.0);
        assert!(crate::COUNTED.is_sorted());
    }

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
