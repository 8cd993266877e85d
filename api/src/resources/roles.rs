//! What may be the name of a role, with the texts that Mesos refuses others with.

/// The role that is nobody's in particular.
pub(super) const EVERYBODY: &str = "*";

/// Why a text is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRole {
    /// Nothing was given.
    #[error("Role names cannot be the empty string")]
    Empty,
    /// It has no absolute form.
    #[error("Role '{0}' cannot start with a slash")]
    SlashFirst(String),
    /// It has nothing below it yet.
    #[error("Role '{0}' cannot end with a slash")]
    SlashLast(String),
    /// A part between them is empty.
    #[error("Role '{0}' cannot contain two adjacent slashes")]
    SlashTwice(String),
    /// A role is no path, and everybody's has none below it.
    #[error("Role '{role}' cannot include '{part}' as a component")]
    Part {
        /// The whole role.
        role: String,
        /// What is no part of one.
        part: String,
    },
    /// It would look like an option.
    #[error("Role component '{0}' is invalid because it starts with a dash")]
    Dash(String),
    /// It would fall apart in a list.
    #[error("Role component '{0}' is invalid because it contains backspace or whitespace")]
    White(String),
}

/// Whether a text may be the name of a role.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn check_role(role: &str) -> Result<(), BadRole> {
    if role == EVERYBODY {
        return Ok(());
    }
    if role.starts_with('/') {
        return Err(BadRole::SlashFirst(role.to_owned()));
    }
    if role.ends_with('/') {
        return Err(BadRole::SlashLast(role.to_owned()));
    }
    if role.contains("//") {
        return Err(BadRole::SlashTwice(role.to_owned()));
    }
    role.split('/').try_for_each(|part| check_part(role, part))
}

fn check_part(role: &str, part: &str) -> Result<(), BadRole> {
    let white = |c: char| matches!(c, '\t'..='\r' | ' ' | '\x7f');
    match part {
        "" => Err(BadRole::Empty),
        "." | ".." | EVERYBODY => {
            Err(BadRole::Part { role: role.to_owned(), part: part.to_owned() })
        }
        part if part.starts_with('-') => Err(BadRole::Dash(part.to_owned())),
        part if part.contains(white) => Err(BadRole::White(part.to_owned())),
        _ => Ok(()),
    }
}

/// Whether a role is within another and not that one itself.
pub fn is_strictly_below(role: &str, above: &str) -> bool {
    role.strip_prefix(above).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_refused_in_the_words_of_mesos() {
        for good in ["*", "web", "eng/web", "a-b", "über", "a.b", "a*b"] {
            assert_eq!(check_role(good), Ok(()), "{good}");
        }
        for (bad, text) in [
            ("", "Role names cannot be the empty string"),
            ("/a", "Role '/a' cannot start with a slash"),
            ("/", "Role '/' cannot start with a slash"),
            ("a/", "Role 'a/' cannot end with a slash"),
            ("a//b", "Role 'a//b' cannot contain two adjacent slashes"),
            (".", "Role '.' cannot include '.' as a component"),
            ("a/..", "Role 'a/..' cannot include '..' as a component"),
            ("a/*/b", "Role 'a/*/b' cannot include '*' as a component"),
            ("a/-b", "Role component '-b' is invalid because it starts with a dash"),
            (
                "a/b c",
                "Role component 'b c' is invalid because it contains backspace or whitespace",
            ),
            (
                "a\x7f",
                "Role component 'a\x7f' is invalid because it contains backspace or whitespace",
            ),
        ] {
            assert_eq!(check_role(bad).expect_err(bad).to_string(), text);
        }
    }

    #[test]
    fn a_role_is_below_another_by_whole_parts() {
        assert!(is_strictly_below("a/b", "a") && is_strictly_below("a/b/c", "a"));
        for (role, above) in [("a", "a"), ("ab", "a"), ("a", "a/b"), ("a/", "a"), ("b/a", "a")] {
            assert!(!is_strictly_below(role, above), "{role} {above}");
        }
    }
}
