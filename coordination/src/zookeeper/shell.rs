//! The client, on a runtime thread of its own: whatever else this process does, its session is kept alive. It turns what the
//! client says into events of the election and of the detection, and carries out what they want. A session that is over is
//! followed by a new one, for ever.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc as blocking};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use zookeeper_client::{Client, OneshotWatcher, SessionState};

use super::layout::Nodes;
use super::logic::detection::{self, Detection, Found};
use super::logic::{Answer, Effect, Election, Event, Number, Request};
use super::requests::Context;
use crate::election::{Candidate, Reign, Standing};

/// Between two attempts to begin a session.
const CONNECT_AGAIN: Duration = Duration::from_millis(250);

/// An ensemble that stays away is mentioned this often.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// How long the end of a session may take. A server that does not take it in time lets it expire.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// A request is waited for so many time-outs of its session. Servers answer a session in order, its heartbeats too, so that one
/// that says nothing is noticed sooner; this is for whatever else may go wrong, since one request that is never answered would
/// keep all others from being asked.
pub(super) const UNANSWERED_TIMEOUTS: u32 = 3;

/// A session, as the store needs it.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Numbers the sessions of this process.
    pub(super) generation: u64,
    pub(super) client: Client,
}

/// A reign, as the store needs it.
#[derive(Clone, Debug)]
pub(super) struct Elected {
    pub(super) reign: Reign,
    /// Where its registry is.
    pub(super) nodes: Nodes,
    /// The candidate.
    pub(super) by: String,
    /// The session that it hangs on.
    pub(super) generation: u64,
    /// Of the epoch's node.
    pub(super) version: i32,
}

/// What the thread tells everybody.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) standing: watch::Sender<Standing>,
    pub(super) leader: watch::Sender<Option<Candidate>>,
    pub(super) session: watch::Sender<Option<Session>>,
    /// Why there is no session, if there is none for long, or why nobody can be found.
    pub(super) trouble: watch::Sender<Option<String>>,
    /// Requests that were not answered in time.
    pub(super) unanswered: AtomicU64,
}

impl Default for Told {
    fn default() -> Self {
        let idle = Standing::Deposed("it never stood for election".to_owned());
        Self {
            standing: watch::Sender::new(idle),
            leader: watch::Sender::default(),
            session: watch::Sender::default(),
            trouble: watch::Sender::default(),
            unanswered: AtomicU64::new(0),
        }
    }
}

/// Where an election's outcome goes.
pub(super) type Reply = blocking::Sender<Result<Elected, String>>;

/// Who wanted to hear of a change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watches {
    Election,
    Detection,
}

/// What the thread hears.
pub(super) enum Message {
    /// From the owner.
    Stand(Candidate, Reply),
    /// From the store: a later epoch has begun.
    Fenced(String),
    /// From the owner: it is over.
    End,
    Opened(Client),
    State(u64, SessionState),
    Answered(u64, Number, Answer, Option<OneshotWatcher>),
    Found(u64, Number, Found, Option<OneshotWatcher>),
    Changed(u64, Watches),
    /// For so long.
    Unanswered(u64, Duration),
    ElectionTimer(Number),
    DetectionTimer(Number),
}

/// Not a method: a message may hold a watcher, which shows nothing of itself.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Message")
    }
}

pub(super) struct Shell {
    context: Arc<Context>,
    told: Arc<Told>,
    sender: mpsc::UnboundedSender<Message>,
    election: Election,
    detection: Detection,
    session: Option<Session>,
    generation: u64,
    candidate: Candidate,
    reply: Option<Reply>,
    /// The session before this one was not answered, nor was this one yet.
    unanswered: bool,
    /// What waits for the client; all of it ends with its session.
    tasks: Vec<AbortHandle>,
    watches: BTreeMap<Watches, AbortHandle>,
}

impl Shell {
    pub(super) fn new(
        context: Arc<Context>,
        told: Arc<Told>,
        sender: mpsc::UnboundedSender<Message>,
    ) -> Self {
        Self {
            context,
            told,
            sender,
            election: Election::default(),
            detection: Detection::default(),
            session: None,
            generation: 0,
            candidate: Candidate::at(""),
            reply: None,
            unanswered: false,
            tasks: Vec::new(),
            watches: BTreeMap::new(),
        }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Message>) {
        self.connect();
        while let Some(message) = inbox.recv().await {
            if matches!(message, Message::End) {
                break;
            }
            self.hear(message);
        }
        self.close().await;
    }

    fn hear(&mut self, message: Message) {
        let current = |generation| self.session.is_some() && generation == self.generation;
        match message {
            Message::Stand(candidate, reply) => {
                // Whoever stood before does not any more.
                self.reply = Some(reply);
                let id = candidate.id.clone();
                self.candidate = candidate;
                self.elect(Event::Stand { id });
            }
            Message::Fenced(why) => self.elect(Event::Fenced(why)),
            Message::Opened(client) => self.on_opened(client),
            Message::State(generation, state) if current(generation) => self.on_state(state),
            Message::Answered(generation, number, answer, watcher) if current(generation) => {
                self.is_answered();
                self.watch(Watches::Election, watcher);
                self.elect(Event::Answered(number, answer));
            }
            Message::Found(generation, number, found, watcher) if current(generation) => {
                self.is_answered();
                // What was in the way of finding somebody is no more.
                if matches!(found, Found::Leader(_) | Found::Nobody) {
                    self.told.trouble.send_replace(None);
                }
                self.watch(Watches::Detection, watcher);
                self.detect(detection::Event::Found(number, found));
            }
            Message::Changed(generation, who) if current(generation) => match who {
                Watches::Election => self.elect(Event::SeatsChanged),
                Watches::Detection => self.detect(detection::Event::SeatsChanged),
            },
            Message::Unanswered(generation, waited) if current(generation) => {
                self.give_up(waited);
            }
            // Of a session that is over.
            Message::State(..)
            | Message::Unanswered(..)
            | Message::Answered(..)
            | Message::Found(..)
            | Message::Changed(..) => {}
            Message::ElectionTimer(number) => self.elect(Event::Timer(number)),
            Message::DetectionTimer(number) => self.detect(detection::Event::Timer(number)),
            Message::End => {}
        }
    }

    fn on_opened(&mut self, client: Client) {
        self.generation += 1;
        let session = Session { generation: self.generation, client: client.clone() };
        self.session = Some(session.clone());
        self.told.session.send_replace(Some(session));
        if !self.unanswered {
            self.told.trouble.send_replace(None);
        }
        let (sender, generation) = (self.sender.clone(), self.generation);
        let mut states = client.state_watcher();
        self.spawn(async move {
            loop {
                let state = states.changed().await;
                if sender.send(Message::State(generation, state)).is_err() || state.is_terminated()
                {
                    return;
                }
            }
        });
        self.on_state(SessionState::SyncConnected);
    }

    fn on_state(&mut self, state: SessionState) {
        tracing::debug!(%state, url = %self.context.settings.url, "ZooKeeper");
        let Some(Session { client, .. }) = &self.session else { return };
        match state {
            SessionState::SyncConnected | SessionState::ConnectedReadOnly => {
                let (session, timeout) = (client.session_id().0, client.session_timeout());
                self.elect(Event::Connected { session, timeout });
                self.detect(detection::Event::Connected);
            }
            SessionState::Disconnected => self.elect(Event::Disconnected),
            SessionState::Expired | SessionState::AuthFailed | SessionState::Closed => {
                self.session = None;
                self.told.session.send_replace(None);
                self.abort_all();
                self.elect(Event::Expired);
                self.detect(detection::Event::Expired);
                self.connect();
            }
        }
    }

    /// Whoever asks again asks in another session.
    fn give_up(&mut self, waited: Duration) {
        let words = format!(
            "the ZooKeeper servers of {} keep a session alive, and have not answered it for {} s; begins another session",
            self.context.settings.url,
            waited.as_secs(),
        );
        tracing::warn!("{words}");
        self.unanswered = true;
        self.told.trouble.send_replace(Some(words));
        self.on_state(SessionState::Closed);
    }

    fn is_answered(&mut self) {
        if std::mem::take(&mut self.unanswered) {
            self.told.trouble.send_replace(None);
        }
    }

    fn elect(&mut self, event: Event) {
        tracing::debug!(?event, "election");
        for effect in self.election.step(event) {
            tracing::debug!(?effect, "election");
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Ask(number, request) => self.ask(number, request),
            Effect::StartTimer(number, after) => {
                self.start_timer(Message::ElectionTimer(number), after)
            }
            Effect::Lead { epoch, version } => self.on_lead(epoch, version),
            Effect::Suspend => {
                self.told.standing.send_replace(Standing::Suspended);
            }
            Effect::Resume => {
                self.told.standing.send_replace(Standing::Leads);
            }
            Effect::Depose(why) => {
                tracing::warn!(url = %self.context.settings.url, %why, "deposed");
                self.told.standing.send_replace(Standing::Deposed(why));
            }
            Effect::Fail(why) => {
                self.told.standing.send_replace(Standing::Deposed(why.clone()));
                if let Some(reply) = self.reply.take() {
                    // Whoever does not wait any more does not want to know.
                    let _ = reply.send(Err(why));
                }
            }
        }
    }

    fn on_lead(&mut self, epoch: u64, version: i32) {
        let whose = self.context.whose().expect("it was read before anything else");
        let elected = Elected {
            reign: Reign { cluster: whose.cluster, epoch },
            nodes: whose.nodes,
            by: self.candidate.id.clone(),
            generation: self.generation,
            version,
        };
        self.told.standing.send_replace(Standing::Leads);
        let heard = self.reply.take().is_some_and(|reply| reply.send(Ok(elected)).is_ok());
        if !heard {
            self.elect(Event::Fenced("nobody wants to lead any more".to_owned()));
        }
    }

    fn ask(&mut self, number: Number, request: Request) {
        let Some(Session { generation, client }) = self.session.clone() else { return };
        let (context, sender) = (Arc::clone(&self.context), self.sender.clone());
        let candidate = self.candidate.clone();
        self.spawn_answered(generation, &client.clone(), async move {
            let (answer, watcher) = context.perform(&client, request, &candidate).await;
            let _ = sender.send(Message::Answered(generation, number, answer, watcher));
        });
    }

    fn detect(&mut self, event: detection::Event) {
        for effect in self.detection.step(event) {
            match effect {
                detection::Effect::Look(number) => self.look(number),
                detection::Effect::StartTimer(number, after) => {
                    self.start_timer(Message::DetectionTimer(number), after);
                }
                detection::Effect::Name(leader) => {
                    self.told.leader.send_replace(leader);
                }
                detection::Effect::Warn(words) => {
                    tracing::warn!("{words}");
                    self.told.trouble.send_replace(Some(words));
                }
            }
        }
    }

    fn look(&mut self, number: Number) {
        let Some(Session { generation, client }) = self.session.clone() else { return };
        let (context, sender) = (Arc::clone(&self.context), self.sender.clone());
        self.spawn_answered(generation, &client.clone(), async move {
            let (found, watcher) = context.look(&client).await;
            let _ = sender.send(Message::Found(generation, number, found, watcher));
        });
    }

    /// Waits for one change; what was watched before for the same purpose is not needed any more.
    fn watch(&mut self, who: Watches, watcher: Option<OneshotWatcher>) {
        let Some(watcher) = watcher else { return };
        let (sender, generation) = (self.sender.clone(), self.generation);
        let task = tokio::spawn(async move {
            watcher.changed().await;
            let _ = sender.send(Message::Changed(generation, who));
        });
        if let Some(earlier) = self.watches.insert(who, task.abort_handle()) {
            earlier.abort();
        }
    }

    fn start_timer(&mut self, message: Message, after: Duration) {
        let sender = self.sender.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let _ = sender.send(message);
        });
    }

    /// What ends when the servers have answered.
    fn spawn_answered(
        &mut self,
        generation: u64,
        client: &Client,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let (sender, patience) =
            (self.sender.clone(), client.session_timeout() * UNANSWERED_TIMEOUTS);
        let told = Arc::clone(&self.told);
        self.spawn(async move {
            if tokio::time::timeout(patience, task).await.is_err() {
                told.unanswered.fetch_add(1, Ordering::Relaxed);
                let _ = sender.send(Message::Unanswered(generation, patience));
            }
        });
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.retain(|task| !task.is_finished());
        self.tasks.push(tokio::spawn(task).abort_handle());
    }

    fn abort_all(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
        for (_, watch) in std::mem::take(&mut self.watches) {
            watch.abort();
        }
    }

    /// Begins a session, however long that takes.
    fn connect(&mut self) {
        let (context, sender) = (Arc::clone(&self.context), self.sender.clone());
        let told = Arc::clone(&self.told);
        self.spawn(async move {
            let mut said: Option<Instant> = None;
            loop {
                match context.connect().await {
                    Ok(client) => {
                        let _ = sender.send(Message::Opened(client));
                        return;
                    }
                    Err(words) => {
                        if said.is_none_or(|said| said.elapsed() > SAY_EVERY) {
                            tracing::warn!("{words}; trying on");
                            said = Some(Instant::now());
                        }
                        told.trouble.send_replace(Some(words));
                    }
                }
                tokio::time::sleep(CONNECT_AGAIN).await;
            }
        });
    }

    /// Ends the session, so that what hangs on it vanishes at once.
    async fn close(mut self) {
        let states = self.session.as_ref().map(|session| session.client.state_watcher());
        self.told.standing.send_replace(Standing::Deposed("it conceded".to_owned()));
        self.told.session.send_replace(None);
        self.abort_all();
        self.session = None;
        let Some(mut states) = states else { return };
        let ended = async { while !states.changed().await.is_terminated() {} };
        let _ = tokio::time::timeout(CLOSE_WITHIN, ended).await;
    }
}
