//! Starting a program that is shut in: into the root of an image, behind mounts and namespaces of its own. This process stays outside,
//! with the host's root; it starts the container, passes signals on, undoes what is left once all of it is gone, and ends as
//! the program did. If it is killed the container ends with it, and the agent undoes the rest.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use containerizer::confinement::{Limit, LimitOf, UserSpec};
use containerizer::inside::{self, Inside};
use containerizer::isolator::{Isolator, Isolators};
use containerizer::launcher::{Handed, NotStarted};
use containerizer::life::{Running, Starter, attend};
use containerizer::network;
use containerizer::rlimits::Rlimits;
use containerizer::runtime::{Exit as BoxExit, Folder};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{
    Gid, Uid, User, getegid, geteuid, getgrouplist, getgroups, setegid, seteuid, setgroups,
};
use protocol::container::SecretValue;
use protocol::executor::StartProgram;
use protocol::task::Exit;

use super::shim::end_as;
use super::{Failed, NOT_EXECUTABLE};
use crate::complain;

/// Starts the program as the file says, waits for its end, and ends the same way once nothing of it is left.
pub(super) fn main(mut start: StartProgram, file: &Path) -> Result<ExitCode, Failed> {
    let bad = |what: &str, error: &dyn std::fmt::Display| Failed {
        words: format!("{what}: {error}"),
        code: NOT_EXECUTABLE,
    };
    // From here on: what comes meanwhile is for the program.
    let signals = attend::listen().map_err(|error| bad("listen for signals", &error))?;
    let shown = format!("read what {} says of the container", file.display());
    let mut inside = Inside::read(file).map_err(|error| bad(&shown, &error))?;
    let secrets = start.take_secrets().into_iter().map(|SecretValue(value)| value).collect();
    inside.put_secrets(secrets).map_err(|words| bad("mount volumes", &words))?;
    let records = file.parent().unwrap_or(Path::new("/"));
    let folder = inside::make_folder(records)
        .map_err(|error| bad("make a folder for the container", &error))?;
    let identity = match start.user.as_deref() {
        Some(name) => Some(Numbers::of(name).map_err(|words| bad("start as its user", &words))?),
        None => None,
    };
    if let Some(numbers) = &identity {
        let reached = inside.reached.iter().try_for_each(|path| numbers.reach(path));
        reached.map_err(|words| bad("mount volumes", &words))?;
    }
    let container = container(&start, inside, identity, &folder)?;
    let mut running = Running::new(inside::id(), folder, container, &isolators(&start));
    // Held by this process alone: the container ends with it.
    let (lifeline, _held) = io::pipe().map_err(|error| bad("make a pipe", &error))?;
    let handed = handed(&running, lifeline.into());
    let handed = handed.map_err(|error| bad("hand standard output on", &error))?;
    running.start(&mut Starter::Itself, handed);
    let not_started = attend::until_gone(&mut running, &signals);
    end(&running, not_started.map_err(|error| bad("wait for the program", &error))?)
}

fn handed(running: &Running, lifeline: OwnedFd) -> io::Result<Handed> {
    Ok(Handed {
        stdio: [
            io::stdin().as_fd().try_clone_to_owned()?,
            io::stdout().as_fd().try_clone_to_owned()?,
            io::stderr().as_fd().try_clone_to_owned()?,
        ],
        folder: running.folder().handle()?,
        lifeline: Some(lifeline),
        group: None,
    })
}

/// What the agent said of it, with what is known here.
fn container(
    start: &StartProgram,
    inside: Inside,
    user: Option<Numbers>,
    folder: &Folder,
) -> Result<containerizer::container::Container, Failed> {
    let mut container = inside.container;
    let failed = |words: String| Failed { words, code: NOT_EXECUTABLE };
    let text = |bytes: Vec<u8>| {
        CString::new(bytes).map_err(|_| failed("start it: a word has a zero byte in it".into()))
    };
    let arguments = start.arguments.iter().map(|word| text(word.clone().into_bytes()));
    container.arguments = arguments.collect::<Result<_, _>>()?;
    let confinement = &mut container.confinement;
    confinement.program = Some(text(start.program.clone().into_bytes())?);
    let pairs = start.environment.iter();
    let pairs = pairs.map(|(name, value)| text([name, &b"="[..], value].concat()));
    confinement.environment = pairs.collect::<Result<_, _>>()?;
    let identity = &mut confinement.identity;
    if identity.user.is_none() {
        identity.user = user.map(Numbers::spec);
    }
    if confinement.root.is_some() {
        let names = network::files(folder, false, confinement.hostname.as_deref());
        let mut mounts =
            names.map_err(|error| failed(format!("write names for the container: {error}")))?;
        // A volume of the task's may be in their place.
        mounts.append(&mut confinement.mounts);
        confinement.mounts = mounts;
    }
    Ok(container)
}

/// What is left to this process: the agent's own isolators have prepared what it said, and have this process in hand.
fn isolators(start: &StartProgram) -> Isolators {
    let files = start.open_files.map(|files| Limit {
        of: LimitOf::OpenFiles,
        soft: Some(files),
        hard: Some(files),
    });
    let rlimits = files.map(|files| Arc::new(Rlimits::new(vec![files])) as Arc<dyn Isolator>);
    Isolators::new(rlimits.into_iter().collect())
}

fn end(running: &Running, not_started: Option<NotStarted>) -> Result<ExitCode, Failed> {
    let termination = running.termination();
    for left in termination.iter().flat_map(|termination| &termination.left) {
        complain(&format!("could not clean up, the agent tries again: {left}"));
    }
    if let Some(NotStarted { code, words }) = not_started {
        return Err(Failed { words, code });
    }
    let why = termination.and_then(|termination| termination.why.clone());
    match (why, termination.and_then(|termination| termination.exit)) {
        (None, Some(BoxExit::Code(code))) => Ok(end_as(Exit::Code(code.into()))),
        (None, Some(BoxExit::Signal(signal))) => Ok(end_as(Exit::Signal(signal))),
        // Whatever killed its init.
        (None, Some(BoxExit::Unknown)) => Ok(end_as(Exit::Signal(Signal::SIGKILL as i32))),
        (why, _) => {
            let words = why.unwrap_or_else(|| "start it: it never ran".into());
            Err(Failed { words, code: NOT_EXECUTABLE })
        }
    }
}

/// A user of the host's, with all groups.
struct Numbers {
    name: String,
    user: Uid,
    group: Gid,
    groups: Vec<Gid>,
}

impl Numbers {
    fn of(name: &str) -> Result<Self, String> {
        let known =
            User::from_name(name).map_err(|error| format!("look up user '{name}': {error}"))?;
        let user = known.ok_or_else(|| format!("user '{name}' is unknown"))?;
        let c_name = CString::new(name).map_err(|error| error.to_string())?;
        let groups = getgrouplist(&c_name, user.gid)
            .map_err(|error| format!("look up the groups of '{name}': {error}"))?;
        Ok(Self { name: name.to_owned(), user: user.uid, group: user.gid, groups })
    }

    fn spec(self) -> UserSpec {
        let groups = self.groups.iter().map(|group| group.as_raw()).collect();
        UserSpec::Numbers { user: self.user.as_raw(), group: self.group.as_raw(), groups }
    }

    /// Whether the user itself can come to this path: what is mounted for it is no more than what it could open.
    fn reach(&self, path: &Path) -> Result<(), String> {
        let failed = |error: Errno| {
            format!("user '{}' may not reach {}: {error}", self.name, path.display())
        };
        let (user, group) = (geteuid(), getegid());
        let groups = getgroups().map_err(failed)?;
        let become_it = || {
            setgroups(&self.groups)?;
            setegid(self.group)?;
            seteuid(self.user)
        };
        let reached = become_it()
            .and_then(|()| open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map(drop));
        // In the opposite order: as root again first.
        let back = seteuid(user).and_then(|()| setegid(group)).and_then(|()| setgroups(&groups));
        back.map_err(failed)?;
        reached.map_err(failed)
    }
}
