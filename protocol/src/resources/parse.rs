//! The text form of resources and attributes, as Mesos's `--resources` and `--attributes` take it:
//! `cpus:2;mem:1024;ports:[31000-32000];disks:{a,b}`.

use std::str::FromStr;
use std::sync::Arc;

use super::{Attribute, Kind, Milli, Ranges, Resource, Resources, Value};

/// More entries than any machine has.
const ENTRIES_MAX: usize = 1000;

/// Why a text names no resources.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadResources {
    /// No `name:value`.
    #[error("'{0}' is not of the form name:value")]
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
    /// Below zero.
    #[error("'{name}' must not be negative, but is {value}")]
    Negative {
        /// Whose value.
        name: String,
        /// What was given.
        value: String,
    },
    /// Reserved resources in text form.
    #[error("'{0}' is reserved for a role; reservations are not supported in text form")]
    Reserved(String),
    /// Too many entries.
    #[error("{0} entries are more than {ENTRIES_MAX}")]
    TooMany(usize),
}

impl FromStr for Resources {
    type Err = BadResources;

    fn from_str(text: &str) -> Result<Self, BadResources> {
        let mut all = Self::none();
        for (name, value) in entries(text)? {
            if let Some(inner) = name.strip_suffix("(*)") {
                all.add_one(resource(inner, value)?);
            } else if name.contains('(') {
                return Err(BadResources::Reserved(name.into()));
            } else {
                all.add_one(resource(name, value)?);
            }
        }
        Ok(all)
    }
}

/// Attributes keep their order and their text.
pub fn parse_attributes(text: &str) -> Result<Vec<Attribute>, BadResources> {
    let pairs = entries(text)?;
    Ok(pairs
        .into_iter()
        .map(|(name, value)| Attribute { name: name.into(), value: value.into() })
        .collect())
}

fn entries(text: &str) -> Result<Vec<(&str, &str)>, BadResources> {
    let parts: Vec<&str> = text.split(';').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > ENTRIES_MAX {
        return Err(BadResources::TooMany(parts.len()));
    }
    parts
        .into_iter()
        .map(|part| {
            let (name, value) =
                part.split_once(':').ok_or_else(|| BadResources::NoColon(part.into()))?;
            let (name, value) = (name.trim(), value.trim());
            if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return Err(BadResources::Name(name.into()));
            }
            Ok((name, value))
        })
        .collect()
}

fn resource(name: &str, value: &str) -> Result<Resource, BadResources> {
    let bad = || BadResources::Value { name: name.into(), value: value.into() };
    let inside =
        |open, close| value.strip_prefix(open).and_then(|rest: &str| rest.strip_suffix(close));
    let value = if let Some(list) = inside('[', ']') {
        Value::Ranges(ranges(list).ok_or_else(bad)?)
    } else if let Some(list) = inside('{', '}') {
        let mut names: Vec<String> = list
            .split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort();
        names.dedup();
        Value::Set(names)
    } else {
        let number: f64 = value.parse().map_err(|_| bad())?;
        if !number.is_finite() {
            return Err(bad());
        }
        if number < 0.0 {
            return Err(BadResources::Negative { name: name.into(), value: value.into() });
        }
        Value::Scalar(Milli::from_f64(number))
    };
    Ok(Resource { name: Arc::from(name), kind: Kind::Unreserved, value })
}

fn ranges(list: &str) -> Option<Ranges> {
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
