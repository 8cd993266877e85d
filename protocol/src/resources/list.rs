//! The list inside `Resources`: shared until it is changed, and two of them walked side by side. Whatever goes through all
//! entries goes once: the allocator does little else.

use std::cmp::Ordering;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Resource;

/// Entries in [`order`]. `None` is the empty list, which costs nothing; a list that is there is never empty.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct List(Option<Arc<Vec<Resource>>>);

impl List {
    pub(super) const fn empty() -> Self {
        Self(None)
    }

    pub(super) fn of(entries: Vec<Resource>) -> Self {
        if entries.is_empty() { Self(None) } else { Self(Some(Arc::new(entries))) }
    }

    /// Whether two are one list: then nothing need be compared.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Adds an entry where it belongs. A copy is made if somebody else has the list, too.
    pub(super) fn add_one(&mut self, resource: Resource) {
        let entries = Arc::make_mut(self.0.get_or_insert_default());
        match entries.binary_search_by(|mine| order(mine, &resource)) {
            Ok(at) if !resource.is_counted() => entries[at].value.add(&resource.value),
            Ok(at) | Err(at) => entries.insert(at, resource),
        }
    }
}

impl Deref for List {
    type Target = [Resource];

    fn deref(&self) -> &[Resource] {
        self.0.as_ref().map_or(&[], |entries| entries)
    }
}

impl Serialize for List {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// As a peer wrote it, in whatever order: who takes resources from outside checks them, to say what is wrong.
impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::of)
    }
}

/// The order of entries. Two that are equal in it are one entry, unless they are counted: then they are two copies.
pub(super) fn order(left: &Resource, right: &Resource) -> Ordering {
    let by_entry = left.entry_key().cmp(&right.entry_key());
    if by_entry.is_eq() && left.is_counted() { left.value.cmp(&right.value) } else { by_entry }
}

/// An entry of two lists.
#[derive(Clone, Copy)]
pub(super) enum Pair<'l, 'r> {
    /// Only the left one has it.
    Left(&'l Resource),
    /// Only the right one has it.
    Right(&'r Resource),
    /// Both have one of this name and kind; of what is counted, one copy each.
    Both(&'l Resource, &'r Resource),
}

/// Two lists side by side, in order.
pub(super) struct Pairs<'l, 'r> {
    left: &'l [Resource],
    right: &'r [Resource],
}

impl<'l, 'r> Pairs<'l, 'r> {
    pub(super) fn of(left: &'l List, right: &'r List) -> Self {
        Self { left, right }
    }
}

impl<'l, 'r> Iterator for Pairs<'l, 'r> {
    type Item = Pair<'l, 'r>;

    fn next(&mut self) -> Option<Pair<'l, 'r>> {
        let next = match (self.left.first(), self.right.first()) {
            (None, None) => return None,
            (Some(left), None) => Pair::Left(left),
            (None, Some(right)) => Pair::Right(right),
            (Some(left), Some(right)) => match order(left, right) {
                Ordering::Less => Pair::Left(left),
                Ordering::Greater => Pair::Right(right),
                Ordering::Equal => Pair::Both(left, right),
            },
        };
        let (left, right) = match next {
            Pair::Left(_) => (1, 0),
            Pair::Right(_) => (0, 1),
            Pair::Both(..) => (1, 1),
        };
        (self.left, self.right) = (&self.left[left..], &self.right[right..]);
        Some(next)
    }
}

/// A list of entries in any order. Empty ones vanish; equal ones become one, or stay copies.
pub(super) fn collected(mut entries: Vec<Resource>) -> List {
    entries.retain(|entry| !entry.value.is_empty());
    entries.sort_by(order);
    let mut list: Vec<Resource> = Vec::with_capacity(entries.len());
    for entry in entries {
        match list.last_mut() {
            Some(last) if !entry.is_counted() && order(last, &entry).is_eq() => {
                last.value.add(&entry.value);
            }
            Some(_) | None => list.push(entry),
        }
    }
    List::of(list)
}
