//! `airside node`: a bare node, to try the wire between machines. `echo` answers, `relay` passes a question on to the next
//! name of its way and brings the answer back, and `--ask` asks.

use std::time::{Duration, Instant};

use actix::{Actor, Handler};
use libactor::{
    Accepts, AskError, Asked, Context, Message, Name, Node, Question, Spawn, SpawnError,
};
use serde::{Deserialize, Serialize};

use crate::arguments::Hosted;

/// How long a whole way there and back may take.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// Names on a way at most.
const WAY_MAX: usize = 16;

/// Goes the way of names to an echo and comes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ping {
    /// Where relays still have to pass it on to.
    way: Vec<String>,
    /// Comes back unchanged.
    text: String,
}

/// What comes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pong {
    /// The text, or why it did not arrive.
    text: Result<String, String>,
}

impl Message for Ping {
    const NAME: &'static str = "airside.Ping";
}

impl Question for Ping {
    type Answer = Pong;
}

impl Message for Pong {
    const NAME: &'static str = "airside.Pong";
}

/// Answers with what it was sent.
struct Echo;

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Asked<Ping>> for Echo {
    type Result = ();

    fn handle(&mut self, asked: Asked<Ping>, _: &mut Context<Self>) {
        asked.reply.send(Pong { text: Ok(asked.question.text) });
    }
}

/// Passes on what it was sent.
struct Relay;

impl Actor for Relay {
    type Context = Context<Self>;
}

impl Handler<Asked<Ping>> for Relay {
    type Result = ();

    fn handle(&mut self, asked: Asked<Ping>, ctx: &mut Context<Self>) {
        let Asked { mut question, reply, .. } = asked;
        if question.way.is_empty() || question.way.len() > WAY_MAX {
            let text = Err(format!("a relay needs between 1 and {WAY_MAX} names to pass on to"));
            return reply.send(Pong { text });
        }
        let next = question.way.remove(0);
        let Ok(name) = next.parse::<Name>() else {
            return reply.send(Pong { text: Err(format!("'{next}' is no name of an actor")) });
        };
        ctx.ask(&name, question, BACK_WITHIN, move |_, answer: Result<Pong, AskError>, _| {
            let failed = |error| Pong { text: Err(format!("{next}: {error}")) };
            reply.send(answer.unwrap_or_else(failed));
        });
    }
}

/// Spawns the actors that the command line names.
pub(crate) fn host(node: &Node, actors: &[Hosted]) -> Result<(), SpawnError> {
    for actor in actors {
        match actor {
            Hosted::Echo => {
                let spawn = Spawn::named("echo").accepts(Accepts::new().asks::<Ping>());
                node.spawn(spawn, |_| Echo)?;
            }
            Hosted::Relay => {
                let spawn = Spawn::named("relay").accepts(Accepts::new().asks::<Ping>());
                node.spawn(spawn, |_| Relay)?;
            }
        }
    }
    Ok(())
}

/// A way that leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WayError {
    #[error("cannot reach {to}: {why}; is a node running there, with the same secret?")]
    Ask { to: Name, why: AskError },
    #[error("{to} could not pass it on: {why}")]
    OnTheWay { to: Name, why: String },
}

/// Asks once along a way of names; how long it took there and back.
pub(crate) async fn ask(node: &Node, to: &Name, way: &[Name]) -> Result<Duration, WayError> {
    let started_at = Instant::now();
    let way = way.iter().map(ToString::to_string).collect();
    let question = Ping { way, text: "hello".into() };
    let failed = |why| WayError::Ask { to: to.clone(), why };
    let answer = node.ask(to, question, BACK_WITHIN).await.map_err(failed)?;
    match answer.text {
        Ok(_) => Ok(started_at.elapsed()),
        Err(why) => Err(WayError::OnTheWay { to: to.clone(), why }),
    }
}

#[cfg(test)]
mod tests {
    use libactor::NodeConfig;

    use super::*;

    #[tokio::test]
    async fn a_question_goes_through_a_relay_and_comes_back() {
        let nodes = [
            Node::start(NodeConfig::loopback()).await.unwrap(),
            Node::start(NodeConfig::loopback()).await.unwrap(),
            Node::start(NodeConfig::default()).await.unwrap(),
        ];
        host(&nodes[0], &[Hosted::Echo]).unwrap();
        host(&nodes[1], &[Hosted::Relay]).unwrap();
        let name = |actor: &str, node: &Node| -> Name {
            format!("{actor}@{}", node.address().unwrap()).parse().unwrap()
        };
        let (echo, relay) = (name("echo", &nodes[0]), name("relay", &nodes[1]));
        assert!(ask(&nodes[2], &echo, &[]).await.is_ok());
        assert!(ask(&nodes[2], &relay, std::slice::from_ref(&echo)).await.is_ok());
        let nobody = name("nobody", &nodes[0]);
        let error = ask(&nodes[2], &relay, &[nobody]).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{relay} could not pass it on: nobody@")), "{error}");
        for node in nodes {
            node.shutdown().await;
        }
    }

    #[tokio::test]
    async fn two_actors_of_one_name_are_refused() {
        let node = Node::start(NodeConfig::default()).await.unwrap();
        let error = host(&node, &[Hosted::Echo, Hosted::Echo]).unwrap_err().to_string();
        assert_eq!(error, "spawn an actor named \"echo\": the name is taken on this node");
        node.shutdown().await;
    }
}
