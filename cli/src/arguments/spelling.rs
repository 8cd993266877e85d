//! How settings may be written: `--work_dir` and `--work-dir` are the same, and what a master or an agent is not told on
//! its command line is read from `AIRSIDE_WORK_DIR`, else `MESOS_WORK_DIR`. For the number of its threads Mesos has a variable
//! and no flag: `LIBPROCESS_NUM_WORKER_THREADS`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::environment::Environment;

/// The commands whose settings may come from the environment.
const FROM_ENVIRONMENT: [&str; 2] = ["master", "agent"];
/// Whose variables have another beginning with Mesos.
const OF_LIBPROCESS: &str = "num-worker-threads";

/// Writes the names of flags with dashes. Values stay as they are, and so does whatever follows a bare `--`.
pub(super) fn dashes(line: Vec<OsString>) -> Vec<OsString> {
    let mut flags = true;
    line.into_iter()
        .map(|word| {
            flags &= word != "--";
            if flags { with_dashes(word) } else { word }
        })
        .collect()
}

fn with_dashes(word: OsString) -> OsString {
    let bytes = word.as_bytes();
    if !bytes.starts_with(b"--") {
        return word;
    }
    let name_ends = bytes.iter().position(|b| *b == b'=').unwrap_or(bytes.len());
    let name = bytes[..name_ends].iter().map(|b| if *b == b'_' { b'-' } else { *b });
    OsString::from_vec(name.chain(bytes[name_ends..].iter().copied()).collect())
}

/// Adds `--flag=value` for each setting that the environment has and the line has not.
pub(super) fn with_environment(
    mut line: Vec<OsString>,
    known: &clap::Command,
    environment: &Environment,
) -> Vec<OsString> {
    let Some(name) = line.get(1).and_then(|word| word.to_str()) else { return line };
    if !FROM_ENVIRONMENT.contains(&name) {
        return line;
    }
    let Some(command) = known.find_subcommand(name) else { return line };
    let mut added = Vec::new();
    let settings = command.get_arguments().filter(|a| a.get_action().takes_values());
    for flag in settings.filter_map(|argument| argument.get_long()) {
        if line.iter().any(|word| is_flag(word, flag)) {
            continue;
        }
        let variable = flag.to_uppercase().replace('-', "_");
        let with_mesos = if flag == OF_LIBPROCESS { "LIBPROCESS_" } else { "MESOS_" };
        let value = ["AIRSIDE_", with_mesos]
            .iter()
            .find_map(|prefix| environment.read(&format!("{prefix}{variable}")));
        if let Some(value) = value {
            let mut word = OsString::from(format!("--{flag}="));
            word.push(value);
            added.push(word);
        }
    }
    line.splice(2..2, added);
    line
}

fn is_flag(word: &OsStr, flag: &str) -> bool {
    let rest = word.as_bytes().strip_prefix(b"--").and_then(|w| w.strip_prefix(flag.as_bytes()));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
}
