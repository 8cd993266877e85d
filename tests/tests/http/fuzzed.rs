//! Each entrance is sent calls made up at random and then damaged, in both encodings, as if from a framework that runs: every one is
//! answered in words, and in the end nothing is left in the books.

use api::v1::{agent, executor, master, scheduler};
use api::{json, samples};
use prost::{Message, Name};
use serde_json::json;
use tests::cluster::eventually;
use tests::http::Client;

use crate::stage::{OPERATOR, SCHEDULER, Stage, task};

/// Calls to each entrance in each encoding.
const CALLS: u64 = 400;

/// What a call may be answered, be it what it may: nothing here is the server's fault.
const STATUSES: [u16; 12] = [200, 202, 400, 403, 404, 405, 406, 409, 413, 415, 501, 503];

/// Chance that is the same each time: splitmix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn words(&mut self) -> Vec<u64> {
        (0..self.below(400)).map(|_| self.next()).collect()
    }

    /// Bytes are lost, changed, doubled or put in; now and then nothing happens.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        const ODD: [&[u8]; 10] = [
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\0",
            b"null",
            b"-1",
            b"1e999",
            b"[[[[",
            b"\"\\ud800\"",
            b"{\"value\":",
            b"\x0b",
            b"18446744073709551616",
        ];
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(5) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 => {
                    let end = (at + self.below(40)).min(bytes.len());
                    let part = bytes[at..end].to_vec();
                    bytes.splice(at..at, part);
                }
                3 => {
                    let end = (at + self.below(8)).min(bytes.len());
                    bytes.drain(at..end);
                }
                _ => {
                    let odd = ODD[self.below(ODD.len())];
                    bytes.splice(at..at, odd.iter().copied());
                }
            }
        }
    }
}

/// Something that is called.
struct Door<'a> {
    at: &'a str,
    path: &'a str,
    /// Beside the media types.
    header: String,
}

impl Door<'_> {
    /// Sends calls of this type, each first put right by `known`: who it is from, and nothing that would end the test.
    fn stands<M: Message + Name + Default>(&self, seed: u64, mut known: impl FnMut(&mut M)) {
        let mut chance = Chance(seed);
        for number in 0..CALLS {
            let bytes = samples::random(&M::full_name(), &chance.words()).expect("in the schema");
            let mut call = M::decode(bytes.as_slice()).expect("made by the schema");
            known(&mut call);
            let bodies =
                [("json", json::write(&call).into_bytes()), ("x-protobuf", call.encode_to_vec())];
            for (media, mut body) in bodies {
                chance.damage(&mut body);
                self.answers(media, &body, &format!("{} {number} of seed {seed}", M::NAME));
            }
        }
    }

    fn answers(&self, media: &str, body: &[u8], which: &str) {
        let media =
            [format!("Content-Type: application/{media}"), format!("Accept: application/{media}")];
        let headers = [media[0].as_str(), &media[1], &self.header];
        is_answered(self.at, &format!("POST {}", self.path), &headers, body, which);
    }
}

/// Its status, which is no fault of the server's, and if it is one of the client's, with words.
fn is_answered(at: &str, line: &str, headers: &[&str], body: &[u8], which: &str) -> u16 {
    let mut client = Client::connect(at).unwrap();
    client.request(line, headers, body).unwrap();
    // Of a stream there is no end.
    let head = client.stream().unwrap_or_else(|why| panic!("{which} is not answered: {why}")).head;
    assert!(
        STATUSES.contains(&head.status),
        "{which}: {head:?} to {:?}",
        body.escape_ascii().to_string()
    );
    let says = head.header("content-length").is_none_or(|length| length != "0");
    assert!(head.status < 400 || says, "{which}: {} and no word why", head.status);
    head.status
}

#[test]
fn no_call_that_is_made_up_and_damaged_brings_a_daemon_down_or_leaves_something_in_its_books() {
    let stage = Stage::of_master().with_agent_of(&["--http_executor_domain_sockets"]);
    stage.has_agents(1);
    let info = json!({ "user": "root", "name": "fuzzed", "failover_timeout": 600.0 });
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    framework.launches(&offer, &[task("runs", &offer, "sleep 600")]);
    while framework.update()["state"] != "TASK_RUNNING" {}
    let header = format!("Mesos-Stream-Id: {}", framework.stream_id);
    let door = Door { at: &stage.at, path: SCHEDULER, header };
    let own = api::v1::FrameworkId { value: framework.id.clone() };
    door.stands::<scheduler::Call>(1, |call| {
        use scheduler::call::Type;
        call.framework_id = Some(own.clone());
        // They would end it, or take its stream.
        if [Type::Teardown, Type::Subscribe].contains(&call.r#type()) {
            call.set_type(Type::Revive);
        }
    });
    let door = Door { at: &stage.at, path: OPERATOR, header: "X-Nothing: 1".into() };
    door.stands::<master::Call>(2, |_| ());
    let door = Door { at: stage.agent_at(), path: "/api/v1", header: "X-Nothing: 1".into() };
    door.stands::<agent::Call>(5, |_| ());
    let socket = stage.home.path("a").join("agent.sock");
    for (at, seed) in [(stage.agent_at(), 3), (socket.to_str().unwrap(), 6)] {
        let header = "X-Nothing: 1".into();
        let door = Door { at, path: "/slave(1)/api/v1/executor", header };
        door.stands::<executor::Call>(seed, |call| {
            call.framework_id = own.clone();
            call.executor_id.value = "runs".into();
        });
    }
    takes_records(stage.agent_at());
    stage.has_agents(1);
    framework.says("TEARDOWN", json!({}));
    eventually("all is free again", || {
        let slave = stage.get("/slaves").json()["slaves"][0].clone();
        let is_free = |what: &str| slave[what]["cpus"] == 0.0 && slave[what]["mem"] == 0.0;
        is_free("used_resources") && is_free("offered_resources")
    });
    let mut next = stage.subscribes(&info).once_subscribed();
    let whole = next.offer();
    let cpus = whole["resources"].as_array().unwrap().iter().find(|one| one["name"] == "cpus");
    assert_eq!(cpus.map(|cpus| &cpus["scalar"]["value"]), Some(&json!(2.0)), "{whole}");
}

/// Calls to an agent that come as records, in whichever encoding.
fn takes_records(at: &str) {
    let mut chance = Chance(7);
    for number in 0..CALLS {
        let kind = ["ATTACH_CONTAINER_INPUT", "GET_HEALTH", "NOTHING"][chance.below(3)];
        let call = json!({ "type": kind, "attach_container_input": { "type": "CONTAINER_ID",
            "container_id": { "value": "c" } } });
        let mut body: Vec<u8> = (0..chance.below(3) + 1)
            .flat_map(|_| {
                let record = call.to_string();
                format!("{}\n{record}", record.len()).into_bytes()
            })
            .collect();
        chance.damage(&mut body);
        let inner = ["application/json", "application/x-protobuf", "text/plain"][chance.below(3)];
        let inner = format!("Message-Content-Type: {inner}");
        let headers = ["Content-Type: application/recordio", &inner, "Accept: application/json"];
        is_answered(at, "POST /api/v1", &headers, &body, &format!("records {number}"));
    }
}

#[test]
fn no_body_that_an_older_page_is_sent_brings_a_master_down_or_leaves_something_behind() {
    let stage = Stage::of_master();
    let quota = json!({ "role": "r", "force": true, "guarantee": [
        { "name": "cpus", "type": "SCALAR", "scalar": { "value": 1.0 } } ] })
    .to_string();
    let weights =
        json!([{ "role": "r", "weight": 2.0 }, { "role": "s", "weight": 0.5 }]).to_string();
    let pages = [
        ("PUT /weights", weights.as_str()),
        ("POST /quota", &quota),
        ("DELETE /quota/r", ""),
        ("POST /teardown", "frameworkId=nobody"),
    ];
    let mut chance = Chance(8);
    let mut taken = 0;
    for number in 0..4 * CALLS {
        let (line, body) = pages[chance.below(pages.len())];
        let mut body = body.as_bytes().to_vec();
        chance.damage(&mut body);
        let which = format!("{line} {number}");
        taken += u32::from(is_answered(&stage.at, line, &[], &body, &which) == 200);
    }
    assert!(taken > 0, "some are whole");
    // What was taken is whole as well.
    let roles = stage.get("/roles").json();
    for role in roles["roles"].as_array().unwrap() {
        assert!(role["weight"].as_f64().is_some_and(|weight| weight > 0.0), "{role}");
    }
    assert_eq!(stage.get("/quota").status, 200);
    assert_eq!(stage.get("/weights").status, 200);
}

/// Pages of masters and of agents.
const PAGES: [&str; 25] = [
    "/state",
    "/state-summary",
    "/slaves",
    "/frameworks",
    "/tasks",
    "/roles",
    "/quota",
    "/weights",
    "/teardown",
    "/health",
    "/version",
    "/flags",
    "/redirect",
    "/files/browse",
    "/files/read",
    "/files/download",
    "/files/debug",
    "/metrics/snapshot",
    "/logging/toggle",
    "/help",
    "/system/stats.json",
    "/registrar(1)/registry",
    "/monitor/statistics",
    "/containers",
    "/containerizer/debug",
];

/// What some of them are asked for.
const KEYS: [&str; 12] = [
    "jsonp",
    "limit",
    "offset",
    "order",
    "path",
    "length",
    "timeout",
    "level",
    "duration",
    "slave_id",
    "framework_id",
    "task_id",
];

#[test]
fn no_page_is_asked_for_in_a_way_that_brings_its_daemon_down() {
    let stage = Stage::of_one_agent();
    stage.has_agents(1);
    let mut chance = Chance(4);
    for number in 0..2 * CALLS {
        let at = [&stage.at, stage.agent_at()][chance.below(2)];
        let mut words = chance.words();
        words.truncate(4);
        let mut value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        chance.damage(&mut value);
        let value: String = value.iter().map(|byte| format!("%{byte:02x}")).collect();
        let value = match chance.below(3) {
            0 => value,
            1 => (chance.next().cast_signed() >> chance.below(64)).to_string(),
            _ => ["-1", "1e9secs", "%", "../..", "%00", "", "9999999999999999999999"]
                [chance.below(7)]
            .to_owned(),
        };
        let (page, key) = (PAGES[chance.below(PAGES.len())], KEYS[chance.below(KEYS.len())]);
        let method =
            ["GET", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW"][chance.below(8)];
        let line = format!("{method} {page}?{key}={value}");
        let mut client = Client::connect(at).unwrap();
        client.request(&line, &[], &[]).unwrap();
        let answer = client.stream().unwrap_or_else(|why| panic!("{number}, {line}: {why}")).head;
        assert!(
            answer.status < 500 || answer.status == 501 || answer.status == 503,
            "{line}: {answer:?}"
        );
    }
    for at in [&stage.at, stage.agent_at()] {
        assert_eq!(tests::http::ask(at, "GET /health", &[], &[]).status, 200);
    }
}
