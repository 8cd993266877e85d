//! What one actor says to another of its node and that must not be lost: a full mailbox is tried again, and what is said
//! meanwhile waits behind.

use std::collections::VecDeque;
use std::time::Duration;

use actix::Actor;
use libactor::{Context, Message, Pid, TellError};
use tokio::sync::oneshot;

/// Between two tries of a message that found no room.
const ROOM_AGAIN: Duration = Duration::from_millis(5);

/// The way to one actor, in order. What waits is bounded by what its owner was asked to do.
#[derive(Debug)]
pub(crate) struct Outbox<M> {
    to: Pid,
    waiting: VecDeque<Waiting<M>>,
}

#[derive(Debug)]
struct Waiting<M> {
    message: M,
    /// Calls it when it is the first; `None`: it was called.
    turn: Option<oneshot::Sender<()>>,
}

impl<M: Message + Clone> Outbox<M> {
    pub(crate) fn to(to: Pid) -> Self {
        Self { to, waiting: VecDeque::new() }
    }

    /// Says it, now or when there is room, and then still in its own flow; `this` finds the outbox again in its owner.
    pub(crate) fn tell<A>(
        &mut self,
        message: M,
        ctx: &mut Context<A>,
        this: fn(&mut A) -> &mut Self,
    ) where
        A: Actor<Context = Context<A>>,
    {
        if self.waiting.is_empty() {
            self.waiting.push_back(Waiting { message, turn: None });
            return self.try_first(ctx, this);
        }
        let (turn, called) = oneshot::channel();
        self.waiting.push_back(Waiting { message, turn: Some(turn) });
        ctx.run(called, move |owner, _, ctx| this(owner).try_first(ctx, this));
    }

    fn try_first<A>(&mut self, ctx: &mut Context<A>, this: fn(&mut A) -> &mut Self)
    where
        A: Actor<Context = Context<A>>,
    {
        let Some(first) = self.waiting.front() else {
            return;
        };
        if ctx.tell(self.to, first.message.clone()) == Err(TellError::Full) {
            ctx.after(ROOM_AGAIN, move |owner, ctx| this(owner).try_first(ctx, this));
            return;
        }
        self.waiting.pop_front();
        if let Some(turn) = self.waiting.front_mut().and_then(|next| next.turn.take()) {
            // Who does not listen has stopped.
            let _ = turn.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as blocking;

    use actix::Handler;
    use libactor::{Accepts, FlowId, Node, NodeConfig, Received, Spawn};
    use serde::{Deserialize, Serialize};
    use tokio::sync::mpsc;

    use super::*;

    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Number(u32);

    impl Message for Number {
        const NAME: &'static str = "outbox.Number";
    }

    /// Has room for one message and reads none until it may.
    struct Slow {
        may_read: Option<blocking::Receiver<()>>,
        read: mpsc::UnboundedSender<(u32, FlowId)>,
    }

    impl Actor for Slow {
        type Context = Context<Self>;
    }

    impl Handler<Received<Number>> for Slow {
        type Result = ();

        fn handle(&mut self, received: Received<Number>, ctx: &mut Context<Self>) {
            if let Some(gate) = self.may_read.take() {
                // An error, when the gate is dropped: it may.
                let _ = gate.recv();
            }
            self.read.send((received.message.0, ctx.flow())).unwrap();
        }
    }

    /// Passes on what it is told, and says in which flow it was.
    struct Talker(Outbox<Number>, mpsc::UnboundedSender<FlowId>);

    impl Actor for Talker {
        type Context = Context<Self>;
    }

    impl Handler<Received<Number>> for Talker {
        type Result = ();

        fn handle(&mut self, received: Received<Number>, ctx: &mut Context<Self>) {
            self.1.send(ctx.flow()).unwrap();
            self.0.tell(received.message, ctx, |talker| &mut talker.0);
        }
    }

    async fn soon<T>(next: impl Future<Output = Option<T>>) -> T {
        tokio::time::timeout(Duration::from_secs(20), next).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn what_finds_no_room_is_not_overtaken_and_keeps_its_flow() {
        let node = Node::start(NodeConfig::loopback()).await.unwrap();
        let ((gate, may_read), (read, mut reads)) =
            (blocking::channel(), mpsc::unbounded_channel());
        let accepts = Accepts::new().tells::<Number>();
        let spawn = Spawn { mailbox: 1, accepts, pinned: true, ..Spawn::default() };
        let slow = node.spawn(spawn, |_| Slow { may_read: Some(may_read), read }).unwrap();
        let to = slow.pid();
        let accepts = Accepts::new().tells::<Number>();
        let spawn = Spawn { accepts, ..Spawn::default() };
        let (told, mut flows) = mpsc::unbounded_channel();
        let talker = node.spawn(spawn, move |_| Talker(Outbox::to(to), told)).unwrap();
        let mut next = async || {
            let (number, flow) = soon(reads.recv()).await;
            assert_eq!(soon(flows.recv()).await, flow, "of {number}");
            number
        };
        (0..100).for_each(|number| talker.tell(Number(number)).unwrap());
        drop(gate);
        for wanted in 0..100 {
            assert_eq!(next().await, wanted);
            if wanted % 10 == 0 {
                // Said while others wait.
                talker.tell(Number(100 + wanted / 10)).unwrap();
            }
        }
        for wanted in 100..110 {
            assert_eq!(next().await, wanted);
        }
        node.shutdown().await;
    }
}
