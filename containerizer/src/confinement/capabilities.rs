//! The capabilities of a program: sets by the kernel's names, and how a process cuts itself down to them.

use std::collections::BTreeSet;
use std::io;

use caps::{CapSet, Capability, CapsHashSet};
use serde::{Deserialize, Serialize};

use super::ConfineError;

/// Capabilities by name, as `CHOWN` or `CAP_CHOWN`.
pub type Names = BTreeSet<String>;

/// What a program in a container may as root, unless it is said otherwise: what Docker gives but for `MKNOD`, with which a disk of
/// the host's could be made a device and opened, were there no control group that forbids it.
const USUAL: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// The sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// What it, and what it starts, can ever have.
    pub bounding: Names,
    /// What it has: permitted and in effect. For root that is what its programs get; another user's lose them unless they are ambient.
    pub effective: Names,
    /// What is kept, by a user who is not root, by what it starts.
    pub ambient: Names,
}

impl Capabilities {
    /// The same for root, whatever it starts, and nothing for others.
    pub fn bounded_by(names: Names) -> Self {
        Self { bounding: names.clone(), effective: names, ambient: Names::new() }
    }

    /// The usual ones, with these and without those; `ALL` names all that the kernel knows. What is dropped wins.
    ///
    /// # Errors
    /// Which name is none.
    pub fn usual(add: &[String], drop: &[String]) -> Result<Self, ConfineError> {
        let usual = USUAL.iter().map(|name| (*name).to_owned()).collect();
        let all = || caps::all().iter().map(short_name).collect::<Names>();
        let is_all = |name: &String| name.eq_ignore_ascii_case("ALL");
        let mut names: Names = if drop.iter().any(is_all) { Names::new() } else { usual };
        if add.iter().any(is_all) {
            names.extend(all());
        }
        for name in add.iter().filter(|name| !is_all(name)) {
            names.insert(short_name(&parse(name)?));
        }
        for name in drop.iter().filter(|name| !is_all(name)) {
            names.remove(&short_name(&parse(name)?));
        }
        Ok(Self::bounded_by(names))
    }

    /// Only these can be had from here on.
    pub(super) fn bound(&self) -> Result<(), ConfineError> {
        let kept = set(&self.bounding)?;
        // Whoever has none to drop it with cannot get it either: without `SETPCAP` nothing is dropped, and that is an error.
        for capability in
            caps::read(None, CapSet::Bounding).map_err(failed("read the bounding set"))?
        {
            if !kept.contains(&capability) {
                caps::drop(None, CapSet::Bounding, capability)
                    .map_err(failed(&format!("give up {capability} for good")))?;
            }
        }
        Ok(())
    }

    /// These, of those that this process has, are in effect.
    pub(super) fn take(&self) -> Result<(), ConfineError> {
        let have = caps::read(None, CapSet::Permitted).map_err(failed("read the permitted set"))?;
        let wanted: CapsHashSet = set(&self.effective)?.intersection(&have).copied().collect();
        let ambient: CapsHashSet = set(&self.ambient)?.intersection(&wanted).copied().collect();
        caps::clear(None, CapSet::Ambient).map_err(failed("clear the ambient set"))?;
        let steps = [
            (CapSet::Effective, &wanted),
            (CapSet::Permitted, &wanted),
            (CapSet::Inheritable, &ambient),
        ];
        // The ambient set is raised one by one, which is nothing here for most.
        let raised = (!ambient.is_empty()).then_some((CapSet::Ambient, &ambient));
        for (which, names) in steps.into_iter().chain(raised) {
            caps::set(None, which, names).map_err(failed(&format!("set the {which:?} set")))?;
        }
        Ok(())
    }
}

fn set(names: &Names) -> Result<CapsHashSet, ConfineError> {
    names.iter().map(|name| parse(name)).collect()
}

fn parse(name: &str) -> Result<Capability, ConfineError> {
    let upper = name.to_ascii_uppercase();
    let long = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    long.parse().map_err(|_| {
        let words = "is no capability; `man 7 capabilities` lists them, with or without CAP_";
        ConfineError::Refused(format!("'{name}' {words}"))
    })
}

fn short_name(capability: &Capability) -> String {
    capability.to_string().trim_start_matches("CAP_").to_owned()
}

fn failed(what: &str) -> impl FnOnce(caps::errors::CapsError) -> ConfineError {
    let what = what.to_owned();
    move |error| ConfineError::Step { what, source: io::Error::other(error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_dropped_is_gone_and_what_is_added_is_there_by_either_name() {
        let names = |add: &[&str], drop: &[&str]| {
            Capabilities::usual(&words(add), &words(drop)).unwrap().bounding
        };
        assert_eq!(names(&[], &[]).len(), USUAL.len());
        assert!(!names(&[], &["cap_chown"]).contains("CHOWN"));
        assert!(names(&["SYS_ADMIN"], &[]).contains("SYS_ADMIN"));
        assert_eq!(names(&["CAP_KILL"], &["ALL"]), Names::from(["KILL".to_owned()]));
        assert!(names(&["ALL"], &["SYS_ADMIN"]).contains("SYS_PTRACE"));
        assert!(!names(&["ALL"], &["SYS_ADMIN"]).contains("SYS_ADMIN"));
        let error = Capabilities::usual(&words(&["FLY"]), &[]).unwrap_err().to_string();
        assert!(error.contains("'FLY' is no capability"), "{error}");
    }
}
