//! The same small work done by several actor systems, interleaved round by round, so that a busy
//! moment of the machine hits all of them. Prints one JSON object a line for each work and each
//! system that stands beside ours; a ratio is ours over theirs.

mod on_erlang;
mod on_kameo;
mod on_libactor;
mod on_ractor;

use std::time::Duration;

use mimalloc::MiMalloc;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Rounds of which the median counts.
const ROUNDS: usize = 9;
/// Messages of one round, in bursts that every mailbox has room for.
pub(crate) const TELLS: u32 = 100_000;
pub(crate) const BURST: u32 = 1_000;
/// Questions of one round, one after the other.
pub(crate) const ASKS: u32 = 10_000;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Tell an actor of the same process many things; after each burst, ask how many it has heard.
    LocalTell,
    /// Ask an actor of the same process, wait for the answer, ask again.
    LocalAsk,
    /// The same over TCP on loopback.
    RemoteTell,
    /// The same over TCP on loopback.
    RemoteAsk,
}

impl Work {
    const ALL: [Self; 4] = [Self::LocalTell, Self::LocalAsk, Self::RemoteTell, Self::RemoteAsk];

    fn row(self) -> &'static str {
        match self {
            Self::LocalTell => "local_tell",
            Self::LocalAsk => "local_ask",
            Self::RemoteTell => "remote_tell",
            Self::RemoteAsk => "remote_ask",
        }
    }

    fn messages(self) -> u32 {
        match self {
            Self::LocalTell | Self::RemoteTell => TELLS,
            Self::LocalAsk | Self::RemoteAsk => ASKS,
        }
    }
}

/// One system, ready to work. It says how long a round takes it, or nothing if it has no such work.
pub(crate) struct System {
    name: &'static str,
    round: Box<dyn FnMut(Work) -> Option<Duration>>,
}

impl System {
    pub(crate) fn new(
        name: &'static str,
        round: impl FnMut(Work) -> Option<Duration> + 'static,
    ) -> Self {
        Self { name, round: Box::new(round) }
    }
}

fn main() {
    let mut systems = vec![on_libactor::start(), on_ractor::start(), on_kameo::start()];
    match on_erlang::start() {
        Ok(system) => systems.push(system),
        Err(why) => eprintln!("Erlang/OTP is left out: {why}"),
    }
    for work in Work::ALL {
        let medians = measure(work, &mut systems);
        let [(_, Some(ours)), peers @ ..] = medians.as_slice() else {
            eprintln!("{} was not measured", work.row());
            continue;
        };
        for (peer, theirs) in peers {
            let Some(theirs) = theirs else { continue };
            let row = format!("{}_{peer}", work.row());
            let line = json!({
                "bench": "peers", "row": row, "value": round(*ours), "unit": "ns",
                "peer": peer, "peer_value": round(*theirs), "ratio": ours / theirs,
            });
            println!("{line}");
        }
    }
}

/// The median of each system, in nanoseconds a message.
fn measure(work: Work, systems: &mut [System]) -> Vec<(&'static str, Option<f64>)> {
    let mut rounds: Vec<Vec<f64>> = systems.iter().map(|_| Vec::new()).collect();
    for number in 0..=ROUNDS {
        eprint!("\r{} {number}/{ROUNDS}  ", work.row());
        for (system, times) in systems.iter_mut().zip(&mut rounds) {
            let took = (system.round)(work);
            // The first round warms up.
            if let Some(took) = took.filter(|_| number > 0) {
                times.push(took.as_secs_f64() * 1e9 / f64::from(work.messages()));
            }
        }
    }
    eprintln!();
    let medians = rounds.into_iter().map(|mut times| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    });
    systems.iter().map(|system| system.name).zip(medians).collect()
}

fn round(nanoseconds: f64) -> f64 {
    (nanoseconds * 10.0).round() / 10.0
}
