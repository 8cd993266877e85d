//! Waits for what the servers answer, and not for ever. Of a request that is not answered nobody knows what became of it, as of
//! one whose connection was lost; so it ends like that one, and whoever asked looks, or asks once more. If that is not answered
//! either, nothing in this session will be: it is given up for another, and a reign that hung on it is over.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use zookeeper_client::{Client, Error};

use super::{StoreError, ZooKeeper};
use crate::election::Standing;
use crate::zookeeper::layout::Nodes;
use crate::zookeeper::logic::{Answer, RETRY};
use crate::zookeeper::requests::Context;
use crate::zookeeper::shell::{Message, Session, Told, UNANSWERED_TIMEOUTS};

/// So many requests in a row may be unanswered before their session is given up.
const UNANSWERED_MAX: u32 = 2;

/// Who needs no certain session asks in so many before it hears that there is no answer.
const SESSIONS_MAX: u32 = 2;

/// What the thread needs to work on the registry. It does not keep the connection open.
pub(super) struct Work {
    pub(super) context: Arc<Context>,
    told: Arc<Told>,
    sender: mpsc::UnboundedSender<Message>,
    /// Requests, in a row and in one session.
    unanswered: AtomicU32,
    /// When the last answer came, or this was begun.
    heard: Mutex<Instant>,
}

impl Work {
    pub(super) fn on(zookeeper: &ZooKeeper) -> Self {
        let connection = &zookeeper.0;
        Self {
            context: Arc::clone(&connection.context),
            told: Arc::clone(&connection.told),
            sender: connection.sender.clone(),
            unanswered: AtomicU32::new(0),
            heard: Mutex::new(Instant::now()),
        }
    }

    pub(super) fn place(&self) -> String {
        self.context.settings.url.to_string()
    }

    /// The present one.
    pub(super) fn session(&self) -> Option<Session> {
        self.told.session.borrow().clone()
    }

    /// The client of the session that a reign hangs on; without a reign, of any.
    pub(super) async fn client(&self, generation: Option<u64>) -> Result<Client, StoreError> {
        let mut sessions = self.told.session.subscribe();
        let patience = self.context.settings.session_timeout * UNANSWERED_TIMEOUTS;
        let waited = self.waited();
        if generation.is_none() && waited >= patience * UNANSWERED_MAX * SESSIONS_MAX {
            return Err(self.silent(waited));
        }
        let any = sessions.wait_for(|session| session.is_some() || generation.is_some());
        let Ok(any) = tokio::time::timeout(patience, any).await else {
            return Err(self.silent(patience));
        };
        let session = any.ok().and_then(|session| session.clone());
        let current = session.filter(|session| generation.is_none_or(|g| g == session.generation));
        current.map(|session| session.client).ok_or_else(|| self.lost())
    }

    /// What the servers answer to a request; [`Error::Timeout`] if they do not.
    pub(super) async fn answer<T, E: From<Error>>(
        &self,
        client: &Client,
        (what, path): (&str, &str),
        request: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let patience = client.session_timeout() * UNANSWERED_TIMEOUTS;
        tokio::select! {
            biased;
            answer = request => {
                self.unanswered.store(0, Ordering::Relaxed);
                *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                return answer;
            }
            () = self.is_over(client) => return Err(Error::SessionExpired.into()),
            () = tokio::time::sleep(patience) => {}
        }
        self.told.unanswered.fetch_add(1, Ordering::Relaxed);
        let times = self.unanswered.fetch_add(1, Ordering::Relaxed) + 1;
        let (url, seconds) = (&self.context.settings.url, patience.as_secs());
        if times < UNANSWERED_MAX {
            tracing::warn!(
                "the ZooKeeper servers of {url} have not answered for {seconds} s what was asked to {what} {path}; looks once more, and begins another session if that is not answered either"
            );
        } else {
            self.unanswered.store(0, Ordering::Relaxed);
            self.give_up(client, patience * times).await;
        }
        Err(Error::Timeout.into())
    }

    /// Returns when the session is no more, so that nobody asks in it again.
    async fn give_up(&self, client: &Client, waited: Duration) {
        let ours = self.session().filter(|session| is_of(client, session));
        // The election was not answered either, or the connection is closed.
        let Some(Session { generation, .. }) = ours else { return };
        if self.sender.send(Message::Unanswered(generation, waited)).is_ok() {
            self.is_over(client).await;
        }
    }

    async fn is_over(&self, client: &Client) {
        let mut sessions = self.told.session.subscribe();
        let is_another =
            |now: &Option<Session>| !now.as_ref().is_some_and(|now| is_of(client, now));
        // It cannot fail: what tells it is ours, too.
        let _ = sessions.wait_for(is_another).await;
    }

    /// Where the registry is that there is, or where it would be made. For those who need no certain session.
    pub(super) async fn find(&self) -> Result<Nodes, StoreError> {
        let path = &self.context.layout.path;
        loop {
            let client = self.client(None).await?;
            let found = async { Ok::<_, Error>(self.context.find_nodes(&client).await) };
            match self.answer(&client, ("look for the registry below", path), found).await {
                Ok(Ok(nodes)) => return Ok(nodes),
                Ok(Err(Answer::Refused(reason))) => return Err(StoreError::Refused { reason }),
                // The connection was lost.
                Ok(Err(_)) | Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    fn waited(&self) -> Duration {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn silent(&self, waited: Duration) -> StoreError {
        let trouble = self.told.trouble.borrow().clone();
        let reason = trouble.unwrap_or_else(|| {
            "its servers keep sessions alive and do not answer in them; restart those that hang, or name others in the URL".to_owned()
        });
        StoreError::Silent { place: self.place(), seconds: waited.as_secs(), reason }
    }

    pub(super) fn lost(&self) -> StoreError {
        let waited = self.waited();
        let patience = self.context.settings.session_timeout * UNANSWERED_TIMEOUTS;
        let reason = if waited >= patience {
            format!(
                "its servers kept the session alive and did not answer in it for {} s, so it was given up; what was on its way may have been written, and the next reign reads whether it was",
                waited.as_secs(),
            )
        } else {
            match &*self.told.standing.borrow() {
                Standing::Deposed(why) => why.clone(),
                Standing::Leads | Standing::Suspended => {
                    "its session with ZooKeeper expired".to_owned()
                }
            }
        };
        StoreError::Lost { place: self.place(), reason }
    }
}

fn is_of(client: &Client, session: &Session) -> bool {
    session.client.session_id() == client.session_id()
}
