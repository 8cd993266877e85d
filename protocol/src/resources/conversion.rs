//! What resources may become: reserved, free again, a volume, space again. Pure; who may do it is decided elsewhere.

use super::{BadTerms, Kind, Reservation, ReservationMade, Resource, Resources};

/// Some resources that become others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// What it takes.
    pub consumed: Resources,
    /// What that becomes.
    pub converted: Resources,
}

/// Why resources cannot become others. What is quoted is the first resource that cannot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConversion {
    /// It takes nothing.
    #[error("no resources are named")]
    Nothing,
    /// It takes what is not there.
    #[error("{missing} is not there: there is {there}")]
    NotThere {
        /// The first that is not wholly there.
        missing: String,
        /// What there is.
        there: String,
    },
    /// Others still use it.
    #[error("{0} is still in use by others")]
    StillShared(String),
    /// Such terms make no sense.
    #[error("{resource}: {why}")]
    Terms {
        /// Of which resource.
        resource: String,
        /// Why.
        why: BadTerms,
    },
    /// Reservations made at the start of an agent stay.
    #[error(
        "{0} is not reserved dynamically, so it cannot be unreserved; restart its agent with other --resources"
    )]
    NotDynamic(String),
    /// Only what is reserved dynamically is reserved while the cluster runs.
    #[error("the reservation for '{0}' must be dynamic")]
    MustBeDynamic(String),
    /// What is on it would be lost.
    #[error("{0} is a volume: destroy it first")]
    Volume(String),
    /// No disk space with a volume on it.
    #[error("{0} is no volume")]
    NoVolume(String),
}

impl Conversion {
    /// Reserves resources, within the reservations that they have.
    pub fn reserve(
        resources: &Resources,
        reservation: &Reservation,
    ) -> Result<Self, BadConversion> {
        if reservation.made == ReservationMade::Static {
            return Err(BadConversion::MustBeDynamic(reservation.role.to_string()));
        }
        check_each(resources, |entry| match entry.kind.volume() {
            Some(_) => Err(BadConversion::Volume(entry.to_string())),
            None => Ok(()),
        })?;
        let converted = resources.push_reservation(reservation);
        check_each(&converted, terms_of)?;
        Ok(Self { consumed: resources.clone(), converted })
    }

    /// Takes back the innermost reservation of each.
    pub fn unreserve(resources: &Resources) -> Result<Self, BadConversion> {
        check_each(resources, |entry| {
            let innermost = entry.kind.terms().and_then(|terms| terms.reservations.last());
            match innermost.map(|reservation| reservation.made) {
                Some(ReservationMade::Dynamic) if entry.kind.volume().is_none() => Ok(()),
                Some(ReservationMade::Dynamic) => Err(BadConversion::Volume(entry.to_string())),
                Some(ReservationMade::Static) | None => {
                    Err(BadConversion::NotDynamic(entry.to_string()))
                }
            }
        })?;
        Ok(Self { consumed: resources.clone(), converted: resources.pop_reservation() })
    }

    /// Makes these volumes, each of as much space of its disk.
    pub fn create_volumes(volumes: &Resources) -> Result<Self, BadConversion> {
        check_each(volumes, |entry| match entry.kind.volume() {
            Some(_) => terms_of(entry),
            None => Err(BadConversion::NoVolume(entry.to_string())),
        })?;
        let space = |kind: &Kind| {
            kind.with(|terms| {
                terms.shared = false;
                terms.disk.iter_mut().for_each(|disk| disk.volume = None);
            })
        };
        let spaces =
            volumes.iter().map(|entry| Resource { kind: space(&entry.kind), ..entry.clone() });
        Ok(Self { consumed: spaces.collect(), converted: volumes.clone() })
    }

    /// Makes space of these volumes again. One that is shared must have no other user.
    pub fn destroy_volumes(volumes: &Resources) -> Result<Self, BadConversion> {
        Self::create_volumes(volumes).map(|create| create.undone())
    }

    /// The way back.
    #[must_use]
    pub fn undone(&self) -> Self {
        Self { consumed: self.converted.clone(), converted: self.consumed.clone() }
    }

    /// What becomes of resources.
    pub fn apply(&self, resources: &Resources) -> Result<Resources, BadConversion> {
        let Some(left) = resources.checked_sub(&self.consumed) else {
            let missing = resources.lacking(&self.consumed).map(ToString::to_string);
            let missing = missing.unwrap_or_default();
            return Err(BadConversion::NotThere { missing, there: resources.to_string() });
        };
        // Its users would be left with what is not there any more.
        let shared = self.consumed.shared().shared_once();
        if let Some(used) = shared.iter().find(|copy| left.iter().any(|other| other == *copy)) {
            return Err(BadConversion::StillShared(used.to_string()));
        }
        Ok(left.plus(&self.converted))
    }
}

fn check_each(
    resources: &Resources,
    check: impl Fn(&Resource) -> Result<(), BadConversion>,
) -> Result<(), BadConversion> {
    if resources.is_empty() {
        return Err(BadConversion::Nothing);
    }
    resources.iter().try_for_each(check)
}

fn terms_of(entry: &Resource) -> Result<(), BadConversion> {
    let Some(terms) = entry.kind.terms() else { return Ok(()) };
    terms.check().map_err(|why| BadConversion::Terms { resource: entry.to_string(), why })
}
