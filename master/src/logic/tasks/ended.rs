//! The ends of tasks that are not in the books any more: so many for each framework, the oldest make room.

use std::collections::BTreeMap;

use protocol::ids::TaskId;
use protocol::task::TaskStatus;
use serde::{Deserialize, Serialize};

/// Ends, by task and by age.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::logic) struct Ended {
    newest: u64,
    by_task: BTreeMap<TaskId, (u64, TaskStatus)>,
    by_age: BTreeMap<u64, TaskId>,
}

impl Ended {
    /// Remembers an end; of one task only the last.
    pub(in crate::logic) fn remember(&mut self, end: TaskStatus, most: usize) {
        self.newest += 1;
        let task = end.task.clone();
        if let Some((before, _)) = self.by_task.insert(task.clone(), (self.newest, end)) {
            self.by_age.remove(&before);
        }
        self.by_age.insert(self.newest, task);
        while self.by_age.len() > most {
            if let Some((_, oldest)) = self.by_age.pop_first() {
                self.by_task.remove(&oldest);
            }
        }
    }

    /// How a task ended.
    pub(in crate::logic) fn end_of(&self, task: &TaskId) -> Option<&TaskStatus> {
        self.by_task.get(task).map(|(_, end)| end)
    }
}
