//! The program of the executor, started for another program's sake: to become a user with all its groups, which the
//! standard library cannot do for a child, and then that program; or to stay as the shim above a framework's own executor.
//!
//! It begins with the rights of root, so its own environment holds nothing that comes from a framework: a word there such
//! as `LD_PRELOAD` would have the loader run the task's code before `main`. What is for the program comes in an open file
//! and takes effect when the rights are gone.

mod inside;
mod shim;

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use containerizer::start::{Handed, Told, command};
use nix::sys::signal::SigSet;
use nix::unistd::{User, getgrouplist, initgroups, setgid, setuid};
use protocol::executor::{ENV_CONTAINER, ENV_INSIDE, ENV_STARTS, StartProgram};

use crate::complain;

/// The status by which shells say that a command was not found, or could not be executed.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// Why there is no program, and the status that says so.
struct Failed {
    words: String,
    code: u8,
}

/// As shells tell them apart.
fn not_started(program: &str, error: &io::Error) -> Failed {
    let missing = error.kind() == io::ErrorKind::NotFound;
    let code = if missing { NOT_FOUND } else { NOT_EXECUTABLE };
    Failed { words: format!("start {program}: {error}"), code }
}

/// Whether the user belongs to more groups than its own.
fn needs_groups(user: &User) -> bool {
    let Ok(name) = CString::new(user.name.as_bytes()) else {
        return false;
    };
    getgrouplist(&name, user.gid).is_ok_and(|groups| groups.iter().any(|group| *group != user.gid))
}

/// The program as a child of this process, as the user that it is to become, if it is to become one; with what the child must
/// inherit to become one with all its groups, or to be shut into what this process was told of.
pub(crate) fn prepared(
    start: &StartProgram,
    user: Option<&User>,
    shut: bool,
) -> io::Result<(Command, Option<Handed>)> {
    match user {
        _ if shut => {
            let user = user.map(|user| user.name.clone());
            let start = StartProgram { shim: None, user, ..start.clone() };
            wrapped(&start).map(|(command, handed)| (command, Some(handed)))
        }
        Some(user) if needs_groups(user) => {
            let start = StartProgram { shim: None, ..start.clone() };
            wrapped(&start).map(|(command, handed)| (command, Some(handed)))
        }
        Some(_) | None => Ok((command(start, user), None)),
    }
}

/// The program as a child of this process that becomes its user first, which the child must inherit to know.
fn wrapped(start: &StartProgram) -> io::Result<(Command, Handed)> {
    let mut own = std::env::args_os();
    // Whatever has become of its path, or where it has none.
    let mut command = Command::new("/proc/self/exe");
    // The command line that made this process an executor makes the next one.
    if let Some(name) = own.next() {
        command.arg0(name);
    }
    let handed = Handed::new(start)?;
    let (name, value) = handed.variable();
    command.args(own).env_clear().env(name, value);
    // By the agent's word, not by the framework's; the mark is for whoever has to find what is left.
    if let Some(file) = std::env::var_os(ENV_INSIDE) {
        command.env(ENV_INSIDE, file);
        command.envs(std::env::var_os(ENV_CONTAINER).map(|mark| (ENV_CONTAINER, mark)));
    }
    Ok((command, handed))
}

/// What this process was started for, if it is a second start.
pub(crate) fn wanted() -> Option<OsString> {
    std::env::var_os(ENV_STARTS)
}

/// Does what the file says. Why it could not is said where the program would have said it, and left to the starter.
pub(crate) fn main(file: &OsStr) -> ExitCode {
    if std::env::var_os(ENV_INSIDE).is_some()
        && let Err(error) = containerizer::unwritable::begin()
    {
        complain(&format!("be run from a file that no container writes: {error}"));
        return ExitCode::from(NOT_EXECUTABLE);
    }
    let (start, told) = match Told::take(file) {
        Ok(taken) => taken,
        Err(error) => {
            complain(&format!("read what {ENV_STARTS} names, {file:?}: {error}"));
            return ExitCode::from(NOT_EXECUTABLE);
        }
    };
    let done = match (&start.shim, std::env::var_os(ENV_INSIDE)) {
        (Some(shim), _) => shim::main(&start, shim, &told),
        (None, Some(file)) => inside::main(start.clone(), Path::new(&file)),
        (None, None) => become_program(&start).map(|never| match never {}),
    };
    done.unwrap_or_else(|Failed { words, code }| {
        complain(&words);
        if let Err(error) = told.leave(&words) {
            complain(&format!("leave that to who started this: {error}"));
        }
        ExitCode::from(code)
    })
}

fn become_program(start: &StartProgram) -> Result<Infallible, Failed> {
    if let Some(name) = &start.user {
        become_user(name).map_err(|words| Failed { words, code: NOT_EXECUTABLE })?;
    }
    // A shim above has some blocked.
    let free = SigSet::all().thread_unblock();
    free.map_err(|error| Failed {
        words: format!("unblock signals: {error}"),
        code: NOT_EXECUTABLE,
    })?;
    // As a child would be: with the signals, and found in the `PATH`, that it is to have.
    let error = command(start, None).exec();
    Err(not_started(&start.program, &error))
}

/// All groups first: once it is the user, this process may change none.
fn become_user(name: &str) -> Result<(), String> {
    let known = User::from_name(name).map_err(|error| format!("look up user '{name}': {error}"))?;
    let user = known.ok_or_else(|| format!("user '{name}' is unknown"))?;
    let c_name = CString::new(name).map_err(|error| error.to_string())?;
    let may_not = |call: &str, error: nix::Error| {
        format!(
            "become user '{name}': {call}: {error}; it takes root with CAP_SETGID and CAP_SETUID"
        )
    };
    initgroups(&c_name, user.gid).map_err(|error| may_not("initgroups", error))?;
    setgid(user.gid).map_err(|error| may_not("setgid", error))?;
    setuid(user.uid).map_err(|error| may_not("setuid", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_has_nothing_of_the_tasks_environment() {
        let mut start = StartProgram { program: "sh".into(), ..StartProgram::default() };
        start.environment.push((b"LD_PRELOAD".to_vec(), b"/tmp/evil.so".to_vec()));
        let (command, _handed) = wrapped(&start).unwrap();
        let names: Vec<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, [ENV_STARTS]);
    }
}
