//! kameo: a struct for each message, an unbounded mailbox.

use std::time::{Duration, Instant};

use kameo::Actor;
use kameo::actor::{ActorRef, Spawn};
use kameo::mailbox;
use kameo::message::{Context, Message};
use tokio::runtime::Runtime;

use crate::{ASKS, BURST, System, TELLS, Work};

#[derive(Actor)]
struct Counter {
    heard: u64,
}

struct Add(u64);

struct Heard;

impl Message<Add> for Counter {
    type Reply = ();

    async fn handle(&mut self, Add(number): Add, _: &mut Context<Self, ()>) {
        self.heard += number;
    }
}

impl Message<Heard> for Counter {
    type Reply = u64;

    async fn handle(&mut self, _: Heard, _: &mut Context<Self, u64>) -> u64 {
        self.heard
    }
}

pub(crate) fn start() -> System {
    let runtime = Runtime::new().expect("a runtime");
    let actor = {
        let _inside = runtime.enter();
        Counter::spawn_with_mailbox(Counter { heard: 0 }, mailbox::unbounded())
    };
    System::new("kameo", move |work| match work {
        Work::LocalTell => Some(runtime.block_on(tell(&actor))),
        Work::LocalAsk => Some(runtime.block_on(ask(&actor))),
        Work::RemoteTell | Work::RemoteAsk => None,
    })
}

async fn tell(actor: &ActorRef<Counter>) -> Duration {
    let started = Instant::now();
    for _ in 0..TELLS / BURST {
        for _ in 0..BURST {
            actor.tell(Add(1)).await.expect("it lives");
        }
        heard(actor).await;
    }
    started.elapsed()
}

async fn ask(actor: &ActorRef<Counter>) -> Duration {
    let started = Instant::now();
    for _ in 0..ASKS {
        heard(actor).await;
    }
    started.elapsed()
}

async fn heard(actor: &ActorRef<Counter>) -> u64 {
    actor.ask(Heard).await.expect("it answers")
}
