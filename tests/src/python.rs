//! Pythons with packages of PyPI, each made once for all runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A Python in an environment of its own.
pub struct Python {
    folder: PathBuf,
}

impl Python {
    /// The one of this name, below a folder that stays from run to run; `install` is done to it unless it can do `works` already.
    #[track_caller]
    pub fn with(below: &str, name: &str, works: &str, install: impl FnOnce(&Self)) -> Self {
        let python = Self { folder: Path::new(below).join(name) };
        let status = python
            .command()
            .args(["-c", works])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .status();
        if status.is_ok_and(|status| status.success()) {
            return python;
        }
        let mut make = Command::new("/usr/bin/python3");
        make.args(["-m", "venv", "--clear"]).arg(&python.folder);
        run(&mut make, "install python3-venv: apt-get install python3-venv");
        install(&python);
        python
    }

    /// Its interpreter.
    pub fn command(&self) -> Command {
        Command::new(self.folder.join("bin/python"))
    }

    /// Installs these, each with its version, from PyPI.
    #[track_caller]
    pub fn install(&self, packages: &[&str]) {
        let mut install = self.command();
        install.args(["-m", "pip", "install", "--quiet"]).args(packages);
        run(&mut install, &format!("{packages:?} cannot be installed from PyPI"));
    }

    /// Takes the modules of a package as they are written, without what a compiler would make of the rest.
    #[track_caller]
    pub fn install_uncompiled(&self, package: &str, module: &str) {
        let (advice, at) =
            (format!("{package} cannot be had from PyPI"), self.folder.join("sources"));
        let mut download = self.command();
        download.args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]);
        download.args([package, "--dest"]).arg(&at);
        run(&mut download, &advice);
        let script = "import pathlib, shutil, sys, sysconfig, tarfile\n\
             at, module = sys.argv[1:]\n\
             for archive in pathlib.Path(at).glob('*.tar.gz'):\n    \
                 tarfile.open(archive).extractall(at)\n\
             source, = pathlib.Path(at).glob('*/' + module)\n\
             shutil.copytree(source, pathlib.Path(sysconfig.get_paths()['purelib']) / module,\n\
             ignore=shutil.ignore_patterns('*.so', '*.c', '*.h'))\n";
        run(self.command().args(["-c", script]).arg(&at).arg(module), &advice);
    }
}

#[track_caller]
fn run(command: &mut Command, advice: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{error}: {advice}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{advice}: {said}");
}
