//! What Mesos's HTTP APIs cost: the cluster written as JSON and as protobuf, readers beside a master that works, tasks through a
//! gateway, idle streams, one call. `--airside PATH` names the program; `--json` prints one object a line; a case's name measures that
//! one only.

mod call;
mod client;
mod load;
mod state;
mod streams;
mod tasks;

use std::error::Error;

use measure::{Asked, each_alone};

// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Each has a process of its own, so that none finds the memory of another.
const CASES: [&str; 5] = ["state", "load", "tasks", "streams", "call"];

fn main() -> Result<(), Box<dyn Error>> {
    let Asked { airside, json, case } = Asked::read(&CASES);
    let Some(case) = case else { return each_alone(&CASES, &airside, json) };
    let runtime = tokio::runtime::Runtime::new()?;
    let measured = match case.as_str() {
        "state" => state::written(),
        "load" => runtime.block_on(load::beside_readers(&airside)),
        "tasks" => runtime.block_on(tasks::per_second(&airside)),
        "streams" => runtime.block_on(streams::idle(&airside)),
        _ => runtime.block_on(call::one(&airside)),
    };
    measured?.iter().for_each(|row| row.print("http", json));
    Ok(())
}
