//! Stories: real nodes, real sockets. Each waits for what it wants to see, with a deadline; none sleeps.
#![allow(unreachable_pub, reason = "one binary; its files share freely")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not inside them")]

mod accounting;
mod bad_peers;
mod cast;
mod flood;
mod flows;
mod lent;
mod liars;
mod pages;
mod slow_peers;
mod three_nodes;
mod two_nodes;
