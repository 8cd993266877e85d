//! On which terms a resource may be used: for whom it is reserved, on which disk it lies, whether it may be taken back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::Role;

/// Whose a resource is and how it may be used. Only what is equal here is ever added together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Anybody may be offered it; it goes back when its task ends.
    Unreserved,
    /// Everything else; never with terms that say nothing, which are `Unreserved`. Since version 2.
    Particular(Arc<Terms>),
}

/// All that may set one resource apart from another of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Terms {
    /// From the outermost to the innermost; each is for a role strictly below the one before.
    pub reservations: Vec<Reservation>,
    /// Of `disk`: which disk, and which volume on it.
    pub disk: Option<Disk>,
    /// May be taken back at any time.
    pub revocable: bool,
    /// A volume that several may use at once.
    pub shared: bool,
    /// Under which role it is in use or offered; nothing that is free has one.
    pub allocated_to: Option<Role>,
}

/// A claim of a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reservation {
    /// For it and the roles below it.
    pub role: Role,
    /// Made by the agent's operator for good, or while the cluster runs.
    pub made: ReservationMade,
    /// Who made it.
    pub principal: Option<String>,
    /// Of whoever made it.
    pub labels: Vec<(String, Option<String>)>,
}

/// When a reservation was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ReservationMade {
    /// When the agent was started; it lasts as long.
    Static,
    /// While the cluster ran; it can be undone.
    Dynamic,
}

/// Where disk space is, and what is on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Disk {
    /// `None`: the disk of the agent's work directory.
    pub source: Option<DiskSource>,
    /// Set: a volume that outlives tasks.
    pub volume: Option<PersistentVolume>,
}

/// A disk of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DiskSource {
    /// What can be done with it.
    pub kind: DiskKind,
    /// Where it is mounted, or the folder on it.
    pub root: Option<String>,
    /// As its vendor names it.
    pub id: Option<String>,
    /// Who made it.
    pub vendor: Option<String>,
    /// Its class.
    pub profile: Option<String>,
}

/// The kinds of disk, as Mesos has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DiskKind {
    /// A folder, which can be cut into pieces.
    Path,
    /// A file system, which is used as a whole.
    Mount,
    /// A device without a file system.
    Block,
    /// A device that is not set up yet.
    Raw,
}

/// A volume that outlives tasks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PersistentVolume {
    /// Unique for the role on its agent.
    pub id: String,
    /// Who made it.
    pub principal: Option<String>,
    /// Where tasks see it.
    pub container_path: String,
    /// Whether tasks may only read.
    pub read_only: bool,
}

impl Kind {
    /// `Unreserved`, if the terms say nothing.
    pub fn of(terms: Terms) -> Self {
        if terms == Terms::default() { Self::Unreserved } else { Self::Particular(Arc::new(terms)) }
    }

    /// Reserved when the agent was started, for one role.
    pub fn reserved(role: Role) -> Self {
        let made = ReservationMade::Static;
        let reservation = Reservation { role, made, principal: None, labels: Vec::new() };
        Self::of(Terms { reservations: vec![reservation], ..Terms::default() })
    }

    /// What sets it apart, if anything.
    pub fn terms(&self) -> Option<&Terms> {
        match self {
            Self::Unreserved => None,
            Self::Particular(terms) => Some(terms),
        }
    }

    /// The role that it is reserved for: the innermost one.
    pub fn reserved_for(&self) -> Option<&Role> {
        self.terms()?.reservations.last().map(|reservation| &reservation.role)
    }

    /// Whether it is reserved within a reservation.
    pub fn is_refined(&self) -> bool {
        self.terms().is_some_and(|terms| terms.reservations.len() > 1)
    }

    /// Whether it may be taken back at any time.
    pub fn is_revocable(&self) -> bool {
        self.terms().is_some_and(|terms| terms.revocable)
    }

    /// Whether several may use it at once.
    pub fn is_shared(&self) -> bool {
        self.terms().is_some_and(|terms| terms.shared)
    }

    /// Whether it is used as a whole or not at all: a volume, or a disk with a file system of its own.
    pub fn is_whole(&self) -> bool {
        self.terms().and_then(|terms| terms.disk.as_ref()).is_some_and(|disk| {
            let whole = |source: &DiskSource| source.kind != DiskKind::Path;
            disk.volume.is_some() || disk.source.as_ref().is_some_and(whole)
        })
    }
}
