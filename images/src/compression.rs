//! Undoes the compression of layers. What counts is how the bytes begin, not what the manifest says they are.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

/// The most memory that a zstd frame may ask us to keep: 2 to the power of this, in bytes.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// So many bytes tell.
pub(crate) const BEGIN_BYTES: usize = 4;

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
    /// Forms that no registry uses, told apart so that the error says which.
    Other(&'static str),
}

fn packing(begin: &[u8]) -> Packing {
    match begin {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        // A frame, or one of those that are to be passed over, with which some writers begin.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Packing::Zstd,
        [b'B', b'Z', b'h', ..] => Packing::Other("bzip2"),
        [0xfd, b'7', b'z', b'X', ..] => Packing::Other("xz"),
        _ => Packing::Plain,
    }
}

/// Whether bytes that begin so are compressed.
pub(crate) fn is_packed(begin: &[u8]) -> bool {
    packing(begin) != Packing::Plain
}

/// The bytes unpacked. `input` must give its first [`BEGIN_BYTES`] in one piece.
pub(crate) fn unpacked<'a>(mut input: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match packing(input.fill_buf()?) {
        Packing::Plain => Box::new(input),
        Packing::Gzip => Box::new(MultiGzDecoder::new(input)),
        Packing::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(input)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
        Packing::Other(name) => {
            let words = format!("it is compressed with {name}; gzip and zstd are supported");
            return Err(io::Error::new(io::ErrorKind::Unsupported, words));
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        unpacked(bytes)?.read_to_end(&mut out)?;
        Ok(out)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_zstd_and_nothing_are_told_apart_by_their_bytes() {
        assert_eq!(read(b"plain").unwrap(), b"plain");
        assert_eq!(read(b"").unwrap(), b"");
        assert_eq!(read(&gzip(b"packed")).unwrap(), b"packed");
        assert_eq!(read(&[gzip(b"one "), gzip(b"two")].concat()).unwrap(), b"one two");
        assert_eq!(read(&zstd::encode_all(&b"packed"[..], 1).unwrap()).unwrap(), b"packed");
    }

    #[test]
    fn what_is_not_supported_is_named_and_what_is_cut_is_an_error() {
        assert!(read(b"BZh9").unwrap_err().to_string().contains("bzip2"));
        assert!(read(b"\xfd7zXZ\0").unwrap_err().to_string().contains("xz"));
        let packed = gzip(&[7; 10_000]);
        assert!(read(&packed[..packed.len() - 9]).is_err());
        let packed = zstd::encode_all(&[7; 10_000][..], 1).unwrap();
        assert!(read(&packed[..packed.len() - 1]).is_err());
    }
}
