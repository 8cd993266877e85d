//! The hungry in order, one after the other, without sorting those who are never reached.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::queue::{Key, Queue};
use super::tree::{ROOT, Tree};

/// One way through the tree; good until somebody's share changes.
pub(super) struct Walk {
    levels: Vec<Level>,
}

/// One fork on the way: what may come next there.
struct Level {
    fork: Fork,
    /// Places in the fork's queue.
    next: BinaryHeap<Reverse<(Key, usize)>>,
}

/// Whose queue is gone through.
#[derive(Clone, Copy, PartialEq)]
enum Fork {
    Node(u32),
    /// Roles that lack something guaranteed.
    Wanting,
}

impl Fork {
    fn queue(self, tree: &Tree) -> &Queue {
        match self {
            Self::Node(node) => &tree.node(node).ready,
            Self::Wanting => &tree.wanting,
        }
    }

    fn is_leaf(self, tree: &Tree) -> bool {
        match self {
            Self::Node(node) => tree.node(node).is_leaf,
            Self::Wanting => false,
        }
    }
}

impl Level {
    fn of(tree: &Tree, fork: Fork) -> Self {
        let first = fork.queue(tree).key_at(0);
        Self { fork, next: first.map(|(key, _)| Reverse((key, 0))).into_iter().collect() }
    }

    fn next(&mut self, tree: &Tree) -> Option<u32> {
        let Reverse((_, place)) = self.next.pop()?;
        let queue = self.fork.queue(tree);
        for below in queue.below(place) {
            self.next.extend(queue.key_at(below).map(|(key, _)| Reverse((key, below))));
        }
        queue.key_at(place).map(|(_, member)| member)
    }
}

impl Walk {
    /// Through all roles, or those alone that lack something guaranteed.
    pub(super) fn new(tree: &Tree, guaranteed: bool) -> Self {
        let fork = if guaranteed { Fork::Wanting } else { Fork::Node(ROOT) };
        Self { levels: vec![Level::of(tree, fork)] }
    }

    /// The next hungry member.
    pub(super) fn next(&mut self, tree: &Tree) -> Option<u32> {
        loop {
            let level = self.levels.last_mut()?;
            match level.next(tree) {
                None => drop(self.levels.pop()),
                Some(member) if level.fork.is_leaf(tree) => return Some(member),
                Some(node) => self.levels.push(Level::of(tree, Fork::Node(node))),
            }
        }
    }
}
