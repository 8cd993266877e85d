//! Clients in other languages, with what they need from the registries of those: each is installed once for all runs, into a
//! folder that is there only once it is whole.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of this name below one that stays from run to run, filled by `install` unless it is there.
///
/// `None`, and a line that says so, if this machine has not all of the programs: those who build on their own machine need not
/// have all languages. In a CI run, which installs them, that is a failure.
#[track_caller]
pub fn once(
    below: &str,
    name: &str,
    programs: &[(&str, &str)],
    install: impl FnOnce(&Path),
) -> Option<PathBuf> {
    for (program, package) in programs {
        if !Path::new(program).exists() {
            let words = format!("{name} did not run: {program} is missing; install {package}");
            assert!(std::env::var_os("CI").is_none(), "{words}");
            crate::skipped(&words);
            return None;
        }
    }
    let folder = Path::new(below).join(name);
    if !folder.exists() {
        let partial = Path::new(below).join(format!("{name}.partial"));
        // What an earlier run left that was ended.
        let _ = std::fs::remove_dir_all(&partial);
        std::fs::create_dir_all(&partial).expect("the target folder can be written to");
        install(&partial);
        std::fs::rename(&partial, &folder).expect("its name is free");
    }
    Some(folder)
}

/// Runs what installs something.
#[track_caller]
pub fn run(command: &mut Command, advice: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{error}: {advice}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{advice}: {}", String::from_utf8_lossy(&said));
}
