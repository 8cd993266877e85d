//! Where an ensemble is and which path of it is ours: `zk://[user:password@]host[:port],…/path`, the same as `zks://…/path?ca=FILE`
//! if its servers speak TLS, or `file:///…` that holds such a URL. What it shows of itself never holds the password.

mod tls;

use std::fmt;
use std::path::{Path, PathBuf};

pub use tls::Tls;

/// Of an ensemble.
const SCHEME: &str = "zk://";
/// Of one whose servers speak TLS.
const TLS_SCHEME: &str = "zks://";
/// Of a file that holds a URL.
const FILE_SCHEME: &str = "file://";

/// ZooKeeper's own, for hosts that name none.
const PORT: u16 = 2181;

/// A file may name a file; more of them than this name each other.
const FILES_MAX: usize = 8;

/// An ensemble, a path of it, and who we are there.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    credentials: Option<String>,
    hosts: Vec<String>,
    path: String,
    tls: Option<Tls>,
    /// The file it was read from is what may be shown.
    file: Option<PathBuf>,
}

/// Why a text is no such URL. None of these holds a password.
#[derive(Debug, thiserror::Error)]
pub enum BadUrl {
    /// It begins with something else.
    #[error(
        "'{0}' is no ZooKeeper URL: write zk://host:port,host:port/path, zks://… if the servers speak TLS, or file:///path/of/a/file"
    )]
    Scheme(String),
    /// The root of an ensemble belongs to everybody.
    #[error(
        "the ZooKeeper URL names no path of its own: write zk://host:port/path, for example zk://…/airside ('/' is not supported)"
    )]
    NoPath,
    /// ZooKeeper would refuse the path.
    #[error("'{path}' is no path of ZooKeeper: {reason}")]
    Path {
        /// As it was given.
        path: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// There must be a host.
    #[error("the ZooKeeper URL names no host before its path")]
    NoHost,
    /// One of the hosts is none.
    #[error("'{0}' is no host of a ZooKeeper URL: write host or host:port")]
    Host(String),
    /// ZooKeeper's digest wants both.
    #[error("the credentials of the ZooKeeper URL are not of the form user:password")]
    Credentials,
    /// What it says about TLS is no use.
    #[error(
        "{reason}: write zks://host:port/path?ca=FILE with the certificates (PEM) that those of the servers are signed with, and &cert=FILE&key=FILE behind it if they ask for ours"
    )]
    Tls {
        /// What is wrong.
        reason: String,
    },
    /// The file cannot be read.
    #[error("failed to read the ZooKeeper URL from {path}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Files name files.
    #[error("{0} and the files that it names hold no ZooKeeper URL, only names of each other")]
    Files(PathBuf),
}

impl Url {
    /// Whether a text means to be such a URL.
    pub(crate) fn is_meant_by(text: &str) -> bool {
        [SCHEME, TLS_SCHEME, FILE_SCHEME].iter().any(|scheme| text.starts_with(scheme))
    }

    /// Reads a URL; one of a file is read from that file.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let mut text = text.trim().to_owned();
        let mut first = None;
        for _ in 0..FILES_MAX {
            let Some(path) = text.strip_prefix(FILE_SCHEME).map(PathBuf::from) else {
                return Ok(Self { file: first, ..Self::parse_direct(&text)? });
            };
            first.get_or_insert_with(|| path.clone());
            text = match std::fs::read_to_string(&path) {
                Ok(read) => read.trim().to_owned(),
                Err(source) => return Err(BadUrl::File { path, source }),
            };
        }
        Err(BadUrl::Files(first.unwrap_or_default()))
    }

    fn parse_direct(text: &str) -> Result<Self, BadUrl> {
        let (rest, tls) = match (text.strip_prefix(SCHEME), text.strip_prefix(TLS_SCHEME)) {
            (Some(rest), _) => (rest, None),
            (None, Some(rest)) => {
                let (rest, words) = rest.split_once('?').unwrap_or((rest, ""));
                (rest, Some(Tls::parse(words)?))
            }
            (None, None) => return Err(BadUrl::Scheme(without_credentials(text))),
        };
        let (front, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (credentials, hosts) = match front.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, front),
        };
        if let Some(credentials) = credentials {
            let whole = credentials.split_once(':').is_some_and(|(user, _)| !user.is_empty());
            if !whole {
                return Err(BadUrl::Credentials);
            }
        }
        if hosts.is_empty() {
            return Err(BadUrl::NoHost);
        }
        let hosts = hosts.split(',').map(host_and_port).collect::<Result<Vec<_>, _>>()?;
        if let Some(host) = hosts.iter().find(|host| tls.is_some() && !tls::is_name(host)) {
            return Err(BadUrl::Host(host.clone()));
        }
        let path = read_path(path)?;
        Ok(Self { credentials: credentials.map(str::to_owned), hosts, path, tls, file: None })
    }

    /// `user:password`, for ZooKeeper's scheme `digest`.
    pub fn credentials(&self) -> Option<&str> {
        self.credentials.as_deref()
    }

    /// Who we are there.
    pub fn user(&self) -> Option<&str> {
        self.credentials().and_then(|credentials| credentials.split_once(':')).map(|(user, _)| user)
    }

    /// All servers, `host:port,host:port`.
    pub fn hosts(&self) -> String {
        self.hosts.join(",")
    }

    /// An absolute path that is not the root and does not end in a slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How its servers are known, if they speak TLS.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// The file it was read from, if it was.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            return write!(f, "{FILE_SCHEME}{}", file.display());
        }
        f.write_str(if self.tls.is_some() { TLS_SCHEME } else { SCHEME })?;
        if let Some(user) = self.user() {
            write!(f, "{user}:***@")?;
        }
        write!(f, "{}{}", self.hosts(), self.path)?;
        self.tls.as_ref().map_or(Ok(()), |tls| write!(f, "?{tls}"))
    }
}

/// As it is displayed: logs must not hold the password either.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl std::str::FromStr for Url {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        Self::parse(text)
    }
}

/// A text that is repeated in an error might be a URL with a slip in its scheme.
fn without_credentials(text: &str) -> String {
    let Some((front, hosts)) = text.rsplit_once('@') else {
        return text.to_owned();
    };
    match front.split_once("//") {
        Some((scheme, _)) => format!("{scheme}//***@{hosts}"),
        None => format!("***@{hosts}"),
    }
}

/// `host:port`, with ZooKeeper's port if there is none.
pub(crate) fn host_and_port(text: &str) -> Result<String, BadUrl> {
    let bad = || BadUrl::Host(text.to_owned());
    let (host, port) = match text.strip_prefix('[') {
        // An address of IPv6 has colons of its own.
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
            let port =
                if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(bad)?) };
            (format!("[{host}]"), port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (text.to_owned(), None),
        },
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || "/@,?#\\".contains(c);
    if host.is_empty() || host.contains(odd) {
        return Err(bad());
    }
    let port = port.map_or(Ok(PORT), |port| port.parse::<u16>().map_err(|_| bad()))?;
    if port == 0 {
        return Err(bad());
    }
    Ok(format!("{host}:{port}"))
}

fn read_path(text: &str) -> Result<String, BadUrl> {
    let path = text.strip_suffix('/').unwrap_or(text);
    if path.is_empty() {
        return Err(BadUrl::NoPath);
    }
    let bad = |reason| BadUrl::Path { path: text.to_owned(), reason };
    for part in path[1..].split('/') {
        if part.is_empty() {
            return Err(bad("two slashes stand beside each other"));
        }
        if part == "." || part == ".." {
            return Err(bad("it has no relative parts"));
        }
    }
    if path.contains(char::is_control) {
        return Err(bad("it holds a control character"));
    }
    if path == "/zookeeper" || path.starts_with("/zookeeper/") {
        return Err(bad("/zookeeper is ZooKeeper's own"));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests;
