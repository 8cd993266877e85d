//! `airside flow`: asks the recorder of each node what it saw, and draws it.

pub(crate) mod draw;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libactor::{FLOW_ACTOR, FlowAnswer, FlowId, FlowQuery, FlowRecord, Lane, NodeId, Pid, What};
use protocol::change::AgentState;
use serde::Serialize;

use crate::arguments::FlowArguments;
use crate::client::{Client, ClientError};
use crate::cluster::Cluster;
use crate::commands::{CommandError, task};
use crate::environment::Environment;
use crate::output;
use draw::{Fate, Seen};

/// Records that one node is asked for at most.
const RECORDS_MAX: u32 = 5000;

/// A node that was asked, by the name that people see.
struct Asked {
    name: String,
    /// The pids of it that have names of their own.
    named: Option<Pid>,
    answer: Result<FlowAnswer, ClientError>,
}

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
}

/// `airside flow`.
pub(crate) async fn flow(
    arguments: FlowArguments,
    environment: &Environment,
) -> Result<(), CommandError> {
    let client = Client::start(Cluster::find(&arguments.cluster, environment)).await?;
    let (query, what) = match (&arguments.task, &arguments.trace) {
        (Some(prefix), _) => {
            let id = task(&client, prefix).await?.report.spec.task.to_string();
            (FlowQuery { subject: Some(id.clone()), ..query() }, Some(id))
        }
        (None, trace) => {
            let trace = trace.as_deref().unwrap_or_default();
            let number = u128::from_str_radix(trace, 16)
                .map_err(|_| CommandError::Trace(trace.to_owned()))?;
            (FlowQuery { trace: Some(FlowId(number)), ..query() }, None)
        }
    };
    let asked = ask_all(&client, &query).await?;
    if arguments.json {
        print_json(&asked);
    } else {
        output::print(&drawing(&asked, what.as_deref(), wall_time()));
    }
    Ok(())
}

fn query() -> FlowQuery {
    FlowQuery { limit: RECORDS_MAX, ..FlowQuery::default() }
}

/// The flow of one task, drawn.
pub(crate) async fn of_task(client: &Client, task: &str) -> Result<String, ClientError> {
    let query = FlowQuery { subject: Some(task.to_owned()), ..query() };
    let asked = ask_all(client, &query).await?;
    Ok(drawing(&asked, Some(task), wall_time()))
}

/// The id of the flow that a task belongs to, if the master's node saw it.
pub(crate) async fn id_of_task(client: &Client, task: &str) -> Option<FlowId> {
    let query = FlowQuery { subject: Some(task.to_owned()), limit: 1, ..FlowQuery::default() };
    let answer = client.ask(&format!("{FLOW_ACTOR}@{}", client.master()), query).await.ok()?;
    answer.records.last().map(|record| record.trace)
}

/// Asks the master's node, and those of all agents that can be reached.
async fn ask_all(client: &Client, query: &FlowQuery) -> Result<Vec<Asked>, ClientError> {
    let mut nodes = vec![(master::MASTER, "master".to_owned(), client.master().to_owned())];
    for agent in client.agents().await? {
        if agent.state == AgentState::Active {
            let at = agent.info.at.listens;
            nodes.push((agent::ACTOR, format!("agent {at}"), at));
        }
    }
    let mut all = Vec::new();
    for (actor, name, at) in nodes {
        let answer = client.ask(&format!("{FLOW_ACTOR}@{at}"), query.clone()).await;
        let named = client.resolve(&format!("{actor}@{at}")).await.ok();
        all.push(Asked { name, named, answer });
    }
    Ok(all)
}

#[expect(clippy::disallowed_methods, reason = "read here once, and handed on")]
fn wall_time() -> SystemTime {
    SystemTime::now()
}

/// A pid without the way to it, which differs with who says it: node, incarnation, actor.
type Life = (NodeId, u64, u64);

fn life(pid: Pid) -> Life {
    (pid.node(), pid.incarnation(), pid.actor())
}

/// What people call each pid that occurs.
struct Names<'a> {
    nodes: BTreeMap<NodeId, &'a str>,
    main: BTreeMap<Life, &'a str>,
    /// Those that told what they saw.
    answered: BTreeSet<NodeId>,
    strangers: BTreeMap<NodeId, String>,
}

impl<'a> Names<'a> {
    /// Names for the pids of the records that are shown.
    fn of(asked: &'a [Asked], shown: &[&FlowRecord]) -> Self {
        let mut names = Self {
            nodes: BTreeMap::new(),
            main: BTreeMap::new(),
            answered: BTreeSet::new(),
            strangers: BTreeMap::new(),
        };
        for node in asked {
            if let Some(pid) = node.named {
                names.main.insert(life(pid), &node.name);
                names.nodes.insert(pid.node(), &node.name);
                names.answered.extend(node.answer.is_ok().then_some(pid.node()));
            }
        }
        // Nodes that nobody can ask are known by whom they talk to: executors talk to agents, schedulers to the master.
        for record in shown {
            let Some(sender) = record.sender else { continue };
            for (stranger, other) in [(sender, record.receiver), (record.receiver, sender)] {
                let known = names.nodes.contains_key(&stranger.node());
                if let (false, Some(other)) = (known, names.nodes.get(&other.node())) {
                    let kind = if other.starts_with("agent") { "executor" } else { "scheduler" };
                    names.strangers.entry(stranger.node()).or_insert_with(|| kind.to_owned());
                }
            }
        }
        names.number_strangers();
        names
    }

    /// Several schedulers or executors are told apart by a number.
    fn number_strangers(&mut self) {
        for kind in ["executor", "scheduler"] {
            let several = self.strangers.values().filter(|name| *name == kind).count() > 1;
            let alike = self.strangers.values_mut().filter(|name| *name == kind);
            for (n, name) in alike.enumerate().filter(|_| several) {
                *name = format!("{kind} {}", n + 1);
            }
        }
    }

    fn name(&self, pid: Pid) -> String {
        if let Some(name) = self.main.get(&life(pid)) {
            return (*name).to_owned();
        }
        let node = self.nodes.get(&pid.node()).map(|name| (*name).to_owned());
        match node {
            Some(node) => format!("{node} #{}", pid.actor()),
            None => {
                let stranger = self.strangers.get(&pid.node());
                stranger.cloned().unwrap_or_else(|| "elsewhere".to_owned())
            }
        }
    }

    fn seen(&self, record: &FlowRecord) -> Seen {
        Seen {
            span: record.span,
            parent: record.parent,
            fate: match record.what {
                What::Sent if self.answered.contains(&record.receiver.node()) => Fate::Sent,
                What::Sent => Fate::SentBeyond,
                What::Handled => Fate::Handled,
                What::Dropped => Fate::Dropped,
            },
            label: record.label.clone(),
            subjects: record.subjects.clone(),
            from: record.sender.map_or_else(|| "outside".to_owned(), |pid| self.name(pid)),
            to: self.name(record.receiver),
            lane: record.lane,
            sent: record.sent,
            started: record.started,
            ended: record.ended,
        }
    }
}

fn records(asked: &[Asked]) -> impl Iterator<Item = &FlowRecord> {
    asked.iter().filter_map(|node| node.answer.as_ref().ok()).flat_map(|answer| &answer.records)
}

fn print_json(asked: &[Asked]) {
    let all: Vec<&FlowRecord> = records(asked).collect();
    let names = Names::of(asked, &all);
    for record in all {
        let seen = names.seen(record);
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
        };
        let line = serde_json::to_string(&json).expect("it has text keys only");
        output::print(&(line + "\n"));
    }
}

fn drawing(asked: &[Asked], task: Option<&str>, now: SystemTime) -> String {
    let nobody = Names::of(asked, &[]);
    let all = draw::merge(records(asked).map(|record| nobody.seen(record)).collect());
    let shown = task.map_or_else(|| all.clone(), |task| draw::about(task, &all));
    let of_shown: Vec<&FlowRecord> =
        records(asked).filter(|record| shown.contains_key(&record.span)).collect();
    let names = Names::of(asked, &of_shown);
    let shown = draw::merge(of_shown.into_iter().map(|record| names.seen(record)).collect());
    let of = task.map(|task| format!(" of task {task}")).unwrap_or_default();
    let mut text = format!("Flow{of}: {} messages in {} ms\n", shown.len(), draw::span_ms(&shown));
    if let Some(trace) = records(asked).map(|record| record.trace).next() {
        text += &format!("Flow id {trace}\n");
    }
    text += &draw::draw(&shown);
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
    match &node.answer {
        Ok(FlowAnswer { flows_since: Some(since), lost, .. }) => {
            let back = now.saturating_sub(Duration::from_micros(*since));
            let lost = if *lost > 0 { format!(" ({lost} records lost)") } else { String::new() };
            format!("{} s{lost}", back.as_secs())
        }
        Ok(FlowAnswer { flows_since: None, .. }) => "nothing recorded".into(),
        Err(error) => format!("could not be asked ({error})"),
    }
}

#[cfg(test)]
mod tests;
