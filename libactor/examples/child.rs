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
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};

use cast::{Bytes, Counter, Know, Number, PIECE, SOON, listening, quick, until};
use libactor::{Blob, Limits, Name, Node, NodeConfig, Pid, TellError, Timing};

/// After the actor's name: with `short-of-files`, only eight more files can be opened once it listens; with `floods`
/// and a place, it sends there as much as is taken; with `introduces-itself` and a name, it tells that one its pid.
#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let name = args.first().expect("the name of its actor");
    let rest: Vec<&str> = args[1..].iter().map(String::as_str).collect();
    let foreign = Some(libactor::http::pages("{}".to_owned(), |_, _| None));
    // Silent connections stay until the story lets them go.
    let timing = Timing { handshake: SOON, full: Duration::from_millis(300), ..quick() };
    let limits = Limits { window: u32::MAX, ..Limits::default() };
    let node = Node::start(NodeConfig { foreign, timing, limits, ..listening() }).await.unwrap();
    let pid = Counter::spawn(&node, name).pid();
    if rest == ["short-of-files"] {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        setrlimit(Resource::RLIMIT_NOFILE, open + 8, open + 8).unwrap();
    }
    say(&format!("LISTENS {}", node.address().unwrap()));
    match rest[..] {
        ["floods", place] => flood(&node, place).await,
        ["introduces-itself", to] => node.tell(to.parse::<Name>().unwrap(), Know(pid)).unwrap(),
        _ => (),
    }
    let reading = tokio::task::spawn_blocking(|| std::io::stdin().lines().next().is_some());
    let _ = reading.await;
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Sends until the connection ends. Says how many bytes were taken before the first refusal and in all, and what
/// the refusals said.
async fn flood(node: &Node, place: &str) {
    node.tell(format!("sink@{place}").parse::<Name>().unwrap(), Number(0)).unwrap();
    until("it is connected", || node.metrics().connections == 1).await;
    // The peer that the story plays is node 77 in its life 78, and does not listen: there is no second way to it.
    let life = [77_u64, 78, 1].map(u64::to_le_bytes).concat();
    let sink: Pid = libactor::wire::decode(&[&life[..], &[0]].concat()).unwrap();
    let piece = Bytes(Blob(vec![1; PIECE]));
    let (mut taken, mut refused) = (0, false);
    let ended = loop {
        match node.tell(sink, piece.clone()) {
            Ok(()) => taken += PIECE,
            Err(TellError::Full) => {
                if !refused {
                    say(&format!("REFUSED {taken} {}", TellError::Full));
                }
                refused = true;
                tokio::task::yield_now().await;
            }
            Err(error) => break error,
        }
        assert!(taken < 64 << 20, "{taken} bytes were taken for a peer that does not read");
    };
    until("all is booked", || node.metrics().lost == 1).await;
    say(&format!("ENDED {taken} {ended}"));
}
