//! Starting one executor: its user, its sandbox, its environment, its process.

use std::process::Stdio;

use nix::unistd::User;
use procfs::process::Process;
use protocol::executor::{
    ENV_AGENT, ENV_CONTAINER, ENV_EXECUTOR, ENV_FRAMEWORK, ENV_SANDBOX, ENV_SECRET_ON_STDIN,
    ENV_TOKEN,
};
use protocol::task::CommandSpec;
use tokio::process::{Child, Command};

use super::Launching;
use crate::logic::{ProcessIdentity, Program, StartExecutor, StartFailure};
use crate::users;

/// Where programs are looked for when the agent itself was started without a word on it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// To the allocator of the binary: there may be thousands of executors, and each would take four huge pages, 8 MiB, for a
/// heap of less than one. The executor undoes it for its task.
const NO_HUGE_PAGES: (&str, &str) = ("MIMALLOC_ALLOW_THP", "0");

pub(super) fn launch(
    launching: &Launching,
    start: &StartExecutor,
) -> Result<(Child, ProcessIdentity), StartFailure> {
    let owner = users::resolve(start.user.as_deref())?;
    let path = launching.sandboxes.path(
        &start.framework.framework,
        &start.spec.executor,
        &start.container,
    );
    let sandbox = launching.sandboxes.make(path, owner.as_ref())?;
    let mut command = match &start.program {
        Program::CommandExecutor => command_executor(launching)?,
        Program::Custom(spec) => custom(spec, owner.as_ref()),
    };
    command
        .env(ENV_AGENT, &launching.agent_at)
        .env(ENV_FRAMEWORK, start.framework.framework.as_str())
        .env(ENV_EXECUTOR, start.spec.executor.as_str())
        .env(ENV_CONTAINER, start.container.as_str())
        .env(ENV_TOKEN, &start.token)
        .env(ENV_SANDBOX, &sandbox.path);
    let stdin = match &launching.secret {
        Some(_) => {
            command.env(ENV_SECRET_ON_STDIN, "1");
            Stdio::piped()
        }
        None => Stdio::null(),
    };
    command
        .current_dir(&sandbox.path)
        .stdin(stdin)
        .stdout(sandbox.stdout)
        .stderr(sandbox.stderr)
        .process_group(0)
        .kill_on_drop(false);
    let child = command.spawn().map_err(|error| not_started(start, &command, &error))?;
    let process = child.id().expect("it was not waited for yet");
    let identity =
        ProcessIdentity { process, started: started_at(process), boot: launching.boot.clone() };
    Ok((child, identity))
}

/// As the agent's own user: it becomes the task's user when it starts the task.
fn command_executor(launching: &Launching) -> Result<Command, StartFailure> {
    let Some((program, arguments)) = launching.executor.split_first() else {
        let words = "the agent was not told where the command executor is".to_owned();
        return Err(StartFailure::Program(words));
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", path()).env(NO_HUGE_PAGES.0, NO_HUGE_PAGES.1);
    Ok(command)
}

fn custom(spec: &CommandSpec, owner: Option<&User>) -> Command {
    let mut command = if spec.shell {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&spec.value).args(spec.arguments.iter().skip(1));
        command
    } else {
        let mut command = Command::new(&spec.value);
        if let Some((name, rest)) = spec.arguments.split_first() {
            command.arg0(name).args(rest);
        }
        command
    };
    command.env_clear().env("PATH", path()).envs(spec.environment.iter().cloned());
    if let Some(user) = owner {
        command.env("HOME", &user.dir).env("USER", &user.name).env("LOGNAME", &user.name);
        command.gid(user.gid.as_raw()).uid(user.uid.as_raw());
    }
    command
}

fn path() -> std::ffi::OsString {
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

fn not_started(start: &StartExecutor, command: &Command, error: &std::io::Error) -> StartFailure {
    let program = command.as_std().get_program().to_string_lossy();
    let advice = if error.kind() == std::io::ErrorKind::NotFound {
        "; check the executor's command"
    } else if error.kind() == std::io::ErrorKind::PermissionDenied {
        "; check the file's mode and its user"
    } else {
        ""
    };
    let executor = &start.spec.executor;
    StartFailure::Program(format!("cannot start executor {executor}: '{program}': {error}{advice}"))
}
