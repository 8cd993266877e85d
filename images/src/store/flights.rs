//! Pulls under way: whoever asks for the same joins, and the last who leaves ends it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, Weak};

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::{Inner, Lease, PullOptions, Pulled};
use crate::credentials::Credentials;
use crate::error::{Failure, PullError};
use crate::image_config::ImageConfig;
use crate::progress::{Phase, Progress, Teller};
use crate::pull::pull;
use crate::reference::Reference;
use crate::unpack::Report;

/// What makes two pulls the same: not only the image, since one may be allowed to have it and the other not.
type Key = (Reference, Option<Credentials>);

#[derive(Default)]
pub(super) struct Flights {
    by_key: BTreeMap<Key, (u64, Weak<Flight>)>,
    begun: u64,
}

type Outcome = Option<Result<Pulled, PullError>>;

/// One pull under way. When nobody has it any more, it is given up.
struct Flight {
    progress: watch::Receiver<Progress>,
    outcome: watch::Receiver<Outcome>,
    task: AbortHandle,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Somebody who waits for an image.
pub struct Pull {
    reference: Reference,
    state: State,
}

enum State {
    Known(Box<Result<Pulled, PullError>>),
    UnderWay(Arc<Flight>),
}

impl Pull {
    /// How far it is, now and from now on. It ends with the pull.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        match &self.state {
            State::UnderWay(flight) => flight.progress.clone(),
            State::Known(result) => {
                let (teller, progress) = Teller::new();
                if result.is_ok() {
                    teller.phase(Phase::Done);
                }
                progress
            }
        }
    }

    /// The image, once it is there.
    ///
    /// # Errors
    /// Why it will not be.
    pub async fn wait(self) -> Result<Pulled, PullError> {
        match self.state {
            State::Known(result) => *result,
            State::UnderWay(flight) => {
                let mut outcome = flight.outcome.clone();
                let found = outcome.wait_for(Option::is_some).await;
                let abandoned = || Err(error(&self.reference, Failure::Abandoned));
                found.ok().and_then(|outcome| outcome.clone()).unwrap_or_else(abandoned)
            }
        }
    }
}

fn error(reference: &Reference, failure: Failure) -> PullError {
    PullError { reference: reference.clone(), failure: Arc::new(failure) }
}

pub(super) fn begin(store: &Arc<Inner>, reference: &Reference, options: &PullOptions) -> Pull {
    let reference = absolute(reference);
    let known =
        |result| Pull { reference: reference.clone(), state: State::Known(Box::new(result)) };
    if let Reference::Directory { path } = &reference {
        return known(directory(store, &reference, path));
    }
    // What lies on this machine is looked at each time, which costs little: it may have changed.
    let is_remote = matches!(reference, Reference::Registry(_));
    if let Some(pulled) = Inner::cached(store, &reference).filter(|_| options.cached && is_remote) {
        return known(Ok(pulled));
    }
    let key = (reference.clone(), options.credentials.clone());
    let mut flights = store.flights.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(flight) = flights.by_key.get(&key).and_then(|(_, flight)| flight.upgrade()) {
        return Pull { reference, state: State::UnderWay(flight) };
    }
    flights.begun += 1;
    let number = flights.begun;
    let flight = fly(store, &key, number);
    flights.by_key.retain(|_, (_, flight)| flight.strong_count() > 0);
    flights.by_key.insert(key, (number, Arc::downgrade(&flight)));
    Pull { reference, state: State::UnderWay(flight) }
}

fn fly(store: &Arc<Inner>, key: &Key, number: u64) -> Arc<Flight> {
    let (teller, progress) = Teller::new();
    let (said, outcome) = watch::channel(None);
    let (store, key) = (Arc::clone(store), key.clone());
    let task = tokio::spawn(async move {
        let (reference, credentials) = key.clone();
        let result = pull(Arc::clone(&store), reference.clone(), credentials, teller).await;
        // Whoever asks from now on asks anew.
        let mut flights = store.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.by_key.get(&key).is_some_and(|(current, _)| *current == number) {
            flights.by_key.remove(&key);
        }
        drop(flights);
        said.send_replace(Some(result.map_err(|failure| error(&reference, failure))));
    });
    Arc::new(Flight { progress, outcome, task: task.abort_handle() })
}

/// Paths are from the folder we run in now, and mean the same later.
fn absolute(reference: &Reference) -> Reference {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match reference {
        Reference::Registry(_) => reference.clone(),
        Reference::Layout { path, tag } => {
            Reference::Layout { path: whole(path), tag: tag.clone() }
        }
        Reference::Archive { path, name } => {
            Reference::Archive { path: whole(path), name: name.clone() }
        }
        Reference::Directory { path } => Reference::Directory { path: whole(path) },
    }
}

/// A folder is used where it is.
fn directory(store: &Inner, reference: &Reference, path: &Path) -> Result<Pulled, PullError> {
    let found = std::fs::metadata(path);
    let found = found.map_err(|source| Failure::File { path: path.to_owned(), source });
    let result = found.and_then(|found| {
        let why = "it is no folder";
        if found.is_dir() {
            Ok(())
        } else {
            Err(Failure::NotAnImage { path: path.to_owned(), why })
        }
    });
    result.map_err(|failure| error(reference, failure))?;
    Ok(Pulled {
        reference: reference.clone(),
        digest: None,
        layers: vec![path.to_owned()],
        layer_ids: Vec::new(),
        config: ImageConfig::default(),
        form: store.disk.form,
        report: Report::default(),
        _lease: Lease(None),
    })
}
