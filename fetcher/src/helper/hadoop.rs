//! What Hadoop's client gets. It writes files only where it can name them: into a folder of its own in the sandbox, from which
//! the file goes the way of all others. The client is somebody else's program, with processes of its own; whoever ends this
//! process ends all of them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rustix::fs::OFlags;

use super::Moved;
use crate::order::{ByHadoop, ENV_SANDBOX, Order};

/// How often it is looked whether the client is done, and what it has brought.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The end of what it complained of that is told.
const COMPLAINT_BYTES_MAX: usize = 2048;
/// How long is waited for the end of its complaints once it has ended: its processes may hold them open.
const COMPLAINT_WITHIN: Duration = Duration::from_millis(500);

/// The file of this address. It has no name any more.
pub(super) fn get(url: &str, order: &Order, moved: &Moved) -> Result<File, String> {
    let Some(ByHadoop { client, sandbox }) = &order.hadoop else {
        return Err("the agent did not say which client of Hadoop's is to get it".to_owned());
    };
    let program = client.program();
    let scratch = Scratch::make(Path::new(sandbox))?;
    let start = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir("/");
        command.env_clear().envs(&client.environment).env(ENV_SANDBOX, sandbox);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().map_err(|error| absent(&program, &error))
    };
    // Something else may be called so.
    let (status, complaint) = wait(start(&["version"])?, || Ok(()))?;
    if !status.success() {
        return Err(ended(&format!("{program} version"), status, &complaint));
    }
    let to = scratch.0.join("file");
    let child = start(&["fs", "-copyToLocal", url, &to.to_string_lossy()])?;
    let (status, complaint) = wait(child, || {
        let bytes = scratch.bytes();
        moved.brought(bytes);
        match order.limits.bytes {
            most if bytes > most => Err(format!("it is longer than {most} bytes")),
            _ => Ok(()),
        }
    })?;
    if !status.success() {
        return Err(ended(&format!("{program} fs -copyToLocal"), status, &complaint));
    }
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(&to).map_err(|error| {
        format!("{program} ended well, but what it brought cannot be opened: {error}")
    })
}

/// A folder of the client's own, which is removed with all that is in it.
struct Scratch(PathBuf);

impl Scratch {
    fn make(sandbox: &Path) -> Result<Self, String> {
        let path = sandbox.join(format!(".fetching-{}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| format!("make the folder {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// Of all files in it: the client gives a file its name once it is whole.
    fn bytes(&self) -> u64 {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays there is the sandbox's, as all that tasks leave.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How it ended, and what it complained of. `look` is asked now and then whether it may go on.
fn wait(
    mut child: Child,
    mut look: impl FnMut() -> Result<(), String>,
) -> Result<(ExitStatus, String), String> {
    let (sender, complaint) = channel();
    if let Some(stderr) = child.stderr.take() {
        std::thread::spawn(move || listen(stderr, &sender));
    }
    // Nobody sends anything: it is a clock.
    let (_never, clock) = channel::<()>();
    loop {
        let ended = child.try_wait().map_err(|error| format!("wait for its client: {error}"))?;
        if let Some(status) = ended {
            return Ok((status, last(&complaint)));
        }
        if let Err(words) = look() {
            let _ = child.kill();
            return Err(words);
        }
        let Err(RecvTimeoutError::Timeout) = clock.recv_timeout(LOOK_EVERY) else {
            return Err("there is no clock".to_owned());
        };
    }
}

/// Tells the end of what was said so far, again and again: who holds it open may never end.
fn listen(mut stderr: ChildStderr, to: &Sender<Vec<u8>>) {
    let (mut tail, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(read) = stderr.read(&mut chunk)
        && read > 0
    {
        tail.extend_from_slice(&chunk[..read]);
        tail.drain(..tail.len().saturating_sub(COMPLAINT_BYTES_MAX));
        if to.send(tail.clone()).is_err() {
            return;
        }
    }
}

/// Line by line, in one.
fn last(complaint: &Receiver<Vec<u8>>) -> String {
    let mut bytes = Vec::new();
    while let Ok(more) = complaint.recv_timeout(COMPLAINT_WITHIN) {
        bytes = more;
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let plain = |line: &str| line.chars().filter(|letter| !letter.is_control()).collect::<String>();
    lines.map(plain).collect::<Vec<_>>().join("; ")
}

fn absent(program: &str, error: &io::Error) -> String {
    format!(
        "it takes a client of Hadoop's, and {program} cannot be started: {error}; install one on the agent's machine, and say where by --hadoop_home, HADOOP_HOME or PATH, or serve the file by http://"
    )
}

fn ended(command: &str, status: ExitStatus, complaint: &str) -> String {
    match complaint {
        "" => format!("`{command}` ended with {status}, and said nothing"),
        words => format!("`{command}` ended with {status}: {words}"),
    }
}
