//! Instructions of a whole cycle and of one change, and of the minimal cycle: they are the same in each run, where times are not.

use std::hint::black_box;

use measure::{Measured, Row, instructions_of_a_round};

use crate::cycles::{self, AGENTS, FRAMEWORKS, ROLES, cluster, numbers};
use crate::minimal::Minimal;

/// The argument that makes this binary do one thing so often and nothing else.
pub(crate) const COUNT: &str = "--count=";
/// Cycles; few, since callgrind is slow.
const CYCLES: [u64; 2] = [1, 5];
/// Changes, one after the other.
const CHANGES: [u64; 2] = [1000, 11_000];

/// Does `WHAT:ROUNDS`, for callgrind to count.
pub(crate) fn perform(named: &str) -> Result<(), Box<dyn std::error::Error>> {
    let (what, rounds) = named.split_once(':').ok_or("nothing to count is named")?;
    let rounds: usize = rounds.parse()?;
    let full = cluster(AGENTS, FRAMEWORKS, ROLES);
    let minimal = Minimal::new(AGENTS, ROLES, FRAMEWORKS);
    match what {
        // Copies are counted by themselves.
        "copy" => (0..rounds).for_each(|_| drop(black_box(full.clone()))),
        "cycle" => (0..rounds).for_each(|_| drop(black_box(cycles::run(&mut full.clone())))),
        "minimal-copy" => (0..rounds).for_each(|_| drop(black_box(minimal.clone()))),
        "minimal" => (0..rounds).for_each(|_| drop(black_box(minimal.clone().cycle()))),
        "change" => {
            let mut allocator = full;
            let mut open = numbers(&cycles::run(&mut allocator));
            (0..rounds).for_each(|n| cycles::change(&mut allocator, &mut open, n));
        }
        other => return Err(format!("{other} is not counted").into()),
    }
    Ok(())
}

pub(crate) fn counted() -> Measured {
    let of = |what: &str, rounds| {
        instructions_of_a_round(rounds, |rounds| format!("{COUNT}{what}:{rounds}"))
    };
    let cycle = of("cycle", CYCLES)? - of("copy", CYCLES)?;
    let minimal = of("minimal", CYCLES)? - of("minimal-copy", CYCLES)?;
    Ok(vec![
        Row::of("cycle_decision_ir", cycle / 1e6, "MIr").beside("minimal cycle", minimal / 1e6),
        Row::of("one_agent_changed_ir", of("change", CHANGES)?, "Ir"),
    ])
}
