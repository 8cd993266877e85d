//! What of all that keeps a container apart is real on this machine for this user, in words. The parts that do it are in
//! [`crate::isolator`].

use std::fmt;

use nix::unistd::geteuid;

use crate::container::Container;
use crate::namespaces::{Namespaces, UserMap};

/// Whether this process may make namespaces, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// As root.
    Root,
    /// In a namespace of users, as root of that.
    UserNamespace,
    /// Not at all: containers are plain processes.
    None,
}

/// What this process may do.
pub fn right() -> Right {
    let admin = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SYS_ADMIN);
    match admin {
        Ok(true) if geteuid().is_root() => Right::Root,
        Ok(_) | Err(_) if user_namespaces() => Right::UserNamespace,
        Ok(_) | Err(_) => Right::None,
    }
}

/// Tried, not guessed: what forbids it has many names.
fn user_namespaces() -> bool {
    crate::system::may_make_user_namespace()
}

/// What is real, for whoever reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolation(Vec<String>);

impl Isolation {
    /// Of a container as it is to be started, with these words on its limits.
    pub fn of(container: &Container, limits: &str) -> Self {
        let Namespaces { mounts, processes, ipc, names, network, groups, users } =
            &container.namespaces;
        let all = [
            (*mounts, "mounts"),
            (*processes, "processes"),
            (*ipc, "ipc"),
            (*names, "names"),
            (*network, "network"),
            (*groups, "control groups"),
        ];
        let own: Vec<_> = all.iter().filter(|(own, _)| *own).map(|(_, word)| *word).collect();
        let mut lines = vec![match own.is_empty() {
            true => "namespaces: none; it is a plain process beside the others".to_owned(),
            false => format!("namespaces: {}", own.join(", ")),
        }];
        lines.push(match users {
            None => "users: the host's".into(),
            Some(UserMap::One) => {
                "users: one, root inside and whoever started it outside; files of others seem nobody's".into()
            }
            Some(UserMap::Ranges { .. }) => "users: a range of the host's".into(),
        });
        let confinement = &container.confinement;
        lines.push(match &confinement.root {
            None => "root: the host's".into(),
            Some(root) => format!("root: {} layers", root.layers.len()),
        });
        let calls = confinement.identity.calls.is_some();
        lines.push(format!("system calls: {}", if calls { "filtered" } else { "all" }));
        lines.push(format!("limits: {limits}"));
        Self(lines)
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
