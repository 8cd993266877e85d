//! What the allocator costs: whole cycles beside a minimal one of the same size, one change at a time, what is refused, quota, who
//! joins. `--json` prints one object a line; a case's name measures that one only.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

mod cluster;
mod cycles;
mod minimal;

use std::env;
use std::error::Error;
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
const CASES: [&str; 7] = ["decision", "offers", "changes", "declined", "quota", "join", "sizes"];

fn main() -> Result<(), Box<dyn Error>> {
    let (mut json, mut case) = (false, None);
    for argument in env::args_os().skip(1) {
        match argument.to_str() {
            Some("--json") => json = true,
            Some(name) if CASES.contains(&name) => case = Some(name.to_owned()),
            // Cargo's own `--bench`, which is not for us.
            _ => (),
        }
    }
    let Some(case) = case else {
        let mut all_measured = true;
        for case in CASES {
            let mut command = Command::new(env::current_exe()?);
            command.arg(case).stdin(Stdio::null());
            if json {
                command.arg("--json");
            }
            all_measured &= command.status()?.success();
        }
        return if all_measured { Ok(()) } else { Err("some rows were not measured".into()) };
    };
    let measured = match case.as_str() {
        "decision" => cycles::decision(),
        "offers" => cycles::offers(),
        "changes" => cycles::changes(),
        "declined" => cycles::declined(),
        "quota" => cycles::quota(),
        "join" => cycles::join(),
        _ => cycles::sizes(),
    };
    measured?.iter().for_each(|row| print(row, json));
    Ok(())
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
