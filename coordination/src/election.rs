//! Contending for leadership, and finding the leader.

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
    /// `host:port` of its node.
    pub address: String,
}

/// Stands for election.
pub trait Elector {
    /// Why an election failed for good.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Waits until `candidate` leads. The epoch of the reign that comes back is above all that ever were; a store refuses
    /// writes of lower ones from then on. Called again after a deposition, it begins a new reign.
    fn stand(&mut self, candidate: &Candidate) -> Result<Reign, Self::Error>;
}

/// Finds the leader.
pub trait Detector {
    /// Why nobody can be found.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Who leads now; `None` while nobody does. A leader that was just deposed may still be named: the epoch protects.
    fn leader(&mut self) -> Result<Option<Candidate>, Self::Error>;
}
