//! Real processes in a temporary folder, ended when dropped: a whole cluster (`airside up`) or a
//! master alone.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use libactor::Secret;
use tempfile::TempDir;

/// A process that says where it is, and ends when its standard input does: a bench that dies leaves
/// nothing.
struct Kept {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Kept {
    /// Starts it and waits for the first line of which `read` makes something.
    fn start<T>(
        command: &mut Command,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<(Self, T), Box<dyn Error>> {
        command.arg("--end-with-stdin").args(["--port=0", "--log=warn"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let program = command.get_program().to_owned();
        let failed = |error| format!("cannot start {}: {error}", program.display());
        let mut child = command.spawn().map_err(failed)?;
        let stdin = child.stdin.take();
        let said = child.stdout.take().ok_or("it has no output")?;
        let kept = Self { child, stdin };
        for line in BufReader::new(said).lines() {
            if let Some(found) = read(line?.trim()) {
                return Ok((kept, found));
            }
        }
        Err("it ended without saying where it is".into())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.stdin = None;
        if let Err(error) = self.child.wait() {
            eprintln!("a process did not end: {error}");
        }
    }
}

/// A master alone, without a secret.
pub(crate) struct Master {
    _process: Kept,
    _folder: TempDir,
    address: String,
}

impl Master {
    pub(crate) fn start(airside: &Path) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(airside);
        command.arg("master").arg("--work-dir").arg(folder.path());
        let address = |line: &str| line.strip_prefix("master@").map(str::to_owned);
        let (process, address) = Kept::start(&mut command, address)?;
        Ok(Self { _process: process, _folder: folder, address })
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// A master with agents.
pub(crate) struct Cluster {
    airside: PathBuf,
    up: Kept,
    master: String,
    folder: TempDir,
}

impl Cluster {
    /// Starts a master and agents, and waits until they are up.
    pub(crate) fn up(airside: &Path, agents: u16) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(airside);
        command.args(["up", &format!("--agents={agents}"), "--work-dir"]);
        command.arg(folder.path().join("up")).env("XDG_CACHE_HOME", folder.path());
        let address = |line: &str| Some(line.strip_prefix("Master")?.trim().to_owned());
        let (up, master) = Kept::start(&mut command, address)?;
        Ok(Self { airside: airside.into(), up, master, folder })
    }

    /// The process of `up`, whose children the others are.
    pub(crate) fn process(&self) -> u32 {
        self.up.child.id()
    }

    pub(crate) fn master(&self) -> &str {
        &self.master
    }

    pub(crate) fn secret(&self) -> Result<Secret, Box<dyn Error>> {
        let path = self.folder.path().join("up/secret");
        Ok(Secret::new(&fs::read(path)?)?)
    }

    /// `airside` with these arguments, for this cluster.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.airside);
        command.args(arguments).env("XDG_CACHE_HOME", self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}
