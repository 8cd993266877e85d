//! What a URL says about TLS: how the servers are known, and how they know us.

use std::fmt;
use std::path::{Path, PathBuf};

use zookeeper_client::TlsOptions;

use super::BadUrl;

/// Files of certificates and keys, in PEM. They are read anew for each session, so that they can be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// What the certificates of the servers are signed with.
    ca: PathBuf,
    /// What they know us by, and its key.
    own: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// `ca=FILE`, or `ca=FILE&cert=FILE&key=FILE`, in any order.
    pub(super) fn parse(text: &str) -> Result<Self, BadUrl> {
        let bad = |reason: String| BadUrl::Tls { reason };
        let (mut ca, mut cert, mut key) = (None, None, None);
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, file) = part.split_once('=').unwrap_or((part, ""));
            let place = match name {
                "ca" => &mut ca,
                "cert" => &mut cert,
                "key" => &mut key,
                _ => return Err(bad(format!("'{name}' of the ZooKeeper URL means nothing"))),
            };
            if file.is_empty() {
                return Err(bad(format!("'{name}' of the ZooKeeper URL names no file")));
            }
            if place.replace(PathBuf::from(file)).is_some() {
                return Err(bad(format!("the ZooKeeper URL says '{name}' twice")));
            }
        }
        let own = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => return Err(bad("the ZooKeeper URL has a cert but no key".into())),
            (None, Some(_)) => return Err(bad("the ZooKeeper URL has a key but no cert".into())),
        };
        let ca = ca.ok_or_else(|| bad("the ZooKeeper URL does not say whom to trust".into()))?;
        Ok(Self { ca, own })
    }

    /// What is in the files, or which of them is no use.
    pub(crate) fn options(&self) -> Result<TlsOptions, String> {
        let unusable = |path: &Path, error: zookeeper_client::Error| {
            format!("{} cannot be used for TLS to ZooKeeper: {error}", path.display())
        };
        let options = TlsOptions::new().with_pem_ca(&read(&self.ca)?);
        let options = options.map_err(|error| unusable(&self.ca, error))?;
        let Some((cert, key)) = &self.own else { return Ok(options) };
        let with = options.with_pem_identity(&read(cert)?, &read(key)?);
        with.map_err(|error| unusable(cert, error))
    }
}

/// As it stands in a URL. It names files and holds no secret.
impl fmt::Display for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ca={}", self.ca.display())?;
        match &self.own {
            Some((cert, key)) => write!(f, "&cert={}&key={}", cert.display(), key.display()),
            None => Ok(()),
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("failed to read {} for TLS to ZooKeeper: {error}", path.display()))
}

/// Whether a certificate can be for this `host:port`: the client ends its process over what cannot.
pub(super) fn is_name(host_and_port: &str) -> bool {
    let host = host_and_port.rsplit_once(':').map_or(host_and_port, |(host, _)| host);
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // An address of IPv6 was looked at already.
    host.starts_with('[') || (host.len() <= 253 && host.split('.').all(is_label))
}
