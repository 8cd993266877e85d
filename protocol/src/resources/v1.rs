//! Resources as the v1 API writes them. Given out in the form in which reservations are a stack; taken in that one, in the older
//! one with `role` and `reservation`, and with both where they agree.

use std::sync::Arc;

use api::resources as forms;
use api::v1;
use api::v1::resource::disk_info::source::Type as SourceType;
use api::v1::resource::reservation_info::Type as ReservationType;
use api::v1::resource::{
    AllocationInfo, DiskInfo, ReservationInfo, RevocableInfo, SharedInfo, disk_info,
};
use api::v1::value::Type as ValueType;
use api::v1::volume::Mode;

use super::check::is_name;
use super::parse::ENTRIES_MAX;
use super::{
    BadTerms, Disk, DiskKind, DiskSource, Kind, Label, Milli, PersistentVolume, RANGES_MAX, Ranges,
    Reservation, ReservationMade, Resource, Resources, Terms, Value,
};
use crate::ids::{BadRole, Role};

/// Why a v1 message is no resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadResource {
    /// Empty, too long, or not printable.
    #[error("'{0}' is not a resource's name")]
    Name(String),
    /// Its value is not there, or not of the type that it names.
    #[error("'{name}' needs exactly the value of its type, and has {has}")]
    Value {
        /// Of which resource.
        name: String,
        /// What there is.
        has: &'static str,
    },
    /// No number, below zero, more than there can be, or so little that it would be nothing.
    #[error("'{name}' must be a number from 0 to {max}, and 0.001 at least unless it is 0, but is {amount}", max = Milli::MAX)]
    Amount {
        /// Of which resource.
        name: String,
        /// What was given.
        amount: String,
    },
    /// An end before its beginning.
    #[error("'{name}' has a range that ends before it begins: {first}-{last}")]
    Backwards {
        /// Of which resource.
        name: String,
        /// Where it begins.
        first: u64,
        /// Where it ends.
        last: u64,
    },
    /// The same number or name twice.
    #[error("'{0}' has ranges that overlap, or names that are repeated")]
    Repeated(String),
    /// More pieces than there can be.
    #[error("'{name}' has {pieces} ranges or names, more than {RANGES_MAX}")]
    TooManyPieces {
        /// Of which resource.
        name: String,
        /// How many.
        pieces: usize,
    },
    /// More resources than there can be.
    #[error("{0} resources are more than {ENTRIES_MAX}")]
    TooMany(usize),
    /// What it is reserved for or allocated to is no role.
    #[error("'{name}': {why}")]
    Role {
        /// Of which resource.
        name: String,
        /// Why.
        why: BadRole,
    },
    /// For whom it is reserved makes no sense, or is said in two ways that do not agree.
    #[error("'{name}': {why}")]
    Reservations {
        /// Of which resource.
        name: String,
        /// Why.
        why: forms::BadResource,
    },
    /// A kind of reservation or disk without a name.
    #[error("'{name}' has an unknown kind of {what}")]
    Unknown {
        /// Of which resource.
        name: String,
        /// What it is of.
        what: &'static str,
    },
    /// What we do not have.
    #[error("'{name}' has {what}, which is not supported")]
    Unsupported {
        /// Of which resource.
        name: String,
        /// What it has.
        what: &'static str,
    },
    /// Its terms make no sense.
    #[error("'{name}': {why}")]
    Terms {
        /// Of which resource.
        name: String,
        /// Why.
        why: BadTerms,
    },
}

impl Resources {
    /// As v1 messages.
    pub fn to_v1(&self) -> Vec<v1::Resource> {
        self.iter().map(Resource::to_v1).collect()
    }

    /// Of v1 messages in any form.
    pub fn from_v1(messages: &[v1::Resource]) -> Result<Self, BadResource> {
        if messages.len() > ENTRIES_MAX {
            return Err(BadResource::TooMany(messages.len()));
        }
        messages.iter().map(Resource::from_v1).collect()
    }
}

impl Resource {
    /// As a v1 message.
    pub fn to_v1(&self) -> v1::Resource {
        let bare = v1::Resource { name: self.name.to_string(), ..v1::Resource::default() };
        let bare = with_value(bare, &self.value);
        let Some(terms) = self.kind.terms() else { return bare };
        let role = |role: &Role| AllocationInfo { role: Some(role.to_string()) };
        v1::Resource {
            reservations: terms.reservations.iter().map(reservation_to_v1).collect(),
            allocation_info: terms.allocated_to.as_ref().map(role),
            disk: terms.disk.as_ref().map(disk_to_v1).map(Box::new),
            revocable: terms.revocable.then_some(RevocableInfo {}),
            shared: terms.shared.then_some(SharedInfo {}),
            ..bare
        }
    }

    /// Of a v1 message in any form. What rounds to nothing is an empty resource.
    pub fn from_v1(message: &v1::Resource) -> Result<Self, BadResource> {
        let name = || message.name.clone();
        if !is_name(&message.name) {
            return Err(BadResource::Name(message.name.escape_debug().to_string()));
        }
        if message.provider_id.is_some() {
            return Err(BadResource::Unsupported { name: name(), what: "a provider" });
        }
        let allocated_to = message.allocation_info.as_ref().and_then(|info| info.role.as_ref());
        let allocated_to = allocated_to.map(|role| role_of(&message.name, role)).transpose()?;
        let disk = message.disk.as_ref().map(|disk| disk_of(&message.name, disk)).transpose()?;
        let terms = Terms {
            reservations: reservations_of(message)?,
            disk,
            revocable: message.revocable.is_some(),
            shared: message.shared.is_some(),
            allocated_to,
        };
        let kind = Kind::of(terms);
        if let Some(terms) = kind.terms() {
            terms.check().map_err(|why| BadResource::Terms { name: name(), why })?;
            if terms.disk.is_some() && message.name != "disk" {
                return Err(BadResource::Unsupported { name: name(), what: "the terms of a disk" });
            }
        }
        Ok(Self { name: Arc::from(message.name.as_str()), kind, value: value_of(message)? })
    }
}

fn with_value(message: v1::Resource, value: &Value) -> v1::Resource {
    match value {
        Value::Scalar(amount) => v1::Resource {
            r#type: ValueType::Scalar.into(),
            scalar: Some(v1::value::Scalar { value: amount.as_f64() }),
            ..message
        },
        Value::Ranges(ranges) => {
            let range = ranges.iter().map(|(begin, end)| v1::value::Range { begin, end }).collect();
            let ranges = Some(v1::value::Ranges { range });
            v1::Resource { r#type: ValueType::Ranges.into(), ranges, ..message }
        }
        Value::Set(names) => v1::Resource {
            r#type: ValueType::Set.into(),
            set: Some(v1::value::Set { item: names.clone() }),
            ..message
        },
    }
}

fn value_of(message: &v1::Resource) -> Result<Value, BadResource> {
    let name = || message.name.clone();
    let of = |has| BadResource::Value { name: name(), has };
    let v1::Resource { scalar, ranges, set, .. } = message;
    match (ValueType::try_from(message.r#type), scalar, ranges, set) {
        (Ok(ValueType::Scalar), Some(scalar), None, None) => {
            let amount = Milli::from_f64(scalar.value);
            let vanishes = scalar.value > 0.0 && amount == Milli(0);
            if !scalar.value.is_finite() || scalar.value < 0.0 || amount > Milli::MAX || vanishes {
                let amount = scalar.value.to_string();
                return Err(BadResource::Amount { name: name(), amount });
            }
            Ok(Value::Scalar(amount))
        }
        (Ok(ValueType::Ranges), None, Some(ranges), None) => {
            ranges_of(&message.name, &ranges.range).map(Value::Ranges)
        }
        (Ok(ValueType::Set), None, None, Some(set)) => {
            few(&message.name, set.item.len())?;
            let mut names = set.item.clone();
            names.sort();
            names.dedup();
            match names.len() == set.item.len() {
                true => Ok(Value::Set(names)),
                false => Err(BadResource::Repeated(name())),
            }
        }
        (Ok(ValueType::Text), ..) => Err(of("a text")),
        (Err(_), ..) => Err(of("a type that is not known")),
        (Ok(ValueType::Scalar | ValueType::Ranges | ValueType::Set), None, None, None) => {
            Err(of("none"))
        }
        (Ok(ValueType::Scalar | ValueType::Ranges | ValueType::Set), ..) => Err(of("another")),
    }
}

fn few(name: &str, pieces: usize) -> Result<(), BadResource> {
    if pieces <= RANGES_MAX {
        return Ok(());
    }
    Err(BadResource::TooManyPieces { name: name.to_owned(), pieces })
}

fn ranges_of(name: &str, ranges: &[v1::value::Range]) -> Result<Ranges, BadResource> {
    few(name, ranges.len())?;
    let mut all: Vec<(u64, u64)> = ranges.iter().map(|range| (range.begin, range.end)).collect();
    if let Some((first, last)) = all.iter().copied().find(|(first, last)| first > last) {
        return Err(BadResource::Backwards { name: name.to_owned(), first, last });
    }
    all.sort_unstable();
    if all.windows(2).any(|two| two[1].0 <= two[0].1) {
        return Err(BadResource::Repeated(name.to_owned()));
    }
    Ok(Ranges::new(all))
}

fn role_of(name: &str, role: &str) -> Result<Role, BadResource> {
    role.parse().map_err(|why| BadResource::Role { name: name.to_owned(), why })
}

fn reservation_to_v1(reservation: &Reservation) -> ReservationInfo {
    let made = match reservation.made {
        ReservationMade::Static => ReservationType::Static,
        ReservationMade::Dynamic => ReservationType::Dynamic,
    };
    ReservationInfo {
        r#type: Some(made.into()),
        role: Some(reservation.role.to_string()),
        principal: reservation.principal.clone(),
        labels: labels_to_v1(&reservation.labels),
    }
}

/// The stack, from whichever form.
fn reservations_of(message: &v1::Resource) -> Result<Vec<Reservation>, BadResource> {
    forms::check_reservations(message)
        .map_err(|why| BadResource::Reservations { name: message.name.clone(), why })?;
    forms::stack_of(message).iter().map(|info| newer_of(&message.name, info)).collect()
}

fn newer_of(name: &str, info: &ReservationInfo) -> Result<Reservation, BadResource> {
    let unknown = || BadResource::Unknown { name: name.to_owned(), what: "reservation" };
    let made = match info.r#type.map(ReservationType::try_from) {
        Some(Ok(ReservationType::Static)) => ReservationMade::Static,
        Some(Ok(ReservationType::Dynamic)) => ReservationMade::Dynamic,
        Some(Ok(ReservationType::Unknown) | Err(_)) | None => return Err(unknown()),
    };
    Ok(Reservation {
        role: role_of(name, info.role.as_deref().unwrap_or_default())?,
        made,
        principal: info.principal.clone(),
        labels: labels_of(info.labels.as_ref()),
    })
}

fn labels_to_v1(labels: &[Label]) -> Option<v1::Labels> {
    let label = |(key, value): &Label| v1::Label { key: key.clone(), value: value.clone() };
    (!labels.is_empty()).then(|| v1::Labels { labels: labels.iter().map(label).collect() })
}

fn labels_of(labels: Option<&v1::Labels>) -> Vec<Label> {
    let label = |label: &v1::Label| (label.key.clone(), label.value.clone());
    labels.map(|labels| labels.labels.iter().map(label).collect()).unwrap_or_default()
}

fn disk_to_v1(disk: &Disk) -> DiskInfo {
    let volume = |volume: &PersistentVolume| v1::Volume {
        mode: if volume.read_only { Mode::Ro } else { Mode::Rw }.into(),
        container_path: volume.container_path.clone(),
        ..v1::Volume::default()
    };
    let persistence = |volume: &PersistentVolume| disk_info::Persistence {
        id: volume.id.clone(),
        principal: volume.principal.clone(),
    };
    DiskInfo {
        persistence: disk.volume.as_ref().map(persistence),
        volume: disk.volume.as_ref().map(volume),
        source: disk.source.as_ref().map(source_to_v1),
    }
}

fn source_to_v1(source: &DiskSource) -> disk_info::Source {
    let (kind, root) = (source.kind, source.root.clone());
    disk_info::Source {
        r#type: match kind {
            DiskKind::Path => SourceType::Path,
            DiskKind::Mount => SourceType::Mount,
            DiskKind::Block => SourceType::Block,
            DiskKind::Raw => SourceType::Raw,
        }
        .into(),
        path: (kind == DiskKind::Path).then(|| disk_info::source::Path { root: root.clone() }),
        mount: (kind == DiskKind::Mount).then_some(disk_info::source::Mount { root }),
        vendor: source.vendor.clone(),
        id: source.id.clone(),
        metadata: labels_to_v1(&source.metadata),
        profile: source.profile.clone(),
    }
}

fn disk_of(name: &str, disk: &DiskInfo) -> Result<Disk, BadResource> {
    let unsupported = |what| Err(BadResource::Unsupported { name: name.to_owned(), what });
    let volume = match (&disk.persistence, &disk.volume) {
        (None, None) => None,
        (Some(persistence), Some(volume)) => {
            if volume.host_path.is_some() || volume.image.is_some() || volume.source.is_some() {
                return unsupported("a volume with a source of its own");
            }
            let mode = Mode::try_from(volume.mode);
            let unknown = |_| BadResource::Unknown { name: name.to_owned(), what: "volume" };
            Some(PersistentVolume {
                id: persistence.id.clone(),
                principal: persistence.principal.clone(),
                container_path: volume.container_path.clone(),
                read_only: mode.map_err(unknown)? == Mode::Ro,
            })
        }
        (Some(_), None) => return unsupported("a volume without a path in its containers"),
        (None, Some(_)) => return unsupported("a volume that does not outlive its task"),
    };
    let source = disk.source.as_ref().map(|source| source_of(name, source)).transpose()?;
    Ok(Disk { source, volume })
}

fn source_of(name: &str, source: &disk_info::Source) -> Result<DiskSource, BadResource> {
    let kind = match SourceType::try_from(source.r#type) {
        Ok(SourceType::Path) => DiskKind::Path,
        Ok(SourceType::Mount) => DiskKind::Mount,
        Ok(SourceType::Block) => DiskKind::Block,
        Ok(SourceType::Raw) => DiskKind::Raw,
        Ok(SourceType::Unknown) | Err(_) => {
            return Err(BadResource::Unknown { name: name.to_owned(), what: "disk" });
        }
    };
    let path = source.path.as_ref().map(|path| (DiskKind::Path, &path.root));
    let mount = source.mount.as_ref().map(|mount| (DiskKind::Mount, &mount.root));
    let root = match (path, mount) {
        (None, None) => None,
        (Some((of, root)), None) | (None, Some((of, root))) if of == kind => root.clone(),
        (Some(_), _) | (_, Some(_)) => {
            let what = "a folder of another kind of disk";
            return Err(BadResource::Unsupported { name: name.to_owned(), what });
        }
    };
    Ok(DiskSource {
        kind,
        root,
        id: source.id.clone(),
        vendor: source.vendor.clone(),
        profile: source.profile.clone(),
        metadata: labels_of(source.metadata.as_ref()),
    })
}
