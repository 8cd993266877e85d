//! Sets of whole numbers as sorted, coalesced, inclusive ranges: ports.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Inclusive ranges; sorted, disjoint, never adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// From ranges in any order; those whose end lies before their beginning are left out.
    pub fn new(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut sorted: Vec<_> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
        // Stable, since it is fast where whole runs are in order: a union is two of them.
        sorted.sort();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(sorted.len());
        for (first, last) in sorted {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last)
                }
                Some(_) | None => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers there are; all 2^64 of them count as one less.
    pub fn count(&self) -> u64 {
        let each = self.0.iter().map(|(first, last)| last.saturating_sub(*first).saturating_add(1));
        each.fold(0, u64::saturating_add)
    }

    /// The ranges, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }

    /// The `count` lowest numbers; `None` if there are not so many.
    pub fn take(&self, count: u64) -> Option<Self> {
        let mut wanted = count;
        let mut taken = Vec::new();
        for (first, last) in self.iter() {
            if wanted == 0 {
                break;
            }
            // One less than there are, which is a number even of all that there can be.
            let more = last.saturating_sub(first).min(wanted - 1);
            taken.push((first, first + more));
            wanted -= more + 1;
        }
        (wanted == 0).then_some(Self(taken))
    }

    /// The numbers of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        Self::new(self.iter().chain(other.iter()))
    }

    /// The numbers that are not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut holes = other.0.iter().copied().peekable();
        for (mut first, last) in self.iter() {
            let mut used_up = false;
            while let Some(&(from, to)) = holes.peek() {
                if to < first {
                    holes.next();
                    continue;
                }
                if from > last {
                    break;
                }
                if from > first {
                    left.push((first, from - 1));
                }
                if to >= last {
                    used_up = true;
                    break;
                }
                first = to + 1;
                holes.next();
            }
            if !used_up {
                left.push((first, last));
            }
        }
        Self(left)
    }

    /// Whether all of `other` is here.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|(first, last)| {
            let at = self.0.partition_point(|&(_, end)| end < first);
            self.0.get(at).is_some_and(|&(from, to)| from <= first && last <= to)
        })
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            self.iter().map(|(first, last)| format!("{first}-{last}")).collect();
        write!(f, "[{}]", parts.join(","))
    }
}
