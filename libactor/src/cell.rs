//! One actor as the node sees it: its mailbox, its counts, and what remote peers may send it.

mod open;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context as Task, Poll};

use actix::{Actor, Handler};
use tokio::sync::oneshot;

use crate::context::Context;
use crate::control::{DropReason, Failure};
use crate::error::{AskError, TellError};
use crate::flow::{self, Head};
use crate::mailbox::{Afar, Content, Event, Letter, Mailbox, Near, Origin, Post, Put, Told};
use crate::message::{Asked, Down, DownReason, Lane, Message, Principal, Question, Received};
use crate::pid::Pid;
use crate::reply::{Answered, Reply};
use crate::wire;
use open::{NOT_ACCEPTED, Open};

/// What is known of an actor without its type.
pub(crate) struct Meta {
    pub(crate) pid: Pid,
    pub(crate) name: Option<String>,
    mailbox: Arc<dyn Post>,
    pub(crate) stopped: AtomicBool,
    /// Whether its thread is in one of its turns now: what the watchdog looks at.
    pub(crate) busy: AtomicBool,
    turns: AtomicU64,
    /// The actor's type.
    pub(crate) kind: &'static str,
}

impl Meta {
    pub(crate) fn new(
        pid: Pid,
        name: Option<String>,
        kind: &'static str,
        mailbox: Arc<dyn Post>,
    ) -> Self {
        let (stopped, busy, turns) = Default::default();
        Self { pid, name, mailbox, stopped, busy, turns, kind }
    }

    /// Another turn begins, or a callback. Called by the actor's thread only.
    pub(crate) fn turn(&self) {
        self.turns.store(self.turns.load(Relaxed) + 1, Relaxed);
    }

    /// How many turns, callbacks and handlers have begun.
    pub(crate) fn begun(&self) -> u64 {
        self.turns.load(Relaxed) + self.mailbox.begun()
    }

    pub(crate) fn event(&self, event: Event) {
        self.mailbox.event(event);
    }

    pub(crate) fn mailbox(&self) -> &Arc<dyn Post> {
        &self.mailbox
    }

    /// Messages that entered the mailbox.
    pub(crate) fn enqueued(&self) -> u64 {
        self.mailbox.put_so_far()
    }

    /// Messages whose handler returned.
    pub(crate) fn handled(&self) -> u64 {
        self.mailbox.handled()
    }

    /// In the mailbox now, or in the handler.
    pub(crate) fn queued(&self) -> u64 {
        // Read in this order the difference is never too small.
        let handled = self.handled();
        self.enqueued().saturating_sub(handled)
    }
}

/// An actor with its type.
pub(crate) struct ActorCell<A: Actor> {
    pub(crate) mailbox: Arc<Mailbox<A>>,
    pub(crate) meta: Arc<Meta>,
}

impl<A: Actor<Context = Context<A>>> ActorCell<A> {
    /// Puts a message into the mailbox, or gives it back.
    #[inline]
    fn put<C: Content, O: Origin>(
        &self,
        head: Head,
        origin: O,
        content: C,
    ) -> Result<(), (C, TellError)>
    where
        A: Handler<C::Seen>,
    {
        let letter = Letter::new(head, origin, content);
        self.mailbox.put(letter).map_err(|(letter, error)| (letter.content, error))
    }
}

/// A handle to a local actor, with its type: sends are checked by the compiler and move the value.
pub struct Handle<A: Actor>(pub(crate) Arc<ActorCell<A>>);

impl<A: Actor> Clone for Handle<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> std::fmt::Debug for Handle<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Handle({})", self.0.meta.pid)
    }
}

impl<A: Actor<Context = Context<A>>> Handle<A> {
    /// The actor's pid.
    pub fn pid(&self) -> Pid {
        self.0.meta.pid
    }

    /// Sends a message; never waits.
    pub fn tell<M: Message>(&self, message: M) -> Result<(), TellError>
    where
        A: Handler<Received<M>>,
    {
        const { assert!(!matches!(M::LANE, Lane::Control), "the control lane is the runtime's") };
        self.0.put(flow::next_head(0), Near, Told(message)).map_err(|(_, error)| error)
    }

    /// As [`Handle::tell`], but an actor that sleeps is woken only when what comes back is dropped, or by the next who sends. For
    /// those who have something to do first that somebody waits for: waking a thread takes its time.
    pub fn leave<M: Message>(&self, message: M) -> Result<Wake, TellError>
    where
        A: Handler<Received<M>>,
    {
        const { assert!(!matches!(M::LANE, Lane::Control), "the control lane is the runtime's") };
        let letter = Letter::new(flow::next_head(0), Near, Told(message));
        match self.0.mailbox.put_quietly(letter) {
            Ok(_) => Ok(Wake(Arc::clone(&self.0.mailbox) as Arc<dyn Post>)),
            Err((_, error)) => Err(error),
        }
    }

    /// Asks at once; what comes back waits for the answer.
    pub fn ask<Q: Question>(
        &self,
        question: Q,
    ) -> impl Future<Output = Result<Q::Answer, AskError>> + Send + use<'_, A, Q>
    where
        A: Handler<Asked<Q>>,
    {
        let (reply, answer) = Reply::local();
        if let Err((asked, why)) = self.0.put(flow::next_head(0), Near, Put(question, reply)) {
            asked.1.refuse(why);
        }
        LocalAsk { answer, of: &self.0.meta }
    }

    /// Stops the actor once it has handled what it is at.
    pub fn stop(&self) {
        self.0.mailbox.event(Event::Stop);
    }

    /// Whether the actor has ended.
    pub fn stopped(&self) -> bool {
        self.0.meta.stopped.load(Relaxed)
    }

    /// Messages in its mailbox.
    pub fn queued(&self) -> u64 {
        self.0.meta.queued()
    }
}

/// A message was left for an actor, which is woken when this is dropped.
#[must_use = "dropped, it wakes"]
pub struct Wake(Arc<dyn Post>);

impl std::fmt::Debug for Wake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wake")
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        self.0.wake();
    }
}

/// An ask within the process: two words, and its answer goes where it is waited for. The future of an `async fn` is
/// larger, and what comes out of it is copied once more.
struct LocalAsk<'a, R> {
    answer: oneshot::Receiver<Answered<R>>,
    of: &'a Meta,
}

impl<R> Future for LocalAsk<'_, R> {
    type Output = Result<R, AskError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let of = self.of;
        Pin::new(&mut self.answer).poll(task).map(|answered| match answered {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(unanswered(*error, of)),
            Err(_) => Err(unanswered(AskError::NoAnswer, of)),
        })
    }
}

/// Why there is no answer.
#[cold]
fn unanswered(error: AskError, by: &Meta) -> AskError {
    if error == AskError::NoAnswer && by.stopped.load(Relaxed) {
        return AskError::Down(DownReason::Stopped);
    }
    error
}

/// A message or question that came from the wire.
pub(crate) struct Arrival<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) from: Option<Pid>,
    pub(crate) principal: Principal,
    /// Over loopback and not through a relay; said only of the anonymous.
    pub(crate) here: bool,
    pub(crate) head: &'a Head,
    pub(crate) credit: Option<crate::conn::Credit>,
    pub(crate) reply: Option<crate::reply::Remote>,
}

impl Arrival<'_> {
    fn origin(&mut self) -> Afar {
        Afar { from: self.from, principal: self.principal, _credit: self.credit.take() }
    }
}

type Decode<A> =
    Box<dyn Fn(&ActorCell<A>, &mut Arrival<'_>) -> Result<(), DropReason> + Send + Sync>;
/// How a local actor is told or asked by pid, found by the message's type.
pub(crate) type Tell<M> = Box<dyn Fn(M, Head) -> Result<(), (M, TellError)> + Send + Sync>;
pub(crate) type Ask<Q> =
    Box<dyn Fn(Q, Head, Reply<<Q as Question>::Answer>) -> Result<(), TellError> + Send + Sync>;
type Local<A> = Box<dyn FnOnce(&Arc<ActorCell<A>>) -> Box<dyn Any + Send + Sync> + Send>;

/// A type that may come from the wire.
struct Remote<A: Actor> {
    name: &'static str,
    /// Whether as a question.
    asks: bool,
    open: Open,
    decode: Decode<A>,
}

/// What others may send to an actor by its pid or name, this node or another. Only these types are decoded.
pub struct Accepts<A: Actor> {
    remote: Vec<Remote<A>>,
    local: Vec<(TypeId, Local<A>)>,
    of: PhantomData<fn(A)>,
}

impl<A: Actor<Context = Context<A>>> Default for Accepts<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Actor<Context = Context<A>>> Accepts<A> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { remote: Vec::new(), local: Vec::new(), of: PhantomData }
    }

    /// Messages of type `M`.
    #[must_use]
    pub fn tells<M: Message>(mut self) -> Self
    where
        A: Handler<Received<M>>,
    {
        let decode = |cell: &ActorCell<A>, arrival: &mut Arrival<'_>| {
            let message: M =
                wire::decode(arrival.payload).map_err(|_| DropReason::UnknownVariant)?;
            let origin = arrival.origin();
            cell.put(*arrival.head, origin, Told(message)).map_err(|(_, error)| dropped(&error))
        };
        let decode = Box::new(decode);
        self.remote.push(Remote { name: M::NAME, asks: false, open: Open::Nodes, decode });
        self.tells_here::<M>()
    }

    /// Messages of type `M` from actors of this node; from others they are dropped as not accepted.
    #[must_use]
    pub fn tells_here<M: Message>(mut self) -> Self
    where
        A: Handler<Received<M>>,
    {
        let local = |cell: &Arc<ActorCell<A>>| {
            let cell = Arc::downgrade(cell);
            let tell: Tell<M> = Box::new(move |message, head| {
                let Some(cell) = cell.upgrade() else {
                    return Err((message, TellError::Stopped));
                };
                cell.put(head, Near, Told(message)).map_err(|(told, error)| (told.0, error))
            });
            Box::new(tell) as Box<dyn Any + Send + Sync>
        };
        self.local.push((TypeId::of::<Tell<M>>(), Box::new(local)));
        self
    }

    /// Questions of type `Q`.
    #[must_use]
    pub fn asks<Q: Question>(mut self) -> Self
    where
        A: Handler<Asked<Q>>,
    {
        let decode = |cell: &ActorCell<A>, arrival: &mut Arrival<'_>| {
            let Some(remote) = arrival.reply.take() else {
                return Err(DropReason::NotAccepted);
            };
            let question: Q = match wire::decode(arrival.payload) {
                Ok(question) => question,
                Err(error) => {
                    remote.fail(Failure::Refused(error.to_string()));
                    return Err(DropReason::UnknownVariant);
                }
            };
            let origin = arrival.origin();
            let question = Put(question, Reply::remote(remote));
            cell.put(*arrival.head, origin, question).map_err(|(asked, error)| {
                let why = if error == TellError::Full {
                    Failure::Full
                } else {
                    Failure::Down(DownReason::Stopped)
                };
                asked.1.fail(why);
                dropped(&error)
            })
        };
        let decode = Box::new(decode);
        self.remote.push(Remote { name: Q::NAME, asks: true, open: Open::Nodes, decode });
        let local = |cell: &Arc<ActorCell<A>>| {
            let cell = Arc::downgrade(cell);
            let ask: Ask<Q> = Box::new(move |question, head, reply| {
                let cell = cell.upgrade().ok_or(TellError::Stopped)?;
                cell.put(head, Near, Put(question, reply)).map_err(|(_, error)| error)
            });
            Box::new(ask) as Box<dyn Any + Send + Sync>
        };
        self.local.push((TypeId::of::<Ask<Q>>(), Box::new(local)));
        self
    }

    /// The type named last may also come from a node to which this one lent a secret; no other may.
    #[must_use]
    pub fn from_lent(self) -> Self {
        self.open(Open::Lent)
    }

    /// The type named last may only come from nodes that proved to know the cluster's secret; in a cluster without one, only
    /// from processes on the node's own machine, over loopback.
    #[must_use]
    pub fn from_operators(self) -> Self {
        self.open(Open::Operators)
    }

    fn open(mut self, open: Open) -> Self {
        if let Some(last) = self.remote.last_mut() {
            last.open = open;
        }
        self
    }

    /// Says that the actor links: nothing to decode, the bound is the point.
    #[must_use]
    pub fn links(self) -> Self
    where
        A: Handler<Down>,
    {
        self
    }

    /// Two types of one name, if there are.
    pub(crate) fn twice(&self) -> Option<&'static str> {
        let mut names: Vec<_> =
            self.remote.iter().map(|remote| (remote.name, remote.asks)).collect();
        names.sort_unstable();
        names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].0)
    }

    /// The actor as the node keeps it.
    pub(crate) fn entry(self, cell: &Arc<ActorCell<A>>) -> Entry {
        let local = self.local.into_iter().map(|(id, local)| (id, local(cell))).collect();
        // An actor accepts a few types: to look through them is quicker than to hash.
        let remote: Vec<(u64, Remote<A>)> =
            self.remote.into_iter().map(|remote| (wire::tag(remote.name), remote)).collect();
        let mine = Arc::clone(cell);
        let arrive = move |tag: u64, arrival: &mut Arrival<'_>| {
            let asks = arrival.reply.is_some();
            let named = remote.iter().find(|(its, remote)| *its == tag && remote.asks == asks);
            let (why, words) = match named {
                Some((_, remote)) => match remote.open.refuses(arrival.principal, arrival.here) {
                    None => return (remote.decode)(&mine, arrival),
                    Some(refusal) => refusal,
                },
                None => NOT_ACCEPTED,
            };
            if let Some(remote) = &arrival.reply {
                remote.fail(Failure::Refused(words.to_owned()));
            }
            Err(why)
        };
        Entry { meta: Arc::clone(&cell.meta), local, arrive: Box::new(arrive) }
    }
}

fn dropped(error: &TellError) -> DropReason {
    match error {
        TellError::Full => DropReason::MailboxFull,
        TellError::Stopped => DropReason::Stale,
        TellError::NotAccepted(_) => DropReason::NotAccepted,
        TellError::Unreachable(_)
        | TellError::TooLarge { .. }
        | TellError::TooNew { .. }
        | TellError::Encode(_) => DropReason::Unreachable,
    }
}

type Arrive = Box<dyn Fn(u64, &mut Arrival<'_>) -> Result<(), DropReason> + Send + Sync>;

/// An actor in its node's table.
pub(crate) struct Entry {
    pub(crate) meta: Arc<Meta>,
    local: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    arrive: Arrive,
}

impl Entry {
    /// How to tell or ask it, if it accepts that.
    pub(crate) fn local<T: 'static>(&self) -> Option<&T> {
        self.local.get(&TypeId::of::<T>())?.downcast_ref()
    }

    /// A message from the wire.
    pub(crate) fn arrive(&self, tag: u64, arrival: &mut Arrival<'_>) -> Result<(), DropReason> {
        (self.arrive)(tag, arrival)
    }
}
