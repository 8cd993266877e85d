//! What readers see: a copy of the agent's books, made once for all who look at the same moment.

use std::sync::atomic::Ordering::Relaxed;

use gateway::Refused;
use libactor::{Message, Question};
use serde::{Deserialize, Serialize};

use super::Gateways;
use crate::Running;
use crate::actors::agent::Shown;
use crate::view::legacy::About;

/// An agent that has not found its executors again knows too little.
pub(super) const NOT_RECOVERED: &str = "Agent has not finished recovery";

/// From the gateways, before they read what is asked: does the agent know enough to answer?
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadRecovery;

impl Message for ReadRecovery {
    const NAME: &'static str = "agent.ReadRecovery";
}

impl Question for ReadRecovery {
    type Answer = Recovery;
}

/// The answer to [`ReadRecovery`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Recovery {
    /// Whether executors of a former life are still missing.
    pub(crate) lasts: bool,
}

impl Message for Recovery {
    const NAME: &'static str = "agent.Recovery";
}

impl Gateways {
    /// The agent, once it has found again all that a former life started.
    pub(super) fn agent(&self) -> Result<&Running, Refused> {
        self.0.agent.get().ok_or_else(|| Refused::new(503, NOT_RECOVERED))
    }

    /// Refuses while executors of a former life are missing. No books are copied for that.
    pub(super) async fn insist_on_recovery(&self) -> Result<(), Refused> {
        if self.0.has_recovered.load(Relaxed) {
            return Ok(());
        }
        let recovery = self.agent()?.handle.ask(ReadRecovery).await.map_err(no_answer)?;
        self.0.has_recovered.store(!recovery.lasts, Relaxed);
        insist_on(!recovery.lasts)
    }

    /// The books at this moment, and who leads.
    pub(super) async fn shown(&self) -> Result<Shown, Refused> {
        let shown = self.agent()?.shown().await.map_err(no_answer)?;
        insist_on(!shown.books.is_recovering).map(|()| shown)
    }

    /// What the agent says of itself beside its books.
    pub(super) fn about(&self, master: Option<String>) -> Result<About, Refused> {
        let daemon = &self.0.daemon;
        let sandboxes = self.agent()?.sandboxes.clone();
        Ok(About {
            version: daemon.program(),
            started: self.0.started,
            master,
            flags: daemon.flags().clone(),
            sandbox: Box::new(move |framework, executor, container| {
                sandboxes.path(framework, executor, container).display().to_string()
            }),
        })
    }
}

fn no_answer(error: libactor::AskError) -> Refused {
    Refused::new(503, format!("the agent does not answer: {error}"))
}

fn insist_on(has_recovered: bool) -> Result<(), Refused> {
    has_recovered.then_some(()).ok_or_else(|| Refused::new(503, NOT_RECOVERED))
}

/// On a thread that may take its time.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Refused::new(500, format!("the page was not written: {error}")))
}
