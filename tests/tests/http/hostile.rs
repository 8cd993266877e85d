//! Clients that mean harm, or do not know better: they are answered or cut off, and the others are served.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tests::cluster::{DEADLINE, eventually};
use tests::http::{self, Client};

use crate::stage::{OPERATOR, SCHEDULER, Stage, task};

const JSON: &str = "Content-Type: application/json";

/// Where calls come in, and one that says nothing of weight with words of its answer.
struct Door {
    at: String,
    path: &'static str,
    call: String,
    answer: &'static str,
}

impl Door {
    /// One of a master, and one of an agent.
    fn both(stage: &Stage) -> [Self; 2] {
        let revive = json!({ "type": "REVIVE", "framework_id": { "value": "nobody" } });
        let ask = json!({ "type": "GET_HEALTH" });
        [
            (&*stage.at, SCHEDULER, revive, "Framework cannot be found"),
            (
                stage.agent_at(),
                OPERATOR,
                ask,
                r#"{"type":"GET_HEALTH","get_health":{"healthy":true}}"#,
            ),
        ]
        .map(|(at, path, call, answer)| Self {
            at: at.to_owned(),
            path,
            call: call.to_string(),
            answer,
        })
    }

    fn post(&self) -> String {
        format!("POST {}", self.path)
    }

    #[track_caller]
    fn is_served(&self) {
        let answer = http::ask(&self.at, &self.post(), &[JSON], self.call.as_bytes());
        assert_eq!(answer.text(), self.answer);
    }
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn a_body_that_is_too_long_is_refused_and_so_is_a_small_one_that_becomes_so() {
    let stage = Stage::of_one_agent();
    for door in Door::both(&stage) {
        let post = door.post();
        let mut client = Client::connect(&door.at).unwrap();
        let head =
            format!("{post} HTTP/1.1\r\nHost: x\r\n{JSON}\r\nContent-Length: 1073741824\r\n\r\n");
        client.send(head.as_bytes()).unwrap();
        let part = vec![b' '; 1 << 20];
        // It stops listening some time before the end.
        for _ in 0..1024 {
            if client.send(&part).is_err() {
                break;
            }
        }
        let answer = client.answer();
        assert!(answer.as_ref().map_or(true, |answer| answer.status == 413), "{answer:?}");
        let bomb = zipped(&vec![b' '; 64 << 20]);
        assert!(bomb.len() < 1 << 20);
        let zip = [JSON, "Content-Encoding: gzip"];
        let answer = http::ask(&door.at, &post, &zip, &bomb);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (413, "the body is longer than 16777216 bytes")
        );
        let answer = http::ask(&door.at, &post, &zip, b"no gzip");
        assert_eq!(answer.status, 400);
        assert!(answer.text().starts_with("the body is no gzip: "), "{answer:?}");
        let answer = http::ask(&door.at, &post, &zip, &zipped(door.call.as_bytes()));
        assert_eq!(answer.text(), door.answer);
    }
}

#[test]
fn json_that_is_deep_or_not_text_or_wrong_a_million_times_is_refused_in_few_words() {
    let stage = Stage::of_one_agent();
    for door in Door::both(&stage) {
        let refused = |body: &[u8]| {
            let answer = http::ask(&door.at, &door.post(), &[JSON], body);
            assert_eq!(answer.status, 400, "{answer:?}");
            assert!(answer.body.len() < 4096, "{} bytes", answer.body.len());
            answer.text()
        };
        let deep = "[".repeat(10_000);
        assert!(refused(deep.as_bytes()).starts_with("Failed to parse body into JSON: "));
        assert!(refused(b"{\"type\":\"\xff\"}").starts_with("Failed to parse body into JSON: "));
        let many = format!(r#"{{"x":[{}],"type":7}}"#, vec!["[0]"; 1 << 20].join(","));
        let words = refused(many.as_bytes());
        assert!(words.contains("is not looked at closely"), "{words}");
        door.is_served();
    }
    let tasks = vec!["{}"; 5000].join(",");
    let launch = format!(r#"{{"type":"LAUNCH","launch":{{"task_infos":[{tasks}]}}}}"#);
    let accept = format!(
        r#"{{"type":"ACCEPT","framework_id":{{"value":"f"}},"accept":{{"operations":[{launch}]}}}}"#
    );
    let begins = "Failed to convert JSON into Call protobuf: Missing required fields: ";
    let answer =
        http::ask(&stage.at, &format!("POST {SCHEDULER}"), &[JSON], accept.as_bytes()).text();
    assert!(answer.starts_with(begins) && answer.len() < 4096, "{answer}");
}

/// What follows a subscription on its connection is nobody's business; it is not kept, and costs nothing.
#[test]
fn a_thousand_requests_behind_a_subscription_are_thrown_away() {
    let stage = Stage::of_master();
    let mut framework =
        stage.subscribes(&json!({ "user": "root", "name": "chatty" })).once_subscribed();
    let more = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10_000);
    framework.events.send(more.as_bytes()).unwrap();
    framework.says("REVIVE", json!({}));
    let id = framework.id.clone();
    drop(framework);
    // It has no time to come back.
    eventually("its scheduler is known to be lost, and it is removed", || {
        let revive = json!({ "type": "REVIVE", "framework_id": { "value": id } });
        stage.call(&["Mesos-Stream-Id: x"], &revive).text() == "Framework cannot be found"
    });
}

#[test]
fn a_page_of_the_web_may_not_speak_for_a_framework() {
    let stage = Stage::of_master();
    let info = json!({ "user": "root", "name": "page" });
    let subscribe = json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info } });
    let answer = stage.call(&["Origin: http://elsewhere.example"], &subscribe);
    assert_eq!(answer.status, 403, "{answer:?}");
}

/// Sends this as it is; what comes back until the other side closes, or nothing if that only cut the connection.
fn answered(at: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut answer = Vec::new();
    let sent = stream.write_all(bytes).and_then(|()| stream.read_to_end(&mut answer).map(drop));
    if let Err(error) = sent {
        let was_cut = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind());
        assert!(was_cut, "{error}");
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_flood_of_headers_and_headers_that_contradict_each_other_are_refused() {
    let stage = Stage::of_one_agent();
    for door in Door::both(&stage) {
        let (call, length) = (&door.call, door.call.len());
        let of_headers = |headers: &str| {
            let head = "Host: x\r\nConnection: close\r\n";
            format!("{} HTTP/1.1\r\n{head}{headers}\r\n{call}", door.post())
        };
        let whole = format!("{JSON}\r\nContent-Length: {length}\r\n");
        let answer = answered(&door.at, of_headers(&whole).as_bytes());
        assert!(answer.ends_with(door.answer), "{answer}");
        let many: String = (0..10_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
        let long = format!("X-Long: {}\r\n", "x".repeat(4 << 20));
        let another_length = format!("Content-Length: {}\r\n", length + 1);
        let chunks = "Transfer-Encoding: chunked\r\n";
        for more in [&many, &long, &another_length, chunks] {
            let answer = answered(&door.at, of_headers(&format!("{whole}{more}")).as_bytes());
            let is_refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
            let is_served = answer.contains(door.answer);
            assert!(is_refused && !is_served, "{answer}");
        }
        // Of what is said twice, the first counts.
        let other = "Content-Type: text/plain\r\n";
        let answer = answered(&door.at, of_headers(&format!("{whole}{other}")).as_bytes());
        assert!(answer.ends_with(door.answer), "{answer}");
        let answer = answered(&door.at, of_headers(&format!("{other}{whole}")).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
        door.is_served();
    }
}

#[test]
fn ten_thousand_requests_at_once_are_answered_in_their_order() {
    const REQUESTS: usize = 10_000;
    let stage = Stage::of_one_agent();
    for door in Door::both(&stage) {
        let stream = TcpStream::connect(&door.at).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let mut client = Client::over(stream).unwrap();
        let writes = thread::spawn(move || {
            let get = |n: usize| ["/health", "/nothing"][n % 2];
            let all: String = (0..REQUESTS)
                .map(|n| format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", get(n)))
                .collect();
            writer.write_all(all.as_bytes()).unwrap();
        });
        for n in 0..REQUESTS {
            let answer = client.answer().unwrap();
            assert_eq!(answer.status, [200, 404][n % 2], "{n}");
        }
        writes.join().unwrap();
    }
}

/// A server that takes apart all that has come, and answers into its memory, takes 400 MB of these.
#[test]
fn requests_by_the_thousand_whose_answers_nobody_reads_take_little_memory_and_hold_up_nobody() {
    const MEGABYTES: u64 = 100;
    let stage = Stage::of_master();
    let before = stage.masters_memory();
    let all = "GET /state HTTP/1.1\r\nHost: x\r\n\r\n".repeat(4_000);
    let mut silent: Vec<Client> = (0..20)
        .map(|_| {
            let mut client = Client::connect(&stage.at).unwrap();
            client.send(all.as_bytes()).unwrap();
            client
        })
        .collect();
    // Once the first is answered, others of the same connection have been looked at.
    silent.iter_mut().for_each(|client| assert_eq!(client.answer().unwrap().status, 200));
    assert_eq!(stage.get("/health").status, 200);
    let taken = stage.masters_memory() - before;
    assert!(taken < MEGABYTES, "{taken} MB for {} connections", silent.len());
}

/// They are cut off when their time is over; nobody waits for them meanwhile.
#[test]
fn clients_that_send_their_requests_drop_by_drop_hold_up_nobody_and_are_cut_off() {
    let stage = Stage::of_one_agent();
    let doors = Door::both(&stage);
    let mut slow: Vec<TcpStream> = (0..200)
        .map(|n| {
            let door = &doors[n % 2];
            let mut stream = TcpStream::connect(&door.at).unwrap();
            let head = format!("{} HTTP/1.1\r\nHost: x\r\nX-{n}: ", door.post());
            stream.write_all(head.as_bytes()).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream
        })
        .collect();
    doors.iter().for_each(Door::is_served);
    for stream in &mut slow {
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_eq!(
                error.kind(),
                ErrorKind::ConnectionReset,
                "it is cut off before {DEADLINE:?}"
            );
        }
    }
    doors.iter().for_each(Door::is_served);
}

/// A process of Mesos 1.11 dies of it.
#[test]
fn a_group_of_tasks_two_of_which_have_one_id_is_refused_and_nothing_is_lost() {
    let stage = Stage::of_one_agent();
    let info = json!({ "user": "root", "name": "groups", "failover_timeout": 60.0 });
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    let twice = [task("t", &offer, "true"), task("t", &offer, "true")];
    let executor = json!({ "type": "DEFAULT", "executor_id": { "value": "e" },
        "resources": [{ "name": "cpus", "type": "SCALAR", "scalar": { "value": 0.1 } }] });
    let group = json!({ "type": "LAUNCH_GROUP",
        "launch_group": { "executor": executor, "task_group": { "tasks": twice } } });
    let accept = json!({ "offer_ids": [offer["id"]], "operations": [group] });
    let answer = framework.calls("ACCEPT", json!({ "accept": accept }));
    assert_eq!(answer.status, 501, "{answer:?}");
    // Nothing of that was done: the offer still stands.
    framework.launches(&offer, &[task("t", &offer, "true")]);
    while framework.update()["state"] != "TASK_FINISHED" {}
}
