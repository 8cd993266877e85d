//! What isolators are asked of an executor's container: before it starts, when it has, and when nothing of it lives any more.

use std::ffi::OsString;

use containerizer::container::Container;
use containerizer::inside::Inside;
use containerizer::isolator::watch::limited;
use containerizer::isolator::{Allowance, ContainerPath, Entry, Launch, Watch};
use images::Pulled;
use libactor::Context;
use nix::unistd::Pid;
use protocol::ids::ContainerId;

use super::launch::Place;
use super::{FromProcesses, Processes};
use crate::isolators;
use crate::logic::StartExecutor;

impl Processes {
    /// Has isolators prepare what the executor, or its command, is shut into, and writes that down where it is anything. The files by
    /// which it joins control groups, if there are any. What fails leaves nothing of theirs.
    pub(super) fn contain(
        &self,
        start: &StartExecutor,
        place: &mut Place,
        pulled: Option<&Pulled>,
    ) -> Result<Option<OsString>, String> {
        let id = isolators::id(&start.container)?;
        let inside = self.inside(start, place, pulled)?;
        let inside = self.prepared(&id, &start.allowance, place, inside)?;
        let contained = Self::shut_in(place, inside).and_then(|()| self.joins(&id));
        if contained.is_err() {
            self.isolators.clean_up(&id);
        }
        contained
    }

    /// What isolators make of it; something, if they ask for anything.
    fn prepared(
        &self,
        id: &ContainerPath,
        allowance: &Allowance,
        place: &Place,
        inside: Option<Inside>,
    ) -> Result<Option<Inside>, String> {
        let has_any = inside.is_some();
        let mut inside = inside.unwrap_or_default();
        let container = &mut inside.container;
        let folders = &isolators::folders(&place.sandbox.path, &place.records);
        self.isolators.prepare(&mut Launch { id, container, allowance, folders })?;
        if !has_any && inside.container == Container::default() {
            return Ok(None);
        }
        let confinement = &mut inside.container.confinement;
        for pair in std::mem::take(&mut confinement.environment) {
            let pair = pair.to_string_lossy();
            inside.environment.extend(
                pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())),
            );
        }
        if !has_any {
            inside.sandbox.clone_from(&place.sandbox.path);
            confinement.work_dir = Some(inside.sandbox.clone());
            inside.container.session = true;
        }
        Ok(Some(inside))
    }

    fn joins(&self, id: &ContainerPath) -> Result<Option<OsString>, String> {
        let mut files = Vec::new();
        self.isolators.hand(id, Entry::Joins(&mut files))?;
        if files.is_empty() {
            return Ok(None);
        }
        let joined = std::env::join_paths(files);
        joined.map(Some).map_err(|error| format!("name the files of its control groups: {error}"))
    }

    /// Takes in the executor's process, and watches its container from then on.
    pub(super) fn take_in(
        &mut self,
        container: &ContainerId,
        process: i32,
        ctx: &mut Context<Self>,
    ) -> Result<(), String> {
        let id = isolators::id(container)?;
        self.isolators.isolate(&id, Pid::from_raw(process))?;
        let watches = self.isolators.watch(&id)?;
        self.watch_limits(container, watches, ctx);
        Ok(())
    }

    /// One that a former life took in.
    pub(super) fn take_over(
        &mut self,
        container: &ContainerId,
        ctx: &mut Context<Self>,
    ) -> Result<(), String> {
        let watches = self.isolators.watch(&isolators::id(container)?)?;
        self.watch_limits(container, watches, ctx);
        Ok(())
    }

    fn watch_limits(
        &mut self,
        container: &ContainerId,
        watches: Vec<Box<dyn Watch>>,
        ctx: &mut Context<Self>,
    ) {
        for watch in watches {
            let watched = container.clone();
            let handle = ctx.run(limited(watch), move |actor, told, ctx| match told {
                Ok(limitation) => {
                    let container = watched;
                    actor.say(FromProcesses::Limited { container, limitation }, ctx);
                }
                Err(why) => {
                    tracing::debug!(container = %watched, %why, "a limit is watched no more");
                }
            });
            self.watches.entry(container.clone()).or_default().push(handle);
        }
    }

    pub(super) fn give(
        &mut self,
        container: ContainerId,
        allowance: &Allowance,
        ctx: &mut Context<Self>,
    ) {
        let given = isolators::id(&container).and_then(|id| self.isolators.update(&id, allowance));
        // What is about to be buried needs nothing.
        if let (Err(words), true) = (given, self.living.contains_key(&container)) {
            self.say(FromProcesses::NotGiven { container, words }, ctx);
        }
    }

    /// Ends what isolators see of it.
    pub(super) fn end(&self, container: &ContainerId) {
        let ended = isolators::id(container).and_then(|id| self.isolators.kill(&id));
        if let Err(why) = ended {
            tracing::warn!(%container, %why, "could not end all of a container");
        }
    }

    /// Nothing of it lives, or is to.
    pub(super) fn clean_up(&mut self, container: &ContainerId, ctx: &mut Context<Self>) {
        for watch in self.watches.remove(container).unwrap_or_default() {
            watch.cancel();
        }
        let left = isolators::id(container).map(|id| self.isolators.clean_up(&id));
        let left = left.unwrap_or_default();
        for why in &left {
            tracing::warn!(%container, %why, "a container is not cleaned up; the next life of this agent tries again");
        }
        if !left.is_empty() {
            self.say(FromProcesses::Left(container.clone()), ctx);
        }
    }
}
