//! Calls of the system, made as they are said: `attempt mount none /tmp tmpfs 0 0 , setns 3 0`. For tests of what a container keeps its
//! programs from. Says how each ended: `mount: EPERM`, or `mount: done` with what it returned.
#![expect(unsafe_code, reason = "the calls that an attacker makes are those that no library wraps")]
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::ffi::CString;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::libc;
use syscalls::Sysno;

/// For whatever a call reads or writes.
static mut MEMORY: [u64; 1024] = [0; 1024];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    for line in words.split(|word| word == ",") {
        let Some((name, arguments)) = line.split_first() else { continue };
        match attempt(name, arguments) {
            Some(Ok(value)) => println!("{name}: done, {value}"),
            Some(Err(errno)) => println!("{name}: {errno:?}"),
            None => println!("{name}: it is no call of this system"),
        }
    }
    ExitCode::SUCCESS
}

fn attempt(name: &str, arguments: &[String]) -> Option<Result<libc::c_long, Errno>> {
    let call: Sysno = name.parse().ok()?;
    let mut words = [0; 6];
    for (word, argument) in words.iter_mut().zip(arguments) {
        *word = value(argument);
    }
    let [a, b, c, d, e, f] = words;
    // SAFETY: whatever the kernel reads or writes is text that is never freed, or memory that nothing else uses.
    let value = unsafe { libc::syscall(libc::c_long::from(call.id()), a, b, c, d, e, f) };
    Some(if value == -1 { Err(Errno::last()) } else { Ok(value) })
}

/// A number, memory, or text.
fn value(argument: &str) -> u64 {
    let hexadecimal = argument.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16));
    match (argument.parse::<i64>(), hexadecimal) {
        (Ok(number), _) => number.cast_unsigned(),
        (_, Some(Ok(number))) => number,
        _ if argument == "memory" => (&raw mut MEMORY) as u64,
        _ => CString::new(argument).map_or(0, |text| text.into_raw() as u64),
    }
}
