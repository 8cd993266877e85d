//! What a call must have, in the words that Mesos has for each. Pure.

use std::borrow::Cow;

use api::v1;
use api::v1::offer::operation::Type as OperationType;
use api::v1::scheduler::Call;
use api::v1::scheduler::call::Type;
use gateway::Refused;

use crate::http::leading::same_principal;

/// Bytes of the id of an update.
const UUID: usize = 16;

fn invalid(why: impl Into<Cow<'static, str>>) -> Refused {
    Refused::new(400, format!("Failed to validate scheduler::Call: {}", why.into()))
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
    if call.r#type() == Type::Subscribe {
        needs(&call.subscribe, "subscribe")?;
        let info = call.subscribe.as_ref().map(|subscribe| &subscribe.framework_info);
        let of = |id: Option<&v1::FrameworkId>| id.map(|id| id.value.clone());
        if of(call.framework_id.as_ref()) != of(info.and_then(|info| info.id.as_ref())) {
            return Err(invalid("'framework_id' differs from 'subscribe.framework_info.id'"));
        }
        return Ok(());
    }
    needs(&call.framework_id, "framework_id")?;
    match call.r#type() {
        Type::Subscribe | Type::Teardown | Type::Revive | Type::Suppress => Ok(()),
        Type::Accept => needs(&call.accept, "accept"),
        Type::Decline => needs(&call.decline, "decline"),
        Type::AcceptInverseOffers => needs(&call.accept_inverse_offers, "accept_inverse_offers"),
        Type::DeclineInverseOffers => needs(&call.decline_inverse_offers, "decline_inverse_offers"),
        Type::Kill => needs(&call.kill, "kill"),
        Type::Shutdown => needs(&call.shutdown, "shutdown"),
        Type::Acknowledge => {
            needs(&call.acknowledge, "acknowledge")?;
            uuid(call.acknowledge.as_ref().map(|one| one.uuid.as_slice()))
        }
        Type::AcknowledgeOperationStatus => {
            needs(&call.acknowledge_operation_status, "acknowledge_operation_status")?;
            let one = call.acknowledge_operation_status.as_ref();
            uuid(one.map(|one| one.uuid.as_slice()))?;
            match one.is_some_and(|one| one.agent_id.is_some()) {
                true => Ok(()),
                false => Err(invalid("Expecting 'agent_id' to be present")),
            }
        }
        Type::Reconcile => needs(&call.reconcile, "reconcile"),
        Type::ReconcileOperations => needs(&call.reconcile_operations, "reconcile_operations"),
        Type::Message => needs(&call.message, "message"),
        Type::Request => needs(&call.request, "request"),
        Type::UpdateFramework => {
            needs(&call.update_framework, "update_framework")?;
            let info = call.update_framework.as_ref().map(|update| &update.framework_info);
            let named = info.and_then(|info| info.id.as_ref()).map(|id| &id.value);
            match named == call.framework_id.as_ref().map(|id| &id.value) {
                true => Ok(()),
                false => {
                    Err(invalid("'framework_id' differs from 'update_framework.framework_info.id'"))
                }
            }
        }
        Type::Unknown => Ok(()),
    }
}

fn uuid(bytes: Option<&[u8]>) -> Result<(), Refused> {
    match bytes.unwrap_or_default().len() {
        UUID => Ok(()),
        other => Err(invalid(format!("Not a valid UUID: it has {other} bytes, and needs {UUID}"))),
    }
}

/// A framework that says of itself no principal has the one that its scheduler proved to be; it may say no other.
pub(super) fn principal(call: &mut Call, proved: Option<&str>) -> Result<(), Refused> {
    let Some(subscribe) = &mut call.subscribe else { return Ok(()) };
    let info = &mut subscribe.framework_info;
    if info.principal.is_none() {
        info.principal = proved.map(str::to_owned);
    }
    same_principal(proved, info.principal.as_deref()).map_err(invalid)
}

/// Operations that a later release brings: better no answer of ours than half of them done.
pub(super) fn comes_later(call: &Call) -> Result<(), Refused> {
    if call.r#type() == Type::Unknown {
        return Err(Refused::plainly(501));
    }
    let operations = call.accept.iter().flat_map(|accept| &accept.operations);
    for operation in operations {
        let what = match operation.r#type() {
            OperationType::Launch | OperationType::Unknown => continue,
            OperationType::LaunchGroup => "LAUNCH_GROUP",
            OperationType::Reserve => "RESERVE",
            OperationType::Unreserve => "UNRESERVE",
            OperationType::Create => "CREATE",
            OperationType::Destroy => "DESTROY",
            OperationType::GrowVolume => "GROW_VOLUME",
            OperationType::ShrinkVolume => "SHRINK_VOLUME",
            OperationType::CreateDisk => "CREATE_DISK",
            OperationType::DestroyDisk => "DESTROY_DISK",
        };
        let words = format!(
            "501 Not Implemented. The operation {what} comes with a later release; nothing of this call was done."
        );
        return Err(Refused::new(501, words));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> Option<(u16, String)> {
        let message: Call = api::json::read(json.as_bytes()).expect("a call");
        let checked = call(&message).and_then(|()| comes_later(&message));
        checked.err().map(|refused| (refused.status, refused.words.into_owned()))
    }

    #[track_caller]
    fn is_refused(json: &str, status: u16, words: &str) {
        let words = match status {
            400 => format!("Failed to validate scheduler::Call: {words}"),
            _ => words.to_owned(),
        };
        assert_eq!(refusal(json), Some((status, words)), "{json}");
    }

    #[test]
    fn what_a_call_lacks_is_named() {
        is_refused("{}", 400, "Expecting 'type' to be present");
        is_refused(r#"{"type":"SUBSCRIBE"}"#, 400, "Expecting 'subscribe' to be present");
        is_refused(r#"{"type":"TEARDOWN"}"#, 400, "Expecting 'framework_id' to be present");
        for (name, payload) in [
            ("ACCEPT", "accept"),
            ("DECLINE", "decline"),
            ("ACCEPT_INVERSE_OFFERS", "accept_inverse_offers"),
            ("DECLINE_INVERSE_OFFERS", "decline_inverse_offers"),
            ("KILL", "kill"),
            ("SHUTDOWN", "shutdown"),
            ("ACKNOWLEDGE", "acknowledge"),
            ("ACKNOWLEDGE_OPERATION_STATUS", "acknowledge_operation_status"),
            ("RECONCILE", "reconcile"),
            ("RECONCILE_OPERATIONS", "reconcile_operations"),
            ("MESSAGE", "message"),
            ("REQUEST", "request"),
            ("UPDATE_FRAMEWORK", "update_framework"),
        ] {
            let json = format!(r#"{{"type":"{name}","framework_id":{{"value":"f"}}}}"#);
            is_refused(&json, 400, &format!("Expecting '{payload}' to be present"));
        }
        for name in ["TEARDOWN", "REVIVE", "SUPPRESS"] {
            let json = format!(r#"{{"type":"{name}","framework_id":{{"value":"f"}}}}"#);
            assert_eq!(refusal(&json), None, "{name}");
        }
        let unknown = r#"{"type":"UNKNOWN","framework_id":{"value":"f"}}"#;
        is_refused(unknown, 501, "501 Not Implemented.");
    }

    #[test]
    fn ids_that_differ_are_refused() {
        let subscribe = |id: &str, inner: &str| {
            let info = format!(r#"{{"user":"u","name":"n"{inner}}}"#);
            format!(r#"{{"type":"SUBSCRIBE"{id},"subscribe":{{"framework_info":{info}}}}}"#)
        };
        let (outer, inner) = (r#","framework_id":{"value":"f"}"#, r#","id":{"value":"f"}"#);
        let words = "'framework_id' differs from 'subscribe.framework_info.id'";
        is_refused(&subscribe(outer, ""), 400, words);
        is_refused(&subscribe("", inner), 400, words);
        is_refused(&subscribe(outer, r#","id":{"value":"g"}"#), 400, words);
        assert_eq!(refusal(&subscribe(outer, inner)), None);
        assert_eq!(refusal(&subscribe("", "")), None);
    }

    #[test]
    fn an_acknowledgement_needs_sixteen_bytes() {
        let acknowledge = |uuid: &str| {
            format!(
                r#"{{"type":"ACKNOWLEDGE","framework_id":{{"value":"f"}},"acknowledge":{{"agent_id":{{"value":"a"}},"task_id":{{"value":"t"}},"uuid":"{uuid}"}}}}"#
            )
        };
        assert_eq!(refusal(&acknowledge("AAECAwQFBgcICQoLDA0ODw==")), None);
        is_refused(&acknowledge("AAEC"), 400, "Not a valid UUID: it has 3 bytes, and needs 16");
    }

    #[test]
    fn operations_that_come_later_are_named() {
        let accept = r#"{"type":"ACCEPT","framework_id":{"value":"f"},"accept":{"operations":[{"type":"RESERVE","reserve":{}}]}}"#;
        let words = "501 Not Implemented. The operation RESERVE comes with a later release; nothing of this call was done.";
        is_refused(accept, 501, words);
    }
}
