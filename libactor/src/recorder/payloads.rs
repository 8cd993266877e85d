//! What messages say, kept on request: for those that a filter names, for a while and for so many bytes at most.
//!
//! Off unless somebody asks, and then only what comes from other nodes or goes to them. One may ask at a time. What only its
//! receiver may know is left out by [`crate::Message::without_secrets`] before anything is kept.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Record, What};
use crate::flow::{self, FlowId};
use crate::message::Message;
use crate::pid::{NodeId, Pid};
use crate::wire;

/// The longest time that one may ask for.
pub const PAYLOADS_TIME_MAX: Duration = Duration::from_secs(600);
/// The most bytes that one may ask for of each node.
pub const PAYLOADS_BYTES_MAX: u32 = 16 << 20;
/// Of a payload that is longer it is only said that there was one.
const EACH_MAX: usize = 64 << 10;
/// What was kept and not fetched is forgotten so long after the end.
const FETCHED_WITHIN: Duration = Duration::from_secs(30);

/// Which messages: those to which all apply that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadFilter {
    /// The variant's name, as flows show it.
    pub message: Option<String>,
    /// An id that it is about.
    pub about: Option<String>,
}

impl PayloadFilter {
    fn fits(&self, label: &str, subjects: &[String]) -> bool {
        self.message.as_ref().is_none_or(|message| message == label)
            && self.about.as_ref().is_none_or(|about| subjects.contains(about))
    }
}

/// What one message said, as it was sent by this node or handled here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowPayload {
    /// The flow.
    pub trace: FlowId,
    /// The message.
    pub span: u64,
    /// What became of it here.
    pub what: What,
    /// The message's type: its name on the wire.
    pub name: String,
    /// The variant's name.
    pub label: String,
    /// Who sent it; `None` for what came from outside any actor.
    pub sender: Option<Pid>,
    /// For whom it is.
    pub receiver: Pid,
    /// The node that kept it.
    pub node: NodeId,
    /// When it was sent, or arrived here; microseconds since 1970 by this node's clock.
    pub sent: u64,
    /// The message as it travels, without secrets; `None` if it is too long to be kept.
    pub bytes: Option<Vec<u8>>,
}

/// Why no more is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadsOver {
    /// The time is over.
    Time,
    /// So many bytes were kept; more would have come.
    Bytes,
}

struct Session {
    number: u64,
    filter: PayloadFilter,
    /// In ms of [`flow::now_ms`].
    until: u64,
    left: usize,
    kept: Vec<FlowPayload>,
    over: Option<PayloadsOver>,
}

/// The payloads of a node. Those who handle messages look at `on` first, and at no more while nobody asks.
#[derive(Default)]
pub(crate) struct Payloads {
    on: AtomicBool,
    session: Mutex<Option<Session>>,
}

impl Payloads {
    #[inline]
    pub(crate) fn are_kept(&self) -> bool {
        self.on.load(Relaxed)
    }

    fn with<T>(&self, see: impl FnOnce(&mut Option<Session>) -> T) -> T {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &mut *session
            && session.over.is_none()
            && flow::now_ms() >= session.until
        {
            session.over = Some(PayloadsOver::Time);
        }
        let seen = see(&mut session);
        self.on.store(session.as_ref().is_some_and(|s| s.over.is_none()), Relaxed);
        seen
    }

    /// Keeps what fits from now on. The number by which it is fetched and ended; or the time for which somebody else has asked.
    pub(crate) fn start(
        &self,
        filter: PayloadFilter,
        time: Duration,
        bytes: u32,
    ) -> Result<u64, Duration> {
        let now = flow::now_ms();
        let time = u64::try_from(time.min(PAYLOADS_TIME_MAX).as_millis()).unwrap_or(0);
        self.with(|session| {
            if let Some(other) = session.as_ref().filter(|other| other.over.is_none()) {
                return Err(Duration::from_millis(other.until.saturating_sub(now)));
            }
            let number = flow::number();
            let left = usize::try_from(bytes.min(PAYLOADS_BYTES_MAX)).unwrap_or(0);
            let (until, kept, over) = (now + time, Vec::new(), None);
            *session = Some(Session { number, filter, until, left, kept, over });
            Ok(number)
        })
    }

    /// What was kept since it was last fetched, and whether no more will be; `None` of a number that is not that of the session.
    pub(crate) fn fetch(&self, number: u64) -> Option<(Vec<FlowPayload>, Option<PayloadsOver>)> {
        self.with(|session| {
            let session = session.as_mut().filter(|session| session.number == number)?;
            Some((std::mem::take(&mut session.kept), session.over))
        })
    }

    pub(crate) fn stop(&self, number: u64) {
        self.with(|session| *session = session.take().filter(|session| session.number != number));
    }

    /// When its time is over, and how long after that it is forgotten if nobody fetched it.
    pub(crate) fn ends_after(time: Duration) -> [Duration; 2] {
        [time.min(PAYLOADS_TIME_MAX), FETCHED_WITHIN]
    }

    /// Ends what is over.
    pub(crate) fn look(&self) {
        self.with(|_| ());
    }

    /// Keeps what a message says, if it is asked for.
    pub(crate) fn keep<M: Message>(
        &self,
        record: &Record,
        subjects: &[String],
        message: &M,
        show: impl FnOnce(&Record) -> super::FlowRecord,
    ) {
        let fits = |session: &&mut Session| {
            session.over.is_none() && session.filter.fits(record.label, subjects)
        };
        let Some(number) = self.with(|session| Some(session.as_mut().filter(fits)?.number)) else {
            return;
        };
        // Meanwhile others may keep what they have: it is copied and encoded without the lock.
        let public = message.without_secrets();
        let bytes = wire::encode(public.as_ref().unwrap_or(message), EACH_MAX).ok();
        let size = size_of::<FlowPayload>() + bytes.as_ref().map_or(0, Vec::len);
        self.with(|session| {
            let Some(session) = session.as_mut().filter(fits).filter(|now| now.number == number)
            else {
                return;
            };
            match session.left.checked_sub(size) {
                Some(left) => session.left = left,
                None => return session.over = Some(PayloadsOver::Bytes),
            }
            let shown = show(record);
            session.kept.push(FlowPayload {
                trace: shown.trace,
                span: shown.span,
                what: shown.what,
                name: M::NAME.to_owned(),
                label: shown.label,
                sender: shown.sender,
                receiver: shown.receiver,
                node: shown.node,
                sent: shown.sent,
                bytes,
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Recorder;

    #[derive(Clone, Serialize, Deserialize)]
    struct Door {
        number: u32,
        key: String,
    }

    impl Message for Door {
        const NAME: &'static str = "Door";

        fn without_secrets(&self) -> Option<Self> {
            Some(Self { key: String::new(), ..self.clone() })
        }
    }

    fn keep(recorder: &Recorder, label: &'static str, about: &str, number: u32) {
        let record = Record { label, ..crate::recorder::tests::record(1, 1) };
        let door = Door { number, key: "hidden".into() };
        recorder.keep_payload(&record, &[about.to_owned()], &door);
    }

    fn numbers(kept: Vec<FlowPayload>) -> Vec<u32> {
        let doors = kept.into_iter().map(|payload| {
            let door: Door = wire::decode(&payload.bytes.unwrap()).unwrap();
            assert_eq!(door.key, "", "a secret is not kept");
            door.number
        });
        doors.collect()
    }

    #[test]
    fn what_fits_is_kept_while_it_is_asked_for_and_not_more_than_was_asked_for() {
        let recorder = Recorder::new(1, true, 1, 1 << 10, 1 << 10);
        let payloads = recorder.payloads();
        assert!(!payloads.are_kept(), "off unless somebody asks");
        keep(&recorder, "Open", "a", 1);
        let filter = PayloadFilter { message: Some("Open".into()), about: Some("a".into()) };
        let number = payloads.start(filter.clone(), Duration::from_secs(60), 2000).unwrap();
        assert!(payloads.are_kept());
        keep(&recorder, "Open", "a", 2);
        keep(&recorder, "Shut", "a", 3);
        keep(&recorder, "Open", "b", 4);
        let left = payloads.start(filter.clone(), Duration::ZERO, 0).unwrap_err();
        assert!(left > Duration::from_secs(50), "one at a time: {left:?}");
        assert_eq!(payloads.fetch(number + 1), None);
        let (kept, over) = payloads.fetch(number).unwrap();
        assert_eq!((numbers(kept), over), (vec![2], None));
        (0..100).for_each(|n| keep(&recorder, "Open", "a", n));
        assert!(!payloads.are_kept(), "as soon as the bytes are used up");
        let (kept, over) = payloads.fetch(number).unwrap();
        assert_eq!(over, Some(PayloadsOver::Bytes));
        assert!((1..20).contains(&kept.len()), "{} are not 2000 bytes", kept.len());
        let next = payloads.start(filter, Duration::ZERO, 2000).unwrap();
        keep(&recorder, "Open", "a", 5);
        assert_eq!(payloads.fetch(next), Some((vec![], Some(PayloadsOver::Time))));
        payloads.stop(next);
        assert_eq!(payloads.fetch(next), None);
    }
}
