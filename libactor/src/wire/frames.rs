//! Frames as they are read: found in a buffer, and put together again to whole messages.

use std::ops::Range;

use super::{FIRST, FRAME_HEADER, LAST, MAX_FRAME, WireError};
use crate::message::Lane;

/// One frame in a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its stream.
    pub lane: Lane,
    /// Whether a message begins here.
    pub first: bool,
    /// Whether a message ends here.
    pub last: bool,
    /// Where its bytes are.
    pub body: Range<usize>,
}

/// The frame at the beginning of `buffer`, or `None` while it is not whole.
pub fn next_frame(buffer: &[u8]) -> Result<Option<Frame>, WireError> {
    let Some(&[a, b, c, d]) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes([a, b, c, d]);
    let whole = length as usize + 4;
    if !(FRAME_HEADER..=MAX_FRAME).contains(&whole) {
        return Err(WireError::FrameLength(length));
    }
    let Some(&[.., lane, flags, _, _]) = buffer.first_chunk::<FRAME_HEADER>() else {
        return Ok(None);
    };
    let Some(named) = Lane::ALL.get(usize::from(lane)).filter(|_| flags & !(FIRST | LAST) == 0)
    else {
        return Err(WireError::FrameHeader { lane, flags });
    };
    if buffer.len() < whole {
        return Ok(None);
    }
    Ok(Some(Frame {
        lane: *named,
        first: flags & FIRST != 0,
        last: flags & LAST != 0,
        body: FRAME_HEADER..whole,
    }))
}

/// Puts the chunks of each lane together again.
#[derive(Debug, Default)]
pub struct Assembler {
    pub(super) partial: [Option<Vec<u8>>; 3],
}

impl Assembler {
    /// Takes a frame; the whole message if it is the last of one. A message of one frame is not copied.
    pub fn push<'a>(
        &'a mut self,
        frame: &Frame,
        buffer: &'a [u8],
        limit: usize,
    ) -> Result<Option<Whole<'a>>, WireError> {
        let bytes = &buffer[frame.body.clone()];
        let slot = &mut self.partial[frame.lane.index()];
        if frame.first != slot.is_none() {
            return Err(WireError::ChunkOrder(frame.lane.word()));
        }
        if slot.as_ref().map_or(0, Vec::len) + bytes.len() > limit {
            return Err(WireError::TooLarge { limit });
        }
        if frame.first && frame.last {
            return Ok(Some(Whole::Borrowed(bytes)));
        }
        slot.get_or_insert_default().extend_from_slice(bytes);
        Ok(if frame.last { slot.take().map(Whole::Owned) } else { None })
    }
}

/// A whole message.
#[derive(Debug)]
pub enum Whole<'a> {
    /// Still in the read buffer.
    Borrowed(&'a [u8]),
    /// Put together from chunks.
    Owned(Vec<u8>),
}

impl Whole<'_> {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}
