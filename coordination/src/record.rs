//! The form of a durable record: its length and CRC32C, each four bytes, little-endian, then its bytes.

/// Bytes in front of a record's own.
pub(crate) const HEAD_BYTES: usize = 8;

/// Bytes that are no whole record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// The length says otherwise.
    #[error("it has {has} bytes, and its head says {says}")]
    Length {
        /// So many are there, behind the head.
        has: usize,
        /// So many should be.
        says: usize,
    },
    /// Shorter than a head.
    #[error("it has {0} bytes, fewer than its head")]
    NoHead(usize),
    /// The checksum says otherwise.
    #[error("its checksum is {has:08x}, and its head says {says:08x}")]
    Checksum {
        /// Of the bytes.
        has: u32,
        /// Of the head.
        says: u32,
    },
}

/// Wraps bytes as a record. More than 4 GiB is no record: stores have far lower limits.
pub fn seal(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("records are far below 4 GiB");
    let mut record = Vec::with_capacity(HEAD_BYTES + bytes.len());
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(&crc32c::crc32c(bytes).to_le_bytes());
    record.extend_from_slice(bytes);
    record
}

/// The bytes in a record.
pub fn unseal(record: &[u8]) -> Result<&[u8], BadRecord> {
    let Some((head, bytes)) = record.split_at_checked(HEAD_BYTES) else {
        return Err(BadRecord::NoHead(record.len()));
    };
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let says = usize::try_from(word(0)).unwrap_or(usize::MAX);
    if says != bytes.len() {
        return Err(BadRecord::Length { has: bytes.len(), says });
    }
    let has = crc32c::crc32c(bytes);
    if has != word(4) {
        return Err(BadRecord::Checksum { has, says: word(4) });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_every_damage_is_noticed() {
        let record = seal(b"who was admitted");
        assert_eq!(unseal(&record), Ok(&b"who was admitted"[..]));
        for at in 0..record.len() {
            let mut damaged = record.clone();
            damaged[at] ^= 1;
            assert!(unseal(&damaged).is_err(), "byte {at}");
            assert!(unseal(&record[..at]).is_err(), "cut at {at}");
        }
        assert_eq!(unseal(&seal(b"")), Ok(&b""[..]));
    }
}
