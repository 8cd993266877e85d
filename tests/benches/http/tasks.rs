//! How many tasks a second go through a gateway, from an acceptance to an end that is acknowledged, one task in each acceptance: a real
//! master process, JSON on one connection for calls and one for events, and small agents whose tasks end at once.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use protocol::resources::Resources;
use serde_json::{Value, json};
use tests::leader::Leader;
use tests::small;

use crate::client::{Framework, subscribe};
use measure::{Measured, Row};

const AGENTS: u64 = 256;
const TASKS: usize = 20_000;

/// Calls that wait for their answer.
const PIPELINED: usize = 32;

fn accept(number: usize, offer: &Value) -> Value {
    let scalar = |name: &str, value: f64| json!({ "name": name, "type": "SCALAR", "scalar": { "value": value } });
    let task = json!({
        "name": "true", "task_id": { "value": format!("true.{number}") },
        "agent_id": offer["agent_id"], "command": { "value": "true" },
        "resources": [scalar("cpus", 0.01), scalar("mem", 1.0)],
    });
    let launch = json!({ "type": "LAUNCH", "launch": { "task_infos": [task] } });
    let accept = json!({ "offer_ids": [offer["id"]], "operations": [launch],
        "filters": { "refuse_seconds": 0.0 } });
    json!({ "type": "ACCEPT", "accept": accept })
}

/// Sends what there is to send, and reads answers when many wait.
struct Calls {
    framework: Framework,
    unanswered: usize,
}

impl Calls {
    fn say(&mut self, call: Value) -> Result<(), Box<dyn std::error::Error>> {
        self.framework.send(call)?;
        self.unanswered += 1;
        if self.unanswered >= PIPELINED {
            self.framework.taken()?;
            self.unanswered -= 1;
        }
        Ok(())
    }
}

pub(crate) async fn per_second(airside: &Path) -> Measured {
    let leader = Leader::start(airside).await?;
    let each = Resources::cpus_mem(0.01, 1.0);
    let agents = small::start(leader.address(), AGENTS, &each).await?;
    let at = leader.address().to_owned();
    let run = tokio::task::spawn_blocking(move || run(&at).map_err(|error| error.to_string()));
    let took = run.await??;
    agents.shutdown().await;
    Ok(vec![Row::of("tasks_per_s", TASKS as f64 / took.as_secs_f64(), "1/s")])
}

/// How long all of them took.
fn run(at: &str) -> Result<Duration, Box<dyn std::error::Error>> {
    let mut calls = Calls { framework: subscribe(at)?, unanswered: 0 };
    let (mut launched, mut ended) = (0, 0);
    let mut offers: VecDeque<Value> = VecDeque::new();
    let began = Instant::now();
    while ended < TASKS {
        let record = calls.framework.events.record()?.ok_or("the stream has ended")?;
        let event: Value = serde_json::from_slice(&record)?;
        match event["type"].as_str() {
            Some("OFFERS") => {
                offers.extend(event["offers"]["offers"].as_array().into_iter().flatten().cloned());
                while launched < TASKS
                    && let Some(offer) = offers.pop_front()
                {
                    calls.say(accept(launched, &offer))?;
                    launched += 1;
                }
            }
            Some("UPDATE") => {
                let status = &event["update"]["status"];
                if status["state"] != "TASK_FINISHED" {
                    return Err(format!("a task did not end well: {status}").into());
                }
                let acknowledge = json!({ "agent_id": status["agent_id"],
                    "task_id": status["task_id"], "uuid": status["uuid"] });
                calls.say(json!({ "type": "ACKNOWLEDGE", "acknowledge": acknowledge }))?;
                ended += 1;
            }
            _ => (),
        }
    }
    for _ in 0..calls.unanswered {
        calls.framework.taken()?;
    }
    Ok(began.elapsed())
}
