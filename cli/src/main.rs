//! The `airside` command: arguments to calls, answers to words. It decides nothing about clusters; what does is in the
//! crates that it wires together.

#![expect(dead_code, reason = "the commands that use it follow")]

mod arguments;
mod client;
mod cluster;
mod commands;
mod demo;
mod ending;
mod environment;
mod flow;
mod lists;
mod local;
mod node;
mod output;
mod prefix;
mod run;
mod serve;
mod supervise;
mod tail;
mod units;
mod up;

use std::process::ExitCode;

use environment::Environment;

/// Delivery between nodes costs far less with it than with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let environment = Environment::of_this_process();
    let _ = arguments::parse(std::env::args_os(), &environment);
    ExitCode::SUCCESS
}
