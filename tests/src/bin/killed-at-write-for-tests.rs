//! Runs a program and kills it where a story says: just before or just after the nth time that it changes what is on the disk
//! below a folder. It watches the system calls, so the program needs no failpoints, and whatever it comes to write has one.
//!
//! `killed-at-write-for-tests FOLDER N PROGRAM ARGUMENT…`: before the first change is 1, after it 2, and so on. Says on stderr
//! where it killed. Threads are watched, processes that the program starts are not.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, read_link, read_to_string};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// What nodes record of flows is written all the time, and nothing depends on it.
const RECORDING: &str = "flow.ring";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), Some(at)) = (arguments.next(), arguments.next()) else {
        eprintln!("killed-at-write-for-tests FOLDER N PROGRAM ARGUMENT…");
        return ExitCode::from(2);
    };
    let at = at.to_str().and_then(|at| at.parse().ok()).unwrap_or(0);
    match run(&PathBuf::from(folder), at, arguments.collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cannot trace: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(folder: &Path, at: usize, program: Vec<OsString>) -> io::Result<ExitCode> {
    // It waits for us before its first instruction.
    let line = "kill -STOP $$; exec \"$0\" \"$@\"";
    let child = Command::new("/bin/sh").arg("-c").arg(line).args(program).spawn()?;
    let child = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    waitpid(child, Some(WaitPidFlag::WUNTRACED))?;
    let options =
        Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
    ptrace::seize(child, options)?;
    kill(child, Signal::SIGCONT)?;
    let mut watch = Watch { folder: folder.to_owned(), at, seen: 0, inside: BTreeMap::new() };
    loop {
        let thread = match waitpid(None, Some(WaitPidFlag::__WALL))? {
            WaitStatus::PtraceSyscall(thread) => {
                if let Some(what) = watch.is_reached(thread) {
                    kill(child, Signal::SIGKILL)?;
                    eprintln!("killed {what}");
                }
                Some((thread, None))
            }
            WaitStatus::PtraceEvent(thread, ..) => Some((thread, None)),
            WaitStatus::Stopped(thread, signal) => Some((thread, Some(signal))),
            WaitStatus::Exited(ended, code) if ended == child => {
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
            }
            WaitStatus::Signaled(ended, ..) if ended == child => return Ok(ExitCode::from(137)),
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => None,
            WaitStatus::Continued(_) | WaitStatus::StillAlive => None,
        };
        if let Some((thread, signal)) = thread {
            // It may have been killed in between.
            let _ = ptrace::syscall(thread, signal);
        }
    }
}

struct Watch {
    folder: PathBuf,
    at: usize,
    /// Boundaries so far.
    seen: usize,
    /// Threads that are inside a system call, and what they change by it.
    inside: BTreeMap<Pid, Option<String>>,
}

impl Watch {
    /// A thread begins or ends a system call. What it does, if it is to be killed here.
    fn is_reached(&mut self, thread: Pid) -> Option<String> {
        let (place, what) = match self.inside.remove(&thread) {
            Some(what) => ("after", what?),
            None => {
                let what = change(thread, &self.folder);
                self.inside.insert(thread, what.clone());
                ("before", what?)
            }
        };
        self.seen += 1;
        (self.seen == self.at).then(|| format!("{place} {what}"))
    }
}

/// What the system call that a thread has begun changes below the folder.
fn change(thread: Pid, folder: &Path) -> Option<String> {
    let line = read_to_string(format!("/proc/{thread}/syscall")).ok()?;
    let mut words = line.split_whitespace();
    let number: i64 = words.next()?.parse().ok()?;
    let words =
        words.filter_map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok());
    let arguments: Vec<u64> = words.collect();
    let (name, path) = named(thread, number, &arguments)?;
    let below = path.strip_prefix(folder).ok()?;
    let file = below.display().to_string();
    (!file.ends_with(RECORDING)).then(|| format!("{name} {file}"))
}

fn named(thread: Pid, number: i64, arguments: &[u64]) -> Option<(&'static str, PathBuf)> {
    let by_descriptor = |name| Some((name, opened(thread, *arguments.first()?)?));
    let by_path = |name, at: usize| {
        let path = text(thread, *arguments.get(at)?)?;
        Some((
            name,
            if path.is_absolute() { path } else { opened(thread, arguments[0])?.join(path) },
        ))
    };
    match number {
        libc::SYS_write => by_descriptor("write"),
        libc::SYS_pwrite64 => by_descriptor("pwrite"),
        libc::SYS_writev => by_descriptor("writev"),
        libc::SYS_ftruncate => by_descriptor("ftruncate"),
        libc::SYS_fallocate => by_descriptor("fallocate"),
        libc::SYS_fsync => by_descriptor("fsync"),
        libc::SYS_fdatasync => by_descriptor("fdatasync"),
        libc::SYS_openat => {
            let makes = *arguments.get(2)? & u64::from(libc::O_CREAT.cast_unsigned()) != 0;
            if makes { by_path("open", 1) } else { None }
        }
        libc::SYS_mkdirat => by_path("mkdir", 1),
        libc::SYS_unlinkat => by_path("unlink", 1),
        libc::SYS_renameat | libc::SYS_renameat2 => by_path("rename", 1),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_mkdir => by_path("mkdir", 0),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_unlink => by_path("unlink", 0),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rmdir => by_path("rmdir", 0),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rename => by_path("rename", 0),
        _ => None,
    }
}

fn opened(thread: Pid, descriptor: u64) -> Option<PathBuf> {
    read_link(format!("/proc/{thread}/fd/{descriptor}")).ok()
}

/// A path in the program's memory.
fn text(thread: Pid, at: u64) -> Option<PathBuf> {
    let memory = File::open(format!("/proc/{thread}/mem")).ok()?;
    let mut bytes = Vec::new();
    let mut byte = [0];
    while bytes.len() < 4096 {
        memory.read_exact_at(&mut byte, at + bytes.len() as u64).ok()?;
        if byte == [0] {
            return Some(PathBuf::from(OsString::from_vec(bytes)));
        }
        bytes.push(byte[0]);
    }
    None
}
