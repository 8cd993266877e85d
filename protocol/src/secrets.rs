//! What of messages only their receiver may know: an executor's token, and what stands in the environment of tasks, where
//! people put passwords. Recordings of payloads are made without.

use std::sync::Arc;

use crate::change::{Change, What};
use crate::executor::{AgentToExecutor, ExecutorToAgent};
use crate::framework::{FrameworkToMaster, MasterToFramework, Operation};
use crate::task::{CommandSpec, Run, TaskReport, TaskSpec};
use crate::{agent::AgentToMaster, agent::MasterToAgent};

/// Stands for what was left out.
const HIDDEN: &str = "(hidden)";

fn hide_of_command(command: &mut CommandSpec) {
    for (_, value) in &mut command.environment {
        HIDDEN.clone_into(value);
    }
    // May hold an environment, too, and is not looked into here.
    command.carried = Default::default();
}

fn hide_of_task(task: &mut TaskSpec) {
    match &mut task.run {
        Run::Command(command) => hide_of_command(command),
        Run::Executor { executor, data } => {
            hide_of_command(&mut executor.command);
            data.clear();
        }
    }
    task.carried = Default::default();
}

fn hide_of_reports(reports: &mut [TaskReport]) {
    reports.iter_mut().for_each(|report| hide_of_task(Arc::make_mut(&mut report.spec)));
}

pub(crate) fn of_agent_to_master(message: &AgentToMaster) -> Option<AgentToMaster> {
    if !matches!(message, AgentToMaster::Reregister { .. } | AgentToMaster::ReregisterAt { .. }) {
        return None;
    }
    let mut message = message.clone();
    let (AgentToMaster::Reregister { tasks, executors, .. }
    | AgentToMaster::ReregisterAt { tasks, executors, .. }) = &mut message
    else {
        return None;
    };
    hide_of_reports(tasks);
    executors.iter_mut().for_each(|executor| hide_of_command(&mut executor.spec.command));
    Some(message)
}

pub(crate) fn of_master_to_agent(message: &MasterToAgent) -> Option<MasterToAgent> {
    if !matches!(message, MasterToAgent::Launch { .. } | MasterToAgent::LaunchInRunning { .. }) {
        return None;
    }
    let mut message = message.clone();
    let (MasterToAgent::Launch { task, .. } | MasterToAgent::LaunchInRunning { task, .. }) =
        &mut message
    else {
        return None;
    };
    hide_of_task(task);
    Some(message)
}

pub(crate) fn of_executor_to_agent(message: &ExecutorToAgent) -> Option<ExecutorToAgent> {
    let mut message = match message {
        ExecutorToAgent::Register { .. } | ExecutorToAgent::Reregister { .. } => message.clone(),
        ExecutorToAgent::Updated(_) | ExecutorToAgent::ToScheduler(_) => return None,
    };
    let (ExecutorToAgent::Register { token, .. } | ExecutorToAgent::Reregister { token, .. }) =
        &mut message
    else {
        return None;
    };
    *token = HIDDEN.into();
    Some(message)
}

pub(crate) fn of_agent_to_executor(message: &AgentToExecutor) -> Option<AgentToExecutor> {
    if !matches!(message, AgentToExecutor::Launch(_)) {
        return None;
    }
    let mut message = message.clone();
    let AgentToExecutor::Launch(task) = &mut message else { return None };
    hide_of_task(task);
    Some(message)
}

pub(crate) fn of_framework_to_master(message: &FrameworkToMaster) -> Option<FrameworkToMaster> {
    if !matches!(message, FrameworkToMaster::Accept { .. }) {
        return None;
    }
    let mut message = message.clone();
    let FrameworkToMaster::Accept { operations, .. } = &mut message else { return None };
    for Operation::Launch(tasks) in operations {
        tasks.iter_mut().for_each(hide_of_task);
    }
    Some(message)
}

pub(crate) fn of_master_to_framework(message: &MasterToFramework) -> Option<MasterToFramework> {
    if !matches!(message, MasterToFramework::Subscribed { .. } | MasterToFramework::Deltas(_)) {
        return None;
    }
    let mut message = message.clone();
    if let MasterToFramework::Subscribed { tasks, .. } = &mut message {
        hide_of_reports(tasks);
        return Some(message);
    }
    let MasterToFramework::Deltas(changes) = &mut message else { return None };
    for Change { what, .. } in changes {
        if let What::Task(report) = what {
            hide_of_task(Arc::make_mut(&mut report.spec));
        }
    }
    Some(message)
}
