//! Who may do what: every action passes here first. As of now everybody whom the handshake let in may do everything.

use libactor::Principal;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Join as an agent.
    JoinAsAgent,
    /// Leave for good as an agent.
    RemoveAgent,
    /// Speak for a framework.
    Subscribe,
    /// Use, refuse or ask for resources.
    UseOffers,
    /// Run a task.
    LaunchTask,
    /// End a task.
    KillTask,
    /// Talk to, or end, an executor.
    CommandExecutor,
    /// Learn how tasks are, and take note of it.
    ReadTasks,
    /// End a framework.
    TeardownFramework,
    /// Learn what frameworks want and why they do not get it.
    ReadFrameworks,
    /// Say what a role is guaranteed and may have at most.
    SetQuota,
    /// Say how much a role's share weighs.
    SetWeight,
    /// See the roles with their quota, weights and what they hold.
    ReadRoles,
}

/// An action that its principal may not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{principal:?} may not {action:?} {object}")]
pub struct Unauthorized {
    principal: Principal,
    action: Action,
    object: String,
}

/// Whether `principal` may do `action` to `object`.
pub fn authorize(principal: Principal, action: Action, object: &str) -> Result<(), Unauthorized> {
    let allowed = match principal {
        Principal::Local | Principal::Cluster | Principal::Anonymous => true,
        // Its secret is for its lender, which is an agent.
        Principal::Lent => false,
    };
    let refusal = || Unauthorized { principal, action, object: object.to_owned() };
    allowed.then_some(()).ok_or_else(refusal)
}
