//! A framework with several schedulers, of which one is elected: where they stand, what is kept there of their common state,
//! and what each of them is about to write. The election is the real one's logic, the state the SDK's.

use std::collections::{BTreeMap, VecDeque};

use coordination::store::Change;
use sdk::election::logic::{Read, Succession, TornDown};
use sdk::logic::Bug;
use sdk::state::Stored;
use sdk::state::logic::Shared;

use crate::elections::Elections;
use crate::process::StateWrite;

/// As many records as the SDK deletes at once.
const LEFT_AT_ONCE: usize = 500;

/// Where the schedulers of one framework elect one of them.
#[derive(Debug)]
pub(crate) struct Office {
    pub(crate) elections: Elections<Kept>,
    pub(crate) bug: Option<Bug>,
    /// What the servers have.
    records: BTreeMap<String, Vec<u8>>,
    /// The same by its meaning.
    pub(crate) written: Stored,
    pub(crate) posts: BTreeMap<u32, Post>,
}

/// One batch of the state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    changes: Vec<Change>,
    pub(crate) what: Keep,
}

/// What it means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Keep {
    Write(StateWrite),
    /// The framework is torn down.
    Forget,
    /// What a framework before this one left is deleted. A scheduler begins with this after the last of it.
    Clear(Option<Stored>),
}

/// One of the framework's processes.
#[derive(Debug, Default)]
pub(crate) struct Post {
    succession: Succession,
    shared: Shared,
    /// In order; the first is on its way if `writing`.
    queue: VecDeque<Kept>,
    writing: bool,
    /// Its scheduler has ended; the process closes once all is written, and starts again if this says so.
    pub(crate) closing: Option<bool>,
}

/// What is next for a process that has something to keep.
pub(crate) enum Next {
    Nothing,
    Write(Kept),
    /// Needs no write.
    Done(Kept),
}

impl Office {
    /// Where nobody was ever elected.
    pub(crate) fn new(elections: Elections<Kept>, bug: Option<Bug>) -> Self {
        let (records, written, posts) = Default::default();
        Self { elections, bug, records, written, posts }
    }

    fn read(&self) -> Read {
        Shared::read(self.records.clone()).expect("only the SDK's own records are in it")
    }

    /// A process begins to stand.
    pub(crate) fn stands(&mut self, process: u32) {
        let succession = Succession::new(&self.read().0).with_bug(self.bug);
        self.posts.insert(process, Post { succession, ..Post::default() });
    }

    /// A process is elected: with what its scheduler begins, at once or when it is told so by [`Keep::Clear`].
    pub(crate) fn takes_over(&mut self, process: u32) -> Result<Option<Stored>, TornDown> {
        let read = self.read();
        let Some(post) = self.posts.get_mut(&process) else {
            return Err(TornDown);
        };
        let (shared, stored, left) = post.succession.begins(read)?;
        post.shared = shared;
        post.give_up();
        let mut parts = left.chunks(LEFT_AT_ONCE).peekable();
        if parts.peek().is_none() {
            return Ok(Some(stored));
        }
        while let Some(part) = parts.next() {
            let begins = parts.peek().is_none().then(|| stored.clone());
            post.queue.push_back(Kept { changes: part.to_vec(), what: Keep::Clear(begins) });
        }
        Ok(None)
    }

    /// A batch is in the ensemble.
    pub(crate) fn apply(&mut self, kept: Kept) {
        for change in kept.changes {
            match change {
                Change::Put { key, value } => drop(self.records.insert(key, value)),
                Change::Delete { key } => drop(self.records.remove(&key)),
            }
        }
        match kept.what {
            Keep::Write(StateWrite::Remember(framework)) => {
                self.written.framework = Some(framework);
            }
            Keep::Write(StateWrite::Store { entries, .. }) => {
                for (key, value) in entries {
                    match value {
                        Some(value) => drop(self.written.entries.insert(key, value)),
                        None => drop(self.written.entries.remove(&key)),
                    }
                }
            }
            Keep::Forget => self.written = Stored::default(),
            Keep::Clear(_) => (),
        }
    }

    /// What is next to be written by a process.
    pub(crate) fn next(&mut self, process: u32) -> Next {
        let leads = self.elections.leads(process);
        let Some(post) = self.posts.get_mut(&process).filter(|post| !post.writing) else {
            return Next::Nothing;
        };
        let Some(first) = post.queue.front() else {
            return Next::Nothing;
        };
        if post.succession.needs_write(&first.changes, leads) {
            post.writing = true;
            return Next::Write(first.clone());
        }
        post.queue.pop_front().map_or(Next::Nothing, Next::Done)
    }
}

impl Post {
    /// Something is to be kept.
    pub(crate) fn keep(&mut self, what: Keep) {
        const FITS: &str = "simulated schedulers store little";
        let changes = match &what {
            Keep::Write(StateWrite::Remember(framework)) => self.shared.remember(framework),
            Keep::Write(StateWrite::Store { entries, .. }) => {
                self.shared.store(entries.clone()).expect(FITS)
            }
            Keep::Forget => self.shared.forget(),
            Keep::Clear(_) => Vec::new(),
        };
        self.queue.push_back(Kept { changes, what });
    }

    /// Its reign is over: what is not written will not be.
    pub(crate) fn give_up(&mut self) {
        (self.queue, self.writing) = Default::default();
    }

    /// What was on its way is written.
    pub(crate) fn wrote(&mut self) {
        self.writing = false;
        self.queue.pop_front();
    }

    /// Whether nothing is left to be written.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }
}
