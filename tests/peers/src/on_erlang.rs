//! Erlang/OTP, if the machine has it: a process of its own that does the rounds it is asked for by
//! line and answers with the time each took.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{env, fs, process};

use crate::{System, Work};

const SOURCE: &str = include_str!("peer_bench.erl");

struct Erlang {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    room: Room,
}

/// What the bench leaves behind unless it cleans up: a folder with the compiled source, and the
/// daemon through which nodes find each other, on a port of our own.
struct Room {
    folder: PathBuf,
    port: u16,
}

pub(crate) fn start() -> io::Result<System> {
    let mut erlang = Erlang::start()?;
    Ok(System::new("erlang", move |work| erlang.round(work).ok().flatten()))
}

impl Room {
    fn new() -> io::Result<Self> {
        let folder = env::temp_dir().join(format!("peer-bench-{}", process::id()));
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, port })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env("ERL_EPMD_PORT", self.port.to_string());
        command
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = self.command("epmd").arg("-kill").stdout(Stdio::null()).status();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Erlang {
    fn start() -> io::Result<Self> {
        let room = Room::new()?;
        fs::write(room.folder.join("peer_bench.erl"), SOURCE)?;
        if !room.command("erlc").arg("peer_bench.erl").status()?.success() {
            return Err(io::Error::other("erlc did not compile the bench"));
        }
        let name = format!("bench{}@127.0.0.1", process::id());
        let mut child = room
            .command("erl")
            .args(["-noshell", "-name", &name, "-run", "peer_bench", "main", "-pa"])
            .arg(&room.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?);
        let mut erlang = Self { child, to, from, room };
        match erlang.line()?.as_str() {
            "ready true" => Ok(erlang),
            "ready false" => {
                eprintln!("Erlang/OTP started no second node: its remote work is left out");
                Ok(erlang)
            }
            other => Err(io::Error::other(format!("it said {other:?}"))),
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn round(&mut self, work: Work) -> io::Result<Option<Duration>> {
        if let Some(to) = &mut self.to {
            writeln!(to, "{}", work.row())?;
        }
        Ok(self.line()?.parse().ok().map(Duration::from_micros))
    }
}

impl Drop for Erlang {
    fn drop(&mut self) {
        // The end of its input ends it, and its second node with it.
        self.to = None;
        if let Err(error) = self.child.wait() {
            eprintln!("Erlang/OTP in {} did not end: {error}", self.room.folder.display());
        }
    }
}
