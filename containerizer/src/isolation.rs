//! What keeps a container apart: the parts that prepare, take it in and clean up, one beside the other; and what of that is real
//! on this machine for this user, in words.

use std::fmt;

use nix::unistd::{Pid, geteuid};

use crate::container::Container;
use crate::launcher::Handed;
use crate::namespaces::{Namespaces, UserMap};
use crate::runtime::Folder;

/// One of the parts. What it makes outside of the container's namespaces it must be able to undo knowing the folder only,
/// whether it had made all of it, half or nothing: its process may have died in between.
pub trait Isolator: fmt::Debug {
    /// One word.
    fn name(&self) -> &'static str;

    /// Before there is a process: changes what will be started.
    ///
    /// # Errors
    /// In words, what was tried and why it failed.
    fn prepare(&mut self, folder: &Folder, container: &mut Container) -> Result<(), String>;

    /// What the container's init is to be given beside. None, unless it is said otherwise.
    ///
    /// # Errors
    /// In words.
    fn hand(&mut self, handed: &mut Handed) -> Result<(), String> {
        let _ = handed;
        Ok(())
    }

    /// Takes in the init, which waits.
    ///
    /// # Errors
    /// In words.
    fn isolate(&mut self, process: Pid) -> Result<(), String>;

    /// Ends all processes of the container that it can see, if it can see any that others might not.
    ///
    /// # Errors
    /// In words.
    fn kill(&mut self, folder: &Folder) -> Result<(), String> {
        let _ = folder;
        Ok(())
    }

    /// Undoes what it did. There is no process of the container any more.
    ///
    /// # Errors
    /// In words, what is left.
    fn clean_up(&mut self, folder: &Folder) -> Result<(), String>;
}

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
