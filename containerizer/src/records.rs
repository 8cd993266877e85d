//! How what an executor ran has ended, written down where the agent finds it: before it is told, so that neither an agent that
//! was away nor the death of whoever wrote it loses it. On disk before [`write()`] returns, whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use libactor::wire;
use protocol::task::{Exit, TaskStatus};
use serde::{Deserialize, Serialize};

/// The name of the file in an executor's folder of records.
const FILE_NAME: &str = "ended";
/// No record is larger.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// What has ended. On disk, and read by later versions: variants are only added, at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// The task of an executor of command tasks; as it tells its agent.
    Task(Box<TaskStatus>),
    /// A framework's own executor, told by its shim.
    Executor(Exit),
}

/// Writes it down.
pub fn write(folder: &Path, ended: &Ended) -> io::Result<()> {
    let record = wire::encode(ended, RECORD_BYTES_MAX).map_err(io::Error::other)?;
    let beside = folder.join("ended.new");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(&crc32c::crc32c(&record).to_le_bytes())?;
    file.write_all(&record)?;
    file.sync_all()?;
    std::fs::rename(&beside, folder.join(FILE_NAME))?;
    File::open(folder)?.sync_all()
}

/// What was written down; nothing if nothing was, or if the disk did not keep it whole.
pub fn read(folder: &Path) -> Option<Ended> {
    let bytes = std::fs::read(folder.join(FILE_NAME)).ok()?;
    let (sum, record) = bytes.split_first_chunk::<4>()?;
    if crc32c::crc32c(record) != u32::from_le_bytes(*sum) {
        return None;
    }
    wire::decode(record).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_found_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), None);
        for ended in [Ended::Executor(Exit::Code(3)), Ended::Executor(Exit::Signal(9))] {
            write(dir.path(), &ended).unwrap();
            assert_eq!(read(dir.path()), Some(ended));
        }
        let path = dir.path().join(FILE_NAME);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(read(dir.path()), None, "cut at {cut}");
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(read(dir.path()), None, "bit {bit}");
        }
    }
}
