//! What the store writes down, and how: a line with the kind, the version and a checksum, then JSON. Pure. A record that
//! is torn or damaged is as good as none: what it told of is pulled again.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::image_config::ImageConfig;
use crate::reference::Reference;
use crate::unpack::{Form, Report};

/// Of the form below. A record of another version is none.
const VERSION: u32 = 1;

/// An image that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    pub(crate) reference: Reference,
    /// Of its manifest; of its configuration where there is none.
    pub(crate) digest: Digest,
    /// Unpacked, from the bottom up.
    pub(crate) layers: Vec<Digest>,
    pub(crate) config: ImageConfig,
}

/// A layer that is there. It lies beside what was unpacked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    pub(crate) diff_id: Digest,
    pub(crate) form: Form,
    pub(crate) report: Report,
    /// The boot of the machine in which it was written, as long as the disk may not have all of it.
    pub(crate) unsettled_in: Option<String>,
}

/// A kind of record.
pub(crate) trait Record: Serialize + DeserializeOwned {
    const KIND: &str;
}

impl Record for ImageRecord {
    const KIND: &str = "airside-image";
}

impl Record for LayerRecord {
    const KIND: &str = "airside-layer";
}

/// The bytes of a record.
pub(crate) fn write<R: Record>(record: &R) -> Vec<u8> {
    let json = serde_json::to_vec(record).expect("a record has no keys that are not text");
    let mut bytes = format!("{} {VERSION} {:08x}\n", R::KIND, crc32c::crc32c(&json)).into_bytes();
    bytes.extend(json);
    bytes
}

/// The record in `bytes`; `None` if there is none.
pub(crate) fn read<R: Record>(bytes: &[u8]) -> Option<R> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let json = &bytes[end + 1..];
    let expected = format!("{} {VERSION} {:08x}", R::KIND, crc32c::crc32c(json));
    (bytes[..end] == *expected.as_bytes()).then(|| serde_json::from_slice(json).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image() -> ImageRecord {
        let reference = Reference::parse("h:1/app:v1", "docker.io").unwrap();
        let digest = Digest::of(b"m");
        ImageRecord {
            reference,
            digest,
            layers: vec![Digest::of(b"l")],
            config: ImageConfig::default(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let bytes = write(&image());
        assert_eq!(read(&bytes), Some(image()));
        assert_eq!(read::<LayerRecord>(&bytes), None);
        assert_eq!(read::<ImageRecord>(b""), None);
        let newer = String::from_utf8(bytes).unwrap().replace("image 1 ", "image 2 ");
        assert_eq!(read::<ImageRecord>(newer.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn no_torn_or_damaged_record_is_taken(at in 0_usize..1000, byte: u8, cut: bool) {
            let mut bytes = write(&image());
            let at = at % bytes.len();
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] = byte;
            }
            let found = read::<ImageRecord>(&bytes);
            prop_assert!(found.is_none() || bytes == write(&image()));
        }
    }
}
