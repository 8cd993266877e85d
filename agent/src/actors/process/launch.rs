//! Starting one executor: its user, its sandbox, its environment, its process.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use containerizer::inside::Inside;
use containerizer::start::{Handed, command, inherited};
use images::Pulled;
use nix::unistd::User;
use procfs::process::Process;
use protocol::executor::{
    ENV_AGENT, ENV_AGENT_FILE, ENV_CONTAINER, ENV_EXECUTOR, ENV_FRAMEWORK, ENV_GROUPS, ENV_INSIDE,
    ENV_OPEN_FILES, ENV_PASSED, ENV_RECORDS, ENV_RECOVERY_TIMEOUT, ENV_SANDBOX,
    ENV_SECRET_ON_STDIN, ENV_TOKEN, Shim, StartProgram,
};
use protocol::task::CommandSpec;
use tokio::process::{Child, Command};

use super::inside::{Asks, ignored_user, inside};
use super::logged::logged;
use super::{Launching, mesos};
use crate::logic::{ProcessIdentity, Program, StartExecutor, StartFailure};
use crate::sandboxes::{MORE_DESCRIPTORS, Sandbox, no_descriptors};
use crate::users;

/// Where programs are looked for: whoever started the agent may have had another mind.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// To the allocator of the binary: there may be thousands of executors, and each would take four huge pages, 8 MiB, for a
/// heap of less than one. The executor undoes it for its task.
pub(super) const NO_HUGE_PAGES: (&str, &str) = ("MIMALLOC_ALLOW_THP", "0");

/// A variable that an executor finds in its environment.
type Surrounding<'a> = (&'static str, &'a OsStr);

/// An executor that was started.
pub(super) struct Launched {
    pub(super) child: Child,
    pub(super) process: ProcessIdentity,
    /// Where a shim, if there is one, leaves why it could not start the executor.
    pub(super) handed: Option<Handed>,
    /// What keeps what it prints to a bound.
    pub(super) keepers: Vec<Child>,
}

/// Where an executor is to run, and as whom.
pub(super) struct Place {
    pub(super) owner: Option<User>,
    pub(super) sandbox: Sandbox,
    pub(super) records: PathBuf,
    /// What it is shut into, and where that is written down.
    pub(super) inside: Option<(Inside, PathBuf)>,
}

/// Makes it.
pub(super) fn place(launching: &Launching, start: &StartExecutor) -> Result<Place, StartFailure> {
    let owner = users::resolve(start.user.as_deref())?;
    let path = launching.sandboxes.path(
        &start.framework.framework,
        &start.spec.executor,
        &start.container,
    );
    let sandbox = launching.sandboxes.make(path, owner.as_ref())?;
    let records = make_records(launching, start)?;
    Ok(Place { owner, sandbox, records, inside: None })
}

impl super::Processes {
    /// What the executor, or its command, is to be shut into, if that is anything.
    pub(super) fn inside(
        &self,
        start: &StartExecutor,
        place: &mut Place,
        pulled: Option<&Pulled>,
    ) -> Result<Option<Inside>, String> {
        let (settings, images) = (&self.launching.containers, &self.launching.images);
        let sandbox = &place.sandbox.path;
        let asks = Asks { start, owner: place.owner.as_ref(), sandbox };
        let Some(inside) = inside(settings.as_ref(), images.as_ref(), &asks, pulled)? else {
            return Ok(None);
        };
        if let Some(user) = settings.as_ref().and_then(|settings| ignored_user(settings, pulled)) {
            let words = "the agent is not root, and its containers have no other user than theirs";
            // What cannot be said hinders nothing.
            let _ = writeln!(place.sandbox.stderr, "the image's user '{user}' is ignored: {words}");
        }
        Ok(Some(inside))
    }

    /// Writes it down.
    pub(super) fn shut_in(place: &mut Place, inside: Option<Inside>) -> Result<(), String> {
        let Some(inside) = inside else { return Ok(()) };
        // Of a start that came to nothing.
        containerizer::inside::clear(&place.records)?;
        let written = inside.write(&place.records);
        let file = written.map_err(|error| format!("write down what it is: {error}"))?;
        place.inside = Some((inside, file));
        Ok(())
    }
}

pub(super) fn launch(
    launching: &Launching,
    start: &StartExecutor,
    place: Place,
    lends: bool,
    groups: Option<&OsStr>,
) -> Result<Launched, StartFailure> {
    let Place { owner, sandbox, records, inside } = place;
    let (sandbox, keepers) = logged(launching, start, sandbox)?;
    // What does not outlive the agent waits for none.
    let waits = match start.framework.outlives_agents() {
        true => launching.recovery_timeout,
        false => Duration::ZERO,
    };
    let (agent_file, recovery_timeout) =
        (launching.home.address_file(), waits.as_millis().to_string());
    let mut surroundings = vec![
        (ENV_AGENT, OsStr::new(&launching.agent_at)),
        (ENV_AGENT_FILE, agent_file.as_os_str()),
        (ENV_RECOVERY_TIMEOUT, OsStr::new(&recovery_timeout)),
        (ENV_FRAMEWORK, start.framework.framework.as_str().as_ref()),
        (ENV_EXECUTOR, start.spec.executor.as_str().as_ref()),
        (ENV_CONTAINER, start.container.as_str().as_ref()),
        (ENV_TOKEN, start.token.as_str().as_ref()),
        (ENV_SANDBOX, sandbox.path.as_os_str()),
    ];
    surroundings.extend(groups.map(|files| (ENV_GROUPS, files)));
    surroundings.extend(inside.iter().map(|(_, file)| (ENV_INSIDE, file.as_os_str())));
    let inside = inside.as_ref().map(|(inside, _)| inside);
    if lends {
        surroundings.push((ENV_SECRET_ON_STDIN, OsStr::new("1")));
    }
    let at = mesos::At { endpoint: &launching.agent_at, socket: launching.socket.as_deref() };
    let mesos = mesos::variables(start, &at, launching.recovery_timeout, &sandbox.path);
    surroundings.extend(mesos.iter().map(|(name, value)| (*name, OsStr::new(value))));
    let (mut command, handed) = match &start.program {
        Program::CommandExecutor => (command_executor(launching, &surroundings)?, None),
        Program::Custom(spec) => {
            let program = start_of(launching, spec, owner.as_ref(), &surroundings, inside);
            custom(launching, start, program, owner.as_ref(), &surroundings)?
        }
    };
    // Not for a framework's own executor, but for the shim above it.
    if handed.is_some() || start.program == Program::CommandExecutor {
        command.env(ENV_RECORDS, records);
    }
    let stdin = if lends { Stdio::piped() } else { Stdio::null() };
    command
        .current_dir(&sandbox.path)
        .stdin(stdin)
        .stdout(sandbox.stdout)
        .stderr(sandbox.stderr)
        .process_group(0)
        .kill_on_drop(false);
    let lifeline = launching.lifeline.as_ref().filter(|_| handed.is_some());
    let files = handed.iter().map(AsFd::as_fd).chain(lifeline.map(AsFd::as_fd));
    let files: Vec<_> = files.collect();
    // This thread alone starts any.
    let child = inherited(&files, || command.spawn()).map_err(|error| {
        let program = command.as_std().get_program().to_string_lossy();
        not_started(start, &program, &error)
    })?;
    let process = child.id().expect("it was not waited for yet");
    let process =
        ProcessIdentity { process, started: started_at(process), boot: launching.boot.clone() };
    Ok(Launched { child, process, handed, keepers })
}

fn make_records(launching: &Launching, start: &StartExecutor) -> Result<PathBuf, StartFailure> {
    launching.home.make_records(&start.container).map_err(|error| {
        let words = format!("cannot make the folder of its records: {error}");
        StartFailure::Sandbox(format!(
            "{words}; make room on the agent's disk or fix the rights of its --work_dir"
        ))
    })
}

/// As the agent's own user: it becomes the task's user when it starts the task.
fn command_executor(
    launching: &Launching,
    surroundings: &[Surrounding<'_>],
) -> Result<Command, StartFailure> {
    let mut command = executors_program(launching)?;
    let passed: Vec<&str> = launching.environment.keys().map(String::as_str).collect();
    command.envs(&launching.environment).env(ENV_PASSED, passed.join("\n"));
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
    command.args(arguments).env_clear().env("PATH", PATH).env(NO_HUGE_PAGES.0, NO_HUGE_PAGES.1);
    Ok(command)
}

/// A framework's own executor. Where the agent is alone in its process, a shim stays above it, which keeps together what it
/// starts and inherits what is handed to it.
fn custom(
    launching: &Launching,
    start: &StartExecutor,
    mut program: StartProgram,
    owner: Option<&User>,
    surroundings: &[Surrounding<'_>],
) -> Result<(Command, Option<Handed>), StartFailure> {
    let is_inside = surroundings.iter().any(|(name, _)| *name == ENV_INSIDE);
    let Some(lifeline) = &launching.lifeline else {
        return Ok((command(&program, owner).into(), None));
    };
    program.shim = Some(Shim { lifeline: lifeline.number(), grace: start.shutdown_grace });
    // What is in an image is looked for there.
    match is_inside {
        true => program.add_secrets(start.wanted.secrets()),
        false => find(&program).map_err(|error| not_started(start, &program.program, &error))?,
    }
    let handed =
        Handed::new(&program).map_err(|error| not_started(start, &program.program, &error))?;
    let mut shim = executors_program(launching)?;
    // Found by them, as all that it starts.
    let shims = [ENV_CONTAINER, ENV_SANDBOX, ENV_RECOVERY_TIMEOUT, ENV_GROUPS, ENV_INSIDE];
    let marks = surroundings.iter().filter(|(name, _)| shims.contains(name));
    let (name, value) = handed.variable();
    shim.envs(marks.copied()).env(name, value);
    Ok((shim, Some(handed)))
}

fn start_of(
    launching: &Launching,
    spec: &CommandSpec,
    owner: Option<&User>,
    surroundings: &[Surrounding<'_>],
    inside: Option<&Inside>,
) -> StartProgram {
    let mut environment: BTreeMap<OsString, OsString> = BTreeMap::new();
    environment.insert("PATH".into(), PATH.into());
    for (name, value) in inside.iter().flat_map(|inside| inside.beneath()) {
        environment.insert(name.into(), value.into());
    }
    let said = spec.environment.iter().map(|(name, value)| (name, value));
    for (name, value) in launching.environment.iter().chain(said) {
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
    // For whoever starts it, not for itself.
    environment.remove(OsStr::new(ENV_INSIDE));
    for (name, path) in inside.iter().flat_map(|inside| inside.above()) {
        environment.insert(name.into(), path.into());
    }
    let pairs = environment.into_iter().map(|(name, value)| (name.into_vec(), value.into_vec()));
    let said = inside.and_then(|inside| inside.program.as_ref());
    let program = said.map(|said| StartProgram {
        program: said.first().cloned().unwrap_or_default(),
        arguments: said.clone(),
        ..StartProgram::default()
    });
    StartProgram {
        environment: pairs.collect(),
        user: owner.map(|user| user.name.clone()),
        open_files: launching.open_files,
        ..program.unwrap_or_else(|| StartProgram::of(spec))
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
