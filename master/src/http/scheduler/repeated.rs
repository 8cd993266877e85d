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
    is_acknowledged: bool,
}

/// What the client knows of news that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing, or so long ago that it is told again: it is told now.
    Nothing,
    /// It was told just now, and has not acknowledged it yet.
    JustTold,
    /// It has acknowledged it, of which its agent has not heard.
    Acknowledged,
}

impl News {
    /// What the client knows of this; if nothing, it is told so now.
    pub(super) fn hears(&mut self, status: &TaskStatus, now: Instant) -> Known {
        let Some(update) = status.update else {
            // An end that the master itself knows of is not acknowledged.
            if status.state.is_end() {
                self.0.remove(&status.task);
            }
            return Known::Nothing;
        };
        match self.0.get(&status.task).filter(|told| told.update == update) {
            Some(told) if told.is_acknowledged => return Known::Acknowledged,
            Some(told) if now.since(told.at) < TOLD_AGAIN => return Known::JustTold,
            Some(_) | None => {}
        }
        let is_end = status.state.is_end();
        let told = LastTold { update, at: now, is_end, is_acknowledged: false };
        self.0.insert(status.task.clone(), told);
        Known::Nothing
    }

    /// What comes after an end is of another task. Other news may cross its acknowledgement, when it is said again for the sake of
    /// an end behind it; or that was lost with the agent's process, and what is behind it would wait.
    pub(super) fn acknowledged(&mut self, task: &TaskId, update: UpdateId) {
        let Some(told) = self.0.get_mut(task).filter(|told| told.update == update) else { return };
        told.is_acknowledged = true;
        if told.is_end {
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

    fn id(sequence: u64) -> UpdateId {
        UpdateId { source: 1, sequence }
    }

    #[test]
    fn news_is_told_again_ten_seconds_later_and_not_before() {
        let (mut told, runs) = (News::default(), news(TaskState::Running, Some(1)));
        assert_eq!(told.hears(&runs, at(0)), Known::Nothing);
        assert_eq!(told.hears(&runs, at(9)), Known::JustTold);
        assert_eq!(told.hears(&runs, at(10)), Known::Nothing);
        assert_eq!(
            told.hears(&runs, at(19)),
            Known::JustTold,
            "counted from when it was told last"
        );
        let other = news(TaskState::Running, Some(2));
        assert_eq!(told.hears(&other, at(19)), Known::Nothing, "other news");
    }

    #[test]
    fn news_that_was_acknowledged_is_told_no_more_whenever_its_agent_says_it_again() {
        let (mut told, runs) = (News::default(), news(TaskState::Running, Some(2)));
        assert_eq!(told.hears(&runs, at(0)), Known::Nothing);
        told.acknowledged(&runs.task, id(1));
        assert_eq!(told.hears(&runs, at(1)), Known::JustTold, "that was for other news");
        told.acknowledged(&runs.task, id(2));
        assert_eq!(told.hears(&runs, at(1)), Known::Acknowledged);
        assert_eq!(told.hears(&runs, at(60)), Known::Acknowledged);
    }

    #[test]
    fn an_acknowledged_end_is_forgotten_and_so_is_one_that_nobody_acknowledges() {
        let mut told = News::default();
        assert_eq!(told.hears(&news(TaskState::Failed, Some(2)), at(0)), Known::Nothing);
        told.acknowledged(&TaskId::new("t"), id(2));
        assert!(told.0.is_empty());
        assert_eq!(told.hears(&news(TaskState::Running, Some(1)), at(0)), Known::Nothing);
        assert_eq!(told.hears(&news(TaskState::Gone, None), at(1)), Known::Nothing);
        assert!(told.0.is_empty());
    }
}
