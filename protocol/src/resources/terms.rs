//! On which terms a resource may be used: for whom it is reserved, on which disk it lies, whether it may be taken back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{BadRole, Role};

/// The most reservations within one another: each is for a role one level further down at least.
const RESERVATIONS_MAX: usize = crate::ids::ROLE_DEPTH_MAX;

/// The most bytes of texts of one resource's terms, the labels of its reservations among them.
const TERMS_BYTES_MAX: usize = 64 << 10;

/// Terms that make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTerms {
    /// `*` is nobody in particular.
    #[error("a reservation is for a role, and '*' is everybody: leave it out, or name a role")]
    ForEverybody,
    /// A role that is none.
    #[error(transparent)]
    Role(#[from] BadRole),
    /// A reservation is not within the one before.
    #[error(
        "'{inner}' cannot be reserved within what is reserved for '{outer}': it is no role below it"
    )]
    NotBelow {
        /// The one before.
        outer: Role,
        /// The one within.
        inner: Role,
    },
    /// Only the first of several is made when the agent is started.
    #[error("what is reserved for '{0}' within another reservation must be so dynamically")]
    StaticWithin(Role),
    /// More than there can be roles below each other.
    #[error("{0} reservations within one another are more than {RESERVATIONS_MAX}")]
    TooDeep(usize),
    /// A disk that says neither where it is nor what is on it.
    #[error("a disk must name its source or the volume on it")]
    EmptyDisk,
    /// Only folders and mounts are somewhere.
    #[error("a disk of kind {0:?} has no folder")]
    Root(DiskKind),
    /// A volume of nobody's.
    #[error("volume '{0}' must be reserved for a role")]
    VolumeOfNobody(String),
    /// A volume on space that may be taken back.
    #[error("volume '{0}' cannot be on what may be taken back at any time")]
    VolumeRevocable(String),
    /// A volume that nobody can name or find.
    #[error("a volume must have an id and a path in its containers")]
    VolumeUnnamed,
    /// Only volumes are shared.
    #[error("only volumes that outlive tasks can be shared")]
    SharedWithoutVolume,
    /// What may be taken back is nobody's in particular for as long as the cluster runs.
    #[error("what may be taken back at any time cannot be reserved dynamically")]
    RevocableReserved,
    /// Too much text.
    #[error("{0} bytes of labels and names are more than {TERMS_BYTES_MAX}")]
    TooLong(usize),
    /// Terms that say nothing are `Unreserved`.
    #[error("the terms say nothing")]
    Nothing,
}

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
    pub labels: Vec<Label>,
}

/// A key, and what it says, if anything.
pub type Label = (String, Option<String>);

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
    /// Of `Path` the folder, of `Mount` where it is mounted; the others have none.
    pub root: Option<String>,
    /// As its vendor names it.
    pub id: Option<String>,
    /// Who made it.
    pub vendor: Option<String>,
    /// Its class.
    pub profile: Option<String>,
    /// What its vendor says of it.
    pub metadata: Vec<Label>,
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
    /// Storage that is not set up yet; without an id, so much of it.
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

impl Terms {
    /// Whether they make sense.
    pub fn check(&self) -> Result<(), BadTerms> {
        if *self == Self::default() {
            return Err(BadTerms::Nothing);
        }
        self.check_reservations()?;
        let volume = self.disk.as_ref().and_then(|disk| disk.volume.as_ref());
        if self.shared && volume.is_none() {
            return Err(BadTerms::SharedWithoutVolume);
        }
        if let Some(disk) = &self.disk {
            self.check_disk(disk)?;
        }
        let bytes = self.bytes();
        if bytes > TERMS_BYTES_MAX { Err(BadTerms::TooLong(bytes)) } else { Ok(()) }
    }

    fn check_reservations(&self) -> Result<(), BadTerms> {
        let reservations = &self.reservations;
        if reservations.len() > RESERVATIONS_MAX {
            return Err(BadTerms::TooDeep(reservations.len()));
        }
        for role in reservations.iter().map(|one| &one.role).chain(&self.allocated_to) {
            role.check()?;
        }
        if reservations.iter().any(|one| one.role == Role::everybody()) {
            return Err(BadTerms::ForEverybody);
        }
        for two in reservations.windows(2) {
            let (outer, inner) = (&two[0], &two[1]);
            if !inner.role.is_below(&outer.role) {
                let (outer, inner) = (outer.role.clone(), inner.role.clone());
                return Err(BadTerms::NotBelow { outer, inner });
            }
            if inner.made == ReservationMade::Static {
                return Err(BadTerms::StaticWithin(inner.role.clone()));
            }
        }
        let dynamic = reservations.iter().any(|one| one.made == ReservationMade::Dynamic);
        if dynamic && self.revocable { Err(BadTerms::RevocableReserved) } else { Ok(()) }
    }

    fn check_disk(&self, disk: &Disk) -> Result<(), BadTerms> {
        let Disk { source, volume } = disk;
        if source.is_none() && volume.is_none() {
            return Err(BadTerms::EmptyDisk);
        }
        if let Some(DiskSource { kind: kind @ (DiskKind::Block | DiskKind::Raw), root, .. }) =
            source
            && root.is_some()
        {
            return Err(BadTerms::Root(*kind));
        }
        let Some(volume) = volume else { return Ok(()) };
        if volume.id.is_empty() || volume.container_path.is_empty() {
            return Err(BadTerms::VolumeUnnamed);
        }
        if self.reservations.is_empty() {
            return Err(BadTerms::VolumeOfNobody(volume.id.clone()));
        }
        if self.revocable { Err(BadTerms::VolumeRevocable(volume.id.clone())) } else { Ok(()) }
    }

    fn bytes(&self) -> usize {
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let labels = |labels: &[Label]| -> usize {
            labels.iter().map(|(key, value)| key.len() + optional(value)).sum()
        };
        let of_reservations = self.reservations.iter();
        let reservations: usize =
            of_reservations.map(|one| optional(&one.principal) + labels(&one.labels)).sum();
        let source = self.disk.as_ref().and_then(|disk| disk.source.as_ref()).map_or(0, |source| {
            let texts = [&source.root, &source.id, &source.vendor, &source.profile];
            texts.map(optional).iter().sum::<usize>() + labels(&source.metadata)
        });
        let volume = self.disk.as_ref().and_then(|disk| disk.volume.as_ref()).map_or(0, |volume| {
            volume.id.len() + volume.container_path.len() + optional(&volume.principal)
        });
        reservations + source + volume
    }
}

impl Kind {
    /// `Unreserved`, if the terms say nothing.
    pub fn of(mut terms: Terms) -> Self {
        terms.disk = terms.disk.filter(|disk| *disk != Disk::default());
        if terms == Terms::default() { Self::Unreserved } else { Self::Particular(Arc::new(terms)) }
    }

    /// Reserved when the agent was started, for one role; for everybody's, not at all.
    pub fn reserved(role: Role) -> Self {
        if role == Role::everybody() {
            return Self::Unreserved;
        }
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

    /// The volume that it is, if it is one.
    pub fn volume(&self) -> Option<&PersistentVolume> {
        self.terms()?.disk.as_ref()?.volume.as_ref()
    }

    /// Under which role it is in use or offered.
    pub fn allocated_to(&self) -> Option<&Role> {
        self.terms()?.allocated_to.as_ref()
    }

    /// Whether a role may be offered it: it is nobody's in particular, the role's own, or reserved for one above it.
    pub fn is_offerable_to(&self, role: &Role) -> bool {
        self.reserved_for().is_none_or(|owner| owner == role || role.is_below(owner))
    }

    /// The same on other terms.
    #[must_use]
    pub fn with(&self, change: impl FnOnce(&mut Terms)) -> Self {
        let mut terms = self.terms().cloned().unwrap_or_default();
        change(&mut terms);
        Self::of(terms)
    }

    /// Whether it is used as a whole or not at all: a volume, a file system, a device, or storage that has an id.
    pub fn is_whole(&self) -> bool {
        self.terms().and_then(|terms| terms.disk.as_ref()).is_some_and(|disk| {
            let whole = |source: &DiskSource| match source.kind {
                DiskKind::Path => false,
                DiskKind::Mount | DiskKind::Block => true,
                DiskKind::Raw => source.id.is_some(),
            };
            disk.volume.is_some() || disk.source.as_ref().is_some_and(whole)
        })
    }
}
