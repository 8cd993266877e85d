//! Typed actors on actix that talk over TCP.
//!
//! ```
//! use std::time::Duration;
//! use actix::{Actor, Handler};
//! use libactor::{Accepts, Asked, Context, Message, Name, Node, NodeConfig, Question, Spawn};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Double(u32);
//! impl Message for Double { const NAME: &'static str = "doc.Double"; }
//! impl Question for Double { type Answer = Doubled; }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Doubled(u32);
//! impl Message for Doubled { const NAME: &'static str = "doc.Doubled"; }
//!
//! struct Doubler;
//! impl Actor for Doubler { type Context = Context<Self>; }
//! impl Handler<Asked<Double>> for Doubler {
//!     type Result = ();
//!     fn handle(&mut self, asked: Asked<Double>, _: &mut Context<Self>) {
//!         asked.reply.send(Doubled(asked.question.0 * 2));
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let there = Node::start(NodeConfig::loopback()).await?;
//! there.spawn(Spawn::named("doubler").accepts(Accepts::new().asks::<Double>()), |_| Doubler)?;
//!
//! let here = Node::start(NodeConfig::default()).await?; // only dials
//! let name: Name = format!("doubler@{}", there.address().expect("it listens")).parse()?;
//! let answer = here.ask(&name, Double(21), Duration::from_secs(5)).await?;
//! assert_eq!(answer.0, 42);
//! # here.shutdown().await; there.shutdown().await;
//! # Ok(()) }
//! ```
#![warn(missing_docs)]

mod cell;
mod clock;
mod config;
mod conn;
mod context;
mod control;
mod drive;
mod error;
mod flow;
mod flow_actor;
mod hash;
pub mod http;
mod mailbox;
mod message;
mod metrics;
mod node;
mod pid;
mod recorder;
mod reply;
pub mod ringfile;
mod secret;
pub mod session;
mod watchdog;
pub mod wire;

pub use cell::{Accepts, Handle, Wake};
pub use clock::{Clock, Reading};
pub use config::{Foreign, Limits, NodeConfig, Timing};
pub use context::{Context, TimerHandle};
pub use control::DropReason;
pub use error::{AskError, SpawnError, StartError, TellError};
pub use flow::FlowId;
pub use flow_actor::{
    FLOW_ACTOR, FlowAnswer, FlowFound, FlowIds, FlowIdsFound, FlowQuery, FlowSearch, PayloadAnswer,
    PayloadQuestion,
};
pub use message::{
    Asked, Blob, Down, DownReason, Lane, Message, Principal, Question, Received, Reply, Subjects,
};
pub use metrics::{CutKind, Metrics, RefusalKind};
pub use node::{Asking, MAILBOX, Node, Spawn, Stranger};
pub use pid::{Address, BadName, Name, NodeId, Pid};
pub use recorder::payloads::{
    FlowPayload, PAYLOADS_BYTES_MAX, PAYLOADS_TIME_MAX, PayloadFilter, PayloadsOver,
};
pub use recorder::{FlowRecord, What};
pub use session::{Lender, Secret};
pub use watchdog::{Fault, Suspect};
