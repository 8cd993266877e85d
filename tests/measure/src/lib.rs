//! What benches have in common: rows of figures, cases that have a process each, instructions counted.

mod callgrind;

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use callgrind::{instructions, instructions_of_a_round};

/// One measured row.
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// What stood beside it, and its figure.
    pub peer: Option<(&'static str, f64)>,
}

impl Row {
    /// With nothing beside it.
    pub fn of(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, peer: None }
    }

    /// The same, with something beside it.
    #[must_use]
    pub fn beside(self, peer: &'static str, value: f64) -> Self {
        Self { peer: Some((peer, value)), ..self }
    }

    /// As a line for people, or as one of JSON.
    #[allow(clippy::print_stdout, reason = "a bench prints what it measured")]
    pub fn print(&self, bench: &str, json: bool) {
        let Self { name, value, unit, peer } = self;
        let ratio = peer.map(|(_, peer)| value / peer);
        if json {
            let (peer, peer_value) = (peer.map(|(name, _)| name), peer.map(|(_, value)| value));
            let line = serde_json::json!({
                "bench": bench, "row": name, "value": value, "unit": unit,
                "peer": peer, "peer_value": peer_value, "ratio": ratio,
            });
            println!("{line}");
        } else {
            let beside = peer.map(|(name, value)| format!("{value:.3} {unit} ({name})"));
            let beside = beside.unwrap_or_default();
            let ratio = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
            println!("{name:<28}{value:>10.3} {unit:<6}{beside:>40}{ratio:>8}");
        }
    }
}

/// The rows of one case.
pub type Measured = Result<Vec<Row>, Box<dyn Error>>;

/// What a bench's command line says.
#[derive(Debug)]
pub struct Asked {
    /// The program that is measured: `--airside PATH`.
    pub airside: PathBuf,
    /// Whether rows are printed as JSON: `--json`.
    pub json: bool,
    /// The case that is measured, if it is one alone.
    pub case: Option<String>,
}

impl Asked {
    /// Of a bench with these cases. What it does not know is Cargo's, as `--bench` is.
    pub fn read(cases: &[&str]) -> Self {
        let mut arguments = env::args_os().skip(1);
        let mut asked = Self { airside: PathBuf::from("airside"), json: false, case: None };
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--airside") => {
                    asked.airside = arguments.next().map(PathBuf::from).unwrap_or_default();
                }
                Some("--json") => asked.json = true,
                Some(name) if cases.contains(&name) => asked.case = Some(name.to_owned()),
                _ => (),
            }
        }
        asked
    }
}

/// This program for each case anew, so that none finds the memory of another.
#[allow(clippy::print_stderr, reason = "where whoever started the bench looks")]
pub fn each_alone(cases: &[&str], airside: &Path, json: bool) -> Result<(), Box<dyn Error>> {
    let mut all_measured = true;
    for case in cases {
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
