//! What a scheduler that stands for election decides about the state that all of its framework's have in common, apart from
//! who asks ZooKeeper and who waits for it: with what a reign begins, and what needs a write.

use coordination::store::Change;

use crate::logic::Bug;
use crate::state::Stored;
use crate::state::logic::Shared;

/// What is kept, and what of it is to be deleted before a reign begins.
pub type Read = (Shared, Stored, Vec<Change>);

/// There is nothing left to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornDown;

/// One process, from when it begins to stand until it ends.
#[derive(Clone, Debug, Default)]
pub struct Succession {
    /// How many frameworks had been torn down when it began to stand.
    ended: u64,
    bug: Option<Bug>,
}

impl Succession {
    /// Of a process that found this when it began to stand.
    pub fn new(found: &Shared) -> Self {
        Self { ended: found.ended(), bug: None }
    }

    /// Switches a mistake on.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_bug(self, bug: Option<Bug>) -> Self {
        Self { bug, ..self }
    }

    /// It is elected, and has read this: with what it leads, once what is left over is deleted. A framework that was torn
    /// down while it stood by is over; one that was before is none of its business.
    pub fn begins(&self, read: Read) -> Result<Read, TornDown> {
        let (shared, stored, left) = read;
        if shared.ended() != self.ended {
            return Err(TornDown);
        }
        let stored = if self.has(Bug::TakesOverWithNothing) { Stored::default() } else { stored };
        Ok((shared, stored, left))
    }

    /// Whether something that is to be kept has to be written. What only waits for those before it has not, if it is certain
    /// that it could be: `leads`.
    pub fn needs_write(&self, changes: &[Change], leads: bool) -> bool {
        !(changes.is_empty() && (leads || self.has(Bug::EmptyWriteSkippedInDoubt)))
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reign_begins_with_what_is_read_in_it_unless_its_framework_was_torn_down_meanwhile() {
        let found = Shared::default();
        let stands = Succession::new(&found);
        let stored = Stored { framework: None, entries: [("a".to_owned(), vec![1])].into() };
        let (_, begun, left) = stands.begins((found.clone(), stored.clone(), vec![])).unwrap();
        assert_eq!((begun, left.len()), (stored.clone(), 0));
        let mut later = found;
        later.forget();
        let end = stands.begins((later.clone(), Stored::default(), vec![])).unwrap_err();
        assert_eq!(end, TornDown);
        // Who begins to stand after that finds a new framework.
        assert!(Succession::new(&later).begins((later, Stored::default(), vec![])).is_ok());
    }

    #[test]
    fn nothing_to_write_is_written_all_the_same_while_nobody_can_say_who_leads() {
        let stands = Succession::default();
        let change = [Change::Delete { key: "entry/0/a".to_owned() }];
        assert!(!stands.needs_write(&[], true) && stands.needs_write(&[], false));
        assert!(stands.needs_write(&change, true) && stands.needs_write(&change, false));
    }
}
