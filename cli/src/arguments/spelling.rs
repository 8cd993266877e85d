//! How settings may be written: `--work_dir` and `--work-dir` are the same, and what a master or an agent is not told on
//! its command line is read from `AIRSIDE_WORK_DIR`, else `MESOS_WORK_DIR`. For the number of its threads Mesos has a variable
//! and no flag: `LIBPROCESS_NUM_WORKER_THREADS`. `--no-strict` and `--strict=0` are `--strict=false`, and `file:///path` is what the
//! file says.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use agent::detect::{FILE, read_most};

use crate::environment::Environment;

/// The commands whose settings may come from the environment.
const FROM_ENVIRONMENT: [&str; 2] = ["master", "agent"];
/// Those whose own parser reads the file: it knows best what it may say of it.
const READ_THEMSELVES: [&str; 5] = ["zk", "master", "domain", "resources", "docker-registry"];
/// More than any setting needs.
const FILE_BYTES_MAX: u64 = 1 << 20;
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
    for argument in command.get_arguments().filter(|a| a.get_action().takes_values()) {
        let Some(flag) = argument.get_long() else { continue };
        let names: Vec<&str> = names_of(argument).collect();
        let negated = names.iter().map(|name| format!("no-{name}"));
        let said: Vec<String> = names.iter().map(ToString::to_string).chain(negated).collect();
        if line.iter().any(|word| said.iter().any(|name| is_flag(word, name))) {
            continue;
        }
        let with_mesos = if flag == OF_LIBPROCESS { "LIBPROCESS_" } else { "MESOS_" };
        let prefixes = ["AIRSIDE_", with_mesos];
        let mut variables = prefixes.iter().flat_map(|prefix| {
            let upper = |name: &&str| name.to_uppercase().replace('-', "_");
            names.iter().map(move |name| format!("{prefix}{}", upper(name)))
        });
        if let Some(value) = variables.find_map(|variable| environment.read(&variable)) {
            let mut word = OsString::from(format!("--{flag}="));
            word.push(value);
            added.push(word);
        }
    }
    line.splice(2..2, added);
    line
}

/// A flag's names: its own and older ones.
fn names_of(argument: &clap::Arg) -> impl Iterator<Item = &str> {
    let own = argument.get_long().into_iter();
    own.chain(argument.get_all_aliases().unwrap_or_default())
}

/// Writes values as the parsers of the flags want them: what is yes or no behind `=`, and what a file says in its place.
///
/// # Errors
///
/// The file that cannot be read, in words.
pub(super) fn values(line: Vec<OsString>, known: &clap::Command) -> Result<Vec<OsString>, String> {
    let name = line.get(1).and_then(|word| word.to_str()).filter(|n| FROM_ENVIRONMENT.contains(n));
    let Some(command) = name.and_then(|name| known.find_subcommand(name)) else { return Ok(line) };
    let mut written = Vec::new();
    let mut words = line.into_iter().peekable();
    while let Some(word) = words.next() {
        let text = word.to_str().and_then(|text| text.strip_prefix("--"));
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            written.push(word);
            continue;
        };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.to_owned(), None),
        };
        let find = |name: &str| command.get_arguments().find(|a| names_of(a).any(|n| n == name));
        let negated = name.strip_prefix("no-").filter(|rest| find(rest).is_some_and(is_yes_or_no));
        match (find(&name), negated, value) {
            (None, Some(rest), None) => written.push(format!("--{rest}=false").into()),
            (Some(flag), _, value) if is_yes_or_no(flag) => {
                let is_word = |next: &OsString| matches!(next.to_str(), Some("true" | "false"));
                let next = value.is_none().then(|| words.next_if(is_word)).flatten();
                let next = next.and_then(|word| word.into_string().ok());
                let value = value.or(next).unwrap_or_else(|| "true".to_owned());
                let value = match value.as_str() {
                    "1" => "true",
                    "0" => "false",
                    other => other,
                };
                written.push(format!("--{name}={value}").into());
            }
            (Some(flag), _, Some(value)) => {
                written.push(format!("--{name}={}", as_in_file(flag, value)?).into());
            }
            (Some(flag), _, None) if flag.get_action().takes_values() => {
                written.push(word);
                if let Some(next) = words.next() {
                    written.push(match next.into_string() {
                        Ok(value) => as_in_file(flag, value)?.into(),
                        Err(bytes) => bytes,
                    });
                }
            }
            _ => written.push(word),
        }
    }
    Ok(written)
}

fn is_yes_or_no(flag: &clap::Arg) -> bool {
    flag.get_action().takes_values() && flag.get_value_parser().type_id() == TypeId::of::<bool>()
}

/// What a value means: `file:///path` is what that file says, or of a flag that names a file the path alone.
fn as_in_file(flag: &clap::Arg, value: String) -> Result<String, String> {
    let Some(path) = value.strip_prefix(FILE) else { return Ok(value) };
    let name = flag.get_long().unwrap_or_default();
    if READ_THEMSELVES.contains(&name) {
        return Ok(value);
    }
    if flag.get_value_parser().type_id() == TypeId::of::<PathBuf>() {
        return Ok(path.to_owned());
    }
    match read_most(Path::new(path), FILE_BYTES_MAX) {
        Ok(Some(content)) => Ok(content.trim().to_owned()),
        Ok(None) => Err(format!(
            "--{name}: {path} is longer than {FILE_BYTES_MAX} bytes; is it the right file?"
        )),
        Err(error) => Err(format!(
            "--{name}: cannot read {path}: {error}; name a file with the value, or write the value itself"
        )),
    }
}

fn is_flag(word: &OsStr, flag: &str) -> bool {
    let rest = word.as_bytes().strip_prefix(b"--").and_then(|w| w.strip_prefix(flag.as_bytes()));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
}
