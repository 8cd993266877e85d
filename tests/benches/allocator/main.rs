//! What the allocator costs: whole cycles beside a minimal one of the same size, one change at a time, what is refused, quota, who
//! joins; how soon a demand is met by a real master, and what a million tasks weigh. `--airside PATH` names the program;
//! `--json` prints one object a line; a case's name measures that one only. `picture`
//! draws instead.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

mod cluster;
mod cycles;
mod demand;
mod draw;
mod live;
mod million;
mod minimal;
mod pictures;
mod shares;

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One measured row.
pub(crate) struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    /// What stood beside it, and its figure.
    peer: Option<(&'static str, f64)>,
}

impl Row {
    pub(crate) fn of(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, peer: None }
    }

    pub(crate) fn beside(self, peer: &'static str, value: f64) -> Self {
        Self { peer: Some((peer, value)), ..self }
    }
}

pub(crate) type Measured = Result<Vec<Row>, Box<dyn Error>>;

/// Each has a process of its own, so that none finds the memory of another.
const CASES: [&str; 10] = [
    "decision", "offers", "changes", "declined", "quota", "join", "demand", "million", "labelled",
    "sizes",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let mut airside = PathBuf::from("airside");
    let (mut json, mut case) = (false, None);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--airside") => airside = arguments.next().map(PathBuf::from).unwrap_or_default(),
            Some("--json") => json = true,
            // Cargo starts a bench in its package's folder.
            Some("--from") => env::set_current_dir(arguments.next().unwrap_or_default())?,
            Some("picture") => return pictures::draw(airside, arguments),
            Some(name) if CASES.contains(&name) => case = Some(name.to_owned()),
            // Cargo's own `--bench`, which is not for us.
            _ => (),
        }
    }
    let Some(case) = case else { return each_alone(&airside, json) };
    let measured = match case.as_str() {
        "decision" => cycles::decision(),
        "offers" => cycles::offers(),
        "changes" => cycles::changes(),
        "declined" => cycles::declined(),
        "quota" => cycles::quota(),
        "join" => cycles::join(),
        "demand" => tokio::runtime::Runtime::new()?.block_on(demand::to_offer(&airside)),
        "million" => million::tasks(),
        "labelled" => million::labelled(),
        _ => cycles::sizes(),
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
            "bench": "allocator", "row": name, "value": value, "unit": unit,
            "peer": peer, "peer_value": peer_value, "ratio": ratio,
        });
        println!("{line}");
    } else {
        let beside = peer.map(|(name, value)| format!("{value:.3} {unit} ({name})"));
        let ratio = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        println!("{name:<28}{value:>10.3} {unit:<6}{:>40}{ratio:>8}", beside.unwrap_or_default());
    }
}
