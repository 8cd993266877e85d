//! Every id, one line each. Ids are opaque text: cheap to clone, ordered, written as themselves.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The most bytes an id may have.
pub const ID_BYTES_MAX: usize = 255;

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// Nothing was given.
    #[error("an id must not be empty")]
    Empty,
    /// Longer than [`ID_BYTES_MAX`].
    #[error("id of {0} bytes is longer than {ID_BYTES_MAX}")]
    TooLong(usize),
    /// Ids name files and paths, so these may not occur. The rule is that of Mesos's `validateID`.
    #[error(
        "id '{0}' must not be '.' or '..' nor hold a slash, a backslash, white space at its ends or a control character"
    )]
    Forbidden(String),
}

/// Checks what somebody else chose as an id.
pub fn check_id(text: &str) -> Result<(), BadId> {
    if text.is_empty() {
        return Err(BadId::Empty);
    }
    if text.len() > ID_BYTES_MAX {
        return Err(BadId::TooLong(text.len()));
    }
    let forbidden = text == "." || text == ".." || text != text.trim();
    if forbidden || text.chars().any(|c| c == '/' || c == '\\' || c.is_control()) {
        return Err(BadId::Forbidden(text.escape_debug().to_string()));
    }
    Ok(())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Arc<str>);

        impl $name {
            /// An id that this component made, or that was checked with [`check_id`].
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(Arc::from(text.as_ref()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                check_id(text).map(|()| Self::new(text))
            }
        }
    )*};
}

ids! {
    /// One cluster; made once, when its registry is.
    ClusterId;
    /// One life of one master.
    MasterId;
    /// One machine's agent: `<cluster>-S<n>`, stable across its restarts.
    AgentId;
    /// One framework: `<cluster>-<nnnn>`, stable across its schedulers' restarts.
    FrameworkId;
    /// One offer: `<master>-O<n>`; never reused.
    OfferId;
    /// One task; chosen by its framework and unique within it.
    TaskId;
    /// One executor; chosen by its framework and unique within framework and agent.
    ExecutorId;
    /// One life of one executor on one agent: the name of its sandbox.
    ContainerId;
}

/// A role that frameworks act for; `*` is everybody's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Role(Arc<str>);

impl Role {
    /// The role of those that name none.
    pub fn everybody() -> Self {
        Self(Arc::from("*"))
    }

    /// The role as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text that is no role. The rules are those of Mesos's role names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "role '{0}' is not allowed: it must not be empty, '.' or '..', start with '-', hold white space, or have an empty part between slashes"
)]
pub struct BadRole(pub String);

impl FromStr for Role {
    type Err = BadRole;

    fn from_str(text: &str) -> Result<Self, BadRole> {
        let part_is_bad =
            |part: &str| part.is_empty() || part == "." || part == ".." || part.starts_with('-');
        let star_inside = text != "*" && text.split('/').any(|part| part == "*");
        let blank = text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\');
        if star_inside || blank || text.len() > ID_BYTES_MAX || text.split('/').any(part_is_bad) {
            return Err(BadRole(text.escape_debug().to_string()));
        }
        Ok(Self(Arc::from(text)))
    }
}

/// One status update: whose life made it, and its number there. Sixteen bytes, as Mesos's uuids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UpdateId {
    /// Random; one per life of the component that makes updates.
    pub source: u64,
    /// Counts up from 1.
    pub sequence: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_would_leave_its_folder_is_refused() {
        for bad in ["", ".", "..", "a/b", "a\\b", " a", "a\n", &"x".repeat(256)] {
            assert!(TaskId::from_str(bad).is_err(), "{bad:?}");
        }
        assert_eq!(TaskId::from_str("web.1_x").map(|id| id.to_string()), Ok("web.1_x".into()));
    }

    #[test]
    fn role_names_follow_the_table() {
        for good in ["*", "web", "eng/web", "a-b", "über"] {
            assert!(Role::from_str(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a b", "/a", "a//b", "a/", "a/..", "a/*", "a/-b", "a\tb"] {
            assert!(Role::from_str(bad).is_err(), "{bad:?}");
        }
    }
}
