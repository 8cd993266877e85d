//! HTTP on a node's one port, as Mesos serves it: paths that begin with the name of an actor, the texts of errors that clients
//! compare, JSONP, gzip, streams of records. Nothing here knows what master or agent answer; they bring their [`Route`]s.

mod answer;
mod daemon;
mod io;
mod negotiate;
mod records;
mod route;
mod serve;

pub use answer::{Call, Refused, TEXT, empty, json, pairs, plain, refuse};
pub use daemon::Daemon;
pub use negotiate::{Encoding, accepted, content, read, written};
pub use records::{NotSent, Records, stream};
pub use route::{Route, Routes};
pub use serve::{Limits, serve};
