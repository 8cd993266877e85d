//! The writer of a connection: fetches what senders encoded and gives it to the kernel, lanes interleaved.
//!
//! Whoever holds [`Writing`] writes: mostly the connection's task, but one who waits for an answer writes its question
//! itself if nothing is under way. A write never waits here: only the task does.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;

use super::{Conn, LaneBuffer};
use crate::message::Lane;
use crate::wire::{FRAME_HEADER, MAX_FRAME};

/// Bytes of a lane that go to the kernel before the other lanes are looked at again.
const SLICE: usize = MAX_FRAME;
/// Slices after which other tasks of the thread get their turn.
const SLICES_A_TURN: usize = 16;
/// Fetches of little after which a large buffer is given up.
const LITTLE: u32 = 16;

/// What the writer has fetched of one lane.
#[derive(Default)]
struct Fetched {
    bytes: Vec<u8>,
    at: usize,
    /// Where the slice ends that is being written.
    end: usize,
    /// How often in a row there was little to write.
    little: u32,
}

impl Fetched {
    fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Whether it has room that is given up in time.
    fn is_large(&self) -> bool {
        self.bytes.capacity() > 4 * SLICE
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

/// What is being written, and to where while there is a socket.
pub(super) struct Writing {
    fetched: [Fetched; 3],
    /// The lane whose slice is being written, or was last.
    on: Lane,
    to: Option<OwnedWriteHalf>,
}

impl Default for Writing {
    fn default() -> Self {
        Self { fetched: Default::default(), on: Lane::Control, to: None }
    }
}

impl Conn {
    /// Writes what was just encoded, if nothing else is under way and the kernel takes it. Otherwise the task has to.
    pub(super) fn write_at_once(&self) -> bool {
        let Ok(mut writing) = self.writing.try_lock() else {
            return false;
        };
        let idle = writing.to.is_some() && writing.fetched.iter().all(Fetched::is_empty);
        idle && matches!(self.write(&mut writing, &Lane::ALL, None), Poll::Ready(Ok(())))
    }

    /// Writes slices of these lanes until nothing is left. One that has begun is brought to its end first, whichever
    /// its lane. Pending if the kernel takes no more, or others want their turn: the task, if it is one, is woken then.
    fn write(
        &self,
        writing: &mut Writing,
        lanes: &[Lane],
        mut task: Option<&mut Context<'_>>,
    ) -> Poll<io::Result<()>> {
        let Writing { fetched, on, to } = writing;
        let Some(to) = to else {
            return Poll::Ready(Ok(()));
        };
        for _ in 0..SLICES_A_TURN {
            if fetched[on.index()].at == fetched[on.index()].end {
                match self.next_slice(fetched, *on, lanes) {
                    Some(lane) => *on = lane,
                    None => return Poll::Ready(Ok(())),
                }
            }
            let mine = &mut fetched[on.index()];
            while mine.at < mine.end {
                let bytes = &mine.bytes[mine.at..mine.end];
                let written = match &mut task {
                    Some(task) => ready!(Pin::new(&mut *to).poll_write(task, bytes))?,
                    None => match to.try_write(bytes) {
                        Err(full) if full.kind() == io::ErrorKind::WouldBlock => {
                            return Poll::Pending;
                        }
                        written => written?,
                    },
                };
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                mine.at += written;
                self.written.fetch_add(written as u64, Relaxed);
                self.drained(*on, written);
            }
        }
        if let Some(task) = task {
            task.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Begins the next slice: of the control lane if it has something, of the others in turn. What is handed to the
    /// kernel counts as such before the call: it may go through even if the call fails.
    fn next_slice(&self, fetched: &mut [Fetched; 3], last: Lane, lanes: &[Lane]) -> Option<Lane> {
        let turn = match last {
            Lane::Normal => [Lane::Control, Lane::Bulk, Lane::Normal],
            Lane::Control | Lane::Bulk => Lane::ALL,
        };
        for lane in turn.into_iter().filter(|lane| lanes.contains(lane)) {
            let mine = &mut fetched[lane.index()];
            if mine.is_empty() && !mine.is_large() && !self.waits[lane.index()].load(Relaxed) {
                continue;
            }
            let mut shared = self.lane(lane);
            if mine.is_empty() {
                self.fetch(lane, &mut shared, mine);
            }
            if mine.is_empty() {
                continue;
            }
            let slice = mine.slice();
            let messages = messages_in(slice);
            mine.end = mine.at + slice.len();
            if lane != Lane::Control {
                self.handed[lane.index() - 1].fetch_add(messages, Relaxed);
            }
            shared.messages = shared.messages.saturating_sub(messages);
            return Some(lane);
        }
        None
    }

    fn fetch(&self, lane: Lane, shared: &mut LaneBuffer, into: &mut Fetched) {
        // What one burst needed is not kept for ever; but a stream of bursts keeps it.
        into.little = if into.bytes.len() > SLICE { 0 } else { into.little.saturating_add(1) };
        into.bytes.clear();
        (into.at, into.end) = (0, 0);
        if into.little >= LITTLE && into.is_large() {
            into.bytes.shrink_to(SLICE);
            if shared.bytes.is_empty() {
                shared.bytes.shrink_to(SLICE);
            }
        }
        match shared.before.pop_front() {
            Some(long) => into.bytes = long,
            // What is large stays here, where it is looked after.
            None if into.is_large() && shared.bytes.len() <= SLICE => {
                into.bytes.append(&mut shared.bytes);
            }
            None => std::mem::swap(&mut shared.bytes, &mut into.bytes),
        }
        let more = !(shared.before.is_empty() && shared.bytes.is_empty());
        self.waits[lane.index()].store(more, Relaxed);
    }

    fn writing(&self) -> std::sync::MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket goes: nothing more is written.
    pub(crate) fn let_go(&self) {
        self.writing().to = None;
    }
}

/// Runs until the connection is closed; then tries to get the control lane (a goodbye) out.
pub(crate) async fn write_loop(conn: &Conn, to: OwnedWriteHalf) -> io::Result<()> {
    conn.writing().to = Some(to);
    loop {
        let closing = conn.is_closed();
        let lanes: &[Lane] = if closing { &[Lane::Control] } else { &Lane::ALL };
        poll_fn(|task| conn.write(&mut conn.writing(), lanes, Some(task))).await?;
        if closing {
            // The peer reads the end.
            conn.let_go();
            return Ok(());
        }
        conn.wake.notified().await;
    }
}

/// Messages that end in these whole frames.
pub(super) fn messages_in(mut frames: &[u8]) -> u64 {
    let mut count = 0;
    while let Some(&[a, b, c, d]) = frames.first_chunk::<4>() {
        count += u64::from(frames.get(5).is_some_and(|flags| flags & 2 != 0));
        let whole = u32::from_le_bytes([a, b, c, d]) as usize + 4;
        debug_assert!(whole >= FRAME_HEADER, "our own frames have headers");
        frames = frames.get(whole..).unwrap_or_default();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::{Bounds, Outgoing};
    use crate::control::Control;
    use crate::flow::Head;
    use crate::message::Blob;
    use crate::metrics::CutKind;
    use crate::pid::Life;
    use crate::wire::{self, Assembler, Header, Kind, next_frame};

    fn conn() -> Conn {
        Conn::new(
            1,
            Life::NOBODY,
            None,
            Bounds { message: 1 << 20, buffer: 4 << 20, window: 99, version: 1 },
        )
    }

    fn send(conn: &Conn, lane: Lane, ask: u64, length: usize) {
        let to = Life { node: 1, incarnation: 1, actor: 1 };
        let value = &Blob(vec![9; length]);
        let (kind, name, head, tag, since, label) = (Kind::Tell, "", Head::default(), 0, 1, "x");
        conn.send(&Outgoing { kind, lane, to, name, head, tag, ask, since, label, value }).unwrap();
    }

    /// Takes everything, as if a kernel had; the numbers of the whole messages.
    fn write_out(conn: &Conn) -> Vec<(Lane, u64)> {
        let mut fetched: [Fetched; 3] = Default::default();
        let (mut bytes, mut on) = (Vec::new(), Lane::Control);
        while let Some(lane) = conn.next_slice(&mut fetched, on, &Lane::ALL) {
            let mine = &mut fetched[lane.index()];
            assert!(mine.end - mine.at <= SLICE, "others wait for no more than a slice");
            bytes.extend_from_slice(&mine.bytes[mine.at..mine.end]);
            (mine.at, on) = (mine.end, lane);
        }
        let (mut assembler, mut rest, mut seen) = (Assembler::default(), &bytes[..], Vec::new());
        while let Some(frame) = next_frame(rest).unwrap() {
            if let Some(message) = assembler.push(&frame, rest, 1 << 20).unwrap() {
                let (header, payload) = Header::read(message.bytes(), || 0).unwrap();
                wire::decode::<Blob>(payload).unwrap();
                seen.push((frame.lane, header.ask));
            }
            rest = &rest[frame.body.end..];
        }
        assert!(rest.is_empty());
        seen
    }

    #[test]
    fn long_and_short_messages_of_a_lane_keep_their_order() {
        let conn = conn();
        let lengths = [10, 200_000, 20, 65_000, 300_000, 1, 70_000, 64_000, 2];
        for (number, length) in (0..).zip(lengths) {
            send(&conn, Lane::Bulk, number, length);
        }
        assert_eq!(conn.queued(), 9);
        let numbers: Vec<u64> = write_out(&conn).into_iter().map(|(_, number)| number).collect();
        assert_eq!(numbers, (0..9).collect::<Vec<_>>());
        assert_eq!((conn.queued(), conn.handed[1].load(Relaxed)), (0, 9));
    }

    #[test]
    fn what_runtimes_say_is_passed_on_beyond_a_full_buffer_until_the_peer_is_cut() {
        let bounds = Bounds { message: 1 << 20, buffer: 1000, window: 99, version: 1 };
        let conn = Conn::new(1, Life::NOBODY, None, bounds);
        let refused = (1..1000).find(|_| conn.relay(Lane::Control, &[0; 200]).is_err());
        assert_eq!(
            refused,
            Some(16_000 / 208 + 2),
            "sixteen buffers, and the one that passes the line"
        );
        assert_eq!(conn.cut_for.get(), Some(&CutKind::Full));
    }

    #[test]
    fn what_bursts_needed_is_given_up_though_only_the_control_lane_goes_on() {
        let conn = conn();
        let mut fetched: [Fetched; 3] = Default::default();
        let mut write_out = || {
            let mut on = Lane::Control;
            while let Some(lane) = conn.next_slice(&mut fetched, on, &Lane::ALL) {
                let mine = &mut fetched[lane.index()];
                (mine.at, on) = (mine.end, lane);
            }
            let lanes = [Lane::Normal, Lane::Bulk];
            let kept = lanes.map(|lane| {
                fetched[lane.index()].bytes.capacity() + conn.lane(lane).bytes.capacity()
            });
            kept.into_iter().sum::<usize>()
        };
        for burst in [8, 8, 1] {
            (0..burst).for_each(|_| send(&conn, Lane::Normal, 1, 100_000));
            send(&conn, Lane::Bulk, 1, burst * 100_000);
            assert!(write_out() > 1_000_000);
        }
        let mut kept = 0;
        for _ in 0..=2 * LITTLE {
            conn.control(Life::NOBODY, 0, &Control::Resolve { name: String::new() });
            kept = write_out();
        }
        assert!(kept <= 8 * SLICE, "{kept}");
    }

    #[test]
    fn lanes_take_turns_and_none_waits_behind_a_long_message() {
        let conn = conn();
        send(&conn, Lane::Bulk, 1, 500_000);
        send(&conn, Lane::Normal, 2, 10);
        send(&conn, Lane::Bulk, 3, 10);
        let ends = [(Lane::Normal, 2), (Lane::Bulk, 1), (Lane::Bulk, 3)];
        assert_eq!(write_out(&conn), ends);
    }
}
