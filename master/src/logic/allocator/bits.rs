//! Sets of small numbers, a bit each: who of a thousand frameworks has been ruled out on an agent is seen in sixteen words.

use serde::{Deserialize, Serialize};

/// A set; what lies behind its end is not in it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(super) fn insert(&mut self, number: u32) {
        let word = number as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % 64);
    }

    pub(super) fn remove(&mut self, number: u32) {
        if let Some(word) = self.0.get_mut(number as usize / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    /// Those of `others` are not in it any more. Whether some were.
    pub(super) fn subtract(&mut self, others: &Self) -> bool {
        let mut some = false;
        for (word, others) in self.0.iter_mut().zip(&others.0) {
            some |= *word & others != 0;
            *word &= !others;
        }
        some
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Those of these that are not in `others`: how many, at most `most`, without looking further.
    pub(super) fn count_without(&self, others: &Self, most: usize) -> usize {
        let mut count = 0;
        for (n, word) in self.0.iter().enumerate() {
            let word = word & !others.0.get(n).copied().unwrap_or(0);
            count += word.count_ones() as usize;
            if count >= most {
                return most;
            }
        }
        count
    }

    /// Those of these that are not in `others`, in order.
    pub(super) fn without<'b>(&'b self, others: &'b Self) -> impl Iterator<Item = u32> + 'b {
        self.0.iter().enumerate().flat_map(move |(n, word)| {
            let mut word = word & !others.0.get(n).copied().unwrap_or(0);
            std::iter::from_fn(move || {
                if word == 0 {
                    return None;
                }
                let bit = word.trailing_zeros();
                word &= word - 1;
                Some(u32::try_from(n).unwrap_or(u32::MAX) * 64 + bit)
            })
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        const NONE: &Bits = &Bits(Vec::new());
        self.without(NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_numbers_is_one() {
        let (mut some, mut others) = (Bits::default(), Bits::default());
        [3, 64, 200].into_iter().for_each(|number| some.insert(number));
        [64, 500].into_iter().for_each(|number| others.insert(number));
        assert_eq!(some.without(&others).collect::<Vec<_>>(), [3, 200]);
        assert_eq!((some.count_without(&others, 9), some.count_without(&others, 1)), (2, 1));
        some.remove(3);
        assert_eq!(some.iter().collect::<Vec<_>>(), [64, 200]);
        assert!(!some.subtract(&Bits::default()) && !some.clone().subtract(&Bits(vec![8])));
        assert!(some.clone().subtract(&others));
        assert!(some.has(64) && !some.has(3) && !some.has(500) && !some.is_empty());
        some.clear();
        assert!(some.is_empty());
    }
}
