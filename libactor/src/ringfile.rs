//! The ring file: framed, checksummed records of flows, overwritten from the front once the file has its size.
//!
//! Readable while it is written and after a crash: a reader looks for frames whose checksum holds.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

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

    /// One record. A record too large for the file is left out.
    pub(crate) fn append(&mut self, record: &FlowRecord) -> io::Result<()> {
        let Ok(payload) = wire::encode(record, MAX_RECORD) else {
            return Ok(());
        };
        let mut frame = Vec::with_capacity(FRAME_BYTES + payload.len());
        frame.extend_from_slice(&MARK);
        frame.extend_from_slice(
            &u32::try_from(payload.len()).expect("at most 16 KiB").to_le_bytes(),
        );
        frame.extend_from_slice(&checksum(self.number, &payload).to_le_bytes());
        frame.extend_from_slice(&self.number.to_le_bytes());
        frame.extend_from_slice(&payload);
        if self.at + frame.len() as u64 > self.size {
            self.at = HEADER_BYTES;
        }
        self.file.write_all_at(&frame, self.at)?;
        self.at += frame.len() as u64;
        self.number += 1;
        let mut header = HEADER.to_vec();
        header.extend_from_slice(&self.number.to_le_bytes());
        header.extend_from_slice(&self.at.to_le_bytes());
        self.file.write_all_at(&header, 0)
    }
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

/// Reads a ring file: all records that are whole, the oldest first. `path` is the file or the work directory.
pub fn read(path: &Path) -> io::Result<Vec<FlowRecord>> {
    let path = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
    let mut bytes = Vec::new();
    File::open(&path)?.read_to_end(&mut bytes)?;
    if !bytes.starts_with(&HEADER) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} is not a recording", path.display()),
        ));
    }
    let mut found = Vec::new();
    let mut at = 24;
    while at + FRAME_BYTES <= bytes.len() {
        match frame(&bytes[at..]) {
            Some((number, record, length)) => {
                found.push((number, record));
                at += length;
            }
            // Inside a record that was partly overwritten.
            None => at += 1,
        }
    }
    found.sort_by_key(|(number, _)| *number);
    Ok(found.into_iter().map(|(_, record)| record).collect())
}

fn frame(bytes: &[u8]) -> Option<(u64, FlowRecord, usize)> {
    let header = bytes.strip_prefix(&MARK)?;
    let length = usize::try_from(word(&header[..4])).ok().filter(|length| *length <= MAX_RECORD)?;
    let payload = bytes.get(FRAME_BYTES..FRAME_BYTES + length)?;
    let number = word(&header[8..16]);
    let whole = u64::from(checksum(number, payload)) == word(&header[4..8]);
    let record = whole.then(|| wire::decode(payload).ok()).flatten()?;
    Some((number, record, FRAME_BYTES + length))
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
        assert_eq!(read(&dir.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
