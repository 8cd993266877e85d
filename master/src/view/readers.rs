//! Readers that wait for a moment: so that whoever changed something reads it afterwards. How many wait, and how long, has a
//! bound; who waits in vain is told how far the view is.

use std::collections::BTreeMap;

use protocol::operator::{List, Read, ReadAnswer};

use super::View;

/// Readers that wait at one time; each holds a question, no more.
const WAITING_MAX: usize = 16_384;

/// Ticks that a reader sees before it is given up.
const TICKS_MAX: u64 = 2;

/// Those who wait; an `R` takes the answer.
#[derive(Debug)]
pub struct Readers<R> {
    /// By the change they wait for, then by their order.
    waiting: BTreeMap<(u64, u64), Waiting<R>>,
    heard: u64,
    ticks: u64,
}

#[derive(Debug)]
struct Waiting<R> {
    list: List,
    reader: R,
    /// The tick after which it came.
    since: u64,
}

impl<R> Default for Readers<R> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), heard: 0, ticks: 0 }
    }
}

impl<R> Readers<R> {
    /// Takes a question; with its answer, if that can be given now. The numbers of another reign mean nothing here: what was
    /// done in it is in the registry, and so in this view, or lost.
    pub fn hear(&mut self, view: &View, read: Read, reader: R) -> Option<(R, ReadAnswer)> {
        let (list, awaited) = read.parts();
        let reached = view.moment();
        match awaited {
            Some(moment) if moment.epoch == reached.epoch && moment.change > reached.change => {
                if self.waiting.len() >= WAITING_MAX {
                    return Some((reader, ReadAnswer::Behind(reached)));
                }
                self.heard += 1;
                let waiting = Waiting { list, reader, since: self.ticks };
                self.waiting.insert((moment.change, self.heard), waiting);
                None
            }
            Some(_) | None => Some((reader, view.answer(list))),
        }
    }

    /// The view has moved: those whose moment is reached, with their answers.
    pub fn on_changes(&mut self, view: &View) -> Vec<(R, ReadAnswer)> {
        let later = self.waiting.split_off(&(view.moment().change + 1, 0));
        let reached = std::mem::replace(&mut self.waiting, later);
        reached.into_values().map(|w| (w.reader, view.answer(w.list))).collect()
    }

    /// Time has passed: those who waited long enough.
    pub fn on_tick(&mut self, view: &View) -> Vec<(R, ReadAnswer)> {
        self.ticks += 1;
        let now = self.ticks;
        self.waiting
            .extract_if(.., |_, waiting| waiting.since + TICKS_MAX <= now)
            .map(|(_, waiting)| (waiting.reader, ReadAnswer::Behind(view.moment())))
            .collect()
    }

    /// Whether nobody waits, so that no tick is needed.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
