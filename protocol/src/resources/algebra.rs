//! Adding, subtracting, containing. Each goes once through both lists.

use super::list::{List, Pair, Pairs};
use super::{Resource, Resources, Value};

/// So few are put into place one by one: that needs no new list.
const FEW: usize = 4;

impl Resources {
    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        if self.is_empty() {
            *self = other.clone();
        } else if other.len() <= FEW {
            other.0.iter().for_each(|entry| self.0.add_one(entry.clone()));
        } else {
            *self = self.merged(other);
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        sum.add(other);
        sum
    }

    fn merged(&self, other: &Self) -> Self {
        let mut all = Vec::with_capacity(self.len() + other.len());
        for pair in Pairs::of(&self.0, &other.0) {
            match pair {
                Pair::Left(one) | Pair::Right(one) => all.push(one.clone()),
                Pair::Both(mine, more) if mine.is_counted() => {
                    all.extend([mine.clone(), more.clone()])
                }
                Pair::Both(mine, more) => {
                    let mut sum = mine.clone();
                    sum.value.add(&more.value);
                    all.push(sum);
                }
            }
        }
        Self(List::of(all))
    }

    /// These, and what of `other` is more than these have.
    #[must_use]
    pub fn at_least(&self, other: &Self) -> Self {
        self.plus(&other.minus(self))
    }

    /// What of these is not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let left = Pairs::of(&self.0, &other.0).filter_map(|pair| match pair {
            Pair::Left(mine) => Some(mine.clone()),
            Pair::Right(_) => None,
            Pair::Both(mine, _) if mine.is_counted() => None,
            Pair::Both(mine, less) => with_value(mine, mine.value.minus(&less.value)),
        });
        Self(List::of(left.collect()))
    }

    /// What is left without `other`; `None` if not all of it is here.
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        if other.is_empty() {
            return Some(self.clone());
        }
        let mut left = Vec::with_capacity(self.len());
        for pair in Pairs::of(&self.0, &other.0) {
            match pair {
                Pair::Left(mine) => left.push(mine.clone()),
                Pair::Both(mine, less) if holds(mine, less) => {
                    if !mine.is_counted() {
                        left.extend(with_value(mine, mine.value.minus(&less.value)));
                    }
                }
                Pair::Right(_) | Pair::Both(..) => return None,
            }
        }
        Some(Self(List::of(left)))
    }

    /// Whether all of `other` is here. What several may use is here as often as it was added: who asks for its presence alone
    /// asks for it [once](Self::shared_once).
    pub fn contains(&self, other: &Self) -> bool {
        self.0.is_same(&other.0) || self.lacking(other).is_none()
    }

    /// The first entry of `other` that is not wholly here, for messages to people.
    pub fn lacking<'o>(&self, other: &'o Self) -> Option<&'o Resource> {
        Pairs::of(&self.0, &other.0).find_map(|pair| match pair {
            Pair::Left(_) => None,
            Pair::Both(mine, wanted) if holds(mine, wanted) => None,
            Pair::Right(wanted) | Pair::Both(_, wanted) => Some(wanted),
        })
    }

    /// These, with one copy of everything that several may use.
    #[must_use]
    pub fn shared_once(&self) -> Self {
        let mut entries: Vec<Resource> = self.0.to_vec();
        entries.dedup_by(|next, one| one.kind.is_shared() && next == one);
        Self(List::of(entries))
    }
}

/// Whether all of `wanted`, an entry of the same name and kind, is in `mine`. Of what is counted it is a copy.
fn holds(mine: &Resource, wanted: &Resource) -> bool {
    mine.is_counted() || mine.value.contains(&wanted.value)
}

/// So much of it, if that is anything.
pub(super) fn with_value(entry: &Resource, value: Value) -> Option<Resource> {
    let Resource { name, kind, .. } = entry;
    (!value.is_empty()).then(|| Resource { name: name.clone(), kind: kind.clone(), value })
}
