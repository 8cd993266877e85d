//! The framework's own executors: on what each of them was started, since whoever launches on one again has to describe it in
//! the same words.

use std::collections::BTreeMap;

use protocol::ids::{AgentId, ExecutorId, TaskId};
use protocol::offer::Offer;
use protocol::resources::Resources;
use protocol::task::{Run, TaskReport, TaskSpec};
use serde::{Deserialize, Serialize};

use super::OpenOffer;
use super::tasks::BookedTask;

/// On what an executor was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Started {
    resources: Resources,
    /// The newest task that was launched on it: until that has ended, it is there or about to be.
    newest: TaskId,
}

/// Those that are there, or about to be, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Executors(BTreeMap<AgentId, BTreeMap<ExecutorId, Started>>);

impl Executors {
    /// One that is to be started takes what is reserved first, as tasks do; one that was is described as it was then.
    pub(super) fn describe(
        &self,
        open: &OpenOffer,
        book: &BTreeMap<TaskId, BookedTask>,
        task: &mut TaskSpec,
    ) {
        let Run::Executor { executor, .. } = &mut task.run else {
            return;
        };
        let is_there = open.offer.executors.contains(&executor.executor);
        let of_agent = self.0.get(&open.offer.agent);
        let started = of_agent.and_then(|of_agent| of_agent.get(&executor.executor));
        let started = started.filter(|one| is_there || book.contains_key(&one.newest));
        let found = match started {
            // Of other amounts its author speaks of another executor, which the master refuses in words.
            Some(one) if one.resources.flattened() == executor.resources.flattened() => {
                Some(one.resources.clone())
            }
            None if !is_there => {
                let left = open.left.checked_sub(&task.resources);
                left.and_then(|left| left.find(&executor.resources))
            }
            Some(_) | None => None,
        };
        if let Some(found) = found {
            executor.resources = found;
        }
    }

    pub(super) fn launched(&mut self, agent: &AgentId, task: &TaskSpec) {
        if let Run::Executor { executor, .. } = &task.run {
            let (resources, newest) = (executor.resources.clone(), task.task.clone());
            let of_agent = self.0.entry(agent.clone()).or_default();
            of_agent.insert(executor.executor.clone(), Started { resources, newest });
        }
    }

    /// A master knows better, and all that an earlier life of this scheduler has started.
    pub(super) fn reported(&mut self, report: &TaskReport) {
        let Run::Executor { executor, .. } = &report.spec.run else {
            return;
        };
        if report.state.is_end() {
            return;
        }
        let (resources, newest) = (&executor.resources, &report.spec.task);
        let of_agent = self.0.entry(report.agent.clone()).or_default();
        let started = of_agent.entry(executor.executor.clone());
        let started = started
            .or_insert_with(|| Started { resources: resources.clone(), newest: newest.clone() });
        started.resources.clone_from(resources);
    }

    /// An offer names all that are on its agent, but for those that are about to be started.
    pub(super) fn offered(&mut self, offer: &Offer, book: &BTreeMap<TaskId, BookedTask>) {
        let Some(of_agent) = self.0.get_mut(&offer.agent) else {
            return;
        };
        of_agent.retain(|executor, started| {
            offer.executors.contains(executor) || book.contains_key(&started.newest)
        });
        if of_agent.is_empty() {
            self.0.remove(&offer.agent);
        }
    }

    pub(super) fn agent_lost(&mut self, agent: &AgentId) {
        self.0.remove(agent);
    }
}
