//! What an executor left in its sandbox when it ended. Its task may write there too, so that this is evidence and no
//! proof: it cannot speak for nodes that speak for themselves, and is marked as what it is.

use std::collections::{BTreeMap, BTreeSet};

use libactor::ringfile;
use libactor::{FlowAnswer, FlowFound, FlowId, FlowRecord, NodeId, What};
use protocol::operator::TaskView;
use protocol::task::TaskReport;

use super::names::life;
use super::sources::Asked;
use crate::client::Client;
use crate::tail::{Part, Tail};

/// Below a drawing in which something is marked.
pub(super) const NOTE: &str =
    "* is known from the executor's sandbox only, where its task writes too.\n";

/// The most bytes that are fetched of an executor's recording.
const BYTES_MAX: usize = 4 << 20;

/// Nobody can ask an executor, since it talks to its agent alone. `asked` are those that were.
pub(super) async fn of_executor(
    client: &Client,
    task: &TaskView,
    asked: &[Asked],
) -> Option<Asked> {
    let TaskReport { framework, agent, executor, .. } = &task.report;
    let agents = client.agents().await.ok()?;
    let at = &agents.iter().find(|known| known.agent == *agent)?.info.at.listens;
    let mut tail = Tail::new(at, framework, executor, ringfile::FILE_NAME);
    let mut bytes = Vec::new();
    while let Ok(Part::Bytes(mut part)) = tail.next(client).await
        && bytes.len() < BYTES_MAX
    {
        bytes.append(&mut part);
    }
    let records = believable(ringfile::read_bytes(&bytes)?, asked);
    let flows_since = records.first().map(|record| record.sent);
    let answer = FlowAnswer { records, flows_since, ..FlowAnswer::default() };
    let answer = Ok(FlowFound { answer, ..FlowFound::default() });
    Some(Asked { name: "executor".into(), named: None, answer, in_sandbox: true })
}

/// Those that an executor can have seen: in flows that the cluster's nodes know, by a node that is none of them and talks
/// to no master, of messages to or from it, and none that others saw otherwise.
fn believable(mut records: Vec<FlowRecord>, asked: &[Asked]) -> Vec<FlowRecord> {
    let mut others: BTreeSet<NodeId> = BTreeSet::new();
    let mut flows: BTreeSet<FlowId> = BTreeSet::new();
    let mut spans: BTreeMap<u64, &FlowRecord> = BTreeMap::new();
    for node in asked {
        others.extend(node.named.map(|pid| pid.node()));
        for record in node.records() {
            others.insert(record.node);
            if node.name == "master" {
                others.insert(record.receiver.node());
                others.extend(record.sender.map(|sender| sender.node()));
            }
            flows.insert(record.trace);
            spans.insert(record.span, record);
        }
    }
    records.retain(|record| {
        let end = match record.what {
            What::Sent => record.sender,
            What::Handled => Some(record.receiver),
            What::Dropped => record.sender.filter(|from| from.node() == record.node),
        };
        let end = end.unwrap_or(record.receiver).node();
        let as_others_saw = spans.get(&record.span).is_none_or(|known| {
            life(known.receiver) == life(record.receiver)
                && known.sender.map(life) == record.sender.map(life)
                && known.label == record.label
                && known.subjects == record.subjects
        });
        end == record.node
            && as_others_saw
            && !others.contains(&record.node)
            && flows.contains(&record.trace)
    });
    records
}

#[cfg(test)]
mod tests {
    use libactor::Pid;

    use super::super::tests::{cluster, record};
    use super::*;

    #[test]
    fn what_a_task_wrote_into_its_sandbox_speaks_for_nobody_else() {
        let asked = cluster();
        let (master, agent) = (Pid::invented(1, 2), Pid::invented(2, 2));
        let (scheduler, executor) = (Pid::invented(7, 1), Pid::invented(8, 1));
        let honest = record(5, "Acknowledge", agent, executor, 1_003_000);
        let own = record(6, "Timer", executor, executor, 1_004_000);
        let from_nobody = FlowRecord { sender: None, ..record(7, "Begin", executor, executor, 1) };
        let written = vec![
            honest.clone(),
            own.clone(),
            from_nobody.clone(),
            // As the master, an agent, or a scheduler of the master's.
            record(90, "Kill", agent, master, 1_005_000),
            record(91, "Launch", master, agent, 1_005_000),
            record(92, "Offers", master, scheduler, 1_005_000),
            // Seen by one node, at another.
            FlowRecord { node: executor.node(), ..record(93, "Kill", scheduler, master, 1) },
            // A flow that nobody knows.
            FlowRecord { trace: FlowId(0xdef), ..record(94, "Launch", agent, executor, 1) },
            // What others saw, otherwise.
            record(5, "Kill", agent, executor, 1_003_000),
            record(2, "Accept", executor, executor, 1_000_500),
        ];
        assert_eq!(believable(written, &asked), [honest, own, from_nobody]);
    }
}
