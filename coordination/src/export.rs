//! A registry as one file, for backup and for moving between stores. The file is a row of records: first one that says of which
//! cluster and epoch, and how many follow; then one for each record of the registry, in the order of their keys.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use prost::Message;

use crate::election::Reign;
use crate::record::{BadRecord, HEAD_BYTES, seal, unseal};
use crate::store::{RECORD_BYTES_MAX, StoreError};

/// The form that is described above. A later one has a higher number.
const FORM: u32 = 1;

/// The most bytes of one record of a file: a registry's largest, with its key.
const BYTES_MAX: usize = RECORD_BYTES_MAX + (64 << 10);

/// More reigns than any cluster has between an export and its import.
const EPOCHS_LOST: u64 = 1_000_000;

/// The epoch of an import. What its place remembers is no proof that no later reign was ever seen: the place may be new, since
/// the one before is lost, or may have been rewound to an older state of itself.
pub(crate) fn epoch_above_all(here: Option<u64>, export: u64) -> Result<u64, StoreError> {
    let newest = here.unwrap_or_default().max(export);
    newest.checked_add(EPOCHS_LOST).ok_or_else(|| StoreError::Refused {
        reason: format!(
            "cannot import above epoch {newest}: no cluster has had so many reigns, so what names it is damaged; import another export"
        ),
    })
}

/// All that a registry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Whose it is.
    pub cluster: String,
    /// The newest reign when it was exported.
    pub epoch: u64,
    /// Its records.
    pub records: BTreeMap<String, Vec<u8>>,
}

/// A store whose registry can be taken out and put in as a whole.
pub trait Portable {
    /// The whole registry, as it was at one moment.
    fn export(&mut self) -> Result<Export, StoreError>;

    /// Replaces the whole registry, while no master runs. The epoch is far above those here and in the export, and so above
    /// all that agents may have seen since: none takes the next master for an old one. An import that was interrupted is
    /// noticed, and repeated.
    fn import(&mut self, export: &Export) -> Result<Reign, StoreError>;
}

/// Why bytes are no export.
#[derive(Debug, thiserror::Error)]
pub enum BadExport {
    /// They cannot be read.
    #[error("failed to read the export")]
    Read(#[source] io::Error),
    /// They end too early.
    #[error("the export ends after {0} records, in the middle")]
    Short(u64),
    /// One of them is damaged.
    #[error("record {number} of the export is damaged")]
    Damaged {
        /// Counted from the head, which is 0.
        number: u64,
        /// What is wrong.
        source: BadRecord,
    },
    /// One of them is whole and makes no sense.
    #[error("record {number} is not what an export holds; is the file an export of a registry?")]
    Content {
        /// Counted from the head, which is 0.
        number: u64,
        /// What is wrong.
        source: prost::DecodeError,
    },
    /// A later version wrote it.
    #[error(
        "the export was written by a later version: its form is {0}, and this version knows {FORM}"
    )]
    Later(u32),
}

#[derive(Message)]
struct Head {
    #[prost(uint32, tag = "1")]
    form: u32,
    #[prost(string, tag = "2")]
    cluster: String,
    #[prost(uint64, tag = "3")]
    epoch: u64,
    #[prost(uint64, tag = "4")]
    records: u64,
}

#[derive(Message)]
struct Line {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

impl Export {
    /// Writes all of it.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let records = u64::try_from(self.records.len()).expect("counts fit");
        let cluster = self.cluster.clone();
        let head = Head { form: FORM, cluster, epoch: self.epoch, records };
        to.write_all(&seal(&head.encode_to_vec()))?;
        for (key, value) in &self.records {
            let line = Line { key: key.clone(), value: value.clone() };
            to.write_all(&seal(&line.encode_to_vec()))?;
        }
        to.flush()
    }

    /// Reads all of it.
    pub fn read(from: &mut impl Read) -> Result<Self, BadExport> {
        let head: Head = next(from, 0)?;
        if head.form > FORM {
            return Err(BadExport::Later(head.form));
        }
        let mut records = BTreeMap::new();
        for number in 1..=head.records {
            let line: Line = next(from, number)?;
            records.insert(line.key, line.value);
        }
        Ok(Self { cluster: head.cluster, epoch: head.epoch, records })
    }
}

fn next<M: Message + Default>(from: &mut impl Read, number: u64) -> Result<M, BadExport> {
    let fill = |from: &mut dyn Read, bytes: &mut [u8]| {
        from.read_exact(bytes).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                return BadExport::Short(number);
            }
            BadExport::Read(error)
        })
    };
    let mut record = vec![0; HEAD_BYTES];
    fill(from, &mut record)?;
    let says = u32::from_le_bytes([record[0], record[1], record[2], record[3]]);
    let says = usize::try_from(says).unwrap_or(usize::MAX);
    if says > BYTES_MAX {
        let source = BadRecord::Length { has: BYTES_MAX, says };
        return Err(BadExport::Damaged { number, source });
    }
    record.resize(HEAD_BYTES + says, 0);
    fill(from, &mut record[HEAD_BYTES..])?;
    let bytes = unseal(&record).map_err(|source| BadExport::Damaged { number, source })?;
    M::decode(bytes).map_err(|source| BadExport::Content { number, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export() -> Export {
        let records = [("agents/1", b"who".to_vec()), ("frameworks/2", Vec::new())];
        let records = records.map(|(key, value)| (key.to_owned(), value)).into();
        Export { cluster: "c1".into(), epoch: 7, records }
    }

    #[test]
    fn an_export_comes_back_and_every_cut_and_flipped_bit_is_noticed() {
        let mut file = Vec::new();
        export().write(&mut file).unwrap();
        assert_eq!(Export::read(&mut file.as_slice()).unwrap(), export());
        for at in 0..file.len() {
            assert!(Export::read(&mut &file[..at]).is_err(), "cut at {at}");
            let mut damaged = file.clone();
            damaged[at] ^= 0x40;
            assert!(Export::read(&mut damaged.as_slice()).is_err(), "byte {at}");
        }
        let error = Export::read(&mut &b"this is some other file"[..]).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
        let later = seal(&Head { form: 9, ..Head::default() }.encode_to_vec());
        let error = Export::read(&mut later.as_slice()).unwrap_err();
        assert!(error.to_string().contains("later version"), "{error}");
    }

    #[test]
    fn an_epoch_that_nothing_can_be_above_is_refused() {
        assert!(epoch_above_all(Some(7), 9).unwrap() > 9);
        for (here, export) in [(None, u64::MAX), (Some(u64::MAX - 1), 7)] {
            let error = epoch_above_all(here, export).unwrap_err();
            assert!(error.to_string().contains("damaged"), "{error}");
        }
    }
}
