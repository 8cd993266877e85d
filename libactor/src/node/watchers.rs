//! Who watches the actors of this node. What a peer can make it remember is bounded for each connection. Pure.

use std::collections::{HashMap, HashSet};

use crate::hash::IdMap;
use crate::pid::Life;

/// The connection of watchers that are actors of this node.
pub(super) const HERE: u64 = 0;

#[derive(Default)]
pub(super) struct Watchers {
    /// By target: who watches it, and through which connection.
    of: HashMap<Life, HashSet<(Life, u64)>>,
    /// How many watches each connection has.
    through: IdMap<u64, usize>,
}

impl Watchers {
    /// Someone watches from now on. Whether there is room: one connection has at most so many.
    pub(super) fn insert(&mut self, target: Life, watcher: (Life, u64), most: usize) -> bool {
        let through = watcher.1;
        if through == HERE {
            self.of.entry(target).or_default().insert(watcher);
            return true;
        }
        let count = self.through.entry(through).or_default();
        if *count >= most {
            return self.of.get(&target).is_some_and(|its| its.contains(&watcher));
        }
        *count += usize::from(self.of.entry(target).or_default().insert(watcher));
        true
    }

    /// Someone watches no longer.
    pub(super) fn remove(&mut self, target: Life, watcher: Life) {
        if let Some(its) = self.of.get_mut(&target) {
            forget(its, &mut self.through, |who, _| who == watcher);
            if its.is_empty() {
                self.of.remove(&target);
            }
        }
    }

    /// A target has ended: who watched it.
    pub(super) fn take(&mut self, target: Life) -> Vec<(Life, u64)> {
        let mut taken = Vec::new();
        if let Some(mut its) = self.of.remove(&target) {
            taken.extend(its.iter().copied());
            forget(&mut its, &mut self.through, |_, _| true);
        }
        taken
    }

    /// A connection has ended, or what was behind it: its watchers go.
    pub(super) fn lose(&mut self, conn: u64, lost: impl Fn(Life) -> bool) {
        self.of.retain(|_, its| {
            forget(its, &mut self.through, |who, through| through == conn && lost(who));
            !its.is_empty()
        });
    }
}

fn forget(
    its: &mut HashSet<(Life, u64)>,
    counts: &mut IdMap<u64, usize>,
    gone: impl Fn(Life, u64) -> bool,
) {
    for (_, through) in its.extract_if(|(who, through)| gone(*who, *through)) {
        if let Some(count) = counts.get_mut(&through) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&through);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 2;

    fn life(actor: u64) -> Life {
        Life { node: 1, incarnation: 1, actor }
    }

    #[test]
    fn a_connection_has_room_for_so_many_watches_and_again_once_some_are_gone() {
        let mut all = Watchers::default();
        let watch = |all: &mut Watchers, watcher| all.insert(life(1), (life(watcher), 5), MOST);
        assert!(watch(&mut all, 10) && watch(&mut all, 11));
        assert!(!watch(&mut all, 12), "no room for a third");
        assert!(watch(&mut all, 11), "one that stands is no other");
        assert!(all.insert(life(1), (life(12), 6), MOST), "another connection has its own room");
        all.remove(life(1), life(10));
        assert!(watch(&mut all, 12));
        all.lose(5, |who| who == life(11));
        assert!(watch(&mut all, 13));
        let mut taken = all.take(life(1));
        taken.sort_unstable();
        assert_eq!(taken, [(life(12), 5), (life(12), 6), (life(13), 5)]);
        assert!(all.of.is_empty() && all.through.is_empty(), "nothing is left of it");
    }

    #[test]
    fn actors_of_this_node_watch_as_many_as_they_like() {
        let mut all = Watchers::default();
        assert!((0..10).all(|target| all.insert(life(target), (life(99), HERE), MOST)));
        all.lose(HERE, |_| true);
        assert!(all.of.is_empty());
    }
}
