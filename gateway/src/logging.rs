//! How much a process logs. An operator may have it say more for a while; then it says again what it said before.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::answer::Refused;

/// The loudest level that means anything: what is above it says no more.
pub const LEVEL_MAX: u32 = 3;

/// Longer than anybody wants.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// How much is logged: 0 is what the process was started with, and each level more says more.
#[derive(Clone)]
pub struct Logging(Arc<Shared>);

struct Shared {
    set: Box<dyn Fn(u32) + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    level: u32,
    /// How often it was set: what was to end then ends only if nothing was said since.
    generation: u64,
    /// What waits for its end; no more than one does, however often it is set.
    ends: Option<AbortHandle>,
}

impl Logging {
    /// Of a process whose log is set so.
    pub fn new(set: impl Fn(u32) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { set: Box::new(set), state: Mutex::default() }))
    }

    /// As it is now.
    pub fn level(&self) -> u32 {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).level
    }

    /// Says so much for so long; what was said before it does not come back in between.
    pub fn set(&self, level: u32, duration: Duration) {
        let generation = self.change(level, None);
        tracing::info!(level, ?duration, "an operator changed how much is logged");
        let logging = self.clone();
        let ends = tokio::spawn(async move {
            tokio::time::sleep(duration.min(DURATION_MAX)).await;
            logging.change(0, generation);
        });
        self.replace(ends.abort_handle(), generation);
    }

    /// What ends the change of this generation is all that waits, unless somebody changed it since.
    fn replace(&self, ends: AbortHandle, generation: Option<u64>) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let over = match generation == Some(state.generation) {
            true => state.ends.replace(ends),
            false => Some(ends),
        };
        over.into_iter().for_each(|over| over.abort());
    }

    /// If nobody changed it since `after`. Returns which change this is.
    fn change(&self, level: u32, after: Option<u64>) -> Option<u64> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if after.is_some_and(|after| after != state.generation) {
            return None;
        }
        state.generation += 1;
        state.level = level;
        (self.0.set)(level);
        Some(state.generation)
    }
}

/// What the query of a call asks for; nothing, if it asks how things are.
///
/// # Errors
///
/// 400, in Mesos's words.
pub(crate) fn asked(
    level: Option<&str>,
    duration: Option<&str>,
) -> Result<Option<(u32, Duration)>, Refused> {
    let bad = |words: String| Err(Refused::new(400, words));
    let (level, duration) = match (level, duration) {
        (None, None) => return Ok(None),
        (Some(_), None) => return bad("Expecting 'duration=value' in query.\n".to_owned()),
        (None, Some(_)) => return bad("Expecting 'level=value' in query.\n".to_owned()),
        (Some(level), Some(duration)) => (level, duration),
    };
    let level = match level.trim().parse::<i64>() {
        Err(_) => return bad(format!("Failed to convert '{level}' to number.\n")),
        Ok(number) => match u32::try_from(number) {
            Ok(level) if level <= LEVEL_MAX => level,
            Ok(_) | Err(_) => return bad(format!("Invalid level '{number}'.\n")),
        },
    };
    match crate::duration::parse(duration) {
        Some(duration) => Ok(Some((level, duration))),
        None => bad(format!("Unknown duration '{duration}'; write a number and a unit: 10secs.\n")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// One that says to what it is set.
    fn logging() -> (Logging, mpsc::UnboundedReceiver<u32>) {
        let (said, levels) = mpsc::unbounded_channel();
        let logging = Logging::new(move |level| said.send(level).expect("the test still listens"));
        (logging, levels)
    }

    #[tokio::test]
    async fn lp_24_a_level_goes_back_when_its_time_is_over() {
        let (logging, mut levels) = logging();
        assert_eq!(logging.level(), 0);
        logging.set(2, Duration::from_millis(1));
        assert_eq!(levels.recv().await, Some(2));
        assert_eq!(levels.recv().await, Some(0), "it goes back by itself");
        assert_eq!(logging.level(), 0);
    }

    #[tokio::test]
    async fn a_level_that_was_replaced_does_not_end_the_one_that_replaced_it() {
        let (logging, mut levels) = logging();
        logging.set(1, Duration::from_millis(1));
        logging.set(2, DURATION_MAX * 2);
        let first = logging.change(0, Some(1));
        assert_eq!((first, logging.level()), (None, 2));
        assert_eq!((levels.recv().await, levels.recv().await), (Some(1), Some(2)));
    }

    #[tokio::test]
    async fn however_often_it_is_set_one_end_is_waited_for() {
        let (logging, mut levels) = logging();
        for _ in 0..100 {
            logging.set(1, DURATION_MAX);
        }
        let only_one_waits = async {
            while Arc::strong_count(&logging.0) > 2 {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), only_one_waits).await;
        assert_eq!(waited, Ok(()));
        logging.set(2, Duration::from_millis(1));
        let mut said = Vec::new();
        while said.last() != Some(&0) {
            said.extend(levels.recv().await);
        }
        assert_eq!(said[100..], [2, 0], "the newest is the one that ends");
    }

    #[test]
    fn a_query_says_both_or_nothing() {
        assert_eq!(asked(None, None), Ok(None));
        assert_eq!(asked(Some("3"), Some("1secs")), Ok(Some((LEVEL_MAX, Duration::from_secs(1)))));
        assert_eq!(asked(Some("1"), Some("10mins")), Ok(Some((1, Duration::from_secs(600)))));
        for (level, duration, words) in [
            (Some("1"), None, "Expecting 'duration=value' in query.\n"),
            (None, Some("1secs"), "Expecting 'level=value' in query.\n"),
            (Some("x"), Some("1secs"), "Failed to convert 'x' to number.\n"),
            (Some("-1"), Some("1secs"), "Invalid level '-1'.\n"),
            (Some("4"), Some("1secs"), "Invalid level '4'.\n"),
            (Some("1"), Some("1"), "Unknown duration '1'; write a number and a unit: 10secs.\n"),
        ] {
            assert_eq!(asked(level, duration), Err(Refused::new(400, words)), "{words}");
        }
    }
}
