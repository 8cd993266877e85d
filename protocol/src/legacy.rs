//! Mesos's older JSON of what masters and agents both show. Nothing is put together before it is written: each list is walked as its
//! JSON is made.

mod resources;
mod tasks;

use serde::{Serialize, Serializer};

use crate::time::WallTime;

pub use resources::{
    Amounts, AtMost, Attributes, Flat, FlatOf, FlatOwned, in_full, is_unreserved, roles_of,
};
pub use tasks::{CommandJson, TaskJson, is_command};

/// A list that is walked when it is written.
pub struct Each<F>(pub F);

impl<F, I> Serialize for Each<F>
where
    F: Fn() -> I,
    I: IntoIterator,
    I::Item: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

/// An object that is walked when it is written.
pub struct Pairs<F>(pub F);

impl<F, I, K, V> Serialize for Pairs<F>
where
    F: Fn() -> I,
    I: IntoIterator<Item = (K, V)>,
    K: Serialize,
    V: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map((self.0)())
    }
}

/// A message as the v1 API has it: these endpoints show such parts in the same words.
pub struct Message<M>(pub M);

impl<M: prost::Message + prost::Name> Serialize for Message<M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = api::json::write(&self.0);
        let raw = serde_json::value::RawValue::from_string(text);
        raw.map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// Since 1970.
pub fn seconds(at: WallTime) -> f64 {
    at.as_seconds()
}

/// A page, or why there is none.
pub type Written = Result<Vec<u8>, serde_json::Error>;

/// As text.
///
/// # Errors
///
/// What it consists of could not be written as JSON, which no page does as long as its keys are texts.
pub fn written(what: &impl Serialize) -> Written {
    serde_json::to_vec(what)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_cannot_be_written_is_no_empty_page() {
        assert_eq!(written(&Each(|| [1, 2])).unwrap(), b"[1,2]");
        let bad = BTreeMap::from([((1, 2), 3)]);
        assert!(written(&bad).unwrap_err().to_string().contains("key must be a string"));
    }
}
