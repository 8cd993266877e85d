//! What a call must have, in the words that Mesos has for each. Pure.

use api::v1;
use api::v1::agent::Call;
use api::v1::agent::call::{Type, attach_container_input};
use gateway::Refused;
use protocol::ids::check_id;

/// Bytes of a container's id.
const CONTAINER_ID_MAX: usize = 242;

fn invalid(why: &str) -> Refused {
    Refused::new(400, format!("Failed to validate agent::Call: {why}"))
}

/// What is under this name, which must be there.
fn needs<'c, T>(payload: &'c Option<T>, name: &str) -> Result<&'c T, Refused> {
    payload.as_ref().ok_or_else(|| invalid(&format!("Expecting '{name}' to be present")))
}

/// Whether the call has all that its type needs.
pub(super) fn call(call: &Call) -> Result<(), Refused> {
    // A number that nobody knows is as good as none.
    needs(&call.r#type.filter(|number| Type::try_from(*number).is_ok()), "type")?;
    match call.r#type() {
        Type::GetMetrics => needs(&call.get_metrics, "get_metrics").map(drop),
        Type::SetLoggingLevel => needs(&call.set_logging_level, "set_logging_level").map(drop),
        Type::ListFiles => needs(&call.list_files, "list_files").map(drop),
        Type::ReadFile => needs(&call.read_file, "read_file").map(drop),
        Type::LaunchNestedContainer | Type::LaunchNestedContainerSession => of_nested(call),
        Type::WaitNestedContainer | Type::KillNestedContainer => of_nested(call),
        Type::RemoveNestedContainer => of_nested(call),
        Type::AttachContainerInput => attach(call),
        Type::LaunchContainer => launch(call),
        Type::AttachContainerOutput | Type::WaitContainer => of_container(call),
        Type::KillContainer | Type::RemoveContainer => of_container(call),
        Type::AddResourceProviderConfig => {
            let name = "add_resource_provider_config";
            provider(&needs(&call.add_resource_provider_config, name)?.info, name)
        }
        Type::UpdateResourceProviderConfig => {
            let name = "update_resource_provider_config";
            provider(&needs(&call.update_resource_provider_config, name)?.info, name)
        }
        Type::RemoveResourceProviderConfig => {
            needs(&call.remove_resource_provider_config, "remove_resource_provider_config")
                .map(drop)
        }
        Type::MarkResourceProviderGone => {
            needs(&call.mark_resource_provider_gone, "mark_resource_provider_gone").map(drop)
        }
        Type::Unknown | Type::GetHealth | Type::GetFlags | Type::GetVersion => Ok(()),
        Type::GetLoggingLevel | Type::GetState | Type::GetContainers => Ok(()),
        Type::GetFrameworks | Type::GetExecutors | Type::GetOperations => Ok(()),
        Type::GetTasks | Type::GetAgent | Type::GetResourceProviders => Ok(()),
        Type::PruneImages => Ok(()),
    }
}

/// Whether a call about a container within another names it well.
#[expect(deprecated, reason = "the older calls are taken")]
fn of_nested(call: &Call) -> Result<(), Refused> {
    let launch = call.launch_nested_container.as_ref().map(|of| &of.container_id);
    let session = call.launch_nested_container_session.as_ref().map(|of| &of.container_id);
    let wait = call.wait_nested_container.as_ref().map(|of| &of.container_id);
    let kill = call.kill_nested_container.as_ref().map(|of| &of.container_id);
    let remove = call.remove_nested_container.as_ref().map(|of| &of.container_id);
    let all = [
        (Type::LaunchNestedContainer, "launch_nested_container", launch),
        (Type::LaunchNestedContainerSession, "launch_nested_container_session", session),
        (Type::WaitNestedContainer, "wait_nested_container", wait),
        (Type::KillNestedContainer, "kill_nested_container", kill),
        (Type::RemoveNestedContainer, "remove_nested_container", remove),
    ];
    let mut meant = all.iter().filter(|(one, ..)| *one == call.r#type());
    meant.try_for_each(|(_, name, id)| nested(needs(id, name)?, name))
}

/// The same of one that may be any.
fn of_container(call: &Call) -> Result<(), Refused> {
    let output = call.attach_container_output.as_ref().map(|of| &of.container_id);
    let wait = call.wait_container.as_ref().map(|of| &of.container_id);
    let kill = call.kill_container.as_ref().map(|of| &of.container_id);
    let remove = call.remove_container.as_ref().map(|of| &of.container_id);
    let all = [
        (Type::AttachContainerOutput, "attach_container_output", output),
        (Type::WaitContainer, "wait_container", wait),
        (Type::KillContainer, "kill_container", kill),
        (Type::RemoveContainer, "remove_container", remove),
    ];
    let mut meant = all.iter().filter(|(one, ..)| *one == call.r#type());
    meant.try_for_each(|(_, name, id)| container(needs(id, name)?, name))
}

/// A container's id, by the rules of all ids and more.
fn container(id: &v1::ContainerId, of: &str) -> Result<(), Refused> {
    names(id).map_err(|why| invalid(&format!("'{of}.container_id' is invalid: {why}")))
}

fn names(id: &v1::ContainerId) -> Result<(), String> {
    let text = &id.value;
    check_id(text).map_err(|bad| bad.to_string())?;
    if text.len() > CONTAINER_ID_MAX {
        return Err(format!("id of {} bytes is longer than {CONTAINER_ID_MAX}", text.len()));
    }
    // The id of a nested one is written with periods between those that it is in.
    if text.contains(['.', ' ']) {
        return Err(format!("'ContainerID.value' '{text}' contains invalid characters"));
    }
    let parent = id.parent.as_ref();
    let parent = parent.map_or(Ok(()), |parent| names(parent));
    parent.map_err(|why| format!("'ContainerID.parent' is invalid: {why}"))
}

fn nested(id: &v1::ContainerId, of: &str) -> Result<(), Refused> {
    container(id, of)?;
    let words = || format!("Expecting '{of}.container_id.parent' to be present");
    id.parent.as_ref().map(drop).ok_or_else(|| invalid(&words()))
}

fn attach(call: &Call) -> Result<(), Refused> {
    use attach_container_input::Type as Record;
    let name = "attach_container_input";
    let attach = needs(&call.attach_container_input, name)?;
    needs(&attach.r#type, "attach_container_input.type")?;
    match attach.r#type() {
        Record::Unknown => Err(invalid("'attach_container_input.type' is unknown")),
        Record::ContainerId => {
            let id = needs(&attach.container_id, "attach_container_input.container_id")?;
            container(id, name)
        }
        Record::ProcessIo => {
            needs(&attach.process_io, "attach_container_input.process_io").map(drop)
        }
    }
}

/// One that no other contains may use only what is nobody's own.
#[expect(deprecated, reason = "the older form of reservations is read")]
fn launch(call: &Call) -> Result<(), Refused> {
    let name = "launch_container";
    let launch = needs(&call.launch_container, name)?;
    container(&launch.container_id, name)?;
    for one in &launch.resources {
        let reserved =
            !one.reservations.is_empty() || one.role.as_deref().is_some_and(|role| role != "*");
        let why = if reserved {
            "is reserved"
        } else if one.revocable.is_some() {
            "may be taken back"
        } else if one.disk.is_some() {
            "is a disk or a volume"
        } else {
            continue;
        };
        let words =
            format!("'{name}.resources': '{}' {why}, which no such container can have", one.name);
        return Err(invalid(&words));
    }
    Ok(())
}

fn provider(info: &v1::ResourceProviderInfo, of: &str) -> Result<(), Refused> {
    match info.id {
        Some(_) => Err(invalid(&format!("Expecting '{of}.info.id' to be unset"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> Option<String> {
        let message: Call = api::json::read(json.as_bytes()).expect("a call");
        call(&message).err().map(|refused| {
            assert_eq!(refused.status, 400);
            refused.words.strip_prefix("Failed to validate agent::Call: ").unwrap().to_owned()
        })
    }

    #[test]
    fn aapi_01_a_containers_id_is_looked_at_with_those_that_it_is_in() {
        let wait = |id: &str| {
            refusal(&format!(
                r#"{{"type":"WAIT_CONTAINER","wait_container":{{"container_id":{id}}}}}"#
            ))
        };
        assert_eq!(wait(r#"{"value":"c"}"#), None);
        assert_eq!(wait(r#"{"value":"c","parent":{"value":"p"}}"#), None);
        for (id, part) in [
            (r#"{"value":""}"#.to_owned(), "must not be empty"),
            (r#"{"value":"a/b"}"#.to_owned(), "slash"),
            (r#"{"value":"a.b"}"#.to_owned(), "'a.b' contains invalid characters"),
            (r#"{"value":"a b"}"#.to_owned(), "'a b' contains invalid characters"),
            (format!(r#"{{"value":"{}"}}"#, "x".repeat(243)), "longer than 242"),
            (
                r#"{"value":"c","parent":{"value":"a.b"}}"#.to_owned(),
                "'ContainerID.parent' is invalid: 'ContainerID.value' 'a.b'",
            ),
        ] {
            let words = wait(&id).unwrap_or_else(|| panic!("{id} is taken"));
            assert!(words.starts_with("'wait_container.container_id' is invalid: "), "{words}");
            assert!(words.contains(part), "{words}");
        }
    }

    #[test]
    fn aapi_01_a_nested_container_is_in_another() {
        let json = r#"{"type":"KILL_NESTED_CONTAINER","kill_nested_container":{"container_id":{"value":"c"}}}"#;
        let words = "Expecting 'kill_nested_container.container_id.parent' to be present";
        assert_eq!(refusal(json).as_deref(), Some(words));
    }

    #[test]
    fn aapi_01_input_says_first_whose_it_is() {
        let attach = |rest: &str| {
            refusal(&format!(
                r#"{{"type":"ATTACH_CONTAINER_INPUT","attach_container_input":{{{rest}}}}}"#
            ))
        };
        assert_eq!(attach(r#""type":"CONTAINER_ID","container_id":{"value":"c"}"#), None);
        assert_eq!(attach(r#""type":"PROCESS_IO","process_io":{}"#), None);
        for (rest, words) in [
            ("", "Expecting 'attach_container_input.type' to be present"),
            (r#""type":"UNKNOWN""#, "'attach_container_input.type' is unknown"),
            (
                r#""type":"CONTAINER_ID""#,
                "Expecting 'attach_container_input.container_id' to be present",
            ),
        ] {
            assert_eq!(attach(rest).as_deref(), Some(words));
        }
    }

    #[test]
    fn a_container_of_its_own_has_what_is_reserved_for_nobody() {
        let launch = |resource: &str| {
            refusal(&format!(
                r#"{{"type":"LAUNCH_CONTAINER","launch_container":{{"container_id":{{"value":"c"}},"resources":[{{"name":"cpus","type":"SCALAR","scalar":{{"value":1}}{resource}}}]}}}}"#
            ))
        };
        assert_eq!(launch(""), None);
        assert_eq!(launch(r#","role":"*""#), None);
        for bad in [r#","role":"eng""#, r#","revocable":{}"#, r#","disk":{}"#] {
            assert!(launch(bad).unwrap().starts_with("'launch_container.resources': 'cpus' "));
        }
    }
}
