//! What all streams of a process hold for their readers: together it has a bound, whatever each may hold for itself. When it is reached,
//! whoever makes the streams hold most is cut off, and not whoever is told something next.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::line::Line;

/// Bytes that wait in all streams of a process; what is on its way to many readers counts once.
const HELD_MAX: usize = 1 << 30;

/// That of this process.
static BACKLOG: LazyLock<Arc<Backlog>> = LazyLock::new(|| Arc::new(Backlog::of(HELD_MAX)));

pub(crate) struct Backlog {
    most: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    /// Bytes of all records.
    held: usize,
    /// In how many queues each record is, by where its bytes are and how many.
    records: BTreeMap<Record, usize>,
    streams: BTreeMap<u64, Holder>,
    entered: u64,
}

type Record = (usize, usize);

struct Holder {
    /// Bytes that wait for its reader, shared or not.
    waits: usize,
    line: Option<Line>,
    is_cut: bool,
}

/// A stream's queue in it; dropped with it.
pub(crate) struct Queue {
    of: Arc<Backlog>,
    stream: u64,
}

/// A record in a stream's queue; dropped when it has left it.
pub(crate) struct Hold {
    queue: Arc<Queue>,
    record: Record,
}

impl Backlog {
    pub(crate) fn of_process() -> Arc<Self> {
        Arc::clone(&BACKLOG)
    }

    pub(crate) fn of(most: usize) -> Self {
        Self { most, inside: Mutex::default() }
    }

    /// A stream begins; its connection is cut if it is given up.
    pub(crate) fn enter(self: Arc<Self>, line: Option<Line>) -> Arc<Queue> {
        let stream = {
            let mut inside = self.inside();
            inside.entered += 1;
            let stream = inside.entered;
            inside.streams.insert(stream, Holder { waits: 0, line, is_cut: false });
            stream
        };
        Arc::new(Queue { of: self, stream })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Something more waits for this stream's reader; `None` if the stream is given up.
    pub(crate) fn hold(self: &Arc<Self>, bytes: &[u8]) -> Option<Hold> {
        let record = (bytes.as_ptr().addr(), bytes.len());
        let mut inside = self.of.inside();
        let holder = inside.streams.get_mut(&self.stream).filter(|holder| !holder.is_cut)?;
        holder.waits += bytes.len();
        let queues = inside.records.entry(record).or_default();
        *queues += 1;
        if *queues == 1 {
            inside.held += bytes.len();
        }
        inside.cut_down_to(self.of.most);
        let is_cut = inside.streams.get(&self.stream).is_none_or(|holder| holder.is_cut);
        drop(inside);
        let hold = Hold { queue: Arc::clone(self), record };
        (!is_cut).then_some(hold)
    }
}

impl Inside {
    /// What is cut off is freed a moment later.
    fn cut_down_to(&mut self, most: usize) {
        while self.held > most {
            let leaving: usize = self.streams.values().filter(|h| h.is_cut).map(|h| h.waits).sum();
            if self.held.saturating_sub(leaving) <= most {
                return;
            }
            // Of equals the one that began first.
            let staying = self.streams.values_mut().rev().filter(|holder| !holder.is_cut);
            let Some(worst) = staying.max_by_key(|holder| holder.waits) else { return };
            worst.is_cut = true;
            worst.line.iter().for_each(Line::cut);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut inside = self.queue.of.inside();
        if let Some(holder) = inside.streams.get_mut(&self.queue.stream) {
            holder.waits = holder.waits.saturating_sub(self.record.1);
        }
        let Some(queues) = inside.records.get_mut(&self.record) else { return };
        *queues -= 1;
        if *queues == 0 {
            inside.records.remove(&self.record);
            inside.held = inside.held.saturating_sub(self.record.1);
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.of.inside().streams.remove(&self.stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(most: usize) -> Arc<Backlog> {
        Arc::new(Backlog::of(most))
    }

    #[test]
    fn whoever_holds_most_is_cut_off_and_not_who_is_told_something() {
        let all_held = backlog(100);
        let (slow, quick) = (Arc::clone(&all_held).enter(None), Arc::clone(&all_held).enter(None));
        let (long, short, more) = (vec![0; 80], vec![0; 15], vec![0; 10]);
        let waits = slow.hold(&long).unwrap();
        let takes = quick.hold(&short).unwrap();
        let then = quick.hold(&more);
        assert!(then.is_some(), "it is too much together, and the other is to blame");
        assert!(slow.hold(&short).is_none(), "that was given up");
        drop((waits, takes, then));
        assert_eq!(all_held.inside().held, 0);
        assert!(quick.hold(&long).is_some(), "there is space again");
    }

    #[test]
    fn what_goes_to_many_is_held_once() {
        let all_held = backlog(100);
        let all: Vec<_> = (0..50).map(|_| Arc::clone(&all_held).enter(None)).collect();
        let shared = vec![0; 90];
        let holds: Vec<_> = all.iter().map(|queue| queue.hold(&shared)).collect();
        assert!(holds.iter().all(Option::is_some));
        assert_eq!(all_held.inside().held, 90);
        drop(holds);
        assert_eq!(all_held.inside().held, 0);
        assert_eq!(all_held.inside().records.len(), 0);
        drop(all);
        assert_eq!(all_held.inside().streams.len(), 0);
    }

    #[test]
    fn one_that_alone_is_too_much_is_given_up() {
        let alone = backlog(100).enter(None);
        assert!(alone.hold(&[0; 101]).is_none());
    }

    #[test]
    fn no_more_are_cut_off_than_must_be() {
        let all_held = backlog(100);
        let all: Vec<_> = (0..3).map(|_| Arc::clone(&all_held).enter(None)).collect();
        let bytes: Vec<_> = (0..3).map(|n| vec![0; 30 + n]).collect();
        let holds: Vec<_> = all.iter().zip(&bytes).map(|(queue, b)| queue.hold(b)).collect();
        let more = vec![0; 20];
        assert!(all[0].hold(&more).is_none(), "it holds most now");
        assert!(all[1].hold(&more).is_some(), "what was given up is on its way out");
        drop(holds);
    }
}
