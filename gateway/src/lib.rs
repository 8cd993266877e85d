//! HTTP on a node's one port, as Mesos serves it: paths that begin with the name of an actor, the texts of errors that clients
//! compare, JSONP, gzip, streams of records. Nothing here knows what master or agent answer; they bring their [`Route`]s.

mod answer;
mod credentials;
mod daemon;
mod io;
mod negotiate;
mod realm;
mod records;
mod route;
mod serve;

pub use answer::{Call, Refused, TEXT, empty, json, plain, refuse};
pub use credentials::{BadCredentials, Credentials, Wrong};
pub use daemon::{Daemon, Parts};
pub use negotiate::{Encoding, accepted, content};
pub use realm::{Realm, Realms};
pub use records::{NotSent, Records, stream};
pub use route::{Route, Routes, Unrealmed};
pub use serve::{Limits, serve};
