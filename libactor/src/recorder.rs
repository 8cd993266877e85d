//! The flight recorder: what each actor handled and when, in two rings of memory bounded by bytes.
//!
//! Messages without subjects are chatter and go to a ring of the thread; those with subjects belong to flows of tasks
//! and offers, go to the node's ring, and to the ring file if there is one.

use std::collections::{BTreeSet, VecDeque};
use std::mem::size_of;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::flow::{self, FlowId, Head};
use crate::message::{Lane, Subjects};
use crate::pid::{Life, NodeId, Pid};
use crate::ringfile::RingFile;

/// Records that wait for the file's thread at most; what exceeds them is counted as lost.
const WAITING: usize = 8192;

/// What became of a message here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum What {
    /// An actor handled it, from `started` to `ended`.
    Handled,
    /// It was encoded for a peer.
    Sent,
    /// It was dropped; the label says why.
    Dropped,
}

/// One message, as this node saw it. Times are microseconds since 1970 by this node's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRecord {
    /// The flow.
    pub trace: FlowId,
    /// The message.
    pub span: u64,
    /// The message in whose handling it was sent.
    pub parent: u64,
    /// How many messages that handling had sent before.
    pub sequence: u64,
    /// What became of it.
    pub what: What,
    /// The variant's name.
    pub label: String,
    /// The ids it is about.
    pub subjects: Vec<String>,
    /// Who sent it; `None` for what came from outside any actor.
    pub sender: Option<Pid>,
    /// For whom it is.
    pub receiver: Pid,
    /// The node that recorded this.
    pub node: NodeId,
    /// When it was sent, or arrived here.
    pub sent: u64,
    /// When its handling began.
    pub started: u64,
    /// When its handling ended.
    pub ended: u64,
    /// The lane on which it travelled; `None` within a node.
    pub lane: Option<Lane>,
}

/// A record in memory: no strings of its own.
#[derive(Clone, Copy)]
pub(crate) struct Record {
    pub(crate) head: Head,
    pub(crate) what: What,
    pub(crate) receiver: Life,
    pub(crate) label: &'static str,
    pub(crate) lane: Option<Lane>,
    /// Stamps of [`flow::stamp`].
    pub(crate) sent: u64,
    pub(crate) started: u64,
    pub(crate) ended: u64,
}

struct Flow {
    record: Record,
    subjects: Box<Subjects>,
}

impl Flow {
    fn bytes(&self) -> usize {
        let text = |subject: &String| subject.capacity() + size_of::<String>();
        size_of::<Self>() + self.subjects.as_slice().iter().map(text).sum::<usize>()
    }
}

/// The chatter of one thread.
#[derive(Default)]
pub(crate) struct Shard(Mutex<Chatter>);

#[derive(Default)]
struct Chatter {
    records: Vec<Record>,
    /// The oldest record, once the ring is full.
    next: usize,
    most: usize,
}

impl Shard {
    pub(crate) fn push(&self, record: Record) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.records.len() < ring.most {
            ring.records.push(record);
        } else if let next = ring.next
            && let Some(slot) = ring.records.get_mut(next)
        {
            *slot = record;
            ring.next = if next + 1 == ring.most { 0 } else { next + 1 };
        }
    }
}

#[derive(Default)]
struct Flows {
    records: VecDeque<Flow>,
    bytes: usize,
}

/// The recorder of a node.
pub(crate) struct Recorder {
    node: u64,
    on: bool,
    shards: Vec<Arc<Shard>>,
    flows: Mutex<Flows>,
    flow_bytes: usize,
    file: Mutex<Option<(SyncSender<FlowRecord>, JoinHandle<()>)>>,
    lost: AtomicU64,
    /// Microseconds since 1970 when the process's clock stood at 0.
    epoch: u64,
}

impl Recorder {
    /// `chatter` and `flows` in bytes; `threads` share the chatter.
    pub(crate) fn new(node: u64, on: bool, threads: usize, chatter: usize, flows: usize) -> Self {
        if on {
            flow::record_stamps();
        }
        let most = chatter / threads.max(1) / size_of::<Record>();
        let shard = |_| Arc::new(Shard(Mutex::new(Chatter { most, ..Chatter::default() })));
        let shards = (0..threads.max(1)).map(shard).collect();
        let (file, lost) = Default::default();
        Self {
            node,
            on,
            shards,
            flows: Mutex::default(),
            flow_bytes: flows,
            file,
            lost,
            epoch: epoch(),
        }
    }

    /// From here on flows go to the file too.
    pub(crate) fn write_to(&self, mut file: RingFile) -> std::io::Result<()> {
        let (send, records) = sync_channel::<FlowRecord>(WAITING);
        let writer = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || {
            for record in records {
                if let Err(error) = file.append(&record) {
                    tracing::warn!(%error, path = %file.path().display(), "the recording is not written any more");
                    return;
                }
            }
        })?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some((send, writer));
        Ok(())
    }

    /// All that was recorded is in the file when this returns.
    pub(crate) fn close(&self) {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((records, writer)) = file {
            drop(records);
            if writer.join().is_err() {
                tracing::error!("the recorder's thread has panicked");
            }
        }
    }

    /// The ring for the chatter of thread `number`; none if nothing is recorded.
    pub(crate) fn shard(&self, number: usize) -> Option<Arc<Shard>> {
        self.on.then(|| Arc::clone(&self.shards[number % self.shards.len()]))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Records that the file's thread was too slow for.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// A message with subjects.
    pub(crate) fn flow(&self, record: Record, subjects: Box<Subjects>) {
        if !self.on {
            return;
        }
        if let Some((file, _)) = &*self.file.lock().unwrap_or_else(PoisonError::into_inner)
            && file.try_send(self.show(&record, subjects.as_slice())).is_err()
        {
            self.lost.fetch_add(1, Relaxed);
        }
        let flow = Flow { record, subjects };
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        flows.bytes += flow.bytes();
        flows.records.push_back(flow);
        while flows.bytes > self.flow_bytes
            && let Some(oldest) = flows.records.pop_front()
        {
            flows.bytes -= oldest.bytes();
        }
    }

    /// A message without subjects, recorded by no actor's thread.
    pub(crate) fn chatter(&self, record: Record) {
        if let Some(shard) = self.shard(0) {
            shard.push(record);
        }
    }

    fn show(&self, record: &Record, subjects: &[String]) -> FlowRecord {
        let at = |stamp: u64| self.epoch + flow::nanos_of(stamp) / 1000;
        let Record { head, what, receiver, label, lane, sent, started, ended } = *record;
        FlowRecord {
            trace: FlowId(head.trace),
            span: head.span,
            parent: head.parent,
            sequence: head.sequence(),
            what,
            label: label.to_owned(),
            subjects: subjects.to_vec(),
            sender: (!head.sender.is_nobody()).then(|| head.sender.via(None)),
            receiver: receiver.via(None),
            node: NodeId(self.node),
            sent: at(sent),
            started: at(started),
            ended: at(ended),
            lane,
        }
    }

    /// All records of the flows that `trace` or `subject` name, by time; the newest `limit` of them.
    pub(crate) fn find(
        &self,
        subject: Option<&str>,
        trace: Option<FlowId>,
        limit: usize,
    ) -> Vec<FlowRecord> {
        let mut traces: BTreeSet<u128> = trace.iter().map(|trace| trace.0).collect();
        let mut found = Vec::new();
        {
            let flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
            let about = |flow: &&Flow| {
                subject.is_some_and(|id| flow.subjects.as_slice().iter().any(|its| its == id))
            };
            traces.extend(flows.records.iter().filter(about).map(|flow| flow.record.head.trace));
            let of_flow =
                flows.records.iter().filter(|flow| traces.contains(&{ flow.record.head.trace }));
            found.extend(of_flow.map(|flow| self.show(&flow.record, flow.subjects.as_slice())));
        }
        for shard in &self.shards {
            let ring = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
            let of_flow =
                ring.records.iter().filter(|record| traces.contains(&{ record.head.trace }));
            found.extend(of_flow.map(|record| self.show(record, &[])));
        }
        found.sort_by_key(|record| (record.sent, record.started, record.span));
        found.split_off(found.len().saturating_sub(limit))
    }

    /// The time of the oldest record of flows, and of chatter: how far back this node can see.
    pub(crate) fn reaches_back(&self) -> (Option<u64>, Option<u64>) {
        let at = |record: &Record| self.epoch + flow::nanos_of(record.sent) / 1000;
        let flows = self
            .flows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .records
            .front()
            .map(|f| at(&f.record));
        let oldest = |shard: &Arc<Shard>| {
            let ring = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
            ring.records.get(ring.next).map(at)
        };
        // What every thread still has: the youngest of the oldest of those that have forgotten something.
        (flows, self.shards.iter().filter_map(oldest).max())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "recordings of several nodes are put in order by the time of day"
)]
fn epoch() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    now.saturating_sub(flow::nanos() / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(trace: u128, sent: u64) -> Record {
        let head = Head { trace, span: sent, ..Head::default() };
        Record {
            head,
            what: What::Handled,
            receiver: Life::NOBODY,
            label: "x",
            lane: None,
            sent,
            started: sent,
            ended: sent,
        }
    }

    fn about(id: &str) -> Box<Subjects> {
        let mut subjects = Subjects::default();
        subjects.add(id);
        Box::new(subjects)
    }

    #[test]
    fn a_subject_finds_its_whole_flow() {
        let recorder = Recorder::new(1, true, 2, 1 << 20, 1 << 20);
        recorder.flow(record(1, 10), about("task-1"));
        recorder.flow(record(2, 20), about("task-2"));
        recorder.shard(1).unwrap().push(record(1, 30_000));
        let spans = |records: Vec<FlowRecord>| records.iter().map(|r| r.span).collect::<Vec<_>>();
        assert_eq!(spans(recorder.find(Some("task-1"), None, 10)), [10, 30_000]);
        assert_eq!(spans(recorder.find(None, Some(FlowId(2)), 10)), [20]);
        assert_eq!(spans(recorder.find(Some("task-1"), None, 1)), [30_000], "the newest");
        assert!(recorder.find(Some("task-3"), None, 10).is_empty());
    }

    #[test]
    fn both_rings_are_bounded_by_bytes() {
        let recorder = Recorder::new(1, true, 1, 10 * size_of::<Record>(), 4000);
        for at in 0..1000 {
            recorder.flow(record(1, at), about("task"));
            recorder.chatter(record(1, at));
        }
        assert_eq!(recorder.shards[0].0.lock().unwrap().records.len(), 10);
        let flows = recorder.flows.lock().unwrap();
        assert!(flows.bytes <= 4000 && flows.records.len() > 10, "{} bytes", flows.bytes);
        assert_eq!(flows.records.back().unwrap().record.sent, 999);
    }
}
