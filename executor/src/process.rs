//! The task's processes: started as its user in its sandbox, signalled as a tree, reaped. The executor is a child
//! subreaper, so every process below it is its own or becomes so when its parent ends.

pub(crate) mod tree;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;

use containerizer::inside::Inside;
use containerizer::start::{self, Handed};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::statvfs::statvfs;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, User, geteuid};
use protocol::executor::{ENV_CONTAINER, ENV_EXECUTOR, ENV_FRAMEWORK, ENV_SANDBOX, StartProgram};
use protocol::task::Exit;

use crate::logic::{Identity, Remark, Spawn, SpawnFailure};
use crate::second_start;
use tree::Tree;

/// The processes below this executor.
pub(crate) struct Processes {
    sandbox: PathBuf,
    path: OsString,
    /// What the task has unless it says otherwise.
    mesos: Vec<(String, String)>,
    /// What the task is shut into, if it is.
    inside: Option<Inside>,
    /// Given to the task: who it belongs to, and not the token.
    environment: Vec<(&'static str, String)>,
    /// The task's own process, until it is reaped.
    main: Option<Pid>,
    tree: Tree,
    /// Where the second start, if there was one, leaves why the task did not begin.
    handed: Option<Handed>,
}

impl Processes {
    pub(crate) fn new(
        sandbox: PathBuf,
        path: OsString,
        mesos: Vec<(String, String)>,
        inside: Option<Inside>,
        identity: &Identity,
    ) -> Self {
        let environment = vec![
            (ENV_FRAMEWORK, identity.framework.to_string()),
            (ENV_EXECUTOR, identity.executor.to_string()),
            (ENV_CONTAINER, identity.container.to_string()),
            (ENV_SANDBOX, sandbox.display().to_string()),
        ];
        let (main, tree, handed) = (None, Tree::default(), None);
        Self { sandbox, path, mesos, inside, environment, main, tree, handed }
    }

    /// Starts the task's process; its output goes where the executor's goes, which is the sandbox.
    pub(crate) fn spawn(&mut self, spawn: Spawn) -> Result<u32, SpawnFailure> {
        let user = who(&spawn.user)?;
        let start = self.program(&spawn, user.as_ref());
        let shut = self.inside.is_some();
        let program = start.program.clone();
        let becomes = user.as_ref().filter(|user| user.uid != geteuid());
        if let Some(user) = becomes.filter(|_| !geteuid().is_root()) {
            return Err(SpawnFailure::MayNotBecome(user.name.clone()));
        }
        let (mut command, handed) =
            second_start::prepared(&start, becomes, shut).map_err(|error| SpawnFailure::Other {
                program: program.clone(),
                cause: error.to_string(),
            })?;
        command.current_dir(&self.sandbox).stdin(Stdio::null()).process_group(0);
        let name = user.as_ref().map_or_else(|| geteuid().to_string(), |user| user.name.clone());
        let changes = becomes.is_some();
        let files: Vec<_> = handed.iter().map(AsFd::as_fd).collect();
        let spawned = start::inherited(&files, || with_huge_pages(|| command.spawn()));
        let child = spawned.map_err(|error| {
            let barred = if changes { barred(capabilities()) } else { None };
            self.failure(program, name, barred, &error)
        })?;
        self.handed = handed;
        let process = child.id();
        self.main = i32::try_from(process).ok().map(Pid::from_raw);
        Ok(process)
    }

    /// What the task says counts more than what it would have without a word, but not than the marks by which its
    /// processes are found.
    fn program(&self, spawn: &Spawn, user: Option<&User>) -> StartProgram {
        let mut environment: BTreeMap<OsString, OsString> = BTreeMap::new();
        let mut set = |name: &str, value: &OsStr| {
            environment.insert(name.into(), value.into());
        };
        set("PATH", &self.path);
        set("PWD", self.sandbox.as_os_str());
        if let Some(user) = user {
            set("HOME", user.dir.as_os_str());
            set("USER", user.name.as_ref());
            set("LOGNAME", user.name.as_ref());
        }
        let image = self.inside.iter().flat_map(Inside::beneath);
        image.for_each(|(name, value)| set(name, value.as_ref()));
        self.mesos.iter().for_each(|(name, value)| set(name, value.as_ref()));
        let said = spawn.environment.iter().chain(&spawn.command.environment);
        said.for_each(|(name, value)| set(name, value.as_ref()));
        self.environment.iter().for_each(|(name, value)| set(name, value.as_ref()));
        let places = self.inside.iter().flat_map(Inside::above);
        places.for_each(|(name, path)| set(name, path.as_os_str()));
        let bytes = |os: OsString| os.into_vec();
        let environment = environment.into_iter().map(|(name, value)| (bytes(name), bytes(value)));
        let mut program = match self.inside.as_ref().and_then(|inside| inside.program.as_ref()) {
            Some(said) => StartProgram {
                program: said.first().cloned().unwrap_or_default(),
                arguments: said.clone(),
                ..StartProgram::default()
            },
            None => StartProgram::of(&spawn.command),
        };
        program.environment = environment.collect();
        program.user = user.map(|user| user.name.clone());
        // Only who shuts it in takes them out again.
        if self.inside.is_some() {
            program.add_secrets(&spawn.secrets);
        }
        program
    }

    /// An error of `spawn` may come from the folder, the user or the program; they are told apart by looking.
    fn failure(
        &self,
        program: String,
        user: String,
        barred: Option<Barred>,
        error: &std::io::Error,
    ) -> SpawnFailure {
        if !self.sandbox.is_dir() {
            let sandbox = self.sandbox.display().to_string();
            return SpawnFailure::Sandbox { sandbox, cause: error.to_string() };
        }
        match (error.kind(), error.raw_os_error().map(Errno::from_raw)) {
            // Before the kinds: among those it is the same as a file's mode that forbids it.
            (_, Some(Errno::EPERM)) => match barred {
                Some((calls, capabilities)) => SpawnFailure::RootMayNotBecome {
                    user,
                    calls: calls.to_owned(),
                    capabilities: capabilities.to_owned(),
                },
                None => SpawnFailure::Forbidden { program, user },
            },
            (ErrorKind::NotFound, _) => SpawnFailure::NotFound(program),
            (ErrorKind::PermissionDenied, _) => SpawnFailure::NotExecutable { program, user },
            (_, Some(Errno::ENOEXEC)) => SpawnFailure::WrongFormat(program),
            (_, _) => SpawnFailure::Other { program, cause: error.to_string() },
        }
    }

    /// Collects all that has ended; how the task's own process did, if it is among them.
    pub(crate) fn reap(&mut self) -> Option<Exit> {
        let mut main = None;
        loop {
            let (pid, exit) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Exit::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Exit::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(_) => return main,
                Ok(
                    WaitStatus::Stopped(..)
                    | WaitStatus::Continued(_)
                    | WaitStatus::PtraceEvent(..)
                    | WaitStatus::PtraceSyscall(_),
                ) => continue,
            };
            if self.main == Some(pid) {
                self.main = None;
                main = Some(exit);
            }
        }
    }

    /// Whether no process lives below the executor.
    pub(crate) fn none_left(&self) -> bool {
        let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        nix::sys::wait::waitid(nix::sys::wait::Id::All, flags) == Err(Errno::ECHILD)
    }

    /// Asks every process of the task to end; if they cannot be seen, the one that was started, which is known.
    pub(crate) fn terminate(&mut self) {
        let all_seen = match self.main.filter(|_| self.inside.is_some()) {
            // Whoever keeps it would pass on what the task has heard already.
            Some(keeper) => self.tree.signal_inner(keeper, Signal::SIGTERM),
            None => self.tree.signal_all(Signal::SIGTERM),
        };
        if let Some(main) = self.main.filter(|_| !all_seen) {
            // It may have ended by now.
            let _ = kill(main, Signal::SIGTERM);
        }
    }

    /// Ends every process of the task that is there now and can be seen; new ones may have come meanwhile.
    pub(crate) fn kill(&mut self) {
        self.tree.signal_all(Signal::SIGKILL);
    }

    /// What explains how the task's own process ended. Of a full sandbox a task itself may have nowhere to tell.
    pub(crate) fn remark(&self) -> Option<Remark> {
        let why_not = self.handed.as_ref().and_then(Handed::why_not);
        let is_full = || {
            statvfs(&self.sandbox)
                .is_ok_and(|disk| disk.blocks() > 0 && disk.blocks_available() == 0)
        };
        why_not.map(Remark::NotBegun).or_else(|| is_full().then_some(Remark::SandboxFull))
    }
}

/// The agent keeps huge pages from executors, which are many and small. What is started from here inherits that as it is
/// at that moment, and a task is to have them.
pub(crate) fn with_huge_pages<T>(start: impl FnOnce() -> T) -> T {
    // Where the kernel knows nothing of this, there is nothing to undo.
    let without = nix::sys::prctl::get_thp_disable().unwrap_or(false);
    if without {
        let _ = nix::sys::prctl::set_thp_disable(false);
    }
    let started = start();
    if without {
        let _ = nix::sys::prctl::set_thp_disable(true);
    }
    started
}

/// What the system does not let this process do on the way to another user, and the capability that it would take.
type Barred = (&'static str, &'static str);

/// Places in the set of capabilities.
const CAP_SETGID: u64 = 1 << 6;
const CAP_SETUID: u64 = 1 << 7;

fn barred(capabilities: u64) -> Option<Barred> {
    match (capabilities & CAP_SETGID != 0, capabilities & CAP_SETUID != 0) {
        (true, true) => None,
        (false, true) => Some(("setgroups and setgid", "CAP_SETGID")),
        (true, false) => Some(("setuid", "CAP_SETUID")),
        (false, false) => Some(("setgroups, setgid and setuid", "CAP_SETGID and CAP_SETUID")),
    }
}

/// Those that count now; all, if they cannot be read.
fn capabilities() -> u64 {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    status.map_or(u64::MAX, |status| status.capeff)
}

/// `None`: as the executor itself.
fn who(user: &str) -> Result<Option<User>, SpawnFailure> {
    if user.is_empty() {
        return Ok(None);
    }
    match User::from_name(user) {
        Ok(Some(user)) => Ok(Some(user)),
        Ok(None) => Err(SpawnFailure::UnknownUser(user.to_owned())),
        Err(error) => {
            Err(SpawnFailure::UserLookUp { user: user.to_owned(), cause: error.to_string() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ids::{ContainerId, ExecutorId, FrameworkId};

    #[test]
    fn what_is_not_permitted_is_named_with_what_it_takes() {
        let identity = Identity {
            framework: FrameworkId::new("F"),
            executor: ExecutorId::new("E"),
            container: ContainerId::new("C"),
            token: "t".into(),
        };
        let processes = Processes::new("/".into(), "/bin".into(), Vec::new(), None, &identity);
        let words = |errno: Errno, capabilities: u64| {
            let error = std::io::Error::from_raw_os_error(errno as i32);
            let failure = processes.failure(
                "/bin/true".into(),
                "nobody".into(),
                barred(capabilities),
                &error,
            );
            failure.to_string()
        };
        for (capabilities, calls) in [
            (CAP_SETGID, "(setuid: operation not permitted); start the agent with CAP_SETUID,"),
            (
                CAP_SETUID,
                "(setgroups and setgid: operation not permitted); start the agent with CAP_SETGID,",
            ),
        ] {
            let words = words(Errno::EPERM, capabilities);
            let wanted = format!("the executor is root and cannot become user 'nobody' {calls}");
            assert!(words.starts_with(&wanted), "{words}");
        }
        let forbidden = words(Errno::EPERM, u64::MAX);
        assert!(forbidden.contains("start '/bin/true' (execve: operation not permitted); look"));
        let mode = words(Errno::EACCES, u64::MAX);
        assert!(mode.contains("'/bin/true' may not be executed by user nobody; check its mode"));
    }
}
