//! Maps whose copies share their parts: what readers take away costs nothing, and what changes afterwards is made anew along its path
//! alone.

use std::ops::RangeBounds;

use rpds::RedBlackTreeMapSync;

/// One of them, in the order of its keys.
#[derive(Clone, Debug)]
pub(crate) struct Shared<K: Ord, V>(RedBlackTreeMapSync<K, V>);

impl<K: Ord + Clone, V: Clone> Shared<K, V> {
    pub(crate) fn new() -> Self {
        Self(RedBlackTreeMapSync::new_sync())
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    /// To be changed: what it shares with copies is copied first.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    /// To be changed; made if it is not there.
    pub(crate) fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        if !self.0.contains_key(key) {
            self.0.insert_mut(key.clone(), make());
        }
        self.0.get_mut(key).expect("it is there now")
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.0.insert_mut(key, value);
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, key: &K) -> bool {
        self.0.remove_mut(key)
    }

    /// What was there.
    pub(crate) fn take(&mut self, key: &K) -> Option<V> {
        let value = self.0.get(key)?.clone();
        self.0.remove_mut(key);
        Some(value)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.size()
    }

    pub(crate) fn first(&self) -> Option<(&K, &V)> {
        self.0.first()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values()
    }

    pub(crate) fn range<'a>(
        &'a self,
        range: impl RangeBounds<K> + 'a,
    ) -> impl Iterator<Item = (&'a K, &'a V)> {
        self.0.range(range)
    }
}

#[cfg(test)]
mod tests {
    use super::Shared;

    #[test]
    fn a_copy_stays_as_it_is_whatever_becomes_of_the_other() {
        let mut one = Shared::new();
        (0..100).for_each(|n| one.insert(n, n));
        let copy = one.clone();
        *one.get_mut(&3).unwrap() = 300;
        *one.get_or_insert_with(&200, || 7) += 1;
        assert_eq!((one.take(&4), one.remove(&5), one.remove(&5)), (Some(4), true, false));
        assert_eq!((one.get(&3), copy.get(&3)), (Some(&300), Some(&3)));
        assert_eq!((one.len(), copy.len()), (99, 100));
        assert_eq!((one.get(&200), copy.get(&200)), (Some(&8), None));
        assert_eq!((one.get(&4), copy.get(&4)), (None, Some(&4)));
        let behind: Vec<_> = copy.range(97..).map(|(key, _)| *key).collect();
        assert_eq!(behind, [97, 98, 99]);
        one.clear();
        assert_eq!((one.first(), copy.first(), one.keys().count()), (None, Some((&0, &0)), 0));
    }
}
