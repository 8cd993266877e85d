//! Messages made up from the schema, for tests: what fields a message has, the least JSON that is one,
//! and random ones.

mod minimal;
mod random;

pub use minimal::{calls, fields, minimal, of_wrong_type};
pub use random::random;

use crate::schema::Label;

/// A field of a message, as a test that breaks it needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleField {
    /// Its key.
    pub name: &'static str,
    /// How often it may be there.
    pub label: Label,
    /// What JSON has to say.
    pub shape: Shape,
    /// Whether it is there only for those who knew it.
    pub is_deprecated: bool,
}

/// What the value of a field is in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// Any number.
    Double,
    /// A text.
    String,
    /// A text in base64.
    Bytes,
    /// One of the names of an enum, whose full name this is.
    Enum(&'static str),
    /// An object that is a message, whose full name this is.
    Message(&'static str),
    /// An object with any keys.
    Map,
}
