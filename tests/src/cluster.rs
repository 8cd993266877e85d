//! Clusters for stories: real processes of the real binary in folders of their own, ports that are free, deadlines instead
//! of sleeps, and everything that was said printed when a story fails.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// More than anything here takes, even on a busy machine; a story that waits so long has failed.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The `airside` binary: the one that `STORIES_PROGRAM` names, as `cargo xtask test` does which has built everything;
/// else built once by whoever asks first, with the profile of the test that asks.
pub fn airside() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(program) = std::env::var_os("STORIES_PROGRAM") {
            return PathBuf::from(program);
        }
        let test = std::env::current_exe().expect("a test knows its own file");
        let profile = test.ancestors().nth(2).expect("tests live in <profile>/deps");
        let mut build = Command::new(option_env!("CARGO").unwrap_or("cargo"));
        build.args(["build", "--quiet", "--package", "cli", "--target-dir"]);
        build.arg(profile.parent().expect("a profile's folder is in the target folder"));
        if profile.ends_with("release") {
            build.arg("--release");
        }
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        let status = build.status().expect("cargo runs, since it runs this test");
        assert!(status.success(), "cargo build --package cli failed");
        profile.join("airside")
    })
}

/// So many bytes of what a process said last are printed when a story fails.
const SAID_MAX: usize = 1 << 16;

/// A process that a story started. Killed when the story ends.
pub struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    /// What it said so far on stdout and stderr, in the order of arrival.
    pub said: Vec<String>,
}

impl Process {
    /// Starts it; its stdin stays open until [`Process::close_stdin`].
    pub fn start(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (say, lines) = channel();
        let pipes: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
            child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        ];
        for pipe in pipes.into_iter().flatten() {
            let say = say.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    if say.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Self { name: name.into(), child, lines, said: Vec::new() }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that holds `words`, and returns it.
    #[track_caller]
    pub fn says(&mut self, words: &str) -> String {
        if let Some(line) = self.said.iter().find(|line| line.contains(words)) {
            return line.clone();
        }
        let until = Instant::now() + DEADLINE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{} never said '{words}', but:\n{}", self.name, self.said.join("\n"))
                }
            }
        }
    }

    /// All that it said so far.
    pub fn said_so_far(&mut self) -> String {
        self.said.extend(self.lines.try_iter());
        self.said.join("\n")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        signal_process(self.id(), signal);
    }

    /// Ends its stdin.
    pub fn close_stdin(&mut self) {
        self.child.stdin.take();
    }

    /// Waits until it has ended and returns how; what it said is complete then.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually(&format!("{} ends", self.name), || {
            status = self.child.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        let until = Instant::now() + DEADLINE;
        while let Ok(line) =
            self.lines.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            self.said.push(line);
        }
        status.expect("it was waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A story that failed leaves nothing behind; what has ended already needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = self.said_so_far();
            let told = said.len().saturating_sub(SAID_MAX);
            eprintln!("--- {} said\n{}", self.name, &said[said.ceil_char_boundary(told)..]);
        }
    }
}

/// Sends a signal to a process that may be gone.
pub fn signal_process(process: u32, signal: Signal) {
    // It may have ended in between.
    let _ = kill(Pid::from_raw(i32::try_from(process).expect("process ids fit")), signal);
}

/// Waits until something is so.
#[track_caller]
pub fn eventually(what: &str, so: impl FnMut() -> bool) {
    assert!(happens_by(Instant::now() + DEADLINE, so), "not within {DEADLINE:?}: {what}");
}

/// Whether something is so in time. A last look that began in time and ended later is late.
pub fn happens_by(until: Instant, mut so: impl FnMut() -> bool) -> bool {
    loop {
        let is_so = so();
        if is_so || Instant::now() >= until {
            return is_so && Instant::now() < until;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// What a node answers to a GET, head and all.
pub fn page(at: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// All it wrote to stdout.
    pub stdout: String,
    /// All it wrote to stderr.
    pub stderr: String,
}

/// A home of its own for one story: its cache folder, its work dirs, its processes.
pub struct Home {
    dir: TempDir,
}

impl Home {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "making a folder is no default")]
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder can be made") }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `airside …`, as a user whose home this is would call it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(airside(), arguments)
    }

    /// The same of another version of the program.
    pub fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("XDG_CACHE_HOME", self.path("cache"));
        command.env("TMPDIR", self.dir.path()).current_dir(self.dir.path());
        for name in ["AIRSIDE_MASTER", "AIRSIDE_CLUSTER_SECRET_FILE", "MESOS_MASTER"] {
            command.env_remove(name);
        }
        command
    }

    /// A folder in it, as the flag of a process whose own it is.
    pub fn work_dir(&self, name: &str) -> String {
        format!("--work-dir={}", self.path(name).display())
    }

    /// Starts a master that leads, on a port that is free unless a flag says which, and returns it with its address.
    #[track_caller]
    pub fn master(&self, flags: &[&str]) -> (Process, String) {
        let work_dir = self.work_dir("m");
        let port = (!flags.iter().any(|flag| flag.starts_with("--port="))).then_some("--port=0");
        let line = [&["master", &work_dir][..], port.as_slice(), flags].concat();
        let mut master = Process::start("master", &mut self.command(&line));
        let at = master.says("master@").trim_start_matches("master@").to_owned();
        (master, at)
    }

    /// Runs `airside …` to its end.
    #[track_caller]
    pub fn airside(&self, arguments: &[&str]) -> Outcome {
        self.run(&mut self.command(arguments))
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run(&self, command: &mut Command) -> Outcome {
        let output = command.stdin(Stdio::null()).output().expect("the binary starts");
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Processes of this home that live: process number and command line.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let ours = self.dir.path();
        let mut found = Vec::new();
        for process in procfs::process::all_processes().into_iter().flatten().flatten() {
            let (Ok(number), Ok(words)) = (u32::try_from(process.pid), process.cmdline()) else {
                continue;
            };
            let line = words.join(" ");
            let environment = process.environ().unwrap_or_default();
            let names_ours = |value: &std::ffi::OsString| Path::new(value).starts_with(ours);
            let by_environment = ["XDG_CACHE_HOME", "AIRSIDE_SANDBOX"]
                .iter()
                .any(|name| environment.get(std::ffi::OsStr::new(name)).is_some_and(names_ours));
            // A process that has ended and was not yet reaped has neither command line nor environment.
            if by_environment || line.contains(&ours.display().to_string()) {
                found.push((number, line));
            }
        }
        found
    }

    /// The living processes of this home that are `airside <command>`.
    pub fn processes_of(&self, command: &str) -> Vec<u32> {
        let is = |line: &str| line.split(' ').nth(1) == Some(command);
        self.processes().into_iter().filter(|(_, line)| is(line)).map(|(id, _)| id).collect()
    }

    /// Waits until no process of this home lives.
    #[track_caller]
    pub fn is_quiet(&self) {
        let mut left = Vec::new();
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            left = self.processes();
            if left.is_empty() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("processes are left: {left:#?}");
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        // What is killed may just have started something, which is seen by the next look.
        happens_by(Instant::now() + Duration::from_secs(5), || {
            let left = self.processes();
            left.iter().for_each(|(process, _)| signal_process(*process, Signal::SIGKILL));
            left.is_empty()
        });
    }
}

impl Home {
    fn print_logs(&self) {
        let mut folders = vec![self.dir.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "log") {
                    let text = std::fs::read_to_string(&path).unwrap_or_default();
                    eprintln!("--- {}\n{text}", path.display());
                }
            }
        }
    }
}

/// A cluster that `airside up` holds.
pub struct TestCluster {
    /// Where it lives, and how to call `airside` against it.
    pub home: Home,
    /// The process of `up`.
    pub up: Process,
}

impl TestCluster {
    /// Starts one and waits until it is ready.
    #[track_caller]
    pub fn up(agents: u16) -> Self {
        let home = Home::new();
        let agents = agents.to_string();
        let work_dir = home.path("work");
        let mut command = home.command(&["up", "--port", "0", "--agents", &agents, "--log"]);
        command.arg("debug").arg("--work-dir").arg(&work_dir);
        let mut up = Process::start("up", &mut command);
        up.says("Next: ");
        Self { home, up }
    }

    /// Runs `airside …` against it.
    #[track_caller]
    pub fn airside(&self, arguments: &[&str]) -> Outcome {
        self.home.airside(arguments)
    }
}
