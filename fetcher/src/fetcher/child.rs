//! One process that fetches one file, from its order to its end.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::{ForSandbox, Shared};
use crate::helper::Failure;
use crate::order::{ENV_SANDBOX, LINE_BYTES_MAX, Order, Said, Told};

/// Where programs are looked for, should the loader of this one need any.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A process that fetches, until it is buried.
struct Process<'a> {
    shared: &'a Shared,
    child: Child,
    number: i32,
}

impl Process<'_> {
    /// With all that it started: a client of somebody else's may have processes of its own.
    fn end(&self) {
        // Once it is waited for, its number may be another's.
        if self.child.id().is_some() && self.number > 0 {
            let _ = killpg(Pid::from_raw(self.number), Signal::SIGKILL);
        }
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        self.end();
        self.shared.state().processes.remove(&self.number);
    }
}

/// How many bytes came. `room` is asked before more than so many are written to what is given.
pub(super) async fn run(
    shared: &Shared,
    sandbox: &ForSandbox,
    order: &Order,
    given: Option<File>,
    mut room: impl FnMut(u64) -> bool,
) -> Result<u64, Failure> {
    let failed = |error: io::Error| Failure::Words(format!("by a process of its own: {error}"));
    let (mut process, socket) = start(shared, sandbox, given).map_err(failed)?;
    let (reads, mut writes) = socket.into_split();
    let mut reads = BufReader::new(reads);
    // What is not read by a process that has ended shows in how it did.
    let _ = writes.write_all(&line(order)).await;
    loop {
        let mut bytes = Vec::new();
        let read = (&mut reads).take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes).await;
        if read.map_err(failed)? == 0 {
            process.end();
            let status = process.child.wait().await.map_err(failed)?;
            return Err(Failure::Words(ended(status)));
        }
        let said = serde_json::from_slice(&bytes).map_err(io::Error::from).map_err(failed)?;
        let done = match said {
            Said::Wants(bytes) => {
                let told = if room(bytes) { Told::Room } else { Told::NoRoom };
                let _ = writes.write_all(&line(&told)).await;
                continue;
            }
            Said::Done(bytes) => Ok(bytes),
            Said::NoRoom => Err(Failure::NoRoom),
            Said::Failed(words) => Err(Failure::Words(words)),
        };
        process.end();
        process.child.wait().await.map_err(failed)?;
        return done;
    }
}

fn start<'a>(
    shared: &'a Shared,
    sandbox: &ForSandbox,
    given: Option<File>,
) -> io::Result<(Process<'a>, UnixStream)> {
    let Some((program, arguments)) = shared.config.program.split_first() else {
        return Err(io::Error::other("the agent was not told which program fetches"));
    };
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    let socket = UnixStream::from_std(ours)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env(ENV_SANDBOX, &sandbox.path)
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(given.map_or_else(Stdio::null, Stdio::from))
        .stderr(Stdio::from(sandbox.stderr.try_clone()?))
        .process_group(0)
        .kill_on_drop(true);
    let child = command.spawn()?;
    let number = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
    shared.state().processes.insert(number);
    Ok((Process { shared, child, number }, socket))
}

fn line<T: serde::Serialize>(told: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(told).unwrap_or_default();
    line.push(b'\n');
    line
}

fn ended(status: ExitStatus) -> String {
    let how = match status.signal() {
        Some(signal) => format!("by signal {signal}"),
        None => format!("with {status}"),
    };
    format!(
        "the process that fetched it ended {how}; it may have said more in the sandbox's stderr"
    )
}
