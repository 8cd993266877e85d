//! Sending from this node: to its own actors without bytes, to others over a connection.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot;

use super::asks::{Forget, Outcome};
use super::peers::Way;
use super::{Node, lock};
use crate::cell::{self, Entry as ActorEntry};
use crate::conn::{Conn, Outgoing};
use crate::control::Control;
use crate::error::{AskError, TellError};
use crate::flow::{self, Head};
use crate::message::{DownReason, Lane, Message, Question, Subjects};
use crate::pid::{Address, Life, Name, Pid};
use crate::recorder::{Record, What};
use crate::reply::{Answered, Reply};
use crate::wire::{self, Kind};

/// How long a stream waits for room on a connection before it looks by itself, and for a mailbox of this node.
const ROOM: Duration = Duration::from_millis(20);
const MAILBOX_ROOM: Duration = Duration::from_millis(1);

/// From which node, to which node and life; and the connection that leads there.
type Route = ((u64, u64, u64), Arc<Conn>);

thread_local! {
    /// The last way that this thread took.
    static ROUTE: RefCell<Option<Route>> = const { RefCell::new(None) };
}

/// A question on its way: a future that gives the answer.
pub struct Asking<R>(Pin<Box<dyn Future<Output = Result<R, AskError>> + Send>>);

impl<R> Future for Asking<R> {
    type Output = Result<R, AskError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(task)
    }
}

/// Where an address leads.
enum Target {
    Here(Arc<ActorEntry>),
    There(Arc<Conn>, Life, String),
}

impl Node {
    /// Whether a pid is one of this life of this node.
    pub(super) fn is_here(&self, life: Life) -> bool {
        life.node == self.0.life.node && life.incarnation == self.0.life.incarnation
    }

    /// The connection that leads to a pid: one that stands, or the one it names.
    pub(super) fn route(&self, pid: &Pid) -> Result<Arc<Conn>, TellError> {
        let way = (self.0.life.node, pid.life.node, pid.life.incarnation);
        let known = ROUTE.with_borrow(|route| {
            route
                .as_ref()
                .filter(|(last, conn)| *last == way && !conn.is_closed())
                .map(|(_, conn)| Arc::clone(conn))
        });
        if let Some(conn) = known {
            return Ok(conn);
        }
        let ended =
            |whose| Err(TellError::Unreachable(format!("that life of {whose} node has ended")));
        match lock(&self.0.peers).way_to(pid.life) {
            Way::Here(conn) => {
                ROUTE.set(Some((way, Arc::clone(&conn))));
                return Ok(conn);
            }
            Way::OtherLife => return ended("its"),
            Way::None => (),
        }
        if pid.life.node == self.0.life.node {
            return ended("this");
        }
        match pid.via {
            // If another one has taken its place, that one says so.
            Some(via) if Some(via) != self.0.advertise => Ok(self.connection(&via.to_string())),
            Some(_) if self.took_place_of(pid.life) => ended("this"),
            Some(_) | None => Err(TellError::Unreachable("no route to its node".to_owned())),
        }
    }

    fn target(&self, to: &Address) -> Result<Target, TellError> {
        match to {
            Address::Pid(pid) if self.is_here(pid.life) => {
                self.actor(pid.life.actor).map(Target::Here).ok_or(TellError::Stopped)
            }
            Address::Pid(pid) => Ok(Target::There(self.route(pid)?, pid.life, String::new())),
            Address::Name(name) if self.bears(name) => {
                let unknown = || {
                    TellError::Unreachable(format!("no actor named {:?} on this node", name.actor))
                };
                self.named(&name.actor).map(Target::Here).ok_or_else(unknown)
            }
            Address::Name(name) => {
                Ok(Target::There(self.connection(&name.at), Life::NOBODY, name.actor.clone()))
            }
        }
    }

    /// Whether a name's place is this node.
    fn bears(&self, name: &Name) -> bool {
        let at = name.at.parse().ok();
        at.is_some() && (at == self.0.address || at == self.0.advertise)
    }

    /// Sends a message to an actor of any node; never waits.
    pub fn tell<M: Message>(&self, to: impl Into<Address>, message: M) -> Result<(), TellError> {
        self.try_tell(&to.into(), message).map_err(|refused| refused.1)
    }

    /// Like [`Node::tell`], but gives back what could not be sent, with the reason.
    pub fn try_tell<M: Message>(
        &self,
        to: &Address,
        message: M,
    ) -> Result<(), Box<(M, TellError)>> {
        const { assert!(!matches!(M::LANE, Lane::Control), "the control lane is the runtime's") };
        let head = flow::next_head(0);
        match self.target(to) {
            Ok(Target::Here(entry)) => match entry.local::<cell::Tell<M>>() {
                Some(tell) => tell(message, head).map_err(Box::new),
                None => Err(Box::new((message, TellError::NotAccepted(M::NAME)))),
            },
            Ok(Target::There(conn, to, name)) => {
                let sent = self.send_over(&conn, Kind::Tell, (to, &name), 0, head, &message);
                sent.map_err(|error| Box::new((message, error)))
            }
            Err(error) => Err(Box::new((message, error))),
        }
    }

    fn send_over<M: Message>(
        &self,
        conn: &Conn,
        kind: Kind,
        (to, name): (Life, &str),
        ask: u64,
        mut head: Head,
        message: &M,
    ) -> Result<(), TellError> {
        if head.sender.node != self.0.life.node {
            // From outside any actor of this node; answers and refusals still find the node.
            head.sender = self.0.life;
        }
        conn.send(&Outgoing {
            kind,
            lane: M::LANE,
            to,
            name,
            head,
            tag: const { wire::tag(M::NAME) },
            ask,
            since: message.since(),
            label: message.label(),
            value: message,
        })?;
        self.record_sent(to, head, message);
        Ok(())
    }

    /// Messages of flows are recorded where they leave too: what never arrives is seen to have been sent.
    fn record_sent<M: Message>(&self, receiver: Life, head: Head, message: &M) {
        if !self.0.recorder.is_on() {
            return;
        }
        let mut subjects = Subjects::default();
        message.subjects(&mut subjects);
        let keeps = self.0.recorder.payloads().are_kept();
        if subjects.is_empty() && !keeps {
            return;
        }
        let now = flow::stamp();
        let shown = (message.label(), Some(M::LANE));
        let record = Record::new(&head, What::Sent, receiver, shown, [now; 3]);
        if keeps {
            self.0.recorder.keep_payload(&record, subjects.as_slice(), message);
        }
        if !subjects.is_empty() {
            self.0.recorder.flow(record, Arc::new(subjects));
        }
    }

    /// Sends as soon as the receiver has room. For streams: a slow receiver slows its sender.
    pub async fn tell_when_room<M: Message>(
        &self,
        to: impl Into<Address>,
        message: M,
    ) -> Result<(), TellError> {
        let to = to.into();
        let mut message = message;
        loop {
            // Made before it is tried: what comes in between is not missed.
            let conn = self.way_there(&to);
            let room = conn.as_ref().map(|conn| conn.room());
            match self.try_tell(&to, message) {
                Ok(()) => return Ok(()),
                Err(refused) if refused.1 == TellError::Full => message = refused.0,
                Err(refused) => return Err(refused.1),
            }
            match room {
                Some(room) => drop(tokio::time::timeout(ROOM, room).await),
                // A mailbox rings no bell.
                None => tokio::time::sleep(MAILBOX_ROOM).await,
            }
        }
    }

    /// The connection that leads there, if there is one.
    fn way_there(&self, to: &Address) -> Option<Arc<Conn>> {
        match to {
            Address::Pid(pid) if !self.is_here(pid.life) => self.route(pid).ok(),
            Address::Name(name) if !self.bears(name) => Some(self.connection(&name.at)),
            Address::Pid(_) | Address::Name(_) => None,
        }
    }

    /// Asks an actor of any node. The question is sent at once; the future waits for the answer.
    pub fn ask<Q: Question>(
        &self,
        to: impl Into<Address>,
        question: Q,
        deadline: Duration,
    ) -> Asking<Q::Answer> {
        let asked = self.start_ask(&to.into(), question, deadline);
        Asking(Box::pin(async move {
            let (answer, stopped, forget) = asked?;
            let answer = match forget {
                Some(mut forget) => {
                    let answer = answer.await;
                    // What brought the outcome took it from the table.
                    forget.waits = false;
                    answer
                }
                None => match tokio::time::timeout(deadline, answer).await {
                    Err(_) => return Err(AskError::Deadline),
                    Ok(answer) => answer,
                },
            };
            let answer = answer.unwrap_or_else(|_| Err(Box::new(AskError::NoAnswer)));
            let gone =
                stopped.is_some_and(|entry: Arc<ActorEntry>| entry.meta.stopped.load(Relaxed));
            answer.map_err(|error| {
                if *error == AskError::NoAnswer && gone {
                    AskError::Down(DownReason::Stopped)
                } else {
                    *error
                }
            })
        }))
    }

    #[expect(
        clippy::type_complexity,
        reason = "the three parts of an ask that was sent, used in one place"
    )]
    fn start_ask<Q: Question>(
        &self,
        to: &Address,
        question: Q,
        deadline: Duration,
    ) -> Result<
        (oneshot::Receiver<Answered<Q::Answer>>, Option<Arc<ActorEntry>>, Option<Forget>),
        AskError,
    > {
        const { assert!(!matches!(Q::LANE, Lane::Control), "the control lane is the runtime's") };
        let due = due(deadline);
        let head = flow::next_head(due);
        match self.target(to)? {
            Target::Here(entry) => {
                let ask = entry.local::<cell::Ask<Q>>().ok_or(TellError::NotAccepted(Q::NAME))?;
                let (reply, answer) = Reply::local();
                ask(question, head, reply)?;
                Ok((answer, Some(entry), None))
            }
            Target::There(conn, to, name) => {
                let (send, answer) = oneshot::channel();
                let done = move |outcome: Outcome<'_>| {
                    let answer = match outcome {
                        Outcome::Answer(bytes) => wire::decode(bytes)
                            .map_err(|error| AskError::Refused(error.to_string())),
                        Outcome::Resolved(_) => {
                            Err(AskError::Refused("the answer to another question".to_owned()))
                        }
                        Outcome::Failed(error) => Err(error),
                    };
                    let _ = send.send(answer.map_err(Box::new));
                };
                let forget = self.wait_for(&conn, to, due, Box::new(done))?;
                self.send_over(&conn, Kind::Ask, (to, &name), forget.ask, head, &question)?;
                self.check_pending(&conn, forget.ask);
                Ok((answer, None, Some(forget)))
            }
        }
    }

    /// Who bears a name now.
    pub async fn resolve(&self, name: &Name, deadline: Duration) -> Result<Pid, AskError> {
        let unknown =
            || AskError::Unreachable(format!("no actor named {:?} at {}", name.actor, name.at));
        if self.bears(name) {
            return self.local(&name.actor).ok_or_else(unknown);
        }
        let conn = self.connection(&name.at);
        let (send, resolved) = oneshot::channel();
        let done = move |outcome: Outcome<'_>| {
            let _ = send.send(match outcome {
                Outcome::Resolved(life) => Ok(life),
                Outcome::Answer(_) => {
                    Err(AskError::Refused("the answer to another question".to_owned()))
                }
                Outcome::Failed(error) => Err(error),
            });
        };
        let forget = self.wait_for(&conn, Life::NOBODY, due(deadline), Box::new(done))?;
        conn.control(Life::NOBODY, forget.ask, &Control::Resolve { name: name.actor.clone() });
        self.check_pending(&conn, forget.ask);
        let life = resolved.await.unwrap_or(Err(AskError::NoAnswer))?.ok_or_else(unknown)?;
        Ok(life.via(self.way_behind(&conn, life)))
    }
}

/// When something is due that has so long, in ms of the node's clock: not before all of it has passed.
fn due(deadline: Duration) -> u64 {
    let within = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX >> 20);
    flow::now_ms().saturating_add(within).saturating_add(1)
}
