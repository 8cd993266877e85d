//! Programs of device rules, given to the kernel: the one system call of this crate that no library of ours has. A program
//! stays attached for as long as the group is there, whoever attached it; that is why it is no *link* of the kernel's, which
//! ends with its holder: rules outlast the agent.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;

use super::error::CgroupError;
use super::files;
use super::group::Group;
use super::logic::controller::Controller;
use super::logic::devices::Rule;
use super::logic::program::{Instruction, RULES_MAX, program};

// From `linux/bpf.h`.
const PROG_LOAD: libc::c_long = 5;
const PROG_ATTACH: libc::c_long = 8;
const PROG_DETACH: libc::c_long = 9;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const PROG_QUERY: libc::c_long = 16;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// Those of the groups above stay in force too, so that a nested container is not freer than its parent.
const ALLOW_MULTI: u32 = 2;

/// Programs that a group has at once: ours, and those that whoever else uses it attached.
const ATTACHED_MAX: u32 = 64;

/// Lets the processes of a group, and of all in it, use these devices and no others. What was in force before it is in force
/// until then, so that nothing is allowed for a moment that neither allows.
pub(super) fn restrict(group: &Group, rules: &[Rule]) -> Result<(), CgroupError> {
    let failed = |what: &'static str| {
        move |source| CgroupError::Program { what, group: group.path.clone(), source }
    };
    if rules.len() > RULES_MAX {
        return Err(failed("make")(Errno::E2BIG));
    }
    let tree = group.hierarchies.needed(Controller::Devices)?;
    let folder = files::open_folder(tree, group.path.as_str()).map_err(failed("find"))?;
    let before = attached(&folder).map_err(failed("look for"))?;
    let loaded = load(&program(rules)).map_err(failed("load"))?;
    attach(&folder, &loaded).map_err(failed("attach"))?;
    before.iter().try_for_each(|number| detach(&folder, *number)).map_err(failed("detach"))
}

#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replaced: u32,
}

#[repr(C)]
#[derive(Default)]
struct Query {
    target: u32,
    kind: u32,
    query_flags: u32,
    attach_flags: u32,
    numbers: u64,
    count: u32,
    unused: u32,
}

#[repr(C)]
#[derive(Default)]
struct ById {
    number: u32,
    next: u32,
    flags: u32,
}

fn load(program: &[Instruction]) -> Result<OwnedFd, Errno> {
    let mut load = Load {
        kind: TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(program.len()).map_err(|_| Errno::E2BIG)?,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        ..Load::default()
    };
    load.name[..14].copy_from_slice(b"airside_device");
    call_for_fd(PROG_LOAD, &mut load)
}

fn attach(folder: &OwnedFd, program: &OwnedFd) -> Result<(), Errno> {
    let mut attach = Attach {
        target: number(folder),
        program: number(program),
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI,
        ..Attach::default()
    };
    call(PROG_ATTACH, &mut attach).map(drop)
}

/// The kernel's numbers of what is attached to this very group.
fn attached(folder: &OwnedFd) -> Result<Vec<u32>, Errno> {
    let mut numbers = [0_u32; ATTACHED_MAX as usize];
    let mut query = Query {
        target: number(folder),
        kind: ATTACH_CGROUP_DEVICE,
        numbers: numbers.as_mut_ptr() as u64,
        count: ATTACHED_MAX,
        ..Query::default()
    };
    call(PROG_QUERY, &mut query)?;
    Ok(numbers.into_iter().take(query.count as usize).collect())
}

fn detach(folder: &OwnedFd, number_of_program: u32) -> Result<(), Errno> {
    let mut by_id = ById { number: number_of_program, ..ById::default() };
    let program = match call_for_fd(PROG_GET_FD_BY_ID, &mut by_id) {
        Ok(program) => program,
        Err(Errno::ENOENT) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut attach = Attach {
        target: number(folder),
        program: number(&program),
        kind: ATTACH_CGROUP_DEVICE,
        ..Attach::default()
    };
    call(PROG_DETACH, &mut attach).map(drop)
}

/// That of an open file is never negative.
fn number(file: &OwnedFd) -> u32 {
    file.as_fd().as_raw_fd().unsigned_abs()
}

fn call_for_fd<T>(command: libc::c_long, attributes: &mut T) -> Result<OwnedFd, Errno> {
    let number = call(command, attributes)?;
    let number = i32::try_from(number).map_err(|_| Errno::EBADF)?;
    #[allow(
        unsafe_code,
        reason = "the kernel has just made this descriptor for us: nobody else has it"
    )]
    // SAFETY: these two commands answer with a new descriptor, close-on-exec, which nothing else owns.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    Ok(owned)
}

fn call<T>(command: libc::c_long, attributes: &mut T) -> Result<libc::c_long, Errno> {
    let attributes = std::ptr::from_mut(attributes);
    #[allow(
        unsafe_code,
        reason = "bpf(2) is in no library of ours: aya's links end with the agent"
    )]
    // SAFETY: `T` is one of the structures above, which begin as the kernel's `union bpf_attr` does for the command; what they
    // point to (instructions, a text, room for numbers of the length that they say) lives in the caller's frame.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    Errno::result(answer)
}
