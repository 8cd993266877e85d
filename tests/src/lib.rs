//! Stories.

pub mod cluster;
pub mod disks;
pub mod emulated;
pub mod groups;
pub mod holder;
pub mod http;
pub mod images;
pub mod installed;
pub mod leader;
pub mod line;
pub mod network;
pub mod python;
pub mod small;
pub mod swarm;

use std::net::TcpStream;

/// Says, in the words that `cargo xtask test` looks for, that a test could show nothing here.
#[allow(clippy::print_stdout, reason = "where the harness collects what a test says")]
pub fn skipped(why: &str) {
    println!("skipped: {why}");
}

/// A shell's words that give a node few file descriptors: `on_two_cores`, and what it needs for each further core, for which
/// it has a thread with four of its own.
pub fn few_descriptors(on_two_cores: usize) -> String {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    format!("ulimit -n {}", on_two_cores + 4 * cores.saturating_sub(2))
}

/// Connections to a node with [`few_descriptors`] that leave it none. Those that it cannot take wait for it.
pub fn exhaust(address: &str) -> Vec<TcpStream> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    (0..100 + 4 * cores).map(|_| TcpStream::connect(address).expect("it listens")).collect()
}
