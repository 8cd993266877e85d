//! Bringing what must be there before an executor starts: the image that it is to run in, and what is to lie in its sandbox. It takes
//! as long as it takes, and is given up when its executor is not wanted any more.

use std::future::ready;

use fetcher::ForSandbox;
use futures_util::FutureExt;
use futures_util::future::Either;
use images::Pulled;
use libactor::Context;
use protocol::ids::ContainerId;
use tokio::sync::oneshot;

use super::launch::Place;
use super::{FromProcesses, Processes};
use crate::logic::{StartExecutor, StartFailure};

impl Processes {
    /// Starts the executor once all is there.
    pub(super) fn prepare(&mut self, start: StartExecutor, place: Place, ctx: &mut Context<Self>) {
        let container = start.container.clone();
        let stderr = match place.sandbox.stderr.try_clone() {
            Ok(stderr) => stderr,
            Err(error) => {
                let words = format!("cannot say in its sandbox what is fetched: {error}");
                return self.not_prepared(container, words, ctx);
            }
        };
        let pulls = match self.pull(&start, &place) {
            Ok(pulls) => pulls,
            Err(words) => return self.not_prepared(container, words, ctx),
        };
        let sandbox = ForSandbox {
            path: place.sandbox.path.clone(),
            stderr,
            user: place.owner.as_ref().map(|user| user.name.clone()),
        };
        let (give_up, given_up) = oneshot::channel();
        self.preparing.insert(container.clone(), give_up);
        let (fetcher, all) = (self.launching.fetcher.clone(), start.fetch.clone());
        // Here and on no other thread: whoever starts processes elsewhere would start them with what is meant for these.
        let prepared = async move {
            let fetched = match all.is_empty() {
                true => Either::Left(ready(Ok(()))),
                false => Either::Right(fetcher.fetch(&sandbox, &all)),
            };
            let both = async { tokio::try_join!(pulls, fetched) };
            tokio::select! {
                biased;
                _ = given_up => Err("given up, since its executor was to end".to_owned()),
                both = both => both.map(|(pulled, ())| pulled),
            }
        };
        ctx.run(prepared, move |actor, prepared, ctx| {
            actor.preparing.remove(&container);
            match prepared {
                Ok(pulled) => actor.launch(&start, place, pulled, ctx),
                Err(words) => actor.not_prepared(container, words, ctx),
            }
        });
    }

    /// Its image, if it wants one.
    fn pull(
        &self,
        start: &StartExecutor,
        place: &Place,
    ) -> Result<impl Future<Output = Result<Option<Pulled>, String>> + use<>, String> {
        let Some(wanted) = &start.wanted.image else { return Ok(Either::Left(ready(Ok(None)))) };
        let Some(images) = &self.launching.images else {
            let words = "this agent runs no images; start it with --image_providers=docker";
            return Err(format!("cannot run the image {}: {words}", wanted.name));
        };
        let is_own = place.owner.is_none();
        let pull = images.pull(wanted, is_own, &start.container)?;
        Ok(Either::Right(pull.map(|pulled| pulled.map(Some))))
    }

    fn not_prepared(&mut self, container: ContainerId, words: String, ctx: &mut Context<Self>) {
        let why = StartFailure::Program(words);
        self.say(FromProcesses::NotStarted { container, why }, ctx);
    }

    /// What was brought for it was for nothing; whether anything was under way.
    pub(super) fn gives_up(&mut self, container: &ContainerId) -> bool {
        let give_up = self.preparing.remove(container);
        // One that has all by now is started, and killed as others are.
        give_up.is_some_and(|give_up| give_up.send(()).is_ok())
    }
}
