//! Which news a client was told just now, and is not told again: decisions alone, with the time as an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::ids::{TaskId, UpdateId};
use protocol::task::TaskStatus;
use protocol::time::Instant;

/// News is not told again sooner than so long after it was told: agents say it again whenever they have a reason to, and a
/// stream loses nothing. It is how long an agent of Mesos's waits.
const TOLD_AGAIN: Duration = Duration::from_secs(10);

/// The last news of each task that was told, but for ends that are acknowledged: at most one for each task of the framework.
#[derive(Default)]
pub(super) struct News(BTreeMap<TaskId, LastTold>);

/// News as it was told.
struct LastTold {
    update: UpdateId,
    at: Instant,
    is_end: bool,
}

impl News {
    /// Whether the client was told so just now; else it is told so by this.
    pub(super) fn was_just_told(&mut self, status: &TaskStatus, now: Instant) -> bool {
        let Some(update) = status.update else {
            // An end that the master itself knows of is not acknowledged.
            if status.state.is_end() {
                self.0.remove(&status.task);
            }
            return false;
        };
        let just = |told: &LastTold| told.update == update && now.since(told.at) < TOLD_AGAIN;
        if self.0.get(&status.task).is_some_and(just) {
            return true;
        }
        let told = LastTold { update, at: now, is_end: status.state.is_end() };
        self.0.insert(status.task.clone(), told);
        false
    }

    /// What comes after an end is of another task. Other news may cross its acknowledgement, when it is said again for the sake of
    /// an end behind it.
    pub(super) fn acknowledged(&mut self, task: &TaskId) {
        if self.0.get(task).is_some_and(|told| told.is_end) {
            self.0.remove(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::ids::FrameworkId;
    use protocol::task::{Source, TaskState};

    use super::*;

    fn news(state: TaskState, sequence: Option<u64>) -> TaskStatus {
        let (framework, task) = (FrameworkId::new("F"), TaskId::new("t"));
        let update = sequence.map(|sequence| UpdateId { source: 1, sequence });
        TaskStatus { update, ..TaskStatus::plain(framework, task, state, Source::Executor) }
    }

    fn at(seconds: u64) -> Instant {
        Instant::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn news_is_told_again_ten_seconds_later_and_not_before() {
        let (mut told, runs) = (News::default(), news(TaskState::Running, Some(1)));
        assert!(!told.was_just_told(&runs, at(0)));
        assert!(told.was_just_told(&runs, at(9)));
        assert!(!told.was_just_told(&runs, at(10)));
        assert!(told.was_just_told(&runs, at(19)), "counted from when it was told last");
        assert!(!told.was_just_told(&news(TaskState::Running, Some(2)), at(19)), "other news");
    }

    #[test]
    fn news_that_crosses_its_acknowledgement_is_not_told_twice() {
        let (mut told, runs) = (News::default(), news(TaskState::Running, Some(1)));
        assert!(!told.was_just_told(&runs, at(0)));
        told.acknowledged(&runs.task);
        assert!(told.was_just_told(&runs, at(1)));
    }

    #[test]
    fn an_acknowledged_end_is_forgotten_and_so_is_one_that_nobody_acknowledges() {
        let mut told = News::default();
        assert!(!told.was_just_told(&news(TaskState::Failed, Some(2)), at(0)));
        told.acknowledged(&TaskId::new("t"));
        assert!(told.0.is_empty());
        assert!(!told.was_just_told(&news(TaskState::Running, Some(1)), at(0)));
        assert!(!told.was_just_told(&news(TaskState::Gone, None), at(1)));
        assert!(told.0.is_empty());
    }
}
