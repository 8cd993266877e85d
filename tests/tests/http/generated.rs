//! Every call of every API, made up from the schema: whole, with each required field left out in turn, and with each field of a wrong
//! type; as JSON and as protobuf. What comes back is held against Mesos's table of answers.

use api::samples::{calls, fields, of_wrong_type};
use api::schema::{Field, Kind, Label, MessageType, schema};
use serde_json::{Map, Value, json};
use tests::cluster::eventually;
use tests::http;

use crate::executors::{EXECUTOR, FIRST};
use crate::stage::{OPERATOR, SCHEDULER, Stage};

/// One of the APIs.
struct Api {
    path: &'static str,
    /// The full name of its calls.
    call: &'static str,
    /// As its texts name it.
    says: &'static str,
    /// What a whole call is answered: by its type, code and how the text begins.
    answers: fn(&str) -> (u16, &'static str),
}

/// A master's.
const MASTERS: [Api; 2] = [
    Api {
        path: SCHEDULER,
        call: "mesos.v1.scheduler.Call",
        says: "scheduler::Call",
        answers: of_schedulers,
    },
    Api {
        path: OPERATOR,
        call: "mesos.v1.master.Call",
        says: "master::Call",
        answers: of_operators,
    },
];

/// An agent's.
const AGENTS: [Api; 2] = [
    Api {
        path: OPERATOR,
        call: "mesos.v1.agent.Call",
        says: "agent::Call",
        answers: of_operators_at_agents,
    },
    Api {
        path: EXECUTOR,
        call: "mesos.v1.executor.Call",
        says: "Executor::Call",
        answers: of_executors,
    },
];

/// Calls that are answered by a stream.
const ENDLESS: [&str; 1] = ["SUBSCRIBE"];

/// Calls whose payload may be left out.
const OPTIONAL: [&str; 4] = ["REVIVE", "SUPPRESS", "GET_CONTAINERS", "PRUNE_IMAGES"];

/// Of a framework that nobody knows.
fn of_schedulers(r#type: &str) -> (u16, &'static str) {
    match r#type {
        "SUBSCRIBE" => (200, ""),
        "UPDATE_FRAMEWORK" => (
            400,
            "Failed to validate scheduler::Call: 'framework_id' differs from 'update_framework.framework_info.id'",
        ),
        "ACKNOWLEDGE_OPERATION_STATUS" => {
            (400, "Failed to validate scheduler::Call: Expecting 'agent_id' to be present")
        }
        _ => (400, "Framework cannot be found"),
    }
}

/// Of a cluster without agents and frameworks.
fn of_operators(r#type: &str) -> (u16, &'static str) {
    match r#type {
        "RESERVE_RESOURCES"
        | "UNRESERVE_RESOURCES"
        | "CREATE_VOLUMES"
        | "DESTROY_VOLUMES"
        | "UPDATE_MAINTENANCE_SCHEDULE"
        | "START_MAINTENANCE"
        | "STOP_MAINTENANCE"
        | "DRAIN_AGENT"
        | "DEACTIVATE_AGENT"
        | "REACTIVATE_AGENT" => (501, "501 Not Implemented. "),
        "GROW_VOLUME" | "SHRINK_VOLUME" => (
            400,
            "Failed to validate master::Call: Expecting 'agent_id' to be present; only agent default resources are supported right now",
        ),
        "TEARDOWN" => (400, "No framework found with specified ID"),
        "MARK_AGENT_GONE" => (404, "Agent 'agentid' not found"),
        "SET_QUOTA" => {
            (400, "Failed to validate set quota request: QuotaRequest must specify a role")
        }
        "REMOVE_QUOTA" => (400, "Failed to remove quota: Role 'role' has no quota set"),
        "LIST_FILES" | "READ_FILE" => (404, ""),
        _ => (200, ""),
    }
}

/// Of an agent that runs nothing.
fn of_operators_at_agents(r#type: &str) -> (u16, &'static str) {
    match r#type {
        "WAIT_CONTAINER" | "KILL_CONTAINER" | "ATTACH_CONTAINER_OUTPUT" => {
            (404, "Container containerid cannot be found")
        }
        "WAIT_NESTED_CONTAINER" | "KILL_NESTED_CONTAINER" => {
            (404, "Container outer.containerid cannot be found")
        }
        "ATTACH_CONTAINER_INPUT" => (
            415,
            "Expecting 'Content-Type' to be application/recordio for ATTACH_CONTAINER_INPUT call",
        ),
        "LAUNCH_CONTAINER"
        | "LAUNCH_NESTED_CONTAINER"
        | "LAUNCH_NESTED_CONTAINER_SESSION"
        | "ADD_RESOURCE_PROVIDER_CONFIG"
        | "UPDATE_RESOURCE_PROVIDER_CONFIG"
        | "REMOVE_RESOURCE_PROVIDER_CONFIG"
        | "MARK_RESOURCE_PROVIDER_GONE"
        | "PRUNE_IMAGES" => (501, "501 Not Implemented. "),
        "LIST_FILES" | "READ_FILE" => (404, ""),
        _ => (200, ""),
    }
}

/// Of a framework that has nothing there.
fn of_executors(r#type: &str) -> (u16, &'static str) {
    match r#type {
        "HEARTBEAT" => (202, ""),
        _ => (400, "Framework cannot be found"),
    }
}

/// A message as protobuf; what is of another type than its field is written as what it is.
fn encoded(of: &MessageType, value: &Map<String, Value>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in value {
        let field = of.field(name).unwrap_or_else(|| panic!("{name} of {}", of.name()));
        put(field, value, &mut bytes);
    }
    bytes
}

fn varint(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
}

fn put(field: &Field, value: &Value, bytes: &mut Vec<u8>) {
    let tag = u64::from(field.number()) << 3;
    let mut whole = |inner: &[u8]| {
        varint(tag | 2, bytes);
        varint(inner.len() as u64, bytes);
        bytes.extend_from_slice(inner);
    };
    match (field.kind(), value) {
        (Kind::Bytes, Value::String(_)) => whole(&[7; 16]),
        (Kind::Enum(_), Value::String(name)) => {
            let number = field.enumeration().and_then(|all| all.number_of(name));
            varint(tag, bytes);
            varint(u64::from(number.unwrap().unsigned_abs()), bytes);
        }
        (Kind::Message(_), Value::Object(inner)) => {
            whole(&encoded(field.message().unwrap(), inner))
        }
        (Kind::Double, Value::Number(number)) => {
            varint(tag | 1, bytes);
            bytes.extend_from_slice(&number.as_f64().unwrap().to_le_bytes());
        }
        // A number would do for these: what has another shape on the wire is wrong.
        (Kind::Bool | Kind::Enum(_), Value::Number(_)) => whole(b"text"),
        (Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64, Value::Bool(_)) => whole(b"text"),
        (_, Value::String(text)) => whole(text.as_bytes()),
        (_, Value::Number(number)) => {
            varint(tag, bytes);
            varint(number.as_u64().unwrap(), bytes);
        }
        (_, Value::Bool(truth)) => {
            varint(tag, bytes);
            varint(u64::from(*truth), bytes);
        }
        (_, other) => panic!("{} is {other}", field.name()),
    }
}

/// All that can be made of a call by leaving out one required field or giving one field a wrong type, with whether it is the latter.
fn broken(of: &MessageType, value: &Map<String, Value>) -> Vec<(Map<String, Value>, bool)> {
    let mut all = Vec::new();
    for sample in fields(of.name()).unwrap() {
        let Some(inner) = value.get(sample.name) else { continue };
        if sample.label == Label::Required {
            let mut less = value.clone();
            less.remove(sample.name);
            all.push((less, false));
        }
        if sample.name != "type" {
            let mut wrong = value.clone();
            wrong.insert(sample.name.to_owned(), of_wrong_type(&sample));
            all.push((wrong, true));
        }
        let message = of.field(sample.name).and_then(Field::message);
        if let (Some(message), Value::Object(inner)) = (message, inner) {
            for (inner, is_wrong) in broken(message, inner) {
                let mut outer = value.clone();
                outer.insert(sample.name.to_owned(), Value::Object(inner));
                all.push((outer, is_wrong));
            }
        }
    }
    all
}

/// What a call is answered, in both encodings.
fn answers(at: &str, api: &Api, call: &Map<String, Value>) -> [(u16, String); 2] {
    let of = schema().message(api.call).unwrap();
    let json = Value::Object(call.clone()).to_string().into_bytes();
    [("json", json), ("x-protobuf", encoded(of, call))].map(|(media, body)| {
        let headers =
            [format!("Content-Type: application/{media}"), format!("Accept: application/{media}")];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let mut client = http::Client::connect(at).unwrap();
        client.request(&format!("POST {}", api.path), &headers, &body).unwrap();
        let head = client.stream().unwrap();
        // Streams have no end.
        if head.head.status == 200 && ENDLESS.contains(&call["type"].as_str().unwrap()) {
            return (200, String::new());
        }
        let answer = http::ask(at, &format!("POST {}", api.path), &headers, &body);
        (answer.status, answer.text())
    })
}

/// A whole call, with what the least leaves out that its schema demands: whose it is, in which container another is, and what news
/// needs.
fn whole(api: &Api, call: &Value) -> Map<String, Value> {
    let mut call = call.as_object().unwrap().clone();
    let names = schema().message(api.call).unwrap().field("framework_id").is_some();
    let r#type = call["type"].as_str().unwrap().to_owned();
    if names && r#type != "SUBSCRIBE" {
        call.insert("framework_id".into(), json!({ "value": "nobody" }));
    }
    let payload = call.get_mut(&r#type.to_lowercase());
    if r#type.contains("_NESTED_") {
        payload.unwrap()["container_id"]["parent"] = json!({ "value": "outer" });
    } else if r#type == "ATTACH_CONTAINER_INPUT" {
        let id = json!({ "type": "CONTAINER_ID", "container_id": { "value": "containerid" } });
        *payload.unwrap() = id;
    } else if api.path == EXECUTOR && r#type == "UPDATE" {
        let status = &mut payload.unwrap()["status"];
        status["state"] = json!("TASK_RUNNING");
        status["source"] = json!("SOURCE_EXECUTOR");
        status["uuid"] = json!(FIRST);
    }
    call
}

/// Each call of an API, whole, without its payload and broken; how many were broken.
fn all_are_answered(at: &str, api: &Api) -> usize {
    let of = schema().message(api.call).unwrap();
    let mut asked = 0;
    for (r#type, call) in calls(api.call) {
        let call = whole(api, &call);
        let (status, begins) = (api.answers)(r#type);
        let [as_json, as_protobuf] = answers(at, api, &call);
        for (got, text) in [&as_json, &as_protobuf] {
            assert!(*got == status && text.starts_with(begins), "{type}: {got} {text}");
        }
        if status == 200 && r#type.starts_with("GET_") {
            let answer: Value = serde_json::from_str(&as_json.1).unwrap();
            assert_eq!(answer["type"], r#type, "{answer}");
            assert!(as_protobuf.1.starts_with('\u{8}'), "{type}: {as_protobuf:?}");
        }
        let payload = r#type.to_lowercase();
        if call.contains_key(&payload) && !OPTIONAL.contains(&r#type) {
            let mut without = call.clone();
            without.remove(&payload);
            let words =
                format!("Failed to validate {}: Expecting '{payload}' to be present", api.says);
            for (got, text) in answers(at, api, &without) {
                assert_eq!((got, text.as_str()), (400, words.as_str()), "{type}");
            }
        }
        for (call, is_wrong) in broken(of, &call) {
            asked += 1;
            let [(as_json, text), (as_protobuf, words)] = answers(at, api, &call);
            let begins = match is_wrong {
                true => "Failed to convert JSON into Call protobuf: ",
                false => "Failed to convert JSON into Call protobuf: Missing required fields: ",
            };
            assert!(as_json == 400 && text.starts_with(begins), "{call:?}: {as_json} {text}");
            let expected = (400, "Failed to parse body into Call protobuf");
            assert_eq!((as_protobuf, words.as_str()), expected, "{call:?}");
        }
    }
    asked
}

#[test]
fn opapi_01_every_call_is_answered_as_mesos_answers_it_whole_and_broken() {
    let stage = Stage::of_master();
    let asked: usize = MASTERS.iter().map(|api| all_are_answered(&stage.at, api)).sum();
    assert!(asked > 150, "{asked}");
}

/// Of a framework that has subscribed and nothing else; with what its call names that is not there.
fn of_subscribed(r#type: &str) -> (u16, &'static str) {
    match r#type {
        "UPDATE_FRAMEWORK" => (
            400,
            "Failed to validate scheduler::Call: 'framework_id' differs from 'update_framework.framework_info.id'",
        ),
        "ACKNOWLEDGE_OPERATION_STATUS" => {
            (400, "Failed to validate scheduler::Call: Expecting 'agent_id' to be present")
        }
        _ => (202, ""),
    }
}

#[test]
fn every_call_of_a_framework_that_has_subscribed_is_answered_as_mesos_answers_it() {
    let stage = Stage::of_master();
    let of = schema().message("mesos.v1.scheduler.Call").unwrap();
    for (r#type, call) in calls("mesos.v1.scheduler.Call") {
        if r#type == "SUBSCRIBE" {
            continue;
        }
        for media in ["json", "x-protobuf"] {
            // Another one for each: some calls end it.
            let info = json!({ "user": "root", "name": "generated", "failover_timeout": 60.0 });
            let framework = stage.subscribes(&info).once_subscribed();
            let mut call = whole(&MASTERS[0], &call);
            call.insert("framework_id".into(), json!({ "value": framework.id }));
            let body = match media {
                "json" => Value::Object(call).to_string().into_bytes(),
                _ => encoded(of, &call),
            };
            let headers = [
                format!("Content-Type: application/{media}"),
                format!("Accept: application/{media}"),
                format!("Mesos-Stream-Id: {}", framework.stream_id),
            ];
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            let answer = http::ask(&stage.at, &format!("POST {SCHEDULER}"), &headers, &body);
            let wanted = of_subscribed(r#type);
            assert_eq!((answer.status, answer.text().as_str()), wanted, "{type} as {media}");
            let path = format!("/frameworks?framework_id={}", framework.id);
            let is_in = |list: &str| stage.get(&path).json()[list][0]["id"] == framework.id;
            if r#type == "TEARDOWN" {
                eventually("it is written that it has ended", || is_in("completed_frameworks"));
            } else {
                assert!(is_in("frameworks"), "{type} ended it");
            }
        }
    }
}

#[test]
fn aapi_01_every_call_of_an_agent_is_answered_as_mesos_answers_it_whole_and_broken() {
    let stage = Stage::of_one_agent();
    stage.has_agents(1);
    let asked: usize = AGENTS.iter().map(|api| all_are_answered(stage.agent_at(), api)).sum();
    assert!(asked > 150, "{asked}");
}
