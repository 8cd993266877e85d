//! Every id, one line each. Ids are opaque text: cheap to clone, ordered, written as themselves.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The most bytes an id may have.
pub const ID_BYTES_MAX: usize = 255;

/// The most levels of a role: as many as so many bytes can have.
pub const ROLE_DEPTH_MAX: usize = ID_BYTES_MAX / 2 + 1;

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

impl ExecutorId {
    /// That of a command task's executor, which has the task's id. It shares the text.
    pub fn of_command(task: &TaskId) -> Self {
        Self(task.0.clone())
    }
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

    /// The role without a `/` that it is, or is within.
    pub fn top(&self) -> Self {
        match self.0.split_once('/') {
            Some((top, _)) => Self(Arc::from(top)),
            None => self.clone(),
        }
    }

    /// How many levels it has; 1 at the top.
    pub fn depth(&self) -> usize {
        self.0.split('/').count()
    }

    /// Whether it is within `other`, and not that itself. Nothing is within everybody's.
    pub fn is_below(&self, other: &Self) -> bool {
        self.0.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether it is one: what a peer wrote is taken as it comes.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), BadRole> {
        check_role(&self.0)
    }

    /// The role that it is directly within.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(Arc::from(parent)))
    }

    /// All that it is within, the nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// The role and those above it, from itself up to the one without a `/`.
    pub fn and_above(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }

    /// Whether it is `above` or a role below that.
    pub fn is_within(&self, above: &Self) -> bool {
        self == above || self.is_below(above)
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

/// Why a text is no role. The rules are those of Mesos's role names, and limits. What is quoted is the role, or its part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRole {
    /// Nothing was given.
    #[error("a role must not be empty; everybody's is '*'")]
    Empty,
    /// Longer than [`ID_BYTES_MAX`].
    #[error("a role of {0} bytes is longer than {ID_BYTES_MAX}")]
    TooLong(usize),
    /// More levels than [`ROLE_DEPTH_MAX`].
    #[error("a role of {0} levels is deeper than {ROLE_DEPTH_MAX}")]
    TooDeep(usize),
    /// Two slashes in a row, or one at an end.
    #[error("role '{0}' has an empty part: between slashes, before the first or behind the last")]
    EmptyPart(String),
    /// A role is no path.
    #[error("role '{0}' has '.' or '..' as a part")]
    Dots(String),
    /// It would look like an option.
    #[error("role '{0}' has a part that begins with '-'")]
    Dash(String),
    /// Everybody's role has none below it and is below none.
    #[error("role '{0}' has '*' as a part, which is everybody's role and stands alone")]
    Star(String),
    /// White space, a control character or a backslash.
    #[error("role '{0}' holds white space, a control character or a backslash")]
    Character(String),
}

impl FromStr for Role {
    type Err = BadRole;

    fn from_str(text: &str) -> Result<Self, BadRole> {
        check_role(text).map(|()| Self(Arc::from(text)))
    }
}

fn check_role(text: &str) -> Result<(), BadRole> {
    let depth = text.split('/').count();
    if text.is_empty() {
        return Err(BadRole::Empty);
    }
    if depth > ROLE_DEPTH_MAX {
        return Err(BadRole::TooDeep(depth));
    }
    if text.len() > ID_BYTES_MAX {
        return Err(BadRole::TooLong(text.len()));
    }
    let quoted = || text.escape_debug().to_string();
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(BadRole::Character(quoted()));
    }
    for part in text.split('/') {
        match part {
            "" => return Err(BadRole::EmptyPart(quoted())),
            "." | ".." => return Err(BadRole::Dots(quoted())),
            "*" if depth > 1 => return Err(BadRole::Star(quoted())),
            part if part.starts_with('-') => return Err(BadRole::Dash(quoted())),
            _ => (),
        }
    }
    Ok(())
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
    fn role_01_role_names_follow_the_table() {
        for good in ["*", "web", "eng/web", "a-b", "über"] {
            assert!(Role::from_str(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a b", "/a", "a//b", "a/", "a/..", "a/*", "a/-b", "a\tb"] {
            assert!(Role::from_str(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_role_is_within_itself_and_those_above_it() {
        let role = |text: &str| Role::from_str(text).expect("a role");
        let above: Vec<_> = role("a/b/c").and_above().collect();
        assert_eq!(above, [role("a/b/c"), role("a/b"), role("a")]);
        assert!(role("a/b").is_within(&role("a")) && role("a").is_within(&role("a")));
        assert!(!role("ab").is_within(&role("a")) && !role("a").is_within(&role("a/b")));
    }

    #[test]
    fn a_bad_role_says_which_rule_it_breaks() {
        let said = |text: &str| Role::from_str(text).expect_err(text).to_string();
        assert_eq!(said(""), "a role must not be empty; everybody's is '*'");
        for empty in ["a//b", "/a", "a/"] {
            assert!(said(empty).contains("has an empty part"), "{empty}");
        }
        for dots in [".", "..", "a/..", "../a"] {
            assert!(said(dots).contains("'.' or '..'"), "{dots}");
        }
        for star in ["*/x", "a/*", "*/*"] {
            assert!(said(star).contains("stands alone"), "{star}");
        }
        assert!(said("a/-b").contains("begins with '-'"));
        assert_eq!(
            said("a\nb"),
            "role 'a\\nb' holds white space, a control character or a backslash"
        );
        assert!(said(&"a/".repeat(300)).contains("a role of 301 levels is deeper than 128"));
        assert!(said(&"é".repeat(128)).contains("a role of 256 bytes is longer than 255"));
        assert!(Role::from_str(&["a"; 128].join("/")).is_ok(), "the deepest there is");
    }

    #[test]
    fn a_role_is_below_those_whose_parts_it_begins_with() {
        let role = |text: &str| Role::from_str(text).expect(text);
        let web = role("eng/web/front");
        assert!(web.is_below(&role("eng")) && web.is_below(&role("eng/web")));
        for other in ["eng/web/front", "eng/web/fro", "en", "*", "eng/web/front/a"] {
            assert!(!web.is_below(&role(other)), "{other}");
        }
        assert_eq!(web.ancestors().collect::<Vec<_>>(), [role("eng/web"), role("eng")]);
        assert_eq!((web.parent(), role("eng").parent()), (Some(role("eng/web")), None));
        assert_eq!(
            (role("eng").top(), role("*").top(), web.top()),
            (role("eng"), role("*"), role("eng"))
        );
        assert_eq!((web.depth(), role("*").depth()), (3, 1));
    }
}
