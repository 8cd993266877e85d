//! A container as it is to be started: plain data, which a launcher is told and which is checkpointed.

use std::ffi::CString;

use serde::{Deserialize, Serialize};

use crate::confinement::{Confinement, Mount};
use crate::namespaces::Namespaces;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The program and its arguments, from the zeroth on.
    pub arguments: Vec<CString>,
    /// What it is confined to.
    pub confinement: Confinement,
    /// What it has to itself.
    pub namespaces: Namespaces,
    /// Whether the program leads a session of its own: without, it stays at its starter's terminal.
    pub session: bool,
}

impl Container {
    /// The same without what must not be written down.
    pub fn without_secrets(&self) -> Self {
        let mut bare = self.clone();
        // People put passwords there; and it is never started from what is written down.
        bare.confinement.environment.clear();
        for mount in &mut bare.confinement.mounts {
            match mount {
                Mount::Secret { value, .. } => value.clear(),
                Mount::Bind { .. }
                | Mount::Memory { .. }
                | Mount::Processes
                | Mount::System
                | Mount::Devices { .. }
                | Mount::Masked(_)
                | Mount::ReadOnly(_) => {}
            }
        }
        bare
    }
}

/// A name of a container: a folder, a control group and a line of a table are called by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContainerName(String);

/// Of a name; one of a file is at most 255.
const NAME_BYTES_MAX: usize = 128;

impl ContainerName {
    /// Letters, digits, `-`, `_` and `.`, not with a dot at the start.
    ///
    /// # Errors
    /// In words, why it is none.
    pub fn new(text: &str) -> Result<Self, String> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(format!("a container's name has 1 to {NAME_BYTES_MAX} letters: '{text}'"));
        }
        if text.starts_with('.') || !text.chars().all(is_allowed) {
            let words = "letters, digits, '-', '_' and '.', and does not begin with a dot";
            return Err(format!("a container's name is of {words}: '{text}'"));
        }
        Ok(Self(text.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ContainerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
