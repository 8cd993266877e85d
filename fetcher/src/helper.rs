//! The process that fetches one file. It is told on standard input what to do, becomes the task's user before it opens anything,
//! and is gone when its agent is: then standard input ends. What it says for people goes to standard error, which is the
//! sandbox's.

mod hadoop;
mod sandbox;
mod source;
mod unpack;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid, getpgrp, getpid, initgroups, setgid, setuid};

use crate::order::{From, LINE_BYTES_MAX, Order, Said, To, Told};
use sandbox::Folder;

/// How often it is said for people how much is there.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether anything came. A stall is seen so much later at most.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Bytes that are moved at a time.
const CHUNK: usize = 256 << 10;
/// The first room that is wanted in the cache for a file that does not say how long it is; then twice as much each time.
const FIRST_ROOM: u64 = 256 << 10;

/// Why there is no file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// In words, without the address.
    Words(String),
    /// It has no room in the cache.
    NoRoom,
}

impl std::convert::From<String> for Failure {
    fn from(words: String) -> Self {
        Self::Words(words)
    }
}

/// The whole process.
pub fn main() -> ExitCode {
    let done = Agent::of_stdin().and_then(|(agent, order)| {
        agent.watch(&order);
        let done = fetch(&order, &agent);
        agent.end(&order, done)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!(
                "fetch: what an agent starts with an order on standard input: {error}"
            ));
            end_all()
        }
    }
}

/// Ends this process with all that it has started, which is in its group.
fn end_all() -> ! {
    if getpgrp() == getpid() {
        let _ = kill(Pid::from_raw(0), Signal::SIGKILL);
    }
    std::process::exit(1)
}

/// Standard error is the sandbox's, where a task's author looks.
fn complain(words: &str) {
    // There is nobody else to tell.
    let _ = writeln!(io::stderr(), "airside: {words}");
}

/// The agent, on the other end of standard input.
struct Agent {
    says: Mutex<UnixStream>,
    told: Receiver<Told>,
    moved: Arc<Moved>,
}

/// How many bytes were read and written so far: as long as that grows, something happens.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    bytes: AtomicU64,
    /// Of the file itself, for people.
    came: AtomicU64,
    length: AtomicU64,
}

impl Moved {
    fn more(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So much is there by now that somebody else brings.
    fn brought(&self, bytes: u64) {
        let before = self.came.swap(bytes, Ordering::Relaxed);
        if bytes != before {
            self.more(1);
        }
    }
}

impl Agent {
    /// With the order, which is the first line.
    fn of_stdin() -> io::Result<(Self, Order)> {
        let stdin = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let says = Mutex::new(stdin.try_clone()?);
        let mut lines = BufReader::new(stdin);
        let order = line(&mut lines)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let (to_main, told) = channel();
        // Not before this process is the user that it is to be, which all its threads become.
        let agent = Self { says, told, moved: Arc::default() };
        if let Err(words) = become_user(&order) {
            agent.end(&order, Err(words.into()))?;
            return Err(io::Error::other("not as this user"));
        }
        std::thread::spawn(move || listen(lines, &to_main));
        Ok((agent, order))
    }

    fn say(&self, said: &Said) -> io::Result<()> {
        say(&self.says, said)
    }

    /// Waits until there is so much room.
    fn room(&self, bytes: u64) -> Result<(), Failure> {
        let asked = self.say(&Said::Wants(bytes));
        match asked.ok().and_then(|()| self.told.recv().ok()) {
            Some(Told::Room) => Ok(()),
            Some(Told::NoRoom) | None => Err(Failure::NoRoom),
        }
    }

    /// Ends the process when nothing comes for too long, wherever it may hang.
    fn watch(&self, order: &Order) {
        let (moved, order) = (Arc::clone(&self.moved), order.clone());
        let Ok(says) = self.says.lock().map(|says| says.try_clone()) else { return };
        std::thread::spawn(move || {
            if let Ok(says) = says.map(Mutex::new) {
                watch(&moved, &order, &says);
            }
        });
    }

    fn end(&self, order: &Order, done: Result<u64, Failure>) -> io::Result<()> {
        match done {
            Ok(bytes) => {
                if let To::Sandbox { name, .. } = &order.to {
                    complain(&format!("fetched '{}' as '{name}', {bytes} bytes", order.uri));
                }
                self.say(&Said::Done(bytes))
            }
            Err(Failure::NoRoom) => self.say(&Said::NoRoom),
            Err(Failure::Words(words)) => {
                complain(&format!("cannot fetch '{}': {words}", order.uri));
                self.say(&Said::Failed(words))
            }
        }
    }
}

fn say(to: &Mutex<UnixStream>, said: &Said) -> io::Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    to.lock().map_err(|_| io::ErrorKind::BrokenPipe)?.write_all(&line)
}

fn line<T: serde::de::DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut bytes = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// Until the agent is gone, or ends this by going.
fn listen(mut lines: BufReader<UnixStream>, to_main: &Sender<Told>) {
    while let Ok(Some(told)) = line(&mut lines) {
        if to_main.send(told).is_err() {
            break;
        }
    }
    end_all();
}

fn watch(moved: &Moved, order: &Order, says: &Mutex<UnixStream>) {
    // Nobody sends anything: it is a clock.
    let (_never, clock) = channel::<()>();
    let (mut seen, mut since, mut said) = (0, Instant::now(), Instant::now());
    while let Err(RecvTimeoutError::Timeout) = clock.recv_timeout(LOOK_EVERY) {
        let now = Instant::now();
        let bytes = moved.bytes.load(Ordering::Relaxed);
        if bytes != seen {
            (seen, since) = (bytes, now);
        } else if !order.stall.is_zero() && now - since >= order.stall {
            let words = format!(
                "nothing came for {:?}, so it is given up (--fetcher_stall_timeout)",
                order.stall
            );
            complain(&format!("cannot fetch '{}': {words}", order.uri));
            // If the agent does not hear it, it sees the end.
            let _ = say(says, &Said::Failed(words));
            end_all();
        }
        if now - said >= SAY_EVERY {
            said = now;
            let came = moved.came.load(Ordering::Relaxed);
            let of = match moved.length.load(Ordering::Relaxed) {
                0 => String::new(),
                length => format!(" of {length}"),
            };
            complain(&format!("fetching '{}': {came}{of} bytes so far", order.uri));
        }
    }
}

/// What this process may not do afterwards, the task's user may not.
fn become_user(order: &Order) -> Result<(), String> {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    nix::sys::prctl::set_no_new_privs().map_err(|error| format!("give up privileges: {error}"))?;
    let Some(name) = &order.user else { return Ok(()) };
    let bad = |what: &str, error: nix::Error| format!("as user '{name}': {what}: {error}");
    let user = User::from_name(name)
        .map_err(|error| bad("look the user up", error))?
        .ok_or_else(|| format!("user '{name}' is unknown on the agent"))?;
    if user.uid == geteuid() {
        return Ok(());
    }
    let c_name = std::ffi::CString::new(name.as_bytes()).map_err(|error| error.to_string())?;
    initgroups(&c_name, user.gid).map_err(|error| bad("initgroups", error))?;
    setgid(user.gid).map_err(|error| bad("setgid", error))?;
    setuid(user.uid).map_err(|error| bad("setuid", error))
}

/// How many bytes came.
fn fetch(order: &Order, agent: &Agent) -> Result<u64, Failure> {
    let given = || {
        let file = io::stdout().as_fd().try_clone_to_owned().map(File::from);
        file.map_err(|error| Failure::Words(format!("use what the agent has opened: {error}")))
    };
    let mut input = match &order.from {
        From::Given => source::given(given()?)?,
        From::Source(source) => {
            complain(&format!("fetching '{}'", order.uri));
            source::open(source, order, &agent.moved)?
        }
    };
    agent.moved.more(1);
    agent.moved.length.store(input.length.unwrap_or(0), Ordering::Relaxed);
    let most = order.limits.bytes;
    if let Some(length) = input.length.filter(|length| *length > most) {
        return Err(format!("its {length} bytes are more than {most}").into());
    }
    let To::Sandbox { path, name, executable, unpack } = &order.to else {
        let room = |bytes| agent.room(bytes);
        return copy(&mut input, &mut given()?, most, &agent.moved, room);
    };
    let folder = Folder::open(path)?;
    let unpacking = |mut file: File, bytes: u64| -> Result<u64, Failure> {
        if let Some(unpack) = unpack {
            io::Seek::rewind(&mut file).map_err(|error| format!("read it again: {error}"))?;
            unpack::unpack(*unpack, file, name, &folder, order.limits, &agent.moved)?;
        }
        Ok(bytes)
    };
    if let (Some(file), Some(_)) = (&input.file, unpack)
        && order.from == From::Given
    {
        // What is kept already need not lie in the sandbox a second time.
        let file = file.try_clone().map_err(|error| format!("read it: {error}"))?;
        return unpacking(file, input.length.unwrap_or(0));
    }
    let mode = if *executable { 0o755 } else { 0o644 };
    let mut file = folder.create(name, mode)?;
    let bytes = copy(&mut input, &mut file, most, &agent.moved, |_| Ok(()))?;
    unpacking(file, bytes)
}

/// How many bytes it were. `room` is asked before more is written than it has said.
fn copy(
    from: &mut source::Input,
    to: &mut File,
    most: u64,
    moved: &Moved,
    room: impl Fn(u64) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut granted = from.length.unwrap_or(FIRST_ROOM);
    room(granted)?;
    let mut chunk = vec![0; CHUNK];
    let mut copied = 0_u64;
    loop {
        let read = from.reader.read(&mut chunk).map_err(|error| from.words(&error))?;
        if read == 0 {
            break;
        }
        moved.more(read);
        copied += read as u64;
        moved.came.store(copied, Ordering::Relaxed);
        if copied > most {
            return Err(format!("it is longer than {most} bytes").into());
        }
        if copied > granted {
            granted = (granted * 2).max(copied);
            room(granted)?;
        }
        to.write_all(&chunk[..read]).map_err(|error| format!("write it: {error}"))?;
    }
    if let Some(length) = from.length.filter(|length| from.is_exact && *length != copied) {
        return Err(format!("only {copied} of its {length} bytes came").into());
    }
    Ok(copied)
}
