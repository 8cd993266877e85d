//! Names and passwords for registries, in the form of Docker's `config.json`. Pure. Nothing here is ever shown: `Debug`
//! tells which registries there are words for, not the words.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::reference::DOCKER_HUB;

/// Where Docker keeps the words for its own registry.
const DOCKER_HUB_KEYS: [&str; 3] = ["index.docker.io", "registry-1.docker.io", DOCKER_HUB];

/// By registry.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Credentials {
    by_host: BTreeMap<String, Login>,
}

/// How to say who one is at one registry.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Login {
    Password {
        user: String,
        password: String,
    },
    /// For a token server, instead of a password.
    IdentityToken(String),
}

/// Why a text is no `config.json`.
#[derive(Debug, thiserror::Error)]
pub enum BadCredentials {
    /// Not JSON, or of another shape.
    #[error("the credentials are not in the form of Docker's config.json")]
    Json {
        /// Where. The text itself is secret.
        source: serde_json::Error,
    },
    /// `auth` is not the base64 of `user:password`.
    #[error("the credentials for {registry} are not the base64 of user:password")]
    Auth {
        /// For whom they are.
        registry: String,
    },
}

#[derive(Default, Deserialize)]
struct RawConfig {
    #[serde(default)]
    auths: BTreeMap<String, RawAuth>,
}

#[derive(Deserialize)]
struct RawAuth {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
}

impl Credentials {
    /// For nobody.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads Docker's `config.json`, or its older form without `auths` around. Helpers (`credsStore`) are other
    /// programs and not asked.
    ///
    /// # Errors
    /// If it is of no such form; the error repeats no secret.
    pub fn from_docker_config(text: &str) -> Result<Self, BadCredentials> {
        let json = |source: serde_json::Error| BadCredentials::Json { source };
        let value: serde_json::Value = serde_json::from_str(text).map_err(json)?;
        let is_new = value.get("auths").is_some() || value.get("credsStore").is_some();
        let auths = if is_new || value.as_object().is_some_and(serde_json::Map::is_empty) {
            serde_json::from_value::<RawConfig>(value).map_err(json)?.auths
        } else {
            serde_json::from_value(value).map_err(json)?
        };
        let mut by_host = BTreeMap::new();
        for (key, auth) in auths {
            if let Some(login) = login(&key, auth)? {
                by_host.insert(host_of(&key), login);
            }
        }
        Ok(Self { by_host })
    }

    /// One name and password for one registry, written as in references.
    #[must_use]
    pub fn with_password(mut self, registry: &str, user: &str, password: &str) -> Self {
        let login = Login::Password { user: user.into(), password: password.into() };
        self.by_host.insert(host_of(registry), login);
        self
    }

    /// Those for one registry.
    pub(crate) fn login(&self, registry: &str) -> Option<&Login> {
        self.by_host.get(&host_of(registry))
    }
}

fn login(key: &str, auth: RawAuth) -> Result<Option<Login>, BadCredentials> {
    if !auth.identitytoken.is_empty() {
        return Ok(Some(Login::IdentityToken(auth.identitytoken)));
    }
    if auth.auth.is_empty() {
        let RawAuth { username: user, password, .. } = auth;
        return Ok((!user.is_empty()).then_some(Login::Password { user, password }));
    }
    let bad = || BadCredentials::Auth { registry: key.to_owned() };
    let bytes = STANDARD.decode(auth.auth.trim()).map_err(|_| bad())?;
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    let (user, password) = text.split_once(':').ok_or_else(bad)?;
    // Docker pads with zero bytes.
    let password = password.trim_end_matches('\0').to_owned();
    Ok(Some(Login::Password { user: user.to_owned(), password }))
}

/// Keys are hosts, or URLs of older days: `https://index.docker.io/v1/`.
fn host_of(key: &str) -> String {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest).to_ascii_lowercase();
    if DOCKER_HUB_KEYS.contains(&host.as_str()) { DOCKER_HUB.into() } else { host }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials for {:?}", self.by_host.keys())
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn password(user: &str, password: &str) -> Login {
        Login::Password { user: user.into(), password: password.into() }
    }

    #[test]
    fn img_01_dockers_file_is_read_in_both_forms() {
        let auth = STANDARD.encode("me:pass:word");
        let new = format!(
            r#"{{"auths":{{"h:5000":{{"auth":"{auth}"}},"https://index.docker.io/v1/":{{"identitytoken":"t"}}}}}}"#
        );
        let credentials = Credentials::from_docker_config(&new).unwrap();
        assert_eq!(credentials.login("h:5000"), Some(&password("me", "pass:word")));
        assert_eq!(credentials.login("docker.io"), Some(&Login::IdentityToken("t".into())));
        assert_eq!(credentials.login("h"), None);
        let old = format!(r#"{{"https://h:5000/v1/":{{"auth":"{auth}","email":"x"}}}}"#);
        let credentials = Credentials::from_docker_config(&old).unwrap();
        assert_eq!(credentials.login("h:5000"), Some(&password("me", "pass:word")));
    }

    #[test]
    fn entries_without_words_are_none() {
        let text = r#"{"auths":{"h":{}},"credsStore":"desktop"}"#;
        assert_eq!(Credentials::from_docker_config(text).unwrap(), Credentials::none());
        assert_eq!(Credentials::from_docker_config("{}").unwrap(), Credentials::none());
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        let text = r#"{"auths":{"h":{"auth":"c2VjcmV0"}}}"#;
        let error = Credentials::from_docker_config(text).unwrap_err().to_string();
        assert!(error.contains("for h ") && !error.contains("c2VjcmV0"), "{error}");
        assert!(matches!(Credentials::from_docker_config("["), Err(BadCredentials::Json { .. })));
        let credentials = Credentials::none().with_password("h", "me", "secret");
        assert!(!format!("{credentials:?} {:?}", credentials.login("h")).contains("secret"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let _ = Credentials::from_docker_config(&text);
        }
    }
}
