//! How what is counted is named.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use protocol::framework::FrameworkInfo;
use protocol::task::{Reason, Source, TaskState};

/// So much of a framework's name is in a label, and in a metric's name.
pub(crate) const NAME_MAX: usize = 100;

/// What is not plain in a name of a metric.
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How the names begin under which Mesos counts what a framework does.
pub(crate) fn of_framework(info: &FrameworkInfo) -> String {
    let name: String = info.name.chars().take(NAME_MAX).collect();
    let name = utf8_percent_encode(&name, &ENCODED);
    format!("master/frameworks/{name}/{}", info.framework)
}

/// Under which name an end is counted for which a reason was given.
pub(crate) fn of_reason(state: TaskState, source: Source, reason: Reason) -> String {
    let source = match source {
        Source::Master => "master",
        Source::Agent => "slave",
        Source::Executor => "executor",
    };
    let reason = reason.to_v1().as_str_name().to_ascii_lowercase();
    let reason = reason.strip_prefix("reason_").unwrap_or(&reason).replace("agent", "slave");
    format!("master/task_{}/source_{source}/reason_{reason}", word(state))
}

/// As it is in a name.
pub(crate) fn word(state: TaskState) -> &'static str {
    match state {
        TaskState::Staging => "staging",
        TaskState::Starting => "starting",
        TaskState::Running => "running",
        TaskState::Killing => "killing",
        TaskState::Finished => "finished",
        TaskState::Failed => "failed",
        TaskState::Killed => "killed",
        TaskState::Error => "error",
        TaskState::Lost => "lost",
        TaskState::Dropped => "dropped",
        TaskState::Unreachable => "unreachable",
        TaskState::Gone => "gone",
        TaskState::GoneByOperator => "gone_by_operator",
        TaskState::Unknown => "unknown",
    }
}

/// States that a task in the books may have, all of them shown.
pub(crate) const LIVE: [TaskState; 5] = [
    TaskState::Staging,
    TaskState::Starting,
    TaskState::Running,
    TaskState::Killing,
    TaskState::Unreachable,
];

/// Ends, all of them shown.
pub(crate) const ENDS: [TaskState; 8] = [
    TaskState::Finished,
    TaskState::Failed,
    TaskState::Killed,
    TaskState::Error,
    TaskState::Lost,
    TaskState::Dropped,
    TaskState::Gone,
    TaskState::GoneByOperator,
];
