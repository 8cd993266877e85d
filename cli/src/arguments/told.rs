//! What a master or an agent was told, as it shows it on `/flags`: every flag that has a value, in Mesos's spelling.

use std::collections::BTreeMap;

use clap::ArgMatches;

use super::Unused;

/// Flags by name, with their values as text; and those that change nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) flags: BTreeMap<String, String>,
    pub(crate) unused: Vec<Unused>,
}

impl Told {
    /// Of the command that was typed.
    pub(super) fn of(known: &clap::Command, matches: &ArgMatches, unused: Vec<Unused>) -> Self {
        let mut flags: BTreeMap<String, String> =
            unused.iter().map(|unused| (unused.name.clone(), unused.value.clone())).collect();
        let typed = matches.subcommand();
        let command =
            typed.and_then(|(name, matches)| Some((known.find_subcommand(name)?, matches)));
        if let Some((command, matches)) = command {
            let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
            for argument in shown {
                let id = argument.get_id().as_str();
                // Of what is no flag of the command's own, such as its help, nothing is known here.
                let raw = matches.try_get_raw(id).ok().flatten();
                let (Some(flag), Some(raw)) = (argument.get_long(), raw) else { continue };
                let values: Vec<_> = raw.map(|value| value.to_string_lossy()).collect();
                flags.insert(flag.replace('-', "_"), without_secrets(&values.join(",")));
            }
        }
        Self { flags, unused }
    }
}

/// User and password of a URL are nobody's business.
fn without_secrets(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    match rest.rsplit_once('@') {
        Some((_, place)) => format!("{scheme}://…@{place}"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        for (value, shown) in [
            ("zk://ops:p@ss@h1:2181,h2:2181/mesos", "zk://…@h1:2181,h2:2181/mesos"),
            ("zk://h1:2181/mesos", "zk://h1:2181/mesos"),
            ("file:///etc/zk", "file:///etc/zk"),
            ("a@b", "a@b"),
        ] {
            assert_eq!(without_secrets(value), shown);
        }
    }
}
