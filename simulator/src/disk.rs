//! Writes on a simulated disk: done in order, some time after they were asked for. A crash in between loses them, or keeps
//! some of them without anybody having been told, and a part of one: the writer cannot know.

use std::collections::VecDeque;

use crate::chance::Chance;

/// Writes that were asked for and are not done.
#[derive(Clone, Debug)]
pub struct Pending<W>(VecDeque<W>);

impl<W> Default for Pending<W> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<W> Pending<W> {
    /// Asks for a write.
    pub fn write(&mut self, write: W) {
        self.0.push_back(write);
    }

    /// The oldest write that was asked for is done.
    pub fn done(&mut self) -> Option<W> {
        self.0.pop_front()
    }

    /// The writer has crashed. Returns those of the first writes that were done all the same, and the next one, which is
    /// torn.
    pub fn crash(&mut self, chance: &mut Chance) -> (Vec<W>, Option<W>) {
        let survive = chance.index(self.0.len() + 1);
        let done = self.0.drain(..survive).collect();
        let torn = self.0.pop_front();
        self.0.clear();
        (done, torn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_keeps_a_prefix_of_what_was_not_done() {
        let mut kept = [false; 4];
        for seed in 0..100 {
            let mut disk = Pending::default();
            (0..4).for_each(|n| disk.write(n));
            assert_eq!(disk.done(), Some(0));
            let (done, torn) = disk.crash(&mut Chance::new(seed));
            assert!([1, 2, 3].starts_with(&done));
            assert_eq!(torn, [1, 2, 3].get(done.len()).copied());
            kept[done.len()] = true;
            assert_eq!(disk.done(), None);
        }
        assert_eq!(kept, [true; 4]);
    }
}
