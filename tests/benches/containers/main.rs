//! What an agent's containers cost where they are many, and what a pull costs: a thousand command tasks on one agent, up, listed and down;
//! an image of 200 MiB from a registry on this machine, beside `skopeo` and `umoci`. As root. `--airside PATH` names the program;
//! `--json` prints one object a line; a case's name measures that one only.

mod pull;
mod thousand;

use std::env;
use std::error::Error;
use std::path::PathBuf;

use measure::each_alone;

// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Each has a process of its own.
const CASES: [&str; 2] = ["thousand", "pull"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let mut airside = PathBuf::from("airside");
    let (mut json, mut case) = (false, None);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--airside") => airside = arguments.next().map(PathBuf::from).unwrap_or_default(),
            Some("--json") => json = true,
            Some(name) if CASES.contains(&name) => case = Some(name.to_owned()),
            // Cargo's own `--bench`, which is not for us.
            _ => (),
        }
    }
    let Some(case) = case else { return each_alone(&CASES, &airside, json) };
    let runtime = tokio::runtime::Runtime::new()?;
    let measured = match case.as_str() {
        "thousand" => runtime.block_on(thousand::up_and_down(&airside)),
        _ => runtime.block_on(pull::beside_others()),
    };
    measured?.iter().for_each(|row| row.print("containers", json));
    Ok(())
}
