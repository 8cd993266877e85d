//! One constraint, asked of one agent.

use protocol::offer::Constraint;
use protocol::resources::AttributeValue;
use protocol::wishes::{AttributeConstraint, Predicate, Selector};

use super::pattern::Pattern;
use super::{BadConstraints, Bounds, Whereabouts};

/// The name under which a demand means the machine's own.
const HOSTNAME: &str = "hostname";

/// What must be true of which attribute.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    of: Selector,
    is: Is,
}

#[derive(Clone, Debug)]
enum Is {
    There,
    NotThere,
    Equal(String),
    NotEqual(String),
    Matching(Pattern),
    NotMatching(Pattern),
    /// Of a demand: one attribute of the name has these very words, be it a text or not.
    Written(String),
    /// Of a demand: none has.
    NotWritten(String),
}

/// What is found of an attribute.
#[derive(Clone, Copy, Debug)]
enum Found<'a> {
    Nothing,
    Text(&'a str),
    /// A number, ranges or a set.
    Other,
}

impl Condition {
    /// Every machine has a name.
    pub(super) const fn never() -> Self {
        Self { of: Selector::Hostname, is: Is::NotThere }
    }

    pub(super) fn of_attribute(
        constraint: &AttributeConstraint,
        bounds: &Bounds,
    ) -> Result<Self, BadConstraints> {
        let AttributeConstraint { selector, predicate } = constraint;
        if let Selector::Attribute(name) = selector {
            check_name(name, bounds)?;
        }
        let text = |text: &String| match short("the text", text, bounds) {
            Ok(()) => Ok(text.clone()),
            Err(bad) => Err(bad),
        };
        let pattern = |source: &String| {
            short("the regular expression", source, bounds)?;
            Pattern::compile(source, bounds)
        };
        let is = match predicate {
            Predicate::Exists => Is::There,
            Predicate::NotExists => Is::NotThere,
            Predicate::TextEquals(wanted) => Is::Equal(text(wanted)?),
            Predicate::TextNotEquals(unwanted) => Is::NotEqual(text(unwanted)?),
            Predicate::TextMatches(source) => Is::Matching(pattern(source)?),
            Predicate::TextNotMatches(source) => Is::NotMatching(pattern(source)?),
        };
        Ok(Self { of: selector.clone(), is })
    }

    /// Nothing, if it is not about the place.
    pub(super) fn of_demand(
        constraint: &Constraint,
        bounds: &Bounds,
    ) -> Result<Option<Self>, BadConstraints> {
        let named = |attribute: &String, value: &String| {
            check_name(attribute, bounds)?;
            short("the text", value, bounds)?;
            Ok(match attribute.as_str() {
                HOSTNAME => Selector::Hostname,
                _ => Selector::Attribute(attribute.clone()),
            })
        };
        match constraint {
            Constraint::Is { attribute, value } => {
                let of = named(attribute, value)?;
                Ok(Some(Self { of, is: Is::Written(value.clone()) }))
            }
            Constraint::IsNot { attribute, value } => {
                let of = named(attribute, value)?;
                Ok(Some(Self { of, is: Is::NotWritten(value.clone()) }))
            }
            Constraint::Ports { .. } => Ok(None),
            Constraint::Attribute(constraint) => Self::of_attribute(constraint, bounds).map(Some),
        }
    }

    pub(super) fn has_pattern(&self) -> bool {
        matches!(self.is, Is::Matching(_) | Is::NotMatching(_))
    }

    pub(super) fn holds(&self, place: &Whereabouts) -> bool {
        let judge = |found, nothing, text: &dyn Fn(&str) -> bool| match found {
            Found::Nothing => nothing,
            Found::Text(is) => text(is),
            Found::Other => true,
        };
        let found = || found(&self.of, place);
        match &self.is {
            Is::There => !matches!(found(), Found::Nothing),
            Is::NotThere => matches!(found(), Found::Nothing),
            Is::Equal(wanted) => judge(found(), false, &|is| is == wanted),
            Is::NotEqual(unwanted) => judge(found(), true, &|is| is != unwanted),
            Is::Matching(pattern) => judge(found(), false, &|is| pattern.matches(is)),
            Is::NotMatching(pattern) => judge(found(), true, &|is| !pattern.matches(is)),
            Is::Written(wanted) => written(&self.of, place).any(|is| is == wanted),
            Is::NotWritten(unwanted) => !written(&self.of, place).any(|is| is == unwanted),
        }
    }

    /// What is wanted, and what is there instead.
    pub(super) fn words(&self, place: &Whereabouts) -> String {
        let of = &self.of;
        let all: Vec<&str> = written(&self.of, place).collect();
        let has = if all.is_empty() {
            format!("it has no {of}")
        } else {
            format!("its {of} is {}", all.join(" and "))
        };
        let wanted = match &self.is {
            Is::There => "be set".to_owned(),
            Is::NotThere => "not be set".to_owned(),
            Is::Equal(wanted) | Is::Written(wanted) => format!("be {wanted}"),
            Is::NotEqual(unwanted) | Is::NotWritten(unwanted) => format!("not be {unwanted}"),
            Is::Matching(pattern) => format!("match {}", pattern.source()),
            Is::NotMatching(pattern) => format!("not match {}", pattern.source()),
        };
        format!("{of} must {wanted}, and {has}")
    }
}

/// Of several attributes of one name the first is looked at, as in Mesos.
fn found<'a>(of: &'a Selector, place: &Whereabouts<'a>) -> Found<'a> {
    let is_attribute = matches!(of, Selector::Attribute(_));
    match written(of, place).next() {
        None => Found::Nothing,
        Some(is) if is_attribute && !is_text(is) => Found::Other,
        Some(is) => Found::Text(is),
    }
}

/// All that is said of it, in its words.
fn written<'a>(of: &'a Selector, place: &Whereabouts<'a>) -> impl Iterator<Item = &'a str> {
    let (name, own) = match of {
        Selector::Attribute(name) => (Some(name), None),
        Selector::Hostname => (None, Some(place.hostname)),
        Selector::Region => (None, place.domain.map(|domain| domain.region.as_str())),
        Selector::Zone => (None, place.domain.map(|domain| domain.zone.as_str())),
    };
    let named = place.attributes.iter().filter(move |known| Some(&known.name) == name);
    own.into_iter().chain(named.map(|known| known.value.as_str()))
}

/// Whether an attribute is a text. Most are, as their first letter shows: no number, no ranges and no set begin with one.
fn is_text(value: &str) -> bool {
    value.starts_with(char::is_alphabetic) || AttributeValue::of(value).text().is_some()
}

fn check_name(name: &str, bounds: &Bounds) -> Result<(), BadConstraints> {
    if name.is_empty() {
        return Err(BadConstraints::NoName);
    }
    short("the attribute's name", name, bounds)
}

fn short(what: &'static str, text: &str, bounds: &Bounds) -> Result<(), BadConstraints> {
    let (bytes, max) = (text.len(), bounds.text_bytes_max);
    if bytes > max { Err(BadConstraints::TooLong { what, bytes, max }) } else { Ok(()) }
}
