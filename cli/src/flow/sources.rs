//! Where what is drawn comes from: the recorders of a cluster's nodes, or the ring file of a node that is dead.

use std::collections::BTreeSet;
use std::path::Path;

use libactor::ringfile;
use libactor::{
    FLOW_ACTOR, FlowAnswer, FlowFound, FlowId, FlowIds, FlowIdsFound, FlowQuery, FlowRecord,
    FlowSearch, Pid,
};
use protocol::change::AgentState;

use crate::client::{Client, ClientError};
use crate::commands::{CommandError, TASKS};
use crate::prefix;

/// Records that one node is asked for at most.
pub(super) const RECORDS_MAX: u32 = 5000;
/// What flows are called in errors about their ids.
const FLOWS: (&str, &str) = ("flow", "flows");

/// A node that was asked, by the name that people see.
pub(super) struct Asked {
    pub(super) name: String,
    /// The pids of it that have names of their own.
    pub(super) named: Option<Pid>,
    pub(super) answer: Result<FlowFound, ClientError>,
    /// Nobody was asked: it lay in a sandbox, where a task writes as it likes.
    pub(super) in_sandbox: bool,
}

impl Asked {
    pub(super) fn records(&self) -> &[FlowRecord] {
        self.answer.as_ref().map_or(&[], |found| &found.answer.records)
    }
}

/// A node that can be asked: the actor that has its name, its name, and where it listens.
pub(super) struct At {
    pub(super) actor: &'static str,
    pub(super) name: String,
    pub(super) at: String,
}

/// The master's node, and those of all agents that can be reached.
pub(super) async fn nodes(client: &Client) -> Result<Vec<At>, ClientError> {
    let at = client.leader().await?;
    let mut nodes = vec![At { actor: master::MASTER, name: "master".into(), at }];
    for agent in client.agents().await? {
        if agent.state == AgentState::Active {
            let at = agent.info.at.listens.clone();
            nodes.push(At { actor: agent::ACTOR, name: format!("agent {at}"), at });
        }
    }
    Ok(nodes)
}

/// All of the flows in which a message was about `subject`, or of one flow.
pub(super) async fn ask_all(
    client: &Client,
    subject: Option<&str>,
    trace: Option<FlowId>,
) -> Result<Vec<Asked>, ClientError> {
    let search =
        FlowSearch(FlowQuery { subject: subject.map(str::to_owned), trace, limit: RECORDS_MAX });
    let mut all = Vec::new();
    for At { actor, name, at } in nodes(client).await? {
        let answer = client.ask(&format!("{FLOW_ACTOR}@{at}"), search.clone()).await;
        let named = client.resolve(&format!("{actor}@{at}")).await.ok();
        all.push(Asked { name, named, answer, in_sandbox: false });
    }
    Ok(all)
}

fn range(prefix: &str) -> Result<(FlowId, FlowId), CommandError> {
    FlowId::begun_by(prefix).ok_or_else(|| CommandError::Trace(prefix.to_owned()))
}

/// The flow whose id begins with `prefix`, as far as any node knows.
pub(super) async fn flow_of(client: &Client, prefix: &str) -> Result<FlowId, CommandError> {
    let (first, last) = range(prefix)?;
    let (mut known, mut blind) = (BTreeSet::new(), Vec::new());
    for node in nodes(client).await? {
        let name = format!("{FLOW_ACTOR}@{}", node.at);
        let complaint = match client.ask(&name, FlowIds { first, last }).await {
            Ok(FlowIdsFound { ids, complaint }) => {
                known.extend(ids);
                complaint
            }
            Err(error) => Some(format!("could not be asked ({error})")),
        };
        blind.extend(complaint.map(|why| format!("{}: {why}", node.name)));
    }
    for why in &blind {
        tracing::warn!("a node did not look for the flow everywhere: {why}");
    }
    the_only(prefix, &known, &blind)
}

/// The only flow that is known by a prefix; `blind` says who could not look everywhere.
fn the_only(
    prefix: &str,
    known: &BTreeSet<FlowId>,
    blind: &[String],
) -> Result<FlowId, CommandError> {
    if known.is_empty() {
        let lines: String = blind.iter().map(|why| format!("; {why}")).collect();
        return Err(CommandError::NoFlow { prefix: prefix.to_owned(), blind: lines });
    }
    let known: Vec<(String, FlowId)> = known.iter().map(|id| (id.to_string(), *id)).collect();
    let prefix = prefix.to_ascii_lowercase();
    Ok(prefix::find(&prefix, FLOWS, &known, |(text, _)| text)?.1)
}

/// What a recording has of a task or of a flow, both given by the beginning of their ids, or its newest records; and the id
/// of the task.
pub(super) fn of_recording(
    path: &Path,
    task: Option<&str>,
    trace: Option<&str>,
) -> Result<(Asked, Option<String>), CommandError> {
    let all = ringfile::read(path).map_err(CommandError::Recording)?;
    let flows_since = all.first().map(|record| record.sent);
    let subject = task.map(|prefix| subject_in(&all, prefix)).transpose()?;
    let mut flows = BTreeSet::new();
    if let Some(subject) = &subject {
        let about = |record: &&FlowRecord| record.subjects.contains(subject);
        flows.extend(all.iter().filter(about).map(|record| record.trace));
    }
    if let Some(prefix) = trace {
        let (first, last) = range(prefix)?;
        let known = all.iter().map(|record| record.trace);
        let known = known.filter(|id| (first..=last).contains(id)).collect();
        flows.insert(the_only(prefix, &known, &[])?);
    }
    let mut records = all;
    if subject.is_some() || trace.is_some() {
        records.retain(|record| flows.contains(&record.trace));
    }
    let most = usize::try_from(RECORDS_MAX).unwrap_or(usize::MAX);
    let records = records.split_off(records.len().saturating_sub(most));
    let answer = FlowAnswer { records, flows_since, ..FlowAnswer::default() };
    let answer = Ok(FlowFound { answer, ..FlowFound::default() });
    let name = "the recording".into();
    Ok((Asked { name, named: None, answer, in_sandbox: false }, subject))
}

/// The one id in a recording that begins with `prefix`; of a task's tries and executor it may have others beside.
fn subject_in(all: &[FlowRecord], prefix: &str) -> Result<String, CommandError> {
    let known: BTreeSet<&str> =
        all.iter().flat_map(|record| &record.subjects).map(String::as_str).collect();
    let known: Vec<&str> = known.into_iter().collect();
    if !known.iter().any(|id| id.starts_with(prefix)) {
        return Err(CommandError::NotRecorded(prefix.to_owned()));
    }
    Ok((*prefix::find(prefix, TASKS, &known, |id| id)?).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_flows_id_must_be_the_only_one() {
        let id = |number: u128| FlowId(number << 96);
        let known = [id(0x0abc_0001), id(0x0abc_0002), id(0x0abd_0000)].into();
        assert_eq!(the_only("0ABD", &known, &[]).unwrap(), id(0x0abd_0000));
        let several = the_only("0abc", &known, &[]).unwrap_err().to_string();
        let (one, two) = (id(0x0abc_0001), id(0x0abc_0002));
        let words =
            format!("2 flows begin with '0abc': {one}, {two}; give more of the one you mean");
        assert_eq!(several, words);
        let none =
            |blind: &[String]| the_only("1", &BTreeSet::new(), blind).unwrap_err().to_string();
        let words = "no flow begins with '1', as far as the nodes that can be asked remember";
        assert_eq!(none(&[]), words);
        let blind = ["master: its file is being read by 4 others; ask again".to_owned()];
        assert_eq!(none(&blind), format!("{words}; {}", blind[0]), "it may be there all the same");
        assert!(matches!(range("xyz"), Err(CommandError::Trace(_))));
    }
}
