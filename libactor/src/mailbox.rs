//! An actor's mailbox: letters of users and events of the runtime, bounded exactly.
//!
//! actix's own mailbox costs two allocations and five locked instructions a message, and its bound is soft. Ours is a
//! queue under a lock that the actor empties as a whole: a send locks once, an actor locks once a batch, and a task is
//! woken only if it has gone to sleep. A letter is one allocation: head, message and, if it came from afar, its origin.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use actix::dev::MessageResponse;
use actix::{Actor, Handler};

use crate::conn::Credit;
use crate::context::Context;
use crate::error::TellError;
use crate::flow::{self, Head};
use crate::message::{Asked, Lane, Message, Principal, Question, Received, Reply, Subjects};
use crate::pid::Pid;
use crate::recorder::{Record, Recorder};

/// Room that an emptied queue keeps.
const KEPT: usize = 1024;

/// What reaches an actor beside letters.
#[derive(Debug)]
pub(crate) enum Event {
    /// A timer's time has come, or a future is done.
    Fire(u64),
    /// It was cancelled.
    Forget(u64),
    Stop,
}

/// A letter as the actor opens it.
pub(crate) trait Open<A: Actor>: Send {
    fn open(self: Box<Self>, actor: &mut A, ctx: &mut A::Context);
}

type Letters<A> = VecDeque<Box<dyn Open<A>>>;

pub(crate) struct Mailbox<A: Actor> {
    queue: Mutex<Queue<A>>,
    /// Letters of users that wait at most.
    most: u64,
    /// Letters of users whose handling has begun. Written by the actor's thread only.
    begun: AtomicU64,
    /// Letters of users whose handler returned. Written by the actor's thread only.
    handled: AtomicU64,
}

pub(crate) struct Queue<A: Actor> {
    letters: Letters<A>,
    events: VecDeque<Event>,
    /// Letters of users that ever were put here.
    put: u64,
    /// There from when the actor has looked until something comes.
    waker: Option<Waker>,
    closed: bool,
}

/// One more of a count that one thread writes.
#[inline]
pub(crate) fn one_more(count: &AtomicU64) {
    count.store(count.load(Relaxed) + 1, Relaxed);
}

impl<A: Actor> Mailbox<A> {
    /// The mailbox, and the side that empties it.
    pub(crate) fn new(most: usize) -> (Arc<Self>, Emptier<A>) {
        let queue = Queue {
            letters: VecDeque::new(),
            events: VecDeque::new(),
            put: 0,
            waker: None,
            closed: false,
        };
        let (begun, handled) = Default::default();
        let most = most.max(1) as u64;
        let mailbox = Arc::new(Self { queue: Mutex::new(queue), most, begun, handled });
        let (letters, events) = Default::default();
        (Arc::clone(&mailbox), Emptier { mailbox, letters, events })
    }

    fn queue(&self) -> MutexGuard<'_, Queue<A>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A letter of a user, or the letter again and why not.
    #[inline]
    pub(crate) fn put<L: Open<A> + 'static>(
        &self,
        letter: Box<L>,
    ) -> Result<(), (Box<L>, TellError)> {
        self.put_quietly(letter).map(wake)
    }

    /// As [`Self::put`], but an actor that sleeps goes on sleeping until [`Post::wake`], or until something else comes.
    #[inline]
    pub(crate) fn put_quietly<L: Open<A> + 'static>(
        &self,
        letter: Box<L>,
    ) -> Result<MutexGuard<'_, Queue<A>>, (Box<L>, TellError)> {
        let mut queue = self.queue();
        if queue.closed {
            return Err((letter, TellError::Stopped));
        }
        // It may be read late, and then says too little: the bound holds all the more.
        if queue.put - self.begun.load(Relaxed) >= self.most {
            return Err((letter, TellError::Full));
        }
        queue.put += 1;
        queue.letters.push_back(letter);
        Ok(queue)
    }

    /// A letter of the runtime: it does not count, and its sender sees to the bound.
    pub(crate) fn push(&self, letter: Box<dyn Open<A>>) {
        let mut queue = self.queue();
        if !queue.closed {
            queue.letters.push_back(letter);
            wake(queue);
        }
    }

    pub(crate) fn begin(&self) {
        one_more(&self.begun);
    }

    pub(crate) fn handled_one(&self) {
        one_more(&self.handled);
    }
}

#[inline]
fn wake<A: Actor>(mut queue: MutexGuard<'_, Queue<A>>) {
    if let Some(waker) = queue.waker.take() {
        drop(queue);
        waker.wake();
    }
}

/// A mailbox without its type.
pub(crate) trait Post: Send + Sync {
    fn event(&self, event: Event);
    /// Letters of users that ever were put here.
    fn put_so_far(&self) -> u64;
    /// And whose handling has begun.
    fn begun(&self) -> u64;
    /// And whose handler returned.
    fn handled(&self) -> u64;
    /// Wakes the actor, if it sleeps though something is there.
    fn wake(&self);
}

impl<A: Actor> Post for Mailbox<A> {
    fn event(&self, event: Event) {
        let mut queue = self.queue();
        if !queue.closed {
            queue.events.push_back(event);
            wake(queue);
        }
    }

    fn put_so_far(&self) -> u64 {
        self.queue().put
    }

    fn begun(&self) -> u64 {
        self.begun.load(Relaxed)
    }

    fn handled(&self) -> u64 {
        self.handled.load(Relaxed)
    }

    fn wake(&self) {
        let queue = self.queue();
        if !queue.letters.is_empty() || !queue.events.is_empty() {
            wake(queue);
        }
    }
}

/// The actor's side of a mailbox. When it goes, nothing more is taken, and what waits is dropped.
pub(crate) struct Emptier<A: Actor> {
    mailbox: Arc<Mailbox<A>>,
    pub(crate) letters: Letters<A>,
    pub(crate) events: VecDeque<Event>,
}

impl<A: Actor> Emptier<A> {
    /// Fetches all there is once the last batch is done, and whether there was anything. What comes later wakes.
    pub(crate) fn fetch(&mut self, waker: &Waker) -> bool {
        shrink(&mut self.letters);
        shrink(&mut self.events);
        let mut queue = self.mailbox.queue();
        if !queue.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            queue.waker = Some(waker.clone());
        }
        if queue.letters.is_empty() && queue.events.is_empty() {
            return false;
        }
        std::mem::swap(&mut queue.letters, &mut self.letters);
        std::mem::swap(&mut queue.events, &mut self.events);
        true
    }
}

/// What one burst needed is not kept for ever.
fn shrink<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > 4 * KEPT {
        queue.shrink_to(KEPT);
    }
}

impl<A: Actor> Drop for Emptier<A> {
    fn drop(&mut self) {
        let mut queue = self.mailbox.queue();
        queue.closed = true;
        let left = (std::mem::take(&mut queue.letters), queue.waker.take());
        queue.events.clear();
        // Outside the lock: what letters hold may say goodbye to others.
        drop(queue);
        drop(left);
    }
}

/// Where a letter comes from.
pub(crate) trait Origin: Send + 'static {
    /// Whether it came over a connection, and so on a lane.
    const AFAR: bool;
    fn from(&self, head: &Head, to: Pid) -> Option<Pid>;
    fn principal(&self) -> Principal;
}

/// This process.
pub(crate) struct Near;

impl Origin for Near {
    const AFAR: bool = false;

    fn from(&self, head: &Head, to: Pid) -> Option<Pid> {
        if head.sender.is_nobody() { None } else { Some(head.sender.via(to.via)) }
    }

    fn principal(&self) -> Principal {
        Principal::Local
    }
}

/// A connection.
pub(crate) struct Afar {
    pub(crate) from: Option<Pid>,
    pub(crate) principal: Principal,
    /// Given back once the letter was handled, or dropped.
    pub(crate) _credit: Option<Credit>,
}

impl Origin for Afar {
    const AFAR: bool = true;

    fn from(&self, _: &Head, _: Pid) -> Option<Pid> {
        self.from
    }

    fn principal(&self) -> Principal {
        self.principal
    }
}

/// What is in a letter, and the form in which the actor sees it.
pub(crate) trait Content: Send + 'static {
    type Seen: actix::Message<Result = ()> + 'static;
    const LANE: Lane;
    fn label(&self) -> &'static str;
    fn subjects(&self) -> Option<Arc<Subjects>>;
    fn keep(&self, recorder: &Recorder, record: &Record, subjects: &[String]);
    fn show(self, from: Option<Pid>, principal: Principal) -> Self::Seen;
}

/// The ids a message is about, if there are any.
fn subjects_of<M: Message>(message: &M) -> Option<Arc<Subjects>> {
    let mut subjects = Subjects::default();
    message.subjects(&mut subjects);
    if subjects.is_empty() { None } else { Some(Arc::new(subjects)) }
}

/// A message.
pub(crate) struct Told<M>(pub(crate) M);

impl<M: Message> Content for Told<M> {
    type Seen = Received<M>;
    const LANE: Lane = M::LANE;

    fn label(&self) -> &'static str {
        self.0.label()
    }

    fn subjects(&self) -> Option<Arc<Subjects>> {
        subjects_of(&self.0)
    }

    fn keep(&self, recorder: &Recorder, record: &Record, subjects: &[String]) {
        recorder.keep_payload(record, subjects, &self.0);
    }

    fn show(self, from: Option<Pid>, principal: Principal) -> Received<M> {
        Received { from, principal, message: self.0 }
    }
}

/// A question.
pub(crate) struct Put<Q: Question>(pub(crate) Q, pub(crate) Reply<Q::Answer>);

impl<Q: Question> Content for Put<Q> {
    type Seen = Asked<Q>;
    const LANE: Lane = Q::LANE;

    fn label(&self) -> &'static str {
        self.0.label()
    }

    fn subjects(&self) -> Option<Arc<Subjects>> {
        subjects_of(&self.0)
    }

    fn keep(&self, recorder: &Recorder, record: &Record, subjects: &[String]) {
        recorder.keep_payload(record, subjects, &self.0);
    }

    fn show(self, from: Option<Pid>, principal: Principal) -> Asked<Q> {
        Asked { from, principal, question: self.0, reply: self.1 }
    }
}

/// A letter of a user.
pub(crate) struct Letter<C, O = Near> {
    head: Head,
    /// When it was sent or arrived.
    sent: u64,
    origin: O,
    pub(crate) content: C,
}

impl<C: Content, O: Origin> Letter<C, O> {
    #[inline]
    pub(crate) fn new(head: Head, origin: O, content: C) -> Box<Self> {
        // Built where it stays: a letter is copied once less.
        Box::write(Box::new_uninit(), Self { head, sent: flow::stamp(), origin, content })
    }
}

impl<C: Content, O: Origin> Letter<C, O> {
    /// What it says is kept for who asked for it.
    #[cold]
    #[inline(never)]
    fn keep<A>(&self, ctx: &Context<A>, label: &'static str, subjects: Option<&Subjects>)
    where
        A: Actor<Context = Context<A>>,
    {
        let record = ctx.arrived(self.head, label, C::LANE, self.sent);
        let subjects = subjects.map_or(&[][..], Subjects::as_slice);
        self.content.keep(ctx.node().recorder(), &record, subjects);
    }
}

impl<A, C, O> Open<A> for Letter<C, O>
where
    A: Actor<Context = Context<A>> + Handler<C::Seen>,
    C: Content,
    O: Origin,
{
    fn open(self: Box<Self>, actor: &mut A, ctx: &mut Context<A>) {
        let noted = ctx.records().then(|| (self.content.label(), self.content.subjects()));
        if O::AFAR
            && let Some((label, subjects)) = &noted
            && ctx.node().recorder().payloads().are_kept()
        {
            self.keep(ctx, label, subjects.as_deref());
        }
        let (from, principal) = (self.origin.from(&self.head, ctx.pid()), self.origin.principal());
        ctx.handling(&self.head);
        // Moved out of where the letter lies, and no other way: it is copied once.
        actor.handle(self.content.show(from, principal), ctx).handle(ctx, None);
        ctx.handled();
        drop(self.origin);
        if let Some((label, subjects)) = noted {
            let lane = O::AFAR.then_some(C::LANE);
            ctx.record(self.head, label, lane, subjects, self.sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::task::{Wake, Waker};

    use super::*;

    struct Reader(Vec<u32>);

    impl Actor for Reader {
        type Context = Context<Self>;
    }

    /// A letter with a number, which says when it is gone.
    #[derive(Debug)]
    struct Note(u32, Arc<AtomicU64>);

    impl Drop for Note {
        fn drop(&mut self) {
            self.1.fetch_add(1, Relaxed);
        }
    }

    impl Open<Reader> for Note {
        fn open(self: Box<Self>, actor: &mut Reader, _: &mut Context<Reader>) {
            actor.0.push(self.0);
        }
    }

    #[derive(Default)]
    struct Bell(AtomicBool);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }

    #[test]
    fn the_bound_is_exact_and_what_is_begun_makes_room() {
        let gone = Arc::default();
        let (mailbox, _emptier) = Mailbox::<Reader>::new(2);
        let put = |number| mailbox.put(Box::new(Note(number, Arc::clone(&gone))));
        put(1).unwrap();
        put(2).unwrap();
        let (refused, why) = put(3).unwrap_err();
        assert_eq!((refused.0, why), (3, TellError::Full));
        mailbox.begin();
        put(3).unwrap();
        assert_eq!(put(4).unwrap_err().1, TellError::Full);
        assert_eq!((mailbox.put_so_far(), mailbox.begun(), mailbox.handled()), (3, 1, 0));
    }

    #[test]
    fn who_sleeps_is_woken_once_and_fetches_all_in_order() {
        let gone = Arc::default();
        let (mailbox, mut emptier) = Mailbox::<Reader>::new(9);
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        assert!(!emptier.fetch(&waker), "there is nothing");
        mailbox.put(Box::new(Note(1, Arc::clone(&gone)))).unwrap();
        assert!(bell.0.swap(false, Relaxed), "woken");
        mailbox.put(Box::new(Note(2, Arc::clone(&gone)))).unwrap();
        mailbox.event(Event::Stop);
        assert!(!bell.0.load(Relaxed), "and not again before it has looked");
        assert!(emptier.fetch(&waker));
        assert_eq!((emptier.letters.len(), emptier.events.len()), (2, 1));
        mailbox.event(Event::Stop);
        assert!(bell.0.load(Relaxed), "what comes after it has looked wakes it");
    }

    #[test]
    fn who_sleeps_is_not_woken_by_what_is_left_until_it_is_said_or_more_comes() {
        let gone = Arc::default();
        let (mailbox, mut emptier) = Mailbox::<Reader>::new(9);
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        let note = |number| Box::new(Note(number, Arc::clone(&gone)));
        assert!(!emptier.fetch(&waker));
        drop(mailbox.put_quietly(note(1)).unwrap());
        assert!(!bell.0.load(Relaxed));
        Post::wake(&*mailbox);
        assert!(bell.0.swap(false, Relaxed));
        assert!(emptier.fetch(&waker));
        emptier.letters.clear();
        assert!(!emptier.fetch(&waker));
        Post::wake(&*mailbox);
        assert!(!bell.0.load(Relaxed), "it has fetched it already");
        drop(mailbox.put_quietly(note(2)).unwrap());
        mailbox.put(note(3)).unwrap();
        assert!(bell.0.load(Relaxed), "who sends does not know who left something before");
    }

    #[test]
    fn an_end_drops_what_waits_and_takes_no_more() {
        let gone: Arc<AtomicU64> = Arc::default();
        let (mailbox, emptier) = Mailbox::<Reader>::new(9);
        mailbox.put(Box::new(Note(1, Arc::clone(&gone)))).unwrap();
        drop(emptier);
        assert_eq!(gone.load(Relaxed), 1);
        let note = Box::new(Note(2, Arc::clone(&gone)));
        assert_eq!(mailbox.put(note).unwrap_err().1, TellError::Stopped);
        assert_eq!(mailbox.put_so_far(), 1, "what is refused does not count");
    }
}
