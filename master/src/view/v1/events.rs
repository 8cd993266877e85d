//! What operators are told as it happens. A change is looked at before it is applied, and told as the view shows it afterwards.

use std::sync::Arc;

use ::api::v1;
use ::api::v1::master::Event;
use ::api::v1::master::event::{
    self, AgentAdded, AgentRemoved, FrameworkAdded, FrameworkRemoved, FrameworkUpdated, TaskAdded,
    TaskUpdated,
};
use protocol::change::{AgentState, FrameworkState, What};
use protocol::ids::{AgentId, FrameworkId, TaskId};
use protocol::task::{Reason, Source, TaskState, TaskStatus};

use super::super::{Framework, Task, View};
use super::agents::is_registered;
use super::frameworks::is_connected;

/// What a change is to operators.
#[derive(Clone, Debug)]
pub(crate) enum Happens {
    TaskAdded(FrameworkId, TaskId),
    TaskUpdated(Arc<TaskStatus>),
    /// Without news of its own, as when its framework is removed.
    TaskEnded(FrameworkId, TaskId, TaskState),
    AgentAdded(AgentId),
    AgentRemoved(AgentId),
    FrameworkAdded(FrameworkId),
    FrameworkUpdated(FrameworkId),
    FrameworkRemoved(Arc<Framework>),
}

impl View {
    /// What this change, which comes next, is to operators; `None`: nothing that they are told.
    pub(crate) fn happens(&self, what: &What) -> Option<Happens> {
        match what {
            What::Agent { agent, state, .. } | What::AgentState { agent, state } => {
                self.happens_to_agent(agent, *state)
            }
            What::Framework { info, state } => {
                let known = self.frameworks.get(&info.framework);
                let Some(known) = known.filter(|known| !known.is_removed()) else {
                    return Some(Happens::FrameworkAdded(info.framework.clone()));
                };
                let is_back = is_connected(*state) && !is_connected(known.state);
                let is_new = is_back || known.info != **info;
                is_new.then(|| Happens::FrameworkUpdated(info.framework.clone()))
            }
            What::FrameworkState { framework, state } => {
                let known = self.frameworks.get(framework)?;
                if *state == FrameworkState::Removed {
                    let was_there = !known.is_removed();
                    return was_there.then(|| Happens::FrameworkRemoved(Arc::clone(known)));
                }
                let is_back = is_connected(*state) && !is_connected(known.state);
                is_back.then(|| Happens::FrameworkUpdated(framework.clone()))
            }
            What::Task(report) => {
                let (framework, task) = (&report.framework, &report.spec.task);
                let known = self.live_task(framework, task).is_some();
                (!known).then(|| Happens::TaskAdded(framework.clone(), task.clone()))
            }
            What::TaskStatus(status) => {
                let known = self.live_task(&status.framework, &status.task)?;
                let is_news = known.report.state != status.state;
                is_news.then(|| Happens::TaskUpdated(Arc::clone(status)))
            }
            What::TaskForgotten { framework, task, state } => {
                let known = self.live_task(framework, task)?;
                let is_news = known.report.state != *state;
                is_news.then(|| Happens::TaskEnded(framework.clone(), task.clone(), *state))
            }
            What::AgentBook { .. } | What::AgentNews { .. } | What::AgentDomain { .. } => None,
            What::OfferMade(_) | What::OfferLeased { .. } | What::OfferEnded(_) => None,
            What::Quotas(_) | What::Weights(_) => None,
            What::ExecutorBooked { .. } | What::ExecutorUnbooked { .. } => None,
            What::OfferConstraints { .. } => None,
        }
    }

    fn happens_to_agent(&self, agent: &AgentId, state: AgentState) -> Option<Happens> {
        let before = self.agents.get(agent).map(|known| known.view.state);
        let was_member = before.is_some_and(is_registered);
        match state {
            AgentState::Active | AgentState::Disconnected if !was_member => {
                Some(Happens::AgentAdded(agent.clone()))
            }
            // Whoever cannot be reached is not removed.
            AgentState::Active | AgentState::Disconnected => None,
            AgentState::Unreachable | AgentState::Recovered => None,
            AgentState::Gone => was_member.then(|| Happens::AgentRemoved(agent.clone())),
        }
    }

    fn live_task(&self, framework: &FrameworkId, task: &TaskId) -> Option<&Arc<Task>> {
        let task = self.frameworks.get(framework)?.tasks.get(task)?;
        Some(task).filter(|task| !task.is_completed())
    }
}

/// The event, from a view to which the change was applied.
pub(crate) fn event(view: &View, happened: &Happens) -> Option<Event> {
    use event::Type;
    let of = |r#type: Type| Event { r#type: Some(r#type.into()), ..Event::default() };
    Some(match happened {
        Happens::TaskAdded(framework, task) => {
            let task_added = Some(TaskAdded { task: view.one_task(framework, task)? });
            Event { task_added, ..of(Type::TaskAdded) }
        }
        Happens::TaskUpdated(status) => updated(status)?,
        Happens::TaskEnded(framework, task, state) => {
            let known = view.frameworks.get(framework)?.tasks.get(task)?;
            updated(&TaskStatus {
                agent: Some(known.report.agent.clone()),
                reason: view
                    .frameworks
                    .get(framework)?
                    .is_removed()
                    .then_some(Reason::FrameworkRemoved),
                at: view.now.wall,
                ..TaskStatus::plain(framework.clone(), task.clone(), *state, Source::Master)
            })?
        }
        Happens::AgentAdded(agent) => {
            let agent_added = Some(AgentAdded { agent: view.one_agent(agent)? });
            Event { agent_added, ..of(Type::AgentAdded) }
        }
        Happens::AgentRemoved(agent) => {
            let agent_removed = Some(AgentRemoved { agent_id: agent.to_v1() });
            Event { agent_removed, ..of(Type::AgentRemoved) }
        }
        Happens::FrameworkAdded(framework) => {
            let framework = view.one_framework(framework)?;
            Event {
                framework_added: Some(FrameworkAdded { framework }),
                ..of(Type::FrameworkAdded)
            }
        }
        Happens::FrameworkUpdated(framework) => {
            let framework_updated =
                Some(FrameworkUpdated { framework: view.one_framework(framework)? });
            Event { framework_updated, ..of(Type::FrameworkUpdated) }
        }
        Happens::FrameworkRemoved(framework) => {
            let framework_removed =
                Some(FrameworkRemoved { framework_info: framework.info_to_v1() });
            Event { framework_removed, ..of(Type::FrameworkRemoved) }
        }
    })
}

/// Without what its executor wrote for its scheduler alone.
fn updated(status: &TaskStatus) -> Option<Event> {
    let state = status.state.to_v1().into();
    let framework_id = status.framework.to_v1();
    let status = v1::TaskStatus { data: None, ..status.to_v1().ok()? };
    Some(Event {
        r#type: Some(event::Type::TaskUpdated.into()),
        task_updated: Some(TaskUpdated { framework_id, status, state }),
        ..Event::default()
    })
}
