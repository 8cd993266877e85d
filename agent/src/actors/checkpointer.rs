//! Writes the checkpoint, on a thread of its own: it waits for the disk, and nothing else may.

use actix::{Actor, Handler};
use libactor::{Context, Message, Received};
use serde::{Deserialize, Serialize};

use super::outbox::Outbox;
use crate::checkpoint::CheckpointFile;
use crate::logic::Record;

/// Append this; answered by [`Outcome`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Write(pub(crate) Record);

impl Message for Write {
    const NAME: &'static str = "agent.Write";
}

/// What became of a [`Write`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) record: Record,
    /// Why it failed, if it did.
    pub(crate) error: Option<String>,
}

impl Message for Outcome {
    const NAME: &'static str = "agent.Outcome";
}

pub(crate) struct Checkpointer {
    pub(crate) file: CheckpointFile,
    pub(crate) to_agent: Outbox<Outcome>,
}

impl Actor for Checkpointer {
    type Context = Context<Self>;
}

impl Handler<Received<Write>> for Checkpointer {
    type Result = ();

    fn handle(&mut self, received: Received<Write>, ctx: &mut Context<Self>) {
        let Write(record) = received.message;
        let error = self.file.write(&record).err().map(|error| error.to_string());
        let outcome = Outcome { record, error };
        self.to_agent.tell(outcome, ctx, |checkpointer| &mut checkpointer.to_agent);
    }
}
