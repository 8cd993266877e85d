//! How each message travels: its name on the wire, its variant's label, and the ids by which its flow is found.

mod operators;

use libactor::{Message, Subjects};

use crate::agent::{AgentToMaster, MasterToAgent};
use crate::executor::{AgentToExecutor, ExecutorToAgent};
use crate::framework::{FrameworkToMaster, MasterToFramework, Operation};
use crate::secrets;
use crate::since::{Since, newest};
use crate::task::{TaskState, TaskStatus};

fn status_subjects(status: &TaskStatus, out: &mut Subjects) {
    out.add(status.task.as_str());
    out.add(status.framework.as_str());
}

/// News of a task is known by the state it tells.
fn updated_to(state: TaskState) -> &'static str {
    match state {
        TaskState::Staging => "Updated: staging",
        TaskState::Starting => "Updated: starting",
        TaskState::Running => "Updated: running",
        TaskState::Killing => "Updated: killing",
        TaskState::Finished => "Updated: finished",
        TaskState::Failed => "Updated: failed",
        TaskState::Killed => "Updated: killed",
        TaskState::Error => "Updated: error",
        TaskState::Lost => "Updated: lost",
        TaskState::Dropped => "Updated: dropped",
        TaskState::Unreachable => "Updated: unreachable",
        TaskState::Gone => "Updated: gone",
        TaskState::GoneByOperator => "Updated: gone by operator",
        TaskState::Unknown => "Updated: unknown",
    }
}

impl Message for AgentToMaster {
    const NAME: &'static str = "AgentToMaster";

    fn without_secrets(&self) -> Option<Self> {
        secrets::of_agent_to_master(self)
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Register { .. } => "Register",
            Self::Reregister { .. } => "Reregister",
            Self::Pong { .. } => "Pong",
            Self::Updated { status, .. } => updated_to(status.state),
            Self::ExecutorEnded { .. } => "ExecutorEnded",
            Self::FromExecutor { .. } => "FromExecutor",
            Self::EpochRefused { .. } => "EpochRefused",
            Self::Unregister => "Unregister",
            Self::MayReturn { .. } => "MayReturn",
            Self::RegisterAt { .. } => "RegisterAt",
            Self::ReregisterAt { .. } => "ReregisterAt",
        }
    }

    fn since(&self) -> u32 {
        match self {
            Self::Register { info, .. } => info.since(),
            Self::Reregister { info, tasks, executors, frameworks, .. } => {
                newest([info, tasks, executors, frameworks])
            }
            Self::Updated { status, .. } => status.since(),
            Self::Pong { .. } | Self::ExecutorEnded { .. } => 1,
            Self::Unregister | Self::FromExecutor { .. } | Self::EpochRefused { .. } => 1,
            Self::MayReturn { .. } => 2,
            Self::RegisterAt { .. } | Self::ReregisterAt { .. } => 2,
        }
    }

    fn subjects(&self, out: &mut Subjects) {
        match self {
            Self::Updated { status, .. } => status_subjects(status, out),
            Self::Reregister { agent, .. }
            | Self::ReregisterAt { agent, .. }
            | Self::MayReturn { agent, .. } => out.add(agent.as_str()),
            Self::ExecutorEnded { framework, executor, .. }
            | Self::FromExecutor { framework, executor, .. } => {
                out.add(executor.as_str());
                out.add(framework.as_str());
            }
            Self::Register { .. }
            | Self::RegisterAt { .. }
            | Self::Pong { .. }
            | Self::EpochRefused { .. }
            | Self::Unregister => (),
        }
    }
}

impl Message for MasterToAgent {
    const NAME: &'static str = "MasterToAgent";

    fn without_secrets(&self) -> Option<Self> {
        secrets::of_master_to_agent(self)
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "Registered",
            Self::Refused { .. } => "Refused",
            Self::Ping { .. } => "Ping",
            Self::Launch { .. } => "Launch",
            Self::Kill { .. } => "Kill",
            Self::Acknowledge { .. } => "Acknowledge",
            Self::ToExecutor { .. } => "ToExecutor",
            Self::ShutdownExecutor { .. } => "ShutdownExecutor",
            Self::ShutdownFramework { .. } => "ShutdownFramework",
            Self::Reconcile { .. } => "Reconcile",
            Self::ReturnNow { .. } => "ReturnNow",
            Self::ReturnLater { .. } => "ReturnLater",
            Self::RegisterAgain { .. } => "RegisterAgain",
            Self::Shutdown { .. } => "Shutdown",
            Self::FrameworkUpdated { .. } => "FrameworkUpdated",
            Self::LaunchInRunning { .. } => "LaunchInRunning",
        }
    }

    fn since(&self) -> u32 {
        match self {
            Self::Registered { .. } | Self::Refused { .. } | Self::Ping { .. } => 1,
            Self::Launch { framework, task, .. } => newest([framework, task]),
            Self::Kill { .. } | Self::Acknowledge { .. } => 1,
            Self::ToExecutor { .. } | Self::Reconcile { .. } => 1,
            Self::ShutdownExecutor { .. } | Self::ShutdownFramework { .. } => 1,
            Self::ReturnNow { .. } | Self::ReturnLater { .. } => 2,
            Self::RegisterAgain { .. } | Self::Shutdown { .. } => 2,
            Self::FrameworkUpdated { .. } | Self::LaunchInRunning { .. } => 2,
        }
    }

    fn subjects(&self, out: &mut Subjects) {
        match self {
            Self::Registered { agent, .. } => out.add(agent.as_str()),
            Self::Launch { framework, task, .. }
            | Self::LaunchInRunning { framework, task, .. } => {
                out.add(task.task.as_str());
                out.add(framework.framework.as_str());
            }
            Self::Kill { framework, task, .. } | Self::Acknowledge { framework, task, .. } => {
                out.add(task.as_str());
                out.add(framework.as_str());
            }
            Self::ToExecutor { framework, executor, .. }
            | Self::ShutdownExecutor { framework, executor, .. } => {
                out.add(executor.as_str());
                out.add(framework.as_str());
            }
            Self::ShutdownFramework { framework, .. } => out.add(framework.as_str()),
            Self::FrameworkUpdated { framework, .. } => out.add(framework.framework.as_str()),
            Self::Refused { .. } | Self::Ping { .. } | Self::Reconcile { .. } => (),
            Self::ReturnNow { .. } | Self::ReturnLater { .. } => (),
            Self::RegisterAgain { .. } | Self::Shutdown { .. } => (),
        }
    }
}

impl Message for FrameworkToMaster {
    const NAME: &'static str = "FrameworkToMaster";

    fn without_secrets(&self) -> Option<Self> {
        secrets::of_framework_to_master(self)
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Subscribe { .. } => "Subscribe",
            Self::Accept { .. } => "Accept",
            Self::Decline { .. } => "Decline",
            Self::Demand(_) => "Demand",
            Self::Revive => "Revive",
            Self::Suppress => "Suppress",
            Self::Kill { .. } => "Kill",
            Self::Acknowledge { .. } => "Acknowledge",
            Self::Reconcile(_) => "Reconcile",
            Self::ToExecutor { .. } => "ToExecutor",
            Self::ShutdownExecutor { .. } => "ShutdownExecutor",
            Self::Teardown => "Teardown",
            Self::SubscribeWith { .. } => "SubscribeWith",
            Self::Wishes(_) => "Wishes",
            Self::ReviveRoles(_) => "ReviveRoles",
            Self::SuppressRoles(_) => "SuppressRoles",
            Self::UpdateFramework { .. } => "UpdateFramework",
        }
    }

    fn since(&self) -> u32 {
        match self {
            Self::Subscribe { info, demand, .. } => newest([info, demand]),
            Self::Accept { operations, .. } => operations.since(),
            Self::Demand(demand) => demand.since(),
            Self::Decline { .. } | Self::Revive | Self::Suppress | Self::Kill { .. } => 1,
            Self::Acknowledge { .. } | Self::Reconcile(_) | Self::ToExecutor { .. } => 1,
            Self::ShutdownExecutor { .. } | Self::Teardown => 1,
            Self::SubscribeWith { .. } | Self::Wishes(_) => 2,
            Self::ReviveRoles(_) | Self::SuppressRoles(_) | Self::UpdateFramework { .. } => 2,
        }
    }

    fn subjects(&self, out: &mut Subjects) {
        match self {
            Self::Subscribe { framework: Some(framework), .. }
            | Self::SubscribeWith { framework: Some(framework), .. } => {
                out.add(framework.as_str());
            }
            Self::Accept { offers, operations, .. } => {
                for Operation::Launch(tasks) in operations {
                    tasks.iter().for_each(|task| out.add(task.task.as_str()));
                }
                offers.iter().for_each(|offer| out.add(offer.as_str()));
            }
            Self::Decline { offers, .. } => offers.iter().for_each(|offer| out.add(offer.as_str())),
            Self::Kill { task, .. } | Self::Acknowledge { task, .. } => out.add(task.as_str()),
            Self::Reconcile(tasks) => tasks.iter().for_each(|(task, _)| out.add(task.as_str())),
            Self::ToExecutor { executor, .. } | Self::ShutdownExecutor { executor, .. } => {
                out.add(executor.as_str())
            }
            Self::Subscribe { framework: None, .. } | Self::Demand(_) => (),
            Self::SubscribeWith { framework: None, .. } | Self::Wishes(_) => (),
            Self::Revive | Self::Suppress | Self::Teardown => (),
            Self::ReviveRoles(_) | Self::SuppressRoles(_) => (),
            Self::UpdateFramework { info, .. } => out.add(info.framework.as_str()),
        }
    }
}

impl Message for MasterToFramework {
    const NAME: &'static str = "MasterToFramework";

    fn without_secrets(&self) -> Option<Self> {
        secrets::of_master_to_framework(self)
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Subscribed { .. } => "Subscribed",
            Self::Refused { .. } => "Refused",
            Self::FailedOver => "FailedOver",
            Self::Offers(_) => "Offers",
            Self::Rescinded(_) => "Rescinded",
            Self::Updated(status) => updated_to(status.state),
            Self::Deltas(_) => "Deltas",
            Self::FromExecutor { .. } => "FromExecutor",
            Self::ExecutorEnded { .. } => "ExecutorEnded",
            Self::AgentLost(_) => "AgentLost",
            Self::TornDown => "TornDown",
            Self::Error { .. } => "Error",
            Self::Unmet(_) => "Unmet",
            Self::OffersAt { .. } => "OffersAt",
            Self::FrameworkUpdated { .. } => "FrameworkUpdated",
        }
    }

    /// Who does not know a reason could read nothing of the news. It is owed all then, and hears of the task in the answer to a
    /// new subscription.
    fn since(&self) -> u32 {
        match self {
            Self::Updated(status) => status.since(),
            Self::Subscribed { tasks, .. } => tasks.since(),
            Self::Offers(offers) => offers.since(),
            Self::Deltas(changes) => changes.since(),
            Self::Unmet(unmet) => unmet.since(),
            Self::Refused { .. } | Self::FailedOver | Self::Rescinded(_) => 1,
            Self::FromExecutor { .. } | Self::ExecutorEnded { .. } | Self::AgentLost(_) => 1,
            Self::TornDown | Self::Error { .. } => 1,
            Self::OffersAt { .. } | Self::FrameworkUpdated { .. } => 2,
        }
    }

    fn subjects(&self, out: &mut Subjects) {
        match self {
            Self::Subscribed { framework, .. } => out.add(framework.as_str()),
            Self::Offers(offers) | Self::OffersAt { offers, .. } => {
                offers.iter().for_each(|offer| out.add(offer.offer.as_str()));
            }
            Self::Rescinded(offers) => offers.iter().for_each(|offer| out.add(offer.as_str())),
            Self::Updated(status) => status_subjects(status, out),
            Self::FromExecutor { executor, .. } | Self::ExecutorEnded { executor, .. } => {
                out.add(executor.as_str())
            }
            Self::AgentLost(agent) => out.add(agent.as_str()),
            Self::Refused { .. }
            | Self::FailedOver
            | Self::Deltas(_)
            | Self::TornDown
            | Self::Unmet(_)
            | Self::FrameworkUpdated { .. }
            | Self::Error { .. } => (),
        }
    }
}

impl Message for ExecutorToAgent {
    const NAME: &'static str = "ExecutorToAgent";

    fn without_secrets(&self) -> Option<Self> {
        secrets::of_executor_to_agent(self)
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Register { .. } => "Register",
            Self::Updated(status) => updated_to(status.state),
            Self::ToScheduler(_) => "ToScheduler",
            Self::Reregister { .. } => "Reregister",
        }
    }

    fn since(&self) -> u32 {
        match self {
            Self::Register { .. } | Self::Updated(_) | Self::ToScheduler(_) => 1,
            Self::Reregister { .. } => 2,
        }
    }

    fn subjects(&self, out: &mut Subjects) {
        match self {
            Self::Register { framework, executor, .. }
            | Self::Reregister { framework, executor, .. } => {
                out.add(executor.as_str());
                out.add(framework.as_str());
            }
            Self::Updated(status) => status_subjects(status, out),
            Self::ToScheduler(_) => (),
        }
    }
}

impl Message for AgentToExecutor {
    const NAME: &'static str = "AgentToExecutor";

    fn without_secrets(&self) -> Option<Self> {
        secrets::of_agent_to_executor(self)
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "Registered",
            Self::Launch(_) => "Launch",
            Self::Kill { .. } => "Kill",
            Self::Acknowledge { .. } => "Acknowledge",
            Self::FromScheduler(_) => "FromScheduler",
            Self::Shutdown => "Shutdown",
            Self::Reregistered { .. } => "Reregistered",
        }
    }

    fn since(&self) -> u32 {
        match self {
            Self::Registered { framework, .. } => framework.since(),
            Self::Launch(task) => task.since(),
            Self::Kill { .. }
            | Self::Acknowledge { .. }
            | Self::FromScheduler(_)
            | Self::Shutdown => 1,
            Self::Reregistered { .. } => 2,
        }
    }

    fn subjects(&self, out: &mut Subjects) {
        match self {
            Self::Launch(task) => out.add(task.task.as_str()),
            Self::Kill { task, .. } | Self::Acknowledge { task, .. } => out.add(task.as_str()),
            Self::Registered { .. } | Self::FromScheduler(_) | Self::Shutdown => (),
            Self::Reregistered { .. } => (),
        }
    }
}
