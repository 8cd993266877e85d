//! Instructions of a bench's own binary, counted by callgrind: where times are noisy, they are not.

use std::env;
use std::process::Command;

/// Of this program with one argument, from its start to its end.
///
/// # Errors
///
/// In words: valgrind is not there, or the program did not end well.
pub fn instructions(argument: &str) -> Result<f64, String> {
    let program =
        env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .arg(argument)
        .output()
        .map_err(|error| {
            format!("valgrind does not run ({error}); install the package valgrind")
        })?;
    let said = String::from_utf8_lossy(&run.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    collected
        .and_then(|(_, number)| number.trim().parse().ok())
        .filter(|_| run.status.success())
        .ok_or_else(|| format!("callgrind counted nothing: {said}"))
}

/// What one of many rounds takes: `argument` names a run of so many. A start takes some million instructions more or less, so what
/// counts is what lies between few rounds and many.
///
/// # Errors
///
/// As [`instructions`].
pub fn instructions_of_a_round(
    [few, many]: [u64; 2],
    argument: impl Fn(u64) -> String,
) -> Result<f64, String> {
    let between = instructions(&argument(many))? - instructions(&argument(few))?;
    Ok(between / (many - few) as f64)
}
