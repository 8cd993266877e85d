//! Whether a resource makes sense by itself. Rules, their order and their texts are those of Mesos:
//! clients and tests compare them.

use super::roles::{BadRole, EVERYBODY, check_role, is_strictly_below};
use super::{role_is_unset, role_of};
use crate::v1::resource::disk_info::source::Type as SourceType;
use crate::v1::resource::reservation_info::Type as ReservationType;
use crate::v1::resource::{DiskInfo, ReservationInfo, disk_info};
use crate::v1::value::{Range, Type as ValueType};
use crate::v1::{Labels, Resource};

/// Which rule a resource breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadResource {
    /// It has no name.
    #[error("Empty resource name")]
    Name,
    /// The number of its type has no name.
    #[error("Invalid resource type")]
    Type,
    /// Only attributes have texts.
    #[error("Unsupported resource type")]
    Text,
    /// It has not exactly the value of its type.
    #[error("Invalid {0} resource")]
    Value(&'static str),
    /// Less than nothing, or so little that it would be nothing.
    #[error("Invalid scalar resource: value <= 0")]
    NotPositive,
    /// Infinite, or no number.
    #[error("Invalid scalar resource: value is not a finite number")]
    NotFinite,
    /// A range that ends before it begins.
    #[error("Invalid ranges resource: begin > end")]
    Backwards,
    /// Two ranges that have a number in common.
    #[error("Invalid ranges resource: overlapping ranges")]
    Overlap,
    /// The same name twice.
    #[error("Invalid set resource: duplicated elements")]
    Duplicate,
    /// Only disk space lies on disks.
    #[error("DiskInfo should not be set for {0} resource")]
    Disk(String),
    /// A device has no folder.
    #[error("{what} should not be set for {kind} disk source")]
    Folder {
        /// `Mount` or `Path`.
        what: &'static str,
        /// Of which kind the source is.
        kind: &'static str,
    },
    /// A disk of no known kind.
    #[error("Unsupported 'DiskInfo.Source.Type' in 'UNKNOWN'")]
    Source,
    /// A role that is none.
    #[error(transparent)]
    Role(#[from] BadRole),
    /// The newer form's field in the older one.
    #[error("'Resource.ReservationInfo.{0}' must not be set for the 'Resource.reservation' field")]
    NewerField(&'static str),
    /// Everybody's role cannot be reserved for, in the older form.
    #[error("Invalid reservation: role \"*\" cannot be dynamically reserved")]
    EverybodyDynamic,
    /// A step of the stack that lacks something.
    #[error("Invalid reservation: 'Resource.ReservationInfo.{0}' field must be set.")]
    Missing(&'static str),
    /// Everybody's role cannot be reserved for.
    #[error("Invalid reservation: role \"*\" cannot be reserved")]
    Everybody,
    /// Only the outermost reservation is made when an agent starts.
    #[error("Invalid refined reservation: A refined reservation cannot be STATIC")]
    StaticWithin,
    /// A reservation that is not for a role below the one before.
    #[error("Invalid refined reservation: role '{inner}' is not a refinement of '{outer}'")]
    NotBelow {
        /// For which role it is.
        inner: String,
        /// For which role the one before is.
        outer: String,
    },
    /// The two forms name two roles.
    #[error(
        "Invalid resource format: 'Resource.role' field with '{older}' does not match the role '{newer}' in 'Resource.reservations'"
    )]
    RolesDiffer {
        /// The older form's.
        older: String,
        /// The stack's.
        newer: String,
    },
    /// The older form says dynamic, the stack static.
    #[error(
        "Invalid resource format: 'Resource.reservation' must not be set if the single reservation in 'Resource.reservations' is STATIC"
    )]
    DynamicAndStatic,
    /// Half of the older form.
    #[error(
        "Invalid resource format: 'Resource.role' and 'Resource.reservation' must either be both set or both not set if the single reservation in 'Resource.reservations' is DYNAMIC"
    )]
    HalfOlder,
    /// The two forms name two principals.
    #[error(
        "Invalid resource format: 'Resource.reservation.principal' field with '{older}' does not match the principal '{newer}' in 'Resource.reservations'"
    )]
    PrincipalsDiffer {
        /// The older form's.
        older: String,
        /// The stack's.
        newer: String,
    },
    /// The two forms have other labels.
    #[error(
        "Invalid resource format: 'Resource.reservation.labels' field with '{older}' does not match the labels '{newer}' in 'Resource.reservations'"
    )]
    LabelsDiffer {
        /// The older form's.
        older: String,
        /// The stack's.
        newer: String,
    },
    /// A reservation of no known type.
    #[error("Unsupported 'Resource.ReservationInfo.Type'")]
    ReservationType,
    /// The older form cannot say several reservations.
    #[error(
        "Invalid resource format: 'Resource.{0}' must not be set if there is more than one reservation in 'Resource.reservations'"
    )]
    OlderBesideRefined(&'static str),
    /// Only disk space is shared.
    #[error("Resource {0} cannot be shared")]
    Shared(String),
    /// Only volumes are shared.
    #[error("Only persistent volumes can be shared")]
    SharedWithoutVolume,
}

/// Checks a resource in any form.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn validate(resource: &Resource) -> Result<(), BadResource> {
    if resource.name.is_empty() {
        return Err(BadResource::Name);
    }
    check_value(resource)?;
    if let Some(disk) = &resource.disk {
        check_disk(&resource.name, disk)?;
    }
    check_reservations(resource)?;
    if resource.shared.is_none() {
        return Ok(());
    }
    if resource.name != "disk" {
        return Err(BadResource::Shared(resource.name.clone()));
    }
    let volume = resource.disk.as_ref().and_then(|disk| disk.persistence.as_ref());
    volume.map(|_| ()).ok_or(BadResource::SharedWithoutVolume)
}

/// Checks only for whom a resource is reserved, in any form.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn check_reservations(resource: &Resource) -> Result<(), BadResource> {
    match &resource.reservations[..] {
        [] => check_older(resource),
        stack => {
            check_stack(stack)?;
            check_both(resource, stack)
        }
    }
}

fn check_value(resource: &Resource) -> Result<(), BadResource> {
    let Resource { scalar, ranges, set, .. } = resource;
    match ValueType::try_from(resource.r#type) {
        Ok(ValueType::Scalar) => match (scalar, ranges, set) {
            (Some(scalar), None, None) => check_scalar(scalar.value),
            _ => Err(BadResource::Value("scalar")),
        },
        Ok(ValueType::Ranges) => match (scalar, ranges, set) {
            (None, Some(ranges), None) => check_ranges(&ranges.range),
            _ => Err(BadResource::Value("ranges")),
        },
        Ok(ValueType::Set) => match (scalar, ranges, set) {
            (None, None, Some(set)) => check_set(&set.item),
            _ => Err(BadResource::Value("set")),
        },
        Ok(ValueType::Text) => Err(BadResource::Text),
        Err(_) => Err(BadResource::Type),
    }
}

/// Nothing at all is allowed; what would round to nothing is not. Amounts have three decimals.
fn check_scalar(value: f64) -> Result<(), BadResource> {
    if !value.is_finite() {
        return Err(BadResource::NotFinite);
    }
    let positive = (value * 1000.0).round() >= 1.0;
    if positive || value == 0.0 { Ok(()) } else { Err(BadResource::NotPositive) }
}

fn check_ranges(ranges: &[Range]) -> Result<(), BadResource> {
    if ranges.iter().any(|range| range.begin > range.end) {
        return Err(BadResource::Backwards);
    }
    let mut sorted: Vec<(u64, u64)> = ranges.iter().map(|range| (range.begin, range.end)).collect();
    sorted.sort_unstable();
    let overlap = sorted.windows(2).any(|two| two[1].0 <= two[0].1);
    if overlap { Err(BadResource::Overlap) } else { Ok(()) }
}

fn check_set(items: &[String]) -> Result<(), BadResource> {
    let mut sorted: Vec<&String> = items.iter().collect();
    sorted.sort_unstable();
    let twice = sorted.windows(2).any(|two| two[0] == two[1]);
    if twice { Err(BadResource::Duplicate) } else { Ok(()) }
}

fn check_disk(name: &str, disk: &DiskInfo) -> Result<(), BadResource> {
    if name != "disk" {
        return Err(BadResource::Disk(name.to_owned()));
    }
    let Some(source) = &disk.source else { return Ok(()) };
    match SourceType::try_from(source.r#type) {
        Ok(SourceType::Path | SourceType::Mount) => Ok(()),
        Ok(SourceType::Block) => check_no_folder("BLOCK", source),
        Ok(SourceType::Raw) => check_no_folder("RAW", source),
        Ok(SourceType::Unknown) | Err(_) => Err(BadResource::Source),
    }
}

fn check_no_folder(kind: &'static str, source: &disk_info::Source) -> Result<(), BadResource> {
    if source.mount.is_some() {
        return Err(BadResource::Folder { what: "Mount", kind });
    }
    if source.path.is_some() {
        return Err(BadResource::Folder { what: "Path", kind });
    }
    Ok(())
}

/// Of a resource that has no stack.
fn check_older(resource: &Resource) -> Result<(), BadResource> {
    let role = role_of(resource);
    check_role(role)?;
    let Some(older) = &resource.reservation else { return Ok(()) };
    if older.r#type.is_some() {
        return Err(BadResource::NewerField("type"));
    }
    if older.role.is_some() {
        return Err(BadResource::NewerField("role"));
    }
    if role == EVERYBODY { Err(BadResource::EverybodyDynamic) } else { Ok(()) }
}

fn check_stack(stack: &[ReservationInfo]) -> Result<(), BadResource> {
    for step in stack {
        if known_type(step).is_none() {
            return Err(BadResource::Missing("type"));
        }
        let role = step.role.as_deref().ok_or(BadResource::Missing("role"))?;
        check_role(role)?;
        if role == EVERYBODY {
            return Err(BadResource::Everybody);
        }
    }
    for two in stack.windows(2) {
        if known_type(&two[1]) == Some(ReservationType::Static) {
            return Err(BadResource::StaticWithin);
        }
        let (outer, inner) = (two[0].role(), two[1].role());
        if !is_strictly_below(inner, outer) {
            let (inner, outer) = (inner.to_owned(), outer.to_owned());
            return Err(BadResource::NotBelow { inner, outer });
        }
    }
    // Mesos looks at this for a single reservation only, which lets one of several through that
    // no other code of its own knows what to do with.
    let unknown = stack.iter().any(|step| known_type(step) == Some(ReservationType::Unknown));
    if unknown { Err(BadResource::ReservationType) } else { Ok(()) }
}

/// A number without a name is as good as none.
fn known_type(step: &ReservationInfo) -> Option<ReservationType> {
    step.r#type.and_then(|number| ReservationType::try_from(number).ok())
}

/// What the older form may say beside a stack.
fn check_both(resource: &Resource, stack: &[ReservationInfo]) -> Result<(), BadResource> {
    let (has_role, older) = (!role_is_unset(resource), resource.reservation.as_ref());
    let [newer] = stack else {
        if has_role {
            return Err(BadResource::OlderBesideRefined("role"));
        }
        return older.map_or(Ok(()), |_| Err(BadResource::OlderBesideRefined("reservation")));
    };
    if has_role && role_of(resource) != newer.role() {
        let (older, newer) = (role_of(resource).to_owned(), newer.role().to_owned());
        return Err(BadResource::RolesDiffer { older, newer });
    }
    if known_type(newer) == Some(ReservationType::Static) {
        return older.map_or(Ok(()), |_| Err(BadResource::DynamicAndStatic));
    }
    if has_role != older.is_some() {
        return Err(BadResource::HalfOlder);
    }
    older.map_or(Ok(()), |older| check_same(older, newer))
}

fn check_same(older: &ReservationInfo, newer: &ReservationInfo) -> Result<(), BadResource> {
    if older.principal() != newer.principal() {
        let (older, newer) = (older.principal().to_owned(), newer.principal().to_owned());
        return Err(BadResource::PrincipalsDiffer { older, newer });
    }
    let (one, other) = (sorted_labels(older.labels.as_ref()), sorted_labels(newer.labels.as_ref()));
    if one == other {
        return Ok(());
    }
    let (older, newer) = (show_labels(older.labels.as_ref()), show_labels(newer.labels.as_ref()));
    Err(BadResource::LabelsDiffer { older, newer })
}

/// Labels are the same in whatever order.
fn sorted_labels(labels: Option<&Labels>) -> Vec<(&str, Option<&str>)> {
    let all = labels.into_iter().flat_map(|labels| &labels.labels);
    let mut all: Vec<_> = all.map(|label| (label.key.as_str(), label.value.as_deref())).collect();
    all.sort_unstable();
    all
}

fn show_labels(labels: Option<&Labels>) -> String {
    let all = labels.into_iter().flat_map(|labels| &labels.labels);
    let shown = all.map(|label| match &label.value {
        Some(value) => format!("{}: {value}", label.key),
        None => label.key.clone(),
    });
    format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
}
