//! Trace context: which cause set off what a thread is doing now, carried in the head of every envelope.

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::pid::Life;

/// The causal tree of messages that one cause set off.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct FlowId(pub u128);

impl FlowId {
    /// Hexadecimal digits of an id.
    const DIGITS: usize = 32;

    /// The first and the last id that begin with `prefix`, as people see ids; `None` if none does.
    pub fn begun_by(prefix: &str) -> Option<(Self, Self)> {
        let digits = prefix.len();
        if digits == 0 || digits > Self::DIGITS || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let rest = u32::try_from(4 * (Self::DIGITS - digits)).ok()?;
        let first = u128::from_str_radix(prefix, 16).ok()?.checked_shl(rest)?;
        let last = first | 1u128.checked_shl(rest)?.wrapping_sub(1);
        Some((Self(first), Self(last)))
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// 64 bytes in every envelope. Set by the runtime; there is no API to send without it.
// Packed to words: an allocation aligned to 16 bytes takes the allocator's slow way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, packed(8))]
pub(crate) struct Head {
    pub(crate) trace: u128,
    /// This message.
    pub(crate) span: u64,
    /// The message in whose handling it was sent.
    pub(crate) parent: u64,
    /// 16 bits: how many messages that handling had sent before; 48 bits: deadline in ms of [`now_ms`], 0 = none.
    pub(crate) order: u64,
    pub(crate) sender: Life,
}

/// Eight bytes as a number.
#[inline]
pub(crate) fn word(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

const DEADLINE_BITS: u32 = 48;
const DEADLINE_MASK: u64 = (1 << DEADLINE_BITS) - 1;

impl Head {
    pub(crate) fn sequence(&self) -> u64 {
        self.order >> DEADLINE_BITS
    }

    pub(crate) fn deadline(&self) -> u64 {
        self.order & DEADLINE_MASK
    }

    /// With this sequence.
    pub(crate) fn counted(self, sent: u64) -> Self {
        Self { order: sent.min(0xffff) << DEADLINE_BITS | self.deadline(), ..self }
    }

    /// On the wire the deadline is what is left of it, since clocks differ.
    pub(crate) fn to_wire(self, now: impl FnOnce() -> u64) -> [u8; 64] {
        let left = match self.deadline() {
            0 => 0,
            deadline => deadline.saturating_sub(now()).max(1),
        };
        let mut out = [0; 64];
        out[..16].copy_from_slice(&self.trace.to_le_bytes());
        let words = [
            self.span,
            self.parent,
            self.sequence() << DEADLINE_BITS | left,
            self.sender.node,
            self.sender.incarnation,
            self.sender.actor,
        ];
        for (at, word) in words.iter().enumerate() {
            out[16 + at * 8..24 + at * 8].copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    #[inline]
    pub(crate) fn from_wire(bytes: &[u8; 64], now: impl FnOnce() -> u64) -> Self {
        let word = |at| word(bytes, at);
        let left = word(32) & DEADLINE_MASK;
        let deadline = if left == 0 { 0 } else { (now() + left) & DEADLINE_MASK };
        Self {
            trace: u128::from(word(8)) << 64 | u128::from(word(0)),
            span: word(16),
            parent: word(24),
            order: word(32) & !DEADLINE_MASK | deadline,
            sender: Life { node: word(40), incarnation: word(48), actor: word(56) },
        }
    }
}

/// What a thread is handling. Cell by cell: a whole that is copied just after its parts were written waits for them.
struct Current {
    trace: Cell<u128>,
    span: Cell<u64>,
    sent: Cell<u64>,
    deadline: Cell<u64>,
    node: Cell<u64>,
    incarnation: Cell<u64>,
    actor: Cell<u64>,
}

impl Current {
    const fn new() -> Self {
        Self {
            trace: Cell::new(0),
            span: Cell::new(0),
            sent: Cell::new(0),
            deadline: Cell::new(0),
            node: Cell::new(0),
            incarnation: Cell::new(0),
            actor: Cell::new(0),
        }
    }

    #[inline(always)]
    fn set(&self, head: &Head, actor: Life) {
        self.trace.set(head.trace);
        self.span.set(head.span);
        self.sent.set(0);
        self.deadline.set(head.deadline());
        self.node.set(actor.node);
        self.incarnation.set(actor.incarnation);
        self.actor.set(actor.actor);
    }

    fn actor(&self) -> Life {
        let (node, incarnation, actor) =
            (self.node.get(), self.incarnation.get(), self.actor.get());
        Life { node, incarnation, actor }
    }

    /// As a head, of which [`Current::set`] makes the same again but for what was sent.
    fn as_head(&self) -> Head {
        let (trace, span, order) = (self.trace.get(), self.span.get(), self.deadline.get());
        Head { trace, span, parent: 0, order, sender: self.actor() }
    }
}

thread_local! {
    static CURRENT: Current = const { Current::new() };
    static NUMBERS: Cell<u64> = const { Cell::new(0) };
    /// When the turn of this thread began or its last message was handled; 0 on threads without actors.
    static STAMP: Cell<u64> = const { Cell::new(0) };
}

/// The flow of what this thread is handling.
pub(crate) fn current() -> FlowId {
    FlowId(CURRENT.with(|current| current.trace.get()))
}

/// Ends with the handling: puts back what was before.
pub(crate) struct Turn {
    before: Head,
    sent: u64,
}

impl Drop for Turn {
    fn drop(&mut self) {
        CURRENT.with(|current| {
            current.set(&self.before, self.before.sender);
            current.sent.set(self.sent);
        });
    }
}

/// From here until the guard goes, sends belong to `head`'s flow and come from `actor`.
#[inline]
pub(crate) fn enter(head: &Head, actor: Life) -> Turn {
    CURRENT.with(|current| {
        let turn = Turn { before: current.as_head(), sent: current.sent.get() };
        current.set(head, actor);
        turn
    })
}

/// From here until the next message, or the end of the actor's turn: see [`enter`], which puts back what was before.
#[inline]
pub(crate) fn handling(head: &Head, actor: Life) {
    CURRENT.with(|current| current.set(head, actor));
}

/// Makes what is handled now the root of a new flow.
pub(crate) fn begin() -> FlowId {
    let trace = new_trace();
    CURRENT.with(|current| {
        current.trace.set(trace);
        current.span.set(number());
    });
    FlowId(trace)
}

/// The head of the next message that this thread sends. `deadline` in [`now_ms`]; 0 inherits.
#[inline(always)]
pub(crate) fn next_head(deadline: u64) -> Head {
    CURRENT.with(|current| {
        let (trace, sent) = (current.trace.get(), current.sent.get());
        let deadline = if deadline == 0 { current.deadline.get() } else { deadline };
        current.sent.set(sent + 1);
        Head {
            trace: if trace == 0 { new_trace() } else { trace },
            span: number(),
            parent: current.span.get(),
            order: sent.min(0xffff) << DEADLINE_BITS | deadline & DEADLINE_MASK,
            sender: current.actor(),
        }
    })
}

/// The head under which what is handled now goes on later, after a future or a timer: what it sends then has the same
/// parent as what it sends now, and is counted on from there. Where nothing is handled, a flow begins.
pub(crate) fn to_go_on() -> Head {
    let now = CURRENT.with(Current::as_head);
    if now.trace == 0 { next_head(0).counted(0) } else { now.counted(sent()) }
}

/// What is handled now goes on, and has sent so many messages before.
pub(crate) fn count_on(sent: u64) {
    CURRENT.with(|current| current.sent.set(sent));
}

/// How many messages what is handled now has sent.
pub(crate) fn sent() -> u64 {
    CURRENT.with(|current| current.sent.get())
}

/// A span: unique in the cluster with overwhelming likelihood, and cheap. Each thread counts from a random place.
#[inline]
pub(crate) fn number() -> u64 {
    NUMBERS.with(|numbers| {
        let mut next = numbers.get();
        if next == 0 {
            next = random();
        }
        // An odd step visits every number before any repeats.
        next = next.wrapping_add(0x9e37_79b9_7f4a_7c15);
        numbers.set(next);
        next
    })
}

fn new_trace() -> u128 {
    u128::from(process()) << 64 | u128::from(number())
}

/// A random number of this process: the first half of all traces that begin in it.
fn process() -> u64 {
    static PROCESS: OnceLock<u64> = OnceLock::new();
    *PROCESS.get_or_init(random)
}

/// From the kernel. If it gives none, ids come from the clock: they need to differ, not to be secret.
pub(crate) fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| nanos().wrapping_mul(0x9e37_79b9_7f4a_7c15)).max(1)
}

/// The process's clock: started at its first use.
enum Clock {
    /// A counter of the processor's: dear to begin with, as it is compared with the system's clock for a millisecond or some, and cheap to
    /// read.
    Counter { clock: quanta::Clock, start: u64 },
    /// The system's.
    System(Instant),
}

static CALIBRATED: AtomicBool = AtomicBool::new(true);

/// The process's clock, unless it was read already, is the system's.
pub(crate) fn without_calibration() {
    CALIBRATED.store(false, Relaxed);
}

fn clock() -> &'static Clock {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    CLOCK.get_or_init(|| {
        if !CALIBRATED.load(Relaxed) {
            return Clock::System(Instant::now());
        }
        let clock = quanta::Clock::new();
        let start = clock.raw();
        Clock::Counter { clock, start }
    })
}

impl Clock {
    /// Never 0.
    #[inline]
    fn raw(&self) -> u64 {
        match self {
            Self::Counter { clock, .. } => clock.raw(),
            Self::System(start) => {
                u64::try_from(start.elapsed().as_nanos()).map_or(u64::MAX, |nanos| nanos.max(1))
            }
        }
    }
}

/// Whether any node of this process records: if none does, nobody needs stamps.
static RECORDING: AtomicBool = AtomicBool::new(false);

/// From now on stamps are taken.
pub(crate) fn record_stamps() {
    RECORDING.store(true, Relaxed);
}

/// Reads the clock for this thread's turn: sends and handlers use this reading until the next.
pub(crate) fn stamp_now() -> u64 {
    let now = clock().raw();
    STAMP.with(|stamp| stamp.set(now));
    now
}

/// The last reading of a thread with actors; a fresh one elsewhere. Raw: see [`nanos_of`].
#[inline]
pub(crate) fn stamp() -> u64 {
    match STAMP.get() {
        0 if RECORDING.load(Relaxed) => clock().raw(),
        stamp => stamp,
    }
}

/// A stamp in nanoseconds since the process first asked. Raw readings may differ by a hair from one CPU to the next;
/// they never give a time before the start.
pub(crate) fn nanos_of(stamp: u64) -> u64 {
    match clock() {
        Clock::Counter { clock, start } => clock.delta_as_nanos(*start, stamp),
        Clock::System(_) => stamp,
    }
}

/// Nanoseconds since the process first asked.
pub(crate) fn nanos() -> u64 {
    nanos_of(clock().raw())
}

/// A stamp in milliseconds since the process first asked, never 0.
pub(crate) fn ms_of(stamp: u64) -> u64 {
    nanos_of(stamp) / 1_000_000 + 1
}

/// Milliseconds since the process first asked, never 0.
pub(crate) fn now_ms() -> u64 {
    ms_of(clock().raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_the_same_after_the_wire_but_for_the_clock() {
        let sender = Life { node: 1, incarnation: 2, actor: 3 };
        let head =
            Head { trace: 7 << 70, span: 5, parent: 4, order: 9 << DEADLINE_BITS | 1_500, sender };
        let there = Head::from_wire(&head.to_wire(|| 1_000), || 20);
        assert_eq!((there.sequence(), there.deadline()), (9, 520));
        assert_eq!(Head { order: head.order, ..there }, head);
        let late = Head::from_wire(&head.to_wire(|| 9_000), || 20);
        assert_eq!(late.deadline(), 21, "a deadline that has passed stays one");
    }

    #[test]
    fn the_beginning_of_an_id_is_a_range_of_ids() {
        let id = FlowId(0xabc << 116 | 5);
        let (first, last) = FlowId::begun_by(&id.to_string()[..3]).unwrap();
        assert_eq!((first.0, last.0), (0xabc << 116, (0xabd << 116) - 1));
        assert_eq!(FlowId::begun_by(&id.to_string()), Some((id, id)));
        for bad in ["", "xyz", "+1", &"0".repeat(33)] {
            assert_eq!(FlowId::begun_by(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_sent_in_a_turn_belongs_to_its_flow() {
        let root = next_head(1_500);
        let me = Life { node: 1, incarnation: 1, actor: 8 };
        let turn = enter(&root, me);
        let (first, second, shorter) = (next_head(0), next_head(0), next_head(1_200));
        drop(turn);
        let deadlines = [root, first, shorter, next_head(0)].map(|head| head.deadline());
        assert_eq!(deadlines, [1_500, 1_500, 1_200, 0], "that of its cause, if it has none");
        assert_eq!(
            ({ first.trace }, first.parent, first.sequence(), first.sender),
            ({ root.trace }, root.span, 0, me)
        );
        assert_eq!((second.parent, second.sequence()), (root.span, 1));
        assert_ne!({ next_head(0).trace }, { root.trace });
    }

    #[test]
    fn what_is_sent_after_waiting_has_the_same_cause() {
        let (root, me) = (next_head(0), Life { node: 1, incarnation: 1, actor: 8 });
        let turn = enter(&root, me);
        assert_eq!(next_head(0).sequence(), 0);
        let later = to_go_on();
        drop(turn);
        let other = next_head(0);
        let _other = enter(&other, me);
        let _turn = enter(&later, me);
        count_on(later.sequence());
        let sent = next_head(0);
        assert_eq!(({ sent.trace }, sent.parent, sent.sender), ({ root.trace }, root.span, me));
        assert_eq!(sent.sequence(), 1, "counted on from where it began to wait");
    }

    #[test]
    fn what_waits_outside_any_flow_begins_one() {
        let _ = next_head(0);
        let begun = to_go_on();
        assert_ne!({ begun.trace }, 0);
        assert_eq!(begun.sequence(), 0);
    }
}
