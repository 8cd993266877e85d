//! A master, an agent, and a scheduler of the v1 API.

use std::collections::VecDeque;
use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::cluster::{Home, Process, eventually};
use tests::http::{self, Answer, Client, Stream};

pub(crate) const SCHEDULER: &str = "/api/v1/scheduler";
pub(crate) const OPERATOR: &str = "/api/v1";

/// A cluster of one agent.
pub(crate) struct Stage {
    pub(crate) home: Home,
    /// Where the master listens.
    pub(crate) at: String,
    master: Process,
    agent: Option<(Process, String)>,
    /// Of each life of the agent, beside those that all have.
    agents_flags: Vec<String>,
}

impl Stage {
    /// A master alone.
    pub(crate) fn of_master() -> Self {
        Self::of_master_with(&[])
    }

    /// A master alone, with these flags.
    pub(crate) fn of_master_with(flags: &[&str]) -> Self {
        let home = Home::new();
        let (master, at) = home.master(flags);
        Self { home, at, master, agent: None, agents_flags: Vec::new() }
    }

    /// With an agent, which comes when it comes.
    pub(crate) fn of_one_agent() -> Self {
        Self::of_master().with_agent()
    }

    /// The same with an agent, which comes when it comes.
    pub(crate) fn with_agent(self) -> Self {
        self.with_agent_of(&[])
    }

    /// The same, with these flags, which may say what it has.
    pub(crate) fn with_agent_of(mut self, flags: &[&str]) -> Self {
        self.agents_flags = flags.iter().map(ToString::to_string).collect();
        self.starts_agent("--port=0");
        self
    }

    /// The master is killed, and another is started on what it left, at the same address.
    #[track_caller]
    pub(crate) fn next_master(&mut self) {
        self.master.signal(Signal::SIGKILL);
        self.master.ended();
        let port = self.at.rsplit_once(':').map_or("0", |(_, port)| port).to_owned();
        (self.master, self.at) = self.home.master(&[&format!("--port={port}")]);
    }

    /// The master is killed.
    #[track_caller]
    pub(crate) fn kills_master(&mut self) {
        self.master.signal(Signal::SIGKILL);
        self.master.ended();
    }

    /// Megabytes of memory that the master has taken.
    pub(crate) fn masters_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.master.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kilobytes >> 10
    }

    /// Waits until so many agents are members.
    #[track_caller]
    pub(crate) fn has_agents(&self, count: usize) {
        eventually("the agents are there", || {
            let slaves = self.get("/slaves").json();
            slaves["slaves"].as_array().is_some_and(|all| all.len() == count)
        });
    }

    /// Waits until the agent's process has ended by itself.
    #[track_caller]
    pub(crate) fn agent_ends(&mut self) {
        let (mut agent, _) = self.agent.take().expect("an agent");
        agent.ended();
    }

    /// A call of an operator.
    #[track_caller]
    pub(crate) fn operator(&self, body: &Value) -> Answer {
        http::call(&self.at, OPERATOR, &[], body)
    }

    /// Starts the agent, or its next life.
    #[track_caller]
    fn starts_agent(&mut self, port: &str) {
        let work_dir = self.home.work_dir("a");
        let of = format!("--master={}", self.at);
        let says = self.agents_flags.iter().any(|flag| flag.starts_with("--resources="));
        let resources = (!says).then_some("--resources=cpus:2;mem:512;ports:[31000-31009]");
        // Executors look for it no more often than Mesos's do.
        let patience = "--executor-reregistration-timeout=15secs";
        let mut command = self.home.command(&["agent", port, &of, &work_dir, patience]);
        let mut agent = Process::start("agent", command.args(resources).args(&self.agents_flags));
        let at = agent.says("agent@").trim_start_matches("agent@").to_owned();
        self.agent = Some((agent, at));
    }

    /// Where the agent listens.
    #[track_caller]
    pub(crate) fn agent_at(&self) -> &str {
        &self.agent.as_ref().expect("there is an agent").1
    }

    /// Kills the agent.
    #[track_caller]
    pub(crate) fn kills_agent(&mut self) {
        let (agent, _) = self.agent.as_mut().expect("there is an agent");
        agent.signal(Signal::SIGKILL);
        agent.ended();
    }

    /// Sends the agent's process a signal.
    #[track_caller]
    pub(crate) fn signals_agent(&self, signal: Signal) {
        self.agent.as_ref().expect("there is an agent").0.signal(signal);
    }

    /// Waits until the agent's process has ended; whether it ended well.
    #[track_caller]
    pub(crate) fn agent_ended(&mut self) -> bool {
        self.agent.as_mut().expect("there is an agent").0.ended().success()
    }

    /// Its next life listens where it did.
    #[track_caller]
    pub(crate) fn agent_is_back(&mut self) {
        let (_, port) = self.agent_at().rsplit_once(':').expect("it has a port");
        let port = format!("--port={port}");
        self.starts_agent(&port);
    }

    /// Asks for a page.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        http::ask(&self.at, &format!("GET {path}"), &[], b"")
    }

    /// A call of the scheduler's API that is none of a subscribed framework.
    #[track_caller]
    pub(crate) fn call(&self, headers: &[&str], body: &Value) -> Answer {
        http::call(&self.at, SCHEDULER, headers, body)
    }

    /// Subscribes, with this description.
    #[track_caller]
    pub(crate) fn subscribes(&self, info: &Value) -> Framework {
        Framework::subscribe(&self.at, info)
    }
}

/// A master that stands for election, and where it listens.
pub(crate) fn stands(home: &Home, name: &str, url: &str) -> (Process, String) {
    let work_dir = home.work_dir(name);
    let zk = ["--zk", url, "--zk-session-timeout=4secs"];
    let line = [&["master", "--port=0", "--log=info", &work_dir][..], &zk].concat();
    let mut master = Process::start(name, &mut home.command(&line));
    let at = master.says("master@").trim_start_matches("master@").to_owned();
    (master, at)
}

/// A framework that has subscribed, or was told why not.
pub(crate) struct Framework {
    at: String,
    pub(crate) events: Stream,
    pub(crate) stream_id: String,
    /// Once it was told.
    pub(crate) id: String,
    /// Offers that came while something else was waited for.
    offers: VecDeque<Value>,
}

impl Framework {
    #[track_caller]
    pub(crate) fn subscribe(at: &str, info: &Value) -> Self {
        Self::subscribe_with(at, info, &json!({}))
    }

    /// With more beside the description.
    #[track_caller]
    pub(crate) fn subscribe_with(at: &str, info: &Value, more: &Value) -> Self {
        let mut subscribe = more.clone();
        subscribe["framework_info"] = info.clone();
        let mut call = json!({ "type": "SUBSCRIBE", "subscribe": subscribe });
        if let Some(id) = info.get("id") {
            call["framework_id"] = id.clone();
        }
        let mut client = Client::connect(at).unwrap();
        let headers = ["Content-Type: application/json", "Accept: application/json"];
        let body = call.to_string();
        client.request(&format!("POST {SCHEDULER}"), &headers, body.as_bytes()).unwrap();
        Self::hears(at, client)
    }

    /// On a connection by which it has asked to subscribe.
    #[track_caller]
    pub(crate) fn hears(at: &str, client: Client) -> Self {
        let events = client.stream().unwrap();
        assert_eq!(events.head.status, 200, "{:?}", events.head);
        assert_eq!(events.head.header("transfer-encoding"), Some("chunked"));
        assert_eq!(events.head.header("content-type"), Some("application/json"));
        let stream_id = events.head.header("mesos-stream-id").unwrap().to_owned();
        Self { at: at.to_owned(), events, stream_id, id: String::new(), offers: VecDeque::new() }
    }

    /// Waits for its id.
    #[track_caller]
    pub(crate) fn once_subscribed(mut self) -> Self {
        let event = self.events.event("SUBSCRIBED");
        self.id = event["subscribed"]["framework_id"]["value"].as_str().unwrap().to_owned();
        self
    }

    /// A call of its own; `payload` is what stands beside the type.
    #[track_caller]
    pub(crate) fn calls(&self, r#type: &str, payload: Value) -> Answer {
        let mut call = json!({ "type": r#type, "framework_id": { "value": self.id } });
        if let Value::Object(fields) = payload {
            for (key, value) in fields {
                call[key] = value;
            }
        }
        let header = format!("Mesos-Stream-Id: {}", self.stream_id);
        http::call(&self.at, SCHEDULER, &[&header], &call)
    }

    /// The same, which is taken on.
    #[track_caller]
    pub(crate) fn says(&self, r#type: &str, payload: Value) {
        let answer = self.calls(r#type, payload);
        assert_eq!((answer.status, answer.text().as_str()), (202, ""), "{type}: {answer:?}");
        assert_eq!(answer.header("content-length"), Some("0"));
        assert_eq!(answer.header("content-type"), None);
    }

    /// The oldest offer that was not looked at.
    #[track_caller]
    pub(crate) fn offer(&mut self) -> Value {
        match self.offers.pop_front() {
            Some(offer) => offer,
            None => self.events.event("OFFERS")["offers"]["offers"][0].clone(),
        }
    }

    /// Launches tasks on an offer.
    #[track_caller]
    pub(crate) fn launches(&self, offer: &Value, tasks: &[Value]) {
        let launch = json!({ "type": "LAUNCH", "launch": { "task_infos": tasks } });
        let accept = json!({ "offer_ids": [offer["id"]], "operations": [launch] });
        self.says("ACCEPT", json!({ "accept": accept }));
    }

    /// The next update, which is acknowledged if it asks for that.
    #[track_caller]
    pub(crate) fn update(&mut self) -> Value {
        let mut next = self.events.event_or("UPDATE", "OFFERS");
        while next["type"] == "OFFERS" {
            self.offers.push_back(next["offers"]["offers"][0].clone());
            next = self.events.event_or("UPDATE", "OFFERS");
        }
        let status = next["update"]["status"].clone();
        if let Some(uuid) = status.get("uuid") {
            let acknowledge = json!({ "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": uuid });
            self.says("ACKNOWLEDGE", json!({ "acknowledge": acknowledge }));
        }
        status
    }
}

/// A command on the agent of an offer.
pub(crate) fn task(id: &str, offer: &Value, command: &str) -> Value {
    let scalar = |name: &str, value: f64| json!({ "name": name, "type": "SCALAR", "scalar": { "value": value } });
    json!({
        "name": id,
        "task_id": { "value": id },
        "agent_id": offer["agent_id"],
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
        "command": { "value": command },
    })
}
