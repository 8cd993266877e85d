//! The users and groups that somebody who is not root may give to a namespace: `/etc/subuid` and `/etc/subgid`, which
//! `newuidmap` and `newgidmap` grant.

use std::path::Path;

use nix::unistd::{User, getegid, geteuid};

use crate::namespaces::{Range, UserMap};

/// What this process's user may map: itself as root, and the first range of each file after it. Alone, where there is none or
/// nothing that grants it.
pub fn user_map() -> UserMap {
    ranges().unwrap_or(UserMap::One)
}

fn ranges() -> Option<UserMap> {
    let found = |name: &str| {
        ["/usr/bin", "/bin", "/usr/local/bin"]
            .iter()
            .any(|folder| Path::new(folder).join(name).exists())
    };
    if !found("newuidmap") || !found("newgidmap") {
        return None;
    }
    let user = User::from_uid(geteuid()).ok()??;
    let read = |path: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        first(&text, &user.name, user.uid.as_raw())
    };
    let map = |own: u32, (outside, count): (u32, u32)| {
        vec![Range { inside: 0, outside: own, count: 1 }, Range { inside: 1, outside, count }]
    };
    let users = map(user.uid.as_raw(), read("/etc/subuid")?);
    let groups = map(getegid().as_raw(), read("/etc/subgid")?);
    Some(UserMap::Ranges { users, groups })
}

/// Its first and how many, of the first line of this user, by name or number.
fn first(text: &str, name: &str, number: u32) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut parts = line.trim().split(':');
        let who = parts.next()?;
        let is_it = who == name || who.parse() == Ok(number);
        let (outside, count) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (is_it && count > 0).then_some((outside, count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_range_of_the_user_is_taken() {
        let text = "# comment\nann:100000:65536\nbob:200000:0\n1001:300000:10\nbob:400000:5\n";
        assert_eq!(first(text, "ann", 1), Some((100_000, 65_536)));
        assert_eq!(first(text, "bob", 2), Some((400_000, 5)));
        assert_eq!(first(text, "eve", 1001), Some((300_000, 10)));
        assert_eq!(first(text, "eve", 7), None);
    }
}
