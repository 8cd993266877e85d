//! Profiles of calls in Docker's JSON format, and the one that holds unless another is given. What a rule includes and excludes
//! is decided for the capabilities, the architecture and the kernel at hand.

mod usual;

use std::str::FromStr;

use nix::sys::utsname::uname;
use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};
use serde::Deserialize;
use syscalls::Sysno;

use super::{Rules, widen};
use crate::confinement::capabilities::Names;

/// A profile, as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    default_action: String,
    #[serde(default)]
    default_errno_ret: Option<u32>,
    #[serde(default)]
    syscalls: Vec<Rule>,
}

/// A rule for some calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    /// The older form of `names`.
    name: Option<String>,
    names: Vec<String>,
    action: String,
    errno_ret: Option<u32>,
    /// All must hold. One argument named twice: either may.
    args: Option<Vec<Argument>>,
    includes: Option<When>,
    excludes: Option<When>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Argument {
    index: u8,
    value: u64,
    value_two: u64,
    op: String,
}

/// Where a rule holds, or does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct When {
    caps: Vec<String>,
    arches: Vec<String>,
    min_kernel: Option<String>,
}

/// What rules depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// What the program can ever have, as `SYS_ADMIN`.
    pub capabilities: Names,
    /// Of the kernel: major and minor.
    pub kernel: (u32, u32),
}

impl Surroundings {
    /// On this machine's kernel.
    pub fn here(capabilities: Names) -> Self {
        let release = uname().map(|name| name.release().to_string_lossy().into_owned());
        let release = release.unwrap_or_default();
        let mut parts = release.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        let kernel = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        Self { capabilities, kernel }
    }
}

/// Why a profile is none.
#[derive(Debug, thiserror::Error)]
pub enum BadProfile {
    /// It is not of the format.
    #[error("the seccomp profile is not of Docker's JSON format")]
    Json(#[source] serde_json::Error),
    /// A word is unknown.
    #[error("the seccomp profile names {what} '{word}', which is unknown; known are {known}")]
    Word {
        /// What it would be.
        what: &'static str,
        /// As it is there.
        word: String,
        /// What might be there.
        known: &'static str,
    },
    /// The filter is beyond the kernel's.
    #[error("the seccomp profile cannot be compiled: {0}")]
    Compile(String),
}

/// What `EPERM` is to the kernel: what a refused call comes back with unless the profile says otherwise.
const NOT_PERMITTED: u32 = 1;

impl Profile {
    /// From its JSON.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(json: &[u8]) -> Result<Self, BadProfile> {
        serde_json::from_slice(json).map_err(BadProfile::Json)
    }

    /// What holds unless another is given: calls that programs need, and none that reach the kernel beyond them.
    pub fn usual() -> Self {
        usual::profile()
    }

    /// For a call that no rule speaks of.
    pub(super) fn default_action(&self) -> Result<SeccompAction, BadProfile> {
        action(&self.default_action, self.default_errno_ret)
    }

    /// The rules that hold, by what they do. Calls that this architecture does not have are left out: profiles are for many.
    pub(super) fn rules(
        &self,
        surroundings: &Surroundings,
    ) -> Result<Vec<(SeccompAction, Rules)>, BadProfile> {
        let mut groups: Vec<(SeccompAction, Rules)> = Vec::new();
        for rule in &self.syscalls {
            let action = action(&rule.action, rule.errno_ret.or(self.default_errno_ret))?;
            let conditions = rule.conditions()?;
            let holds = rule.includes.as_ref().is_none_or(|when| when.all_hold(surroundings));
            let not = rule.excludes.as_ref().is_some_and(|when| when.one_holds(surroundings));
            if !holds || not {
                continue;
            }
            let at = groups.iter().position(|(known, _)| *known == action);
            let at = at.unwrap_or_else(|| {
                groups.push((action, Rules::new()));
                groups.len() - 1
            });
            let names = rule.names.iter().chain(&rule.name);
            for call in names.filter_map(|name| Sysno::from_str(name).ok()) {
                widen(&mut groups[at].1, i64::from(call.id()), &conditions);
            }
        }
        Ok(groups)
    }
}

impl Rule {
    /// Any of these; none: always.
    fn conditions(&self) -> Result<Vec<SeccompRule>, BadProfile> {
        let arguments = self.args.as_deref().unwrap_or_default();
        let compiled: Result<Vec<_>, _> = arguments.iter().map(Argument::condition).collect();
        let compiled = compiled?;
        let mut indices: Vec<_> = arguments.iter().map(|argument| argument.index).collect();
        indices.sort_unstable();
        let twice = indices.windows(2).any(|pair| pair[0] == pair[1]);
        let bad = |error: seccompiler::BackendError| BadProfile::Compile(error.to_string());
        match compiled.is_empty() {
            true => Ok(Vec::new()),
            false if twice => {
                compiled.into_iter().map(|one| SeccompRule::new(vec![one]).map_err(bad)).collect()
            }
            false => Ok(vec![SeccompRule::new(compiled).map_err(bad)?]),
        }
    }
}

impl Argument {
    fn condition(&self) -> Result<SeccompCondition, BadProfile> {
        let (operator, value) = match self.op.as_str() {
            "SCMP_CMP_NE" => (SeccompCmpOp::Ne, self.value),
            "SCMP_CMP_LT" => (SeccompCmpOp::Lt, self.value),
            "SCMP_CMP_LE" => (SeccompCmpOp::Le, self.value),
            "SCMP_CMP_EQ" => (SeccompCmpOp::Eq, self.value),
            "SCMP_CMP_GE" => (SeccompCmpOp::Ge, self.value),
            "SCMP_CMP_GT" => (SeccompCmpOp::Gt, self.value),
            "SCMP_CMP_MASKED_EQ" => (SeccompCmpOp::MaskedEq(self.value), self.value_two),
            word => {
                let known = "SCMP_CMP_NE, _LT, _LE, _EQ, _GE, _GT and _MASKED_EQ";
                return Err(BadProfile::Word { what: "the comparison", word: word.into(), known });
            }
        };
        SeccompCondition::new(self.index, SeccompCmpArgLen::Qword, operator, value)
            .map_err(|error| BadProfile::Compile(error.to_string()))
    }
}

impl When {
    fn has(surroundings: &Surroundings, name: &str) -> bool {
        surroundings.capabilities.contains(name.trim_start_matches("CAP_"))
    }

    fn is_kernel(&self, surroundings: &Surroundings) -> Option<bool> {
        let mut parts = self.min_kernel.as_deref()?.split('.').map(|part| part.parse().ok());
        let version = (parts.next()??, parts.next().flatten().unwrap_or(0));
        Some(surroundings.kernel >= version)
    }

    fn is_arch(&self) -> Option<bool> {
        let here = match std::env::consts::ARCH {
            "x86_64" => ["amd64", "x86_64"],
            "aarch64" => ["arm64", "aarch64"],
            other => [other, other],
        };
        let known = !self.arches.is_empty();
        known.then(|| self.arches.iter().any(|arch| here.contains(&arch.as_str())))
    }

    fn all_hold(&self, surroundings: &Surroundings) -> bool {
        self.caps.iter().all(|name| Self::has(surroundings, name))
            && self.is_arch() != Some(false)
            && self.is_kernel(surroundings) != Some(false)
    }

    fn one_holds(&self, surroundings: &Surroundings) -> bool {
        self.caps.iter().any(|name| Self::has(surroundings, name))
            || self.is_arch() == Some(true)
            || self.is_kernel(surroundings) == Some(true)
    }
}

fn action(word: &str, errno: Option<u32>) -> Result<SeccompAction, BadProfile> {
    Ok(match word {
        "SCMP_ACT_ALLOW" => SeccompAction::Allow,
        "SCMP_ACT_ERRNO" => SeccompAction::Errno(errno.unwrap_or(NOT_PERMITTED)),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => SeccompAction::KillThread,
        "SCMP_ACT_KILL_PROCESS" => SeccompAction::KillProcess,
        "SCMP_ACT_LOG" => SeccompAction::Log,
        "SCMP_ACT_TRACE" => SeccompAction::Trace(errno.unwrap_or(NOT_PERMITTED)),
        "SCMP_ACT_TRAP" => SeccompAction::Trap,
        word => {
            let known = "SCMP_ACT_ALLOW, _ERRNO, _KILL, _KILL_THREAD, _KILL_PROCESS, _LOG, _TRACE and _TRAP";
            return Err(BadProfile::Word { what: "the action", word: word.into(), known });
        }
    })
}
