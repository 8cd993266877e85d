//! The names of groups: one container's is a folder below the root of its agent's groups, a nested container's is below its
//! parent's.

use std::fmt::{self, Display};

/// What may be said of a name of a group at most, in bytes: container ids of Mesos are no longer.
pub const NAME_BYTES_MAX: usize = 242;
/// The folder of nested containers in their parent's group.
pub const NESTED: &str = "nested";
/// The folder of a container's own processes, in version 2.
pub const LEAF: &str = "leaf";
/// Containers in containers in containers: no deeper.
pub const DEPTH_MAX: usize = 32;

/// Which group, below the root of the agent's groups: `a`, or `a/nested/b` of a container in `a`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupPath(String);

/// Why a name cannot be that of a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing, or too much.
    #[error("a control group cannot be named {0:?}: names have 1 to {NAME_BYTES_MAX} bytes")]
    Length(String),
    /// The kernel's own files have a dot in their names.
    #[error("a control group cannot be named {0:?}: names have letters, digits, - and _ only")]
    Letters(String),
    /// A file that each group of version 1 has.
    #[error("a control group cannot be named {0:?}: the kernel has a file of that name in each")]
    Taken(String),
    /// More than [`DEPTH_MAX`].
    #[error("no control group for {0:?}: containers are nested {DEPTH_MAX} deep at most")]
    Depth(String),
    /// Neither `a` nor `a/nested/b`.
    #[error("{0:?} is no path of a control group such as `a` or `a/{NESTED}/b`")]
    Form(String),
}

impl GroupPath {
    /// Of a container that is in no other.
    pub fn top(name: &str) -> Result<Self, BadName> {
        check(name)?;
        Ok(Self(name.to_owned()))
    }

    /// Of a container in this one.
    pub fn nested(&self, name: &str) -> Result<Self, BadName> {
        check(name)?;
        if self.names().count() >= DEPTH_MAX {
            return Err(BadName::Depth(name.to_owned()));
        }
        Ok(Self(format!("{}/{NESTED}/{name}", self.0)))
    }

    /// From its text.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let form = || BadName::Form(text.to_owned());
        let mut parts = text.split('/');
        let mut path = Self::top(parts.next().ok_or_else(form)?)?;
        while let Some(between) = parts.next() {
            let name = parts.next().filter(|_| between == NESTED).ok_or_else(form)?;
            path = path.nested(name)?;
        }
        Ok(path)
    }

    /// Of the container that this one is in.
    pub fn parent(&self) -> Option<Self> {
        let (before, _) = self.0.rsplit_once('/')?;
        let (parent, _) = before.rsplit_once('/')?;
        Some(Self(parent.to_owned()))
    }

    /// The names from the outermost container to this one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').step_by(2)
    }

    /// Relative to the root of the agent's groups.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for GroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn check(name: &str) -> Result<(), BadName> {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        Err(BadName::Length(name.to_owned()))
    } else if !name.chars().all(letter) {
        Err(BadName::Letters(name.to_owned()))
    } else if ["tasks", "notify_on_release", "release_agent"].contains(&name) {
        Err(BadName::Taken(name.to_owned()))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_containers_are_below_their_parents() {
        let a = GroupPath::top("a").unwrap();
        let c = a.nested("b").unwrap().nested("nested").unwrap();
        assert_eq!(c.as_str(), "a/nested/b/nested/nested");
        assert_eq!(c.names().collect::<Vec<_>>(), ["a", "b", "nested"]);
        assert_eq!(c.parent().unwrap().parent(), Some(a.clone()));
        assert_eq!(a.parent(), None);
        assert_eq!(GroupPath::parse(c.as_str()), Ok(c));
    }

    #[test]
    fn a_name_that_leads_elsewhere_or_is_a_file_of_the_kernel_is_refused() {
        for name in ["", ".", "..", "a/b", "a\nb", "a\0", "cgroup.procs", "tasks", "é", " "] {
            assert!(GroupPath::top(name).is_err(), "{name:?}");
        }
        assert!(GroupPath::top(&"x".repeat(NAME_BYTES_MAX)).is_ok());
        assert!(GroupPath::top(&"x".repeat(NAME_BYTES_MAX + 1)).is_err());
        for path in ["a/b", "a/nested", "a/nested/", "/a", "a/leaf/b", "a/nested/../nested/c"] {
            assert!(GroupPath::parse(path).is_err(), "{path:?}");
        }
        let mut deep = GroupPath::top("x").unwrap();
        for _ in 1..DEPTH_MAX {
            deep = deep.nested("x").unwrap();
        }
        assert_eq!(deep.nested("x"), Err(BadName::Depth("x".into())));
    }
}
