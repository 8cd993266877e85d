//! What an agent's containers cost where they are many, and what a pull costs: a thousand command tasks on one agent, up, listed and down;
//! an image of 200 MiB from a registry on this machine, beside `skopeo` and `umoci`. As root. `--airside PATH` names the program;
//! `--json` prints one object a line; a case's name measures that one only.

mod pull;
mod thousand;

use std::error::Error;

use measure::{Asked, each_alone};

// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Each has a process of its own.
const CASES: [&str; 2] = ["thousand", "pull"];

fn main() -> Result<(), Box<dyn Error>> {
    let Asked { airside, json, case } = Asked::read(&CASES);
    let Some(case) = case else { return each_alone(&CASES, &airside, json) };
    let runtime = tokio::runtime::Runtime::new()?;
    let measured = match case.as_str() {
        "thousand" => runtime.block_on(thousand::up_and_down(&airside)),
        _ => runtime.block_on(pull::beside_others()),
    };
    measured?.iter().for_each(|row| row.print("containers", json));
    Ok(())
}
