//! Instructions of a local tell, ours and bare actix's, counted by callgrind: this binary runs itself under it, once
//! with few rounds and once with many, and what lies between is what the messages cost. A start takes a few million more
//! or less, since the clock is calibrated until it is right; so there are a million messages, which repeats to a hundredth.

use std::process::Command;

use crate::local::{self, Case};
use crate::table::{Side, Table};

/// The argument that makes this binary run one case and nothing else.
pub const CASE: &str = "--case=";
const ROUNDS: [u64; 2] = [20, 1020];

fn word(case: Case) -> &'static str {
    match case {
        Case::Tell => "tell",
        Case::BareTell => "bare-tell",
        Case::Ask => "ask",
        Case::BareAsk => "bare-ask",
    }
}

/// Runs `CASE:ROUNDS`, for callgrind to count.
pub async fn run_case(named: &str) {
    let (name, rounds) = named.split_once(':').unwrap();
    let all = [Case::Tell, Case::BareTell, Case::Ask, Case::BareAsk];
    let case = all.into_iter().find(|case| word(*case) == name).unwrap();
    local::rounds_of(case, rounds.parse().unwrap()).await;
}

/// Instructions of this binary with these arguments.
fn count(case: Case, rounds: u64) -> Result<f64, String> {
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .arg(format!("{CASE}{}:{rounds}", word(case)))
        .output()
        .map_err(|error| {
            format!("valgrind does not run ({error}); install the package valgrind")
        })?;
    let said = String::from_utf8_lossy(&run.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    collected
        .and_then(|(_, number)| number.trim().parse().ok())
        .filter(|_| run.status.success())
        .ok_or_else(|| format!("callgrind counted nothing: {said}"))
}

/// Instructions a message.
fn each(case: Case) -> Result<Side, String> {
    let [few, many] = ROUNDS;
    let between = count(case, many)? - count(case, few)?;
    let mut side = Side::new();
    side.add(between / (local::messages_of(case) * (many - few)) as f64);
    Ok(side)
}

pub fn run(table: &mut Table) {
    for (row, ours, bare, peer) in [
        ("local_tell_ir", Case::Tell, Case::BareTell, "actix do_send"),
        ("local_ask_ir", Case::Ask, Case::BareAsk, "actix send"),
    ] {
        match each(ours).and_then(|ours| Ok((ours, each(bare)?))) {
            Ok((ours, bare)) => table.time(row, "Ir", &ours, peer, &bare),
            Err(why) => eprintln!("{row} is not measured: {why}"),
        }
    }
}
