//! Questions with an answer: what the command line asks masters and agents. Reads are answered by the master's view.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agent::AgentInfo;
use crate::change::{AgentState, FrameworkState, Moment};
use crate::framework::FrameworkInfo;
use crate::ids::{
    AgentId, ClusterId, ContainerId, ExecutorId, FrameworkId, MasterId, OfferId, Role, TaskId,
};
use crate::quantities::Quantities;
use crate::quota::{Quota, Weight};
use crate::resources::Resources;
use crate::task::{TaskReport, TaskStatus};
use crate::wishes::FaultDomain;

/// To the view of a master. Every list is bounded by the master's own limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Read {
    /// Who leads.
    Cluster,
    /// All agents.
    Agents,
    /// All frameworks.
    Frameworks,
    /// All tasks that the master remembers, ended ones among them.
    Tasks,
    /// Any of these, once the view has reached a moment. Another reign does not know the moment and answers at once.
    After {
        /// Which [`KillAnswer::KillingAt`] or [`ReadMoment`] named.
        moment: Moment,
        /// Of what.
        list: List,
    },
    /// The tasks behind one, as lists are ordered: what [`ReadAnswer::SomeTasks`] had no room for.
    TasksBehind {
        /// Whose the last one was.
        framework: FrameworkId,
        /// The last one.
        task: TaskId,
    },
    /// The agents behind one: what [`ReadAnswer::SomeAgents`] had no room for.
    AgentsBehind(AgentId),
    /// The frameworks behind one: what [`ReadAnswer::SomeFrameworks`] had no room for.
    FrameworksBehind(FrameworkId),
    /// All roles that anything is known of. Since version 2.
    Roles,
    /// The roles behind one: what [`ReadAnswer::SomeRoles`] had no room for. Since version 2.
    RolesBehind(Role),
    /// Where the master and its agents are, as far as their operators say. Since version 2.
    Domains,
    /// Where the agents behind one are: what [`ReadAnswer::SomeDomains`] had no room for. Since version 2.
    DomainsBehind(AgentId),
    /// All offers that are held. Since version 2.
    Offers,
    /// The offers behind one: what [`ReadAnswer::SomeOffers`] had no room for. Since version 2.
    OffersBehind(OfferId),
}

/// What can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum List {
    /// Who leads.
    Cluster,
    /// All agents.
    Agents,
    /// All frameworks.
    Frameworks,
    /// All tasks that the master remembers, ended ones among them.
    Tasks,
    /// Those behind one.
    TasksBehind {
        /// Whose it is.
        framework: FrameworkId,
        /// Which.
        task: TaskId,
    },
    /// The agents behind one.
    AgentsBehind(AgentId),
    /// The frameworks behind one.
    FrameworksBehind(FrameworkId),
    /// All roles that anything is known of. Since version 2.
    Roles,
    /// The roles behind one. Since version 2.
    RolesBehind(Role),
    /// Where the master and its agents are. Since version 2.
    Domains,
    /// Where the agents behind one are. Since version 2.
    DomainsBehind(AgentId),
    /// All offers that are held. Since version 2.
    Offers,
    /// The offers behind one. Since version 2.
    OffersBehind(OfferId),
}

impl List {
    /// The version of the protocol that brought it.
    pub fn since(&self) -> u32 {
        match self {
            Self::Cluster | Self::Agents | Self::Frameworks | Self::Tasks => 1,
            Self::TasksBehind { .. } | Self::AgentsBehind(_) | Self::FrameworksBehind(_) => 1,
            Self::Roles | Self::RolesBehind(_) | Self::Offers | Self::OffersBehind(_) => 2,
            Self::Domains | Self::DomainsBehind(_) => 2,
        }
    }
}

impl Read {
    /// What is read, and the moment that it waits for.
    pub fn parts(&self) -> (List, Option<Moment>) {
        match self {
            Self::Cluster => (List::Cluster, None),
            Self::Agents => (List::Agents, None),
            Self::Frameworks => (List::Frameworks, None),
            Self::Tasks => (List::Tasks, None),
            Self::After { moment, list } => (list.clone(), Some(*moment)),
            Self::TasksBehind { framework, task } => {
                (List::TasksBehind { framework: framework.clone(), task: task.clone() }, None)
            }
            Self::AgentsBehind(agent) => (List::AgentsBehind(agent.clone()), None),
            Self::FrameworksBehind(framework) => (List::FrameworksBehind(framework.clone()), None),
            Self::Roles => (List::Roles, None),
            Self::RolesBehind(role) => (List::RolesBehind(role.clone()), None),
            Self::Domains => (List::Domains, None),
            Self::DomainsBehind(agent) => (List::DomainsBehind(agent.clone()), None),
            Self::Offers => (List::Offers, None),
            Self::OffersBehind(offer) => (List::OffersBehind(offer.clone()), None),
        }
    }
}

/// The answers to [`Read`]; the variant has the question's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ReadAnswer {
    /// Who leads.
    Cluster(ClusterView),
    /// All agents, or all that are left, by id.
    Agents(Vec<AgentView>),
    /// All frameworks, or all that are left, by id.
    Frameworks(Vec<FrameworkView>),
    /// All tasks, or all that are left, by framework and id.
    Tasks(Vec<TaskView>),
    /// The moment was not reached in time, or too many wait; the view is as far as this.
    Behind(Moment),
    /// As many tasks as one message holds, by framework and id; see [`Read::TasksBehind`].
    SomeTasks(Vec<TaskView>),
    /// As many agents as one message holds, by id; see [`Read::AgentsBehind`].
    SomeAgents(Vec<AgentView>),
    /// As many frameworks as one message holds, by id; see [`Read::FrameworksBehind`].
    SomeFrameworks(Vec<FrameworkView>),
    /// All roles, or all that are left, by name. Since version 2.
    Roles(Vec<RoleView>),
    /// As many roles as one message holds, by name; see [`Read::RolesBehind`]. Since version 2.
    SomeRoles(Vec<RoleView>),
    /// Who asks may not read this; in words. Since version 2.
    Refused(String),
    /// Where the master is, and all agents of which that is known, or all that are left, by id. Since version 2.
    Domains(DomainsView),
    /// As many agents as one message holds, by id; see [`Read::DomainsBehind`]. Since version 2.
    SomeDomains(DomainsView),
    /// All offers, or all that are left, by id. Since version 2.
    Offers(Vec<OfferView>),
    /// As many offers as one message holds, by id; see [`Read::OffersBehind`]. Since version 2.
    SomeOffers(Vec<OfferView>),
}

/// Where a master and agents are, as far as their operators say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainsView {
    /// Of the master that answers.
    pub master: Option<FaultDomain>,
    /// Of agents, by id.
    pub agents: Vec<(AgentId, FaultDomain)>,
}

/// A cluster and who leads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterView {
    /// Made with the registry.
    pub cluster: ClusterId,
    /// This life of the leader.
    pub master: MasterId,
    /// Its reign.
    pub epoch: u64,
    /// Its program's version.
    pub version: String,
    /// The number of the newest change in the view.
    pub change: u64,
    /// Whether lists may not show all there is: agents of earlier reigns are still awaited, or nobody can say whether this
    /// master still leads.
    pub recovering: bool,
}

/// An agent as the master sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentView {
    /// Which.
    pub agent: AgentId,
    /// What it says of itself.
    pub info: AgentInfo,
    /// How it is.
    pub state: AgentState,
    /// Held by tasks and executors.
    pub used: Resources,
    /// Held by offers.
    pub offered: Resources,
}

/// A framework as the master sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkView {
    /// What it says of itself.
    pub info: FrameworkInfo,
    /// How it is.
    pub state: FrameworkState,
    /// Held by its tasks and executors.
    pub used: Resources,
    /// Held by its offers.
    pub offered: Resources,
    /// How many of its tasks have not ended.
    pub tasks: u32,
}

/// A task as the master sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// What it is and where.
    pub report: TaskReport,
    /// Its states so far, newest last; bounded.
    pub statuses: Vec<Arc<TaskStatus>>,
}

/// A role as the master sees it. All amounts are those of the roles below it, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleView {
    /// Which.
    pub role: Role,
    /// 1, if none was set.
    pub weight: Weight,
    /// What it is guaranteed and may have at most; nothing, if none was set.
    pub quota: Quota,
    /// What counts against its quota: `allocated`, but for what may be taken back, and of `reserved` what nobody uses.
    pub consumed: Quantities,
    /// Held by tasks and executors.
    pub allocated: Quantities,
    /// Held by offers.
    pub offered: Quantities,
    /// Reserved for it on agents that can be reached.
    pub reserved: Quantities,
    /// Those that act for the role itself, or still hold something under it.
    pub frameworks: Vec<FrameworkId>,
}

/// An offer that its framework has not answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferView {
    /// Which.
    pub offer: OfferId,
    /// Who holds it.
    pub framework: FrameworkId,
    /// Whose resources.
    pub agent: AgentId,
    /// The agent's machine.
    pub hostname: String,
    /// The role under which they would be used.
    pub role: Role,
    /// What is held.
    pub resources: Resources,
    /// For so long, when this was read.
    pub held_for: Duration,
    /// For so long still, unless it is answered; `None`: until it is.
    pub lasts_for: Option<Duration>,
}

/// To a master: what roles are guaranteed and may have at most. All of it is done or nothing; roles that are not named keep what
/// they have. Since version 2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetQuotas {
    /// In place of what each had; a quota that says nothing ends it. Of roles without a `/`, and not of `*`.
    pub quotas: Vec<(Role, Quota)>,
    /// Even if the cluster has not what is guaranteed, or roles hold more than their limits.
    pub force: bool,
    /// What each of them must have so far, else nothing is done.
    pub before: Before,
}

/// What roles have before something is said of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Before {
    /// Whatever it is.
    #[default]
    Anything,
    /// No quota.
    NoQuota,
    /// A quota.
    Quota,
}

/// To a master: how much the shares of roles weigh. All of it is done or nothing; roles that are not named keep what they have.
/// Since version 2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetWeights {
    /// In place of what each had; 1 ends it. The numbers are checked by the master.
    pub weights: Vec<(Role, f64)>,
}

/// To a master: end a framework with all its tasks; it can never come back. Since version 2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Teardown {
    /// Which.
    pub framework: FrameworkId,
}

/// To a master: an agent is gone for good, and its tasks with it. Should it come back, it is told to end. Since version 2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarkAgentGone {
    /// Which.
    pub agent: AgentId,
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub kind: RefusalKind,
    /// For people.
    pub why: String,
}

/// What is against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalKind {
    /// It makes no sense, or is more than may be.
    Invalid,
    /// Whoever asks may not.
    Unauthorized,
    /// What it is about is not there.
    NotFound,
    /// What the cluster has, or what is in use: it can be forced.
    Conflict,
    /// Too much is under way: it may be tried again in a moment.
    Busy,
}

/// The answer to [`SetQuotas`], [`SetWeights`], [`Teardown`] and [`MarkAgentGone`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SetAnswer {
    /// Nothing was done.
    Refused(Refusal),
    /// It is written down; the view shows it from this moment on.
    SetAt(Moment),
}

/// To a master: how far its changes are. Whoever heard of something from the master and then asks this has a moment at which
/// the view shows it; answered with a [`Moment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadMoment;

/// To a master: end a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KillTask {
    /// Whose.
    pub framework: FrameworkId,
    /// Which.
    pub task: TaskId,
}

/// The answer to [`KillTask`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum KillAnswer {
    /// The agent was told; from a master that does not say when.
    Killing,
    /// Nothing was done, and why.
    Refused(String),
    /// The agent was told, or will be as soon as it is back; the view shows it from this moment on.
    KillingAt(Moment),
}

/// To an agent: part of a file in a sandbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadSandbox {
    /// Whose.
    pub framework: FrameworkId,
    /// Which executor; of a command task, the task's id.
    pub executor: ExecutorId,
    /// Which life of it; `None`: the newest.
    pub container: Option<ContainerId>,
    /// Below the sandbox, such as `stdout`.
    pub file: String,
    /// From this byte on; below zero: so many before the end.
    pub offset: i64,
    /// At most so many; the agent cuts at 48 KiB.
    pub length: u32,
}

/// The answer to [`ReadSandbox`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SandboxAnswer {
    /// What is there.
    Part {
        /// Where `data` begins in the file.
        offset: u64,
        /// The bytes; empty at the end of the file.
        data: Vec<u8>,
        /// How long the file is now.
        size: u64,
        /// Whether the executor has ended, so that the file will not grow.
        ended: bool,
    },
    /// No such sandbox or file, or it may not be read; in words.
    Refused(String),
}

/// To an agent: what it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadExecutors;

/// The answer to [`ReadExecutors`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutorsAnswer {
    /// The agent's id, once it has one.
    pub agent: Option<AgentId>,
    /// Its executors.
    pub executors: Vec<ExecutorView>,
}

/// An executor as its agent sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutorView {
    /// Whose.
    pub framework: FrameworkId,
    /// Which.
    pub executor: ExecutorId,
    /// Which life of it.
    pub container: ContainerId,
    /// Its process.
    pub process: u32,
    /// Where it works.
    pub sandbox: String,
}
