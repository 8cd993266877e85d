//! The books as messages of the v1 operator API.

use api::v1;
use api::v1::agent::response::{
    GetAgent, GetExecutors, GetFrameworks, GetState, GetTasks, get_executors, get_frameworks,
};
use protocol::ids::{AgentId, FrameworkId};
use protocol::task::Run;
use protocol::v1::resources_to_endpoint;

use crate::logic::{Books, ExecutorSeen, FrameworkSeen, Stage, TaskSeen};

/// `GET_AGENT`. One that no master has given an id has none.
pub(crate) fn agent(books: &Books) -> GetAgent {
    let unknown = AgentId::new("");
    let id = books.agent.as_ref();
    let mut agent_info = books.info.to_v1(id.unwrap_or(&unknown), books.domain.as_ref());
    agent_info.id = id.map(AgentId::to_v1);
    GetAgent { agent_info: Some(agent_info), ..Default::default() }
}

/// `GET_STATE`: all lists at one moment.
pub(crate) fn state(books: &Books) -> GetState {
    GetState {
        get_tasks: Some(tasks(books)),
        get_executors: Some(executors(books)),
        get_frameworks: Some(frameworks(books)),
    }
}

/// `GET_FRAMEWORKS`.
pub(crate) fn frameworks(books: &Books) -> GetFrameworks {
    let shown = |all: &[FrameworkSeen]| {
        let one =
            |one: &FrameworkSeen| get_frameworks::Framework { framework_info: framework_info(one) };
        all.iter().map(one).collect()
    };
    GetFrameworks { frameworks: shown(&books.frameworks), completed_frameworks: shown(&books.gone) }
}

/// `GET_EXECUTORS`.
pub(crate) fn executors(books: &Books) -> GetExecutors {
    let mut all = GetExecutors::default();
    for framework in books.frameworks.iter().chain(&books.gone) {
        let shown = |executor: &ExecutorSeen| get_executors::Executor {
            executor_info: executor_info(&framework.info.framework, executor),
        };
        all.executors.extend(framework.executors.iter().map(shown));
        all.completed_executors.extend(framework.ended.iter().map(shown));
    }
    all
}

/// `GET_TASKS`. None waits before it is with an executor.
pub(crate) fn tasks(books: &Books) -> GetTasks {
    let mut all = GetTasks::default();
    let frameworks = books.frameworks.iter().chain(&books.gone);
    let executors = frameworks.flat_map(|one| one.executors.iter().chain(&one.ended));
    for seen in executors.flat_map(|executor| &executor.tasks) {
        let list = match seen.stage {
            Stage::Queued => &mut all.queued_tasks,
            Stage::Launched => &mut all.launched_tasks,
            Stage::Terminated => &mut all.terminated_tasks,
            Stage::Completed => &mut all.completed_tasks,
        };
        list.push(task(seen));
    }
    all
}

/// What it says of itself; of what it only carries nothing, if that is none of its words.
pub(super) fn framework_info(framework: &FrameworkSeen) -> v1::FrameworkInfo {
    let info = &framework.info;
    info.to_v1().unwrap_or_else(|_| v1::FrameworkInfo {
        id: Some(info.framework.to_v1()),
        name: info.name.clone(),
        user: info.user.clone(),
        ..Default::default()
    })
}

/// As its framework described it, if a task that is known says so; of one of the agent's making, what it is.
#[expect(deprecated, reason = "the older text is written, as Mesos writes it")]
pub(super) fn executor_info(framework: &FrameworkId, executor: &ExecutorSeen) -> v1::ExecutorInfo {
    let resources = executor.own_resources().allocated_to(&executor.role);
    let resources = resources_to_endpoint(&resources);
    if executor.is_for_command {
        return v1::ExecutorInfo {
            executor_id: executor.spec.executor.to_v1(),
            framework_id: Some(framework.to_v1()),
            name: Some(executor.name()),
            source: Some(executor.spec.executor.to_string()),
            command: Some(v1::CommandInfo {
                shell: Some(false),
                value: Some("airside".to_owned()),
                arguments: vec!["airside".to_owned(), "executor".to_owned()],
                ..Default::default()
            }),
            resources,
            ..Default::default()
        };
    }
    let describes = |task: &&std::sync::Arc<TaskSeen>| match &task.report.spec.run {
        Run::Executor { executor: asked, .. } => asked.executor == executor.spec.executor,
        Run::Command(_) => false,
    };
    let carried = executor.tasks.iter().find(describes).map(|task| &task.report.spec.carried);
    let info = executor.spec.shown_to_v1(framework, carried);
    let info = info.unwrap_or_else(|_| v1::ExecutorInfo {
        executor_id: executor.spec.executor.to_v1(),
        framework_id: Some(framework.to_v1()),
        ..Default::default()
    });
    v1::ExecutorInfo { resources, ..info }
}

fn task(seen: &TaskSeen) -> v1::Task {
    let report = &seen.report;
    let statuses = seen.statuses.iter().filter_map(|status| status.to_v1().ok()).collect();
    let mut task = report.to_v1(statuses).unwrap_or_else(|_| v1::Task {
        name: report.spec.name.clone(),
        task_id: v1::TaskId { value: report.spec.task.to_string() },
        framework_id: report.framework.to_v1(),
        agent_id: report.agent.to_v1(),
        state: report.state.to_v1().into(),
        ..Default::default()
    });
    task.resources.iter_mut().for_each(api::resources::to_endpoint);
    task
}
