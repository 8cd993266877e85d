//! HTTP on a node's one port, as Mesos serves it: paths that begin with the name of an actor, the texts of errors that clients
//! compare, JSONP, gzip, streams of records. Nothing here knows what master or agent answer; they bring their [`Route`]s.

mod answer;
mod backlog;
mod body;
mod credentials;
mod daemon;
mod due;
mod duration;
mod files;
mod gzip;
mod help;
mod io;
mod line;
mod logging;
mod negotiate;
mod numbers;
mod portions;
mod realm;
mod records;
mod route;
mod serve;
mod socket;
mod spans;
mod system;

pub use answer::{Call, Refused, TEXT, empty, json, pairs, plain, refuse};
pub use credentials::{BadCredentials, Credentials, Wrong};
pub use daemon::{Daemon, Parts};
pub use files::{Entry, FileError, Files, Part, Place, Places, READ_MAX};
pub use logging::{LEVEL_MAX, Logging};
pub use negotiate::{Encoding, accepted, allows, content, read, written};
pub use numbers::{Numbers, Snapshot};
pub use realm::{Realm, Realms};
pub use records::{NotSent, Records, stream};
pub use route::{Route, Routes, Unrealmed};
pub use serve::{Limits, serve};
pub use socket::{BadSocket, serve_on};
pub use spans::Spans;
