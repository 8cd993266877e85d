//! Licences, sources and bans of every dependency, by `cargo deny` and `deny.toml`. The advisory
//! database is not asked: CI cannot reach it.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::cargo::{self, cargo};
use crate::steps::Failure;

/// Pinned, so that a new release cannot turn a clean tree red.
const VERSION: &str = "0.20.2";

pub(crate) fn check() -> Result<(), Failure> {
    let program = installed()?;
    let mut command = Command::new(program);
    command.current_dir(cargo::root());
    let check = ["--workspace", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    cargo::finish(command.args(check))
}

/// The program in a folder of its own in cargo's home: there it is built once (two minutes on two
/// cores) for all checkouts, and never in the way of another version that somebody uses.
fn installed() -> Result<PathBuf, Failure> {
    let folder = cargo_home().join(format!("xtask/cargo-deny-{VERSION}"));
    let program = folder.join("bin/cargo-deny");
    let works = Command::new(&program).arg("--version").stdout(Stdio::null()).status();
    if works.is_ok_and(|status| status.success()) {
        return Ok(program);
    }
    println!("      cargo-deny {VERSION} is built once, which takes minutes");
    let mut install = cargo();
    install.args(["install", "--locked", "cargo-deny", "--version", VERSION, "--root"]);
    // Not in our target folder, where a change of flags would build it anew.
    install.arg(&folder).env_remove("CARGO_TARGET_DIR");
    cargo::finish(&mut install)?;
    Ok(program)
}

fn cargo_home() -> PathBuf {
    let home = || env::home_dir().unwrap_or_else(|| PathBuf::from("."));
    env::var_os("CARGO_HOME").map_or_else(|| home().join(".cargo"), PathBuf::from)
}
