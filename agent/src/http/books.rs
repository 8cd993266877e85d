//! What readers see: a copy of the agent's books, made once for all who look at the same moment.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway::Refused;
use libactor::Clock;
use protocol::time::Now;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::Gateways;
use crate::Running;
use crate::actors::agent::Shown;
use crate::logic::Books;
use crate::usage::Usages;
use crate::view::legacy::About;
use crate::view::{Container, Filter, containers};

/// An agent that has not found its executors again knows too little.
pub(super) const NOT_RECOVERED: &str = "Agent has not finished recovery";

/// Between two looks at what all processes use.
const PACE: Duration = Duration::from_millis(500);

/// Those who wait for their turn to look.
const WAITING_MAX: usize = 64;

/// Lets one in after the other, with pauses.
pub(super) struct Pace {
    next: Mutex<Option<Instant>>,
    waiting: Semaphore,
}

impl Default for Pace {
    fn default() -> Self {
        Self { next: Mutex::default(), waiting: Semaphore::new(WAITING_MAX) }
    }
}

impl Pace {
    /// Waits for its turn, if not too many do.
    pub(super) async fn turn(&self) -> Result<(), Refused> {
        let Ok(_place) = self.waiting.try_acquire() else {
            let words = format!("{WAITING_MAX} wait for this page already; ask less often");
            return Err(Refused::new(503, words));
        };
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            turn_at(&mut next, Instant::now())
        };
        tokio::time::sleep_until(at).await;
        Ok(())
    }
}

/// When the next one may look who comes now; the one after it later.
fn turn_at(next: &mut Option<Instant>, now: Instant) -> Instant {
    let at = next.unwrap_or(now).max(now);
    *next = Some(at + PACE);
    at
}

impl Gateways {
    /// The agent, once it has found again all that a former life started.
    pub(super) fn agent(&self) -> Result<&Running, Refused> {
        self.0.agent.get().ok_or_else(|| Refused::new(503, NOT_RECOVERED))
    }

    /// The books at this moment, and who leads.
    pub(super) async fn shown(&self) -> Result<Shown, Refused> {
        let shown = self.agent()?.shown().await;
        let shown = shown
            .map_err(|error| Refused::new(503, format!("the agent does not answer: {error}")))?;
        match shown.books.is_recovering {
            true => Err(Refused::new(503, NOT_RECOVERED)),
            false => Ok(shown),
        }
    }

    /// What the agent says of itself beside its books.
    pub(super) fn about(&self, master: Option<String>) -> Result<About, Refused> {
        let daemon = &self.0.daemon;
        let sandboxes = self.agent()?.sandboxes.clone();
        Ok(About {
            version: daemon.version().clone(),
            started: self.0.started,
            master,
            flags: daemon.flags().clone(),
            sandbox: Box::new(move |framework, executor, container| {
                sandboxes.path(framework, executor, container).display().to_string()
            }),
        })
    }
}

/// Containers with what they use now.
pub(super) async fn used(books: Arc<Books>, filter: Filter) -> Result<Vec<Container>, Refused> {
    let at = Now::from(Clock::start().read()).wall.as_seconds();
    aside(move || containers(&books, &filter, &Usages::look(), at)).await
}

/// On a thread that may take its time.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Refused::new(500, format!("the page was not written: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aapi_12_statistics_are_looked_at_twice_a_second_and_who_comes_too_often_waits() {
        let (begun, mut next) = (Instant::now(), None);
        for n in 0..5 {
            assert_eq!(turn_at(&mut next, begun), begun + n * PACE);
        }
        let late = begun + 10 * PACE;
        assert_eq!(turn_at(&mut next, late), late, "nobody waits for turns that nobody took");
    }

    #[tokio::test]
    async fn not_too_many_wait_for_their_turn() {
        let pace = Pace::default();
        let _all = pace.waiting.acquire_many(u32::try_from(WAITING_MAX).unwrap()).await.unwrap();
        assert_eq!(pace.turn().await.map_err(|refused| refused.status), Err(503));
    }
}
