//! The version before, built beside today's, for stories in which both run together.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::cargo::{self, cargo};
use crate::steps::Failure;

/// Names a commit of this repository.
const UPGRADE_FROM: &str = "tests/upgrade-from";

/// Where its program is, for the stories.
const PROGRAM: &str = "UPGRADE_FROM";

/// Builds the former version, unless that was done before: its source does not change.
pub(crate) fn build_former(built: &mut Option<PathBuf>) -> Result<(), Failure> {
    let commit = cargo::read(&cargo::root().join(UPGRADE_FROM))?.trim().to_owned();
    let folder = target()?.join("upgrade-from").join(&commit);
    let source = folder.join("source");
    if !source.exists() {
        unpack(&commit, &folder, &source)?;
    }
    let mut build = cargo();
    build.current_dir(&source).args(["build", "--package", "cli", "--target-dir"]);
    cargo::finish(build.arg(folder.join("build")))?;
    *built = Some(folder.join("build/debug/airside"));
    Ok(())
}

/// The stories, one after the other.
pub(crate) fn stories(former: Option<&Path>) -> Result<(), Failure> {
    let Some(former) = former else {
        return Err(Failure::Found(vec!["the former version was not built".to_owned()]));
    };
    let arguments = ["test", "--package", "tests", "--test", "upgrade", "--", "--test-threads=1"];
    cargo::finish(cargo().args(arguments).env(PROGRAM, former))
}

fn unpack(commit: &str, folder: &Path, source: &Path) -> Result<(), Failure> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Failure::Read { path, source }
    };
    // Beside first, so that what is there is whole.
    let beside = folder.join("unpacked");
    fs::create_dir_all(&beside).map_err(io(&beside))?;
    let archive = folder.join("source.tar");
    let mut git = Command::new("git");
    git.current_dir(cargo::root()).args(["archive", "--output"]).arg(&archive).arg(commit);
    cargo::finish(&mut git).map_err(|failure| {
        let words = format!("{failure}: is {commit} of {UPGRADE_FROM} in this clone?");
        Failure::Found(vec![words, "a shallow one gets it by: git fetch --unshallow".to_owned()])
    })?;
    cargo::finish(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&beside))?;
    fs::remove_file(&archive).map_err(io(&archive))?;
    fs::rename(&beside, source).map_err(io(source))
}

/// Where cargo builds: this program is in a profile's folder of it.
fn target() -> Result<PathBuf, Failure> {
    let here = env::current_exe();
    let here = here.map_err(|source| Failure::Read { path: "/proc/self/exe".into(), source })?;
    let target = here.ancestors().nth(2).map(Path::to_path_buf);
    target.ok_or_else(|| Failure::Found(vec!["this program is in no target folder".to_owned()]))
}
