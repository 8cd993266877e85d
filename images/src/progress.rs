//! How far a pull is, for people who wait.

use std::fmt;

use tokio::sync::watch;

/// What a pull is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Others are pulled first.
    #[default]
    Waiting,
    /// Manifest and configuration are looked up.
    Resolving,
    /// Layers come in, and are unpacked on the way.
    Fetching,
    /// Everything is there and is noted in the store.
    Keeping,
    /// The image is there.
    Done,
}

/// How far a pull is. Bytes are those of the layers as they are fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Of the image; 0 until it is resolved.
    pub layers: usize,
    /// Of them, those that were there before or are there now.
    pub layers_done: usize,
    /// Of all layers that were not there before.
    pub bytes_total: u64,
    /// Of them, those that are here by now. A layer that had to be begun again counts twice.
    pub bytes_done: u64,
    /// How often a broken connection or a busy registry made it try again.
    pub retries: u32,
}

/// Who tells of progress. Nobody need listen.
#[derive(Clone, Debug)]
pub(crate) struct Teller(watch::Sender<Progress>);

impl Teller {
    pub(crate) fn new() -> (Self, watch::Receiver<Progress>) {
        let (sender, receiver) = watch::channel(Progress::default());
        (Self(sender), receiver)
    }

    pub(crate) fn tell(&self, change: impl FnOnce(&mut Progress)) {
        self.0.send_modify(change);
    }

    pub(crate) fn phase(&self, phase: Phase) {
        self.tell(|progress| progress.phase = phase);
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layers, layers_done, bytes_done, bytes_total, .. } = self;
        match self.phase {
            Phase::Waiting => f.write_str("waiting for other pulls"),
            Phase::Resolving => f.write_str("looking up the image"),
            Phase::Fetching => {
                let (done, total) = (bytes_done.min(bytes_total) >> 20, bytes_total >> 20);
                write!(f, "layer {layers_done} of {layers}, {done} of {total} MiB")
            }
            Phase::Keeping => write!(f, "keeping {layers} layers"),
            Phase::Done => f.write_str("done"),
        }
    }
}
