//! A simulated disk: writes are done in order and some time after they were asked for. A crash in between loses them, or
//! keeps some of them without anybody having been told: the writer cannot know.

use std::collections::VecDeque;

use crate::chance::Chance;

/// What is written, and what is about to be. `T` is what the writes make; `W` is one write.
#[derive(Clone, Debug)]
pub struct Disk<T, W> {
    written: T,
    pending: VecDeque<W>,
    apply: fn(&mut T, &W),
}

impl<T, W> Disk<T, W> {
    /// A disk that holds this.
    pub fn new(written: T, apply: fn(&mut T, &W)) -> Self {
        Self { written, pending: VecDeque::new(), apply }
    }

    /// What a process that starts now finds.
    pub fn written(&self) -> &T {
        &self.written
    }

    /// Asks for a write.
    pub fn write(&mut self, write: W) {
        self.pending.push_back(write);
    }

    /// The oldest write that was asked for is done.
    pub fn done(&mut self) -> Option<W> {
        let write = self.pending.pop_front()?;
        (self.apply)(&mut self.written, &write);
        Some(write)
    }

    /// The writer has crashed: of the writes that were not done yet, some of the first were done all the same.
    pub fn crash(&mut self, chance: &mut Chance) {
        let survive = chance.index(self.pending.len() + 1);
        for _ in 0..survive {
            self.done();
        }
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_keeps_a_prefix_of_what_was_not_done() {
        let mut kept = [false; 4];
        for seed in 0..100 {
            let mut disk = Disk::new(Vec::new(), |all: &mut Vec<u32>, one| all.push(*one));
            (0..4).for_each(|n| disk.write(n));
            assert_eq!(disk.done(), Some(0));
            disk.crash(&mut Chance::new(seed));
            let written = disk.written().clone();
            assert!([0, 1, 2, 3].starts_with(&written) && !written.is_empty());
            kept[written.len() - 1] = true;
            assert_eq!(disk.done(), None);
        }
        assert_eq!(kept, [true; 4]);
    }
}
