//! The smallest pair of nodes: one listens and answers, the other dials and asks a hundred times.
//!
//! `cargo run -p libactor --example ping`

use std::error::Error;
use std::time::{Duration, Instant};

use actix::{Actor, Handler};
use libactor::{Accepts, Asked, Context, Message, Name, Node, NodeConfig, Question, Spawn};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Ping(u32);

impl Message for Ping {
    const NAME: &'static str = "ping.Ping";
}

impl Question for Ping {
    type Answer = Pong;
}

#[derive(Serialize, Deserialize)]
struct Pong(u32);

impl Message for Pong {
    const NAME: &'static str = "ping.Pong";
}

struct Ponger;

impl Actor for Ponger {
    type Context = Context<Self>;
}

impl Handler<Asked<Ping>> for Ponger {
    type Result = ();

    fn handle(&mut self, asked: Asked<Ping>, _: &mut Context<Self>) {
        asked.reply.send(Pong(asked.question.0));
    }
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn Error>> {
    let there = Node::start(NodeConfig::loopback()).await?;
    there.spawn(Spawn::named("ponger").accepts(Accepts::new().asks::<Ping>()), |_| Ponger)?;
    let here = Node::start(NodeConfig::default()).await?;
    let address = there.address().ok_or("it does not listen")?;
    let ponger: Name = format!("ponger@{address}").parse()?;
    let pid = here.resolve(&ponger, Duration::from_secs(5)).await?;
    println!("{ponger} is {pid}");
    let begun = Instant::now();
    for number in 0..100 {
        let Pong(same) = here.ask(pid, Ping(number), Duration::from_secs(5)).await?;
        assert_eq!(same, number);
    }
    println!("100 round trips, {:?} each", begun.elapsed() / 100);
    here.shutdown().await;
    there.shutdown().await;
    Ok(())
}
