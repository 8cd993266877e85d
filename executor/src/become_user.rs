//! Becoming a user with all its groups. The standard library can set a child's user and group, but drops the groups that
//! the user has beside; so for such users the executor starts itself once more, as itself, and that process takes the
//! groups on, then the user, then becomes the program.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::unistd::{User, execvpe, getgrouplist, initgroups, setgid, setuid};

use crate::complain;

/// Whom to become; its presence says that this process is for that alone.
const ENV_USER: &str = "AIRSIDE_EXECUTOR_BECOMES";
/// What to become: the program and its arguments, in hexadecimal, separated by commas.
const ENV_ARGUMENTS: &str = "AIRSIDE_EXECUTOR_BECOMES_ARGUMENTS";

/// The status by which shells say that a command was not found, or could not be executed.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// Whether the user belongs to more groups than its own.
pub(crate) fn needs_groups(user: &User) -> bool {
    let Ok(name) = CString::new(user.name.as_bytes()) else {
        return false;
    };
    getgrouplist(&name, user.gid).is_ok_and(|groups| groups.iter().any(|group| *group != user.gid))
}

/// Puts the second start between the executor and the command.
pub(crate) fn wrap(command: &mut Command, user: &User) -> Result<(), String> {
    let itself = std::env::current_exe().map_err(|error| format!("find the executor: {error}"))?;
    let words: Vec<OsString> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_os_string())
        .collect();
    let mut wrapped = Command::new(itself);
    wrapped.env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            wrapped.env(name, value);
        }
    }
    // The command line that made this process an executor makes the next one.
    let mut own = std::env::args_os();
    if let Some(name) = own.next() {
        wrapped.arg0(name);
    }
    wrapped.args(own).env(ENV_USER, &user.name).env(ENV_ARGUMENTS, encode(&words));
    *command = wrapped;
    Ok(())
}

/// Whether this process was started by [`wrap`].
pub(crate) fn is_wanted() -> bool {
    std::env::var_os(ENV_USER).is_some()
}

/// Becomes the user, then the program.
pub(crate) fn main() -> ExitCode {
    match become_program() {
        Ok(never) => match never {},
        Err((words, code)) => {
            complain(&words);
            ExitCode::from(code)
        }
    }
}

fn become_program() -> Result<Infallible, (String, u8)> {
    let bad = |words: String| (words, NOT_EXECUTABLE);
    let user = std::env::var_os(ENV_USER).unwrap_or_default();
    let name = user.to_string_lossy().into_owned();
    let words = decode(&std::env::var_os(ENV_ARGUMENTS).unwrap_or_default());
    let words = words.ok_or_else(|| bad(format!("{ENV_ARGUMENTS} cannot be read")))?;
    let user = User::from_name(&name).ok().flatten();
    let user = user.ok_or_else(|| bad(format!("user '{name}' is unknown")))?;
    let c_name = CString::new(name.as_bytes()).map_err(|error| bad(error.to_string()))?;
    let may_not = |error: nix::Error| bad(format!("become user '{name}': {error}"));
    initgroups(&c_name, user.gid).map_err(may_not)?;
    setgid(user.gid).map_err(may_not)?;
    setuid(user.uid).map_err(may_not)?;
    let environment: Vec<CString> = std::env::vars_os()
        .filter(|(name, _)| name != ENV_USER && name != ENV_ARGUMENTS)
        .filter_map(|(name, value)| {
            CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
        })
        .collect();
    let program = words.first().ok_or_else(|| bad("there is no program to become".to_owned()))?;
    execvpe(program, &words, &environment).map_err(|error| {
        let code = if error == nix::Error::ENOENT { NOT_FOUND } else { NOT_EXECUTABLE };
        (format!("start {}: {error}", program.to_string_lossy()), code)
    })
}

fn encode(words: &[OsString]) -> String {
    let hex = |word: &OsString| -> String {
        word.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    words.iter().map(hex).collect::<Vec<_>>().join(",")
}

fn decode(text: &OsString) -> Option<Vec<CString>> {
    let text = text.to_str()?;
    let word = |hex: &str| -> Option<CString> {
        let bytes: Option<Vec<u8>> = hex
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        CString::new(OsString::from_vec(bytes?).into_vec()).ok()
    };
    text.split(',').map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_survive_the_second_start() {
        let words = ["sh", "-c", "echo 'a,b' \u{1f}", ""].map(OsString::from).to_vec();
        let back = decode(&OsString::from(encode(&words))).unwrap();
        let back: Vec<_> =
            back.into_iter().map(|word| OsString::from_vec(word.into_bytes())).collect();
        assert_eq!(back, words);
        assert_eq!(decode(&OsString::from("zz")), None);
    }
}
