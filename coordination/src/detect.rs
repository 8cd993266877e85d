//! How the leader is found, from what an operator wrote.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::election::{Candidate, Detector};
use crate::local::FixedDetector;
use crate::store::StoreError;
use crate::zookeeper::url::{BadUrl, Url, host_and_port};
use crate::zookeeper::{Settings, ZooKeeper};

/// The name of a master's actor on its node.
pub const MASTER: &str = "master";

/// Why nobody is looked for.
#[derive(Debug, thiserror::Error)]
pub enum BadMaster {
    /// A text that leads to no master.
    #[error(
        "'{given}' names no master: expected host:port, zk://host:port,host:port/path or file:///a/file"
    )]
    Text {
        /// The text.
        given: String,
    },
    /// A URL that is none.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// There is no thread to look with.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How the leader is found, as an operator writes it. It shows no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// `host:port`, with or without `master@` before it: the only master there is.
    At(String),
    /// `zk://…`, or `file://…` that holds such a URL: whoever is elected there.
    Elected(Url),
}

impl FromStr for Way {
    type Err = BadMaster;

    fn from_str(text: &str) -> Result<Self, BadMaster> {
        let text = text.trim();
        if Url::is_meant_by(text) {
            return Ok(Self::Elected(text.parse()?));
        }
        // It might be a URL with a slip in its scheme: what is before the `@` may be a password.
        let bad = || {
            let given =
                text.rsplit_once('@').map_or(text.to_owned(), |(_, rest)| format!("…@{rest}"));
            BadMaster::Text { given }
        };
        let address = match text.split_once('@') {
            Some((MASTER, address)) => address,
            Some(_) => return Err(bad()),
            None => text,
        };
        let has_port = !address.ends_with(']') && address.contains(':');
        match host_and_port(address) {
            Ok(address) if has_port => Ok(Self::At(address)),
            Ok(_) | Err(_) => Err(bad()),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => f.write_str(address),
            Self::Elected(url) => write!(f, "{url}"),
        }
    }
}

impl Way {
    /// Goes it.
    pub fn detector(self) -> Result<Arc<dyn Detector>, StoreError> {
        match self {
            Self::At(address) => Ok(Arc::new(FixedDetector::new(Candidate::at(&address)))),
            Self::Elected(url) => Ok(Arc::new(ZooKeeper::start(Settings::of(url))?)),
        }
    }
}

/// Finds the leader by what an operator wrote.
pub fn detector(text: &str) -> Result<Arc<dyn Detector>, BadMaster> {
    Ok(text.parse::<Way>()?.detector()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_only_master_there_is() {
        for good in ["10.0.0.1:5050", "master@10.0.0.1:5050", " 10.0.0.1:5050\n"] {
            let leader = detector(good).unwrap().leader();
            assert_eq!(leader.borrow().as_ref().unwrap().address, "10.0.0.1:5050", "{good}");
        }
        assert!(detector("[::1]:5050").is_ok());
        for bad in
            ["", "nowhere", ":5050", "h:", "h:0", "h:99999", "[::1]", "::1:5050", "http://h:1"]
        {
            let error = detector(bad).err().unwrap().to_string();
            assert!(error.starts_with(&format!("'{bad}' names no master: expected ")), "{error}");
        }
        assert!(detector("slave@h:1").is_err());
    }

    #[test]
    fn a_url_is_whoever_is_elected_there_and_shows_no_password() {
        let way: Way = "zk://jake:s3cret@h1,h2/mesos".parse().unwrap();
        assert!(matches!(way, Way::Elected(_)));
        assert_eq!(way.to_string(), "zk://jake:***@h1:2181,h2:2181/mesos");
        for slip in ["zl://jake:s3cret@h:1/m", "jake:s3cret@h:1", "zk://jake:s3cret@h:1"] {
            let error = slip.parse::<Way>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }
}
