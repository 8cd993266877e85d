//! ractor: an enum of messages, a reply port in the question.

use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::runtime::Runtime;

use crate::{ASKS, BURST, System, TELLS, Work};

struct Counter;

enum Message {
    Add(u64),
    Heard(RpcReplyPort<u64>),
}

impl Actor for Counter {
    type Msg = Message;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Message>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        heard: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Add(number) => *heard += number,
            Message::Heard(reply) => reply.send(*heard)?,
        }
        Ok(())
    }
}

pub(crate) fn start() -> System {
    let runtime = Runtime::new().expect("a runtime");
    let (actor, _) = runtime.block_on(Actor::spawn(None, Counter, ())).expect("it starts");
    System::new("ractor", move |work| match work {
        Work::LocalTell => Some(runtime.block_on(tell(&actor))),
        Work::LocalAsk => Some(runtime.block_on(ask(&actor))),
        Work::RemoteTell | Work::RemoteAsk => None,
    })
}

async fn tell(actor: &ActorRef<Message>) -> Duration {
    let started = Instant::now();
    for _ in 0..TELLS / BURST {
        for _ in 0..BURST {
            actor.send_message(Message::Add(1)).expect("it lives");
        }
        heard(actor).await;
    }
    started.elapsed()
}

async fn ask(actor: &ActorRef<Message>) -> Duration {
    let started = Instant::now();
    for _ in 0..ASKS {
        heard(actor).await;
    }
    started.elapsed()
}

async fn heard(actor: &ActorRef<Message>) -> u64 {
    actor.call(Message::Heard, None).await.expect("it lives").expect("it answers")
}
