//! The program of the executor, started for another program's sake: to become a user with all its groups, which the
//! standard library cannot do for a child, and then that program; or to stay as the parent of a framework's own executor.
//!
//! It begins with the rights of root, so its own environment holds nothing that comes from a framework: a word there such
//! as `LD_PRELOAD` would have the loader run the task's code before `main`. What is for the program comes in an open file
//! and takes effect when the rights are gone.

mod host;

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{User, close, getgrouplist, initgroups, setgid, setuid};
use protocol::executor::{ENV_STARTS, START_PROGRAM_BYTES_MAX, StartProgram};

use crate::complain;

/// The status by which shells say that a command was not found, or could not be executed.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// Why there is no program, and the status that says so.
type Failed = (String, u8);

/// Whether the user belongs to more groups than its own.
pub(crate) fn needs_groups(user: &User) -> bool {
    let Ok(name) = CString::new(user.name.as_bytes()) else {
        return false;
    };
    getgrouplist(&name, user.gid).is_ok_and(|groups| groups.iter().any(|group| *group != user.gid))
}

/// The program as a child of this process, with nothing of this process's environment.
pub(crate) fn command(start: &StartProgram) -> Command {
    let mut command = Command::new(&start.program);
    if let Some((name, rest)) = start.arguments.split_first() {
        command.arg0(name).args(rest);
    }
    let pairs = start.environment.iter();
    let os = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    command.env_clear().envs(pairs.map(|(name, value)| (os(name), os(value))));
    command
}

/// The program as a child of this process that becomes its user first. The file must stay open until it is spawned.
pub(crate) fn wrapped(start: &StartProgram) -> Result<(Command, File), io::Error> {
    let mut own = std::env::args_os();
    let mut command = Command::new(std::env::current_exe()?);
    // The command line that made this process an executor makes the next one.
    if let Some(name) = own.next() {
        command.arg0(name);
    }
    // Inherited, by the one child that this process starts.
    let mut file = File::from(memfd_create("airside", MFdFlags::empty())?);
    file.write_all(&start.to_bytes().map_err(io::Error::other)?)?;
    file.rewind()?;
    command.args(own).env_clear().env(ENV_STARTS, file.as_raw_fd().to_string());
    Ok((command, file))
}

/// What this process was started for, if it is a second start.
pub(crate) fn wanted() -> Option<OsString> {
    std::env::var_os(ENV_STARTS)
}

/// Does what the file says.
pub(crate) fn main(file: &OsStr) -> ExitCode {
    let done = read(file).and_then(|start| {
        if start.stays {
            host::main(&start)
        } else {
            become_program(&start).map(|never| match never {})
        }
    });
    done.unwrap_or_else(|(words, code)| {
        complain(&words);
        ExitCode::from(code)
    })
}

/// The file is closed when it is read: it is not for the program.
fn read(file: &OsStr) -> Result<StartProgram, Failed> {
    let bad = |error: &dyn std::fmt::Display| {
        (format!("read what {ENV_STARTS} names, {file:?}: {error}"), NOT_EXECUTABLE)
    };
    let number: i32 = file.to_string_lossy().parse().map_err(|error| bad(&error))?;
    let opened = File::open(format!("/proc/self/fd/{number}")).map_err(|error| bad(&error))?;
    close(number).map_err(|error| bad(&error))?;
    let mut bytes = Vec::new();
    let mut limited = opened.take(START_PROGRAM_BYTES_MAX as u64);
    limited.read_to_end(&mut bytes).map_err(|error| bad(&error))?;
    StartProgram::from_bytes(&bytes).map_err(|error| bad(&error))
}

fn become_program(start: &StartProgram) -> Result<Infallible, Failed> {
    if let Some(name) = &start.user {
        become_user(name).map_err(|words| (words, NOT_EXECUTABLE))?;
    }
    // As a child would be: with the signals, and found in the `PATH`, that it is to have.
    let error = command(start).exec();
    let missing = error.kind() == io::ErrorKind::NotFound;
    let code = if missing { NOT_FOUND } else { NOT_EXECUTABLE };
    Err((format!("start {}: {error}", start.program), code))
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
        let arguments = ["sh", "-c", "echo 'a,b' \u{1f}", ""];
        start.arguments = arguments.map(str::to_owned).to_vec();
        start.environment.push((b"LD_PRELOAD".to_vec(), b"/tmp/evil.so".to_vec()));
        let (command, file) = wrapped(&start).unwrap();
        let names: Vec<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, [ENV_STARTS]);
        let mut bytes = Vec::new();
        (&file).read_to_end(&mut bytes).unwrap();
        assert_eq!(StartProgram::from_bytes(&bytes).unwrap(), start);
    }
}
