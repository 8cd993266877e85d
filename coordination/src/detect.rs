//! How the leader is found, from what an operator wrote.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::election::{Candidate, Detector};
use crate::local::FixedDetector;

/// The name of a master's actor on its node.
pub const MASTER: &str = "master";

/// A text that leads to no master.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' names no master: expected host:port")]
pub struct BadMaster {
    /// The text.
    pub given: String,
}

/// How the leader is found, as an operator writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// `host:port`, with or without `master@` before it: the only master there is.
    At(String),
}

impl FromStr for Way {
    type Err = BadMaster;

    fn from_str(text: &str) -> Result<Self, BadMaster> {
        let bad = || BadMaster { given: text.to_owned() };
        let address = match text.trim().split_once('@') {
            Some((MASTER, address)) => address,
            Some(_) => return Err(bad()),
            None => text.trim(),
        };
        let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || (host.contains(':') && !bracketed) || port.parse::<u16>().is_err() {
            return Err(bad());
        }
        Ok(Self::At(address.to_owned()))
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => f.write_str(address),
        }
    }
}

impl Way {
    /// Goes it.
    pub fn detector(self) -> Arc<dyn Detector> {
        match self {
            Self::At(address) => Arc::new(FixedDetector::new(Candidate::at(&address))),
        }
    }
}

/// Finds the leader by what an operator wrote.
pub fn detector(text: &str) -> Result<Arc<dyn Detector>, BadMaster> {
    Ok(text.parse::<Way>()?.detector())
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
        for bad in ["", "nowhere", ":5050", "h:", "h:99999", "slave@h:1", "::1:5050"] {
            let error = detector(bad).err().unwrap().to_string();
            assert_eq!(error, format!("'{bad}' names no master: expected host:port"));
        }
    }
}
