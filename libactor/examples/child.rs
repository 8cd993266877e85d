//! The process of its own that the stories start, starve and kill: says where it listens, and lives until its input
//! ends.
//!
//! `cargo run -p libactor --example child -- victim`
#![allow(unreachable_pub, reason = "shares the cast with the stories")]
#![allow(clippy::unwrap_used, reason = "part of a test: the story that started it sees it fail")]

#[allow(dead_code, reason = "the stories use more of it")]
#[path = "../tests/stories/cast.rs"]
mod cast;

use std::io::Write;

use nix::sys::resource::{Resource, setrlimit};

use cast::{Counter, SOON, listening, quick};
use libactor::{Node, NodeConfig, Timing};

/// With `short-of-files` after the actor's name, only eight more files can be opened once it listens.
#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().expect("the name of its actor");
    let short_of_files = args.next().is_some_and(|arg| arg == "short-of-files");
    let foreign = Some(libactor::http::pages("{}".to_owned(), |_, _| None));
    // Silent connections stay until the story lets them go.
    let timing = Timing { handshake: SOON, ..quick() };
    let node = Node::start(NodeConfig { foreign, timing, ..listening() }).await.unwrap();
    Counter::spawn(&node, &name);
    if short_of_files {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        setrlimit(Resource::RLIMIT_NOFILE, open + 8, open + 8).unwrap();
    }
    let mut out = std::io::stdout();
    writeln!(out, "LISTENS {}", node.address().unwrap()).unwrap();
    out.flush().unwrap();
    let reading = tokio::task::spawn_blocking(|| std::io::stdin().lines().next().is_some());
    let _ = reading.await;
}
