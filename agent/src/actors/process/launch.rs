//! Starting one executor: its user, its sandbox, its environment, its process.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::User;
use procfs::process::Process;
use protocol::executor::{
    ENV_AGENT, ENV_CONTAINER, ENV_EXECUTOR, ENV_FRAMEWORK, ENV_OPEN_FILES, ENV_SANDBOX,
    ENV_SECRET_ON_STDIN, ENV_STARTS, ENV_TOKEN, StartProgram,
};
use protocol::task::CommandSpec;
use tokio::process::{Child, Command};

use super::Launching;
use crate::logic::{ProcessIdentity, Program, StartExecutor, StartFailure};
use crate::sandboxes::{MORE_DESCRIPTORS, no_descriptors};
use crate::users;

/// Where programs are looked for when the agent itself was started without a word on it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// To the allocator of the binary: there may be thousands of executors, and each would take four huge pages, 8 MiB, for a
/// heap of less than one. The executor undoes it for its task.
const NO_HUGE_PAGES: (&str, &str) = ("MIMALLOC_ALLOW_THP", "0");

/// A variable that an executor finds in its environment.
type Surrounding<'a> = (&'static str, &'a OsStr);

pub(super) fn launch(
    launching: &Launching,
    start: &StartExecutor,
    lends: bool,
) -> Result<(Child, ProcessIdentity), StartFailure> {
    let owner = users::resolve(start.user.as_deref())?;
    let path = launching.sandboxes.path(
        &start.framework.framework,
        &start.spec.executor,
        &start.container,
    );
    let sandbox = launching.sandboxes.make(path, owner.as_ref())?;
    let mut surroundings = vec![
        (ENV_AGENT, OsStr::new(&launching.agent_at)),
        (ENV_FRAMEWORK, start.framework.framework.as_str().as_ref()),
        (ENV_EXECUTOR, start.spec.executor.as_str().as_ref()),
        (ENV_CONTAINER, start.container.as_str().as_ref()),
        (ENV_TOKEN, start.token.as_str().as_ref()),
        (ENV_SANDBOX, sandbox.path.as_os_str()),
    ];
    if lends {
        surroundings.push((ENV_SECRET_ON_STDIN, OsStr::new("1")));
    }
    let (mut command, _file) = match &start.program {
        Program::CommandExecutor => (command_executor(launching, &surroundings)?, None),
        Program::Custom(spec) => custom(launching, start, spec, owner.as_ref(), &surroundings)?,
    };
    let stdin = if lends { Stdio::piped() } else { Stdio::null() };
    command
        .current_dir(&sandbox.path)
        .stdin(stdin)
        .stdout(sandbox.stdout)
        .stderr(sandbox.stderr)
        .process_group(0)
        .kill_on_drop(false);
    let child = command.spawn().map_err(|error| {
        let program = command.as_std().get_program().to_string_lossy();
        not_started(start, &program, &error)
    })?;
    let process = child.id().expect("it was not waited for yet");
    let identity =
        ProcessIdentity { process, started: started_at(process), boot: launching.boot.clone() };
    Ok((child, identity))
}

/// As the agent's own user: it becomes the task's user when it starts the task.
fn command_executor(
    launching: &Launching,
    surroundings: &[Surrounding<'_>],
) -> Result<Command, StartFailure> {
    let mut command = executors_program(launching)?;
    command.envs(surroundings.iter().copied());
    if let Some(files) = launching.open_files {
        command.env(ENV_OPEN_FILES, files.to_string());
    }
    Ok(command)
}

fn executors_program(launching: &Launching) -> Result<Command, StartFailure> {
    let Some((program, arguments)) = launching.executor.split_first() else {
        let words = "the agent was not told where the command executor is".to_owned();
        return Err(StartFailure::Program(words));
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", path()).env(NO_HUGE_PAGES.0, NO_HUGE_PAGES.1);
    Ok(command)
}

/// A framework's own executor, and the file that must stay open until it is started. Where the agent is alone in its
/// process, one of the executor's program stays above it, which keeps together what it starts.
fn custom(
    launching: &Launching,
    start: &StartExecutor,
    spec: &CommandSpec,
    owner: Option<&User>,
    surroundings: &[Surrounding<'_>],
) -> Result<(Command, Option<File>), StartFailure> {
    let program = start_of(launching, spec, owner, surroundings);
    if launching.adopts_orphans {
        find(&program).map_err(|error| not_started(start, &program.program, &error))?;
        let mut host = executors_program(launching)?;
        // Found by them, as all that it starts.
        let marks =
            surroundings.iter().filter(|(name, _)| [ENV_CONTAINER, ENV_SANDBOX].contains(name));
        host.envs(marks.copied());
        let file = program.to_bytes().map_err(io::Error::other).and_then(|bytes| handed(&bytes));
        let file = file.map_err(|error| not_started(start, &program.program, &error))?;
        host.env(ENV_STARTS, file.as_raw_fd().to_string());
        return Ok((host, Some(file)));
    }
    let mut command = Command::new(&program.program);
    if let Some((name, rest)) = program.arguments.split_first() {
        command.arg0(name).args(rest);
    }
    let os = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let pairs = program.environment.iter().map(|(name, value)| (os(name), os(value)));
    command.env_clear().envs(pairs);
    if let Some(user) = owner {
        command.gid(user.gid.as_raw()).uid(user.uid.as_raw());
    }
    Ok((command, None))
}

fn start_of(
    launching: &Launching,
    spec: &CommandSpec,
    owner: Option<&User>,
    surroundings: &[Surrounding<'_>],
) -> StartProgram {
    let mut environment: BTreeMap<OsString, OsString> = BTreeMap::new();
    environment.insert("PATH".into(), path());
    for (name, value) in &spec.environment {
        environment.insert(name.into(), value.into());
    }
    if let Some(user) = owner {
        environment.insert("HOME".into(), user.dir.clone().into());
        environment.insert("USER".into(), user.name.clone().into());
        environment.insert("LOGNAME".into(), user.name.clone().into());
    }
    for (name, value) in surroundings {
        environment.insert(name.into(), value.into());
    }
    let pairs = environment.into_iter().map(|(name, value)| (name.into_vec(), value.into_vec()));
    StartProgram {
        environment: pairs.collect(),
        user: owner.map(|user| user.name.clone()),
        open_files: launching.open_files,
        stays: true,
        ..StartProgram::of(spec)
    }
}

/// Whether there is such a program: once another process starts it, only the sandbox would say that there is none.
fn find(start: &StartProgram) -> io::Result<()> {
    let may_run = |path: &Path| {
        let metadata = path.metadata()?;
        if metadata.is_file() && metadata.mode() & 0o111 != 0 {
            Ok(())
        } else {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    };
    let program = Path::new(&start.program);
    // What is below the sandbox is not there yet, unless the executor is to make it.
    if program.is_absolute() {
        return may_run(program);
    }
    let path = start.environment.iter().find(|(name, _)| name == b"PATH");
    let path = path.map_or(&b""[..], |(_, value)| value);
    let mut found =
        std::env::split_paths(OsStr::from_bytes(path)).map(|folder| may_run(&folder.join(program)));
    if start.program.contains('/') || found.any(|found| found.is_ok()) {
        Ok(())
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// A file in memory that the next child inherits; this thread alone starts any.
fn handed(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("airside", MFdFlags::empty())?);
    file.write_all(bytes)?;
    Ok(file)
}

fn path() -> OsString {
    std::env::var_os("PATH").unwrap_or_else(|| PATH.into())
}

/// Two processes that had one number are told apart by this.
fn started_at(process: u32) -> u64 {
    i32::try_from(process)
        .ok()
        .and_then(|process| Process::new(process).ok())
        .and_then(|process| process.stat().ok())
        .map_or(0, |stat| stat.starttime)
}

fn not_started(start: &StartExecutor, program: &str, error: &io::Error) -> StartFailure {
    let advice = if no_descriptors(error) {
        MORE_DESCRIPTORS
    } else if error.kind() == io::ErrorKind::NotFound {
        "; check the executor's command"
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "; check the file's mode and its user"
    } else {
        ""
    };
    let executor = &start.spec.executor;
    StartFailure::Program(format!("cannot start executor {executor}: '{program}': {error}{advice}"))
}
