//! Where what an executor and its tasks print goes: into its sandbox, through what keeps it to a bound if the agent was told to have
//! one.

use std::fs::File;

use containerizer::logger;
use containerizer::logger::logic::Rotation;
use tokio::process::Child;

use super::Launching;
use super::launch::NO_HUGE_PAGES;
use crate::logic::{StartExecutor, StartFailure};
use crate::sandboxes::Sandbox;

/// The same sandbox with other ends of its output, and the processes that stand between.
pub(super) fn logged(
    launching: &Launching,
    start: &StartExecutor,
    sandbox: Sandbox,
) -> Result<(Sandbox, Vec<Child>), StartFailure> {
    let Some((program, logger)) = &launching.logger else { return Ok((sandbox, Vec::new())) };
    let own = logger.of_container(&start.command.environment).map_err(|words| {
        StartFailure::Program(format!("cannot keep what it prints as it says: {words}"))
    })?;
    let Sandbox { path, stdout, stderr } = sandbox;
    let mut keepers = Vec::new();
    let mut between = |name: &str, file: File, rotation: Rotation| {
        let (file, keeper) =
            logger::start(program, NO_HUGE_PAGES, &path, name, file, rotation).map_err(|error| {
                StartFailure::Sandbox(format!(
                    "cannot start what keeps its {name} to a bound: {error}; look for processes and descriptors that the agent's machine lacks"
                ))
            })?;
        keepers.push(keeper);
        Ok(file)
    };
    let stdout = between("stdout", stdout, own.stdout)?;
    let stderr = between("stderr", stderr, own.stderr)?;
    Ok((Sandbox { path, stdout, stderr }, keepers))
}
