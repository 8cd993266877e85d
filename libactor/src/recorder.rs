//! The flight recorder: what each actor handled and when, in two rings of memory bounded by bytes.
//!
//! Messages without subjects are chatter and go to a ring of the thread; those with subjects belong to flows of tasks
//! and offers, go to the node's ring, and to the ring file if there is one.

pub(crate) mod chatter;
pub(crate) mod payloads;

use std::collections::{BTreeSet, VecDeque};
use std::mem::size_of;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::flow::{self, FlowId, Head};
use crate::message::{Lane, Message, Subjects};
use crate::pid::{Life, NodeId, Pid};
use crate::ringfile::{Found, RingFile, Wanted};
use chatter::Shard;
use payloads::Payloads;

/// Records that wait for the file's thread at most; what exceeds them is counted as lost.
const WAITING: usize = 8192;

/// How long what was recorded waits for more before it is written: far less than `WAITING` take to come.
const GATHERED_FOR: Duration = Duration::from_millis(1);

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

/// A record in memory: no strings of its own, and two lines of a core's cache long.
#[derive(Clone, Copy)]
#[repr(C, packed(8))]
pub(crate) struct Record {
    trace: u128,
    span: u64,
    parent: u64,
    sender: Life,
    receiver: Life,
    pub(crate) label: &'static str,
    /// Stamps of [`flow::stamp`].
    sent: u64,
    started: u64,
    ended: u64,
    sequence: u16,
    what: What,
    lane: Option<Lane>,
}

const _: () = assert!(size_of::<Record>() == 128);

impl Record {
    /// Of the message with this head. `at`: stamps of when it was sent, and of when its handling began and ended.
    #[inline(always)]
    pub(crate) fn new(
        head: &Head,
        what: What,
        receiver: Life,
        (label, lane): (&'static str, Option<Lane>),
        at: [u64; 3],
    ) -> Self {
        let Head { trace, span, parent, sender, .. } = *head;
        let [sent, started, ended] = at;
        let sequence = u16::try_from(head.sequence()).unwrap_or(u16::MAX);
        Self {
            trace,
            span,
            parent,
            sender,
            receiver,
            label,
            sent,
            started,
            ended,
            sequence,
            what,
            lane,
        }
    }
}

/// Turns records in memory into those that others read.
#[derive(Clone, Copy)]
struct Showing {
    node: u64,
    /// Microseconds since 1970 when the process's clock stood at 0.
    epoch: u64,
}

impl Showing {
    fn at(self, stamp: u64) -> u64 {
        self.epoch + flow::nanos_of(stamp) / 1000
    }

    fn show(self, record: &Record, subjects: &[String]) -> FlowRecord {
        let Record { trace, span, parent, sender, receiver, label, sent, started, ended, .. } =
            *record;
        let Record { sequence, what, lane, .. } = *record;
        FlowRecord {
            trace: FlowId(trace),
            span,
            parent,
            sequence: sequence.into(),
            what,
            label: label.to_owned(),
            subjects: subjects.to_vec(),
            sender: (!sender.is_nobody()).then(|| sender.via(None)),
            receiver: receiver.via(None),
            node: NodeId(self.node),
            sent: self.at(sent),
            started: self.at(started),
            ended: self.at(ended),
            lane,
        }
    }
}

/// A message with subjects, which all who have it share.
#[derive(Clone)]
struct Flow {
    record: Record,
    subjects: Arc<Subjects>,
}

impl Flow {
    fn trace(&self) -> FlowId {
        FlowId(self.record.trace)
    }

    fn bytes(&self) -> usize {
        let text = |subject: &String| subject.capacity() + size_of::<String>();
        size_of::<Self>() + self.subjects.as_slice().iter().map(text).sum::<usize>()
    }
}

#[derive(Default)]
struct Flows {
    records: VecDeque<Flow>,
    bytes: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The recorder of a node.
pub(crate) struct Recorder {
    showing: Showing,
    on: bool,
    shards: Vec<Arc<Shard>>,
    flows: Mutex<Flows>,
    flow_bytes: usize,
    writer: Mutex<Option<(SyncSender<Flow>, JoinHandle<()>)>>,
    /// Where it writes.
    file: OnceLock<PathBuf>,
    /// Whether there were flows that memory has not, of this life or one before.
    forgot: AtomicBool,
    lost: AtomicU64,
    payloads: Payloads,
}

impl Recorder {
    /// `chatter` and `flows` in bytes; `threads` share the chatter.
    pub(crate) fn new(node: u64, on: bool, threads: usize, chatter: usize, flows: usize) -> Self {
        if on {
            flow::record_stamps();
        }
        let most = chatter / threads.max(1) / size_of::<Record>();
        let shard = |_| Arc::new(Shard::new(most));
        let shards = (0..threads.max(1)).map(shard).collect();
        let (writer, file, forgot, lost, payloads) = Default::default();
        Self {
            showing: Showing { node, epoch: epoch() },
            on,
            shards,
            flows: Mutex::default(),
            flow_bytes: flows,
            writer,
            file,
            forgot,
            lost,
            payloads,
        }
    }

    /// From here on flows go to the file too.
    pub(crate) fn write_to(&self, mut file: RingFile) -> std::io::Result<()> {
        let (send, flows) = sync_channel::<Flow>(WAITING);
        let showing = self.showing;
        self.forgot.store(file.is_older(), Relaxed);
        self.file.get_or_init(|| file.path().to_owned());
        let writer = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || {
            while let Ok(first) = flows.recv() {
                // Who sends need not wake this thread for each of many.
                #[allow(clippy::disallowed_methods, reason = "no actor is on this thread")]
                std::thread::sleep(GATHERED_FOR);
                for Flow { record, subjects } in std::iter::once(first).chain(flows.try_iter()) {
                    let record = showing.show(&record, subjects.as_slice());
                    if let Err(error) = file.append(&record) {
                        tracing::warn!(%error, path = %file.path().display(), "the recording is not written any more");
                        return;
                    }
                }
            }
        })?;
        *lock(&self.writer) = Some((send, writer));
        Ok(())
    }

    /// All that was recorded is in the file when this returns.
    pub(crate) fn close(&self) {
        let writer = lock(&self.writer).take();
        if let Some((flows, writer)) = writer {
            drop(flows);
            if writer.join().is_err() {
                tracing::error!("the recorder's thread has panicked");
            }
        }
    }

    /// The file, if it may have what memory has not.
    pub(crate) fn file_beyond_memory(&self) -> Option<&Path> {
        self.file.get().filter(|_| self.forgot.load(Relaxed)).map(PathBuf::as_path)
    }

    /// The ring for the chatter of thread `number`; none if nothing is recorded.
    pub(crate) fn shard(&self, number: usize) -> Option<Arc<Shard>> {
        self.on.then(|| Arc::clone(&self.shards[number % self.shards.len()]))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    pub(crate) fn payloads(&self) -> &Payloads {
        &self.payloads
    }

    /// What a message says, if somebody asked for it. Out of the way of all that nobody asks for.
    #[cold]
    #[inline(never)]
    pub(crate) fn keep_payload<M: Message>(
        &self,
        record: &Record,
        subjects: &[String],
        message: &M,
    ) {
        let show = |record: &Record| self.showing.show(record, &[]);
        self.payloads.keep(record, subjects, message, show);
    }

    /// Records that the file's thread was too slow for.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// A message with subjects.
    pub(crate) fn flow(&self, record: Record, subjects: Arc<Subjects>) {
        if !self.on {
            return;
        }
        let flow = Flow { record, subjects };
        if let Some((writer, _)) = &*lock(&self.writer)
            && writer.try_send(flow.clone()).is_err()
        {
            self.lost.fetch_add(1, Relaxed);
        }
        let mut flows = lock(&self.flows);
        flows.bytes += flow.bytes();
        flows.records.push_back(flow);
        while flows.bytes > self.flow_bytes
            && let Some(oldest) = flows.records.pop_front()
        {
            flows.bytes -= oldest.bytes();
            self.forgot.store(true, Relaxed);
        }
    }

    /// A message without subjects, recorded by no actor's thread.
    pub(crate) fn chatter(&self, record: Record) {
        if let Some(shard) = self.shard(0) {
            shard.push(|| record);
        }
    }

    /// What memory has of what is wanted, by time.
    pub(crate) fn find(&self, wanted: &Wanted) -> Found {
        let mut traces = wanted.flows.clone();
        let mut found: Vec<(Record, Option<Arc<Subjects>>)> = Vec::new();
        {
            // Actors wait for this lock: what others read is made of it afterwards.
            let flows = lock(&self.flows);
            let about = |flow: &&Flow| {
                let subjects = flow.subjects.as_slice();
                wanted.subject.as_ref().is_some_and(|id| subjects.contains(id))
            };
            traces.extend(flows.records.iter().filter(about).map(Flow::trace));
            let of_flow = flows.records.iter().filter(|flow| traces.contains(&flow.trace()));
            found.extend(of_flow.map(|flow| (flow.record, Some(Arc::clone(&flow.subjects)))));
        }
        for shard in &self.shards {
            shard.each(|record| {
                if traces.contains(&FlowId(record.trace)) {
                    found.push((*record, None));
                }
            });
        }
        found.sort_by_key(|(record, _)| (record.sent, record.started, record.span));
        let newest = found.split_off(found.len().saturating_sub(wanted.limit));
        let show = |(record, subjects): &(Record, Option<Arc<Subjects>>)| {
            let subjects = subjects.as_deref().map_or(&[][..], Subjects::as_slice);
            self.showing.show(record, subjects)
        };
        Found { records: newest.iter().map(show).collect(), flows: traces, since: None }
    }

    /// All messages with subjects that memory has, the oldest first.
    pub(crate) fn all_flows(&self) -> Vec<FlowRecord> {
        let flows: Vec<Flow> = lock(&self.flows).records.iter().cloned().collect();
        let show = |flow: &Flow| self.showing.show(&flow.record, flow.subjects.as_slice());
        flows.iter().map(show).collect()
    }

    /// The ids of flows in memory from `first` to `last`, no more than `most`.
    pub(crate) fn ids(&self, first: FlowId, last: FlowId, most: usize) -> BTreeSet<FlowId> {
        let mut found = BTreeSet::new();
        let mut see = |record: &Record| {
            let trace = FlowId(record.trace);
            if (first..=last).contains(&trace) && found.len() < most {
                found.insert(trace);
            }
        };
        lock(&self.flows).records.iter().for_each(|flow| see(&flow.record));
        for shard in &self.shards {
            shard.each(&mut see);
        }
        found
    }

    /// The time of the oldest record of flows, and of chatter: how far back this node can see.
    pub(crate) fn reaches_back(&self) -> (Option<u64>, Option<u64>) {
        let at = |record: &Record| self.showing.at(record.sent);
        let flows = lock(&self.flows).records.front().map(|flow| at(&flow.record));
        let oldest = |shard: &Arc<Shard>| shard.oldest().as_ref().map(at);
        // What every thread still has: the youngest of the oldest of those that have forgotten something.
        (flows, self.shards.iter().filter_map(oldest).max())
    }
}

/// A reading of the wall clock, in microseconds, and what the process's clock showed just before and just after it.
struct Bracketed {
    before: u64,
    wall: u64,
    after: u64,
}

#[expect(
    clippy::disallowed_methods,
    reason = "recordings of several nodes are put in order by the time of day"
)]
fn read_both() -> Bracketed {
    let before = flow::nanos();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let wall = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
    Bracketed { before, wall, after: flow::nanos() }
}

/// When the process's clock began, by the wall clock. A thread may lose its core between two readings, for longer than
/// messages take from node to node; so the pair that lies closest together of several counts.
fn epoch() -> u64 {
    began(&std::array::from_fn::<_, 8, _>(|_| read_both()))
}

fn began(readings: &[Bracketed]) -> u64 {
    let closest = readings.iter().min_by_key(|read| read.after.saturating_sub(read.before));
    closest.map_or(0, |read| read.wall.saturating_sub(read.before.midpoint(read.after) / 1000))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record(trace: u128, sent: u64) -> Record {
        let head = Head { trace, span: sent, ..Head::default() };
        Record::new(&head, What::Handled, Life::NOBODY, ("x", None), [sent; 3])
    }

    #[test]
    fn a_core_lost_between_two_clocks_does_not_shift_a_recording() {
        let at = |before, wall, after| Bracketed { before, wall, after };
        let quick = at(2_000_000, 7_002_000, 2_001_000);
        let late = |wall| at(1_000_000, wall, 9_000_000);
        assert_eq!(began(&[late(7_001_000), quick, late(7_009_000)]), 7_000_000);
    }

    fn about(id: &str) -> Arc<Subjects> {
        let mut subjects = Subjects::default();
        subjects.add(id);
        Arc::new(subjects)
    }

    #[test]
    fn a_subject_finds_its_whole_flow() {
        let recorder = Recorder::new(1, true, 2, 1 << 20, 1 << 20);
        recorder.flow(record(1, 10), about("task-1"));
        recorder.flow(record(2, 20), about("task-2"));
        recorder.shard(1).unwrap().push(|| record(1, 30_000));
        let spans = |subject: Option<&str>, flow: Option<u128>, limit| {
            let subject = subject.map(str::to_owned);
            let flows = flow.into_iter().map(FlowId).collect();
            let found = recorder.find(&Wanted { subject, flows, limit });
            found.records.iter().map(|r| r.span).collect::<Vec<_>>()
        };
        assert_eq!(spans(Some("task-1"), None, 10), [10, 30_000]);
        assert_eq!(spans(None, Some(2), 10), [20]);
        assert_eq!(spans(Some("task-1"), None, 1), [30_000], "the newest");
        assert!(spans(Some("task-3"), None, 10).is_empty());
        let ids = |first, last| recorder.ids(FlowId(first), FlowId(last), 10);
        assert_eq!(ids(1, 9), [FlowId(1), FlowId(2)].into());
        assert_eq!(ids(2, 2), [FlowId(2)].into());
    }

    #[test]
    fn both_rings_are_bounded_by_bytes() {
        let recorder = Recorder::new(1, true, 1, 10 * size_of::<Record>(), 4000);
        for at in 0..1000 {
            recorder.flow(record(1, at), about("task"));
            recorder.chatter(record(1, at));
        }
        let mut chatter = 0;
        recorder.shards[0].each(|_| chatter += 1);
        assert_eq!(chatter, 10);
        let flows = recorder.flows.lock().unwrap();
        assert!(flows.bytes <= 4000 && flows.records.len() > 10, "{} bytes", flows.bytes);
        assert_eq!(flows.records.back().unwrap().record.sent, 999);
    }
}
