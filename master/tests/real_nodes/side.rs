//! One side of a conversation with a master: what it hears, and what it says.

use std::time::Duration;

use actix::{Actor, Handler};
use libactor::{
    Accepts, Address, Context, Down, Message, Name, Node, NodeConfig, Pid, Received, Spawn,
};
use protocol::PROTOCOL_VERSION;
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::framework::{FrameworkToMaster, MasterToFramework};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A node that speaks the newest version and takes connections.
pub(crate) fn todays() -> NodeConfig {
    NodeConfig { version: PROTOCOL_VERSION, ..NodeConfig::loopback() }
}

/// An actor that passes on what it hears, and says what it is told to.
pub(crate) struct Voice<M> {
    heard: mpsc::UnboundedSender<(Pid, M)>,
}

impl<M: Message + Unpin> Actor for Voice<M> {
    type Context = Context<Self>;
}

impl<M: Message + Unpin> Handler<Received<M>> for Voice<M> {
    type Result = ();

    fn handle(&mut self, received: Received<M>, ctx: &mut Context<Self>) {
        if let Some(from) = received.from {
            ctx.link(from);
            // A test that has ended listens no more.
            let _ = self.heard.send((from, received.message));
        }
    }
}

impl<M: Message + Unpin> Handler<Down> for Voice<M> {
    type Result = ();

    fn handle(&mut self, _: Down, _: &mut Context<Self>) {}
}

/// Makes a voice say something.
#[derive(Serialize, Deserialize)]
pub(crate) enum Say {
    AsAgent(AgentToMaster),
    AsScheduler(FrameworkToMaster),
}

/// To whom it is said.
#[derive(Serialize, Deserialize)]
pub(crate) struct SayTo(pub(crate) Address, pub(crate) Say);

impl Message for SayTo {
    const NAME: &'static str = "test.SayTo";
}

impl From<AgentToMaster> for Say {
    fn from(message: AgentToMaster) -> Self {
        Self::AsAgent(message)
    }
}

impl From<FrameworkToMaster> for Say {
    fn from(message: FrameworkToMaster) -> Self {
        Self::AsScheduler(message)
    }
}

fn say_to<M: Message + Unpin>(SayTo(to, say): SayTo, ctx: &mut Context<Voice<M>>) {
    match say {
        Say::AsAgent(message) => ctx.tell(to, message).unwrap(),
        Say::AsScheduler(message) => ctx.tell(to, message).unwrap(),
    }
}

impl Handler<Received<SayTo>> for Voice<MasterToAgent> {
    type Result = ();

    fn handle(&mut self, received: Received<SayTo>, ctx: &mut Context<Self>) {
        say_to(received.message, ctx);
    }
}

impl Handler<Received<SayTo>> for Voice<MasterToFramework> {
    type Result = ();

    fn handle(&mut self, received: Received<SayTo>, ctx: &mut Context<Self>) {
        say_to(received.message, ctx);
    }
}

/// One side of a conversation, on a node of its own that only dials.
pub(crate) struct Side<M: Message + Unpin>
where
    Voice<M>: Actor<Context = Context<Voice<M>>> + Handler<Received<SayTo>>,
{
    pub(crate) node: Node,
    voice: libactor::Handle<Voice<M>>,
    pub(crate) heard: mpsc::UnboundedReceiver<(Pid, M)>,
    master: Name,
}

impl<M: Message + Unpin> Side<M>
where
    Voice<M>: Actor<Context = Context<Voice<M>>> + Handler<Received<SayTo>>,
{
    pub(crate) async fn new(master: &Name) -> Self {
        Self::of_version(PROTOCOL_VERSION, master).await
    }

    pub(crate) async fn of_version(version: u32, master: &Name) -> Self {
        let config = NodeConfig { version, ..NodeConfig::default() };
        let node = Node::start(config).await.unwrap();
        let (sender, heard) = mpsc::unbounded_channel();
        let accepts = Accepts::new().tells::<M>().links();
        let spawn = Spawn { accepts, ..Spawn::default() };
        let voice = node.spawn(spawn, |_| Voice { heard: sender }).unwrap();
        Self { node, voice, heard, master: master.clone() }
    }

    pub(crate) fn say(&self, message: impl Into<Say>) {
        self.voice.tell(SayTo(self.master.clone().into(), message.into())).unwrap();
    }

    /// The next message that is looked for; others are passed over.
    pub(crate) async fn hears<T>(&mut self, look: impl Fn(&M) -> Option<T>) -> T {
        let listen = async {
            loop {
                let (_, message) = self.heard.recv().await.expect("the voice lives");
                if let Some(found) = look(&message) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, listen).await.expect("what is waited for is said")
    }
}
