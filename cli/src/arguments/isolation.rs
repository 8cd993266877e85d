//! By what an agent keeps its containers apart, in Mesos's words.

use std::collections::BTreeSet;

use agent::{GroupSettings, Isolators};
use clap::{ArgAction, Args};

/// Those that are here. `posix/…` says how it is done where nothing else is said.
const KNOWN: [&str; 5] =
    ["posix/cpu", "posix/mem", "filesystem/posix", "cgroups/cpu", "cgroups/mem"];

/// How containers are kept apart.
#[derive(Args, Clone, Debug)]
pub(crate) struct IsolationArguments {
    /// What containers are limited by, with commas between: `cgroups/cpu` gives each its share of the processors, `cgroups/mem`
    /// ends one that takes more memory than its tasks and its executor hold; `posix/cpu`, `posix/mem` and `filesystem/posix` limit nothing
    #[arg(long, default_value = "posix/cpu,posix/mem", value_parser = isolators, value_name = "LIST")]
    isolation: Isolators,
    /// The folder below which an agent's control groups are
    #[arg(long, default_value = "airside", value_name = "PATH")]
    cgroups_root: String,
    /// Whether a container of `cgroups/cpu` gets no more than it holds, also where processors are idle
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    cgroups_enable_cfs: bool,
}

impl IsolationArguments {
    /// For an agent; `None`: nothing is limited.
    pub(crate) fn groups(&self) -> Option<GroupSettings> {
        let Isolators { cpu, memory } = self.isolation;
        (cpu || memory).then(|| GroupSettings {
            root: self.cgroups_root.clone(),
            isolators: self.isolation,
            hard_cpu: self.cgroups_enable_cfs,
        })
    }
}

fn isolators(text: &str) -> Result<Isolators, String> {
    let named: BTreeSet<&str> =
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = named.iter().find(|name| !KNOWN.contains(name)) {
        let known = KNOWN.join("', '");
        return Err(format!("'{unknown}' is no isolator of this release; there are '{known}'"));
    }
    for (kind, one, other) in
        [("processors", "posix/cpu", "cgroups/cpu"), ("memory", "posix/mem", "cgroups/mem")]
    {
        if named.contains(one) && named.contains(other) {
            return Err(format!("'{one}' and '{other}' are both for {kind}; name one of them"));
        }
    }
    Ok(Isolators { cpu: named.contains("cgroups/cpu"), memory: named.contains("cgroups/mem") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isolators_are_named_as_in_mesos_and_those_that_are_not_here_are_refused() {
        let of = |cpu, memory| Ok(Isolators { cpu, memory });
        assert_eq!(isolators("posix/cpu,posix/mem"), of(false, false));
        assert_eq!(isolators("cgroups/cpu, cgroups/mem,filesystem/posix"), of(true, true));
        assert_eq!(isolators("posix/cpu,cgroups/mem"), of(false, true));
        assert_eq!(isolators(""), of(false, false));
        let words = isolators("cgroups/cpu,docker/runtime").unwrap_err();
        assert!(words.starts_with("'docker/runtime' is no isolator of this release"), "{words}");
        let words = isolators("posix/mem,cgroups/mem").unwrap_err();
        assert_eq!(words, "'posix/mem' and 'cgroups/mem' are both for memory; name one of them");
    }
}
