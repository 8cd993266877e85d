//! The text form of resources, as Mesos's `--resources` takes it: `cpus:2;mem(eng/web):1024;ports:[31000-32000];disks:{a,b}`, or
//! a list of v1 resources in JSON.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use super::check::{RANGES_MAX, is_name};
use super::{
    BadResource, Kind, Milli, NotNormal, Ranges, Reservation, ReservationMade, Resource, Resources,
    Terms, Value,
};
use crate::ids::{BadRole, Role};

/// More entries than any machine has.
pub(super) const ENTRIES_MAX: usize = 1000;

/// Why a text names no resources.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadResources {
    /// No `name:value`.
    #[error("'{0}' is not of the form name:value or name(role):value")]
    NoColon(String),
    /// The name is empty or holds what a name cannot.
    #[error("'{0}' is not a resource's name")]
    Name(String),
    /// Neither number, ranges nor set.
    #[error("'{value}' is no value for '{name}': expected a number, [1-10,20-30] or {{a,b}}")]
    Value {
        /// Whose value.
        name: String,
        /// What was given.
        value: String,
    },
    /// A number that is no amount.
    #[error("'{name}' is {value}: {why}")]
    Amount {
        /// Whose value.
        name: String,
        /// What was given.
        value: String,
        /// Why it is none.
        why: BadAmount,
    },
    /// More ranges or names than any machine has.
    #[error("'{name}' has {pieces} ranges or names, more than {RANGES_MAX}")]
    TooManyPieces {
        /// Whose value.
        name: String,
        /// How many.
        pieces: usize,
    },
    /// What it is reserved for is no role.
    #[error("'{name}' cannot be reserved: {why}")]
    Role {
        /// Of which resource.
        name: String,
        /// Why.
        why: BadRole,
    },
    /// Too many entries.
    #[error("{0} entries are more than {ENTRIES_MAX}")]
    TooMany(usize),
    /// Not even JSON.
    #[error("it is no list of resources in JSON: {0}")]
    Json(String),
    /// JSON that describes no resource.
    #[error("resource {place} of the list: {why}")]
    Entry {
        /// From 1.
        place: usize,
        /// Why.
        why: BadResource,
    },
    /// Each entry is right, and all together are not.
    #[error(transparent)]
    NotNormal(#[from] NotNormal),
    /// An agent starts with nothing that is made while the cluster runs.
    #[error("an agent cannot be started with {0}: leave that out, it comes while the cluster runs")]
    MadeLater(String),
    /// Mesos's agents know no such attributes.
    #[error(
        "attribute '{0}' is a set, and attributes are texts, numbers or ranges; write one attribute for each name, or a text without braces"
    )]
    SetAttribute(String),
}

/// Why a text is no amount of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAmount {
    /// Nor would not-a-number or infinity be.
    #[error("it is no number, such as 2 or 0.5")]
    NoNumber,
    /// Below zero.
    #[error("it must not be negative")]
    Negative,
    /// Something that would be nothing.
    #[error("it is less than a thousandth: write 0, or at least 0.001")]
    TooFine,
    /// More than there can be.
    #[error("it must be at most {max}", max = Milli::MAX)]
    TooMuch,
}

impl Milli {
    /// An amount as people write it. What is something does not become nothing.
    pub(crate) fn read(text: &str) -> Result<Self, BadAmount> {
        let number: f64 = text.parse().map_err(|_| BadAmount::NoNumber)?;
        let amount = Self::from_f64(number);
        if !number.is_finite() {
            Err(BadAmount::NoNumber)
        } else if number < 0.0 {
            Err(BadAmount::Negative)
        } else if number > 0.0 && amount == Self(0) {
            Err(BadAmount::TooFine)
        } else if amount > Self::MAX {
            Err(BadAmount::TooMuch)
        } else {
            Ok(amount)
        }
    }
}

/// What a name cannot hold where roles, ranges and sets are written.
pub(crate) const NOT_IN_NAMES: [char; 6] = ['(', ')', '[', ']', '{', '}'];

/// What an operator names of a machine's resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// All of them.
    pub resources: Resources,
    /// Their names, of those too of which there is to be none.
    pub names: BTreeSet<Arc<str>>,
}

impl Named {
    /// Of a text, or of JSON. What is not said to be reserved is so for the default role, unless that is everybody's.
    pub fn parse(text: &str, default_role: &Role) -> Result<Self, BadResources> {
        let entries = if text.trim_start().starts_with(['[', '{']) {
            super::json::entries(text, default_role)?
        } else {
            from_text(text, default_role)?
        };
        let names = entries.iter().map(|entry| entry.name.clone()).collect();
        let resources: Resources = entries.into_iter().collect();
        resources.check()?;
        let made_later = |entry: &&Resource| entry.kind.terms().is_some_and(is_made_later);
        if let Some(entry) = resources.iter().find(made_later) {
            return Err(BadResources::MadeLater(entry.to_string()));
        }
        Ok(Self { resources, names })
    }
}

fn is_made_later(terms: &Terms) -> bool {
    let dynamic = |one: &Reservation| one.made == ReservationMade::Dynamic;
    let volume = terms.disk.as_ref().is_some_and(|disk| disk.volume.is_some());
    let used = terms.revocable || terms.allocated_to.is_some();
    volume || used || terms.reservations.iter().any(dynamic)
}

impl FromStr for Resources {
    type Err = BadResources;

    fn from_str(text: &str) -> Result<Self, BadResources> {
        Named::parse(text, &Role::everybody()).map(|named| named.resources)
    }
}

fn parts(text: &str) -> Result<Vec<&str>, BadResources> {
    let parts: Vec<&str> = text.split(';').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > ENTRIES_MAX { Err(BadResources::TooMany(parts.len())) } else { Ok(parts) }
}

/// Names and values; of attributes, whose names may hold anything but white space.
pub(super) fn entries(text: &str) -> Result<Vec<(&str, &str)>, BadResources> {
    parts(text)?.into_iter().map(pair).collect()
}

fn pair(part: &str) -> Result<(&str, &str), BadResources> {
    let (name, value) = part.split_once(':').ok_or_else(|| BadResources::NoColon(part.into()))?;
    let (name, value) = (name.trim(), value.trim());
    if is_name(name) { Ok((name, value)) } else { Err(BadResources::Name(name.into())) }
}

fn from_text(text: &str, default_role: &Role) -> Result<Vec<Resource>, BadResources> {
    let entry = |part| {
        let (name, role, text) =
            split(part).ok_or_else(|| BadResources::NoColon(String::from(part)))?;
        if !is_name(name) || name.contains(NOT_IN_NAMES) {
            return Err(BadResources::Name(name.into()));
        }
        let role = match role {
            Some(role) => {
                role.parse().map_err(|why| BadResources::Role { name: name.into(), why })?
            }
            None => default_role.clone(),
        };
        Ok(Resource {
            name: Arc::from(name),
            kind: Kind::reserved(role),
            value: value(name, text)?,
        })
    };
    parts(text)?.into_iter().map(entry).collect()
}

/// Name, role and value of `name(role):value`.
fn split(part: &str) -> Option<(&str, Option<&str>, &str)> {
    let (name, rest) = part.split_at(part.find(['(', ':'])?);
    if let Some(value) = rest.strip_prefix(':') {
        return Some((name.trim(), None, value.trim()));
    }
    let rest = &rest[1..];
    // A role may hold parentheses itself: its own ends before the colon.
    rest.match_indices(')').find_map(|(at, _)| {
        let value = rest[at + 1..].trim_start().strip_prefix(':')?;
        Some((name.trim(), Some(rest[..at].trim()), value.trim()))
    })
}

fn value(name: &str, text: &str) -> Result<Value, BadResources> {
    let (name, value) = (|| name.to_owned(), || text.to_owned());
    let pieces = text.split(',').count();
    if text.starts_with(['[', '{']) && pieces > RANGES_MAX {
        return Err(BadResources::TooManyPieces { name: name(), pieces });
    }
    if let Some(ranges) = ranges_of(text) {
        return Ok(Value::Ranges(ranges));
    }
    if let Some(names) = set_of(text) {
        return Ok(Value::Set(names));
    }
    match Milli::read(text) {
        Ok(amount) => Ok(Value::Scalar(amount)),
        Err(BadAmount::NoNumber) => Err(BadResources::Value { name: name(), value: value() }),
        Err(why) => Err(BadResources::Amount { name: name(), value: value(), why }),
    }
}

/// `{a,b}`
pub(super) fn set_of(text: &str) -> Option<Vec<String>> {
    let list = text.strip_prefix('{')?.strip_suffix('}')?;
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    Some(names)
}

/// `[1-10,20-30]`; ranges that overlap are one.
pub(super) fn ranges_of(text: &str) -> Option<Ranges> {
    let list = text.strip_prefix('[')?.strip_suffix(']')?;
    let mut all = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-')?;
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last {
            return None;
        }
        all.push((first, last));
    }
    Some(Ranges::new(all))
}
