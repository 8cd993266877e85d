//! What of an elected scheduler's state is in which record, and how much it may be. Everything that a framework stored
//! before it was torn down is of an earlier count than the one that its next life reads, so that one record forgets all.

use std::collections::BTreeMap;

use coordination::store::{Change, RECORD_BYTES_MAX};
use protocol::ids::FrameworkId;
use serde::{Deserialize, Serialize};

use super::Stored;

/// Whose state it is.
const IDENTITY: &str = "framework";

/// Before the count and the key of what the scheduler stored.
const ENTRY: &str = "entry/";

/// The most bytes of one key.
pub const KEY_BYTES_MAX: usize = 512;

/// The most entries.
pub const ENTRIES_MAX: usize = 10_000;

/// The most bytes of all entries: every ZooKeeper server has all of them in memory.
pub const BYTES_MAX: usize = 16 << 20;

/// What stands in the record of the identity; a later version appends another form.
#[derive(Serialize, Deserialize)]
enum Identity {
    First {
        /// How many frameworks were torn down here.
        ended: u64,
        framework: Option<FrameworkId>,
    },
}

/// What may not be kept in ZooKeeper.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// One value.
    #[error(
        "store {key}: its {bytes} bytes are more than the {RECORD_BYTES_MAX} that one entry may have in ZooKeeper; keep large things elsewhere, and store where they are"
    )]
    Entry {
        /// Of the entry.
        key: String,
        /// Of its value.
        bytes: usize,
    },
    /// One key.
    #[error(
        "store an entry: its key has {bytes} bytes, more than {KEY_BYTES_MAX}; it begins {begins}"
    )]
    Key {
        /// The first characters of it.
        begins: String,
        /// All of it.
        bytes: usize,
    },
    /// All of them.
    #[error(
        "store {key}: {entries} entries of {bytes} bytes are more than the {ENTRIES_MAX} of {BYTES_MAX} that may be kept in ZooKeeper; remove what is not needed any more, or keep it elsewhere"
    )]
    All {
        /// Of the entry that was too much.
        key: String,
        /// With it.
        entries: usize,
        /// With it.
        bytes: usize,
    },
}

/// What nobody can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {0} was written by a newer version, or not by this program")]
pub struct Unreadable(String);

/// What is kept, as far as the next change depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    ended: u64,
    sizes: BTreeMap<String, usize>,
    bytes: usize,
}

impl Shared {
    /// What all records say, and what is to be deleted since nobody needs it any more.
    pub fn read(
        records: BTreeMap<String, Vec<u8>>,
    ) -> Result<(Self, Stored, Vec<Change>), Unreadable> {
        let (mut shared, mut stored) = (Self::default(), Stored::default());
        if let Some(bytes) = records.get(IDENTITY) {
            let read = libactor::wire::decode(bytes);
            let Identity::First { ended, framework } =
                read.map_err(|_| Unreadable(IDENTITY.to_owned()))?;
            (shared.ended, stored.framework) = (ended, framework);
        }
        let mut left = Vec::new();
        for (key, value) in records {
            if key == IDENTITY {
                continue;
            }
            let parts = key.strip_prefix(ENTRY).and_then(|rest| rest.split_once('/'));
            let parts = parts.and_then(|(count, name)| Some((count.parse::<u64>().ok()?, name)));
            match parts {
                Some((count, name)) if count == shared.ended => {
                    shared.resize(name, Some(value.len()));
                    stored.entries.insert(name.to_owned(), value);
                }
                Some((count, _)) if count < shared.ended => left.push(Change::Delete { key }),
                Some(_) | None => return Err(Unreadable(key)),
            }
        }
        Ok((shared, stored, left))
    }

    /// How many frameworks were torn down here.
    pub fn ended(&self) -> u64 {
        self.ended
    }

    /// Writes the framework's id.
    pub fn remember(&self, framework: &FrameworkId) -> Vec<Change> {
        vec![self.identity(Some(framework.clone()))]
    }

    /// Writes entries, all or none.
    pub fn store(
        &mut self,
        entries: Vec<(String, Option<Vec<u8>>)>,
    ) -> Result<Vec<Change>, TooMuch> {
        let mut changes = Vec::with_capacity(entries.len());
        let mut before = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            let bytes = value.as_ref().map(Vec::len);
            before.push((name.clone(), self.resize(&name, bytes)));
            if let Err(refused) = self.check(&name, bytes) {
                for (name, bytes) in before.into_iter().rev() {
                    self.resize(&name, bytes);
                }
                return Err(refused);
            }
            let key = format!("{ENTRY}{}/{name}", self.ended);
            changes.push(match value {
                None => Change::Delete { key },
                Some(value) => Change::Put { key, value },
            });
        }
        Ok(changes)
    }

    /// The framework is no more: its id and all that was stored count for nothing from now on.
    pub fn forget(&mut self) -> Vec<Change> {
        *self = Self { ended: self.ended + 1, ..Self::default() };
        vec![self.identity(None)]
    }

    fn identity(&self, framework: Option<FrameworkId>) -> Change {
        let record = Identity::First { ended: self.ended, framework };
        let value = libactor::wire::encode(&record, RECORD_BYTES_MAX);
        let value = value.expect("an id is shorter than a record");
        Change::Put { key: IDENTITY.to_owned(), value }
    }

    /// The bytes of an entry from now on, and before.
    fn resize(&mut self, name: &str, bytes: Option<usize>) -> Option<usize> {
        let before = match bytes {
            Some(bytes) => self.sizes.insert(name.to_owned(), bytes),
            None => self.sizes.remove(name),
        };
        self.bytes = self.bytes - before.unwrap_or(0) + bytes.unwrap_or(0);
        before
    }

    /// Whether all may stay as it is with what was just written. Whatever is removed may always be.
    fn check(&self, key: &str, bytes: Option<usize>) -> Result<(), TooMuch> {
        let Some(bytes) = bytes else { return Ok(()) };
        if key.len() > KEY_BYTES_MAX {
            let begins = key.chars().take(32).collect();
            return Err(TooMuch::Key { begins, bytes: key.len() });
        }
        let key = || key.to_owned();
        if bytes > RECORD_BYTES_MAX {
            return Err(TooMuch::Entry { key: key(), bytes });
        }
        let (entries, bytes) = (self.sizes.len(), self.bytes);
        if entries > ENTRIES_MAX || bytes > BYTES_MAX {
            return Err(TooMuch::All { key: key(), entries, bytes });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a store has it.
    #[derive(Default)]
    struct Records(BTreeMap<String, Vec<u8>>);

    impl Records {
        fn apply(&mut self, changes: Vec<Change>) {
            for change in changes {
                match change {
                    Change::Put { key, value } => drop(self.0.insert(key, value)),
                    Change::Delete { key } => drop(self.0.remove(&key)),
                }
            }
        }

        fn read(&self) -> (Shared, Stored, Vec<Change>) {
            Shared::read(self.0.clone()).unwrap()
        }
    }

    fn entry(key: &str, value: &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
        vec![(key.to_owned(), Some(value.to_vec()))]
    }

    #[test]
    fn the_next_life_finds_the_id_and_what_was_stored_last() {
        let mut records = Records::default();
        let (mut shared, stored, _) = records.read();
        assert_eq!(stored, Stored::default());
        records.apply(shared.store(entry("before/any id", b"1")).unwrap());
        records.apply(shared.remember(&FrameworkId::new("F1")));
        records.apply(shared.store(entry("a", b"old")).unwrap());
        records.apply(shared.store(entry("a", b"new")).unwrap());
        records.apply(shared.store(entry("b", b"gone")).unwrap());
        records.apply(shared.store(vec![("b".to_owned(), None)]).unwrap());
        let (next, stored, left) = records.read();
        assert_eq!((next, left), (shared, vec![]));
        assert_eq!(stored.framework, Some(FrameworkId::new("F1")));
        let entries = [("a".to_owned(), b"new".to_vec()), ("before/any id".into(), b"1".to_vec())];
        assert_eq!(stored.entries, BTreeMap::from(entries));
    }

    #[test]
    fn a_framework_that_was_torn_down_is_forgotten_with_one_record_and_counted() {
        let mut records = Records::default();
        let (mut shared, ..) = records.read();
        records.apply(shared.remember(&FrameworkId::new("F1")));
        records.apply(shared.store(entry("a", b"1")).unwrap());
        let forget = shared.forget();
        assert_eq!(forget.len(), 1);
        records.apply(forget);
        let (mut next, stored, left) = records.read();
        assert_eq!((next.ended(), stored), (1, Stored::default()));
        assert_eq!(left, [Change::Delete { key: "entry/0/a".into() }]);
        // What is left over may still be there when the next one stores.
        records.apply(next.store(entry("a", b"2")).unwrap());
        let (_, stored, left_again) = records.read();
        assert_eq!(stored.entries, BTreeMap::from([("a".to_owned(), b"2".to_vec())]));
        records.apply(left_again);
        assert_eq!(records.0.len(), 2);
    }

    #[test]
    fn what_is_too_much_is_refused_and_changes_nothing() {
        let mut shared = Shared::default();
        let whole = vec![0; RECORD_BYTES_MAX];
        shared.store(entry("k", &whole)).unwrap();
        let large = shared.store(entry("k", &vec![0; RECORD_BYTES_MAX + 1])).unwrap_err();
        assert!(large.to_string().contains("keep large things elsewhere"), "{large}");
        let long = shared.store(entry(&"k".repeat(KEY_BYTES_MAX + 1), b"")).unwrap_err();
        assert!(matches!(long, TooMuch::Key { bytes: 513, .. }), "{long}");
        let most = BYTES_MAX / RECORD_BYTES_MAX;
        for n in 1..most {
            shared.store(entry(&n.to_string(), &whole)).unwrap();
        }
        let before = shared.clone();
        let mut two = entry("1", b"");
        two.extend(entry("more", &whole));
        two.extend(entry("most", b"x"));
        let all = shared.store(two).unwrap_err();
        assert!(matches!(&all, TooMuch::All { key, .. } if key == "most"), "{all}");
        assert_eq!(shared, before);
        // What is replaced or removed makes room.
        shared.store(vec![("1".to_owned(), None)]).unwrap();
        shared.store(entry("more", &whole)).unwrap();
    }

    #[test]
    fn what_a_newer_version_or_somebody_else_wrote_is_not_guessed_at() {
        for (key, value) in
            [(IDENTITY, &[9; 40][..]), ("entry/5/of the future", b""), ("else", b"")]
        {
            let records = BTreeMap::from([(key.to_owned(), value.to_vec())]);
            assert_eq!(Shared::read(records), Err(Unreadable(key.to_owned())));
        }
    }
}
