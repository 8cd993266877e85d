//! Runs cargo, and through it everything else. Its own words go to the terminal as they come:
//! they are the progress of the long steps.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use serde_json::Value;

use crate::steps::Failure;

/// The workspace's root: the folder above this crate.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the root").into()
}

/// The cargo that started us, so that the pinned toolchain is used throughout.
pub(crate) fn cargo() -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    finish(cargo().args(arguments))
}

pub(crate) fn clippy() -> Result<(), Failure> {
    run(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

/// Our own documentation, in which no link may be broken. It is written for people who work on the
/// code: it has private items, so links to them hold.
pub(crate) fn doc() -> Result<(), Failure> {
    finish(
        cargo()
            .args(["doc", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links"),
    )
}

/// Runs the simulator's own command line, built for speed: a thousand seeds are many.
pub(crate) fn simulate(arguments: &[&str]) -> Result<(), Failure> {
    let base = ["run", "--release", "--quiet", "-p", "simulator", "--bin", "simulate", "--"];
    run(&[base.as_slice(), arguments].concat())
}

/// The stories of fail-over, one after the other, as long as an issue of theirs asks for, and telling how it goes.
pub(crate) fn failover() -> Result<(), Failure> {
    let arguments = ["test", "-p", "tests", "--test", "failover", "--"];
    let alone = ["--test-threads=1", "--nocapture"];
    finish(cargo().args(arguments).args(alone).env("FAILOVER_LONG", "1"))
}

pub(crate) fn finish(command: &mut Command) -> Result<(), Failure> {
    let name = name(command);
    let status =
        command.status().map_err(|source| Failure::Start { command: name.clone(), source })?;
    if status.success() { Ok(()) } else { Err(Failure::Ended { command: name, status }) }
}

/// Builds a program as users get it, and says where it is.
pub(crate) fn release_program(package: &str, program: &str) -> Result<PathBuf, Failure> {
    let mut command = cargo();
    command.args(["build", "--release", "-p", package, "--bin", program]);
    let text = output(command.arg("--message-format=json-render-diagnostics"))?;
    for line in text.lines() {
        let message: Value = serde_json::from_str(line)
            .map_err(|source| Failure::Json { command: name(&command), source })?;
        if let Some(path) = message["executable"].as_str() {
            return Ok(PathBuf::from(path));
        }
    }
    Err(Failure::Found(vec![format!("cargo built no {program}")]))
}

/// What a command prints; its complaints go to the terminal.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let (text, ended) = output_and_end(command)?;
    ended.map(|()| text)
}

/// What a command prints, and beside it whether it ended well.
pub(crate) fn output_and_end(
    command: &mut Command,
) -> Result<(String, Result<(), Failure>), Failure> {
    let name = name(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Failure::Start { command: name.clone(), source })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = output.status;
    Ok((
        text,
        if status.success() { Ok(()) } else { Err(Failure::Ended { command: name, status }) },
    ))
}

pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|source| Failure::Read { path: path.into(), source })
}

/// A command as one would type it.
pub(crate) fn name(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
