//! What drives one actor from its start to its end: letters, events, futures, and pauses.
//!
//! It does what actix's `ContextFut` does, for a mailbox of ours. actix's own mailbox is made, and looked at, only for
//! actors that give out a bare address.

use std::pin::Pin;
use std::task::{Context as Task, Poll};

use actix::dev::Running;
use actix::{Actor, ActorContext, ActorState};

use crate::context::{Context, Spawned};
use crate::mailbox::Emptier;

pub(crate) struct Driven<A: Actor<Context = Context<A>>> {
    actor: A,
    ctx: Context<A>,
    emptier: Emptier<A>,
    /// Futures of the actor, polled in turn.
    beside: Vec<Spawned<A>>,
    started: bool,
    ended: bool,
}

impl<A: Actor<Context = Context<A>>> Driven<A> {
    pub(crate) fn new(ctx: Context<A>, actor: A, emptier: Emptier<A>) -> Self {
        Self { actor, ctx, emptier, beside: Vec::new(), started: false, ended: false }
    }

    /// Whether the pauses are over.
    fn pauses_over(&mut self, task: &mut Task<'_>) -> bool {
        while self.ctx.state().alive()
            && let Some(mut pause) = self.ctx.pauses.pop()
        {
            let newer = self.ctx.pauses.len();
            if pause.as_mut().poll(&mut self.actor, &mut self.ctx, task).is_pending()
                && self.ctx.state().alive()
            {
                self.ctx.pauses.insert(newer, pause);
                // One that began in it has not been polled yet.
                if self.ctx.pauses.len() == newer + 1 {
                    return false;
                }
            }
        }
        true
    }

    /// Opens what was fetched; whether all of it.
    fn open(&mut self) -> bool {
        while !self.ctx.is_held() {
            let Some(letter) = self.emptier.letters.pop_front() else {
                break;
            };
            letter.open(&mut self.actor, &mut self.ctx);
        }
        while !self.ctx.is_held() {
            let Some(event) = self.emptier.events.pop_front() else {
                return true;
            };
            self.ctx.hear(event, &mut self.actor);
        }
        false
    }

    /// Letters in their order, after them timers, outputs and the order to stop: what a pause left, then one batch.
    /// What comes meanwhile wakes the task again, so that others of its thread get their turn.
    fn read(&mut self, task: &Task<'_>) {
        if self.open() && self.emptier.fetch(task.waker()) {
            self.open();
        }
    }

    /// Polls the actor's futures.
    fn look_beside(&mut self, task: &mut Task<'_>) {
        self.beside.append(&mut self.ctx.spawned);
        let mut at = 0;
        while at < self.beside.len() && !self.ctx.is_held() {
            match self.beside[at].1.as_mut().poll(&mut self.actor, &mut self.ctx, task) {
                Poll::Ready(()) => drop(self.beside.swap_remove(at)),
                Poll::Pending => at += 1,
            }
            if !self.ctx.cancelled.is_empty() {
                self.cancel();
                at = 0;
            }
        }
    }

    fn cancel(&mut self) {
        self.beside.append(&mut self.ctx.spawned);
        let cancelled = std::mem::take(&mut self.ctx.cancelled);
        self.beside.retain(|(handle, _)| !cancelled.contains(handle));
    }

    /// What was sent to a bare address.
    fn read_bare(&mut self, task: &mut Task<'_>) {
        if let Some(mut mailbox) = self.ctx.bare.take() {
            mailbox.poll(&mut self.actor, &mut self.ctx, task);
            self.ctx.bare.set(Some(mailbox));
        }
    }

    fn end(&mut self) {
        self.ctx.set_state(ActorState::Stopped);
        self.ended = true;
        self.actor.stopped(&mut self.ctx);
    }
}

impl<A: Actor<Context = Context<A>>> Future for Driven<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<()> {
        let this = &mut *self;
        if !this.started {
            this.started = true;
            this.actor.started(&mut this.ctx);
        }
        loop {
            if !this.pauses_over(task) {
                return Poll::Pending;
            }
            this.read(task);
            if !this.ctx.cancelled.is_empty() {
                this.cancel();
            }
            if !(this.beside.is_empty() && this.ctx.spawned.is_empty()) {
                this.look_beside(task);
            }
            this.read_bare(task);
            match this.ctx.state() {
                ActorState::Started | ActorState::Running => {
                    let quiet = this.ctx.pauses.is_empty()
                        && this.ctx.spawned.is_empty()
                        && this.ctx.cancelled.is_empty();
                    if quiet {
                        return Poll::Pending;
                    }
                }
                ActorState::Stopping => {
                    if this.actor.stopping(&mut this.ctx) == Running::Stop {
                        this.end();
                        return Poll::Ready(());
                    }
                    this.ctx.set_state(ActorState::Running);
                }
                ActorState::Stopped => {
                    this.end();
                    return Poll::Ready(());
                }
            }
        }
    }
}

impl<A: Actor<Context = Context<A>>> Drop for Driven<A> {
    /// Its thread ends: it stops like any other.
    fn drop(&mut self) {
        if self.started && !self.ended {
            self.ctx.set_state(ActorState::Stopping);
            if self.actor.stopping(&mut self.ctx) == Running::Stop {
                self.end();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix::fut::wrap_future;
    use actix::{Actor, AsyncContext, Handler};
    use tokio::sync::{mpsc, oneshot};

    use crate::{Context, Node, NodeConfig, Spawn};

    type Seen = mpsc::UnboundedSender<&'static str>;

    struct Teller(Seen);

    impl Actor for Teller {
        type Context = Context<Self>;

        fn stopped(&mut self, _: &mut Context<Self>) {
            let _ = self.0.send("stopped");
        }
    }

    struct Say(&'static str);

    impl actix::Message for Say {
        type Result = ();
    }

    impl Handler<Say> for Teller {
        type Result = ();

        fn handle(&mut self, said: Say, _: &mut Context<Self>) {
            let _ = self.0.send(said.0);
        }
    }

    async fn next(seen: &mut mpsc::UnboundedReceiver<&'static str>) -> &'static str {
        let next = tokio::time::timeout(Duration::from_secs(10), seen.recv()).await;
        next.expect("something happens in time").expect("the actor lives")
    }

    #[tokio::test]
    async fn a_bare_address_a_pause_and_a_future_beside_go_as_in_actix() {
        let node = Node::start(NodeConfig::default()).await.unwrap();
        let (tell, mut seen) = mpsc::unbounded_channel();
        let (open, gate) = oneshot::channel::<()>();
        let make = move |ctx: &mut Context<Teller>| {
            let beside = tell.clone();
            ctx.spawn(wrap_future(async move {
                let _ = beside.send("beside");
            }));
            let never = tell.clone();
            let cancelled = ctx.spawn(wrap_future(async move {
                let _ = never.send("cancelled");
            }));
            ctx.cancel_future(cancelled);
            let first = tell.clone();
            ctx.wait(wrap_future(async move {
                let _ = first.send("paused");
                let _ = gate.await;
                let _ = first.send("resumed");
            }));
            ctx.notify(Say("bare"));
            Teller(tell)
        };
        let teller = node.spawn(Spawn::default(), make).unwrap();
        assert_eq!(next(&mut seen).await, "paused");
        assert!(seen.try_recv().is_err(), "nothing goes on in a pause");
        open.send(()).unwrap();
        assert_eq!(next(&mut seen).await, "resumed");
        let mut both = [next(&mut seen).await, next(&mut seen).await];
        both.sort_unstable();
        assert_eq!(both, ["bare", "beside"], "and not the cancelled one");
        teller.stop();
        assert_eq!(next(&mut seen).await, "stopped");
    }
}
