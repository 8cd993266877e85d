//! Executors that speak the v1 API to a real agent. The story is the executor; what the agent starts for it only waits.

use api::v1::executor as v1;
use serde_json::{Value, json};
use tests::cluster::eventually;
use tests::http::{self, Answer, Client, Stream};

use crate::stage::{Framework, Stage, task};

pub(crate) const EXECUTOR: &str = "/api/v1/executor";

/// A task for an executor whose process does nothing.
pub(crate) fn task_of(id: &str, offer: &Value, executor: &str, command: &str) -> Value {
    let mut task = task(id, offer, "");
    task.as_object_mut().unwrap().remove("command");
    task["executor"] = json!({
        "type": "CUSTOM",
        "executor_id": { "value": executor },
        "command": { "value": command },
        "name": "waits",
        "data": "c2VjcmV0",
        "labels": { "labels": [{ "key": "k", "value": "v" }] },
        "resources": [{ "name": "cpus", "type": "SCALAR", "scalar": { "value": 0.1 } }],
    });
    task
}

pub(crate) const WAITS: &str = "exec sleep 1000";

/// An executor that has subscribed.
pub(crate) struct Executor {
    at: String,
    framework: String,
    pub(crate) events: Stream,
}

impl Executor {
    /// Subscribes with what it has: `{}` at the start.
    #[track_caller]
    pub(crate) fn subscribe(stage: &Stage, framework: &Framework, has: Value) -> Self {
        Self::subscribe_at(stage.agent_at(), framework, has)
    }

    /// The same at this address, or at the socket of this path.
    #[track_caller]
    pub(crate) fn subscribe_at(at: &str, framework: &Framework, has: Value) -> Self {
        let at = at.to_owned();
        let mut client = Client::connect(&at).unwrap();
        let call = call(&framework.id, "SUBSCRIBE", json!({ "subscribe": has })).to_string();
        let headers =
            ["Content-Type: application/json", "Accept: application/json", "Connection: close"];
        client.request(&format!("POST {EXECUTOR}"), &headers, call.as_bytes()).unwrap();
        let events = client.stream().unwrap();
        assert_eq!(events.head.status, 200, "{:?}", events.head);
        assert_eq!(events.head.header("transfer-encoding"), Some("chunked"));
        assert_eq!(events.head.header("content-type"), Some("application/json"));
        assert_eq!(events.head.header("mesos-stream-id"), None);
        Self { at, framework: framework.id.clone(), events }
    }

    #[track_caller]
    pub(crate) fn calls(&self, r#type: &str, payload: Value) -> Answer {
        http::call(&self.at, EXECUTOR, &[], &call(&self.framework, r#type, payload))
    }

    #[track_caller]
    pub(crate) fn says(&self, r#type: &str, payload: Value) {
        let answer = self.calls(r#type, payload);
        assert_eq!((answer.status, answer.text().as_str()), (202, ""), "{type}: {answer:?}");
        assert_eq!(answer.header("content-length"), Some("0"));
    }

    /// Says how a task is, and hears that this is known.
    #[track_caller]
    pub(crate) fn tells(&mut self, task: &str, state: &str, uuid: &str) {
        self.says("UPDATE", json!({ "update": { "status": status(task, state, uuid) } }));
        let event = self.events.event("ACKNOWLEDGED");
        assert_eq!(
            event["acknowledged"],
            json!({ "task_id": { "value": task }, "uuid": uuid }),
            "{event}"
        );
    }
}

pub(crate) fn call(framework: &str, r#type: &str, payload: Value) -> Value {
    let mut call = json!({
        "type": r#type, "framework_id": { "value": framework }, "executor_id": { "value": "e" },
    });
    let Value::Object(fields) = payload else { panic!("a payload is an object") };
    fields.into_iter().for_each(|(key, value)| call[key] = value);
    call
}

pub(crate) fn status(task: &str, state: &str, uuid: &str) -> Value {
    json!({
        "task_id": { "value": task }, "state": state, "source": "SOURCE_EXECUTOR", "uuid": uuid,
        "message": format!("it is {state}"), "labels": { "labels": [{ "key": "mine" }] },
    })
}

pub(crate) const FIRST: &str = "AAECAwQFBgcICQoLDA0ODw==";
pub(crate) const SECOND: &str = "/////////////////////w==";
const THIRD: &str = "AAECAwQFBgcAAAAAAAAAAA==";

/// A framework whose executor was launched with one task, and has not subscribed.
#[track_caller]
pub(crate) fn launched(stage: &Stage, name: &str) -> (Framework, Value) {
    let info = json!({
        "user": "root", "name": name, "failover_timeout": 600.0, "checkpoint": true,
        "capabilities": [{ "type": "TASK_KILLING_STATE" }],
    });
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    framework.launches(&offer, &[task_of("t", &offer, "e", WAITS)]);
    let find = call(
        &framework.id,
        "UPDATE",
        json!({ "update": { "status": status("t", "TASK_RUNNING", FIRST) } }),
    );
    eventually("the agent has the executor", || {
        let answer = http::call(stage.agent_at(), EXECUTOR, &[], &find);
        answer.text() == "Executor is not subscribed"
    });
    (framework, offer)
}

/// What is used of the agent, once it is nothing.
#[track_caller]
pub(crate) fn is_all_free(stage: &Stage) {
    eventually("nothing is used", || {
        let listed =
            stage.home.airside(&["agents", "--json", &format!("--master={}", stage.at)]).stdout;
        let agents: Value = serde_json::from_str(&listed).unwrap_or_default();
        agents[0]["used"].as_array().is_some_and(Vec::is_empty) || agents[0]["used"] == json!({})
    });
}

#[test]
fn exec_08_an_executor_is_told_who_it_is_and_runs_its_task_to_the_end() {
    let stage = Stage::of_one_agent();
    let (mut framework, offer) = launched(&stage, "runs");
    let mut executor = Executor::subscribe(&stage, &framework, json!({}));
    let event = executor.events.event("SUBSCRIBED");
    let told = &event["subscribed"];
    assert_eq!(told["executor_info"]["executor_id"], json!({ "value": "e" }), "{event}");
    assert_eq!(told["executor_info"]["framework_id"]["value"], framework.id.as_str());
    assert_eq!(told["executor_info"]["data"], "c2VjcmV0");
    assert_eq!(told["executor_info"]["labels"]["labels"][0], json!({ "key": "k", "value": "v" }));
    assert_eq!(told["executor_info"]["command"]["value"], WAITS);
    assert_eq!(told["framework_info"]["id"]["value"], framework.id.as_str());
    assert_eq!(told["framework_info"]["name"], "runs");
    assert_eq!(told["agent_info"]["id"], offer["agent_id"]);
    assert_eq!(told["agent_info"]["hostname"], offer["hostname"]);
    assert!(!told["container_id"]["value"].as_str().unwrap().is_empty());
    let event = executor.events.event("LAUNCH");
    let task = &event["launch"]["task"];
    assert_eq!((&task["task_id"]["value"], &task["agent_id"]), (&json!("t"), &offer["agent_id"]));
    assert_eq!(task["executor"]["data"], "c2VjcmV0", "it comes as it was launched: {event}");

    for (state, uuid) in
        [("TASK_STARTING", FIRST), ("TASK_RUNNING", SECOND), ("TASK_FINISHED", THIRD)]
    {
        executor.tells("t", state, uuid);
        // Once more: it is no news, and known.
        executor.tells("t", state, uuid);
        let heard = framework.update();
        assert_eq!((&heard["state"], &heard["uuid"]), (&json!(state), &json!(uuid)), "{heard}");
        assert_eq!(heard["executor_id"], json!({ "value": "e" }));
        assert_eq!(heard["agent_id"], offer["agent_id"]);
        assert_eq!(
            (&heard["source"], &heard["message"]),
            (&json!("SOURCE_EXECUTOR"), &json!(format!("it is {state}")))
        );
        assert_eq!(heard["labels"]["labels"][0]["key"], "mine");
        assert!(heard["timestamp"].as_f64().unwrap() > 1e9, "{heard}");
    }
    framework.says("TEARDOWN", json!({}));
    executor.events.event("SHUTDOWN");
    is_all_free(&stage);
}

#[test]
fn fwk_15_messages_go_both_ways_and_fwk_16_an_executor_is_shut_down() {
    let stage = Stage::of_one_agent();
    let (mut framework, offer) = launched(&stage, "talks");
    let mut executor = Executor::subscribe(&stage, &framework, json!({}));
    executor.events.event("LAUNCH");
    let (agent, id) = (&offer["agent_id"], json!({ "value": "e" }));
    let hello = json!({ "agent_id": agent, "executor_id": id, "data": "aGVsbG8=" });
    framework.says("MESSAGE", json!({ "message": hello }));
    assert_eq!(executor.events.event("MESSAGE")["message"], json!({ "data": "aGVsbG8=" }));
    executor.says("MESSAGE", json!({ "message": { "data": "d29ybGQ=" } }));
    let heard = framework.events.event("MESSAGE");
    assert_eq!(
        heard["message"],
        json!({ "agent_id": agent, "executor_id": id, "data": "d29ybGQ=" })
    );
    executor.says("HEARTBEAT", json!({}));
    executor.tells("t", "TASK_RUNNING", FIRST);
    framework.update();
    framework.says("SHUTDOWN", json!({ "shutdown": { "agent_id": agent, "executor_id": id } }));
    executor.events.event("SHUTDOWN");
    // Its process does not heed that, and is killed: with it ends the task.
    let heard = framework.update();
    assert_eq!(
        (&heard["state"], &heard["source"]),
        (&json!("TASK_KILLED"), &json!("SOURCE_AGENT"))
    );
    assert_eq!(heard["reason"], "REASON_EXECUTOR_TERMINATED");
    let failure = framework.events.event("FAILURE");
    assert_eq!(
        (&failure["failure"]["executor_id"], &failure["failure"]["status"]),
        (&id, &json!(9))
    );
    assert_eq!(executor.events.record().unwrap(), None, "there is no executor, and no stream");
    is_all_free(&stage);
}

#[test]
fn a_kill_comes_with_its_grace_and_the_executor_ends_the_task() {
    let stage = Stage::of_one_agent();
    let (mut framework, offer) = launched(&stage, "kills");
    let mut executor = Executor::subscribe(&stage, &framework, json!({}));
    executor.events.event("LAUNCH");
    executor.tells("t", "TASK_RUNNING", FIRST);
    framework.update();
    let policy = json!({ "grace_period": { "nanoseconds": 7_000_000_000_u64 } });
    let kill = json!({ "task_id": { "value": "t" }, "agent_id": offer["agent_id"], "kill_policy": policy });
    framework.says("KILL", json!({ "kill": kill }));
    let event = executor.events.event("KILL");
    assert_eq!(event["kill"], json!({ "task_id": { "value": "t" }, "kill_policy": policy }));
    executor.tells("t", "TASK_KILLING", SECOND);
    assert_eq!(framework.update()["state"], "TASK_KILLING");
    executor.tells("t", "TASK_KILLED", THIRD);
    assert_eq!(framework.update()["state"], "TASK_KILLED");
    // The executor stays, and takes another task: its own resources count once.
    let offer = framework.offer();
    framework.launches(&offer, &[task_of("u", &offer, "e", WAITS)]);
    assert_eq!(executor.events.event("LAUNCH")["launch"]["task"]["task_id"]["value"], "u");
    executor.tells("u", "TASK_FINISHED", FIRST);
    assert_eq!(framework.update()["state"], "TASK_FINISHED");
    framework.says("TEARDOWN", json!({}));
    is_all_free(&stage);
}

#[test]
fn a_second_subscription_closes_the_first_stream() {
    let stage = Stage::of_one_agent();
    let (mut framework, _) = launched(&stage, "twice");
    let mut first = Executor::subscribe(&stage, &framework, json!({}));
    let task = first.events.event("LAUNCH")["launch"]["task"].clone();
    let has = json!({ "unacknowledged_tasks": [task] });
    let mut second = Executor::subscribe(&stage, &framework, has);
    second.events.event("SUBSCRIBED");
    assert_eq!(first.events.record().unwrap(), None);
    second.tells("t", "TASK_FINISHED", FIRST);
    assert_eq!(framework.update()["state"], "TASK_FINISHED");
}

/// Nobody has it any more: it will not begin.
#[test]
fn a_task_that_an_executor_was_told_of_and_does_not_have_is_lost() {
    let stage = Stage::of_one_agent();
    let (mut framework, _) = launched(&stage, "forgets");
    let mut executor = Executor::subscribe(&stage, &framework, json!({}));
    executor.events.event("LAUNCH");
    let mut again = Executor::subscribe(&stage, &framework, json!({}));
    again.events.event("SUBSCRIBED");
    let heard = framework.update();
    assert_eq!(
        (&heard["state"], &heard["reason"]),
        (&json!("TASK_LOST"), &json!("REASON_AGENT_RESTARTED"))
    );
    assert_eq!(heard["source"], "SOURCE_AGENT");
}

#[test]
fn exec_07_after_its_agents_restart_an_executor_says_what_was_not_acknowledged() {
    let mut stage = Stage::of_one_agent();
    let (mut framework, offer) = launched(&stage, "outlives");
    framework.says("SUPPRESS", json!({}));
    let mut executor = Executor::subscribe(&stage, &framework, json!({}));
    let task = executor.events.event("LAUNCH")["launch"]["task"].clone();
    executor.tells("t", "TASK_RUNNING", FIRST);
    assert_eq!(framework.update()["state"], "TASK_RUNNING");
    stage.kills_agent();
    assert_eq!(executor.events.record().ok().flatten(), None);
    stage.agent_is_back();
    let updates = json!([
        // The agent knows it, and says it no more.
        { "status": status("t", "TASK_RUNNING", FIRST) },
        { "status": status("t", "TASK_FINISHED", SECOND) },
    ]);
    let has = json!({ "unacknowledged_tasks": [task], "unacknowledged_updates": updates });
    let mut executor = Executor::subscribe(&stage, &framework, has);
    let told = executor.events.event("SUBSCRIBED");
    assert_eq!(told["subscribed"]["agent_info"]["id"], offer["agent_id"], "it is the same agent");
    for uuid in [FIRST, SECOND] {
        assert_eq!(executor.events.event("ACKNOWLEDGED")["acknowledged"]["uuid"], uuid);
    }
    let heard = loop {
        let heard = framework.update();
        // The acknowledgement of the first may have died with the agent: then it is told once more.
        if heard["uuid"] != FIRST {
            break heard;
        }
    };
    assert_eq!(
        (&heard["state"], &heard["uuid"]),
        (&json!("TASK_FINISHED"), &json!(SECOND)),
        "{heard}"
    );
    framework.says("TEARDOWN", json!({}));
    is_all_free(&stage);
}

#[test]
fn an_executor_may_speak_protobuf() {
    let stage = Stage::of_one_agent();
    let (mut framework, _) = launched(&stage, "bytes");
    let id = |value: &str| value.to_owned();
    let call = |r#type: v1::call::Type| v1::Call {
        framework_id: api::v1::FrameworkId { value: framework.id.clone() },
        executor_id: api::v1::ExecutorId { value: id("e") },
        r#type: Some(r#type.into()),
        ..Default::default()
    };
    let subscribe =
        v1::Call { subscribe: Some(Default::default()), ..call(v1::call::Type::Subscribe) };
    let protobuf = ["Content-Type: application/x-protobuf", "Accept: application/x-protobuf"];
    let mut client = Client::connect(stage.agent_at()).unwrap();
    let post = "POST /slave(1)/api/v1/executor";
    client.request(post, &protobuf, &api::wire::write(&subscribe)).unwrap();
    let mut events = client.stream().unwrap();
    assert_eq!(events.head.header("content-type"), Some("application/x-protobuf"));
    let mut next = |wanted: v1::event::Type| loop {
        let record = events.record().unwrap().expect("the stream goes on");
        let event: v1::Event = api::wire::read(&record).unwrap();
        if event.r#type() == wanted {
            return event;
        }
    };
    next(v1::event::Type::Subscribed);
    let task = next(v1::event::Type::Launch).launch.unwrap().task;
    let status = api::v1::TaskStatus {
        task_id: task.task_id,
        state: api::v1::TaskState::TaskFinished.into(),
        source: Some(api::v1::task_status::Source::Executor.into()),
        uuid: Some(vec![7; 16]),
        ..Default::default()
    };
    let update =
        v1::Call { update: Some(v1::call::Update { status }), ..call(v1::call::Type::Update) };
    let answer = http::ask(stage.agent_at(), post, &protobuf[..1], &api::wire::write(&update));
    assert_eq!((answer.status, answer.body.len()), (202, 0), "{answer:?}");
    assert_eq!(next(v1::event::Type::Acknowledged).acknowledged.unwrap().uuid, vec![7; 16]);
    assert_eq!(framework.update()["state"], "TASK_FINISHED");
}

#[test]
fn agent_11_tasks_wait_until_their_executor_subscribes() {
    let stage = Stage::of_one_agent();
    let (mut framework, _) = launched(&stage, "late");
    let offer = framework.offer();
    framework.launches(&offer, &[task_of("u", &offer, "e", WAITS)]);
    let mut executor = Executor::subscribe(&stage, &framework, json!({}));
    executor.events.event("SUBSCRIBED");
    for task in ["t", "u"] {
        let event = executor.events.event("LAUNCH");
        assert_eq!(event["launch"]["task"]["task_id"]["value"], task);
    }
}

#[test]
fn op_18_tasks_share_an_executor_and_another_one_of_its_id_is_refused() {
    let stage = Stage::of_one_agent();
    let (mut framework, _) = launched(&stage, "shares");
    let offer = framework.offer();
    let differs = task_of("u", &offer, "e", "exec sleep 2000");
    framework.launches(&offer, &[differs, task_of("v", &offer, "e", WAITS)]);
    let status = framework.update();
    assert_eq!(
        (&status["task_id"]["value"], &status["state"], &status["reason"]),
        (&json!("u"), &json!("TASK_ERROR"), &json!("REASON_TASK_INVALID")),
        "{status}"
    );
    let mut executor = Executor::subscribe(&stage, &framework, json!({}));
    for task in ["t", "v"] {
        let event = executor.events.event("LAUNCH");
        assert_eq!(event["launch"]["task"]["task_id"]["value"], task);
    }
    executor.tells("t", "TASK_FINISHED", FIRST);
    executor.tells("v", "TASK_FINISHED", SECOND);
    let mut ended = [framework.update(), framework.update()].map(|status| {
        assert_eq!(status["state"], "TASK_FINISHED", "{status}");
        status["task_id"]["value"].to_string()
    });
    ended.sort();
    assert_eq!(ended, ["\"t\"", "\"v\""]);
}
