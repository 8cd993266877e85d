//! A launcher and nothing else: what tests and measurements have containers started by, as an agent has its own program.

use std::process::ExitCode;

fn main() -> ExitCode {
    containerizer::launcher::main()
}
