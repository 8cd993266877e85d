//! What no safe library has yet: the calls of Linux by which a container is made. The only file of this crate with `unsafe`;
//! whoever calls these needs none.
#![expect(unsafe_code, reason = "calls that no library wraps; each says why it is sound")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::libc;
use nix::sched::CloneFlags;
use nix::unistd::Pid;

/// Where one finds oneself after [`clone()`].
#[derive(Debug)]
pub(crate) enum Cloned {
    /// In the new process.
    Child,
    /// In the one that asked.
    Parent {
        /// Its number, as seen here.
        process: Pid,
        /// Ready to be read once it is gone; never another's, however numbers are used again.
        handle: OwnedFd,
    },
}

/// As the kernel's `struct clone_args`, of which more words may follow.
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A copy of this process in new namespaces, and in a control group of the second version if one is given. Its handle is
/// there before it runs, so that none that ends at once is lost.
///
/// For processes with one thread: in the copy, locks that another thread held would stay held.
///
/// # Errors
/// The kernel's: `EPERM` without the right to make such namespaces, `ENOSPC` where there may be no more of them.
pub(crate) fn clone(namespaces: CloneFlags, group: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let mut handle: RawFd = -1;
    let mut arguments = CloneArguments {
        flags: CLONE_PIDFD | u64::from(namespaces.bits().cast_unsigned()),
        pidfd: (&raw mut handle) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArguments::default()
    };
    if let Some(group) = group {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::from(group.as_raw_fd().cast_unsigned());
    }
    // SAFETY: the structure is the kernel's, as long as is said, and outlives the call; memory is not shared with the copy,
    // which goes on with a stack and heap of its own. It has the one thread that called.
    let process =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<CloneArguments>()) };
    match process {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Cloned::Child),
        process => {
            // SAFETY: the kernel made it for this process, and nobody else knows it.
            let handle = unsafe { OwnedFd::from_raw_fd(handle) };
            let process = Pid::from_raw(i32::try_from(process).unwrap_or(i32::MAX));
            Ok(Cloned::Parent { process, handle })
        }
    }
}

/// What is changed of a mount, and of those below it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MountChange {
    /// `MOUNT_ATTR_…` that are to be set.
    pub(crate) set: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, or 0: as it was.
    pub(crate) propagation: u64,
    /// Also those below it.
    pub(crate) recursive: bool,
}

/// Nothing can be written through the mount.
pub(crate) const READ_ONLY: u64 = 0x1;
/// Devices cannot be opened.
pub(crate) const NO_DEVICES: u64 = 0x4;
/// Changes the mount that was opened.
///
/// # Errors
/// The kernel's: `ENOSYS` before Linux 5.12.
pub(crate) fn change_mount(mount: impl AsFd, change: MountChange) -> io::Result<()> {
    #[repr(C)]
    struct Attributes {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let MountChange { set, propagation, recursive } = change;
    let attributes = Attributes { set, clear: 0, propagation, user_namespace: 0 };
    let recursively = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: an empty path that ends, and a structure that is as long as is said; both outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursively,
            &raw const attributes,
            size_of::<Attributes>(),
        )
    };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Puts this process under a filter for good: one instruction of classic BPF in each word, as `struct sock_filter` has it.
///
/// # Errors
/// The kernel's: `EACCES` without `CAP_SYS_ADMIN`, unless no new privileges are to be had; `EINVAL` for a program that is none.
pub(crate) fn filter_calls(program: &[u64]) -> io::Result<()> {
    let instructions: Vec<libc::sock_filter> = program.iter().copied().map(instruction).collect();
    let length = u16::try_from(instructions.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: instructions.as_ptr().cast_mut() };
    // SAFETY: the kernel copies as many instructions as are said to be there.
    let done = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn instruction(word: u64) -> libc::sock_filter {
    let [c0, c1, jt, jf, k @ ..] = word.to_ne_bytes();
    libc::sock_filter { code: u16::from_ne_bytes([c0, c1]), jt, jf, k: u32::from_ne_bytes(k) }
}

/// Closes all descriptors of this process but those. For a copy that never returns to whoever owned the others.
pub(crate) fn close_all_but(kept: &[RawFd]) {
    let mut kept: Vec<u32> = kept.iter().map(|number| number.cast_unsigned()).collect();
    kept.sort_unstable();
    let mut from = 0;
    for number in kept {
        if number > from {
            close_range(from, number - 1);
        }
        from = number + 1;
    }
    close_range(from, u32::MAX);
}

fn close_range(from: u32, to: u32) {
    // SAFETY: what owned them is never used again; that is what the caller promises.
    unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
}

/// Makes `number` another name of the file, which the next program inherits.
///
/// # Errors
/// The kernel's.
pub(crate) fn inherit_as(file: impl AsFd, number: RawFd) -> io::Result<()> {
    // SAFETY: numbers 0 to 2, for which this is, are owned by nobody.
    let done = unsafe { libc::dup2(file.as_fd().as_raw_fd(), number) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Ends this process at once: nothing that was to happen at its end does, for it belongs to the process of which this is a copy.
pub(crate) fn end(code: u8) -> ! {
    // SAFETY: it never returns, so nothing is used afterwards.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Starts the loopback device of this process's network.
///
/// # Errors
/// The kernel's: `EPERM` where the network is not one's own.
pub(crate) fn start_loopback() -> io::Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: all zeros is such a structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(0);
    // SAFETY: the structure is the one that this call takes, and outlives it.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Signals are handled by nobody: as a new program is to find them, whatever this one ignores.
pub(crate) fn default_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: nothing of this process runs when one comes. It fails for those that cannot be changed.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// The system buries this process's children; nobody is told of their end.
///
/// # Errors
/// The kernel's.
pub(crate) fn ignore_children() -> io::Result<()> {
    // SAFETY: nothing is called when one comes.
    let before = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Becomes the program. The file is looked up as it is given: no search.
///
/// # Errors
/// The kernel's; there is no other way back.
pub(crate) fn execute(
    program: &CStr,
    arguments: &[std::ffi::CString],
    environment: &[std::ffi::CString],
) -> io::Error {
    match nix::unistd::execve(program, arguments, environment) {
        Ok(never) => match never {},
        Err(error) => error.into(),
    }
}

/// Whether this process, which has one thread, may make a namespace of users. Tried by a copy that ends at once.
pub(crate) fn may_make_user_namespace() -> bool {
    match clone(CloneFlags::CLONE_NEWUSER, None) {
        Ok(Cloned::Child) => end(0),
        Ok(Cloned::Parent { process, .. }) => {
            // A launcher's children are buried by the system, which is as good.
            let _ = nix::sys::wait::waitpid(process, None);
            true
        }
        Err(_) => false,
    }
}
