//! `airside flow`: asks the recorder of each node what it saw, or reads the recording of one, and draws it.

pub(crate) mod draw;
mod names;
pub(crate) mod payloads;
mod sandbox;
mod sources;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libactor::{FLOW_ACTOR, FlowFound, FlowId, FlowQuery, FlowRecord, Lane};
use serde::Serialize;

use crate::arguments::FlowArguments;
use crate::client::{Client, ClientError};
use crate::cluster::Cluster;
use crate::commands::{self, CommandError};
use crate::environment::Environment;
use crate::output;
use draw::Seen;
use names::Names;
use sources::{Asked, RECORDS_MAX, ask_all};

/// A record in JSON.
#[derive(Serialize)]
struct RecordJson<'a> {
    trace: String,
    span: u64,
    parent: u64,
    what: String,
    message: &'a str,
    about: &'a [String],
    from: &'a str,
    to: &'a str,
    lane: Option<&'static str>,
    sent_unix_us: u64,
    started_unix_us: u64,
    ended_unix_us: u64,
    in_sandbox: bool,
}

/// `airside flow`.
pub(crate) async fn flow(
    arguments: FlowArguments,
    environment: &Environment,
) -> Result<(), CommandError> {
    if let Some(filter) = &arguments.payloads {
        let client = Client::start(Cluster::find(&arguments.cluster, environment)).await?;
        return payloads::follow(&client, &arguments, filter).await;
    }
    let (task, trace) = (arguments.task.as_deref(), arguments.trace.as_deref());
    let (asked, what) = match &arguments.recording {
        Some(path) => {
            let (found, what) = sources::of_recording(path, task, trace)?;
            (vec![found], what)
        }
        None => {
            let client = Client::start(Cluster::find(&arguments.cluster, environment)).await?;
            match (task, trace) {
                (Some(prefix), _) => {
                    let task = commands::task(&client, prefix).await?;
                    let id = task.report.spec.task.to_string();
                    let mut asked = ask_all(&client, Some(&id), None).await?;
                    let found = sandbox::of_executor(&client, &task, &asked).await;
                    asked.extend(found);
                    (asked, Some(id))
                }
                (None, trace) => {
                    let flow = sources::flow_of(&client, trace.unwrap_or_default()).await?;
                    (ask_all(&client, None, Some(flow)).await?, None)
                }
            }
        }
    };
    if arguments.json {
        print_json(&asked);
    } else {
        output::print(&drawing(&asked, what.as_deref(), wall_time()));
    }
    Ok(())
}

/// The flow of one task, drawn.
pub(crate) async fn of_task(client: &Client, task: &str) -> Result<String, ClientError> {
    let asked = ask_all(client, Some(task), None).await?;
    Ok(drawing(&asked, Some(task), wall_time()))
}

/// The id of the flow in which a task was launched, if the master's node saw it.
pub(crate) async fn id_of_task(client: &Client, task: &str) -> Option<FlowId> {
    let query = FlowQuery { subject: Some(task.to_owned()), trace: None, limit: RECORDS_MAX };
    let answer =
        client.ask(&format!("{FLOW_ACTOR}@{}", client.leader().await.ok()?), query).await.ok()?;
    let about = |record: &&FlowRecord| record.subjects.iter().any(|subject| subject == task);
    answer.records.iter().find(about).map(|record| record.trace)
}

#[expect(clippy::disallowed_methods, reason = "read here once, and handed on")]
fn wall_time() -> SystemTime {
    SystemTime::now()
}

fn records(asked: &[Asked]) -> impl Iterator<Item = &FlowRecord> {
    asked.iter().flat_map(Asked::records)
}

/// What of the records is wanted, as people see it.
fn seen(asked: &[Asked], names: &Names<'_>, wanted: impl Fn(&FlowRecord) -> bool) -> Vec<Seen> {
    let seen = |node: &Asked| {
        let wanted = node.records().iter().filter(|record| wanted(record));
        wanted.map(|record| names.seen(record, node.in_sandbox)).collect::<Vec<_>>()
    };
    asked.iter().flat_map(seen).collect()
}

fn print_json(asked: &[Asked]) {
    let all: Vec<&FlowRecord> = records(asked).collect();
    let names = Names::of(asked, &all);
    let all = asked
        .iter()
        .flat_map(|node| node.records().iter().map(move |record| (record, node.in_sandbox)));
    for (record, in_sandbox) in all {
        let seen = names.seen(record, in_sandbox);
        let json = RecordJson {
            trace: record.trace.to_string(),
            span: record.span,
            parent: record.parent,
            what: format!("{:?}", record.what),
            message: &record.label,
            about: &record.subjects,
            from: &seen.from,
            to: &seen.to,
            lane: record.lane.map(Lane::word),
            sent_unix_us: record.sent,
            started_unix_us: record.started,
            ended_unix_us: record.ended,
            in_sandbox,
        };
        let line = serde_json::to_string(&json).expect("it has text keys only");
        output::print(&(line + "\n"));
    }
}

fn drawing(asked: &[Asked], task: Option<&str>, now: SystemTime) -> String {
    let nobody = Names::of(asked, &[]);
    let all = draw::merge(seen(asked, &nobody, |_| true));
    let shown = task.map_or_else(|| all.clone(), |task| draw::about(task, &all));
    let of_shown: Vec<&FlowRecord> =
        records(asked).filter(|record| shown.contains_key(&record.span)).collect();
    let names = Names::of(asked, &of_shown);
    let shown = draw::merge(seen(asked, &names, |record| shown.contains_key(&record.span)));
    let of = task.map(|task| format!(" of task {task}")).unwrap_or_default();
    let mut text = format!("Flow{of}: {} messages in {} ms\n", shown.len(), draw::span_ms(&shown));
    if let Some(trace) = records(asked).map(|record| record.trace).next() {
        text += &format!("Flow id {trace}\n");
    }
    text += &draw::draw(&shown);
    if shown.values().any(|seen| seen.in_sandbox) {
        text += sandbox::NOTE;
    }
    text + &horizon(asked, now)
}

/// How far back each node can see.
fn horizon(asked: &[Asked], now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut text = String::from("How far back each node sees: ");
    let parts: Vec<String> =
        asked.iter().map(|node| format!("{} {}", node.name, sees(node, now))).collect();
    text += &parts.join("; ");
    text + "\n"
}

fn sees(node: &Asked, now: Duration) -> String {
    let found = match &node.answer {
        Ok(found) => found,
        Err(error) => return format!("could not be asked ({error})"),
    };
    let ago =
        |since: u64| format!("{} s", now.saturating_sub(Duration::from_micros(since)).as_secs());
    let FlowFound { answer, file_since, complaint } = found;
    let mut text = match (answer.flows_since, file_since) {
        (Some(memory), Some(file)) if *file < memory => {
            format!("{}, {} of it in memory", ago(*file), ago(memory))
        }
        (Some(memory), _) => ago(memory),
        (None, Some(file)) => format!("{}, none of it in memory", ago(*file)),
        (None, None) => "nothing recorded".into(),
    };
    if answer.lost > 0 {
        text += &format!(" ({} records lost)", answer.lost);
    }
    if let Some(complaint) = complaint {
        text += &format!(" ({complaint})");
    }
    text
}

#[cfg(test)]
mod tests;
