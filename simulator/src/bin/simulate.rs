//! Runs seeds from the command line; `cargo xtask simulate` calls it, built for speed.

use std::process::ExitCode;

fn main() -> ExitCode {
    simulator::simulate::main(std::env::args().skip(1))
}
