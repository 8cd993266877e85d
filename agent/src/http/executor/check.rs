//! What a call must have, in the words that Mesos has for each. Pure.

use std::borrow::Cow;

use api::v1;
use api::v1::executor::Call;
use api::v1::executor::call::Type;
use gateway::Refused;

/// Bytes of the id of an update.
const UUID: usize = 16;

/// Bytes of one status without its data, which has its own limit: labels, addresses and what else is only carried.
const CARRIED_MAX: usize = 256 << 10;

fn invalid(why: impl Into<Cow<'static, str>>) -> Refused {
    Refused::new(400, format!("Failed to validate Executor::Call: {}", why.into()))
}

fn needs<T>(payload: &Option<T>, name: &str) -> Result<(), Refused> {
    match payload {
        Some(_) => Ok(()),
        None => Err(invalid(format!("Expecting '{name}' to be present"))),
    }
}

/// Whether the call has all that its type needs.
pub(super) fn call(call: &Call) -> Result<(), Refused> {
    // A number that nobody knows is as good as none.
    needs(&call.r#type.filter(|number| Type::try_from(*number).is_ok()), "type")?;
    match call.r#type() {
        Type::Subscribe => {
            needs(&call.subscribe, "subscribe")?;
            let updates = call.subscribe.iter().flat_map(|all| &all.unacknowledged_updates);
            updates.map(|update| &update.status).try_for_each(|status| of_status(call, status))
        }
        Type::Update => {
            needs(&call.update, "update")?;
            call.update.iter().try_for_each(|update| of_status(call, &update.status))
        }
        Type::Message => needs(&call.message, "message"),
        Type::Heartbeat | Type::Unknown => Ok(()),
    }
}

fn of_status(call: &Call, status: &v1::TaskStatus) -> Result<(), Refused> {
    let (executor, framework) = (&call.executor_id.value, &call.framework_id.value);
    let of = || format!("from executor {executor} of framework {framework}");
    needs(&status.uuid, "uuid")?;
    let bytes = status.uuid.as_ref().map_or(0, Vec::len);
    if bytes != UUID {
        return Err(invalid(format!("Not a valid UUID: it has {bytes} bytes, and needs {UUID}")));
    }
    if let Some(named) = status.executor_id.as_ref().filter(|named| named.value != *executor) {
        let named = &named.value;
        return Err(invalid(format!(
            "ExecutorID in Call: {executor} does not match ExecutorID in TaskStatus: {named}"
        )));
    }
    if status.source() != v1::task_status::Source::Executor {
        let of = of();
        return Err(invalid(format!(
            "Received Call {of} with invalid source, expecting 'SOURCE_EXECUTOR'"
        )));
    }
    if status.state() == v1::TaskState::TaskStaging {
        let of = of();
        return Err(invalid(format!("Received TASK_STAGING {of} which is not allowed")));
    }
    status.check_status.iter().try_for_each(of_check)?;
    let bare = v1::TaskStatus { data: None, message: None, ..status.clone() };
    match api::wire::write(&bare).len() {
        bytes if bytes > CARRIED_MAX => Err(invalid(format!(
            "The status of task {} has {bytes} bytes beside its data and message, and {CARRIED_MAX} are the most",
            status.task_id.value
        ))),
        _ => Ok(()),
    }
}

/// What is said of a check is of the kind that is named.
fn of_check(check: &v1::CheckStatusInfo) -> Result<(), Refused> {
    use v1::check_info::Type;
    let has = match check.r#type() {
        Type::Command => check.command.is_some(),
        Type::Http => check.http.is_some(),
        Type::Tcp => check.tcp.is_some(),
        Type::Unknown => return Err(invalid("'check_status' needs a type that is known")),
    };
    let name = check.r#type().as_str_name().to_lowercase();
    match has {
        true => Ok(()),
        false => {
            Err(invalid(format!("Expecting '{name}' to be set for the status of such a check")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(rest: &str) -> Option<String> {
        let json =
            format!(r#"{{"executor_id":{{"value":"e"}},"framework_id":{{"value":"f"}}{rest}}}"#);
        let message: Call = api::json::read(json.as_bytes()).expect("a call");
        call(&message).err().map(|refused| {
            assert_eq!(refused.status, 400);
            refused.words.into_owned()
        })
    }

    #[track_caller]
    fn is_refused(rest: &str, words: &str) {
        let words = format!("Failed to validate Executor::Call: {words}");
        assert_eq!(refusal(rest).as_deref(), Some(words.as_str()), "{rest}");
    }

    fn update(status: &str) -> String {
        format!(r#","type":"UPDATE","update":{{"status":{{"task_id":{{"value":"t"}}{status}}}}}"#)
    }

    const GOOD: &str =
        r#","state":"TASK_RUNNING","uuid":"AAECAwQFBgcICQoLDA0ODw==","source":"SOURCE_EXECUTOR""#;

    #[test]
    fn what_a_call_lacks_is_named() {
        is_refused("", "Expecting 'type' to be present");
        for (r#type, payload) in
            [("SUBSCRIBE", "subscribe"), ("UPDATE", "update"), ("MESSAGE", "message")]
        {
            is_refused(
                &format!(r#","type":"{type}""#),
                &format!("Expecting '{payload}' to be present"),
            );
        }
        for r#type in ["HEARTBEAT", "UNKNOWN"] {
            assert_eq!(refusal(&format!(r#","type":"{type}""#)), None);
        }
        assert_eq!(refusal(r#","type":"SUBSCRIBE","subscribe":{}"#), None);
    }

    #[test]
    fn news_says_who_and_what_and_by_which_id() {
        assert_eq!(refusal(&update(GOOD)), None);
        is_refused(&update(r#","state":"TASK_RUNNING""#), "Expecting 'uuid' to be present");
        for (uuid, bytes) in [("AAEC", 3), ("AAECAwQFBgcICQoLDA0ODxA=", 17), ("", 0)] {
            is_refused(
                &update(&format!(r#","state":"TASK_RUNNING","uuid":"{uuid}""#)),
                &format!("Not a valid UUID: it has {bytes} bytes, and needs 16"),
            );
        }
        for source in ["", r#","source":"SOURCE_AGENT""#, r#","source":"SOURCE_MASTER""#] {
            is_refused(
                &update(&format!(
                    r#","state":"TASK_RUNNING","uuid":"AAECAwQFBgcICQoLDA0ODw=="{source}"#
                )),
                "Received Call from executor e of framework f with invalid source, expecting 'SOURCE_EXECUTOR'",
            );
        }
        is_refused(
            &update(&GOOD.replace("RUNNING", "STAGING")),
            "Received TASK_STAGING from executor e of framework f which is not allowed",
        );
        is_refused(
            &update(&format!(r#"{GOOD},"executor_id":{{"value":"other"}}"#)),
            "ExecutorID in Call: e does not match ExecutorID in TaskStatus: other",
        );
        assert_eq!(refusal(&update(&format!(r#"{GOOD},"executor_id":{{"value":"e"}}"#))), None);
        is_refused(
            &update(&format!(r#"{GOOD},"check_status":{{"type":"TCP"}}"#)),
            "Expecting 'tcp' to be set for the status of such a check",
        );
        let label = format!(r#"{{"key":"k","value":"{}"}}"#, "x".repeat(CARRIED_MAX));
        let words =
            refusal(&update(&format!(r#"{GOOD},"labels":{{"labels":[{label}]}}"#))).unwrap();
        assert!(words.ends_with("and 262144 are the most"), "{words}");
    }

    #[test]
    fn news_that_comes_with_a_subscription_is_looked_at_as_closely() {
        let with = |status: &str| {
            format!(
                r#","type":"SUBSCRIBE","subscribe":{{"unacknowledged_updates":[{{"status":{{"task_id":{{"value":"t"}}{status}}}}}]}}"#
            )
        };
        assert_eq!(refusal(&with(GOOD)), None);
        is_refused(&with(r#","state":"TASK_RUNNING""#), "Expecting 'uuid' to be present");
    }
}
