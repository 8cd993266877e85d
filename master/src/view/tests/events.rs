//! Operators are told what happens, and nothing twice.

use api::v1::master::Event;
use api::v1::master::event::Type;
use protocol::change::AgentNews;

use super::*;
use crate::view::v1::event;

/// What operators are told of a change.
fn told(view: &mut View, what: What) -> Option<Event> {
    let happens = view.happens(&what);
    tell(view, what);
    happens.and_then(|happens| event(view, &happens))
}

fn types(view: &mut View, changes: Vec<What>) -> Vec<Option<Type>> {
    changes.into_iter().map(|what| told(view, what).map(|event| event.r#type())).collect()
}

fn agent(state: AgentState) -> What {
    What::Agent { agent: agent_id(1), info: agent_info(1).into(), state }
}

fn agent_state(state: AgentState) -> What {
    What::AgentState { agent: agent_id(1), state }
}

#[test]
fn opapi_02_agents_come_and_are_removed_and_who_is_out_of_reach_is_neither() {
    let mut view = view();
    let changes = vec![
        agent(AgentState::Recovered),
        agent(AgentState::Active),
        What::AgentNews { agent: agent_id(1), news: AgentNews::Reregistered },
        agent(AgentState::Active),
        agent_state(AgentState::Disconnected),
        agent_state(AgentState::Unreachable),
        agent_state(AgentState::Active),
        agent_state(AgentState::Gone),
        agent_state(AgentState::Gone),
    ];
    let (added, removed) = (Some(Type::AgentAdded), Some(Type::AgentRemoved));
    let expected = [None, added, None, None, None, None, added, removed, None];
    assert_eq!(types(&mut view, changes), expected);
}

fn framework_state(state: FrameworkState) -> What {
    What::FrameworkState { framework: id(0), state }
}

#[test]
fn opapi_02_frameworks_come_change_and_are_removed() {
    let mut view = view();
    let of = |info: FrameworkInfo, state| What::Framework { info: info.into(), state };
    let other = FrameworkInfo { name: "other".into(), ..framework() };
    let changes = vec![
        of(framework(), FrameworkState::Active),
        of(framework(), FrameworkState::Active),
        of(other.clone(), FrameworkState::Active),
        framework_state(FrameworkState::Suppressed),
        framework_state(FrameworkState::Disconnected),
        of(other, FrameworkState::Active),
        framework_state(FrameworkState::Removed),
        framework_state(FrameworkState::Removed),
    ];
    let (added, updated) = (Some(Type::FrameworkAdded), Some(Type::FrameworkUpdated));
    let removed = Some(Type::FrameworkRemoved);
    let expected = [added, None, updated, None, None, updated, removed, None];
    assert_eq!(types(&mut view, changes), expected);
}

#[test]
fn opapi_02_tasks_are_added_once_and_told_when_their_state_changes() {
    let mut view = view();
    tell(&mut view, agent(AgentState::Active));
    tell(&mut view, What::Framework { info: framework().into(), state: FrameworkState::Active });
    let task = |state| What::Task(report(1, "a", state).into());
    let news = |state, n| {
        let said = TaskStatus { data: vec![7], ..status(1, "a", state, Some(n)) };
        What::TaskStatus(said.into())
    };
    let ended = |state| What::TaskForgotten { framework: id(0), task: TaskId::new("a"), state };
    let changes = vec![
        task(TaskState::Staging),
        task(TaskState::Staging),
        news(TaskState::Running, 1),
        news(TaskState::Running, 2),
        news(TaskState::Finished, 3),
        ended(TaskState::Finished),
        // Another of the same name.
        task(TaskState::Staging),
        ended(TaskState::Killed),
    ];
    let (added, updated) = (Some(Type::TaskAdded), Some(Type::TaskUpdated));
    let expected = [added, None, updated, None, updated, None, added, updated];
    assert_eq!(types(&mut view, changes), expected);
    tell(&mut view, task(TaskState::Staging));
    let event = told(&mut view, news(TaskState::Running, 4)).unwrap().task_updated.unwrap();
    assert_eq!((event.status.data, event.status.state), (None, event.state));
}
