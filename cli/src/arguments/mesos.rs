//! Flags of Mesos that masters and agents know by name and have no use for: some are taken and change nothing, some may say one
//! thing only, and some are refused, each with a word why. What is in none of the tables and no flag of ours is unknown.

mod agent;
mod master;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::environment::Environment;

/// What becomes of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Taken. It changes nothing, and that is no harm: why.
    Ignored(&'static str),
    /// Taken if all that it lists is among these, which is how things are anyway; else refused: why.
    Only(&'static [&'static str], &'static str),
    /// Refused: why.
    Refused(&'static str),
}

/// A table: names as Mesos writes them.
type Table = &'static [(&'static str, Fate)];

/// A flag that was taken and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unused {
    pub(crate) name: String,
    pub(crate) value: String,
    /// Why that is no harm; nothing, if it asks for how things are anyway.
    pub(crate) why: Option<&'static str>,
}

fn tables(command: &str) -> &'static [Table] {
    match command {
        "master" => &[master::FLAGS, SHARED],
        "agent" => &[agent::FLAGS, SHARED],
        _ => &[],
    }
}

fn fate(command: &str, name: &str) -> Option<Fate> {
    let mut all = tables(command).iter().copied().flatten();
    all.find(|(known, _)| *known == name).map(|(_, fate)| *fate)
}

/// Names of a command that the environment may say.
pub(super) fn names(command: &str) -> impl Iterator<Item = &'static str> {
    tables(command).iter().copied().flatten().map(|(name, _)| *name)
}

/// Takes them off a command line whose flags are written with dashes, values behind `=`.
///
/// # Errors
///
/// The first that is refused, in words.
pub(super) fn taken_off(line: Vec<OsString>) -> Result<(Vec<OsString>, Vec<Unused>), String> {
    let command = line.get(1).and_then(|word| word.to_str()).unwrap_or_default().to_owned();
    let (mut left, mut unused) = (Vec::new(), Vec::new());
    let mut words = line.into_iter().peekable();
    while let Some(word) = words.next() {
        let text = word.to_str().and_then(|text| text.strip_prefix("--"));
        let (name, value) = match text.map(|text| text.split_once('=').unwrap_or((text, ""))) {
            Some((name, value)) => (name.replace('-', "_"), value.to_owned()),
            None => (String::new(), String::new()),
        };
        let negated = name.strip_prefix("no_").filter(|rest| fate(&command, rest).is_some());
        let (name, says_no) = (negated.unwrap_or(&name).to_owned(), negated.is_some());
        let Some(fate) = fate(&command, &name) else {
            left.push(word);
            continue;
        };
        let bare = !word.as_bytes().contains(&b'=');
        // Mesos takes `--name=value` alone; people write it with a space, too.
        let next = words.next_if(|next| bare && !says_no && !next.as_bytes().starts_with(b"-"));
        let value = match next {
            Some(next) => next.to_string_lossy().into_owned(),
            None if bare => if says_no { "false" } else { "true" }.to_owned(),
            None => value,
        };
        unused.push(dealt_with(name, value, fate)?);
    }
    Ok((left, unused))
}

fn dealt_with(name: String, value: String, fate: Fate) -> Result<Unused, String> {
    let why = match fate {
        Fate::Ignored(why) => Some(why),
        Fate::Only(allowed, why) => {
            if !value.split(',').all(|one| allowed.contains(&one.trim())) {
                let allowed = allowed.join("' or '");
                return Err(format!("--{name} may only be '{allowed}': {why}"));
            }
            None
        }
        Fate::Refused(why) => return Err(format!("--{name} is not supported: {why}")),
    };
    Ok(Unused { name, value, why })
}

/// What the environment says of them that the line does not.
pub(super) fn from_environment(line: &[OsString], environment: &Environment) -> Vec<OsString> {
    let command = line.get(1).and_then(|word| word.to_str()).unwrap_or_default();
    let said = |name: &str| {
        let flag = name.replace('_', "-");
        line.iter().any(|word| {
            let name = word.to_str().unwrap_or_default().split('=').next().unwrap_or_default();
            name.strip_prefix("--")
                .is_some_and(|n| n == flag || n.strip_prefix("no-") == Some(&flag))
        })
    };
    let missing = names(command).filter(|name| !said(name));
    let read = missing.filter_map(|name| {
        let variable = name.to_uppercase();
        let value = ["AIRSIDE_", "MESOS_"]
            .iter()
            .find_map(|prefix| environment.read(&format!("{prefix}{variable}")))?;
        let mut word = OsString::from(format!("--{}=", name.replace('_', "-")));
        word.push(value);
        Some(word)
    });
    read.collect()
}

const FALSE: &[&str] = &["false", "0"];

/// How masters, agents, and nodes of Mesos in general are told.
const SHARED: Table = &[
    ("logbufsecs", Fate::Ignored("what is logged is written at once")),
    ("initialize_driver_logging", Fate::Ignored("drivers are other programs")),
    ("memory_profiling", Fate::Only(FALSE, "there is no memory profiler in this program")),
    (
        "modules_dir",
        Fate::Refused("modules of Mesos are C++ libraries, which this program does not load"),
    ),
    ("hooks", Fate::Refused("hooks are modules of Mesos, which this program does not load")),
    (
        "acls",
        Fate::Refused(
            "there is no authorization by ACLs yet; all whom credentials or the cluster's secret let in may do everything",
        ),
    ),
    (
        "firewall_rules",
        Fate::Refused(
            "no page can be closed alone; --authenticate_http_readonly and --authenticate_http_readwrite guard all",
        ),
    ),
    (
        "http_authenticators",
        Fate::Only(&["basic"], "callers show who they are by basic authentication alone"),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a line, and names and values of what was taken off it.
    type Taken = (Vec<String>, Vec<(String, String)>);

    fn take(line: &str) -> Result<Taken, String> {
        let words = line.split(' ').map(OsString::from).collect();
        let (left, unused) = taken_off(words)?;
        let text = |word: OsString| word.to_string_lossy().into_owned();
        let pair = |unused: Unused| (unused.name, unused.value);
        Ok((left.into_iter().map(text).collect(), unused.into_iter().map(pair).collect()))
    }

    #[test]
    fn what_changes_nothing_is_taken_with_its_value_and_the_rest_is_left() {
        let (left, unused) =
            take("airside master --quorum=2 --work-dir=/w --registry replicated_log --no-log-auto-initialize --port=1").unwrap();
        assert_eq!(left, ["airside", "master", "--work-dir=/w", "--port=1"]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            pair("quorum", "2"),
            pair("registry", "replicated_log"),
            pair("log_auto_initialize", "false"),
        ];
        assert_eq!(unused, expected);
        let (left, unused) = take("airside run -- --quorum=2").unwrap();
        assert_eq!((left.len(), unused.len()), (4, 0), "of masters and agents alone");
    }

    #[test]
    fn what_asks_for_something_that_is_not_there_is_refused_with_the_reason() {
        for (line, words) in [
            (
                "airside master --acls={}",
                "--acls is not supported: there is no authorization by ACLs yet",
            ),
            (
                "airside master --registry=in_memory",
                "--registry may only be 'replicated_log' or 'log_storage': ",
            ),
            (
                "airside agent --containerizers=docker,mesos",
                "--containerizers may only be 'mesos': ",
            ),
            (
                "airside agent --authenticate-http-executors",
                "--authenticate_http_executors may only be 'false'",
            ),
        ] {
            let said = take(line).expect_err(line);
            assert!(said.starts_with(words), "{line}: {said}");
        }
        assert!(
            take("airside agent --containerizers=mesos --no-authenticate-http-executors").is_ok()
        );
    }
}
