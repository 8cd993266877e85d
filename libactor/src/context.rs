//! What an actor has in its hands while it handles a message, and the envelope in which messages reach it.
//!
//! An actix context of our own: its `pack` puts the flow's head into every envelope, so that any send carries it.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix::dev::channel::{AddressSender, channel};
use actix::dev::{Envelope, EnvelopeProxy, MessageResponse, OneshotSender, ToEnvelope};
use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, ActorState, Addr, AsyncContext, Handler, SpawnHandle};

use crate::cell::Meta;
use crate::error::{AskError, TellError};
use crate::flow::{self, FlowId, Head};
use crate::mailbox::{Event, Mailbox, Open, Post};
use crate::message::{Down, Lane, Message, Question, Subjects};
use crate::node::Node;
use crate::pid::{Address, Pid};
use crate::recorder::chatter::Shard;
use crate::recorder::{Record, What};

/// Messages that wait at a bare address before `try_send` says that it is full.
const BARE_MAILBOX: usize = 16;

/// A future beside an actor.
pub(crate) type Spawned<A> = (SpawnHandle, Pin<Box<dyn ActorFuture<A, Output = ()>>>);
type Callback<A> = Box<dyn FnOnce(&mut A, &mut Context<A>)>;

/// The context of an actor of libactor: `type Context = libactor::Context<Self>`.
pub struct Context<A: Actor<Context = Self>> {
    state: ActorState,
    /// Futures that hold the actor up, the newest last.
    pub(crate) pauses: Vec<Pin<Box<dyn ActorFuture<A, Output = ()>>>>,
    /// Futures that were spawned and not yet polled, and those that are not to be polled any more.
    pub(crate) spawned: Vec<Spawned<A>>,
    pub(crate) cancelled: Vec<SpawnHandle>,
    last: SpawnHandle,
    /// For who gives out a bare address: what sends to it, and its mailbox.
    sender: OnceCell<AddressSender<A>>,
    pub(crate) bare: Cell<Option<actix::dev::Mailbox<A>>>,
    node: Node,
    meta: Arc<Meta>,
    mailbox: Arc<Mailbox<A>>,
    callbacks: HashMap<u64, (Head, Callback<A>)>,
    next: u64,
    shard: Option<Arc<Shard>>,
}

impl<A: Actor<Context = Self>> Context<A> {
    pub(crate) fn new(
        node: Node,
        meta: Arc<Meta>,
        mailbox: Arc<Mailbox<A>>,
        shard: Option<Arc<Shard>>,
    ) -> Self {
        let (pauses, spawned, cancelled, last) = Default::default();
        let (sender, bare, callbacks, next) = Default::default();
        let state = ActorState::Running;
        Self {
            state,
            pauses,
            spawned,
            cancelled,
            last,
            sender,
            bare,
            node,
            meta,
            mailbox,
            callbacks,
            next,
            shard,
        }
    }

    /// Whether nothing is handled: in a pause, or at the end.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        !self.pauses.is_empty() || self.state.stopping()
    }

    pub(crate) fn set_state(&mut self, state: ActorState) {
        self.state = state;
    }

    /// An event, and what is to be done then.
    pub(crate) fn hear(&mut self, event: Event, actor: &mut A) {
        match event {
            Event::Fire(id) => {
                if let Some((head, callback)) = self.callbacks.remove(&id) {
                    flow::handling(&head, self.meta.pid.life);
                    self.meta.turn();
                    callback(actor, self);
                }
            }
            Event::Forget(id) => {
                self.callbacks.remove(&id);
            }
            Event::Stop => self.stop(),
        }
    }

    /// Whether what it handles is recorded.
    #[inline]
    pub(crate) fn records(&self) -> bool {
        self.shard.is_some()
    }

    /// A letter of a user is handled from here.
    #[inline]
    pub(crate) fn handling(&self, head: &Head) {
        flow::handling(head, self.meta.pid.life);
        self.mailbox.begin();
    }

    /// To here.
    #[inline]
    pub(crate) fn handled(&self) {
        self.mailbox.handled_one();
    }

    /// What came from another node and is about to be handled.
    pub(crate) fn arrived(&self, head: Head, label: &'static str, lane: Lane, sent: u64) -> Record {
        let (receiver, now) = (self.meta.pid.life, flow::stamp());
        Record::new(&head, What::Handled, receiver, (label, Some(lane)), [sent, now, now])
    }

    /// What was handled just now.
    pub(crate) fn record(
        &self,
        head: Head,
        label: &'static str,
        lane: Option<Lane>,
        subjects: Option<Arc<Subjects>>,
        sent: u64,
    ) {
        let Some(shard) = &self.shard else {
            return;
        };
        let started = flow::stamp();
        let ended = flow::stamp_now();
        let (receiver, at) = (self.meta.pid.life, [sent, started, ended]);
        let record = || Record::new(&head, What::Handled, receiver, (label, lane), at);
        match subjects {
            Some(subjects) => self.node.recorder().flow(record(), subjects),
            None => shard.push(record),
        }
    }

    /// This actor's pid.
    pub fn pid(&self) -> Pid {
        self.meta.pid
    }

    /// The node that hosts it.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Sends a message; never waits.
    pub fn tell<M: Message>(
        &mut self,
        to: impl Into<Address>,
        message: M,
    ) -> Result<(), TellError> {
        self.node.tell(to, message)
    }

    /// Like [`Context::tell`], but gives back what could not be sent, with the reason.
    pub fn try_tell<M: Message>(
        &mut self,
        to: impl Into<Address>,
        message: M,
    ) -> Result<(), Box<(M, TellError)>> {
        self.node.try_tell(&to.into(), message)
    }

    /// Like [`Context::tell`], but a peer that is too old for the message is told what `older` makes of it, if anything.
    pub fn tell_in_older<M: Message>(
        &mut self,
        to: impl Into<Address>,
        message: M,
        older: impl FnOnce(M) -> Option<M>,
    ) -> Result<(), TellError> {
        let to = to.into();
        let Err(refused) = self.node.try_tell(&to, message) else {
            return Ok(());
        };
        let (message, error) = *refused;
        let is_too_new = matches!(error, TellError::TooNew { .. });
        match if is_too_new { older(message) } else { None } {
            Some(message) => self.node.tell(to, message),
            None => Err(error),
        }
    }

    /// Asks; `then` runs in this actor with the answer, or with why there is none.
    pub fn ask<Q: Question>(
        &mut self,
        to: impl Into<Address>,
        question: Q,
        deadline: Duration,
        then: impl FnOnce(&mut A, Result<Q::Answer, AskError>, &mut Self) + 'static,
    ) {
        let asked = self.node.ask(to, question, deadline);
        self.run(asked, then);
    }

    /// Watches a pid: exactly one [`Down`] when it ends. One that is dead already gives its `Down` too.
    pub fn link(&mut self, pid: Pid)
    where
        A: Handler<Down>,
    {
        let mailbox = Arc::clone(&self.mailbox);
        let deliver = move |down| mailbox.push(Bare::new(down, None));
        self.node.link(self.meta.pid.life, pid, Box::new(deliver));
    }

    /// Watches no longer: a `Down` that is not yet in the mailbox does not come.
    pub fn unlink(&mut self, pid: Pid) {
        self.node.unlink(self.meta.pid.life, pid.life);
    }

    /// Runs `then` in this actor after a while, in the flow that is handled now.
    pub fn after(
        &mut self,
        delay: Duration,
        then: impl FnOnce(&mut A, &mut Self) + 'static,
    ) -> TimerHandle {
        self.later(tokio::time::sleep(delay), |actor, (), ctx| then(actor, ctx))
    }

    /// Runs a future beside this actor, and `then` in it with what came out, in the flow that is handled now.
    pub fn run<F>(
        &mut self,
        future: F,
        then: impl FnOnce(&mut A, F::Output, &mut Self) + 'static,
    ) -> TimerHandle
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.later(future, then)
    }

    fn later<F>(
        &mut self,
        future: F,
        then: impl FnOnce(&mut A, F::Output, &mut Self) + 'static,
    ) -> TimerHandle
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let output = Rc::new(RefCell::new(None));
        let taken = Rc::clone(&output);
        let callback = move |actor: &mut A, ctx: &mut Self| {
            if let Some((output, sent)) = taken.take() {
                flow::count_on(sent);
                then(actor, output, ctx);
            }
        };
        self.next += 1;
        let id = self.next;
        let head = flow::to_go_on();
        self.callbacks.insert(id, (head, Box::new(callback)));
        let (mailbox, me) = (Arc::clone(&self.mailbox), self.meta.pid.life);
        let future = InFlow { head, me, stamped: self.shard.is_some(), future: Box::pin(future) };
        let task = actix_rt::spawn(async move {
            *output.borrow_mut() = Some(future.await);
            // A stopped actor no longer listens, and has no use for the output.
            mailbox.event(Event::Fire(id));
        });
        TimerHandle { mailbox: Arc::clone(self.meta.mailbox()), id, task: task.abort_handle() }
    }

    /// Timers and futures that have not ended.
    #[cfg(test)]
    pub(crate) fn timers(&self) -> usize {
        self.callbacks.len()
    }

    /// Stops this actor once the current handler is done.
    pub fn stop(&mut self) {
        if self.state.alive() {
            self.state = ActorState::Stopping;
        }
    }

    /// Makes what is handled now the root of a new flow.
    pub fn begin_flow(&mut self) -> FlowId {
        flow::begin()
    }

    /// The flow of what is handled now.
    pub fn flow(&self) -> FlowId {
        flow::current()
    }
}

/// A future polled within the flow that started it.
struct InFlow<F> {
    head: Head,
    me: crate::pid::Life,
    stamped: bool,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for InFlow<F> {
    /// What came out, and how many messages were sent before.
    type Output = (F::Output, u64);

    fn poll(mut self: Pin<&mut Self>, task: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        if self.stamped {
            flow::stamp_now();
        }
        let _turn = flow::enter(&self.head, self.me);
        flow::count_on(self.head.sequence());
        let polled = self.future.as_mut().poll(task);
        self.head = self.head.counted(flow::sent());
        polled.map(|output| (output, self.head.sequence()))
    }
}

/// A timer or a future that runs for an actor. Dropping it changes nothing.
pub struct TimerHandle {
    mailbox: Arc<dyn Post>,
    id: u64,
    task: tokio::task::AbortHandle,
}

impl std::fmt::Debug for TimerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TimerHandle({})", self.id)
    }
}

impl TimerHandle {
    /// What it was to do is not done, even if its time has come and it waits to be handled.
    pub fn cancel(self) {
        self.task.abort();
        self.mailbox.event(Event::Forget(self.id));
    }
}

impl<A: Actor<Context = Self>> ActorContext for Context<A> {
    fn stop(&mut self) {
        Self::stop(self);
    }

    fn terminate(&mut self) {
        self.state = ActorState::Stopped;
    }

    fn state(&self) -> ActorState {
        self.state
    }
}

impl<A: Actor<Context = Self>> AsyncContext<A> for Context<A> {
    fn spawn<F: ActorFuture<A, Output = ()> + 'static>(&mut self, future: F) -> SpawnHandle {
        self.last = self.last.next();
        self.spawned.push((self.last, Box::pin(future)));
        self.last
    }

    fn wait<F: ActorFuture<A, Output = ()> + 'static>(&mut self, future: F) {
        self.pauses.push(Box::pin(future));
    }

    fn waiting(&self) -> bool {
        self.is_held()
    }

    fn cancel_future(&mut self, handle: SpawnHandle) -> bool {
        self.cancelled.push(handle);
        true
    }

    fn address(&self) -> Addr<A> {
        let sender = self.sender.get_or_init(|| {
            let (sender, receiver) = channel(BARE_MAILBOX);
            self.bare.set(Some(actix::dev::Mailbox::new(receiver)));
            sender
        });
        Addr::new(sender.clone())
    }
}

/// A message in a letter of the runtime, or sent to a bare address: it carries its flow, and counts for nothing.
pub(crate) struct Bare<M: actix::Message> {
    head: Head,
    sent: u64,
    message: Option<M>,
    answer: Option<OneshotSender<M::Result>>,
}

impl<M: actix::Message> Bare<M> {
    pub(crate) fn new(message: M, answer: Option<OneshotSender<M::Result>>) -> Box<Self> {
        let (head, sent) = (flow::next_head(0), flow::stamp());
        Box::new(Self { head, sent, message: Some(message), answer })
    }
}

impl<A, M> EnvelopeProxy<A> for Bare<M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: actix::Message + Send + 'static,
    M::Result: Send,
{
    fn handle(&mut self, actor: &mut A, ctx: &mut Context<A>) {
        let Some(message) = self.message.take() else {
            return;
        };
        flow::handling(&self.head, ctx.meta.pid.life);
        ctx.meta.turn();
        actor.handle(message, ctx).handle(ctx, self.answer.take());
        ctx.record(self.head, "bare", None, None, self.sent);
    }
}

impl<A, M> Open<A> for Bare<M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: actix::Message + Send + 'static,
    M::Result: Send,
{
    fn open(mut self: Box<Self>, actor: &mut A, ctx: &mut Context<A>) {
        self.handle(actor, ctx);
    }
}

impl<A, M> ToEnvelope<A, M> for Context<A>
where
    A: Actor<Context = Self> + Handler<M>,
    M: actix::Message + Send + 'static,
    M::Result: Send,
{
    fn pack(message: M, answer: Option<OneshotSender<M::Result>>) -> Envelope<A> {
        Envelope::with_proxy(Bare::new(message, answer))
    }
}
