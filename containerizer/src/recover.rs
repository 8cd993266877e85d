//! A new life over the folder of a former one: containers that ran and are wanted run on; all else is ended and undone, also what only
//! an isolator knows of.

use std::io;

use crate::container::ContainerName;
use crate::isolator::{Allowance, ContainerPath, Isolators, Known};
use crate::life::Running;
use crate::runtime::Runtime;

/// What was found.
#[derive(Debug)]
pub struct Recovered {
    /// Those that run on.
    pub running: Vec<Running>,
    /// Those that nobody wants, or that had not begun to run: they are undone, and say how, and what is left of them if anything is.
    pub ended: Vec<Running>,
    /// Those of which an isolator alone had something, and in words what is left of them.
    pub orphans: Vec<(ContainerPath, Vec<String>)>,
}

/// Why a life does not begin.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The folder of all containers.
    #[error("look for containers of a former life")]
    Look(#[source] io::Error),
    /// In words.
    #[error("take over containers of a former life: {0}")]
    Isolators(String),
}

/// Takes over what is wanted: which a container is, and what it may take, if somebody knows that name.
///
/// # Errors
/// What there was could not be looked at, or an isolator cannot go on.
pub fn recover(
    runtime: &Runtime,
    isolators: &Isolators,
    wanted: impl Fn(&ContainerName) -> Option<(ContainerPath, Allowance)>,
) -> Result<Recovered, RecoverError> {
    let folders = runtime.all().map_err(RecoverError::Look)?;
    let mut all = Vec::new();
    for (name, folder) in folders {
        let (id, allowance) = wanted(&name).unzip();
        let process = folder.process().and_then(|process| u32::try_from(process.number).ok());
        let is_wanted = id.is_some();
        let id = id.unwrap_or_else(|| ContainerPath::of_executor(name));
        let folders = vec![folder.scratch()];
        let known = Known { id, process, allowance: allowance.unwrap_or_default(), folders };
        all.push((known, folder, is_wanted));
    }
    let known = all.iter().filter(|(.., is_wanted)| *is_wanted).map(|(known, ..)| known.clone());
    let known: Vec<_> = known.collect();
    let mut orphans = isolators.recover(&known).map_err(RecoverError::Isolators)?;
    let (mut running, mut ended) = (Vec::new(), Vec::new());
    for (Known { id, allowance, .. }, folder, is_wanted) in all {
        orphans.remove(&id);
        let found = Running::found(id, folder, isolators, is_wanted).with_allowance(allowance);
        match found.termination() {
            None => running.push(found),
            Some(_) => ended.push(found),
        }
    }
    let undo = |id: ContainerPath| {
        // Nothing is cleaned up under a process.
        let left = match isolators.kill(&id) {
            Ok(()) => isolators.clean_up(&id),
            Err(why) => vec![why],
        };
        (id, left)
    };
    Ok(Recovered { running, ended, orphans: orphans.into_iter().map(undo).collect() })
}
