//! How the batches of one reign follow one another in the registry, as a value: what the next one has to find there, and what
//! became of those of which nobody knows whether they were written. Two nodes are all that is needed for it: the epoch's,
//! which fences, and the one that counts a reign's batches.

use super::bugs::{Bug, Bugs};

/// The version that every node has.
pub const ANY_VERSION: i32 = -1;

/// The epoch's node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// Of the newest reign.
    pub number: u64,
    /// Of the node.
    pub version: i32,
    /// The candidate who raised it.
    pub by: String,
}

/// The node that counts the batches of a reign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Whose batches are counted.
    pub epoch: u64,
    /// By which candidate.
    pub by: String,
    /// How many.
    pub batches: u64,
    /// Of the node.
    pub version: i32,
}

/// What a batch has to find, and leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The epoch's node must have this version.
    pub fence: i32,
    /// The count must have this version.
    pub version: i32,
    /// Counts this many batches from then on.
    pub batches: u64,
}

/// What two looks have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// So many of those on their way are written.
    pub arrived: u64,
    /// The reign is over: this epoch has begun.
    pub fenced: Option<u64>,
}

/// The batches of one reign.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The epoch's node as the reign left it.
    reign: Epoch,
    /// How many batches of the reign are known to be written, once the count was read.
    batches: Option<u64>,
    /// Of the count, while it is known.
    version: Option<i32>,
    bugs: Bugs,
}

impl Chain {
    /// Of a reign that left the epoch's node so.
    pub fn new(reign: Epoch) -> Self {
        Self { reign, batches: None, version: None, bugs: Bugs::default() }
    }

    /// With mistakes switched on.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_bugs(self, bugs: Bugs) -> Self {
        Self { bugs, ..self }
    }

    /// Of the batch that has so many others before it on their way; `None` if nobody knows: both nodes must be read first.
    pub fn next(&self, ahead: u32) -> Option<Link> {
        let (version, batches) = (self.version?, self.batches?);
        let fence = match self.bugs.has(Bug::WriteNotFenced) {
            true => ANY_VERSION,
            false => self.reign.version,
        };
        let version = version.wrapping_add_unsigned(ahead);
        Some(Link { fence, version, batches: batches + u64::from(ahead) + 1 })
    }

    /// The oldest of those on their way is written.
    pub fn wrote(&mut self) {
        self.version = self.version.map(|version| version.wrapping_add(1));
        self.batches = self.batches.map(|batches| batches + 1);
    }

    /// Nobody knows what became of those on their way.
    pub fn lost(&mut self) {
        self.version = None;
    }

    /// Both nodes were read, this one first: a batch that is counted was written by the reign that it says.
    pub fn found(&mut self, count: &Count, epoch: &Epoch) -> Found {
        let ours = (count.epoch, &count.by) == (self.reign.number, &self.reign.by);
        let counted = if ours { count.batches } else { 0 };
        let none_counted = self.batches == Some(counted);
        let before = *self.batches.get_or_insert(counted);
        let arrived = if self.bugs.has(Bug::UnknownWrittenAgain) {
            0
        } else if self.bugs.has(Bug::UnknownTakenForWritten) && none_counted {
            1
        } else {
            counted.saturating_sub(before)
        };
        self.batches = Some(before + arrived);
        self.version = Some(count.version);
        let fenced = *epoch != self.reign && !self.bugs.has(Bug::WriteNotFenced);
        Found { arrived, fenced: fenced.then_some(epoch.number) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reign() -> Epoch {
        Epoch { number: 5, version: 10, by: "m1".to_owned() }
    }

    fn count(by: &str, batches: u64, version: i32) -> Count {
        Count { epoch: 5, by: by.to_owned(), batches, version }
    }

    fn link(version: i32, batches: u64) -> Option<Link> {
        Some(Link { fence: 10, version, batches })
    }

    /// Two batches of this reign are written, and the count has version 7.
    fn chain() -> Chain {
        let mut chain = Chain::new(reign());
        assert_eq!(chain.next(0), None, "it was not looked yet");
        let found = chain.found(&count("m0", 9, 5), &reign());
        assert_eq!(found, Found { arrived: 0, fenced: None }, "those are another's");
        assert_eq!(chain.next(0), link(5, 1));
        chain.wrote();
        chain.wrote();
        chain
    }

    #[test]
    fn each_batch_has_to_find_what_the_one_before_it_leaves() {
        let chain = chain();
        assert_eq!((chain.next(0), chain.next(1)), (link(7, 3), link(8, 4)));
    }

    #[test]
    fn after_a_loss_the_count_says_how_many_were_written() {
        let mut chain = chain();
        chain.lost();
        assert_eq!(chain.next(0), None);
        assert_eq!(chain.found(&count("m1", 4, 9), &reign()), Found { arrived: 2, fenced: None });
        assert_eq!(chain.next(0), link(9, 5));
        chain.lost();
        assert_eq!(chain.found(&count("m1", 4, 9), &reign()), Found { arrived: 0, fenced: None });
    }

    #[test]
    fn a_reign_whose_epoch_is_another_is_over_and_what_it_wrote_before_is_known() {
        let mut chain = chain();
        chain.lost();
        let epoch = Epoch { number: 6, version: 11, by: "import".to_owned() };
        assert_eq!(chain.found(&count("m1", 3, 8), &epoch), Found { arrived: 1, fenced: Some(6) });
    }

    #[test]
    fn who_continues_a_reign_counts_from_what_is_there() {
        let mut chain = Chain::new(reign());
        assert_eq!(chain.found(&count("m1", 3, 8), &reign()), Found { arrived: 0, fenced: None });
        assert_eq!(chain.next(0), link(8, 4));
    }

    #[cfg(feature = "testing")]
    #[test]
    fn each_mistake_shows() {
        let with = |bug| chain().with_bugs(Bugs::only([bug]));
        assert_eq!(with(Bug::WriteNotFenced).next(0).unwrap().fence, ANY_VERSION);

        let mut chain = with(Bug::UnknownTakenForWritten);
        chain.lost();
        assert_eq!(chain.found(&count("m1", 2, 7), &reign()).arrived, 1);

        let mut chain = with(Bug::UnknownWrittenAgain);
        chain.lost();
        assert_eq!(chain.found(&count("m1", 3, 8), &reign()).arrived, 0);
        assert_eq!(chain.next(0), link(8, 3));
    }
}
