//! Instructions of a local tell, ours and bare actix's, counted by callgrind: this binary runs itself under it, once
//! with few rounds and once with many, and what lies between is what the messages cost. A start takes a few million more
//! or less, since the clock is calibrated until it is right; so there are a million messages, which repeats to a hundredth.

use measure::instructions_of_a_round;

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

/// Instructions a message.
fn each(case: Case) -> Result<Side, String> {
    let of_round =
        instructions_of_a_round(ROUNDS, |rounds| format!("{CASE}{}:{rounds}", word(case)))?;
    let mut side = Side::new();
    side.add(of_round / local::messages_of(case) as f64);
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
