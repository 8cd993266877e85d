//! Things that are numbered upwards and found by their number: offers, proposals. Many are made at once: they lie in pages of
//! numbers in a row, so that one more costs no search, and one that stays for long costs a page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slab::Slab;

/// Numbers in a page.
const PAGE: u64 = 32;
const SLOTS: usize = 32;
const NONE: u32 = u32::MAX;

/// Things by their number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Numbered<T> {
    all: Slab<T>,
    pages: BTreeMap<u64, Page>,
}

/// Where the things of numbers in a row are.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Page {
    slots: [u32; SLOTS],
    count: u32,
}

/// Of a number: its page, and where in that.
fn split(number: u64) -> (u64, usize) {
    (number / PAGE, usize::try_from(number % PAGE).expect("a place in a page is small"))
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { all: Slab::new(), pages: BTreeMap::new() }
    }
}

impl<T> Numbered<T> {
    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, more: usize) {
        self.all.reserve(more);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The number is a new one.
    pub(super) fn insert(&mut self, number: u64, thing: T) {
        let slot = u32::try_from(self.all.insert(thing)).expect("there is no room for so many");
        let (page, at) = split(number);
        let newest = self.pages.last_entry().filter(|newest| *newest.key() == page);
        let page = match newest {
            Some(newest) => newest.into_mut(),
            None => {
                let empty = Page { slots: [NONE; SLOTS], count: 0 };
                self.pages.entry(page).or_insert(empty)
            }
        };
        page.slots[at] = slot;
        page.count += 1;
    }

    fn slot(&self, number: u64) -> Option<usize> {
        let (page, at) = split(number);
        let slot = self.pages.get(&page)?.slots[at];
        (slot != NONE).then_some(slot as usize)
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        self.all.get(self.slot(number)?)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let slot = self.slot(number)?;
        self.all.get_mut(slot)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        let (numbers, at) = split(number);
        let page = self.pages.get_mut(&numbers)?;
        let slot = std::mem::replace(&mut page.slots[at], NONE);
        if slot == NONE {
            return None;
        }
        page.count -= 1;
        if page.count == 0 {
            self.pages.remove(&numbers);
        }
        self.all.try_remove(slot as usize)
    }

    /// In the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.pages.iter().flat_map(|(page, Page { slots, .. })| {
            let numbered = (page * PAGE..).zip(slots).filter(|(_, slot)| **slot != NONE);
            numbered.filter_map(|(number, slot)| Some((number, self.all.get(*slot as usize)?)))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_thing_is_found_by_its_number_until_it_is_removed(ends in proptest::collection::vec(0..150_u64, 0..200)) {
            let (mut things, mut model) = (Numbered::default(), BTreeMap::new());
            for (number, end) in (1_u64..).zip(ends) {
                things.insert(number, number * 10);
                model.insert(number, number * 10);
                prop_assert_eq!(things.remove(end), model.remove(&end));
                for number in 0..=number + 1 {
                    prop_assert_eq!(things.get(number), model.get(&number));
                }
                prop_assert!(things.pages.len() <= model.len(), "an empty page goes");
            }
            let all: Vec<(u64, u64)> = things.iter().map(|(number, thing)| (number, *thing)).collect();
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }
}
