//! A launcher and nothing else: what tests and measurements have containers started by, as an agent has its own program. With a file
//! to overwrite it is what an image makes of it that is run from this very file.
#![allow(clippy::print_stdout, reason = "a container's output is what tests look at")]

use std::fs::{metadata, set_permissions};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words[..] {
        [word, file] if word == "overwrite" => {
            // Its bytes are kept by the kernel as long as anybody is run from it; of its rights the same is not true.
            let done = metadata(file).and_then(|now| set_permissions(file, now.permissions()));
            match done {
                Ok(()) => println!("overwrite: done"),
                Err(error) => println!("overwrite: {error}"),
            }
            ExitCode::SUCCESS
        }
        _ => containerizer::launcher::main(),
    }
}
