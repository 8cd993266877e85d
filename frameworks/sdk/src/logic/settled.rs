//! Tasks of whose end the scheduler was told: so many, the oldest make room. Nothing more is told of them until their id is
//! launched again, whatever late news and agents that were given up for lost may bring.

use std::collections::BTreeMap;

use protocol::ids::TaskId;
use serde::{Deserialize, Serialize};

/// Ids, by name and by age.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Settled {
    newest: u64,
    by_task: BTreeMap<TaskId, u64>,
    by_age: BTreeMap<u64, TaskId>,
}

impl Settled {
    /// Its end was told.
    pub(super) fn insert(&mut self, task: TaskId, most: usize) {
        self.remove(&task);
        self.newest += 1;
        self.by_task.insert(task.clone(), self.newest);
        self.by_age.insert(self.newest, task);
        while self.by_age.len() > most {
            if let Some((_, oldest)) = self.by_age.pop_first() {
                self.by_task.remove(&oldest);
            }
        }
    }

    /// It is launched again: what comes from now on is told.
    pub(super) fn remove(&mut self, task: &TaskId) {
        if let Some(age) = self.by_task.remove(task) {
            self.by_age.remove(&age);
        }
    }

    pub(super) fn contains(&self, task: &TaskId) -> bool {
        self.by_task.contains_key(task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let mut settled = Settled::default();
        for name in ["a", "b", "a", "c"] {
            settled.insert(TaskId::new(name), 2);
        }
        let has = |name| settled.contains(&TaskId::new(name));
        assert_eq!((has("a"), has("b"), has("c")), (true, false, true));
        settled.remove(&TaskId::new("a"));
        assert!(!settled.contains(&TaskId::new("a")));
        assert_eq!((settled.by_task.len(), settled.by_age.len()), (1, 1));
    }
}
