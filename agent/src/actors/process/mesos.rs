//! What executors written for Mesos find in their environment. Pure.

use std::path::Path;
use std::time::Duration;

use crate::logic::StartExecutor;

/// How long an executor waits at most before it subscribes again.
const SUBSCRIPTION_BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Where the agent is.
pub(super) struct At<'a> {
    /// Address and port.
    pub(super) endpoint: &'a str,
    /// The path of its socket, if it has one.
    pub(super) socket: Option<&'a Path>,
}

/// All of them, in the names and texts of Mesos.
pub(super) fn variables(
    start: &StartExecutor,
    at: &At<'_>,
    recovery_timeout: Duration,
    sandbox: &Path,
) -> Vec<(&'static str, String)> {
    let sandbox = sandbox.display().to_string();
    let checkpoints = start.framework.outlives_agents();
    let mut all = vec![
        ("MESOS_FRAMEWORK_ID", start.framework.framework.to_string()),
        ("MESOS_EXECUTOR_ID", start.spec.executor.to_string()),
        ("MESOS_DIRECTORY", sandbox.clone()),
        ("MESOS_SANDBOX", sandbox),
        ("MESOS_SLAVE_ID", start.agent.to_string()),
        ("MESOS_SLAVE_PID", format!("slave(1)@{}", at.endpoint)),
        ("MESOS_AGENT_ENDPOINT", at.endpoint.to_owned()),
        ("MESOS_CHECKPOINT", u8::from(checkpoints).to_string()),
        ("MESOS_HTTP_COMMAND_EXECUTOR", "0".to_owned()),
        ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", span(start.shutdown_grace)),
        ("LIBPROCESS_PORT", "0".to_owned()),
    ];
    if let Some(socket) = at.socket {
        all.push(("MESOS_DOMAIN_SOCKET", socket.display().to_string()));
    }
    if checkpoints {
        all.push(("MESOS_RECOVERY_TIMEOUT", span(recovery_timeout)));
        all.push(("MESOS_SUBSCRIPTION_BACKOFF_MAX", span(SUBSCRIPTION_BACKOFF_MAX)));
    }
    all
}

/// In the largest unit of which it is a whole number.
fn span(span: Duration) -> String {
    const UNITS: [(u128, &str); 8] = [
        (7 * 86_400_000_000_000, "weeks"),
        (86_400_000_000_000, "days"),
        (3_600_000_000_000, "hrs"),
        (60_000_000_000, "mins"),
        (1_000_000_000, "secs"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    let nanoseconds = span.as_nanos();
    let whole =
        |(unit, _): &&(u128, &str)| nanoseconds >= *unit && nanoseconds.is_multiple_of(*unit);
    match UNITS.iter().find(whole) {
        Some((unit, name)) => format!("{}{name}", nanoseconds / unit),
        None => "0ns".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_mesos_writes_them() {
        for (millis, text) in [
            (0, "0ns"),
            (5_000, "5secs"),
            (900_000, "15mins"),
            (90_000, "90secs"),
            (1_500, "1500ms"),
            (3_600_000, "1hrs"),
            (604_800_000, "1weeks"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
