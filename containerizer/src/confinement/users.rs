//! Users and groups by name, as the root's own files have them: the program of an image is not to be whoever has its name on
//! the host. Read, not asked of the system's library, which would look where the host's settings say.

use std::fs;
use std::io;

use super::identity::UserSpec;
use super::{ConfineError, Tried};

/// No such file is larger; what is after that is not looked at.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Who that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) user: u32,
    pub(super) group: u32,
    pub(super) groups: Vec<u32>,
}

/// Looks it up in this process's root.
pub(super) fn find(spec: &UserSpec) -> Result<Ids, ConfineError> {
    match spec {
        UserSpec::Numbers { user, group, groups } => {
            Ok(Ids { user: *user, group: *group, groups: groups.clone() })
        }
        UserSpec::Named(text) => named(text, &read("/etc/passwd")?, &read("/etc/group")?),
    }
}

/// Nothing where there is no such file.
fn read(path: &str) -> Result<String, ConfineError> {
    let text = fs::File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, FILE_BYTES_MAX), &mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    });
    match text {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        other => other.tried(|| format!("read the container's {path}")),
    }
}

/// Of the form of `passwd(5)` and `group(5)`.
fn named(text: &str, passwd: &str, group: &str) -> Result<Ids, ConfineError> {
    let (user, wanted_group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let people: Vec<_> = passwd.lines().map(fields).filter(|line| line.len() >= 4).collect();
    let groups: Vec<_> = group.lines().map(fields).filter(|line| line.len() >= 3).collect();
    let person = people.iter().find(|line| line[0] == user).or_else(|| {
        let number: u32 = user.parse().ok()?;
        people.iter().find(|line| line[2].parse() == Ok(number))
    });
    let unknown = |what: &str, name: &str, file: &str| {
        ConfineError::Refused(format!(
            "{what} '{name}' is unknown: {file} of the container has no such line; give a number, or a name that it has"
        ))
    };
    let bad = || unknown("user", user, "/etc/passwd");
    let number = match person {
        Some(line) => line[2].parse().map_err(|_| bad())?,
        None => user.parse().map_err(|_| bad())?,
    };
    if let Some(name) = wanted_group {
        let found = groups.iter().find(|line| line[0] == name);
        let found = found.map_or(name, |line| &line[2]);
        let group = found.parse().map_err(|_| unknown("group", name, "/etc/group"))?;
        return Ok(Ids { user: number, group, groups: Vec::new() });
    }
    let own = person.and_then(|line| line[3].parse().ok()).unwrap_or(0);
    let is_member = |line: &&Vec<String>| {
        let members = line.get(3).map(String::as_str).unwrap_or_default();
        person.is_some_and(|person| members.split(',').any(|member| member == person[0]))
    };
    let more = groups.iter().filter(is_member).filter_map(|line| line[2].parse().ok());
    Ok(Ids { user: number, group: own, groups: more.filter(|group| *group != own).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\nbroken\n";
    const GROUP: &str = "root:x:0:\napp:x:1000:\nwheel:x:10:root,app\nadm:x:4:appendix\n";

    fn ids(user: u32, group: u32, groups: &[u32]) -> Ids {
        Ids { user, group, groups: groups.to_vec() }
    }

    #[test]
    fn a_name_has_the_groups_of_the_containers_own_files() {
        let find = |text| named(text, PASSWD, GROUP).unwrap();
        assert_eq!(find("app"), ids(1000, 1000, &[10]));
        assert_eq!(find("1000"), ids(1000, 1000, &[10]));
        assert_eq!(find("app:wheel"), ids(1000, 10, &[]));
        assert_eq!(find("7:8"), ids(7, 8, &[]));
        assert_eq!(find("7"), ids(7, 0, &[]));
        assert_eq!(named("7", "", "").unwrap(), ids(7, 0, &[]));
    }

    #[test]
    fn an_unknown_name_is_refused_in_words() {
        for (text, word) in
            [("nobody", "user 'nobody'"), ("app:dev", "group 'dev'"), ("", "user ''")]
        {
            let words = named(text, PASSWD, GROUP).unwrap_err().to_string();
            assert!(words.contains(word), "{words}");
        }
    }
}
