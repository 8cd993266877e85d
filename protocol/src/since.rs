//! Since which version of the protocol the parts of messages can be read. Who does not know one part of a message can read nothing
//! of it, so that a message is as new as its newest part.

use std::sync::Arc;

use crate::agent::{AgentInfo, ExecutorReport};
use crate::change::{Change, What};
use crate::container::Wanted;
use crate::framework::{Capability, FrameworkInfo, Operation};
use crate::offer::{Constraint, Demand, Offer, Unmet};
use crate::operator::{AgentView, FrameworkView, ReadAnswer, TaskView};
use crate::resources::Resources;
use crate::task::{ExecutorSpec, Isolation, Reason, Run, TaskReport, TaskSpec, TaskStatus};

/// What is part of a message.
pub(crate) trait Since {
    /// The version that brought what it holds.
    fn since(&self) -> u32;
}

/// Of several parts.
pub(crate) fn newest<const N: usize>(parts: [&dyn Since; N]) -> u32 {
    parts.iter().map(|part| part.since()).max().unwrap_or(1)
}

impl<T: Since> Since for [T] {
    fn since(&self) -> u32 {
        self.iter().map(Since::since).max().unwrap_or(1)
    }
}

impl<T: Since> Since for Arc<T> {
    fn since(&self) -> u32 {
        (**self).since()
    }
}

impl<T: Since> Since for Vec<T> {
    fn since(&self) -> u32 {
        self[..].since()
    }
}

impl Since for Resources {
    fn since(&self) -> u32 {
        if self.is_plain() { 1 } else { 2 }
    }
}

impl Since for Capability {
    fn since(&self) -> u32 {
        match self {
            Self::PartitionAware | Self::StatesDemand => 1,
            Self::RevocableResources | Self::SharedResources | Self::GpuResources => 2,
            Self::ReservationRefinement | Self::RegionAware | Self::NamesItself => 2,
        }
    }
}

impl Since for FrameworkInfo {
    fn since(&self) -> u32 {
        self.capabilities.since()
    }
}

impl Since for Constraint {
    fn since(&self) -> u32 {
        match self {
            Self::Is { .. } | Self::IsNot { .. } | Self::Ports { .. } => 1,
            Self::Attribute(_) => 2,
        }
    }
}

impl Since for Demand {
    fn since(&self) -> u32 {
        newest([&self.each, &self.constraints])
    }
}

impl Since for Unmet {
    fn since(&self) -> u32 {
        self.demand.since()
    }
}

impl Since for ExecutorSpec {
    fn since(&self) -> u32 {
        self.resources.since()
    }
}

impl Since for TaskSpec {
    fn since(&self) -> u32 {
        let run = match &self.run {
            Run::Command(_) => self.resources.since(),
            Run::Executor { executor, .. } => newest([&self.resources, executor]),
        };
        // Whoever does not know of containers would run it outside of the one it asks for.
        if Wanted::is_carried_apart(&self.carried) { run.max(2) } else { run }
    }
}

impl Since for TaskReport {
    fn since(&self) -> u32 {
        newest([&self.spec, &self.unacknowledged])
    }
}

impl<T: Since> Since for Option<T> {
    fn since(&self) -> u32 {
        self.as_ref().map_or(1, Since::since)
    }
}

impl Since for Reason {
    fn since(&self) -> u32 {
        match self {
            Self::AgentDisconnected | Self::AgentRemoved | Self::AgentRestarted => 1,
            Self::AgentUnknown | Self::CommandExecutorFailed | Self::ContainerLaunchFailed => 1,
            Self::ExecutorRegistrationTimeout | Self::ExecutorTerminated => 1,
            Self::ExecutorUnregistered | Self::FrameworkRemoved | Self::InvalidOffers => 1,
            Self::Reconciliation | Self::ResourcesUnknown | Self::TaskInvalid => 1,
            Self::TaskUnauthorized | Self::TaskUnknown | Self::TaskKilledDuringLaunch => 1,
            Self::MasterDisconnected | Self::InvalidFrameworkId => 1,
            Self::AgentReregistered | Self::ContainerLimitationMemory => 2,
            Self::ContainerLimitationDisk | Self::ContainerLimitation => 2,
            Self::ContainerUpdateFailed => 2,
        }
    }
}

impl Since for Isolation {
    fn since(&self) -> u32 {
        match self {
            Self::ProcessGroup => 1,
            Self::ControlGroup | Self::Container => 2,
        }
    }
}

impl Since for TaskStatus {
    fn since(&self) -> u32 {
        newest([&self.reason, &self.isolation])
    }
}

impl Since for ExecutorReport {
    fn since(&self) -> u32 {
        self.spec.since()
    }
}

impl Since for AgentInfo {
    fn since(&self) -> u32 {
        self.resources.since()
    }
}

impl Since for Offer {
    fn since(&self) -> u32 {
        self.resources.since()
    }
}

impl Since for Operation {
    fn since(&self) -> u32 {
        match self {
            Self::Launch(tasks) => tasks.since(),
        }
    }
}

impl Since for Change {
    fn since(&self) -> u32 {
        match &self.what {
            What::Agent { info, .. } => info.since(),
            What::AgentBook { used, offered, .. } => newest([used, offered]),
            What::Framework { info, .. } => info.since(),
            What::OfferMade(offer) => offer.since(),
            What::Task(report) => report.since(),
            What::AgentState { .. } | What::FrameworkState { .. } | What::OfferEnded(_) => 1,
            What::TaskStatus(status) => status.since(),
            What::TaskForgotten { .. } => 1,
            What::AgentNews { .. } | What::Quotas(_) | What::Weights(_) => 2,
            What::ExecutorBooked { .. } | What::ExecutorUnbooked { .. } => 2,
            What::AgentDomain { .. } => 2,
            What::OfferLeased { .. } | What::OfferConstraints { .. } => 2,
        }
    }
}

impl Since for AgentView {
    fn since(&self) -> u32 {
        newest([&self.info, &self.used, &self.offered])
    }
}

impl Since for FrameworkView {
    fn since(&self) -> u32 {
        newest([&self.info, &self.used, &self.offered])
    }
}

impl Since for TaskView {
    fn since(&self) -> u32 {
        newest([&self.report, &self.statuses])
    }
}

impl Since for ReadAnswer {
    fn since(&self) -> u32 {
        match self {
            Self::Agents(agents) | Self::SomeAgents(agents) => agents.since(),
            Self::Frameworks(frameworks) | Self::SomeFrameworks(frameworks) => frameworks.since(),
            Self::Tasks(tasks) | Self::SomeTasks(tasks) => tasks.since(),
            Self::Cluster(_) | Self::Behind(_) => 1,
            Self::Roles(_) | Self::SomeRoles(_) | Self::Refused(_) => 2,
            Self::Domains(_) | Self::SomeDomains(_) => 2,
            Self::Offers(_) | Self::SomeOffers(_) => 2,
        }
    }
}
