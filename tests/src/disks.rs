//! Disks of a few megabytes, in memory, mounted where only the story that uses them sees them.

use std::io::ErrorKind;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::skipped;

/// Runs a story on a thread whose mounts nobody else sees, and that are gone with it and all that it started: a folder in
/// which something is mounted can only be removed then. Nothing if this user may not mount.
pub fn with_own_mounts<T: Send + 'static>(story: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if !nix::unistd::geteuid().is_root() {
        skipped("only root may mount");
        return None;
    }
    let thread = std::thread::spawn(|| {
        match unshare(CloneFlags::CLONE_NEWNS) {
            // A container's root may not be everything.
            Err(Errno::EPERM) => return None,
            other => other.expect("a thread can have mounts of its own"),
        }
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .expect("mounts can be made private");
        Some(story())
    });
    match thread.join() {
        Ok(Some(told)) => Some(told),
        Ok(None) => {
            skipped("this root may not have mounts of its own");
            None
        }
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A disk of so many megabytes.
pub fn small_disk(at: &Path, megabytes: u32, flags: MsFlags) {
    let options = format!("size={megabytes}m,mode=755");
    mount(Some("none"), at, Some("tmpfs"), flags, Some(&*options)).expect("root may mount");
}

/// Fills the disk on which this file is, to the last byte, by making it larger.
pub fn fill(file: &Path) {
    let mut filler = std::fs::File::options().append(true).create(true).open(file);
    let filler = filler.as_mut().expect("a file can be made");
    let mut size = 64 << 10;
    while size > 0 {
        match std::io::Write::write(filler, &vec![b'x'; size]) {
            Ok(written) => assert!(written > 0, "a disk takes something or says that it is full"),
            Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
            Err(error) => panic!("{}: {error}", file.display()),
        }
    }
}
