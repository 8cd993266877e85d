//! Principals and their secrets, from a file as operators of Mesos write it: JSON, or a line for each.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// The most bytes of a file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Principals, each with the digest of its secret: that is enough to know a secret, and of one length.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(BTreeMap<String, Digest>);

type Digest = [u8; 32];

fn digest(secret: &[u8]) -> Digest {
    Sha256::digest(secret).into()
}

/// Why a file has no credentials. None of these shows what the file says.
#[derive(Debug, thiserror::Error)]
pub enum BadCredentials {
    /// It cannot be read.
    #[error("cannot read the credentials in {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is too long, or no text, or says something else.
    #[error(
        "{path} holds no credentials: {why}; write {{\"credentials\": [{{\"principal\": \"…\", \"secret\": \"…\"}}]}}, or a line 'principal secret' for each"
    )]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: Wrong,
    },
}

/// What is wrong with a text of credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// More than is read.
    #[error("it is longer than {FILE_BYTES_MAX} bytes")]
    Long,
    /// Bytes.
    #[error("it is no text of UTF-8")]
    NoText,
    /// Broken, or of another shape.
    #[error("its JSON makes no sense at line {0}, column {1}")]
    Json(usize, usize),
    /// Not two words.
    #[error("line {0} is not a principal and a secret with a space between them")]
    Line(usize),
    /// It would let in whoever says it.
    #[error("one of its principals is empty")]
    NoPrincipal,
    /// Likewise.
    #[error("'{0}' has no secret")]
    NoSecret(String),
    /// Nobody could say which one is meant.
    #[error("'{0}' has two secrets that differ")]
    Twice(String),
    /// Basic authentication ends the principal there.
    #[error("'{0}' has a colon in it, which HTTP's basic authentication has no room for")]
    Colon(String),
    /// Nobody could come in.
    #[error("nobody is in it")]
    Nobody,
}

#[derive(Deserialize)]
struct Written {
    credentials: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    principal: String,
    #[serde(default)]
    secret: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials of {} principals", self.0.len())
    }
}

impl Credentials {
    /// Those in a file. If others than its owner may use it, that is said in the log.
    ///
    /// # Errors
    ///
    /// See [`BadCredentials`].
    pub fn read(path: &Path) -> Result<Self, BadCredentials> {
        let failed = |source| BadCredentials::Read { path: path.to_owned(), source };
        let wrong = |why| BadCredentials::Text { path: path.to_owned(), why };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(wrong(Wrong::Long));
        }
        let text = String::from_utf8(bytes).map_err(|_| wrong(Wrong::NoText))?;
        let read = text.parse().map_err(wrong)?;
        if let Some(words) = too_open(path, mode) {
            tracing::warn!("{words}");
        }
        Ok(read)
    }

    /// Whether this is the principal's secret. It takes as long whether somebody has the principal or not, and wherever the
    /// secrets differ.
    pub(crate) fn knows(&self, principal: &str, secret: &[u8]) -> bool {
        let known = self.0.get(principal);
        let same: bool = known.unwrap_or(&[0; 32]).ct_eq(&digest(secret)).into();
        same && known.is_some()
    }

    fn of(all: impl IntoIterator<Item = One>) -> Result<Self, Wrong> {
        let mut known = BTreeMap::new();
        for One { principal, secret } in all {
            match (principal.is_empty(), secret.is_empty()) {
                (true, _) => return Err(Wrong::NoPrincipal),
                (false, true) => return Err(Wrong::NoSecret(principal)),
                (false, false) => (),
            }
            if principal.contains(':') {
                return Err(Wrong::Colon(principal));
            }
            let secret = digest(secret.as_bytes());
            match known.entry(principal) {
                Entry::Vacant(free) => drop(free.insert(secret)),
                Entry::Occupied(taken) if *taken.get() == secret => (),
                Entry::Occupied(taken) => return Err(Wrong::Twice(taken.key().clone())),
            }
        }
        if known.is_empty() { Err(Wrong::Nobody) } else { Ok(Self(known)) }
    }
}

impl std::str::FromStr for Credentials {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        if text.trim_start().starts_with('{') {
            // What the parser says of a value may show it.
            let read: Written =
                serde_json::from_str(text).map_err(|bad| Wrong::Json(bad.line(), bad.column()))?;
            return Self::of(read.credentials);
        }
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let read = lines.map(|(n, line)| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [principal, secret] => {
                    Ok(One { principal: principal.to_owned(), secret: secret.to_owned() })
                }
                _ => Err(Wrong::Line(n + 1)),
            }
        });
        Self::of(read.collect::<Result<Vec<_>, _>>()?)
    }
}

fn too_open(path: &Path, mode: u32) -> Option<String> {
    let path = path.display();
    let words = format!(
        "others than its owner may read the credentials in {path} (mode {:03o}); take that away with `chmod 600 {path}`",
        mode & 0o777
    );
    (mode & 0o077 != 0).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"credentials": [{"principal": "ops", "secret": "s3cret"},
        {"principal": "batch", "secret": "other"}]}"#;

    #[test]
    fn auth_11_credentials_are_read_as_json_and_as_old_lines() {
        let json: Credentials = JSON.parse().unwrap();
        let lines: Credentials = "ops s3cret\n\n  batch   other \n".parse().unwrap();
        assert_eq!(json, lines);
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("json", JSON), ("lines", "ops s3cret\nbatch other")] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let read = Credentials::read(&path).unwrap();
            assert!(read.knows("ops", b"s3cret") && read.knows("batch", b"other"), "{name}");
            assert!(!read.knows("ops", b"other") && !read.knows("ops", b"s3cre"), "{name}");
            assert!(!read.knows("nobody", b"s3cret") && !read.knows("ops", b""), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_a_secret() {
        for (text, why) in [
            (r#"{"credentials": [{"principal": "ops", "secret": 5317}]}"#, Wrong::Json(1, 52)),
            (r#"{"credentials": ["#, Wrong::Json(1, 17)),
            (r#"{"credential": []}"#, Wrong::Json(1, 18)),
            (r#"{"credentials": []}"#, Wrong::Nobody),
            (r#"{"credentials": [{"principal": "ops"}]}"#, Wrong::NoSecret("ops".into())),
            (r#"{"credentials": [{"principal": "", "secret": "5317"}]}"#, Wrong::NoPrincipal),
            ("", Wrong::Nobody),
            ("ops 5317\nops 5318", Wrong::Twice("ops".into())),
            ("ops 5317\nbatch", Wrong::Line(2)),
            ("ops 5317 5317", Wrong::Line(1)),
            ("a:b 5317", Wrong::Colon("a:b".into())),
        ] {
            let read = text.parse::<Credentials>();
            assert_eq!(read.as_ref().err(), Some(&why), "{text}");
            assert!(!why.to_string().contains("5317"), "{why}");
        }
        assert!("ops x\nops x".parse::<Credentials>().is_ok(), "the same twice is no matter");
        let shown = format!("{:?}", JSON.parse::<Credentials>().unwrap());
        assert_eq!(shown, "Credentials of 2 principals");
    }

    #[test]
    fn a_file_that_cannot_be_read_or_is_too_long_is_named() {
        let missing = Credentials::read(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(missing.to_string(), "cannot read the credentials in /nowhere/at/all");
        let endless = Credentials::read(Path::new("/dev/zero")).unwrap_err().to_string();
        let begins = "/dev/zero holds no credentials: it is longer than 1048576 bytes; write ";
        assert!(endless.starts_with(begins), "{endless}");
    }

    #[test]
    fn a_file_that_others_may_read_is_named() {
        assert_eq!(too_open(Path::new("/c"), 0o100600), None);
        let words = too_open(Path::new("/c"), 0o100640).unwrap();
        let expected = "others than its owner may read the credentials in /c (mode 640); take that away with `chmod 600 /c`";
        assert_eq!(words, expected);
    }
}
