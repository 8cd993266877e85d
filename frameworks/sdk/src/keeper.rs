//! A thread that writes a scheduler's state, in order, so that no actor waits for a disk.

use std::path::Path;
use std::sync::mpsc;

use protocol::ids::FrameworkId;
use tokio::sync::oneshot;

use crate::state::{StateError, StateFile, Stored};

/// What can be kept.
#[derive(Debug)]
pub(crate) enum Keep {
    Remember(FrameworkId),
    Store(Vec<(String, Option<Vec<u8>>)>),
    Forget,
    /// Close the file and let others have the directory.
    Close,
}

/// Who waits until it is kept.
pub(crate) type Done = oneshot::Sender<Result<(), StateError>>;

pub(crate) type Job = (Keep, Done);

/// The way to the thread; it ends when this is dropped. Without a directory nothing is kept.
#[derive(Debug)]
pub(crate) struct Keeper(Option<mpsc::Sender<Job>>);

impl Keeper {
    pub(crate) fn open(directory: Option<&Path>) -> Result<(Self, Stored), StateError> {
        let Some(directory) = directory else {
            return Ok((Self(None), Stored::default()));
        };
        let (mut file, stored) = StateFile::open(directory)?;
        let (jobs, todo) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("state".to_owned())
            .spawn(move || {
                while let Ok((keep, done)) = todo.recv() {
                    let result = match keep {
                        Keep::Remember(framework) => file.remember(&framework),
                        Keep::Store(entries) => file.store(entries),
                        Keep::Forget => file.forget(),
                        Keep::Close => {
                            drop(file);
                            let _ = done.send(Ok(()));
                            return;
                        }
                    };
                    // Whoever no longer waits has ended.
                    let _ = done.send(result);
                }
            })
            .map_err(|source| StateError::Directory { path: directory.to_owned(), source })?;
        Ok((Self(Some(jobs)), stored))
    }

    /// To a thread that does these jobs.
    pub(crate) fn to(jobs: mpsc::Sender<Job>) -> Self {
        Self(Some(jobs))
    }

    /// To a disk that hangs for as long as the jobs for it live.
    #[cfg(test)]
    pub(crate) fn hanging() -> (Self, mpsc::Receiver<Job>) {
        let (jobs, todo) = mpsc::channel();
        (Self(Some(jobs)), todo)
    }

    /// Whether there is no directory.
    pub(crate) fn keeps_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// Resolves when it is written.
    pub(crate) fn keep(&self, keep: Keep) -> impl Future<Output = Result<(), StateError>> + use<> {
        let (done, waits) = oneshot::channel();
        let sent = self.0.as_ref().map(|jobs| jobs.send((keep, done)));
        async move {
            match sent {
                None => Ok(()),
                Some(Ok(())) => waits.await.unwrap_or(Err(StateError::Closed)),
                Some(Err(_)) => Err(StateError::Closed),
            }
        }
    }
}
