//! Fetching what is to lie in a sandbox, before anything runs there. It takes as long as it takes, and is given up when its
//! executor is not wanted any more.

use fetcher::ForSandbox;
use libactor::Context;
use protocol::ids::ContainerId;
use tokio::sync::oneshot;

use super::launch::Place;
use super::{FromProcesses, Processes};
use crate::logic::{StartExecutor, StartFailure};

impl Processes {
    /// Starts the executor once all is there.
    pub(super) fn fetch(&mut self, start: StartExecutor, place: Place, ctx: &mut Context<Self>) {
        let container = start.container.clone();
        let stderr = match place.sandbox.stderr.try_clone() {
            Ok(stderr) => stderr,
            Err(error) => {
                let words = format!("cannot say in its sandbox what is fetched: {error}");
                return self.not_fetched(container, words, ctx);
            }
        };
        let sandbox = ForSandbox {
            path: place.sandbox.path.clone(),
            stderr,
            user: place.owner.as_ref().map(|user| user.name.clone()),
        };
        let (give_up, given_up) = oneshot::channel();
        self.fetching.insert(container.clone(), give_up);
        let (fetcher, all) = (self.launching.fetcher.clone(), start.fetch.clone());
        // Here and on no other thread: whoever starts processes elsewhere would start them with what is meant for these.
        let fetched = async move {
            tokio::select! {
                biased;
                _ = given_up => Err("given up, since its executor was to end".to_owned()),
                fetched = fetcher.fetch(&sandbox, &all) => fetched,
            }
        };
        ctx.run(fetched, move |actor, fetched, ctx| {
            actor.fetching.remove(&container);
            match fetched {
                Ok(()) => actor.launch(&start, place, ctx),
                Err(words) => actor.not_fetched(container, words, ctx),
            }
        });
    }

    fn not_fetched(&mut self, container: ContainerId, words: String, ctx: &mut Context<Self>) {
        let why = StartFailure::Program(words);
        self.say(FromProcesses::NotStarted { container, why }, ctx);
    }

    /// What was fetched for it was for nothing; whether anything was being fetched.
    pub(super) fn gives_up(&mut self, container: &ContainerId) -> bool {
        let give_up = self.fetching.remove(container);
        // One that has all by now is started, and killed as others are.
        give_up.is_some_and(|give_up| give_up.send(()).is_ok())
    }
}
