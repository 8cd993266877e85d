//! Writes the registry, on a thread of its own: it waits for the disk, and nothing else may. What waits together is
//! written together.

use std::sync::{Arc, OnceLock};

use actix::{Actor, Handler};
use coordination::store::{Change, Store};
use libactor::{Context, Handle, Message, Received};
use serde::{Deserialize, Serialize};

use super::master::{MasterActor, Written};
use crate::logic::registry::{Registry, RegistryOperation};
use crate::records;

/// Bytes of records that are written in one batch, if there are more than one; ZooKeeper's limit is 1 MiB.
const BATCH_BYTES: usize = 512 << 10;

/// From the master: write this; answered by [`Written`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Write(pub(crate) RegistryOperation);

impl Message for Write {
    const NAME: &'static str = "master.Write";
}

pub(crate) struct Registrar {
    pub(crate) store: Box<dyn Store>,
    /// As it is written, with `waiting`.
    pub(crate) registry: Registry,
    pub(crate) waiting: Vec<(RegistryOperation, Vec<Change>)>,
    /// Set before the first message comes.
    pub(crate) master: Arc<OnceLock<Handle<MasterActor>>>,
}

impl Actor for Registrar {
    type Context = Context<Self>;
}

impl Handler<Received<Write>> for Registrar {
    type Result = ();

    fn handle(&mut self, received: Received<Write>, ctx: &mut Context<Self>) {
        let Write(operation) = received.message;
        let changes = records::apply(&mut self.registry, &operation);
        self.waiting.push((operation, changes));
        if self.waiting.len() == 1 {
            // A future is looked at when the mailbox is empty, or has had its turn.
            ctx.run(std::future::ready(()), |actor, (), _| actor.write_all());
        }
    }
}

impl Registrar {
    fn write_all(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting).into_iter().peekable();
        while waiting.peek().is_some() {
            let (mut operations, mut batch, mut bytes) = (Vec::new(), Vec::new(), 0);
            while let Some((operation, changes)) = waiting.next_if(|(_, changes)| {
                batch.is_empty() || bytes + changes.iter().map(size).sum::<usize>() <= BATCH_BYTES
            }) {
                bytes += changes.iter().map(size).sum::<usize>();
                operations.push(operation);
                batch.extend(changes);
            }
            let error = self.store.write(self.registry.epoch, &batch).err().map(said_whole);
            if self.answer(operations, error) {
                return;
            }
        }
    }

    /// Whether there is nothing more to do: what could not be written ends the reign.
    fn answer(&self, operations: Vec<RegistryOperation>, error: Option<String>) -> bool {
        let master = self.master.get().expect("it was set before the first message came");
        let failed = error.is_some();
        if let Err(error) = master.tell(Written { operations, error }) {
            // Without the answer the master waits; it cannot be told to end, but it can be ended.
            tracing::error!(%error, "the master has no room for what was written");
            master.stop();
            return true;
        }
        failed
    }
}

fn size(change: &Change) -> usize {
    match change {
        Change::Put { key, value } => key.len() + value.len(),
        Change::Delete { key } => key.len(),
    }
}

fn said_whole(error: coordination::store::StoreError) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        words = format!("{words}: {source}");
        cause = source.source();
    }
    words
}
