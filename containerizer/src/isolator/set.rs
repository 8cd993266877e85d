//! All isolators of whoever runs containers, in their order: asked one after the other, and what they say is one answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::v1::{ContainerStatus, ResourceStatistics};
use nix::unistd::Pid;

use super::logic::{with_status, with_usage};
use super::{Allowance, ContainerPath, Entry, Isolator, Known, Launch, Limitation, Watch};

/// Cheap to clone: the clones ask the same ones. An isolator is asked of those containers that it supports.
#[derive(Clone, Debug, Default)]
pub struct Isolators(Arc<[Arc<dyn Isolator>]>);

impl Isolators {
    /// In the order in which they prepare.
    pub fn new(all: Vec<Arc<dyn Isolator>>) -> Self {
        Self(all.into())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that are asked of a container.
    pub fn of(&self, id: &ContainerPath) -> impl DoubleEndedIterator<Item = &Arc<dyn Isolator>> {
        self.0
            .iter()
            .filter(|one| id.is_supported(one.supports_nesting(), one.supports_standalone()))
    }

    /// A new life begins with these. What isolators have beside them, which is to be ended by [`Isolators::kill`] and
    /// [`Isolators::clean_up`].
    ///
    /// # Errors
    /// In words, of the first that cannot.
    pub fn recover(&self, known: &[Known]) -> Result<BTreeSet<ContainerPath>, String> {
        let mut orphans = BTreeSet::new();
        for one in &*self.0 {
            let supported = |known: &&Known| {
                known.id.is_supported(one.supports_nesting(), one.supports_standalone())
            };
            let theirs: Vec<_> = known.iter().filter(supported).cloned().collect();
            orphans.extend(one.recover(&theirs).map_err(named(one))?);
        }
        Ok(orphans)
    }

    /// All of them prepare, or none: what fails cleans up with those before it.
    ///
    /// # Errors
    /// In words, of the first that cannot.
    pub fn prepare(&self, launch: &mut Launch<'_>) -> Result<(), String> {
        let id = launch.id;
        let mut begun: Vec<&Arc<dyn Isolator>> = Vec::new();
        for one in self.of(id) {
            begun.push(one);
            if let Err(mut words) = one.prepare(launch).map_err(named(one)) {
                let left = clean_up(begun.into_iter().rev(), id);
                left.iter().for_each(|left| words.push_str(&format!("; {left}")));
                return Err(words);
            }
        }
        Ok(())
    }

    /// As [`Isolator::hand`].
    ///
    /// # Errors
    /// In words, of the first that cannot.
    pub fn hand(&self, id: &ContainerPath, mut entry: Entry<'_>) -> Result<(), String> {
        self.of(id).try_for_each(|one| one.hand(id, &mut entry).map_err(named(one)))
    }

    /// As [`Isolator::isolate`].
    ///
    /// # Errors
    /// In words, of the first that cannot.
    pub fn isolate(&self, id: &ContainerPath, process: Pid) -> Result<(), String> {
        self.of(id).try_for_each(|one| one.isolate(id, process).map_err(named(one)))
    }

    /// As [`Isolator::watch`]: the first that tells counts.
    ///
    /// # Errors
    /// In words, of the first that cannot.
    pub fn watch(&self, id: &ContainerPath) -> Result<Vec<Box<dyn Watch>>, String> {
        self.of(id).filter_map(|one| one.watch(id).map_err(named(one)).transpose()).collect()
    }

    /// As [`Isolator::exceeded`]: the first that says so counts.
    pub fn exceeded(&self, id: &ContainerPath) -> Option<Limitation> {
        self.of(id).find_map(|one| one.exceeded(id))
    }

    /// As [`Isolator::update`].
    ///
    /// # Errors
    /// In words, of the first that cannot.
    pub fn update(&self, id: &ContainerPath, allowance: &Allowance) -> Result<(), String> {
        self.of(id).try_for_each(|one| one.update(id, allowance).map_err(named(one)))
    }

    /// Adds to what is known what they say. In words, of whom nothing could be had: what the others say is no less true.
    pub fn usage(&self, id: &ContainerPath, known: &mut ResourceStatistics) -> Vec<String> {
        let tell = |one: &Arc<dyn Isolator>| {
            one.usage(id).map(|more| with_usage(known, more)).map_err(named(one)).err()
        };
        self.of(id).filter_map(tell).collect()
    }

    /// Adds to what is known what they say. In words, of whom nothing could be had.
    pub fn status(&self, id: &ContainerPath, known: &mut ContainerStatus) -> Vec<String> {
        let tell = |one: &Arc<dyn Isolator>| {
            one.status(id).map(|more| with_status(known, &more)).map_err(named(one)).err()
        };
        self.of(id).filter_map(tell).collect()
    }

    /// As [`Isolator::kill`], by all of them.
    ///
    /// # Errors
    /// In words, of those that could not.
    pub fn kill(&self, id: &ContainerPath) -> Result<(), String> {
        let killed = self.of(id).filter_map(|one| one.kill(id).map_err(named(one)).err());
        let words: Vec<_> = killed.collect();
        if words.is_empty() { Ok(()) } else { Err(words.join("; ")) }
    }

    /// All of them clean up, the last first. In words, what is left.
    pub fn clean_up(&self, id: &ContainerPath) -> Vec<String> {
        clean_up(self.of(id).rev(), id)
    }
}

fn clean_up<'a>(
    all: impl Iterator<Item = &'a Arc<dyn Isolator>>,
    id: &ContainerPath,
) -> Vec<String> {
    all.filter_map(|one| one.clean_up(id).map_err(named(one)).err()).collect()
}

/// Whose words they are.
pub(crate) fn named(one: &Arc<dyn Isolator>) -> impl Fn(String) -> String {
    move |words| format!("isolator {}: {words}", one.name())
}
