//! What operators say of machines: `rack:r1;ssd:true;cores:[0-7]`. Kept as text, read as Mesos reads it.

use serde::{Deserialize, Serialize};

use super::parse::{entries, ranges_of, set_of};
use super::{BadResources, Milli, Ranges};

/// What an operator says of a machine; compared, never consumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value, in Mesos's text form.
    pub value: String,
}

impl Attribute {
    /// Its value, as it is meant.
    pub fn typed(&self) -> AttributeValue {
        AttributeValue::of(&self.value)
    }
}

/// What an attribute's text is taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// A number.
    Scalar(Milli),
    /// Whole numbers.
    Ranges(Ranges),
    /// Names; sorted, without repeats.
    Set(Vec<String>),
    /// Any other text; offers can be constrained by these alone.
    Text(String),
}

impl AttributeValue {
    /// Numbers, ranges and sets are what looks like them.
    pub fn of(text: &str) -> Self {
        let text = text.trim();
        if let Some(ranges) = ranges_of(text) {
            return Self::Ranges(ranges);
        }
        if let Some(names) = set_of(text) {
            return Self::Set(names);
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Self::Scalar(Milli::from_f64(number)),
            Ok(_) | Err(_) => Self::Text(text.to_owned()),
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Scalar(_) | Self::Ranges(_) | Self::Set(_) => None,
        }
    }
}

/// What an operator writes: texts, numbers and ranges, which keep their order and their text.
pub fn parse_attributes(text: &str) -> Result<Vec<Attribute>, BadResources> {
    let pairs = entries(text)?;
    pairs
        .into_iter()
        .map(|(name, value)| {
            // What begins as a set or as ranges and is none is a slip, which nobody would see again.
            if value.starts_with(['[', '{']) && AttributeValue::of(value).text().is_some() {
                return Err(BadResources::Value { name: name.into(), value: value.into() });
            }
            // A process of Mesos ends at such a one; here it is said before anything begins.
            if let AttributeValue::Set(_) = AttributeValue::of(value) {
                return Err(BadResources::SetAttribute(name.into()));
            }
            Ok(Attribute { name: name.into(), value: value.into() })
        })
        .collect()
}
