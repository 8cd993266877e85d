//! What is kept for later tasks: who fetches a file, who waits for that, and what has to go when there is no more room. Pure;
//! bytes are in files that are known here by their numbers only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Files are kept for each user apart: what one may read another may not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// The user's name; empty for the agent's own.
    pub user: String,
    /// The address.
    pub uri: String,
}

/// A file of the cache.
pub type FileNumber = u64;
/// Somebody who wants a file.
pub type Who = u64;

/// `Fetching -> Kept -> gone`, or `Fetching -> gone`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// Somebody fetches it into the file, for which so many bytes are set aside; the others wait, the first first.
    Fetching { file: FileNumber, reserved: u64, waiting: Vec<Who> },
    /// So many use it now; the last time that it was wanted was this one.
    Kept { file: FileNumber, size: u64, users: usize, wanted: u64 },
}

/// What becomes of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It is nowhere: whoever wants it fetches it, into this new file, and then uses it.
    Fetch(FileNumber),
    /// Another is fetching it, and a word will come.
    Wait,
    /// It is in this file, which is used from now on.
    Use(FileNumber),
}

/// It cannot be kept: it is larger than all that may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// What is kept, and for whom.
#[derive(Clone, Debug)]
pub struct Cache {
    capacity: u64,
    used: u64,
    entries: BTreeMap<Key, Entry>,
    wishes: u64,
    next_file: FileNumber,
}

impl Cache {
    /// Of so many bytes.
    pub fn new(capacity: u64) -> Self {
        Self { capacity, used: 0, entries: BTreeMap::new(), wishes: 0, next_file: 0 }
    }

    /// How many bytes it may have.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// How many it has, or has set aside.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Somebody wants a file.
    pub fn want(&mut self, key: &Key, who: Who) -> Wanted {
        self.wishes += 1;
        match self.entries.get_mut(key) {
            Some(Entry::Fetching { waiting, .. }) => {
                waiting.push(who);
                Wanted::Wait
            }
            Some(Entry::Kept { file, users, wanted, .. }) => {
                *users += 1;
                *wanted = self.wishes;
                Wanted::Use(*file)
            }
            None => {
                let file = self.next_file;
                self.next_file += 1;
                let entry = Entry::Fetching { file, reserved: 0, waiting: Vec::new() };
                self.entries.insert(key.clone(), entry);
                Wanted::Fetch(file)
            }
        }
    }

    /// Room for so many bytes in all for what is being fetched: the files that have to go for that, those first that were not
    /// wanted for longest. None that is in use; and none at all if that does not help.
    pub fn reserve(&mut self, key: &Key, bytes: u64) -> Result<Vec<FileNumber>, NoRoom> {
        let Some(Entry::Fetching { reserved, .. }) = self.entries.get(key) else {
            return Err(NoRoom);
        };
        let more = bytes.saturating_sub(*reserved);
        let mut idle: Vec<(u64, u64, Key)> = Vec::new();
        for (key, entry) in &self.entries {
            if let Entry::Kept { size, users: 0, wanted, .. } = entry {
                idle.push((*wanted, *size, key.clone()));
            }
        }
        let held = self.used - idle.iter().map(|(_, size, _)| size).sum::<u64>();
        if held.saturating_add(more) > self.capacity {
            return Err(NoRoom);
        }
        idle.sort();
        let mut gone = Vec::new();
        for (_, size, key) in idle {
            if self.used + more <= self.capacity {
                break;
            }
            self.used -= size;
            gone.extend(self.entries.remove(&key).map(|entry| entry.file()));
        }
        if let Some(Entry::Fetching { reserved, .. }) = self.entries.get_mut(key) {
            *reserved += more;
            self.used += more;
        }
        Ok(gone)
    }

    /// It is there, with so many bytes, no more than were reserved. Whoever fetched it uses it, and so do these, who waited.
    pub fn fetched(&mut self, key: &Key, size: u64) -> Vec<Who> {
        let Some(Entry::Fetching { file, reserved, waiting }) = self.entries.remove(key) else {
            return Vec::new();
        };
        assert!(size <= reserved, "nothing is kept for which there was no room");
        self.used -= reserved - size;
        let users = waiting.len() + 1;
        self.entries.insert(key.clone(), Entry::Kept { file, size, users, wanted: self.wishes });
        waiting
    }

    /// It cannot be had, or not kept. Those who waited are told the same. It may be wanted anew.
    pub fn failed(&mut self, key: &Key) -> Vec<Who> {
        match self.entries.remove(key) {
            Some(Entry::Fetching { reserved, waiting, .. }) => {
                self.used -= reserved;
                waiting
            }
            Some(kept @ Entry::Kept { .. }) => {
                self.entries.insert(key.clone(), kept);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Whoever fetched it does not want it any more. The first of those who wait fetches it now, into another file.
    pub fn abandoned(&mut self, key: &Key) -> Option<(Who, FileNumber)> {
        let mut waiting = self.failed(key);
        if waiting.is_empty() {
            return None;
        }
        let first = waiting.remove(0);
        let file = self.next_file;
        self.next_file += 1;
        self.entries.insert(key.clone(), Entry::Fetching { file, reserved: 0, waiting });
        Some((first, file))
    }

    /// One of those who wait does not want it any more.
    pub fn left(&mut self, key: &Key, who: Who) {
        if let Some(Entry::Fetching { waiting, .. }) = self.entries.get_mut(key) {
            waiting.retain(|one| *one != who);
        }
    }

    /// One of its users has what it wanted.
    pub fn released(&mut self, key: &Key) {
        if let Some(Entry::Kept { users, .. }) = self.entries.get_mut(key) {
            *users = users.saturating_sub(1);
        }
    }
}

impl Entry {
    fn file(&self) -> FileNumber {
        match self {
            Self::Fetching { file, .. } | Self::Kept { file, .. } => *file,
        }
    }
}

#[cfg(test)]
mod tests;
