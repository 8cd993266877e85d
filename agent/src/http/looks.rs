//! What all processes and containers use, looked at once for all who ask at about the same time.

use std::sync::Arc;
use std::time::Duration;

use gateway::Refused;
use libactor::Clock;
use protocol::time::Now;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Gateways;
use super::books::aside;
use crate::usage::Usages;
use crate::view::{Container, Filter, Said, containers};

/// How long one look is good for: the kernel is asked about every process of the machine.
const GOOD_FOR: Duration = Duration::from_millis(300);

/// The newest look, and how long it is good for.
pub(super) struct Looks {
    newest: Arc<Mutex<Option<Look>>>,
    good_for: Duration,
}

/// What all processes used at one moment.
#[derive(Clone)]
struct Look {
    taken: Instant,
    /// In seconds since 1970.
    at: f64,
    usages: Arc<Usages>,
    /// Filled as it is asked for.
    said: Arc<Said>,
}

impl Default for Looks {
    fn default() -> Self {
        Self { newest: Arc::default(), good_for: GOOD_FOR }
    }
}

impl Looks {
    /// The newest, if it is good yet; else one that `look` takes. At most one is being taken, also when those who asked for it go away:
    /// the thread that looks holds the place for it.
    async fn newest(
        &self,
        look: impl FnOnce() -> Usages + Send + 'static,
    ) -> Result<Look, Refused> {
        let mut newest = Arc::clone(&self.newest).lock_owned().await;
        let good = newest.as_ref().filter(|look| look.taken.elapsed() < self.good_for);
        if let Some(good) = good {
            return Ok(good.clone());
        }
        aside(move || {
            let at = Now::from(Clock::start().read()).wall.as_seconds();
            let (usages, said) = (Arc::new(look()), Arc::default());
            let taken = Look { taken: Instant::now(), at, usages, said };
            newest.insert(taken).clone()
        })
        .await
    }
}

/// Containers with what they use. The books are those of now, whenever the processes were looked at.
pub(super) async fn used(gateways: &Gateways, filter: Filter) -> Result<Vec<Container>, Refused> {
    let look = gateways.0.looks.newest(Usages::look).await?;
    let books = gateways.shown().await?.books;
    let agent = gateways.agent()?;
    let isolators = agent.isolators().clone();
    aside(move || containers(&books, &filter, &look.usages, (&isolators, &look.said), look.at))
        .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures_util::FutureExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn looks(good_for: Duration) -> Looks {
        Looks { good_for, ..Looks::default() }
    }

    #[tokio::test]
    async fn many_who_ask_share_one_look_while_it_is_good() {
        let (kept, passing) = (looks(LONG), looks(Duration::ZERO));
        let taken = Arc::new(AtomicUsize::new(0));
        let look = || {
            let taken = Arc::clone(&taken);
            move || {
                taken.fetch_add(1, Ordering::SeqCst);
                Usages::default()
            }
        };
        let all = (0..10).map(|_| kept.newest(look()));
        futures_util::future::join_all(all).await.into_iter().for_each(|look| drop(look.unwrap()));
        assert_eq!(taken.load(Ordering::SeqCst), 1);
        for _ in 0..3 {
            passing.newest(look()).await.unwrap();
        }
        assert_eq!(taken.load(Ordering::SeqCst), 4, "an old one is not shown");
    }

    #[tokio::test]
    async fn a_look_that_nobody_waits_for_any_more_is_shown_to_the_next_one() {
        let looks = looks(LONG);
        let (go, goes) = mpsc::channel::<()>();
        let slow = move || {
            goes.recv().unwrap();
            Usages::default()
        };
        assert!(looks.newest(slow).now_or_never().is_none(), "it is being taken");
        let second = looks.newest(|| unreachable!("no second look is taken meanwhile"));
        tokio::pin!(second);
        assert!(second.as_mut().now_or_never().is_none());
        go.send(()).unwrap();
        second.await.unwrap();
    }
}
