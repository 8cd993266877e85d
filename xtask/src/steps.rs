//! A chore as a row of steps, each announced, timed and counted, so that one sees how far it is,
//! what took long, and at the end what failed.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::{self, Display};
use std::io;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use crate::report::{Outcome, TestResult};

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cannot start `{command}`")]
    Start { command: String, source: io::Error },
    #[error("`{command}` ended with {status}")]
    Ended { command: String, status: ExitStatus },
    #[error("cannot read what `{command}` says")]
    Output { command: String, source: io::Error },
    #[error("cannot read {path}", path = .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}", path = .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot understand what `{command}` says")]
    Json { command: String, source: serde_json::Error },
    #[error("{}", Lines(.0))]
    Found(Vec<String>),
}

impl Failure {
    /// `Ok` when nothing was found.
    pub(crate) fn unless_empty(found: Vec<String>) -> Result<(), Self> {
        if found.is_empty() { Ok(()) } else { Err(Self::Found(found)) }
    }
}

struct Lines<'a>(&'a [String]);

impl Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.join("\n    "))
    }
}

/// The steps of one chore: how many there will be, and how those done went.
pub(crate) struct Steps {
    total: usize,
    started: Instant,
    done: Vec<Step>,
}

struct Step {
    name: &'static str,
    took: Duration,
    ok: bool,
    /// For the closing line: how many things passed and failed in it.
    counts: (usize, usize),
}

impl Steps {
    pub(crate) fn of(total: usize) -> Self {
        Self { total, started: Instant::now(), done: Vec::new() }
    }

    /// Runs a step that counts as one.
    pub(crate) fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<(), Failure>) {
        self.perform(name, step, |ok| (usize::from(ok), usize::from(!ok)));
    }

    /// Runs a step that counts as the tests it adds to `results`. If it fails although no test
    /// did (nothing was built, say), it counts as one failure.
    pub(crate) fn run_tests(
        &mut self,
        name: &'static str,
        results: &mut Vec<TestResult>,
        step: impl FnOnce(&mut Vec<TestResult>) -> Result<(), Failure>,
    ) {
        let before = results.len();
        let results = RefCell::new(results);
        let count = |outcome| {
            results.borrow()[before..].iter().filter(|test| test.outcome == outcome).count()
        };
        self.perform(
            name,
            || step(&mut results.borrow_mut()),
            |ok| {
                let failed = count(Outcome::Failed);
                (count(Outcome::Passed), if ok { failed } else { failed.max(1) })
            },
        );
    }

    /// A failure is told at once and remembered; later steps still run, since one wants to know
    /// everything that is wrong after one long run.
    fn perform(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<(), Failure>,
        counts: impl FnOnce(bool) -> (usize, usize),
    ) {
        println!("[{}/{}] {name}", self.done.len() + 1, self.total);
        let started = Instant::now();
        let result = step();
        let took = started.elapsed();
        let ok = result.is_ok();
        println!("      {name}: {}, {}", if ok { "ok" } else { "FAILED" }, Seconds(took));
        if let Err(failure) = result {
            println!("    {failure}");
            let mut cause = failure.source();
            while let Some(error) = cause {
                println!("    because: {error}");
                cause = error.source();
            }
        }
        self.done.push(Step { name, took, ok, counts: counts(ok) });
    }

    /// A table of all steps, then the closing line.
    pub(crate) fn finish(self) -> ExitCode {
        if self.total > 1 {
            println!();
            for Step { name, took, ok, .. } in &self.done {
                println!("{:>9}  {:<6}  {name}", Seconds(*took), if *ok { "ok" } else { "FAILED" });
            }
            println!("{:>9}  in all", Seconds(self.started.elapsed()));
        }
        let passed: usize = self.done.iter().map(|step| step.counts.0).sum();
        let failed: usize = self.done.iter().map(|step| step.counts.1).sum();
        println!("{passed} passed, {failed} failed");
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// A duration as people read it.
pub(crate) struct Seconds(pub(crate) Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.1} s", self.0.as_secs_f64());
        f.pad(&text)
    }
}
