//! What an actor has in its hands while it handles a message, and the envelope in which messages reach it.
//!
//! An actix context of our own: its `pack` puts the flow's head into every envelope, so that any send carries it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix::dev::{
    AsyncContextParts, ContextParts, Envelope, EnvelopeProxy, MessageResponse, OneshotSender,
    ToEnvelope,
};
use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, ActorState, Addr, AsyncContext, Handler, SpawnHandle};
use tokio::sync::mpsc;

use crate::cell::{Event, Meta};
use crate::conn::Credit;
use crate::error::{AskError, TellError};
use crate::flow::{self, FlowId, Head};
use crate::message::{Down, Lane, Message, Question, Subjects};
use crate::node::Node;
use crate::pid::{Address, Pid};
use crate::recorder::{Record, Shard, What};

type Callback<A> = Box<dyn FnOnce(&mut A, &mut Context<A>)>;

/// The context of an actor of libactor: `type Context = libactor::Context<Self>`.
pub struct Context<A: Actor<Context = Self>> {
    parts: ContextParts<A>,
    node: Node,
    meta: Arc<Meta>,
    callbacks: HashMap<u64, (Head, Callback<A>)>,
    next: u64,
    shard: Option<Arc<Shard>>,
}

impl<A: Actor<Context = Self>> Context<A> {
    pub(crate) fn new(
        parts: ContextParts<A>,
        node: Node,
        meta: Arc<Meta>,
        events: mpsc::UnboundedReceiver<Event>,
        shard: Option<Arc<Shard>>,
    ) -> Self {
        let mut context = Self { parts, node, meta, callbacks: HashMap::new(), next: 0, shard };
        context.parts.spawn(Pump(events));
        context
    }

    pub(crate) fn meta(&self) -> &Arc<Meta> {
        &self.meta
    }

    fn record(&self, sending: &mut Sending, started: u64, ended: u64) {
        let Some(shard) = &self.shard else {
            return;
        };
        let Sending { head, label, lane, sent, .. } = *sending;
        let (what, receiver) = (What::Handled, self.meta.pid.life);
        let record = Record { head, what, receiver, label, lane, sent, started, ended };
        match sending.subjects.take() {
            Some(subjects) => self.node.recorder().flow(record, subjects),
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
        let address = self.address();
        let deliver = move |down| address.do_send(down);
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
            if let Some(output) = taken.take() {
                then(actor, output, ctx);
            }
        };
        self.next += 1;
        let id = self.next;
        let head = flow::next_head(0);
        self.callbacks.insert(id, (head, Box::new(callback)));
        let (events, me) = (self.meta.events.clone(), self.meta.pid.life);
        let future = InFlow { head, me, stamped: self.shard.is_some(), future: Box::pin(future) };
        let task = actix_rt::spawn(async move {
            *output.borrow_mut() = Some(future.await);
            // A stopped actor no longer listens, and has no use for the output.
            let _ = events.send(Event::Fire(id));
        });
        TimerHandle { events: self.meta.events.clone(), id, task: task.abort_handle() }
    }

    /// Stops this actor once the current handler is done.
    pub fn stop(&mut self) {
        self.parts.stop();
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
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, task: &mut std::task::Context<'_>) -> Poll<F::Output> {
        if self.stamped {
            flow::stamp_now();
        }
        let _turn = flow::enter(&self.head, self.me);
        self.future.as_mut().poll(task)
    }
}

/// A timer or a future that runs for an actor. Dropping it changes nothing.
#[derive(Debug)]
pub struct TimerHandle {
    events: mpsc::UnboundedSender<Event>,
    id: u64,
    task: tokio::task::AbortHandle,
}

impl TimerHandle {
    /// What it was to do is not done, even if its time has come and it waits to be handled.
    pub fn cancel(self) {
        self.task.abort();
        let _ = self.events.send(Event::Forget(self.id));
    }
}

/// Brings timers, outputs and the order to stop into the actor.
struct Pump(mpsc::UnboundedReceiver<Event>);

impl<A: Actor<Context = Context<A>>> ActorFuture<A> for Pump {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut Context<A>,
        task: &mut std::task::Context<'_>,
    ) -> Poll<()> {
        while !ctx.waiting() {
            match self.0.poll_recv(task) {
                Poll::Ready(Some(Event::Fire(id))) => {
                    if let Some((head, callback)) = ctx.callbacks.remove(&id) {
                        flow::handling(&head, ctx.meta.pid.life);
                        ctx.meta.turn();
                        callback(actor, ctx);
                    }
                }
                Poll::Ready(Some(Event::Forget(id))) => {
                    ctx.callbacks.remove(&id);
                }
                Poll::Ready(Some(Event::Stop)) => ctx.stop(),
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        Poll::Pending
    }
}

impl<A: Actor<Context = Self>> ActorContext for Context<A> {
    fn stop(&mut self) {
        self.parts.stop();
    }

    fn terminate(&mut self) {
        self.parts.terminate();
    }

    fn state(&self) -> ActorState {
        self.parts.state()
    }
}

impl<A: Actor<Context = Self>> AsyncContext<A> for Context<A> {
    fn spawn<F: ActorFuture<A, Output = ()> + 'static>(&mut self, future: F) -> SpawnHandle {
        self.parts.spawn(future)
    }

    fn wait<F: ActorFuture<A, Output = ()> + 'static>(&mut self, future: F) {
        self.parts.wait(future);
    }

    fn waiting(&self) -> bool {
        self.parts.waiting()
    }

    fn cancel_future(&mut self, handle: SpawnHandle) -> bool {
        self.parts.cancel_future(handle)
    }

    fn address(&self) -> Addr<A> {
        self.parts.address()
    }
}

impl<A: Actor<Context = Self>> AsyncContextParts<A> for Context<A> {
    fn parts(&mut self) -> &mut ContextParts<A> {
        &mut self.parts
    }
}

/// What travels in an envelope beside the message.
pub(crate) struct Sending {
    pub(crate) head: Head,
    pub(crate) label: &'static str,
    pub(crate) subjects: Option<Box<Subjects>>,
    pub(crate) credit: Option<Credit>,
    /// On which it came; `None` from this node.
    pub(crate) lane: Option<Lane>,
    /// When it was sent or arrived.
    pub(crate) sent: u64,
}

impl Sending {
    /// For a message of a user, sent from this thread now.
    pub(crate) fn of<M: Message>(message: &M, head: Head) -> Self {
        Self {
            head,
            label: message.label(),
            subjects: subjects_of(message),
            credit: None,
            lane: None,
            sent: flow::stamp(),
        }
    }
}

/// What the next envelope of this thread gets.
#[derive(Default)]
pub(crate) enum Next {
    /// A message sent to a bare address: it carries its flow, and counts for nothing.
    #[default]
    Bare,
    /// A message of a user, sent here and now.
    Local(&'static str, Option<Box<Subjects>>),
    /// A message of a user that came from elsewhere.
    Whole,
}

impl Next {
    #[inline]
    pub(crate) fn local<M: Message>(message: &M) -> Self {
        Self::Local(message.label(), subjects_of(message))
    }

    pub(crate) fn whole(sending: Sending) -> Self {
        WHOLE.set(ManuallyDrop::new(Some(sending)));
        Self::Whole
    }

    #[inline(always)]
    fn sending(self) -> (Sending, bool) {
        let here = |label, subjects| {
            let (head, sent) = (flow::next_head(0), flow::stamp());
            Sending { head, label, subjects, credit: None, lane: None, sent }
        };
        match self {
            Self::Bare => (here("bare", None), false),
            Self::Local(label, subjects) => (here(label, subjects), true),
            Self::Whole => match take_whole() {
                Some(sending) => (sending, true),
                None => (here("bare", None), false),
            },
        }
    }
}

#[inline]
fn subjects_of<M: Message>(message: &M) -> Option<Box<Subjects>> {
    let mut subjects = Subjects::default();
    message.subjects(&mut subjects);
    if subjects.is_empty() { None } else { Some(Box::new(subjects)) }
}

thread_local! {
    // Without destructors, whose registration each access would look for: they are empty but for a moment in `put`.
    static NEXT: Cell<ManuallyDrop<Next>> = const { Cell::new(ManuallyDrop::new(Next::Bare)) };
    static WHOLE: Cell<ManuallyDrop<Option<Sending>>> = const { Cell::new(ManuallyDrop::new(None)) };
}

/// What the next `pack` of this thread puts into its envelope.
#[inline]
pub(crate) fn set_next(next: Next) {
    NEXT.set(ManuallyDrop::new(next));
}

#[inline]
fn take_next() -> Next {
    ManuallyDrop::into_inner(NEXT.replace(ManuallyDrop::new(Next::Bare)))
}

fn take_whole() -> Option<Sending> {
    ManuallyDrop::into_inner(WHOLE.replace(ManuallyDrop::new(None)))
}

/// Takes it back after a send that did not reach `pack`.
pub(crate) fn drop_next() {
    drop((take_next(), take_whole()));
}

struct Proxy<M: actix::Message> {
    sending: Sending,
    /// Whether it counts: messages of users do, an actix message sent to a bare address does not.
    counted: bool,
    message: Option<M>,
    answer: Option<OneshotSender<M::Result>>,
}

impl<A, M> EnvelopeProxy<A> for Proxy<M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: actix::Message + Send + 'static,
    M::Result: Send,
{
    fn handle(&mut self, actor: &mut A, ctx: &mut Context<A>) {
        let Some(message) = self.message.take() else {
            return;
        };
        flow::handling(&self.sending.head, ctx.meta.pid.life);
        ctx.meta.turn();
        actor.handle(message, ctx).handle(ctx, self.answer.take());
        if self.counted {
            ctx.meta.handled_one();
        }
        self.sending.credit = None;
        if ctx.shard.is_some() {
            let started = flow::stamp();
            let ended = flow::stamp_now();
            ctx.record(&mut self.sending, started, ended);
        }
    }
}

impl<A, M> ToEnvelope<A, M> for Context<A>
where
    A: Actor<Context = Self> + Handler<M>,
    M: actix::Message + Send + 'static,
    M::Result: Send,
{
    fn pack(message: M, answer: Option<OneshotSender<M::Result>>) -> Envelope<A> {
        let (sending, counted) = take_next().sending();
        Envelope::with_proxy(Box::new(Proxy { sending, counted, message: Some(message), answer }))
    }
}
