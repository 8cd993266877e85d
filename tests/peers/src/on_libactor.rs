//! Ours: a struct for each message, mailboxes with a bound, remote messages over one connection.

use std::time::{Duration, Instant};

use actix::{Actor, Handler};
use libactor::{
    Accepts, Asked, Context, Handle, Message, Name, Node, NodeConfig, Pid, Question, Received,
    Spawn,
};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::{ASKS, BURST, System, TELLS, Work};

/// An answer that takes longer than this is a bug.
const DEADLINE: Duration = Duration::from_secs(30);

struct Counter {
    heard: u64,
}

#[derive(Serialize, Deserialize)]
struct Add(u64);

#[derive(Serialize, Deserialize)]
struct Heard;

#[derive(Serialize, Deserialize)]
struct Sum(u64);

impl Message for Add {
    const NAME: &'static str = "peers.Add";
}

impl Message for Heard {
    const NAME: &'static str = "peers.Heard";
}

impl Question for Heard {
    type Answer = Sum;
}

impl Message for Sum {
    const NAME: &'static str = "peers.Sum";
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<Received<Add>> for Counter {
    type Result = ();

    fn handle(&mut self, add: Received<Add>, _: &mut Context<Self>) {
        self.heard += add.message.0;
    }
}

impl Handler<Asked<Heard>> for Counter {
    type Result = ();

    fn handle(&mut self, asked: Asked<Heard>, _: &mut Context<Self>) {
        asked.reply.send(Sum(self.heard));
    }
}

/// Two nodes in this process: one listens and hosts the counter, the other dials.
struct Nodes {
    local: Handle<Counter>,
    here: Node,
    remote: Pid,
    /// Kept, or the counter's node would end.
    _there: Node,
}

pub(crate) fn start() -> System {
    let runtime = Runtime::new().expect("a runtime");
    let nodes = runtime.block_on(Nodes::start());
    System::new("libactor", move |work| {
        Some(runtime.block_on(async {
            match work {
                Work::LocalTell => nodes.local_tell().await,
                Work::LocalAsk => nodes.local_ask().await,
                Work::RemoteTell => nodes.remote_tell().await,
                Work::RemoteAsk => nodes.remote_ask().await,
            }
        }))
    })
}

impl Nodes {
    async fn start() -> Self {
        let there = Node::start(NodeConfig::loopback()).await.expect("a free port");
        let accepts = Accepts::new().tells::<Add>().asks::<Heard>();
        let local = there
            .spawn(Spawn::named("counter").accepts(accepts), |_| Counter { heard: 0 })
            .expect("the name is free");
        let here = Node::start(NodeConfig::default()).await.expect("it only dials");
        let address = there.address().expect("it listens");
        let name: Name = format!("counter@{address}").parse().expect("a name");
        let remote = here.resolve(&name, DEADLINE).await.expect("it is there");
        Self { local, here, remote, _there: there }
    }

    async fn local_tell(&self) -> Duration {
        let started = Instant::now();
        for _ in 0..TELLS / BURST {
            for _ in 0..BURST {
                self.local.tell(Add(1)).expect("a burst fits the mailbox");
            }
            self.local.ask(Heard).await.expect("it answers");
        }
        started.elapsed()
    }

    async fn local_ask(&self) -> Duration {
        let started = Instant::now();
        for _ in 0..ASKS {
            self.local.ask(Heard).await.expect("it answers");
        }
        started.elapsed()
    }

    async fn remote_tell(&self) -> Duration {
        let started = Instant::now();
        for _ in 0..TELLS / BURST {
            for _ in 0..BURST {
                self.here.tell_when_room(self.remote, Add(1)).await.expect("it is there");
            }
            self.here.ask(self.remote, Heard, DEADLINE).await.expect("it answers");
        }
        started.elapsed()
    }

    async fn remote_ask(&self) -> Duration {
        let started = Instant::now();
        for _ in 0..ASKS {
            self.here.ask(self.remote, Heard, DEADLINE).await.expect("it answers");
        }
        started.elapsed()
    }
}
