//! Windows of credit as the sending side keeps them: what of each pair is under way or waits for its actor.

use crate::hash::IdMap;
use crate::pid::Life;

/// Pairs that a lane keeps a window for before those that owe little are forgotten.
const MANY_PAIRS: usize = 16_384;

/// Who sends to whom on a lane: what a window of credit is kept for.
pub(super) type Pair = (u64, Life);

/// Messages of each pair that the peer has not yet handled. The last pair is at hand: messages come in runs.
#[derive(Default)]
pub(super) struct Outstanding {
    last: Option<(Pair, u32)>,
    others: IdMap<Pair, u32>,
    /// Since when senders were refused for want of credit, of which none has come back since. In milliseconds.
    refused: IdMap<Pair, u64>,
}

impl Outstanding {
    /// The count of a pair, at hand from now on.
    #[inline]
    pub(super) fn of(&mut self, pair: Pair) -> &mut u32 {
        if self.last.is_none_or(|(last, _)| last != pair) {
            self.fetch(pair);
        }
        &mut self.last.get_or_insert((pair, 0)).1
    }

    fn fetch(&mut self, pair: Pair) {
        let now = self.others.remove(&pair).unwrap_or(0);
        if let Some((last, count)) = self.last.replace((pair, now))
            && count > 0
        {
            self.others.insert(last, count);
        }
    }

    /// A message of a pair is on its way.
    #[inline]
    pub(super) fn one_more(&mut self, pair: Pair, window: u32) {
        if self.others.len() >= MANY_PAIRS {
            // Most pairs talk no more; to forget what they owe gives them credit, no more. Full ones stay.
            self.others.retain(|_, now| *now > window / 2);
        }
        *self.of(pair) += 1;
    }

    /// So many messages of a pair were handled.
    pub(super) fn give(&mut self, pair: Pair, handled: u32) {
        if !self.refused.is_empty() {
            self.refused.remove(&pair);
        }
        if let Some((last, now)) = &mut self.last
            && *last == pair
        {
            *now = now.saturating_sub(handled);
        } else if let Some(now) = self.others.get_mut(&pair) {
            *now = now.saturating_sub(handled);
            if *now == 0 {
                self.others.remove(&pair);
            }
        }
    }

    /// A pair's sender was refused: its window is used up.
    pub(super) fn refused(&mut self, pair: Pair, now: u64) {
        self.refused.entry(pair).or_insert(now);
    }

    /// A receiver whose senders have been refused since before then.
    pub(super) fn full_since(&self, before: u64) -> Option<Life> {
        let long = self.refused.iter().find(|(_, since)| **since < before);
        long.map(|((_, receiver), _)| *receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(receiver: u64) -> Pair {
        (1, Life { node: 1, incarnation: 1, actor: receiver })
    }

    #[test]
    fn who_gives_nothing_back_is_found_once_time_has_passed() {
        let mut lane = Outstanding::default();
        lane.refused(pair(2), 100);
        lane.refused(pair(2), 150);
        assert_eq!(
            lane.full_since(100),
            None,
            "not before, and a second refusal begins nothing anew"
        );
        assert_eq!(lane.full_since(101), Some(pair(2).1));
    }

    #[test]
    fn any_credit_shows_that_a_receiver_lives() {
        let mut lane = Outstanding::default();
        for receiver in [2, 3] {
            *lane.of(pair(receiver)) = 8;
            lane.refused(pair(receiver), 100);
            lane.give(pair(receiver), 1);
            assert_eq!((*lane.of(pair(receiver)), lane.full_since(u64::MAX)), (7, None));
            lane.refused(pair(receiver), 200);
            lane.give(pair(receiver), 0);
            let now = (*lane.of(pair(receiver)), lane.full_since(u64::MAX));
            assert_eq!(now, (7, None), "also that it works, and has none to give yet");
        }
    }
}
