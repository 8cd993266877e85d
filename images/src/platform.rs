//! Which of several images is for this machine. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an image is for, in the words of Go: `linux/amd64`, `linux/arm/v7`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// The operating system.
    #[serde(default)]
    pub os: String,
    /// The processor.
    #[serde(default)]
    pub architecture: String,
    /// Its variant, where it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Of the machine that this was built for.
    #[must_use]
    pub fn here() -> Self {
        Self::of_rust(std::env::consts::ARCH)
    }

    fn of_rust(arch: &str) -> Self {
        let (architecture, variant) = match arch {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", None),
            "arm" => ("arm", Some("v7")),
            "powerpc64" => ("ppc64le", None),
            other => (other, None),
        };
        let variant = variant.map(str::to_owned);
        Self { os: "linux".into(), architecture: architecture.into(), variant }
    }

    /// Whether an image for `self` runs on `machine`; where both say a variant, it must be the same, but for those that
    /// are what is meant when none is said.
    #[must_use]
    pub fn runs_on(&self, machine: &Self) -> bool {
        let same = self.os == machine.os && self.architecture == machine.architecture;
        let plain = |variant: &Option<String>| {
            variant.clone().filter(|variant| {
                !matches!(
                    (self.architecture.as_str(), variant.as_str()),
                    ("arm64", "v8") | ("amd64", "v1") | (_, "")
                )
            })
        };
        let (ours, theirs) = (plain(&self.variant), plain(&machine.variant));
        same && (ours.is_none() || ours == theirs)
    }
}

/// The number of the image in the list that fits `machine` best: one that says the machine's variant before one
/// that says none, and the first of equals.
#[must_use]
pub(crate) fn choose(offered: &[Option<Platform>], machine: &Platform) -> Option<usize> {
    let fits = |platform: &Option<Platform>| platform.as_ref().is_some_and(|p| p.runs_on(machine));
    let exact = |platform: &Option<Platform>| platform.as_ref() == Some(machine);
    offered.iter().position(exact).or_else(|| offered.iter().position(fits))
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/').map(str::to_owned);
        let os = parts.next().unwrap();
        Platform { os, architecture: parts.next().unwrap(), variant: parts.next() }
    }

    #[track_caller]
    fn chosen(machine: &str, offered: &[&str], expected: Option<usize>) {
        let offered: Vec<_> = offered.iter().map(|text| Some(platform(text))).collect();
        assert_eq!(choose(&offered, &platform(machine)), expected);
    }

    #[test]
    fn this_machines_platform_is_chosen() {
        chosen("linux/amd64", &["linux/arm64/v8", "linux/amd64", "linux/amd64"], Some(1));
        chosen("linux/amd64", &["windows/amd64", "unknown/unknown"], None);
        chosen("linux/arm64", &["linux/arm/v7", "linux/arm64/v8"], Some(1));
    }

    #[test]
    fn a_variant_that_the_machine_has_not_is_never_chosen() {
        chosen("linux/arm/v6", &["linux/arm/v7", "linux/arm/v6"], Some(1));
        chosen("linux/arm/v6", &["linux/arm/v7"], None);
        chosen("linux/arm/v7", &["linux/arm", "linux/arm/v7"], Some(1));
        chosen("linux/amd64", &["linux/amd64/v3", "linux/amd64"], Some(1));
    }

    #[test]
    fn an_image_without_platform_is_never_chosen() {
        assert_eq!(choose(&[None], &platform("linux/amd64")), None);
    }

    #[test]
    fn names_are_those_of_go() {
        assert_eq!(Platform::of_rust("x86_64").to_string(), "linux/amd64");
        assert_eq!(Platform::of_rust("aarch64").to_string(), "linux/arm64");
        assert_eq!(Platform::of_rust("arm").to_string(), "linux/arm/v7");
    }
}
