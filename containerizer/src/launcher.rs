//! Starting containers. [`launch()`] copies this process, which must have one thread; a process with more has a [`Launcher`]
//! do it: a small process of the same program that does nothing else, and ends with whoever started it. The containers go on.

mod channel;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};

use nix::unistd::{Pid, getegid, geteuid};

use crate::container::Container;
use crate::init::{self, GO, MAPPED};
use crate::namespaces::{Range, UserMap};
use crate::runtime;
use crate::system::{self, Cloned};
use channel::{Answer, Request};

/// What a container has of its starter.
#[derive(Debug)]
pub struct Handed {
    /// Standard input, output and error.
    pub stdio: [OwnedFd; 3],
    /// Its folder; see [`crate::runtime::Folder::handle`].
    pub folder: OwnedFd,
    /// The reading end of a pipe: when it ends, the container does. `None`: it outlives its starter.
    pub lifeline: Option<OwnedFd>,
    /// A control group of the second version that it begins in. Those of the first are joined from outside, before it is let go.
    pub group: Option<OwnedFd>,
}

/// A container that was started and waits to be let go. Dropped, it ends.
#[derive(Debug)]
pub struct Launched {
    /// Its init, as seen from here.
    pub process: Pid,
    /// Ready to be read once init, and with it everything in its process namespace, is gone.
    pub handle: OwnedFd,
    gate: Option<OwnedFd>,
    report: OwnedFd,
}

/// Why a program did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct NotStarted {
    /// What a shell's status would be: 125 not confined, 126 not executable, 127 not found.
    pub code: u8,
    /// What was tried, and why it failed.
    pub words: String,
}

impl Launched {
    /// Writes the users of its namespace, if they are more than one. As root here, or by `newuidmap` and `newgidmap`, which
    /// grant what `/etc/subuid` and `/etc/subgid` do.
    ///
    /// # Errors
    /// Why not.
    pub fn map_users(&mut self, container: &Container) -> io::Result<()> {
        let Some(UserMap::Ranges { users, groups }) = &container.namespaces.users else {
            return Ok(());
        };
        write_map(self.process, "uid_map", "newuidmap", users)?;
        write_map(self.process, "gid_map", "newgidmap", groups)?;
        self.say(MAPPED)
    }

    /// Lets the program go: it starts once the container is set up.
    ///
    /// # Errors
    /// Its init is gone; [`Launched::started`] tells why.
    pub fn release(&mut self) -> io::Result<()> {
        let said = self.say(GO);
        self.gate = None;
        said
    }

    fn say(&self, word: u8) -> io::Result<()> {
        let Some(gate) = &self.gate else { return Ok(()) };
        match File::from(gate.try_clone()?).write_all(&[word]) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            said => said,
        }
    }

    /// Readable once the program has started, or did not.
    pub fn report(&self) -> BorrowedFd<'_> {
        self.report.as_fd()
    }

    /// Waits for that.
    ///
    /// # Errors
    /// Why it did not.
    pub fn started(&mut self) -> Result<(), NotStarted> {
        let mut line = Vec::new();
        let read = self.report.try_clone().and_then(|file| File::from(file).read_to_end(&mut line));
        if let Err(error) = read {
            return Err(NotStarted { code: 125, words: format!("hear of the start: {error}") });
        }
        match line.split_first() {
            None => Ok(()),
            Some((code, words)) => {
                let words = String::from_utf8_lossy(words).into_owned();
                Err(NotStarted { code: *code, words })
            }
        }
    }
}

/// Copies this process, which has one thread, into the first of a container.
///
/// # Errors
/// The kernel's; see [`system::clone`].
pub fn launch(container: &Container, handed: Handed) -> io::Result<Launched> {
    let ((gate, let_go), (hears, report)) = (pipe()?, pipe()?);
    let Handed { stdio, folder, lifeline, group } = handed;
    runtime::hold(&folder)?;
    let starter = (geteuid().as_raw(), getegid().as_raw());
    let files = init::Files { stdio, gate, report, folder, lifeline, starter };
    let (process, handle) = copy_into(container, files, group)?;
    Ok(Launched { process, handle, gate: Some(let_go), report: hears })
}

/// In the copy it does not return.
fn copy_into(
    container: &Container,
    files: init::Files,
    group: Option<OwnedFd>,
) -> io::Result<(Pid, OwnedFd)> {
    match system::clone(container.namespaces.at_start(), group.as_ref().map(AsFd::as_fd))? {
        Cloned::Child => init::main(container, files),
        Cloned::Parent { process, handle } => Ok((process, handle)),
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    io::pipe().map(|(reader, writer)| (reader.into(), writer.into()))
}

fn write_map(process: Pid, file: &str, helper: &str, ranges: &[Range]) -> io::Result<()> {
    let lines =
        ranges.iter().map(|range| format!("{} {} {}\n", range.inside, range.outside, range.count));
    let text: String = lines.collect();
    if geteuid().is_root() {
        return std::fs::write(format!("/proc/{process}/{file}"), text);
    }
    let mut command = Command::new(helper);
    command.arg(process.to_string()).args(text.split_whitespace());
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("{helper}: {words}; see /etc/subuid and /etc/subgid")))
}

/// The process that starts containers for one with many threads. It ends when this is dropped, or this process ends.
#[derive(Debug)]
pub struct Launcher {
    socket: UnixStream,
    child: Child,
}

impl Launcher {
    /// Starts it: a command that calls [`main()`] before it makes any thread.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).process_group(0);
        let child = command.spawn()?;
        Ok(Self { socket, child })
    }

    /// Its number.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// As [`launch()`], by it. One at a time.
    ///
    /// # Errors
    /// The kernel's, or the launcher is gone.
    pub fn launch(&mut self, container: &Container, handed: Handed) -> io::Result<Launched> {
        let ((gate, let_go), (hears, report)) = (pipe()?, pipe()?);
        let Handed { stdio: [stdin, stdout, stderr], folder, lifeline, group } = handed;
        runtime::hold(&folder)?;
        let mut files = vec![stdin, stdout, stderr, gate, report, folder];
        let more = (lifeline.is_some(), group.is_some());
        files.extend(lifeline.into_iter().chain(group));
        let request = Request { container: container.clone(), lifeline: more.0, group: more.1 };
        channel::ask(&self.socket, &request, &files)?;
        drop(files);
        match channel::hear(&self.socket)? {
            (Answer::Started { process }, Some(handle)) => {
                let process = Pid::from_raw(process);
                Ok(Launched { process, handle, gate: Some(let_go), report: hears })
            }
            (Answer::Started { .. }, None) => Err(io::Error::other("the launcher sent no handle")),
            (Answer::Failed { errno, words }, _) => match errno {
                Some(errno) => Err(io::Error::from_raw_os_error(errno)),
                None => Err(io::Error::other(words)),
            },
        }
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // It sees the end of its standard input.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let _ = self.child.wait();
    }
}

/// The whole launcher, which hears on its standard input what to start.
pub fn main() -> ExitCode {
    let unwritable = crate::unwritable::begin();
    // Nobody waits for a child of this process: handles tell of its end, and its init wrote down how.
    let ignored = system::ignore_children();
    let socket = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from);
    let served = unwritable.and(ignored).and(socket).and_then(|socket| serve(&socket));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "airside launcher: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(socket: &UnixStream) -> io::Result<()> {
    while let Some((request, files)) = channel::next(socket)? {
        let (answer, handle) = match start(&request, files) {
            Ok((process, handle)) => (Answer::Started { process: process.as_raw() }, Some(handle)),
            Err(error) => {
                let (errno, words) = (error.raw_os_error(), error.to_string());
                (Answer::Failed { errno, words }, None)
            }
        };
        channel::answer(socket, &answer, handle.as_ref())?;
    }
    Ok(())
}

fn start(request: &Request, files: Vec<OwnedFd>) -> io::Result<(Pid, OwnedFd)> {
    let mut files = files.into_iter();
    let mut next = || files.next().ok_or_else(|| io::Error::other("a descriptor is missing"));
    let stdio = [next()?, next()?, next()?];
    let (gate, report, folder) = (next()?, next()?, next()?);
    let lifeline = request.lifeline.then(&mut next).transpose()?;
    let group = request.group.then(&mut next).transpose()?;
    let starter = (geteuid().as_raw(), getegid().as_raw());
    let files = init::Files { stdio, gate, report, folder, lifeline, starter };
    copy_into(&request.container, files, group)
}
