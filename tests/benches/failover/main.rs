//! What a fail-over costs: the return of agents with their tasks, decided on in this process and over real TCP to a real
//! master process, and the registry's way to ZooKeeper. The agents are emulated (`tests::swarm`): their logic is real, their disks and executors are not.
//! `--airside PATH` names the program; `--json` prints one object a line; a case's name measures that one only.

mod back;
mod in_process;
mod messages;
mod registry;

use std::error::Error;

use measure::{Asked, each_alone};

// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Each has a process of its own, so that none finds the memory of another.
const CASES: [&str; 6] = ["in_process", "registry", "tcp", "back_4000", "back_5000", "back_50000"];

fn main() -> Result<(), Box<dyn Error>> {
    let Asked { airside, json, case } = Asked::read(&CASES);
    let Some(case) = case else { return each_alone(&CASES, &airside, json) };
    let runtime = tokio::runtime::Runtime::new()?;
    let measured = match case.as_str() {
        "in_process" => in_process::run(),
        "registry" => registry::run(),
        "tcp" => runtime.block_on(back::tcp(&airside)),
        "back_4000" => runtime.block_on(back::agents_4000(&airside)),
        "back_5000" => runtime.block_on(back::agents_5000(&airside)),
        _ => runtime.block_on(back::agents_50000(&airside)),
    };
    measured?.iter().for_each(|row| row.print("failover", json));
    Ok(())
}
