//! Which calls of the system a task may make: by the profile that it names, else by the agent's, else the usual ones in an image.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use containerizer::confinement::capabilities::Capabilities;
use containerizer::confinement::seccomp::{Filter, Profile, Surroundings};
use protocol::container::Wanted;

/// No profile is larger; Docker's own has 15 KB.
const PROFILE_BYTES_MAX: u64 = 1 << 20;

/// Which calls of the system tasks may make, by profiles in Docker's format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallSettings {
    /// The folder in which profiles are found by name.
    pub profiles: Option<PathBuf>,
    /// The name of the one that holds where a task does not say; `None`: the usual in an image, all elsewhere.
    pub profile: Option<String>,
}

impl CallSettings {
    /// The profile of this name, which may come from a task.
    ///
    /// # Errors
    /// In words, why there is none.
    pub fn read(&self, name: &str) -> Result<Profile, String> {
        let failed = |words: String| format!("cannot have the seccomp profile '{name}': {words}");
        let Some(folder) = &self.profiles else {
            return Err(failed("this agent has none; start it with --seccomp_config_dir".into()));
        };
        let mut parts = Path::new(name).components();
        let (Some(Component::Normal(_)), None) = (parts.next(), parts.next()) else {
            return Err(failed(format!("it is not the name of a file in {}", folder.display())));
        };
        let path = folder.join(name);
        let mut json = Vec::new();
        let file = File::open(&path)
            .and_then(|file| file.take(PROFILE_BYTES_MAX + 1).read_to_end(&mut json));
        let length = file.map_err(|error| failed(format!("read {}: {error}", path.display())))?;
        if length as u64 > PROFILE_BYTES_MAX {
            return Err(failed(format!(
                "{} has more than {PROFILE_BYTES_MAX} bytes",
                path.display()
            )));
        }
        Profile::read(&json).map_err(|error| {
            let why = std::error::Error::source(&error).map(|why| format!(": {why}"));
            failed(format!("{}: {error}{}", path.display(), why.unwrap_or_default()))
        })
    }
}

/// The filter; nothing, if it may make all. In words, why the profile that it should have is none.
pub(crate) fn filter(
    settings: Option<&CallSettings>,
    wanted: &Wanted,
    has_root: bool,
    capabilities: Option<&Capabilities>,
) -> Result<Option<Filter>, String> {
    if wanted.unconfined {
        return Ok(None);
    }
    let profile = match (&wanted.profile, settings) {
        (Some(name), None) => {
            return Err(format!(
                "it asks for the seccomp profile '{name}', and this agent has none; start it with --isolation=linux/seccomp and --seccomp_config_dir"
            ));
        }
        (named, Some(settings)) if named.is_some() || settings.profile.is_some() => {
            let name = named.as_ref().or(settings.profile.as_ref());
            settings.read(name.map_or("", String::as_str))?
        }
        (_, _) if has_root => Profile::usual(),
        (_, _) => return Ok(None),
    };
    let all = || Capabilities::usual(&["ALL".to_owned()], &[]).map_err(|error| error.to_string());
    let bounding = capabilities.map(|known| known.bounding.clone());
    let bounding = bounding.map_or_else(|| all().map(|all| all.bounding), Ok)?;
    let filter = Filter::compile(&profile, &Surroundings::here(bounding));
    filter.map(Some).map_err(|error| format!("filter the calls of the system: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_FOLDERS: &str = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}]}"#;

    #[test]
    fn the_tasks_profile_comes_before_the_agents_and_that_before_the_usual_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mine"), NO_FOLDERS).unwrap();
        std::fs::write(dir.path().join("all"), r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#).unwrap();
        let settings = |profile: Option<&str>| CallSettings {
            profiles: Some(dir.path().into()),
            profile: profile.map(Into::into),
        };
        let wanted = |profile: Option<&str>| Wanted {
            profile: profile.map(Into::into),
            ..Wanted::default()
        };
        let of = |settings: Option<&CallSettings>, wanted: &Wanted, has_root| {
            filter(settings, wanted, has_root, None).unwrap()
        };
        let plain = wanted(None);
        let usual = of(None, &plain, true);
        assert!(usual.is_some());
        assert_eq!(of(None, &plain, false), None);
        assert_eq!(of(Some(&settings(None)), &plain, true), usual);
        let mine = of(Some(&settings(Some("mine"))), &plain, false);
        assert!(mine.is_some() && mine != usual);
        assert_eq!(of(Some(&settings(Some("mine"))), &plain, true), mine);
        assert_eq!(of(Some(&settings(Some("all"))), &wanted(Some("mine")), true), mine);
        let free = Wanted { unconfined: true, ..Wanted::default() };
        assert_eq!(of(Some(&settings(Some("mine"))), &free, true), None);
    }

    #[test]
    fn a_profile_that_cannot_be_had_is_named_with_why() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("broken"), "{").unwrap();
        let settings = CallSettings { profiles: Some(dir.path().into()), profile: None };
        for (name, words) in [
            ("../mine", "not the name of a file in"),
            ("", "not the name of a file in"),
            ("none", "No such file"),
            ("broken", "is not of Docker's JSON format: EOF"),
        ] {
            let said = settings.read(name).unwrap_err();
            assert!(said.contains(words) && said.contains(&format!("'{name}'")), "{said}");
        }
        assert!(CallSettings::default().read("mine").unwrap_err().contains("--seccomp_config_dir"));
        let wanted = Wanted { profile: Some("mine".into()), ..Wanted::default() };
        let said = filter(None, &wanted, true, None).unwrap_err();
        assert!(said.contains("--isolation=linux/seccomp"), "{said}");
    }
}
