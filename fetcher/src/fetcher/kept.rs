//! Files that are kept: one fetches, the others wait, all use. The files are the agent's own; a process that fetches is given
//! one open, and cannot reach any other.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::geteuid;
use tokio::sync::oneshot;

use super::{Fetcher, ForSandbox, Shared, child};
use crate::helper::Failure;
use crate::logic::Fetch;
use crate::logic::cache::{FileNumber, Key, Wanted, Who};
use crate::order::{From, To};

/// Bits of a folder's mode: others may put files there, but take away only their own.
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// What comes of wanting a file that is kept.
#[derive(Debug)]
pub(super) enum Turn {
    /// It is there.
    Kept(Kept),
    /// It is for the one who wants it to fetch it.
    Yours(Fetching),
    /// It cannot be kept.
    Bypass,
    /// It cannot be had.
    Failed(String),
}

/// A file that is not removed as long as this is held.
#[derive(Debug)]
pub(super) struct Kept {
    shared: Arc<Shared>,
    key: Key,
    file: FileNumber,
}

impl Kept {
    /// For reading, from its beginning.
    pub(super) fn open(&self) -> Result<File, String> {
        let path = path(&self.shared, self.file);
        File::open(&path)
            .map_err(|error| format!("read the agent's cache, {}: {error}", path.display()))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.shared.state().cache.released(&self.key);
    }
}

/// That somebody fetches a file. Dropped before it is done, it is the next one's turn.
#[derive(Debug)]
pub(super) struct Fetching {
    shared: Arc<Shared>,
    key: Key,
    file: FileNumber,
    done: bool,
}

impl Drop for Fetching {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        remove(&self.shared, &[self.file]);
        let next = {
            let mut state = self.shared.state();
            let next = state.cache.abandoned(&self.key);
            next.and_then(|(who, file)| Some((state.waiting.remove(&who)?, file)))
        };
        // The lock is free: one who is gone by now drops what it is sent.
        if let Some((who, file)) = next {
            let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
            drop(who.send(Turn::Yours(Fetching { shared, key, file, done: false })));
        }
    }
}

/// That somebody waits. Dropped before the word has come, nobody sends it.
struct Waits<'a> {
    shared: &'a Shared,
    key: &'a Key,
    who: Who,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.cache.left(self.key, self.who);
        let sender = state.waiting.remove(&self.who);
        drop(state);
        drop(sender);
    }
}

impl Fetcher {
    /// Has it kept, by whomever.
    pub(super) async fn keep(&self, sandbox: &ForSandbox, one: &Fetch) -> Result<Turn, String> {
        let key = Key { user: sandbox.user.clone().unwrap_or_default(), uri: one.uri.clone() };
        let turn = self.turn(sandbox, &key).await;
        let Turn::Yours(fetching) = turn else {
            return Ok(turn);
        };
        self.load(sandbox, one, fetching).await
    }

    async fn turn(&self, sandbox: &ForSandbox, key: &Key) -> Turn {
        let shared = &self.shared;
        let (who, word) = {
            let mut state = shared.state();
            let who = state.next_who;
            state.next_who += 1;
            match state.cache.want(key, who) {
                Wanted::Use(file) => {
                    return Turn::Kept(Kept { shared: Arc::clone(shared), key: key.clone(), file });
                }
                Wanted::Fetch(file) => {
                    let (shared, key) = (Arc::clone(shared), key.clone());
                    return Turn::Yours(Fetching { shared, key, file, done: false });
                }
                Wanted::Wait => {
                    let (sender, word) = oneshot::channel();
                    state.waiting.insert(who, sender);
                    (who, word)
                }
            }
        };
        sandbox.says(&format!("'{}' is being fetched for another task; waiting for it", key.uri));
        let _waits = Waits { shared, key, who };
        word.await.unwrap_or(Turn::Bypass)
    }

    async fn load(
        &self,
        sandbox: &ForSandbox,
        one: &Fetch,
        mut fetching: Fetching,
    ) -> Result<Turn, String> {
        let shared = &self.shared;
        let (key, number) = (fetching.key.clone(), fetching.file);
        let file = match make(shared, number) {
            Ok(file) => file,
            Err(error) => {
                let path = shared.config.cache_dir.display();
                tracing::warn!(%path, %error, "cannot keep files for later tasks; each fetches its own");
                return Ok(tell_all(shared, &mut fetching, || Turn::Bypass));
            }
        };
        let order = self.order(sandbox, one, From::Source(one.source.clone()), To::Given);
        let room = |bytes| {
            let reserved = shared.state().cache.reserve(&key, bytes);
            reserved.is_ok_and(|gone| {
                remove(shared, &gone);
                true
            })
        };
        match child::run(shared, sandbox, &order, Some(file), room).await {
            Ok(size) => {
                fetching.done = true;
                let words = {
                    let mut state = shared.state();
                    let waiting = state.cache.fetched(&key, size);
                    waiting.iter().map(|who| state.waiting.remove(who)).collect::<Vec<_>>()
                };
                let kept = || Kept { shared: Arc::clone(shared), key: key.clone(), file: number };
                for word in words {
                    // Each counts as a user already, also one that is gone.
                    let kept = Turn::Kept(kept());
                    drop(word.map(|word| word.send(kept)));
                }
                Ok(Turn::Kept(kept()))
            }
            Err(Failure::NoRoom) => Ok(tell_all(shared, &mut fetching, || Turn::Bypass)),
            Err(Failure::Words(words)) => {
                Ok(tell_all(shared, &mut fetching, || Turn::Failed(words.clone())))
            }
        }
    }
}

/// It is not kept: all who waited have the same word, which is returned as well.
fn tell_all(shared: &Shared, fetching: &mut Fetching, word: impl Fn() -> Turn) -> Turn {
    fetching.done = true;
    remove(shared, &[fetching.file]);
    let words = {
        let mut state = shared.state();
        let waiting = state.cache.failed(&fetching.key);
        waiting.iter().filter_map(|who| state.waiting.remove(who)).collect::<Vec<_>>()
    };
    words.into_iter().for_each(|to| drop(to.send(word())));
    word()
}

fn path(shared: &Shared, file: FileNumber) -> PathBuf {
    shared.config.cache_dir.join(file.to_string())
}

fn remove(shared: &Shared, files: &[FileNumber]) {
    for file in files {
        let path = path(shared, *file);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "cannot remove a file of the fetcher's cache");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// A new file for one that fetches. Nobody else can open it.
fn make(shared: &Shared, number: FileNumber) -> io::Result<File> {
    let folder = &shared.config.cache_dir;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    own(folder)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.open(path(shared, number))
}

/// The default is below a folder where everybody may make folders. One that somebody else could put another in the place of, with
/// other files, is not used: those would be given to tasks of everybody.
fn own(folder: &Path) -> io::Result<()> {
    let folder = folder.canonicalize()?;
    let me = geteuid().as_raw();
    for place in folder.ancestors() {
        let metadata = place.symlink_metadata()?;
        let (owner, mode) = (metadata.uid(), metadata.mode());
        let is_ours = owner == me || owner == 0;
        let stays = mode & OTHERS_WRITE == 0 || mode & STICKY != 0;
        if !is_ours || !stays {
            return Err(io::Error::other(format!(
                "other users may change what is in {}; say another --fetcher_cache_dir",
                place.display()
            )));
        }
    }
    Ok(())
}
