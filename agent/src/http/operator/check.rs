//! What a call must have, in the words that Mesos has for each. Pure.

use api::v1;
use api::v1::agent::Call;
use api::v1::agent::call::{Type, attach_container_input};
use gateway::Refused;
use protocol::ids::check_id;

use super::containers::id;

/// Bytes of a container's id.
const CONTAINER_ID_MAX: usize = 242;

fn invalid(why: &str) -> Refused {
    Refused::new(400, format!("Failed to validate agent::Call: {why}"))
}

/// What is under this name, which must be there.
fn needs<'c, T>(payload: Option<&'c T>, name: &str) -> Result<&'c T, Refused> {
    payload.ok_or_else(|| invalid(&format!("Expecting '{name}' to be present")))
}

/// Whether the call has all that its type needs.
pub(super) fn call(call: &Call) -> Result<(), Refused> {
    // A number that nobody knows is as good as none.
    needs(call.r#type.as_ref().filter(|number| Type::try_from(**number).is_ok()), "type")?;
    match call.r#type() {
        Type::GetMetrics => needs(call.get_metrics.as_ref(), "get_metrics").map(drop),
        Type::SetLoggingLevel => {
            needs(call.set_logging_level.as_ref(), "set_logging_level").map(drop)
        }
        Type::ListFiles => needs(call.list_files.as_ref(), "list_files").map(drop),
        Type::ReadFile => needs(call.read_file.as_ref(), "read_file").map(drop),
        Type::LaunchNestedContainer | Type::LaunchNestedContainerSession => of_nested(call),
        Type::WaitNestedContainer | Type::KillNestedContainer => of_nested(call),
        Type::RemoveNestedContainer => of_nested(call),
        Type::AttachContainerInput => attach(call),
        Type::LaunchContainer => launch(call),
        Type::AttachContainerOutput | Type::WaitContainer => of_container(call),
        Type::KillContainer | Type::RemoveContainer => of_container(call),
        Type::AddResourceProviderConfig => {
            let name = "add_resource_provider_config";
            provider(&needs(call.add_resource_provider_config.as_ref(), name)?.info, name)
        }
        Type::UpdateResourceProviderConfig => {
            let name = "update_resource_provider_config";
            provider(&needs(call.update_resource_provider_config.as_ref(), name)?.info, name)
        }
        Type::RemoveResourceProviderConfig => {
            needs(call.remove_resource_provider_config.as_ref(), "remove_resource_provider_config")
                .map(drop)
        }
        Type::MarkResourceProviderGone => {
            needs(call.mark_resource_provider_gone.as_ref(), "mark_resource_provider_gone")
                .map(drop)
        }
        Type::Unknown | Type::GetHealth | Type::GetFlags | Type::GetVersion => Ok(()),
        Type::GetLoggingLevel | Type::GetState | Type::GetContainers => Ok(()),
        Type::GetFrameworks | Type::GetExecutors | Type::GetOperations => Ok(()),
        Type::GetTasks | Type::GetAgent | Type::GetResourceProviders => Ok(()),
        Type::PruneImages => Ok(()),
    }
}

/// Whether a call about a container within another names it well.
fn of_nested(call: &Call) -> Result<(), Refused> {
    of_container(call)?;
    let name = payload(call);
    let has_parent = id(call).is_some_and(|id| id.parent.is_some());
    let words = || format!("Expecting '{name}.container_id.parent' to be present");
    has_parent.then_some(()).ok_or_else(|| invalid(&words()))
}

/// The same of one that may be any.
fn of_container(call: &Call) -> Result<(), Refused> {
    let name = payload(call);
    container(needs(id(call), &name)?, &name)
}

/// What is called like the call.
fn payload(call: &Call) -> String {
    call.r#type().as_str_name().to_lowercase()
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

fn attach(call: &Call) -> Result<(), Refused> {
    use attach_container_input::Type as Record;
    let name = "attach_container_input";
    let attach = needs(call.attach_container_input.as_ref(), name)?;
    needs(attach.r#type.as_ref(), "attach_container_input.type")?;
    match attach.r#type() {
        Record::Unknown => Err(invalid("'attach_container_input.type' is unknown")),
        Record::ContainerId => {
            container(needs(id(call), "attach_container_input.container_id")?, name)
        }
        // It cannot be the first one, which is said once it is known to be in a stream.
        Record::ProcessIo => Ok(()),
    }
}

/// One that no other contains may use only what is nobody's own; within another it is its executor's.
#[expect(deprecated, reason = "the older form of reservations is read")]
fn launch(call: &Call) -> Result<(), Refused> {
    let name = "launch_container";
    let launch = needs(call.launch_container.as_ref(), name)?;
    container(&launch.container_id, name)?;
    if launch.container_id.parent.is_some() {
        return Ok(());
    }
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
    fn aapi_01_input_says_whose_it_is() {
        let attach = |rest: &str| {
            refusal(&format!(
                r#"{{"type":"ATTACH_CONTAINER_INPUT","attach_container_input":{{{rest}}}}}"#
            ))
        };
        assert_eq!(attach(r#""type":"CONTAINER_ID","container_id":{"value":"c"}"#), None);
        assert_eq!(attach(r#""type":"PROCESS_IO""#), None, "whether it comes first is seen later");
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
        let launch_in = |parent: &str, resource: &str| {
            refusal(&format!(
                r#"{{"type":"LAUNCH_CONTAINER","launch_container":{{"container_id":{{"value":"c"{parent}}},"resources":[{{"name":"cpus","type":"SCALAR","scalar":{{"value":1}}{resource}}}]}}}}"#
            ))
        };
        let launch = |resource: &str| launch_in("", resource);
        assert_eq!(launch(""), None);
        assert_eq!(launch(r#","role":"*""#), None);
        for bad in [r#","role":"eng""#, r#","revocable":{}"#, r#","disk":{}"#] {
            assert!(launch(bad).unwrap().starts_with("'launch_container.resources': 'cpus' "));
            assert_eq!(launch_in(r#","parent":{"value":"p"}"#, bad), None, "within another");
        }
    }
}
