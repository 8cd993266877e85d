//! Where an answer goes: to a waiting task of this process, or back over the connection it came by.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::oneshot;

use crate::conn::{Conn, Outgoing};
use crate::control::{Control, Failure};
use crate::error::{AskError, TellError};
use crate::flow;
use crate::message::{DownReason, Message};
use crate::node::Node;
use crate::pid::Life;
use crate::wire::{Kind, tag};

/// An answer on its way within the process. A failure is boxed: answers are moved several times, and are no larger for it.
pub(crate) type Answered<R> = Result<R, Box<AskError>>;

/// Takes one answer. Dropped unused, the asker hears that there is none.
#[derive(Debug)]
pub struct Reply<R>(Option<To<R>>);

#[derive(Debug)]
enum To<R> {
    Local(oneshot::Sender<Answered<R>>),
    // Boxed, so that a local reply, which moves several times, is small.
    Remote(Box<Remote>),
}

/// An asker on another node.
pub(crate) struct Remote {
    node: Node,
    conn: Arc<Conn>,
    asker: Life,
    asked: Life,
    ask: u64,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote(ask {} of node {:016x})", self.ask, self.asker.node)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.conn.asks_in.fetch_sub(1, Relaxed);
    }
}

impl Remote {
    pub(crate) fn new(node: Node, conn: Arc<Conn>, asker: Life, asked: Life, ask: u64) -> Self {
        conn.asks_in.fetch_add(1, Relaxed);
        Self { node, conn, asker, asked, ask }
    }

    pub(crate) fn fail(&self, error: Failure) {
        self.conn.control(self.asker, self.ask, &Control::Failed { error });
    }
}

impl<R> Reply<R> {
    #[inline]
    pub(crate) fn local() -> (Self, oneshot::Receiver<Answered<R>>) {
        let (to, answer) = oneshot::channel();
        (Self(Some(To::Local(to))), answer)
    }

    pub(crate) fn remote(remote: Remote) -> Self {
        Self(Some(To::Remote(Box::new(remote))))
    }

    pub(crate) fn fail(mut self, why: Failure) {
        match self.0.take() {
            Some(To::Remote(remote)) => remote.fail(why),
            Some(To::Local(to)) => fail_local(to, why.into()),
            None => (),
        }
    }

    /// The question did not enter the mailbox of an actor of this process.
    #[cold]
    pub(crate) fn refuse(mut self, why: TellError) {
        if let Some(To::Local(to)) = self.0.take() {
            fail_local(to, why.into());
        }
    }
}

#[cold]
fn fail_local<R>(to: oneshot::Sender<Answered<R>>, why: AskError) {
    let _ = to.send(Err(Box::new(why)));
}

impl<R: Message> Reply<R> {
    /// Answers. An answer that cannot be sent fails the ask in words; one that nobody waits for is dropped.
    pub fn send(mut self, answer: R) {
        match self.0.take() {
            Some(To::Local(to)) => {
                let _ = to.send(Ok(answer));
            }
            Some(To::Remote(remote)) => send_remote(&remote, &answer),
            None => (),
        }
    }
}

fn send_remote<R: Message>(remote: &Remote, answer: &R) {
    let mut head = flow::next_head(0);
    if head.sender.node != remote.asked.node {
        // From outside any actor; it is still its node that answers.
        head.sender = Life { actor: 0, ..remote.asked };
    }
    let message = Outgoing {
        kind: Kind::Answer,
        lane: R::LANE,
        to: remote.asker,
        name: "",
        head,
        tag: const { tag(R::NAME) },
        ask: remote.ask,
        since: answer.since(),
        label: answer.label(),
        value: answer,
    };
    match remote.conn.send(&message) {
        Ok(()) => (),
        Err(TellError::Full) => remote.fail(Failure::Full),
        Err(error) => remote.fail(Failure::Refused(error.to_string())),
    }
}

impl<R> Drop for Reply<R> {
    fn drop(&mut self) {
        match self.0.take() {
            Some(To::Local(to)) => fail_local(to, AskError::NoAnswer),
            Some(To::Remote(remote)) => {
                let alive = remote.node.lives(remote.asked);
                remote.fail(if alive {
                    Failure::NoAnswer
                } else {
                    Failure::Down(DownReason::Stopped)
                });
            }
            None => (),
        }
    }
}

impl From<Failure> for AskError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoAnswer => Self::NoAnswer,
            Failure::Down(reason) => Self::Down(reason),
            Failure::Full => Self::Full,
            Failure::Unreachable(why) => Self::Unreachable(why),
            Failure::Refused(why) => Self::Refused(why),
        }
    }
}
