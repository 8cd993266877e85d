//! The straight path: what has to be done at the least, in the order in which it is done, without any care for errors that leave something.
#![expect(unsafe_code, reason = "it is what is measured against: nothing but the system's calls")]

use std::error::Error;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, clone};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{chdir, execv, pipe, pivot_root, read, write};

use crate::place::{GROUPS, Place, TREES};

const STACK_BYTES: usize = 256 << 10;

fn group(tree: &str) -> String {
    format!("/sys/fs/cgroup/{tree}/{GROUPS}/straight")
}

fn make_groups() -> Result<(), Box<dyn Error>> {
    for tree in TREES {
        fs::create_dir_all(group(tree))?;
    }
    let values = [
        ("cpu", "cpu.shares", "512"),
        ("cpu", "cpu.cfs_quota_us", "50000"),
        ("memory", "memory.limit_in_bytes", "67108864"),
        ("memory", "memory.soft_limit_in_bytes", "67108864"),
        ("pids", "pids.max", "100"),
    ];
    for (tree, file, value) in values {
        fs::write(format!("{}/{file}", group(tree)), value)?;
    }
    Ok(())
}

fn join_groups(process: i32) -> Result<(), Box<dyn Error>> {
    for tree in TREES {
        fs::write(format!("{}/cgroup.procs", group(tree)), process.to_string())?;
    }
    Ok(())
}

fn remove_groups() -> Result<(), Box<dyn Error>> {
    for tree in TREES {
        fs::remove_dir(group(tree))?;
    }
    Ok(())
}

pub(crate) fn container(place: &Place) -> Result<(), Box<dyn Error>> {
    let at = place.path().join("straight");
    for folder in ["upper", "work", "merged"] {
        fs::create_dir_all(at.join(folder))?;
    }
    make_groups()?;
    let (gate, go) = pipe()?;
    let root = place.root();
    let setup = || -> nix::Result<()> {
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        let shown = |folder: &str| at.join(folder).display().to_string();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            root.display(),
            shown("upper"),
            shown("work")
        );
        mount(
            Some("overlay"),
            &at.join("merged"),
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        )?;
        chdir(&at.join("merged"))?;
        pivot_root(".", ".")?;
        umount2(".", MntFlags::MNT_DETACH)?;
        mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none)?;
        read(&gate, &mut [0])?;
        execv(c"/bin/true", &[c"/bin/true"]).map(|never| match never {})
    };
    let mut stack = vec![0; STACK_BYTES];
    let flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWNET;
    let child = Box::new(|| setup().map_or(1, |()| 0));
    // SAFETY: memory is not shared, and there is one thread.
    let process = unsafe { clone(child, &mut stack, flags, Some(libc::SIGCHLD)) }?;
    join_groups(process.as_raw())?;
    write(&go, b"g")?;
    let ended = waitpid(process, None)?;
    remove_groups()?;
    fs::remove_dir_all(&at)?;
    if let WaitStatus::Exited(_, 0) = ended { Ok(()) } else { Err(format!("{ended:?}").into()) }
}

/// The standard library's, which is `posix_spawn`, in the same groups.
pub(crate) fn spawn(place: &Place) -> Result<(), Box<dyn Error>> {
    make_groups()?;
    let program = CString::new(place.root().join("bin/true").as_os_str().as_bytes())?;
    let mut command = Command::new(program.to_str()?);
    let mut child = command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    join_groups(i32::try_from(child.id())?)?;
    let ended = child.wait()?;
    remove_groups()?;
    if ended.success() { Ok(()) } else { Err(format!("{ended}").into()) }
}
