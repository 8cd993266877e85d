//! What idle streams of events weigh in the master's process.

use std::error::Error;
use std::path::Path;

use procfs::process::Process;
use serde_json::json;
use tests::leader::Leader;

use crate::client::stream;
use measure::{Measured, Row};

const STREAMS: usize = 5_000;

pub(crate) async fn idle(airside: &Path) -> Measured {
    let flags = [format!("--max-operator-event-stream-subscribers={STREAMS}")];
    let leader = Leader::start_with(airside, &flags).await?;
    let process = Process::new(leader.process().try_into()?)?;
    let mib = || -> Result<f64, Box<dyn Error>> {
        let kib = process.status()?.vmrss.ok_or("the process has no memory")?;
        Ok(kib as f64 / 1024.0)
    };
    let before = mib()?;
    let body = json!({ "type": "SUBSCRIBE" });
    let mut streams = Vec::with_capacity(STREAMS);
    for _ in 0..STREAMS {
        let mut one = stream(leader.address(), "POST /api/v1", &body)?;
        one.event("HEARTBEAT");
        streams.push(one);
    }
    let after = mib()?;
    drop(streams);
    Ok(vec![Row::of("subscribers_5000", after - before, "MiB")])
}
