//! A client that keeps its connection, as schedulers do.

use std::error::Error;

use serde_json::{Value, json};
use tests::http::{Client, Stream};

pub(crate) const SCHEDULER: &str = "POST /api/v1/scheduler";

/// A framework that has subscribed, and a connection for its calls.
pub(crate) struct Framework {
    pub(crate) events: Stream,
    pub(crate) calls: Client,
    pub(crate) id: Value,
    header: String,
}

/// Its stream alone.
pub(crate) fn stream(at: &str, line: &str, body: &Value) -> Result<Stream, Box<dyn Error>> {
    let mut client = Client::connect(at)?;
    let headers = ["Content-Type: application/json", "Accept: application/json"];
    client.request(line, &headers, body.to_string().as_bytes())?;
    let stream = client.stream()?;
    match stream.head.status {
        200 => Ok(stream),
        status => Err(format!("{line}: {status}").into()),
    }
}

pub(crate) fn subscribe(at: &str) -> Result<Framework, Box<dyn Error>> {
    let info = json!({ "user": "root", "name": "bench" });
    let call = json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info } });
    let mut events = stream(at, SCHEDULER, &call)?;
    let stream_id = events.head.header("mesos-stream-id").unwrap_or_default().to_owned();
    let id = events.event("SUBSCRIBED")["subscribed"]["framework_id"].clone();
    let header = format!("Mesos-Stream-Id: {stream_id}");
    Ok(Framework { events, calls: Client::connect(at)?, id, header })
}

impl Framework {
    /// Names its stream.
    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    /// Sends a call; its answer is read later.
    pub(crate) fn send(&mut self, mut call: Value) -> Result<(), Box<dyn Error>> {
        call["framework_id"] = self.id.clone();
        let headers = ["Content-Type: application/json", self.header.as_str()];
        Ok(self.calls.request(SCHEDULER, &headers, call.to_string().as_bytes())?)
    }

    /// The answer to the oldest call that was not answered yet.
    pub(crate) fn taken(&mut self) -> Result<(), Box<dyn Error>> {
        let answer = self.calls.answer()?;
        match answer.status {
            202 => Ok(()),
            status => Err(format!("a call was answered {status}: {}", answer.text()).into()),
        }
    }
}
