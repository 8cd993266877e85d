//! What actors cost beside the same thing without them. Each row has its reference case in this binary, run in turn
//! with it; a row is the minimum of its rounds, the median stands beside it. `--json` prints one object a line.
#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot run ends")]
#![allow(unreachable_pub, reason = "one binary; its files share freely")]

mod codec;
mod instructions;
mod local;
mod remote;
mod table;

use std::error::Error;

use table::Table;

// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let only: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |part: &str| only.is_empty() || only.iter().any(|name| *name == part);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let case = arguments.iter().find_map(|argument| argument.strip_prefix(instructions::CASE));
    if let Some(case) = case {
        runtime.block_on(instructions::run_case(case));
        return Ok(());
    }
    let mut table = Table::new(json);
    runtime.block_on(async {
        if wanted("idle") {
            local::idle(&mut table).await;
        }
        if wanted("local") {
            local::run(&mut table).await;
        }
        if wanted("instructions") {
            instructions::run(&mut table);
        }
        if wanted("fanin") {
            local::fan_in(&mut table).await;
        }
        if wanted("codec") {
            codec::run(&mut table);
        }
        if ["oneway", "asks", "bulk"].into_iter().any(wanted) {
            remote::run(&mut table, wanted).await;
        }
    });
    Ok(())
}
