//! Turns of those who ask for what is dear to make: one after the other, with pauses.

use std::time::Duration;

use gateway::Refused;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

/// Between two turns.
const PACE: Duration = Duration::from_millis(500);

/// Those who wait for their turn.
const WAITING_MAX: usize = 64;

/// Lets one in after the other. Who goes away while it waits takes no turn from those behind it.
pub(super) struct Pace {
    /// When the last one had its turn. Whoever is next holds it while it waits; the others are let through in the order in which
    /// they came.
    last: Mutex<Option<Instant>>,
    waiting: Semaphore,
}

impl Default for Pace {
    fn default() -> Self {
        Self { last: Mutex::default(), waiting: Semaphore::new(WAITING_MAX) }
    }
}

impl Pace {
    /// Waits for its turn, if not too many do.
    pub(super) async fn turn(&self) -> Result<(), Refused> {
        let Ok(_place) = self.waiting.try_acquire() else {
            let words = format!("{WAITING_MAX} wait for this page already; ask less often");
            return Err(Refused::new(503, words));
        };
        let mut last = self.last.lock().await;
        if let Some(at) = turn_after(*last) {
            tokio::time::sleep_until(at).await;
        }
        *last = Some(Instant::now());
        Ok(())
    }
}

/// When the next one has its turn at the earliest; `None`: at once.
fn turn_after(last: Option<Instant>) -> Option<Instant> {
    last.map(|last| last + PACE)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn aapi_12_statistics_are_looked_at_twice_a_second_and_who_comes_too_often_waits() {
        let pace = Pace::default();
        assert_eq!(turn_after(None), None);
        assert_eq!(pace.turn().now_or_never(), Some(Ok(())), "the first one waits for nobody");
        let first = pace.last.lock().await.unwrap();
        assert_eq!(turn_after(Some(first)), Some(first + Duration::from_millis(500)));
        *pace.last.lock().await = first.checked_sub(2 * PACE);
        assert_eq!(pace.turn().now_or_never(), Some(Ok(())), "nobody waits after the pause");
        assert!(pace.last.lock().await.unwrap() >= first, "the next one waits for this turn");
    }

    #[tokio::test]
    async fn who_goes_away_takes_no_turn_from_those_who_stay() {
        let pace = Pace::default();
        let last = Instant::now() + Duration::from_secs(3600);
        *pace.last.lock().await = Some(last);
        for _ in 0..1000 {
            assert!(pace.turn().now_or_never().is_none(), "it waits, and goes away");
        }
        assert_eq!(pace.last.try_lock().map(|last| *last).ok(), Some(Some(last)));
        assert_eq!(pace.waiting.available_permits(), WAITING_MAX);
    }

    #[tokio::test]
    async fn not_too_many_wait_for_their_turn() {
        let pace = Pace::default();
        let _all = pace.waiting.acquire_many(u32::try_from(WAITING_MAX).unwrap()).await.unwrap();
        assert_eq!(pace.turn().await.map_err(|refused| refused.status), Err(503));
    }
}
