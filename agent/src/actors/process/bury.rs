//! After the end of an executor and of all that it left: its container is undone, the agent is told. And which images containers
//! use, so that the others may go.

use containerizer::inside;
use containerizer::records::Ended;
use libactor::Context;
use protocol::ids::ContainerId;
use protocol::task::Exit;
use tokio::task::spawn_blocking;

use super::{FromProcesses, Living, Processes};
use crate::logic::StartFailure;

impl Processes {
    /// Nothing of it lives: what it left is undone, and the agent is told.
    pub(super) fn buried(
        &mut self,
        container: ContainerId,
        exit: Option<Exit>,
        ctx: &mut Context<Self>,
    ) {
        self.clean_up(&container, ctx);
        self.undo(
            container,
            move |actor, container, ctx| actor.tell_end(container, exit, ctx),
            ctx,
        );
    }

    fn tell_end(&mut self, container: ContainerId, exit: Option<Exit>, ctx: &mut Context<Self>) {
        let living = self.living.remove(&container);
        let why_not = living.and_then(|Living { handed, refused, .. }| {
            let refused = refused.map(|why| format!("cannot make its container: {why}"));
            let why_not = || handed.and_then(|handed| handed.why_not());
            refused.or_else(|| why_not().map(|why| format!("cannot start the executor: {why}")))
        });
        let message = match why_not.map(StartFailure::Program) {
            Some(why) => FromProcesses::NotStarted { container, why },
            None => {
                let (exit, ended) = match self.launching.home.ended(&container) {
                    Some(Ended::Executor(noted)) => (exit.or(Some(noted)), None),
                    Some(Ended::Task(status)) => (exit, Some(status)),
                    None => (exit, None),
                };
                FromProcesses::Exited { container, exit, ended }
            }
        };
        self.say(message, ctx);
    }

    /// Undoes what is left of its container, if it had one of its own, and goes on. Of what cannot be undone the next life tries again.
    pub(super) fn undo(
        &mut self,
        container: ContainerId,
        then: impl FnOnce(&mut Self, ContainerId, &mut Context<Self>) + 'static,
        ctx: &mut Context<Self>,
    ) {
        let records = self.launching.home.records(&container);
        if !inside::is_left(&records) {
            return then(self, container, ctx);
        }
        // A container may have written much.
        let undone = spawn_blocking(move || inside::clear(&records));
        ctx.run(undone, move |actor, undone, ctx| {
            let why = undone.map_err(|error| error.to_string()).and_then(|undone| undone).err();
            if let Some(why) = why {
                tracing::warn!(%container, %why, "a container is not cleaned up; the next life of this agent tries again");
                actor.say(FromProcesses::Left(container.clone()), ctx);
            }
            then(actor, container, ctx);
        });
    }

    /// Collects images that nobody uses, now and then.
    pub(super) fn collect_images(&mut self, ctx: &mut Context<Self>) {
        let Some(images) = self.launching.images.clone() else { return };
        let Some(every) = images.settings().garbage.as_ref().map(|garbage| garbage.every) else {
            return;
        };
        let home = self.launching.home.clone();
        let collected = spawn_blocking(move || images.collect(&home.layers_in_use()));
        ctx.run(collected, move |_, collected, ctx| {
            match collected {
                Ok(Ok(collected)) if collected.images.is_empty() && collected.layers == 0 => {}
                Ok(Ok(collected)) => {
                    let images: Vec<_> =
                        collected.images.iter().map(ToString::to_string).collect();
                    let (layers, bytes) = (collected.layers, collected.bytes);
                    tracing::info!(images = images.join(", "), layers, bytes, "removed images that nobody uses");
                }
                Ok(Err(error)) => {
                    tracing::warn!(error = %crate::causes(&error), "could not remove images that nobody uses");
                }
                Err(error) => tracing::error!(%error, "the collection of images ended"),
            }
            ctx.after(every, Self::collect_images);
        });
    }
}
