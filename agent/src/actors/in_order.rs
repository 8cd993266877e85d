//! Messages that a local actor must not miss, and of which none may overtake another: what it has no room for waits here,
//! and what comes later waits behind it.

use std::collections::VecDeque;

use libactor::TellError;

/// They are as many as there are executors and their changes under way, which the logic bounds.
#[derive(Debug)]
pub(crate) struct InOrder<M> {
    waiting: VecDeque<M>,
}

impl<M> Default for InOrder<M> {
    fn default() -> Self {
        Self { waiting: VecDeque::new() }
    }
}

impl<M: Clone> InOrder<M> {
    pub(crate) fn push(&mut self, message: M) {
        self.waiting.push_back(message);
    }

    /// Hands on what there is room for. Whether something still waits.
    pub(crate) fn hand_on(&mut self, mut tell: impl FnMut(M) -> Result<(), TellError>) -> bool {
        while let Some(first) = self.waiting.front() {
            // One that has stopped takes its process along.
            if tell(first.clone()) == Err(TellError::Full) {
                return true;
            }
            self.waiting.pop_front();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_not_overtaken() {
        let (mut queue, mut told) = (InOrder::default(), Vec::new());
        let mut room = 1;
        for message in 1..=4 {
            queue.push(message);
            // Room comes back between the second and the third.
            room += usize::from(message == 3);
            queue.hand_on(|message| {
                if room == 0 {
                    return Err(TellError::Full);
                }
                room -= 1;
                told.push(message);
                Ok(())
            });
        }
        assert_eq!(told, [1, 2]);
        assert!(!queue.hand_on(|message| {
            told.push(message);
            Ok(())
        }));
        assert_eq!(told, [1, 2, 3, 4]);
    }
}
