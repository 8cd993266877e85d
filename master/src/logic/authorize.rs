//! Who may do what: every action passes here first. As of now everybody whom the handshake, or a guarded realm of HTTP, let in may
//! do everything.

use std::fmt;

use libactor::Principal;
use protocol::operator::{Refusal, RefusalKind};
use serde::{Deserialize, Serialize};

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

/// Who wants something: how its connection was let in, and by which name it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// How it came in.
    pub by: Principal,
    /// As credentials have it, where a realm of HTTP is guarded by them; else as a framework says of itself, which is no proof.
    pub name: Option<String>,
}

impl Who {
    /// The same under a name, if it has one.
    pub fn named(by: Principal, name: Option<&str>) -> Self {
        Self { by, name: name.map(str::to_owned) }
    }
}

impl From<Principal> for Who {
    fn from(by: Principal) -> Self {
        Self { by, name: None }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "'{name}' ({:?})", self.by),
            None => write!(f, "{:?}", self.by),
        }
    }
}

/// An action that somebody may not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{who} may not {action:?} {object}")]
pub struct Unauthorized {
    who: Who,
    action: Action,
    object: String,
}

impl From<Unauthorized> for Refusal {
    fn from(unauthorized: Unauthorized) -> Self {
        Self { kind: RefusalKind::Unauthorized, why: unauthorized.to_string() }
    }
}

/// Whether `who` may do `action` to `object`.
pub fn authorize(who: impl Into<Who>, action: Action, object: &str) -> Result<(), Unauthorized> {
    let who = who.into();
    let allowed = match who.by {
        Principal::Local | Principal::Cluster | Principal::Anonymous => true,
        // Its secret is for its lender, which is an agent.
        Principal::Lent => false,
    };
    if allowed { Ok(()) } else { Err(Unauthorized { who, action, object: object.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_who_wanted_it_and_what() {
        let who = Who::named(Principal::Lent, Some("ops"));
        let refused = authorize(who, Action::Subscribe, "web").unwrap_err();
        assert_eq!(refused.to_string(), "'ops' (Lent) may not Subscribe web");
        let refused = authorize(Principal::Lent, Action::KillTask, "t").unwrap_err();
        assert_eq!(refused.to_string(), "Lent may not KillTask t");
    }
}
