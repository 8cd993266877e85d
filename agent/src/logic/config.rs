//! What an agent's decisions depend on, with its defaults and limits.

#[cfg(feature = "testing")]
use std::collections::BTreeSet;
use std::time::Duration;

use protocol::agent::AgentInfo;
use protocol::task::Isolation;
use protocol::wishes::FaultDomain;
use serde::{Deserialize, Serialize};

use super::configured::ReconfigurationPolicy;

/// Everything that can be set about an agent's decisions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// What it says of itself to the master.
    pub info: AgentInfo,
    /// Where its operator says that it is.
    pub domain: Option<FaultDomain>,
    /// The master is contacted again after this long; doubles with each attempt, and is cut by chance to half at most.
    pub contact_backoff_min: Duration,
    /// Where the doubling ends when all is told that a master has to know of an agent that returns.
    pub contact_backoff_max: Duration,
    /// The same when an agent that the cluster knows only asks whether it may return: that is little, and the master says when
    /// to come with the rest.
    pub question_backoff_min: Duration,
    /// Where the doubling of that ends, and that of an agent that no cluster knows yet: what it says is as little.
    pub question_backoff_max: Duration,
    /// An executor must have registered this long after its launch.
    pub executor_registration_timeout: Duration,
    /// Between the polite and the final signal to a task that does not say.
    pub kill_grace: Duration,
    /// How long an executor that does not say may take to end when it is told to.
    pub shutdown_grace: Duration,
    /// An executor hears launches and kills again that it did not react to within this.
    pub executor_again_after: Duration,
    /// An unacknowledged update is sent again after this long; doubles with each time.
    pub update_backoff_min: Duration,
    /// Where the doubling ends.
    pub update_backoff_max: Duration,
    /// Executors of a former life must be back this long after the start, else they are killed.
    pub executor_reregistration_timeout: Duration,
    /// How long an executor waits for its agent to come back before it ends its tasks and itself; and the agent for an
    /// executor whose connection is lost.
    pub recovery_timeout: Duration,
    /// Executors of a former life must be back or have ended this long after the start.
    pub old_executors_within: Duration,
    /// How long a leaving agent waits for acknowledgements once its executors have ended.
    pub leave_within: Duration,
    /// What tasks are kept apart by.
    pub isolation: Isolation,
    /// Whether containers are in a namespace of users, whose root is the agent's own user.
    pub user_namespaces: bool,
    /// What becomes of what a former life left.
    pub recover: Recover,
    /// Which differences to the former life are accepted.
    pub reconfiguration_policy: ReconfigurationPolicy,
    /// More tasks are refused.
    pub tasks_max: usize,
    /// More executors are refused.
    pub executors_max: usize,
    /// Ended executors of one framework that are remembered.
    pub past_executors_max: usize,
    /// Updates of one task that wait for acknowledgement; what comes on top replaces the newest that was not sent yet.
    pub updates_max: usize,
    /// The most bytes of data in a task, an update or a message, and in a status's text.
    pub data_bytes_max: usize,
    /// Commands held back while a registration is being written.
    pub held_max: usize,
    /// Deliberate bugs that are switched on.
    #[cfg(feature = "testing")]
    pub bugs: BTreeSet<Bug>,
}

/// What becomes of what a former life left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recover {
    /// It comes back.
    #[default]
    Reconnect,
    /// It is killed and forgotten, and the agent ends: its next life is another agent.
    Cleanup,
}

/// Mesos's: until then no master is told of the agent.
const EXECUTORS_BACK_MAX: Duration = Duration::from_secs(15);

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConfig {
    /// Nothing could ever run.
    #[error(
        "the agent has no resources to give; name some with --resources, such as cpus:2;mem:1024"
    )]
    NoResources,
    /// A backoff that ends before it begins.
    #[error("{name} must be above zero and at most its maximum, but is {min:?} of {max:?}")]
    Backoff {
        /// Which.
        name: &'static str,
        /// As set.
        min: Duration,
        /// As set.
        max: Duration,
    },
    /// Longer than whoever waits for the agent is to wait.
    #[error("executor_reregistration_timeout must be at most {EXECUTORS_BACK_MAX:?}, but is {0:?}")]
    ExecutorsBackTooLate(Duration),
    /// A limit of zero.
    #[error("{0} must be above zero")]
    Zero(&'static str),
}

impl Config {
    /// The defaults for an agent that says this of itself.
    pub fn new(info: AgentInfo) -> Self {
        Self {
            info,
            domain: None,
            contact_backoff_min: Duration::from_secs(1),
            contact_backoff_max: Duration::from_secs(60),
            question_backoff_min: Duration::from_millis(250),
            question_backoff_max: Duration::from_secs(2),
            executor_registration_timeout: Duration::from_secs(60),
            kill_grace: Duration::from_secs(3),
            shutdown_grace: Duration::from_secs(5),
            executor_again_after: Duration::from_secs(2),
            update_backoff_min: Duration::from_secs(1),
            update_backoff_max: Duration::from_secs(30),
            executor_reregistration_timeout: Duration::from_secs(2),
            recovery_timeout: Duration::from_secs(15 * 60),
            old_executors_within: Duration::from_secs(60),
            leave_within: Duration::from_secs(1),
            isolation: Isolation::ProcessGroup,
            user_namespaces: false,
            recover: Recover::Reconnect,
            reconfiguration_policy: ReconfigurationPolicy::Any,
            tasks_max: 20_000,
            executors_max: 4_000,
            past_executors_max: 150,
            updates_max: 64,
            data_bytes_max: 256 * 1024,
            held_max: 20_000,
            #[cfg(feature = "testing")]
            bugs: BTreeSet::new(),
        }
    }

    /// Whether it makes sense; the first thing that does not.
    pub fn validate(&self) -> Result<(), BadConfig> {
        if self.info.resources.is_empty() {
            return Err(BadConfig::NoResources);
        }
        for (name, min, max) in [
            ("contact_backoff_min", self.contact_backoff_min, self.contact_backoff_max),
            ("question_backoff_min", self.question_backoff_min, self.question_backoff_max),
            ("update_backoff_min", self.update_backoff_min, self.update_backoff_max),
        ] {
            if min.is_zero() || min > max {
                return Err(BadConfig::Backoff { name, min, max });
            }
        }
        if self.executor_reregistration_timeout > EXECUTORS_BACK_MAX {
            return Err(BadConfig::ExecutorsBackTooLate(self.executor_reregistration_timeout));
        }
        for (name, zero) in [
            ("executor_registration_timeout", self.executor_registration_timeout.is_zero()),
            ("executor_again_after", self.executor_again_after.is_zero()),
            ("recovery_timeout", self.recovery_timeout.is_zero()),
            ("old_executors_within", self.old_executors_within.is_zero()),
            ("tasks_max", self.tasks_max == 0),
            ("executors_max", self.executors_max == 0),
            ("updates_max", self.updates_max == 0),
            ("data_bytes_max", self.data_bytes_max == 0),
            ("held_max", self.held_max == 0),
        ] {
            if zero {
                return Err(BadConfig::Zero(name));
            }
        }
        Ok(())
    }

    /// Whether a deliberate bug is switched on; never without the feature `testing`.
    #[cfg(feature = "testing")]
    pub(super) fn has(&self, bug: Bug) -> bool {
        self.bugs.contains(&bug)
    }

    /// Whether a deliberate bug is switched on; never without the feature `testing`.
    #[cfg(not(feature = "testing"))]
    #[expect(clippy::unused_self, reason = "has a use of it with the feature `testing`")]
    pub(super) const fn has(&self, _: Bug) -> bool {
        false
    }
}

/// Bugs that the simulator must catch; they exist only under the feature `testing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Bug {
    /// Commands of a deposed master are obeyed.
    EpochNotChecked,
    /// The newest update of a task is sent before older ones.
    UpdateReordered,
    /// An update that got lost is not sent again.
    LostUpdateNotResent,
    /// An acknowledged update is not taken from its stream.
    AckedUpdateResentForever,
    /// A restarted agent neither looks for the executors of its former life nor waits for them.
    RegistersBeforeOldExecutorsDied,
    /// A kill that arrives before the executor has the task is forgotten.
    KillForgottenDuringLaunch,
    /// The end of a task is acknowledged to the executor and goes no further.
    TerminalUpdateDropped,
    /// A membership counts before it is written down.
    IdToldBeforeStored,
    /// A new life does not say what the former one was still saying.
    NewsNotReplayed,
    /// News of a task is told before it is written down.
    NewsToldBeforeWritten,
    /// A new life has seen no epoch.
    EpochForgotten,
    /// A membership counts when the kernel has it, before the disk has.
    MembershipNotSynced,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::EpochNotChecked,
        Self::UpdateReordered,
        Self::LostUpdateNotResent,
        Self::AckedUpdateResentForever,
        Self::RegistersBeforeOldExecutorsDied,
        Self::KillForgottenDuringLaunch,
        Self::TerminalUpdateDropped,
        Self::IdToldBeforeStored,
        Self::NewsNotReplayed,
        Self::NewsToldBeforeWritten,
        Self::EpochForgotten,
        Self::MembershipNotSynced,
    ];
}
