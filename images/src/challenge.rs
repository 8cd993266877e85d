//! What a registry wants to see of us: the `WWW-Authenticate` header of a 401, and the answer of a token server. Pure.

use serde::Deserialize;

/// One way to say who one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token, fetched elsewhere.
    Bearer {
        /// The token server's URL.
        realm: String,
        service: Option<String>,
        /// As the registry wants it; absent with some, which leave it to us.
        scope: Option<String>,
    },
}

impl Challenge {
    /// The strongest challenge that we know in a header: a token before a password.
    pub(crate) fn read(header: &str) -> Option<Self> {
        let challenges = split(header);
        let named =
            |name: &str| challenges.iter().find(|(scheme, _)| scheme.eq_ignore_ascii_case(name));
        if let Some((_, parameters)) = named("bearer") {
            let value = |name: &str| {
                let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone())
            };
            let (service, scope) = (value("service"), value("scope"));
            return value("realm").map(|realm| Self::Bearer { realm, service, scope });
        }
        named("basic").map(|_| Self::Basic)
    }
}

type Parameters = Vec<(String, String)>;

/// `Scheme key=value, key="quoted", Scheme key=value`.
fn split(header: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let end = rest.find([' ', '=', ',', '\t']).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        rest = match tail.trim_start_matches([' ', '\t']).strip_prefix('=') {
            Some(value) => {
                let (value, tail) = one_value(value.trim_start_matches([' ', '\t']));
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.push((word.to_owned(), value));
                }
                tail
            }
            None => {
                found.push((word.to_owned(), Vec::new()));
                tail
            }
        };
        rest = rest.trim_start_matches([' ', ',', '\t']);
    }
    found
}

/// A value, quoted or not, and what follows.
fn one_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// What a token server answers.
#[derive(Deserialize)]
struct RawToken {
    token: Option<String>,
    access_token: Option<String>,
}

/// The token in it. For how long it is good does not matter: one that is refused is asked for anew.
pub(crate) fn read_token(bytes: &[u8]) -> Option<String> {
    let raw: RawToken = serde_json::from_slice(bytes).ok()?;
    raw.token.or(raw.access_token).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let [service, scope] = [service, scope].map(|text| text.map(str::to_owned));
        Some(Challenge::Bearer { realm: realm.into(), service, scope })
    }

    #[test]
    fn challenges_are_read() {
        let header = r#"Bearer realm="https://a/token",service="r",scope="repository:x:pull,push""#;
        assert_eq!(
            Challenge::read(header),
            bearer("https://a/token", Some("r"), Some("repository:x:pull,push"))
        );
        assert_eq!(Challenge::read("Basic realm=\"r\""), Some(Challenge::Basic));
        assert_eq!(Challenge::read("bearer realm=x"), bearer("x", None, None));
        assert_eq!(
            Challenge::read(r#"Basic realm="a, b", Bearer realm="c\"d""#),
            bearer("c\"d", None, None)
        );
    }

    #[test]
    fn what_cannot_be_answered_is_none() {
        for header in ["", "Negotiate", "Bearer", "Bearer service=x", "=,=", "realm=x"] {
            assert_eq!(Challenge::read(header), None, "{header}");
        }
    }

    #[test]
    fn both_names_of_a_token_are_known() {
        assert_eq!(read_token(br#"{"token":"t"}"#).as_deref(), Some("t"));
        assert_eq!(read_token(br#"{"access_token":"t","expires_in":300}"#).as_deref(), Some("t"));
        assert_eq!(read_token(b"{}"), None);
        assert_eq!(read_token(br#"{"token":""}"#), None);
    }

    proptest! {
        #[test]
        fn no_header_panics_or_hangs(header: String) {
            let _ = Challenge::read(&header);
        }

        #[test]
        fn quoted_values_come_back(realm in "[^\\x00]{1,20}") {
            let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assert_eq!(Challenge::read(&format!("Bearer realm=\"{quoted}\"")), bearer(&realm, None, None));
        }
    }
}
