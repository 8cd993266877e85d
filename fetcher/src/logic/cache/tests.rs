//! The cache's decisions, and properties that hold whatever tasks do.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn key(uri: &str) -> Key {
    Key { user: "u".into(), uri: uri.into() }
}

/// Fetched, and used no more.
fn keeps(cache: &mut Cache, uri: &str, size: u64) -> FileNumber {
    let Wanted::Fetch(file) = cache.want(&key(uri), 0) else { panic!("{uri} is there already") };
    cache.reserve(&key(uri), size).unwrap();
    cache.fetched(&key(uri), size);
    cache.released(&key(uri));
    file
}

#[test]
fn fetch_02_who_comes_while_it_is_fetched_waits_and_who_comes_later_uses_it() {
    let mut cache = Cache::new(100);
    assert_eq!(cache.want(&key("a"), 1), Wanted::Fetch(0));
    assert_eq!(cache.want(&key("a"), 2), Wanted::Wait);
    assert_eq!(cache.want(&key("a"), 3), Wanted::Wait);
    cache.left(&key("a"), 2);
    assert_eq!(cache.reserve(&key("a"), 40), Ok(vec![]));
    assert_eq!(cache.fetched(&key("a"), 30), [3]);
    assert_eq!(cache.used(), 30, "what was set aside for nothing is free again");
    assert_eq!(cache.want(&key("a"), 4), Wanted::Use(0));
    let other = Key { user: "v".into(), ..key("a") };
    assert_eq!(cache.want(&other, 5), Wanted::Fetch(1), "another user has another file");
}

#[test]
fn fetch_02_what_was_not_wanted_for_longest_goes_first_and_nothing_in_use_does() {
    let mut cache = Cache::new(100);
    let a = keeps(&mut cache, "a", 40);
    let b = keeps(&mut cache, "b", 40);
    assert_eq!(cache.want(&key("a"), 0), Wanted::Use(a));
    cache.released(&key("a"));
    cache.want(&key("c"), 0);
    assert_eq!(cache.reserve(&key("c"), 50), Ok(vec![b]), "a was wanted later");
    cache.fetched(&key("c"), 50);
    cache.want(&key("a"), 0);
    cache.want(&key("d"), 0);
    assert_eq!(cache.reserve(&key("d"), 11), Err(NoRoom), "a and c are in use");
    cache.released(&key("c"));
    assert_eq!(cache.reserve(&key("d"), 100), Err(NoRoom), "a is in use");
    assert_eq!(cache.used(), 90, "nothing went for nothing");
    assert_eq!(cache.reserve(&key("d"), 60).map(|gone| gone.len()), Ok(1));
}

#[test]
fn fetch_02_a_file_larger_than_the_cache_is_not_kept() {
    let mut cache = Cache::new(100);
    keeps(&mut cache, "a", 10);
    cache.want(&key("big"), 1);
    cache.want(&key("big"), 2);
    assert_eq!(cache.reserve(&key("big"), 101), Err(NoRoom));
    assert_eq!(cache.failed(&key("big")), [2]);
    assert_eq!(cache.used(), 10);
}

#[test]
fn when_the_one_who_fetches_is_gone_the_first_who_waits_fetches() {
    let mut cache = Cache::new(100);
    cache.want(&key("a"), 1);
    cache.want(&key("a"), 2);
    cache.want(&key("a"), 3);
    cache.reserve(&key("a"), 60).unwrap();
    assert_eq!(cache.abandoned(&key("a")), Some((2, 1)));
    assert_eq!(cache.used(), 0);
    assert_eq!(cache.reserve(&key("a"), 60), Ok(vec![]));
    assert_eq!(cache.fetched(&key("a"), 60), [3]);
    cache.want(&key("b"), 1);
    assert_eq!(cache.abandoned(&key("b")), None);
}

#[derive(Clone, Debug)]
enum Step {
    Want(u8),
    Reserve(u8, u64),
    Fetched(u8),
    Failed(u8),
    Abandoned(u8),
    Released(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let uri = 0..5_u8;
    prop_oneof![
        3 => uri.clone().prop_map(Step::Want),
        2 => (uri.clone(), 0..150_u64).prop_map(|(uri, bytes)| Step::Reserve(uri, bytes)),
        2 => uri.clone().prop_map(Step::Fetched),
        1 => uri.clone().prop_map(Step::Failed),
        1 => uri.clone().prop_map(Step::Abandoned),
        2 => uri.prop_map(Step::Released),
    ]
}

/// What really is on the disk and in use, as the driver would see it.
#[derive(Default)]
struct World {
    fetching: BTreeMap<u8, (u64, Vec<Who>)>,
    kept: BTreeMap<u8, (FileNumber, u64, usize)>,
    files: BTreeMap<u8, FileNumber>,
}

impl World {
    fn gone(&mut self, files: &[FileNumber]) {
        let files: BTreeSet<_> = files.iter().collect();
        self.kept.retain(|uri, (file, _, users)| {
            let goes = files.contains(file);
            assert!(!goes || *users == 0, "{uri} was in use");
            !goes
        });
    }

    fn perform(&mut self, cache: &mut Cache, step: &Step, who: Who) {
        let of = |uri: &u8| key(&uri.to_string());
        match step {
            Step::Want(uri) => match cache.want(&of(uri), who) {
                Wanted::Fetch(file) => {
                    assert!(!self.fetching.contains_key(uri) && !self.kept.contains_key(uri));
                    self.fetching.insert(*uri, (0, vec![]));
                    self.files.insert(*uri, file);
                }
                Wanted::Wait => self.fetching.get_mut(uri).unwrap().1.push(who),
                Wanted::Use(file) => {
                    let kept = self.kept.get_mut(uri).unwrap();
                    assert_eq!(kept.0, file);
                    kept.2 += 1;
                }
            },
            Step::Reserve(uri, bytes) => {
                if let Ok(gone) = cache.reserve(&of(uri), *bytes) {
                    self.gone(&gone);
                    let reserved = &mut self.fetching.get_mut(uri).unwrap().0;
                    *reserved = (*reserved).max(*bytes);
                }
            }
            Step::Fetched(uri) => {
                if let Some((reserved, waiting)) = self.fetching.remove(uri) {
                    let size = reserved / 2;
                    assert_eq!(cache.fetched(&of(uri), size), waiting);
                    self.kept.insert(*uri, (self.files[uri], size, waiting.len() + 1));
                }
            }
            Step::Failed(uri) => {
                let waiting = self.fetching.remove(uri).unwrap_or_default().1;
                assert_eq!(cache.failed(&of(uri)), waiting);
            }
            Step::Abandoned(uri) => {
                let next = cache.abandoned(&of(uri));
                let mut waiting = self.fetching.remove(uri).unwrap_or_default().1;
                assert_eq!(next.map(|next| next.0), waiting.first().copied());
                if let Some((_, file)) = next {
                    waiting.remove(0);
                    self.fetching.insert(*uri, (0, waiting));
                    self.files.insert(*uri, file);
                }
            }
            Step::Released(uri) => {
                if let Some((_, _, users @ 1..)) = self.kept.get_mut(uri) {
                    *users -= 1;
                    cache.released(&of(uri));
                }
            }
        }
    }
}

proptest! {
    /// Never more than it may have, never one that is in use, never two that fetch the same, and nobody is forgotten.
    #[test]
    fn whatever_tasks_do_the_bound_holds_and_nobody_is_forgotten(steps in prop::collection::vec(step(), 0..200)) {
        let mut cache = Cache::new(100);
        let mut world = World::default();
        for (who, step) in steps.iter().enumerate() {
            world.perform(&mut cache, step, who as Who);
            let kept: u64 = world.kept.values().map(|(_, size, _)| size).sum();
            let reserved: u64 = world.fetching.values().map(|(reserved, _)| reserved).sum();
            prop_assert_eq!(cache.used(), kept + reserved);
            prop_assert!(cache.used() <= cache.capacity());
        }
    }
}
