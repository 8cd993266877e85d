//! The wire: codec, frames, chunks, message headers. Pure; the only file that names the codec.
//!
//! `PROTOCOL.md` describes the same byte by byte. Nothing is allocated for a size that was not checked first.

mod frames;

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::flow::{self, Head};
use crate::message::Lane;
use crate::pid::Life;
pub use frames::{Assembler, Frame, Whole, next_frame};

/// What an actor connection begins with: no HTTP (a letter) and no TLS (0x16) does.
pub const MAGIC: [u8; 8] = [0xA1, b'i', b'r', b's', b'i', b'd', b'e', 1];
/// Bytes of a frame at most, its header included.
pub const MAX_FRAME: usize = 64 * 1024;
/// Length (4), lane, flags, two reserved bytes.
pub const FRAME_HEADER: usize = 8;
/// Bytes of a handshake's message at most.
pub const MAX_HELLO: usize = 1024;
/// Kind, flags, length of the name (2), receiver (24), head (64), type (8), number of the ask (8).
pub const MESSAGE_HEADER: usize = 108;

/// Texts of up to so many bytes, and of up to twice as many, are copied in one piece of that length.
const SHORT: usize = 16;

const FIRST: u8 = 1;
const LAST: u8 = 2;

/// What is wrong with bytes that came from a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A frame's length is not between 4 and 65,532.
    #[error("a frame announces {0} bytes, 4 to 65532 are allowed")]
    FrameLength(u32),
    /// A frame names a lane that does not exist, or has unknown flags.
    #[error("a frame has lane {lane} and flags {flags}")]
    FrameHeader {
        /// The lane's byte.
        lane: u8,
        /// The flags' byte.
        flags: u8,
    },
    /// A chunk without a beginning, or a beginning inside a message.
    #[error("a chunk out of order on the {0} lane")]
    ChunkOrder(&'static str),
    /// The chunks of one message exceed the limit.
    #[error("a message of more than {limit} bytes")]
    TooLarge {
        /// The limit it broke.
        limit: usize,
    },
    /// A message is shorter than its header says.
    #[error("a message of {0} bytes ends inside its header")]
    ShortMessage(usize),
    /// A message of a kind that this version does not know.
    #[error("a message of unknown kind {0}")]
    UnknownKind(u8),
    /// A statement of a runtime on a lane of users, or the other way round.
    #[error("a message of kind {kind:?} on the {lane} lane")]
    WrongLane {
        /// What came.
        kind: Kind,
        /// Where it came.
        lane: &'static str,
    },
    /// The payload is not of the type it claims.
    #[error("decode: {0}")]
    Decode(String),
}

/// For writing: no limit of its own, which would measure the value first; who takes the bytes keeps the limit.
fn options() -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().reject_trailing_bytes()
}

/// What is left of a message. It bounds what is read: a length is held against it before anything is allocated.
struct Source<'a> {
    rest: &'a [u8],
    /// Learns in the end how much was left.
    left: &'a Cell<usize>,
}

impl Drop for Source<'_> {
    fn drop(&mut self) {
        self.left.set(self.rest.len());
    }
}

impl<'a> Source<'a> {
    #[inline(always)]
    fn cut(&mut self, length: usize) -> Option<&'a [u8]> {
        let (cut, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(cut)
    }

    /// Short texts are most of what messages own, and a copy of a length that is known costs half of one that is not. The
    /// capacity is what an allocator gives for as many bytes anyway.
    #[inline(always)]
    fn copy(&mut self, length: usize) -> Option<Vec<u8>> {
        let here = self.rest;
        let bytes = self.cut(length)?;
        match length {
            0 => Some(Vec::new()),
            1..=SHORT => Some(copy_piece(here.first_chunk::<SHORT>(), bytes)),
            _ if length <= 2 * SHORT => {
                Some(copy_piece(here.first_chunk::<{ 2 * SHORT }>(), bytes))
            }
            _ => Some(bytes.to_vec()),
        }
    }
}

/// `bytes` as a vector; the piece begins with them.
#[inline(always)]
fn copy_piece<const N: usize>(piece: Option<&[u8; N]>, bytes: &[u8]) -> Vec<u8> {
    let Some(piece) = piece else { return bytes.to_vec() };
    let mut out = Vec::with_capacity(N);
    out.extend_from_slice(piece);
    out.truncate(bytes.len());
    out
}

#[cold]
fn too_short() -> bincode::Error {
    bincode::ErrorKind::Io(io::ErrorKind::UnexpectedEof.into()).into()
}

impl io::Read for Source<'_> {
    #[inline(always)]
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(bytes) = self.cut(out.len()) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        out.copy_from_slice(bytes);
        Ok(out.len())
    }

    #[inline(always)]
    fn read_exact(&mut self, out: &mut [u8]) -> io::Result<()> {
        self.read(out).map(|_| ())
    }
}

impl<'a> bincode::BincodeRead<'a> for Source<'a> {
    #[inline(always)]
    fn forward_read_str<V: serde::de::Visitor<'a>>(
        &mut self,
        length: usize,
        visitor: V,
    ) -> bincode::Result<V::Value> {
        let text = std::str::from_utf8(self.cut(length).ok_or_else(too_short)?)
            .map_err(bincode::ErrorKind::InvalidUtf8Encoding)?;
        visitor.visit_borrowed_str(text)
    }

    #[inline(always)]
    fn get_byte_buffer(&mut self, length: usize) -> bincode::Result<Vec<u8>> {
        self.copy(length).ok_or_else(too_short)
    }

    #[inline(always)]
    fn forward_read_bytes<V: serde::de::Visitor<'a>>(
        &mut self,
        length: usize,
        visitor: V,
    ) -> bincode::Result<V::Value> {
        visitor.visit_borrowed_bytes(self.cut(length).ok_or_else(too_short)?)
    }
}

/// Reads a whole value; trailing bytes are an error. The codec's own way there copies the value twice more.
#[inline(always)]
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    let left = Cell::new(0);
    let read = {
        let source = Source { rest: bytes, left: &left };
        T::deserialize(&mut bincode::Deserializer::with_bincode_read(source, options()))
    };
    match read {
        Ok(value) if left.get() == 0 => Ok(value),
        Ok(_) => Err(WireError::Decode(format!("{} bytes too many", left.get()))),
        Err(error) => Err(WireError::Decode(error.to_string())),
    }
}

/// Writes a value of at most `limit` bytes.
pub fn encode<T: Serialize>(value: &T, limit: usize) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::with_capacity(128);
    let mut writer = Bounded { out: &mut out, limit };
    options().serialize_into(&mut writer, value).map_err(|_| WireError::TooLarge { limit })?;
    Ok(out)
}

struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    limit: usize,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.len() + bytes.len() > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The node that a message comes from, and how a third node reaches that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From {
    /// Tells one from another without looking at it.
    id: u64,
    pub(crate) node: u64,
    pub(crate) way: Option<SocketAddr>,
}

impl From {
    pub(crate) fn new(node: u64, way: Option<SocketAddr>) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        Self { id: IDS.fetch_add(1, Relaxed), node, way }
    }
}

thread_local! {
    /// Where what is decoded on this thread came from last, and whether something is being decoded.
    static FROM: Cell<From> = const { Cell::new(From { id: 0, node: 0, way: None }) };
    static DECODES: Cell<bool> = const { Cell::new(false) };
}

/// The way to write into a pid of a node that does not listen.
pub(crate) fn way_of(life: Life) -> Option<SocketAddr> {
    let from = FROM.get();
    from.way.filter(|_| DECODES.get() && from.node == life.node)
}

/// Whatever `decode` decodes came from there. Not to be nested.
#[inline]
pub(crate) fn coming_from<R>(from: &From, decode: impl FnOnce() -> R) -> R {
    FROM.with(|last| {
        // Messages come in runs.
        if last.get().id != from.id {
            last.set(*from);
        }
    });
    DECODES.with(|decodes| decodes.set(true));
    let result = decode();
    DECODES.with(|decodes| decodes.set(false));
    result
}

/// Writes one message into a lane's buffer, cutting it into frames on the way.
pub(crate) struct FrameWriter<'a> {
    out: &'a mut Vec<u8>,
    lane: Lane,
    origin: usize,
    frame: usize,
    limit: usize,
    written: usize,
    room: usize,
}

impl<'a> FrameWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, lane: Lane, limit: usize) -> Self {
        let origin = out.len();
        out.extend_from_slice(&[0; FRAME_HEADER]);
        let room = MAX_FRAME - FRAME_HEADER;
        Self { out, lane, origin, frame: origin, limit, written: 0, room }
    }

    /// Raw bytes: headers, or a message that is relayed.
    pub(crate) fn put(&mut self, mut bytes: &[u8]) -> Result<(), WireError> {
        if self.written + bytes.len() > self.limit {
            return Err(WireError::TooLarge { limit: self.limit });
        }
        self.written += bytes.len();
        while bytes.len() > self.room {
            let (now, rest) = bytes.split_at(self.room);
            self.out.extend_from_slice(now);
            self.close_frame(0);
            self.frame = self.out.len();
            self.out.extend_from_slice(&[0; FRAME_HEADER]);
            self.room = MAX_FRAME - FRAME_HEADER;
            bytes = rest;
        }
        self.out.extend_from_slice(bytes);
        self.room -= bytes.len();
        Ok(())
    }

    /// The payload: written in one piece, and cut only if it is longer than the frame has room.
    pub(crate) fn payload<T: Serialize>(&mut self, value: &T) -> Result<(), WireError> {
        let start = self.out.len();
        options()
            .serialize_into(&mut *self.out, value)
            .map_err(|error| WireError::Decode(error.to_string()))?;
        let bytes = self.out.len() - start;
        if self.written + bytes > self.limit {
            return Err(WireError::TooLarge { limit: self.limit });
        }
        if bytes <= self.room {
            self.room -= bytes;
            self.written += bytes;
            return Ok(());
        }
        let rest = self.out.split_off(start + self.room);
        self.written += self.room;
        self.room = 0;
        self.put(&rest)
    }

    /// A payload that is likely to be long: measured first, and cut while it is written, so that it is copied once.
    pub(crate) fn long_payload<T: Serialize>(&mut self, value: &T) -> Result<(), WireError> {
        let failed = |error: bincode::Error| WireError::Decode(error.to_string());
        let size = options().serialized_size(value).map_err(failed)?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > self.limit.saturating_sub(self.written) {
            return Err(WireError::TooLarge { limit: self.limit });
        }
        self.out.reserve_exact(size + FRAME_HEADER * (2 + size / (MAX_FRAME - FRAME_HEADER)));
        options().serialize_into(self, value).map_err(failed)
    }

    fn close_frame(&mut self, last: u8) {
        let first = if self.frame == self.origin { FIRST } else { 0 };
        let length =
            u32::try_from(self.out.len() - self.frame - 4).expect("a frame is at most 64 KiB");
        let lane = u8::try_from(self.lane.index()).expect("three lanes");
        let header = &mut self.out[self.frame..self.frame + FRAME_HEADER];
        header[..4].copy_from_slice(&length.to_le_bytes());
        header[4] = lane;
        header[5] = first | last;
    }

    /// Completes the last frame; the bytes that the message takes in the buffer.
    pub(crate) fn finish(mut self) -> usize {
        self.close_frame(LAST);
        self.out.len() - self.origin
    }

    /// Takes the message back.
    pub(crate) fn undo(self) {
        self.out.truncate(self.origin);
    }
}

impl io::Write for &mut FrameWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One value as the frames of a message without header, appended: what encoding costs, for benches.
pub fn encode_frames<T: Serialize>(
    out: &mut Vec<u8>,
    lane: Lane,
    value: &T,
    limit: usize,
) -> Result<usize, WireError> {
    let mut writer = FrameWriter::new(out, lane, limit);
    match writer.payload(value) {
        Ok(()) => Ok(writer.finish()),
        Err(error) => {
            writer.undo();
            Err(error)
        }
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message that expects nothing.
    Tell,
    /// A message that expects one answer.
    Ask,
    /// An answer.
    Answer,
    /// Between runtimes: see `control.rs`.
    Control,
}

/// What precedes each payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Header<'a> {
    /// What follows.
    pub kind: Kind,
    /// Whether a relay has passed it on: there is one hop, not two.
    pub relayed: bool,
    /// The receiver; of a named one, all zero but the node, if known.
    pub(crate) to: Life,
    /// The receiver's name, if it has no pid yet.
    pub name: &'a str,
    /// The flow's.
    pub(crate) head: Head,
    /// Hash of the message's name.
    pub tag: u64,
    /// Which ask, or zero.
    pub ask: u64,
}

/// Where in a message the flag of relays is.
pub(crate) const FLAGS_AT: usize = 1;
/// The flag of relays.
pub(crate) const RELAYED: u8 = 1;

impl<'a> Header<'a> {
    /// The header's bytes; the name follows them.
    pub(crate) fn bytes(&self, now: impl FnOnce() -> u64) -> [u8; MESSAGE_HEADER] {
        let mut out = [0; MESSAGE_HEADER];
        out[0] = match self.kind {
            Kind::Tell => 1,
            Kind::Ask => 2,
            Kind::Answer => 3,
            Kind::Control => 4,
        };
        out[FLAGS_AT] = u8::from(self.relayed);
        let name = u16::try_from(self.name.len()).expect("names are at most 255 bytes");
        out[2..4].copy_from_slice(&name.to_le_bytes());
        out[4..12].copy_from_slice(&self.to.node.to_le_bytes());
        out[12..20].copy_from_slice(&self.to.incarnation.to_le_bytes());
        out[20..28].copy_from_slice(&self.to.actor.to_le_bytes());
        out[28..92].copy_from_slice(&self.head.to_wire(now));
        out[92..100].copy_from_slice(&self.tag.to_le_bytes());
        out[100..108].copy_from_slice(&self.ask.to_le_bytes());
        out
    }

    /// Reads a message's header; the payload is what follows it.
    #[inline]
    pub(crate) fn read(
        message: &'a [u8],
        now: impl FnOnce() -> u64,
    ) -> Result<(Self, &'a [u8]), WireError> {
        let short = || WireError::ShortMessage(message.len());
        let (fixed, rest) = message.split_first_chunk::<MESSAGE_HEADER>().ok_or_else(short)?;
        let kind = match fixed[0] {
            1 => Kind::Tell,
            2 => Kind::Ask,
            3 => Kind::Answer,
            4 => Kind::Control,
            unknown => return Err(WireError::UnknownKind(unknown)),
        };
        let word = |at| flow::word(fixed, at);
        let name = usize::from(u16::from_le_bytes([fixed[2], fixed[3]]));
        let (name, payload) = rest.split_at_checked(name).ok_or_else(short)?;
        let name = match name {
            [] => "",
            name => {
                std::str::from_utf8(name).map_err(|error| WireError::Decode(error.to_string()))?
            }
        };
        let to = Life { node: word(4), incarnation: word(12), actor: word(20) };
        let (head, _) = fixed[28..].split_first_chunk().expect("a head is within the header");
        let head = Head::from_wire(head, now);
        let relayed = fixed[FLAGS_AT] & RELAYED != 0;
        Ok((Header { kind, relayed, to, name, head, tag: word(92), ask: word(100) }, payload))
    }
}

/// The number of a message's type: 64-bit FNV-1a of its name.
pub const fn tag(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests;
