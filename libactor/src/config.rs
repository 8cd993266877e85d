//! Every setting of a node and its default.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::node::Node;
use crate::session::{Lender, Secret};

/// Takes connections on the node's port that are not actors': HTTP, TLS. Called on one of the node's threads, inside
/// its runtime; nothing of the stream has been consumed.
pub type Foreign = Arc<dyn Fn(Node, TcpStream, SocketAddr) + Send + Sync>;

/// How a node is started.
#[derive(Clone)]
pub struct NodeConfig {
    /// Where to listen; port 0 takes a free one. `None`: a node that only dials.
    pub listen: Option<SocketAddr>,
    /// What others are told to dial, if it differs from `listen`. A port of 0 means the real one.
    pub advertise: Option<SocketAddr>,
    /// The cluster's secret, or one that the only node which it is to reach lent it. Nodes with and without one refuse each
    /// other.
    pub secret: Option<Secret>,
    /// What the secrets that this node lends come from. `None`: another in each life, so that nobody to whom one was lent
    /// reaches the next.
    pub lender: Option<Lender>,
    /// Where the ring file of the recorder goes; `None` keeps recordings in memory only.
    pub work_dir: Option<PathBuf>,
    /// The newest version of the messages that this process speaks.
    pub version: u32,
    /// The oldest version of the messages that it still understands.
    pub oldest_version: u32,
    /// Whether what is handled is recorded.
    pub record: bool,
    /// Whether the first node of a process compares the processor's counter with the system's clock, which takes all of a processor for
    /// some milliseconds and makes each reading cheaper. Not for processes that live short, or are many.
    pub calibrate: bool,
    /// Threads for actors; 0 means one a core, at least two.
    pub threads: usize,
    /// Bounds of everything.
    pub limits: Limits,
    /// Rhythms and time-outs.
    pub timing: Timing,
    /// Takes the connections that are not ours; without it they are refused in words.
    pub foreign: Option<Foreign>,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            listen: None,
            advertise: None,
            secret: None,
            lender: None,
            work_dir: None,
            version: 1,
            oldest_version: 1,
            record: true,
            calibrate: true,
            threads: 0,
            limits: Limits::default(),
            timing: Timing::default(),
            foreign: None,
        }
    }
}

impl NodeConfig {
    /// A node that listens on a free port of the loopback interface.
    pub fn loopback() -> Self {
        Self { listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))), ..Self::default() }
    }
}

/// Bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message, headers included.
    pub message: usize,
    /// Bytes buffered for a connection's lane before a tell is `Full`; one message may pass the line.
    pub buffer: usize,
    /// Messages that one actor may have sent to another on one lane and that were not yet handled.
    pub window: u32,
    /// Connections at once, in and out, with those that have not yet said what they are or that want a page.
    pub connections: usize,
    /// Asks of this node that wait for an answer.
    pub asks: usize,
    /// Links that actors behind one connection have on actors of this node.
    pub links: usize,
    /// The kernel's buffer for what a connection sends: what a heartbeat may have to wait behind.
    pub send_buffer: usize,
    /// And for what it receives: a reader that has enough before it is seldom woken and empties it quickly.
    pub receive_buffer: usize,
    /// Bytes in memory of messages that have no subjects.
    pub chatter_ring: usize,
    /// Bytes in memory of messages that have subjects.
    pub flow_ring: usize,
    /// Bytes of the ring file in the work directory.
    pub ring_file: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 64 << 20,
            buffer: 1 << 20,
            window: 4096,
            connections: 65_536,
            asks: 1 << 20,
            links: 1 << 16,
            send_buffer: 128 << 10,
            receive_buffer: 256 << 10,
            chatter_ring: 8 << 20,
            flow_ring: 24 << 20,
            ring_file: 64 << 20,
        }
    }
}

/// Rhythms and time-outs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often each side of a connection says what it received.
    pub heartbeat: Duration,
    /// Silence after which a connection is lost.
    pub silence: Duration,
    /// How long dialling may take.
    pub dial: Duration,
    /// How long a connection may take to say what it is and to shake hands.
    pub handshake: Duration,
    /// How long a peer may not read while its buffer is full, or one of its actors handle nothing while its window is, before
    /// it is cut.
    pub full: Duration,
    /// How long a handler may run, or a mailbox may only grow, before the watchdog names it.
    pub watchdog: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(1),
            silence: Duration::from_secs(10),
            dial: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            full: Duration::from_secs(10),
            watchdog: Duration::from_secs(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `PROTOCOL.md` and the design promise to those who set nothing.
    #[test]
    fn the_defaults_are_those_that_the_page_promises() {
        let Limits { message, links, chatter_ring, flow_ring, ring_file, .. } = Limits::default();
        assert_eq!((message, links), (64 << 20, 65_536));
        assert_eq!((chatter_ring, flow_ring, ring_file), (8 << 20, 24 << 20, 64 << 20));
        let Timing { handshake, full, silence, heartbeat, .. } = Timing::default();
        assert_eq!((handshake, full, silence), (secs(5), secs(10), secs(10)));
        assert!(heartbeat * 3 < silence, "one that is late is no silence");
    }

    fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }
}
