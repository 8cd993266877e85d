//! Reads of a master's state: the newest that its view knows, and never an older one than somebody was told of.

use std::sync::Arc;

use bytes::Bytes;
use gateway::Refused;
use protocol::change::Moment;
use protocol::legacy::Written;
use protocol::operator::{List, Read, ReadAnswer};

use crate::actors::view::Publish;
use crate::published::Snapshot;
use crate::start::Running;
use crate::view::View;

impl Running {
    /// The newest state.
    ///
    /// # Errors
    ///
    /// 503 if the view is gone, or so far behind what others were told that it does not catch up.
    pub(super) async fn newest(&self) -> Result<Arc<Snapshot>, Refused> {
        self.published().underway().settled().await;
        let heard = self.published().heard();
        let mut moment = self.publish().await?;
        if moment.change < heard {
            // It is on its way to the view.
            let after = Moment { change: heard, ..moment };
            let read = Read::After { moment: after, list: List::Cluster };
            match self.view().ask(read).await {
                Ok(ReadAnswer::Cluster(_)) => (),
                Ok(other) => {
                    tracing::warn!(?other, heard, "the view is behind what the master has said");
                    return Err(Refused::new(503, "the master's view is behind; try again"));
                }
                Err(error) => return Err(no_view(error)),
            }
            moment = self.publish().await?;
        }
        tracing::trace!(?moment, "a reader sees this");
        Ok(self.published().newest())
    }

    async fn publish(&self) -> Result<Moment, Refused> {
        self.view().ask(Publish).await.map_err(no_view)
    }
}

fn no_view(error: libactor::AskError) -> Refused {
    Refused::new(503, format!("the master's view does not answer: {error}"))
}

/// What `write` makes of the newest state; what has the same name is made once.
pub(super) async fn page(
    reign: &Running,
    name: Option<String>,
    write: impl FnOnce(&View) -> Written + Send + 'static,
) -> Result<Bytes, Refused> {
    let snapshot = reign.newest().await?;
    snapshot.written(name, write).await.map_err(|words| Refused::new(500, words))
}
