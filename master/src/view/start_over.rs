//! A view that missed changes begins anew with all that the master knows. What only the view remembers stays: agents that
//! are gone, removed frameworks, ended tasks with their statuses.

use std::collections::BTreeSet;

use protocol::change::{AgentState, FrameworkState, What};
use protocol::ids::{AgentId, FrameworkId, TaskId};
use protocol::quota::Shares;
use protocol::resources::Resources;
use protocol::task::{TaskReport, TaskState};

use super::{Totals, View};

impl View {
    /// Replaces what is known by a snapshot, which is as far as `change`. What was live and is not in it has ended. What
    /// the changes that it missed come to is counted as if it had seen them.
    pub fn start_over(&mut self, change: u64, snapshot: Vec<What>, missed: &Totals) {
        self.cluster.change = change;
        self.totals.add(missed);
        self.offers.clear();
        self.shares = Shares::default();
        let frameworks: Vec<FrameworkId> = self.frameworks.keys().cloned().collect();
        for framework in &frameworks {
            if let Some(framework) = self.framework(framework) {
                framework.offered = Resources::none();
                framework.executors.clear();
            }
        }
        let (mut agents, mut frameworks, mut tasks) = Default::default();
        for what in &snapshot {
            note(what, &mut agents, &mut frameworks, &mut tasks);
        }
        for what in snapshot {
            self.take(what, change);
        }
        self.end_what_is_missing(change, &agents, &frameworks, &tasks);
    }

    /// Its statuses so far are kept, if it is the task that was seen before.
    pub(super) fn go_on_with(&mut self, report: TaskReport) {
        let framework = self.framework(&report.framework);
        let known = framework.and_then(|f| f.task(&report.spec.task));
        match known.filter(|task| task.ended_by.is_none() && task.report.agent == report.agent) {
            Some(task) => {
                let news = report.unacknowledged.clone();
                let news = news.filter(|status| !task.statuses.contains(status));
                task.report = report;
                news.into_iter().for_each(|status| self.on_status(status));
            }
            None => self.on_task(report),
        }
    }

    fn end_what_is_missing(
        &mut self,
        change: u64,
        agents: &BTreeSet<AgentId>,
        frameworks: &BTreeSet<FrameworkId>,
        tasks: &BTreeSet<(FrameworkId, TaskId)>,
    ) {
        let live = self.agents.iter().filter(|(_, agent)| agent.view.state != AgentState::Gone);
        let gone = live.map(|(agent, _)| agent.clone()).filter(|agent| !agents.contains(agent));
        for agent in gone.collect::<Vec<_>>() {
            self.on_agent_state(agent, AgentState::Gone);
        }
        let mut ended = Vec::new();
        let mut removed = Vec::new();
        for (id, framework) in self.frameworks.iter() {
            let live = framework.tasks.iter().filter(|(_, task)| task.ended_by.is_none());
            ended.extend(live.map(|(task, seen)| (id.clone(), task.clone(), seen.report.state)));
            if framework.state != FrameworkState::Removed && !frameworks.contains(id) {
                removed.push(id.clone());
            }
        }
        for (framework, task, state) in ended {
            if !tasks.contains(&(framework.clone(), task.clone())) {
                // The master remembers the ends of so many tasks; how this one ended nobody knows any more.
                let state = if state.is_end() { state } else { TaskState::Unknown };
                self.on_forgotten(&framework, task, state, change);
            }
        }
        for framework in removed {
            self.on_framework_state(framework, FrameworkState::Removed);
        }
    }
}

/// Who is in a snapshot.
fn note(
    what: &What,
    agents: &mut BTreeSet<AgentId>,
    frameworks: &mut BTreeSet<FrameworkId>,
    tasks: &mut BTreeSet<(FrameworkId, TaskId)>,
) {
    match what {
        What::Agent { agent, .. } => drop(agents.insert(agent.clone())),
        What::Framework { info, .. } => drop(frameworks.insert(info.framework.clone())),
        What::Task(report) => {
            tasks.insert((report.framework.clone(), report.spec.task.clone()));
        }
        What::AgentState { .. } | What::AgentBook { .. } | What::FrameworkState { .. } => (),
        What::OfferMade(_) | What::OfferEnded(_) | What::OfferLeased { .. } => (),
        What::AgentNews { .. } => (),
        What::TaskStatus(_) | What::TaskForgotten { .. } => (),
        What::Quotas(_) | What::Weights(_) => (),
        What::AgentDomain { .. } | What::OfferConstraints { .. } => (),
        What::ExecutorBooked { .. } | What::ExecutorUnbooked { .. } => (),
    }
}
