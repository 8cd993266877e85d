//! The writer of a connection: fetches what senders encoded and gives it to the kernel, lanes interleaved.

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{Conn, messages_in};
use crate::message::Lane;
use crate::wire::MAX_FRAME;

/// Bytes of a lane that go to the kernel before the other lanes are looked at again.
const SLICE: usize = MAX_FRAME;

/// Fetches of little after which a large buffer is given up.
const LITTLE: u32 = 16;

/// What the writer has fetched of one lane.
#[derive(Default)]
struct Fetched {
    bytes: Vec<u8>,
    at: usize,
    /// How often in a row there was little to write.
    little: u32,
}

impl Fetched {
    fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Whole frames of at most `SLICE` bytes, or all of it if that is not much more.
    fn slice(&self) -> &[u8] {
        let rest = &self.bytes[self.at..];
        if rest.len() <= SLICE {
            return rest;
        }
        let mut end = 0;
        while let Some(&[a, b, c, d]) = rest[end..].first_chunk::<4>() {
            let next = end + u32::from_le_bytes([a, b, c, d]) as usize + 4;
            if next > SLICE && end > 0 {
                break;
            }
            end = next;
        }
        &rest[..end]
    }
}

/// Runs until the connection is closed; then tries to get the control lane (a goodbye) out.
pub(crate) async fn write_loop(conn: &Conn, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut fetched: [Fetched; 3] = Default::default();
    loop {
        let closing = conn.is_closed();
        for lane in Lane::ALL {
            fetch(conn, lane, &mut fetched[lane.index()]);
        }
        if closing {
            write_lane(conn, Lane::Control, &mut fetched, &mut to).await?;
            return to.shutdown().await;
        }
        if fetched.iter().all(Fetched::is_empty) {
            conn.wake.notified().await;
            continue;
        }
        for lane in Lane::ALL {
            write_lane(conn, lane, &mut fetched, &mut to).await?;
        }
    }
}

fn fetch(conn: &Conn, lane: Lane, into: &mut Fetched) {
    if !into.is_empty() {
        return;
    }
    // What one burst needed is not kept for ever; but a stream of bursts keeps it.
    into.little = if into.bytes.len() > SLICE { 0 } else { into.little.saturating_add(1) };
    into.bytes.clear();
    into.at = 0;
    if into.little >= LITTLE && into.bytes.capacity() > 4 * SLICE {
        into.bytes.shrink_to(SLICE);
    }
    std::mem::swap(&mut conn.lane(lane).bytes, &mut into.bytes);
}

/// One slice of a lane. What is handed to the kernel counts as such before the call: it may go through even if the
/// call fails.
async fn write_lane(
    conn: &Conn,
    lane: Lane,
    fetched: &mut [Fetched; 3],
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mine = &mut fetched[lane.index()];
    if mine.is_empty() {
        return Ok(());
    }
    let slice = mine.slice();
    let length = slice.len();
    let messages = messages_in(slice);
    if lane != Lane::Control {
        conn.handed[lane.index() - 1].fetch_add(messages, Relaxed);
    }
    {
        let mut shared = conn.lane(lane);
        shared.messages = shared.messages.saturating_sub(messages);
    }
    let written = to.write_all(slice).await;
    mine.at += length;
    conn.written.fetch_add(length as u64, Relaxed);
    let mut shared = conn.lane(lane);
    shared.waiting = shared.waiting.saturating_sub(length);
    written
}
