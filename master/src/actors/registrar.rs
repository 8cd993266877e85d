//! Writes the registry, on a thread of its own: it waits for the disk, and nothing else may. What waits together is
//! written together.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::{Actor, Handler};
use coordination::store::{Change, Stopped, Store, StoreError, in_batches};
use libactor::{Asked, Clock, Context, Handle, Message, Question, Received};
use protocol::time::Now;
use serde::{Deserialize, Serialize};

use super::master::{MasterActor, Written};
use crate::logic::registry::{Registry, RegistryOperation};
use crate::published::Published;
use crate::records;
use crate::records::shown::shown;

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
    pub(crate) published: Arc<Published>,
    pub(crate) clock: Clock,
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

/// From a gateway of this process: what is written, for people, of the master that this describes as protobuf.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadRegistry(pub(crate) Vec<u8>);

/// The answer, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RegistryText(pub(crate) String);

impl Message for ReadRegistry {
    const NAME: &'static str = "master.ReadRegistry";
}

impl Message for RegistryText {
    const NAME: &'static str = "master.RegistryText";
}

impl Question for ReadRegistry {
    type Answer = RegistryText;
}

impl Handler<Asked<ReadRegistry>> for Registrar {
    type Result = ();

    fn handle(&mut self, asked: Asked<ReadRegistry>, _: &mut Context<Self>) {
        // It was written by this process.
        let master = api::wire::read(&asked.question.0).ok();
        asked.reply.send(RegistryText(shown(&self.registry, master.as_ref())));
    }
}

impl Registrar {
    fn write_all(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let (mut operations, mut batches) = (Vec::new(), Vec::new());
        for batch in in_batches(waiting, |(_, changes)| changes.iter().map(Change::bytes).sum()) {
            let (told, changes): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            operations.push(told);
            batches.push(changes.concat());
        }
        let began = self.now();
        let (done, error) = match self.store.write_all(self.registry.epoch, &batches) {
            Ok(()) => (batches.len(), None),
            Err(Stopped { done, error }) => (done, Some(said_whole(error))),
        };
        let took = self.now().saturating_sub(began);
        self.published.stored(|stored| {
            stored.written.add(took);
            batches[..done].iter().for_each(|changes| stored.keep(changes));
        });
        let unwritten = operations.split_off(done).concat();
        let written = operations.concat();
        let goes_on = written.is_empty() || self.answer(written, None);
        if goes_on && error.is_some() {
            self.answer(unwritten, error);
        }
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(Now::from(self.clock.read()).steady.0)
    }

    /// Whether the master hears it.
    fn answer(&self, operations: Vec<RegistryOperation>, error: Option<String>) -> bool {
        let master = self.master.get().expect("it was set before the first message came");
        if let Err(error) = master.tell(Written { operations, error }) {
            // Without the answer the master waits; it cannot be told to end, but it can be ended.
            tracing::error!(%error, "the master has no room for what was written");
            master.stop();
            return false;
        }
        true
    }
}

fn said_whole(error: StoreError) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        words = format!("{words}: {source}");
        cause = source.source();
    }
    words
}
