//! Who tasks run as: known here, and somebody the agent may become; and whether that user can reach its sandbox.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{User, geteuid};

use crate::logic::StartFailure;
use crate::sandboxes::{MORE_DESCRIPTORS, no_descriptors};

/// The user to become; `None` if that is the agent's own.
pub(crate) fn resolve(name: Option<&str>) -> Result<Option<User>, StartFailure> {
    let Some(name) = name else {
        return Ok(None);
    };
    let known = match User::from_name(name) {
        Ok(known) => known,
        Err(error) => {
            // Not the task's fault, so not said as if it were.
            let error = std::io::Error::from(error);
            let advice = if no_descriptors(&error) { MORE_DESCRIPTORS } else { "" };
            let words = format!("cannot look up user '{name}': {error}{advice}");
            return Err(StartFailure::Program(words));
        }
    };
    let Some(user) = known else {
        let words = format!(
            "user '{name}' is unknown on the agent; create it there, or run the task as another user"
        );
        return Err(StartFailure::User(words));
    };
    let me = geteuid();
    if user.uid == me {
        return Ok(None);
    }
    if !me.is_root() {
        let own = User::from_uid(me).ok().flatten().map_or_else(|| me.to_string(), |me| me.name);
        let words = format!(
            "the agent runs as '{own}' and cannot run a task as '{name}'; run the task as '{own}', or start the agent as root"
        );
        return Err(StartFailure::User(words));
    }
    Ok(Some(user))
}

/// The first folder on the way to `path` that the user may not enter.
pub(crate) fn barred<'p>(path: &'p Path, user: &User) -> Option<&'p Path> {
    let may_enter = |folder: &Path| {
        let Ok(metadata) = folder.metadata() else {
            return false;
        };
        let bit = if metadata.uid() == user.uid.as_raw() {
            0o100
        } else if metadata.gid() == user.gid.as_raw() {
            0o010
        } else {
            0o001
        };
        metadata.mode() & bit != 0
    };
    path.ancestors()
        .filter(|folder| !folder.as_os_str().is_empty())
        .find(|folder| !may_enter(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_user_is_named_with_what_to_do() {
        let Err(StartFailure::User(words)) = resolve(Some("no-such-user")) else {
            panic!("nobody is called that");
        };
        assert!(words.contains("'no-such-user' is unknown on the agent; create it"), "{words}");
        assert!(resolve(None).unwrap().is_none());
        let me = User::from_uid(geteuid()).unwrap().unwrap();
        assert!(resolve(Some(&me.name)).unwrap().is_none());
    }

    #[test]
    fn a_folder_that_a_user_cannot_enter_is_found() {
        use std::os::unix::fs::PermissionsExt;
        let Some(nobody) = User::from_name("nobody").unwrap() else { return };
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(barred(&inner, &nobody), Some(dir.path()));
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(barred(&inner, &nobody), None);
    }
}
