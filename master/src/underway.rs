//! Calls of schedulers that were answered and that the master may not have dealt with yet. Whoever asks for something next waits for
//! those that were answered before: so a call costs its client no turn of the master's, and everybody finds what it did.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Those of one reign.
#[derive(Clone, Debug, Default)]
pub(crate) struct Underway(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The number of the next one.
    next: u64,
    open: BTreeSet<u64>,
    /// Who waits for all before a number.
    waiting: Vec<(u64, oneshot::Sender<()>)>,
}

/// One of them. It is dealt with, or will never be, once this is dropped.
#[derive(Debug)]
pub(crate) struct Dealing {
    number: u64,
    of: Underway,
}

impl Underway {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more.
    pub(crate) fn begin(&self) -> Dealing {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.open.insert(number);
        Dealing { number, of: self.clone() }
    }

    /// Waits until all that have begun by now are dealt with.
    pub(crate) async fn settled(&self) {
        let settled = {
            let mut state = self.lock();
            if state.open.is_empty() {
                return;
            }
            let (tell, hear) = oneshot::channel();
            let before = state.next;
            state.waiting.push((before, tell));
            hear
        };
        // Whoever would say so is never gone: this is held meanwhile.
        let _ = settled.await;
    }
}

impl Drop for Dealing {
    fn drop(&mut self) {
        let mut state = self.of.lock();
        state.open.remove(&self.number);
        if state.waiting.is_empty() {
            return;
        }
        let oldest = state.open.first().copied();
        let is_settled = |before: u64| oldest.is_none_or(|oldest| oldest >= before);
        for (_, waits) in state.waiting.extract_if(.., |(before, _)| is_settled(*before)) {
            // It may wait no longer.
            let _ = waits.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use super::*;

    /// Whether it is over by now.
    fn is_over(waits: Pin<&mut impl Future<Output = ()>>) -> bool {
        waits.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn who_asks_waits_for_all_that_began_before_and_for_nothing_else() {
        let underway = Underway::default();
        assert!(is_over(Box::pin(underway.settled()).as_mut()), "there is none");
        let (first, second) = (underway.begin(), underway.begin());
        let mut reader = Box::pin(underway.settled());
        assert!(!is_over(reader.as_mut()));
        let third = underway.begin();
        drop(second);
        assert!(!is_over(reader.as_mut()), "the first is not dealt with");
        let mut later = Box::pin(underway.settled());
        assert!(!is_over(later.as_mut()));
        drop(first);
        assert!(is_over(reader.as_mut()), "the third began after it asked");
        assert!(!is_over(later.as_mut()));
        drop(third);
        assert!(is_over(later.as_mut()));
    }
}
