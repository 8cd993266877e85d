//! Which calls of the system a program may make: profiles in Docker's format, compiled for the kernel. A filter is compiled
//! once, by whoever starts many, and travels as the kernel takes it.

mod profile;

use std::collections::BTreeMap;
use std::io;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch};
use serde::{Deserialize, Serialize};

pub use profile::{BadProfile, Profile, Surroundings};

use crate::system;

/// Compiled. The kernel asks each of its programs, and does the strictest of what they say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Each word is an instruction of classic BPF.
    programs: Vec<Vec<u64>>,
}

/// The calls that match do what this says.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

impl Filter {
    /// Of a profile, for what the program may besides.
    ///
    /// # Errors
    /// Why the profile is none.
    pub fn compile(profile: &Profile, surroundings: &Surroundings) -> Result<Self, BadProfile> {
        let groups = profile.rules(surroundings)?;
        let default = profile.default_action()?;
        // A program for each action that is not the default's, which says nothing of other calls; and one for the default, which
        // lets pass whatever another one speaks of.
        let mut programs = Vec::new();
        let mut spoken_of = Rules::new();
        for (action, rules) in groups.into_iter().filter(|(action, _)| *action != default) {
            rules.iter().for_each(|(call, rules)| widen(&mut spoken_of, *call, rules));
            if action != SeccompAction::Allow {
                programs.push(compile(rules, SeccompAction::Allow, action)?);
            }
        }
        if default != SeccompAction::Allow {
            programs.push(compile(spoken_of, default, SeccompAction::Allow)?);
        }
        Ok(Self { programs })
    }

    /// Puts this process under it for good. It takes `CAP_SYS_ADMIN`, or that no new privileges are to be had.
    pub(super) fn install(&self) -> io::Result<()> {
        self.programs.iter().try_for_each(|program| system::filter_calls(program))
    }
}

/// A call for which there is a rule without a condition matches always: that is what an empty list says.
fn widen(all: &mut Rules, call: i64, more: &[SeccompRule]) {
    match all.get_mut(&call) {
        None => drop(all.insert(call, more.to_vec())),
        Some(rules) if rules.is_empty() || more.is_empty() => rules.clear(),
        Some(rules) => rules.extend_from_slice(more),
    }
}

fn compile(
    rules: Rules,
    otherwise: SeccompAction,
    matching: SeccompAction,
) -> Result<Vec<u64>, BadProfile> {
    let arch: TargetArch = std::env::consts::ARCH
        .try_into()
        .map_err(|error| BadProfile::Compile(format!("this machine's calls: {error}")))?;
    let filter = SeccompFilter::new(rules, otherwise, matching, arch)
        .map_err(|error| BadProfile::Compile(error.to_string()))?;
    let program: BpfProgram = filter
        .try_into()
        .map_err(|error: seccompiler::BackendError| BadProfile::Compile(error.to_string()))?;
    Ok(program.iter().map(word).collect())
}

fn word(instruction: &seccompiler::sock_filter) -> u64 {
    let [c0, c1] = instruction.code.to_ne_bytes();
    let [k0, k1, k2, k3] = instruction.k.to_ne_bytes();
    u64::from_ne_bytes([c0, c1, instruction.jt, instruction.jf, k0, k1, k2, k3])
}
