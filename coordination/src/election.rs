//! Contending for leadership, and finding the leader.

use std::net::SocketAddr;

use tokio::sync::watch;

/// What a leader is entitled to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reign {
    /// The cluster that is led; made once, with its store.
    pub cluster: String,
    /// Grows with every reign, durably and before this value is handed out.
    pub epoch: u64,
}

/// A candidate, as others find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The master's id: another one for each reign.
    pub id: String,
    /// `host:port` of its node.
    pub address: String,
    /// What people call its machine.
    pub hostname: String,
    /// Of its program.
    pub version: String,
}

impl Candidate {
    /// Of whom only the address is known, `host:port`.
    pub fn at(address: &str) -> Self {
        let hostname = match address.parse::<SocketAddr>() {
            Ok(socket) => socket.ip().to_string(),
            Err(_) => address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned(),
        };
        Self { id: String::new(), address: address.to_owned(), hostname, version: String::new() }
    }
}

/// How a reign goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may decide and write.
    Leads,
    /// Nobody can say whether it still leads: it must send nothing to agents and write nothing until it leads again or is deposed.
    Suspended,
    /// It is over, and why.
    Deposed(String),
}

/// Stands for election.
pub trait Elector {
    /// Why an election failed for good.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Waits until `candidate` leads, which may take for ever. The epoch of the reign that comes back is above all that ever
    /// were; a store refuses writes of lower ones from then on. Called again after a deposition, it begins a new reign.
    fn stand(&mut self, candidate: &Candidate) -> Result<Reign, Self::Error>;

    /// How the reign goes that [`Elector::stand`] gave last.
    fn standing(&self) -> watch::Receiver<Standing>;
}

/// Finds the leader.
pub trait Detector: std::fmt::Debug + Send + Sync {
    /// Who leads now and from now on; `None` while nobody does. A leader that was just deposed may still be named: the epoch
    /// protects.
    fn leader(&self) -> watch::Receiver<Option<Candidate>>;

    /// Why nobody can be found, in words, if there is more to say than that nobody leads.
    fn trouble(&self) -> Option<String> {
        None
    }
}
