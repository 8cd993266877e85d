//! What frameworks refused, where, and until when.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ids::{AgentId, FrameworkId, Role};
use protocol::resources::Resources;
use protocol::time::Instant;
use serde::{Deserialize, Serialize};

use crate::logic::bugs::{Bug, Bugs};

/// Refusals of one framework on one agent under one role; the one that would run out first makes room.
const EACH_MAX: usize = 8;

type Key = (FrameworkId, AgentId, Role);

/// All refusals that count.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Refusals {
    most: usize,
    bugs: Bugs,
    by_key: BTreeMap<Key, BTreeSet<(Instant, Resources)>>,
    by_end: BTreeSet<(Instant, Key)>,
}

impl Refusals {
    pub(super) fn new(most: usize, bugs: Bugs) -> Self {
        Self { most, bugs, by_key: BTreeMap::new(), by_end: BTreeSet::new() }
    }

    pub(super) fn add(
        &mut self,
        framework: FrameworkId,
        agent: AgentId,
        role: Role,
        what: Resources,
        until: Instant,
    ) {
        let key = (framework, agent, role);
        let of_key = self.by_key.entry(key.clone()).or_default();
        of_key.insert((until, what));
        self.by_end.insert((until, key.clone()));
        while of_key.len() > EACH_MAX {
            of_key.pop_first();
        }
        while self.by_end.len() > self.most {
            if let Some((end, key)) = self.by_end.pop_first() {
                self.drop_until(end, &key);
            }
        }
    }

    /// Whether a framework does not want this: it has refused as much or more.
    pub(super) fn refuses(
        &self,
        now: Instant,
        framework: &FrameworkId,
        agent: &AgentId,
        role: &Role,
        what: &Resources,
    ) -> bool {
        if self.by_key.is_empty() {
            return false;
        }
        let key = (framework.clone(), agent.clone(), role.clone());
        let for_ever = self.bugs.has(Bug::FilterNeverExpires);
        self.by_key.get(&key).is_some_and(|of_key| {
            of_key
                .iter()
                .any(|(until, refused)| (*until > now || for_ever) && refused.contains(what))
        })
    }

    /// Drops what has run out. The agents at which there is something new to offer come back.
    pub(super) fn expire(&mut self, now: Instant) -> BTreeSet<AgentId> {
        let mut agents = BTreeSet::new();
        if self.bugs.has(Bug::FilterNeverExpires) {
            return agents;
        }
        while self.by_end.first().is_some_and(|(end, _)| *end <= now) {
            if let Some((end, key)) = self.by_end.pop_first() {
                self.drop_until(end, &key);
                agents.insert(key.1);
            }
        }
        agents
    }

    /// Drops all of a framework's.
    pub(super) fn forget(&mut self, framework: &FrameworkId) {
        let first = (framework.clone(), AgentId::new(""), Role::everybody());
        let mut keys = Vec::new();
        for (key, _) in self.by_key.range(first..) {
            if key.0 != *framework {
                break;
            }
            keys.push(key.clone());
        }
        for key in keys {
            for (end, _) in self.by_key.remove(&key).into_iter().flatten() {
                self.by_end.remove(&(end, key.clone()));
            }
        }
    }

    fn drop_until(&mut self, end: Instant, key: &Key) {
        if let Some(of_key) = self.by_key.get_mut(key) {
            of_key.retain(|(until, _)| *until > end);
            if of_key.is_empty() {
                self.by_key.remove(key);
            }
        }
    }
}
