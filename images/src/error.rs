//! Why a pull failed. Each cause has a variant and words of its own, so that people know what to do and programs
//! need not read words.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::digest::Digest;
use crate::manifest::BadManifest;
use crate::reference::Reference;
use crate::tarball::BadArchive;
use crate::unpack::BadLayer;

/// A pull that failed. All who waited for it hear the same.
#[derive(Clone, Debug)]
pub struct PullError {
    /// Of what.
    pub reference: Reference,
    /// Why.
    pub failure: Arc<Failure>,
}

impl fmt::Display for PullError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot pull {}", self.reference)
    }
}

impl std::error::Error for PullError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.failure)
    }
}

/// What can go wrong. `what` is the manifest, the configuration or a layer; `host` the registry or mirror that was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// 404.
    #[error("{host} has no {what}; check its name and tag")]
    NotFound {
        /// Who was asked.
        host: String,
        /// For what.
        what: String,
    },
    /// 401, and there is nothing to say.
    #[error(
        "{host} wants to know who asks for {what}, and there are no credentials for it; add them to the docker config"
    )]
    Unauthorised {
        /// Who was asked.
        host: String,
        /// For what.
        what: String,
    },
    /// 401 in spite of credentials.
    #[error(
        "{host} does not take the credentials for {what}; check user and password in the docker config"
    )]
    WrongCredentials {
        /// Who was asked.
        host: String,
        /// For what.
        what: String,
    },
    /// A challenge that cannot be answered, or a token server that gives no token.
    #[error("{host} wants to know who asks in a way that cannot be answered: {why}")]
    NoToken {
        /// Who was asked.
        host: String,
        /// What is wrong.
        why: String,
    },
    /// 403.
    #[error("{host} forbids us {what}; ask its owner for access")]
    Forbidden {
        /// Who was asked.
        host: String,
        /// For what.
        what: String,
    },
    /// 429, again and again, or with a longer wait than is sensible.
    #[error("{host} has had too many requests of us for {what}{}; try again later, or give credentials or a mirror", Wait(.wait))]
    RateLimited {
        /// Who was asked.
        host: String,
        /// For what.
        what: String,
        /// How long it says to wait.
        wait: Option<Duration>,
    },
    /// 5xx, again and again.
    #[error("{host} is broken: it answers {what} with status {status}")]
    ServerError {
        /// Who was asked.
        host: String,
        /// For what.
        what: String,
        /// Its words.
        status: u16,
    },
    /// Another status than those that registries give.
    #[error("{host} answers {what} with status {status}, which a registry does not; is it one?")]
    Unexpected {
        /// Who was asked.
        host: String,
        /// For what.
        what: String,
        /// Its words.
        status: u16,
    },
    /// No connection.
    #[error("{host} cannot be reached")]
    Unreachable {
        /// Who was asked.
        host: String,
        /// How.
        source: reqwest::Error,
    },
    /// Its certificate is signed by nobody whom we trust, or for another name.
    #[error(
        "{host} shows a certificate that is not trusted; name the file of its authority in the settings"
    )]
    Untrusted {
        /// Who was asked.
        host: String,
        /// How.
        source: reqwest::Error,
    },
    /// It would have to be spoken to without TLS, or leads there.
    #[error(
        "{host} would have {what} fetched without TLS, which is for this machine only; allow the host in the settings"
    )]
    PlainHttp {
        /// Who.
        host: String,
        /// For what.
        what: String,
    },
    /// The connection broke.
    #[error("the connection to {host} broke at byte {at} of {what}")]
    Reset {
        /// Who was asked.
        host: String,
        /// For what.
        what: String,
        /// How much had come.
        at: u64,
        /// How.
        source: reqwest::Error,
    },
    /// Nothing came for too long.
    #[error("{host} hangs: nothing came for {seconds} s at byte {at} of {what}", seconds = .after.as_secs_f64())]
    Stalled {
        /// Who was asked.
        host: String,
        /// For what.
        what: String,
        /// How much had come.
        at: u64,
        /// The time-out.
        after: Duration,
    },
    /// Only images for other machines.
    #[error("no such platform: the image is not for {wanted}; it is for {}", List(.offered))]
    NoSuchPlatform {
        /// This machine.
        wanted: String,
        /// What there is.
        offered: Vec<String>,
    },
    /// The bytes are others than were asked for.
    #[error("{what} does not match its digest: it should be {expected} and is {found}")]
    DigestMismatch {
        /// Manifest, configuration or layer.
        what: String,
        /// As the reference, the manifest or the configuration says.
        expected: Digest,
        /// As computed.
        found: Digest,
    },
    /// The bytes are more or fewer than was said.
    #[error(
        "{what} does not have the size that the manifest says: it should be {expected} bytes and is {found}"
    )]
    SizeMismatch {
        /// Configuration or layer.
        what: String,
        /// In bytes, as the manifest says.
        expected: u64,
        /// In bytes, as sent or announced.
        found: u64,
    },
    /// Over a limit.
    #[error("{what} is too large: {found} bytes or more, and the limit is {most}")]
    TooLarge {
        /// Manifest, configuration or layer.
        what: String,
        /// In bytes, as far as was read or said.
        found: u64,
        /// In bytes.
        most: u64,
    },
    /// A manifest or configuration that makes no sense.
    #[error("{what} is bad")]
    BadManifest {
        /// Which.
        what: String,
        /// How.
        source: BadManifest,
    },
    /// A layer that cannot be unpacked.
    #[error("layer {digest} cannot be unpacked")]
    Layer {
        /// Unpacked.
        digest: Digest,
        /// How.
        source: BadLayer,
    },
    /// No room.
    #[error("the disk of {path} is full; make room, or collect images that are not used")]
    DiskFull {
        /// The store.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store cannot be written or read.
    #[error("cannot {what} {path} of the image store")]
    Store {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A layout, archive or folder that is not there or not readable.
    #[error("cannot read {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A layout or archive without what was asked for.
    #[error("{path} has no image {wanted:?}; it has {}", List(.offered))]
    NoSuchImage {
        /// Which.
        path: PathBuf,
        /// As asked for; empty where nothing was and there is not exactly one.
        wanted: String,
        /// What there is.
        offered: Vec<String>,
    },
    /// A layout that is none.
    #[error("{path} is not as it should be: {why}")]
    NotAnImage {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// A `docker save` file that cannot be read.
    #[error("the archive {path} is bad")]
    Archive {
        /// Which.
        path: PathBuf,
        /// How.
        source: BadArchive,
    },
    /// The pull ended without an outcome, which is a mistake of ours.
    #[error("the pull ended without an outcome, which is a mistake in Airside")]
    Abandoned,
}

impl Failure {
    /// Something that the store could not do; a full disk is told apart.
    pub(crate) fn store(what: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if is_full(&source) {
            Self::DiskFull { path, source }
        } else {
            Self::Store { what, path, source }
        }
    }

    /// A layer that could not be unpacked into `store`.
    pub(crate) fn layer(digest: Digest, store: &Path, source: BadLayer) -> Self {
        if let BadLayer::Write { source, .. } = &source
            && let Some(code) = source.raw_os_error().filter(|_| is_full(source))
        {
            return Self::DiskFull {
                path: store.to_owned(),
                source: io::Error::from_raw_os_error(code),
            };
        }
        Self::Layer { digest, source }
    }

    /// Whether the same request may go well in a while. `moved` says that some of what was asked for came before.
    pub(crate) fn may_pass(&self, moved: bool) -> bool {
        let passes = matches!(
            self,
            Self::RateLimited { .. }
                | Self::ServerError { .. }
                | Self::Unreachable { .. }
                | Self::Reset { .. }
        );
        passes || moved && matches!(self, Self::Stalled { .. })
    }

    /// How long a registry says to wait.
    pub(crate) fn asked_wait(&self) -> Option<Duration> {
        if let Self::RateLimited { wait, .. } = self { *wait } else { None }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

struct Wait<'a>(&'a Option<Duration>);

impl fmt::Display for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|wait| write!(f, " and says to wait {} s", wait.as_secs()))
    }
}

struct List<'a>(&'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("none") } else { f.write_str(&self.0.join(", ")) }
    }
}
