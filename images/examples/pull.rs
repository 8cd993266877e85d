//! Pulls one image into a store, to try it and to time it: `cargo run --release -p images --example pull -- FOLDER
//! REFERENCE`. It says what came and how long it took.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use images::{DOCKER_HUB, PullOptions, Reference, Settings, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [folder, reference] = arguments.as_slice() else {
        return Err("usage: pull FOLDER REFERENCE".into());
    };
    let reference = Reference::parse(reference, DOCKER_HUB)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let started = Instant::now();
    let store = Store::open(Path::new(folder), Settings::default())?;
    let pulled =
        runtime.block_on(async { store.pull(&reference, &PullOptions::default()).wait().await })?;
    let report = pulled.report;
    println!("{} layers, {} entries, {} bytes", pulled.layers.len(), report.entries, report.bytes);
    println!("{:.3} s", started.elapsed().as_secs_f64());
    Ok(())
}
