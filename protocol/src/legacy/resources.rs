//! Resources as one flat object: the four that everybody reads are always there, ranges and sets are text, and what may be taken
//! back at any time has a name of its own.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::Message;
use crate::ids::Role;
use crate::quantities::{Limits, Quantities};
use crate::resources::{Attribute, AttributeValue, Milli, Ranges, Resource, Resources, Value};

/// Always shown.
const ALWAYS: [&str; 4] = ["cpus", "gpus", "mem", "disk"];

/// All these together.
pub struct Flat<'r>(pub &'r Resources);

/// Those of them that are chosen.
pub struct FlatOf<'r, F>(pub &'r Resources, pub F);

/// As [`Flat`], of what was added up for this.
pub struct FlatOwned(pub Resources);

/// What is there of one name.
enum Sum<'r> {
    Amount(Milli),
    Ranges(Cow<'r, Ranges>),
    Names(Vec<&'r str>),
}

impl<'r> Sum<'r> {
    fn of(value: &'r Value) -> Self {
        match value {
            Value::Scalar(amount) => Self::Amount(*amount),
            Value::Ranges(ranges) => Self::Ranges(Cow::Borrowed(ranges)),
            Value::Set(names) => Self::Names(names.iter().map(String::as_str).collect()),
        }
    }

    /// Of one sort with it: one name has one sort on an agent, and what has another is not shown.
    fn add(&mut self, value: &'r Value) {
        match (self, value) {
            (Self::Amount(sum), Value::Scalar(more)) => sum.0 = sum.0.saturating_add(more.0),
            (Self::Ranges(sum), Value::Ranges(more)) => *sum = Cow::Owned(sum.union(more)),
            (Self::Names(sum), Value::Set(more)) => {
                sum.extend(more.iter().map(String::as_str));
                sum.sort_unstable();
                sum.dedup();
            }
            (Self::Amount(_) | Self::Ranges(_) | Self::Names(_), _) => (),
        }
    }

    fn write<M: SerializeMap>(&self, name: &str, map: &mut M) -> Result<(), M::Error> {
        match self {
            Self::Amount(amount) => map.serialize_entry(name, &amount.as_f64()),
            Self::Ranges(ranges) => map.serialize_entry(name, &Text(ranges.as_ref())),
            Self::Names(names) => map.serialize_entry(name, &format!("{{{}}}", names.join(", "))),
        }
    }
}

/// As it prints itself.
struct Text<T>(T);

impl Serialize for Text<&Ranges> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Mesos has a blank behind each comma.
        serializer.serialize_str(&self.0.to_string().replace(',', ", "))
    }
}

fn write<'r, S: Serializer>(
    all: impl Iterator<Item = &'r Resource>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    // There are few names: a list is quicker than a tree.
    let mut sums: Vec<(&str, bool, Sum<'_>)> = Vec::with_capacity(8);
    for one in all {
        let revocable = one.kind.is_revocable();
        let known =
            sums.iter_mut().find(|(name, twin, _)| *name == &*one.name && *twin == revocable);
        match known {
            Some((_, _, sum)) => sum.add(&one.value),
            None => sums.push((&one.name, revocable, Sum::of(&one.value))),
        }
    }
    let mut map = serializer.serialize_map(None)?;
    for name in ALWAYS {
        let known = sums.iter().find(|(known, revocable, _)| *known == name && !revocable);
        match known {
            Some((_, _, sum)) => sum.write(name, &mut map)?,
            None => map.serialize_entry(name, &0.0)?,
        }
    }
    for (name, revocable, sum) in &sums {
        if *revocable {
            sum.write(&format!("{name}_revocable"), &mut map)?;
        } else if !ALWAYS.contains(name) {
            sum.write(name, &mut map)?;
        }
    }
    map.end()
}

impl Serialize for Flat<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(self.0.iter(), serializer)
    }
}

impl Serialize for FlatOwned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Flat(&self.0).serialize(serializer)
    }
}

impl<F: Fn(&Resource) -> bool> Serialize for FlatOf<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(self.0.iter().filter(|one| (self.1)(one)), serializer)
    }
}

/// Only amounts, and only those that there are.
pub struct Amounts<'q>(pub &'q Quantities);

impl Serialize for Amounts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, amount)| (&**name, amount.as_f64())))
    }
}

/// Likewise.
pub struct AtMost<'q>(pub &'q Limits);

impl Serialize for AtMost<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, amount)| (&**name, amount.as_f64())))
    }
}

/// What operators say of machines: numbers are numbers, all else is text.
pub struct Attributes<'a>(pub &'a [Attribute]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut seen: Vec<&str> = Vec::with_capacity(self.0.len());
        for one in self.0 {
            // A name that is said twice is shown once: an object has each key once.
            if seen.contains(&one.name.as_str()) {
                continue;
            }
            seen.push(&one.name);
            match one.typed() {
                AttributeValue::Scalar(number) => {
                    map.serialize_entry(&one.name, &number.as_f64())?;
                }
                AttributeValue::Ranges(ranges) => map.serialize_entry(&one.name, &Text(&ranges))?,
                AttributeValue::Set(names) => {
                    map.serialize_entry(&one.name, &format!("{{{}}}", names.join(", ")))?;
                }
                AttributeValue::Text(text) => map.serialize_entry(&one.name, &text)?,
            }
        }
        map.end()
    }
}

/// Whether it is nobody's more than others'.
pub fn is_unreserved(one: &Resource) -> bool {
    one.kind.reserved_for().is_none()
}

/// One of them in both forms, as far as the older one can say it.
pub fn in_full(one: &Resource) -> Message<api::v1::Resource> {
    let mut message = one.to_v1();
    api::resources::to_endpoint(&mut message);
    Message(message)
}

/// For whom it is reserved, of those that are.
pub fn roles_of(resources: &Resources) -> Vec<&Role> {
    let mut roles: Vec<&Role> =
        resources.iter().filter_map(|one| one.kind.reserved_for()).collect();
    roles.sort_unstable();
    roles.dedup();
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_one_flat_object_with_the_four_that_everybody_reads() {
        let mut all: Resources =
            "cpus:1.5;mem:64;cpus(eng):2;ports:[1-3,5-5];names:{b,a}".parse().expect("resources");
        let back: Resources = "cpus:10".parse().expect("resources");
        for one in back.iter() {
            let kind = one.kind.with(|terms| terms.revocable = true);
            all.add_one(Resource { kind, ..one.clone() });
        }
        let text = serde_json::to_string(&Flat(&all)).expect("JSON");
        assert_eq!(
            text,
            r#"{"cpus":3.5,"gpus":0.0,"mem":64.0,"disk":0.0,"cpus_revocable":10.0,"names":"{a, b}","ports":"[1-3, 5-5]"}"#
        );
        let nothing = serde_json::to_string(&Flat(&Resources::none())).expect("JSON");
        assert_eq!(nothing, r#"{"cpus":0.0,"gpus":0.0,"mem":0.0,"disk":0.0}"#);
    }

    #[test]
    fn attributes_are_numbers_or_text() {
        let pairs = [("rack", "r1"), ("level", "10"), ("ids", "[1-2,4-4]"), ("os", "{b,a}")];
        let all = pairs.map(|(name, value)| Attribute { name: name.into(), value: value.into() });
        let text = serde_json::to_string(&Attributes(&all)).expect("JSON");
        assert_eq!(text, r#"{"rack":"r1","level":10.0,"ids":"[1-2, 4-4]","os":"{a, b}"}"#);
    }
}
