//! What a fail-over costs: the return of agents with their tasks, decided on in this process and over real TCP to a real
//! master process, and the registry's way to ZooKeeper. The agents are emulated (`tests::swarm`): their logic is real, their disks and executors are not.
//! `--airside PATH` names the program; `--json` prints one object a line; a case's name measures that one only.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

mod back;
mod in_process;
mod messages;
mod registry;

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One measured row.
pub(crate) struct Row {
    name: &'static str,
    value: f64,
    unit: &'static str,
    /// What stood beside it, and its figure.
    peer: Option<(&'static str, f64)>,
}

impl Row {
    pub(crate) fn of(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit, peer: None }
    }
}

pub(crate) type Measured = Result<Vec<Row>, Box<dyn Error>>;

/// Each has a process of its own, so that none finds the memory of another.
const CASES: [&str; 6] = ["in_process", "registry", "tcp", "back_4000", "back_5000", "back_50000"];

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
    let Some(case) = case else { return each_alone(&airside, json) };
    let runtime = tokio::runtime::Runtime::new()?;
    let measured = match case.as_str() {
        "in_process" => in_process::run(),
        "registry" => registry::run(),
        "tcp" => runtime.block_on(back::tcp(&airside)),
        "back_4000" => runtime.block_on(back::agents_4000(&airside)),
        "back_5000" => runtime.block_on(back::agents_5000(&airside)),
        _ => runtime.block_on(back::agents_50000(&airside)),
    };
    measured?.iter().for_each(|row| print(row, json));
    Ok(())
}

fn each_alone(airside: &Path, json: bool) -> Result<(), Box<dyn Error>> {
    let mut all_measured = true;
    for case in CASES {
        let mut command = Command::new(env::current_exe()?);
        command.arg(case).arg("--airside").arg(airside).stdin(Stdio::null());
        if json {
            command.arg("--json");
        }
        let status = command.status()?;
        if !status.success() {
            eprintln!("{case}: {status}");
            all_measured = false;
        }
    }
    if all_measured { Ok(()) } else { Err("some rows were not measured".into()) }
}

fn print(Row { name, value, unit, peer }: &Row, json: bool) {
    let ratio = peer.map(|(_, peer)| value / peer);
    if json {
        let (peer, peer_value) = (peer.map(|(name, _)| name), peer.map(|(_, value)| value));
        let line = serde_json::json!({
            "bench": "failover", "row": name, "value": value, "unit": unit,
            "peer": peer, "peer_value": peer_value, "ratio": ratio,
        });
        println!("{line}");
    } else {
        let beside = peer.map(|(name, value)| format!("{value:.2} {unit} ({name})"));
        let ratio = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        println!("{name:<24}{value:>10.2} {unit:<6}{:>40}{ratio:>8}", beside.unwrap_or_default());
    }
}
