//! The file that a container's processes are copied from. Until its program is there, each is this very program, and whoever chose
//! the image may name that as what is to run (`/proc/self/exe`): with libraries of the image's it runs their code, and
//! has the host's own program in hand. So whoever starts containers is run from a mount of its file through which nothing is written.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::unistd::geteuid;
use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags};

use crate::confinement::mounts::copy_of;
use crate::system::{self, MountChange, READ_ONLY};

/// What this process is run from.
const OWN: &str = "/proc/self/exe";

/// Starts this program once more if it could be written by what it starts: the first that `main` does, before there are threads or
/// anything was taken from the environment. Open files that a child inherits are still there.
///
/// # Errors
/// The kernel's.
pub fn begin() -> io::Result<()> {
    if !may_be_written()? {
        // The kernel named this process after a number.
        return Ok(named()?);
    }
    let own = match read_only() {
        Ok(own) => own,
        // Without the right to mount, or from a mount that is nobody's.
        Err(error)
            if [io::ErrorKind::PermissionDenied, io::ErrorKind::InvalidInput]
                .contains(&error.kind()) =>
        {
            sealed()?
        }
        Err(error) => return Err(error),
    };
    let program = format!("/proc/self/fd/{}", own.as_raw_fd());
    let arguments = words(std::env::args_os())?;
    let environment = words(std::env::vars_os().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        name
    }))?;
    Err(system::execute(&CString::new(program)?, &arguments, &environment))
}

/// By root of a container of this user's, which is this user at most.
fn may_be_written() -> io::Result<bool> {
    let own = rustix::fs::open(OWN, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let read_only = rustix::fs::fstatvfs(&own)?.f_flag.contains(StatVfsMountFlags::RDONLY);
    let is_mine = geteuid().is_root() || std::fs::metadata(OWN)?.uid() == geteuid().as_raw();
    Ok(!read_only && !is_sealed()? && is_mine)
}

fn is_sealed() -> io::Result<bool> {
    match fcntl(File::open(OWN)?, FcntlArg::F_GET_SEALS) {
        Ok(seals) => Ok(SealFlag::from_bits_truncate(seals).contains(SealFlag::F_SEAL_WRITE)),
        // A file of a disk's has none.
        Err(nix::errno::Errno::EINVAL) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn read_only() -> io::Result<OwnedFd> {
    let made = copy_of(CWD, Path::new(OWN))?;
    system::change_mount(&made, MountChange { set: READ_ONLY, ..MountChange::default() })?;
    Ok(made)
}

fn sealed() -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut copy = File::from(memfd_create("airside", flags)?);
    io::copy(&mut File::open(OWN)?, &mut copy)?;
    copy.flush()?;
    let all = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    fcntl(&copy, FcntlArg::F_ADD_SEALS(all | SealFlag::F_SEAL_SEAL))?;
    // Nothing may have it open for writing when it is run.
    Ok(File::open(format!("/proc/self/fd/{}", copy.as_raw_fd()))?.into())
}

fn named() -> nix::Result<()> {
    let program = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or_default().to_owned();
    prctl::set_name(&CString::new(name.into_vec()).unwrap_or_default())
}

fn words(words: impl Iterator<Item = OsString>) -> io::Result<Vec<CString>> {
    words.map(|word| Ok(CString::new(word.into_vec())?)).collect()
}
