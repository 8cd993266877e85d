//! The ring file: framed, checksummed records of flows, overwritten from the front once the file has its size.
//!
//! Readable while it is written and after a crash: a reader looks for frames whose checksum holds. It reads piece by piece,
//! and decodes only what it was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::flow::FlowId;
use crate::recorder::FlowRecord;
use crate::wire;

/// A node's ring file in its work directory.
pub const FILE_NAME: &str = "flow.ring";
/// First bytes of the file, with the form of its records: a file of another form is begun anew; then the number of the next record (8) and where it goes (8).
const HEADER: [u8; 8] = *b"AIRFLOW2";
const HEADER_BYTES: u64 = 24;
/// First bytes of each frame; then length (4), CRC32C of number and payload (4), number (8).
const MARK: [u8; 4] = [0xF1, 0x0A, 0x1A, 0x5E];
const FRAME_BYTES: usize = 20;
/// Bytes of one record at most.
const MAX_RECORD: usize = 16 << 10;

/// The writing end.
pub(crate) struct RingFile {
    path: PathBuf,
    file: File,
    size: u64,
    number: u64,
    at: u64,
}

impl RingFile {
    /// Opens or creates the file and goes on where it was left.
    pub(crate) fn open(work_dir: &Path, size: u64) -> io::Result<Self> {
        let path = work_dir.join(FILE_NAME);
        let file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
        let (number, at) = read_header(&file)
            .filter(|(_, at)| (HEADER_BYTES..=size).contains(at))
            .unwrap_or((0, HEADER_BYTES));
        Ok(Self { path, file, size: size.max(HEADER_BYTES + MAX_RECORD as u64 * 2), number, at })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it has records of an earlier life of the node.
    pub(crate) fn is_older(&self) -> bool {
        self.number > 0
    }

    /// One record. A record too large for the file is left out.
    pub(crate) fn append(&mut self, record: &FlowRecord) -> io::Result<()> {
        let Some(frame) = framed(self.number, record) else {
            return Ok(());
        };
        if self.at + frame.len() as u64 > self.size {
            self.at = HEADER_BYTES;
        }
        self.file.write_all_at(&frame, self.at)?;
        self.at += frame.len() as u64;
        self.number += 1;
        self.file.write_all_at(&header(self.number, self.at), 0)
    }
}

fn header(number: u64, at: u64) -> Vec<u8> {
    [HEADER, number.to_le_bytes(), at.to_le_bytes()].concat()
}

fn framed(number: u64, record: &FlowRecord) -> Option<Vec<u8>> {
    let payload = wire::encode(record, MAX_RECORD).ok()?;
    let mut frame = Vec::with_capacity(FRAME_BYTES + payload.len());
    frame.extend_from_slice(&MARK);
    frame.extend_from_slice(&u32::try_from(payload.len()).expect("at most 16 KiB").to_le_bytes());
    frame.extend_from_slice(&checksum(number, &payload).to_le_bytes());
    frame.extend_from_slice(&number.to_le_bytes());
    frame.extend_from_slice(&payload);
    Some(frame)
}

/// Writes records to a file that is not there yet, whoever owns the folder: nothing that others put there is followed.
pub(crate) fn leave(path: &Path, records: &[FlowRecord]) -> io::Result<()> {
    let mut frames = Vec::new();
    for (number, record) in (0..).zip(records) {
        frames.extend(framed(number, record).unwrap_or_default());
    }
    let mut bytes = header(records.len() as u64, HEADER_BYTES + frames.len() as u64);
    bytes.append(&mut frames);
    File::options().write(true).create_new(true).open(path)?.write_all_at(&bytes, 0)
}

fn checksum(number: u64, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), payload)
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default()))
}

fn read_header(file: &File) -> Option<(u64, u64)> {
    let mut header = [0; 24];
    file.read_exact_at(&mut header, 0).ok()?;
    header.starts_with(&HEADER).then(|| (word(&header[8..]), word(&header[16..])))
}

/// Bytes read at a time.
const PIECE: usize = 1 << 20;
/// Ids of flows that one question may lead to.
const FLOWS_MAX: usize = 10_000;

/// A file that cannot be read as a recording.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be opened or read.
    #[error("cannot read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else.
    #[error(
        "{0} is not a recording of flows; a node writes one to {FILE_NAME} in its work directory"
    )]
    NotOne(PathBuf),
    /// Written by another version.
    #[error("{path} is a recording in form {form}, and this version reads {}", form_of(&HEADER))]
    OtherForm {
        /// The file.
        path: PathBuf,
        /// What the file says of itself.
        form: String,
    },
}

/// What of a recording is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// All of the flows in which a message was about this.
    pub subject: Option<String>,
    /// And these.
    pub flows: BTreeSet<FlowId>,
    /// The newest so many records.
    pub limit: usize,
}

/// What was wanted and is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The oldest first.
    pub records: Vec<FlowRecord>,
    /// The flows they are of.
    pub flows: BTreeSet<FlowId>,
    /// The time of the oldest record of the file, whatever it is of; microseconds since 1970.
    pub since: Option<u64>,
}

/// A ring file to be read: that of a node that runs or of one that is dead.
#[derive(Debug)]
pub struct Recording {
    file: File,
    path: PathBuf,
}

impl Recording {
    /// Opens a file; `path` is the file or the work directory.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let path = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
        let failed = |source| ReadError::Io { path: path.clone(), source };
        let file = File::open(&path).map_err(failed)?;
        let mut begin = [0; HEADER.len()];
        match file.read_exact_at(&mut begin, 0) {
            Ok(()) if begin == HEADER => Ok(Self { file, path }),
            // It is being made: its header comes with its first record.
            Ok(()) if begin == [0; HEADER.len()] => Ok(Self { file, path }),
            Err(_) if file.metadata().is_ok_and(|made| made.len() == 0) => Ok(Self { file, path }),
            Ok(()) if begin.starts_with(&HEADER[..7]) => {
                Err(ReadError::OtherForm { path, form: form_of(&begin) })
            }
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(failed(error)),
            Ok(()) | Err(_) => Err(ReadError::NotOne(path)),
        }
    }

    /// What is wanted of it.
    pub fn find(&self, wanted: &Wanted) -> Result<Found, ReadError> {
        let mut found = Found { flows: wanted.flows.clone(), ..Found::default() };
        if let Some(subject) = &wanted.subject {
            self.each(|_, payload| {
                // Most are not, and need not be decoded.
                let may_be = holds(payload, subject.as_bytes()) && found.flows.len() < FLOWS_MAX;
                let record = may_be.then(|| decode(payload)).flatten();
                let about = record.filter(|record| record.subjects.contains(subject));
                found.flows.extend(about.map(|record| record.trace));
            })?;
        }
        let (mut records, mut oldest) = (BTreeMap::new(), (u64::MAX, None));
        self.each(|number, payload| {
            if number < oldest.0 {
                oldest = (number, decode(payload).map(|record| record.sent));
            }
            if trace_of(payload).is_some_and(|trace| found.flows.contains(&trace)) {
                records.extend(decode(payload).map(|record| (number, record)));
                if records.len() > wanted.limit {
                    records.pop_first();
                }
            }
        })?;
        found.records = records.into_values().collect();
        found.since = oldest.1;
        Ok(found)
    }

    /// The ids of flows from `first` to `last`, no more than `most`.
    pub fn flows(
        &self,
        first: FlowId,
        last: FlowId,
        most: usize,
    ) -> Result<BTreeSet<FlowId>, ReadError> {
        let mut found = BTreeSet::new();
        self.each(|_, payload| {
            let trace = trace_of(payload).filter(|trace| (first..=last).contains(trace));
            found.extend(trace.filter(|_| found.len() < most));
        })?;
        Ok(found)
    }

    /// Shows all whole records, in no order.
    fn each(&self, mut see: impl FnMut(u64, &[u8])) -> Result<(), ReadError> {
        let mut piece = Vec::new();
        let mut at = HEADER_BYTES;
        loop {
            let left = piece.len();
            piece.resize(left + PIECE, 0);
            let read = self.file.read_at(&mut piece[left..], at);
            let read = read.map_err(|source| ReadError::Io { path: self.path.clone(), source })?;
            piece.truncate(left + read);
            at += read as u64;
            let seen = frames(&piece, read == 0, &mut see);
            piece.drain(..seen);
            if read == 0 {
                return Ok(());
            }
        }
    }
}

/// Shows the whole records of a piece of the file. How many of its bytes are done with.
fn frames(piece: &[u8], is_last: bool, see: &mut impl FnMut(u64, &[u8])) -> usize {
    let mut at = 0;
    while let Some(ahead) = piece[at..].iter().position(|byte| *byte == MARK[0]) {
        at += ahead;
        match frame(&piece[at..]) {
            Frame::Whole { number, payload, length } => {
                see(number, payload);
                at += length;
            }
            // The next piece may have the rest of it.
            Frame::Cut if !is_last => return at,
            // Inside a record that was partly overwritten or never written whole.
            Frame::Cut | Frame::None => at += 1,
        }
    }
    piece.len()
}

enum Frame<'a> {
    Whole { number: u64, payload: &'a [u8], length: usize },
    Cut,
    None,
}

fn frame(bytes: &[u8]) -> Frame<'_> {
    let (begin, rest) = bytes.split_at(bytes.len().min(MARK.len()));
    if !MARK.starts_with(begin) {
        return Frame::None;
    }
    let Some(header) = rest.get(..FRAME_BYTES - MARK.len()) else {
        return Frame::Cut;
    };
    let length = number(&header[..4]);
    if length > MAX_RECORD {
        return Frame::None;
    }
    let Some(payload) = bytes.get(FRAME_BYTES..FRAME_BYTES + length) else {
        return Frame::Cut;
    };
    let record = word(&header[8..16]);
    if u64::from(checksum(record, payload)) != word(&header[4..8]) {
        return Frame::None;
    }
    Frame::Whole { number: record, payload, length: FRAME_BYTES + length }
}

fn number(bytes: &[u8]) -> usize {
    usize::try_from(word(bytes)).unwrap_or(usize::MAX)
}

fn decode(payload: &[u8]) -> Option<FlowRecord> {
    wire::decode(payload).ok()
}

/// A record begins with its flow.
fn trace_of(payload: &[u8]) -> Option<FlowId> {
    payload.first_chunk().map(|bytes| FlowId(u128::from_le_bytes(*bytes)))
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else { return true };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(part) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

fn form_of(header: &[u8]) -> String {
    String::from_utf8_lossy(header).into_owned()
}

/// All whole records of a recording that was fetched from elsewhere, the oldest first; `None` if it is something else.
pub fn read_bytes(bytes: &[u8]) -> Option<Vec<FlowRecord>> {
    let rest = bytes.starts_with(&HEADER).then(|| bytes.get(24..)).flatten()?;
    let mut all = BTreeMap::new();
    frames(rest, true, &mut |number, payload| {
        all.extend(decode(payload).map(|record| (number, record)));
    });
    Some(all.into_values().collect())
}

/// Reads a ring file: all records that are whole, the oldest first. `path` is the file or the work directory.
pub fn read(path: &Path) -> Result<Vec<FlowRecord>, ReadError> {
    let mut all = BTreeMap::new();
    Recording::open(path)?
        .each(|number, payload| all.extend(decode(payload).map(|record| (number, record))))?;
    Ok(all.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::FlowId;
    use crate::message::Lane;
    use crate::pid::{NodeId, Pid};
    use crate::recorder::What;

    fn record(span: u64) -> FlowRecord {
        FlowRecord {
            trace: FlowId(1),
            span,
            parent: 0,
            sequence: 0,
            what: What::Handled,
            label: "Launch".to_owned(),
            subjects: vec!["task-1".to_owned()],
            sender: None,
            receiver: Pid::invented(1, 2),
            node: NodeId(1),
            sent: 1,
            started: 2,
            ended: 3,
            lane: Some(Lane::Normal),
        }
    }

    #[test]
    fn a_recording_goes_on_where_it_was_left_and_forgets_the_oldest() {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..2 {
            let mut file = RingFile::open(dir.path(), 40 << 10).unwrap();
            for span in 0..1000 {
                file.append(&record(round * 1000 + span)).unwrap();
            }
        }
        let read = read(dir.path()).unwrap();
        let spans: Vec<_> = read.iter().map(|record| record.span).collect();
        let first = spans[0];
        assert_eq!(spans, (first..2000).collect::<Vec<_>>(), "without a gap to the newest");
        assert!((1700..1900).contains(&first), "40 KiB hold less than 300: {first}");
        assert!(std::fs::metadata(dir.path().join(FILE_NAME)).unwrap().len() <= 41 << 10);
    }

    #[test]
    fn a_torn_or_damaged_record_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = RingFile::open(dir.path(), 1 << 20).unwrap();
        (0..3).for_each(|span| file.append(&record(span)).unwrap());
        let path = dir.path().join(FILE_NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        let one = (bytes.len() - 24) / 3;
        bytes[24 + one + 40] ^= 1;
        bytes.truncate(bytes.len() + 7 - one);
        bytes.extend_from_slice(&[0; 30]);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(read(&path).unwrap(), [record(0)]);
    }

    #[test]
    fn records_are_found_by_what_they_are_about_by_flow_and_by_the_beginning_of_its_id() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = RingFile::open(dir.path(), 4 << 20).unwrap();
        let of = |trace: u128, span| FlowRecord { trace: FlowId(trace), ..record(span) };
        // More than one piece of the file, so that some records lie across two.
        for span in 1..=9000 {
            let subjects = vec![format!("task-{}", span % 3000)];
            file.append(&FlowRecord { subjects, ..of(u128::from(span % 3000), span) }).unwrap();
        }
        file.append(&FlowRecord { subjects: vec![], ..of(7, 9001) }).unwrap();
        assert!(std::fs::metadata(file.path()).unwrap().len() > 2 * PIECE as u64 / 2);
        let recording = Recording::open(dir.path()).unwrap();
        let spans = |wanted: Wanted| {
            let found = recording.find(&wanted).unwrap();
            assert_eq!(found.since, Some(1));
            found.records.iter().map(|record| record.span).collect::<Vec<_>>()
        };
        let subject = Some("task-7".to_owned());
        let all = Wanted { subject, limit: 10, ..Wanted::default() };
        assert_eq!(spans(all.clone()), [7, 3007, 6007, 9001], "the whole flow");
        assert_eq!(spans(Wanted { limit: 2, ..all }), [6007, 9001], "the newest");
        let flows = [FlowId(8), FlowId(9)].into();
        assert_eq!(spans(Wanted { flows, limit: 9, ..Wanted::default() }).len(), 6);
        let range = recording.flows(FlowId(2990), FlowId(5000), 100).unwrap();
        assert_eq!(range, (2990..3000).map(FlowId).collect());
        assert_eq!(recording.flows(FlowId(0), FlowId(5000), 100).unwrap().len(), 100);
    }

    #[test]
    fn a_recording_that_was_left_is_read_and_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let records = [record(1), record(2)];
        leave(&path, &records).unwrap();
        assert_eq!(read(dir.path()).unwrap(), records);
        assert_eq!(read_bytes(&std::fs::read(&path).unwrap()).unwrap(), records);
        assert_eq!(read_bytes(b"a text"), None);
        assert_eq!(leave(&path, &[]).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    /// Whoever asks in the moment in which a node makes its file hears of no records, and of no complaint.
    #[test]
    fn a_file_that_is_being_made_has_no_records_yet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for begun in [&b""[..], &[0; 24]] {
            std::fs::write(&path, begun).unwrap();
            assert_eq!(read(&path).unwrap(), []);
        }
    }

    #[test]
    fn what_is_no_recording_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let words = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path).unwrap_err().to_string().replace(&path.display().to_string(), "FILE")
        };
        let not_one = "FILE is not a recording of flows; a node writes one to flow.ring in its work directory";
        assert_eq!(words(b"some text"), not_one);
        assert_eq!(
            words(b"AIRFLOW1 and so on"),
            "FILE is a recording in form AIRFLOW1, and this version reads AIRFLOW2"
        );
        let none = read(&dir.path().join("none")).unwrap_err();
        assert!(matches!(none, ReadError::Io { .. }), "{none}");
    }
}
