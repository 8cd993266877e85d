//! Runs all tests, one binary after the other, and keeps what each test came to. Each binary gets
//! a line with its counts and its time; what it printed is shown only if something is wrong.

use std::io::{self, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, thread};

use serde_json::Value;

use crate::cargo::{self, cargo};
use crate::cgroup2;
use crate::report::{Outcome, Report, TestResult};
use crate::steps::{Failure, Seconds};

/// Tests that need what `cargo xtask test` does not build: another chore runs them.
const OF_OTHER_CHORES: [&str; 1] = ["test upgrade"];
/// Tests that need a kernel which this host may not have: [`cgroup2`] runs them.
const OF_MACHINE_ONLY: &str = "test cgroups2";

/// A binary that says nothing more after this hangs; the longest honest one takes two minutes.
const BINARY_TIME_MAX: Duration = Duration::from_secs(600);
/// All examples of all packages, with the time it takes to build them.
const DOC_TESTS_TIME_MAX: Duration = Duration::from_secs(900);

/// Everything that was built: programs and files of tests.
#[derive(Default)]
pub(crate) struct Built {
    programs: Vec<Binary>,
    tests: Vec<Binary>,
    of_machine: Vec<PathBuf>,
}

struct Binary {
    package: String,
    target: String,
    folder: PathBuf,
    executable: PathBuf,
}

/// Builds programs and tests in one go, so that both use the same builds of what they share;
/// cargo tells as JSON where they are.
pub(crate) fn build(built: &mut Built) -> Result<(), Failure> {
    let mut command = cargo();
    command.args(["build", "--workspace", "--bins", "--tests", "--examples"]);
    let text = cargo::output(command.arg("--message-format=json-render-diagnostics"))?;
    for line in text.lines() {
        let message: Value = serde_json::from_str(line)
            .map_err(|source| Failure::Json { command: cargo::name(&command), source })?;
        match read_artifact(&message) {
            Some((binary, true)) => built.tests.push(binary),
            Some((binary, false)) => built.programs.push(binary),
            None => (),
        }
    }
    let named = |name: &&str| {
        let target = format!("test {name}");
        built.tests.iter().find(|test| test.target == target).map(|test| test.executable.clone())
    };
    built.of_machine = cgroup2::TESTS.iter().filter_map(named).collect();
    built.tests.retain(|test| {
        let target = test.target.as_str();
        !OF_OTHER_CHORES.contains(&target) && target != OF_MACHINE_ONLY
    });
    built.tests.sort_by(|a, b| (&a.package, &a.target).cmp(&(&b.package, &b.target)));
    Ok(())
}

impl Built {
    /// Unit tests, integration tests and stories of all crates.
    pub(crate) fn run_tests(&self, results: &mut Vec<TestResult>) -> Result<(), Failure> {
        let mut complaints = Vec::new();
        for (index, binary) in self.tests.iter().enumerate() {
            let place = format!("{}/{}", index + 1, self.tests.len());
            let title = format!("{} {}", binary.package, binary.target);
            let mut command = Command::new(&binary.executable);
            // What passed may have said that it was skipped.
            command.arg("--show-output");
            command.current_dir(&binary.folder).env("CARGO_MANIFEST_DIR", &binary.folder);
            if let Some(airside) = self.program("airside") {
                // Or stories would build it once more.
                command.env("STORIES_PROGRAM", &airside.executable);
            }
            let started = Instant::now();
            let (output, ended) = run_within(&mut command, BINARY_TIME_MAX)?;
            let report = Report::read(&binary.package, &output);
            tell(&place, &title, &report, started.elapsed());
            if let Some(complaint) = complaint(&report, ended) {
                println!("{output}");
                complaints.push(format!("{title}: {complaint}"));
            }
            results.extend(report.results);
        }
        tell_failed_and_skipped(results, &mut complaints);
        Failure::unless_empty(complaints)
    }

    /// Programs of tests for [`cgroup2::Machine`].
    pub(crate) fn of_machine(&self) -> &[PathBuf] {
        &self.of_machine
    }

    fn program(&self, name: &str) -> Option<&Binary> {
        let target = format!("bin {name}");
        self.programs.iter().find(|program| program.target == target)
    }

    /// Runs one of the programs.
    pub(crate) fn run_program(&self, name: &str, arguments: &[&str]) -> Result<(), Failure> {
        let Some(program) = self.program(name) else {
            return Err(Failure::Found(vec![format!("no program {name} was built")]));
        };
        let mut command = Command::new(&program.executable);
        cargo::finish(command.args(arguments).current_dir(cargo::root()))
    }
}

/// The examples in documentation, which cargo builds and runs package by package.
pub(crate) fn doc_tests(results: &mut Vec<TestResult>) -> Result<(), Failure> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--doc", "--no-fail-fast", "--", "--format=pretty"]);
    let (output, ended) = run_within(&mut command, DOC_TESTS_TIME_MAX)?;
    let mut complaints = Vec::new();
    let before = results.len();
    for section in output.split("   Doc-tests ").skip(1) {
        let (package, text) = section.split_once('\n').unwrap_or((section, ""));
        let report = Report::read(package.trim(), text);
        complaints.extend(report.complaint().map(|what| format!("{}: {what}", package.trim())));
        results.extend(report.results);
    }
    if ended != Ended::Well {
        println!("{output}");
        complaints.push("examples in documentation failed".to_owned());
    }
    tell_failed_and_skipped(&results[before..], &mut complaints);
    Failure::unless_empty(complaints)
}

/// What a message of cargo's says of a binary, if it tells of one, and whether it is one of tests.
fn read_artifact(message: &Value) -> Option<(Binary, bool)> {
    let is_test = message["profile"]["test"].as_bool()?;
    let executable = PathBuf::from(message["executable"].as_str()?);
    let folder = PathBuf::from(message["manifest_path"].as_str()?).parent()?.to_owned();
    let kind = message["target"]["kind"][0].as_str()?;
    let target = message["target"]["name"].as_str()?;
    let package = package_name(message["package_id"].as_str()?)?;
    Some((Binary { package, target: format!("{kind} {target}"), folder, executable }, is_test))
}

/// `path+file:///…/libactor#0.1.0` and `path+file:///…/sdk#sdk@0.1.0` both name their package.
fn package_name(id: &str) -> Option<String> {
    let (path, rest) = id.rsplit_once('#')?;
    let name = match rest.split_once('@') {
        Some((name, _)) => name,
        None => path.rsplit('/').next()?,
    };
    Some(name.to_owned())
}

/// One line for a file of tests, if it has any.
fn tell(place: &str, title: &str, report: &Report, took: Duration) {
    let count = |outcome| report.results.iter().filter(|test| test.outcome == outcome).count();
    let (passed, failed) = (count(Outcome::Passed), count(Outcome::Failed));
    if passed + failed > 0 {
        let took = Seconds(took);
        println!("      {place:>6}  {passed:>4} passed {failed:>3} failed {took:>8}  {title}");
    }
}

fn complaint(report: &Report, ended: Ended) -> Option<String> {
    match ended {
        Ended::Well => report.complaint(),
        Ended::Badly => Some(report.complaint().unwrap_or_else(|| "tests failed".into())),
        Ended::Never => Some(format!("was killed after {}", Seconds(BINARY_TIME_MAX))),
    }
}

/// Failed tests are named once more at the end. Skipped ones are told; where `CI` is true none may
/// be skipped, or it would prove less than it seems to.
pub(crate) fn tell_failed_and_skipped(results: &[TestResult], complaints: &mut Vec<String>) {
    let in_ci = env::var_os("CI").is_some_and(|value| value == "true");
    for TestResult { package, name, outcome } in results {
        match outcome {
            Outcome::Passed => (),
            Outcome::Failed => complaints.push(format!("{package} {name} failed")),
            Outcome::Ignored => println!("      skipped: {package} {name}"),
        }
        if in_ci && *outcome == Outcome::Ignored {
            complaints.push(format!("{package} {name} was skipped"));
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Well,
    Badly,
    Never,
}

/// Runs a command in a process group of its own and collects what it says on both streams, in
/// order. If it does not end in time, the whole group is killed: its tests start processes.
fn run_within(command: &mut Command, limit: Duration) -> Result<(String, Ended), Failure> {
    let name = cargo::name(command);
    let failed = |source| Failure::Start { command: name.clone(), source };
    let (reader, writer) = io::pipe().map_err(failed)?;
    command.stdin(Stdio::null()).process_group(0);
    command.stdout(writer.try_clone().map_err(failed)?).stderr(writer);
    let mut child = command.spawn().map_err(failed)?;
    // The command holds the pipe's other end until it is told to hold something else.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let collected = collect(reader);
    let status = match wait(&mut child, limit) {
        Ok(status) => status,
        Err(source) => return Err(Failure::Output { command: name, source }),
    };
    // What is left of the group are processes a test forgot; they would hold the pipe open.
    kill_group(child.id());
    let output = collected.recv_timeout(Duration::from_secs(10)).unwrap_or_default();
    Ok((String::from_utf8_lossy(&output).into_owned(), status))
}

fn collect(mut reader: PipeReader) -> mpsc::Receiver<Vec<u8>> {
    let (done, collected) = mpsc::channel();
    thread::spawn(move || {
        let mut output = Vec::new();
        // A broken pipe only ends the output early; the report then misses its summary.
        let _ = reader.read_to_end(&mut output);
        let _ = done.send(output);
    });
    collected
}

fn wait(child: &mut Child, limit: Duration) -> io::Result<Ended> {
    let (done, ended) = mpsc::channel::<()>();
    let group = child.id();
    let watch = thread::spawn(move || {
        let late = ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
        if late {
            kill_group(group);
        }
        late
    });
    let status = child.wait()?;
    drop(done);
    let late = watch.join().unwrap_or(false);
    Ok(match (late, status.success()) {
        (true, _) => Ended::Never,
        (false, true) => Ended::Well,
        (false, false) => Ended::Badly,
    })
}

fn kill_group(group: u32) {
    let mut kill = Command::new("kill");
    kill.args(["-KILL", "--", &format!("-{group}")]);
    // No such group is what we want to hear.
    let _ = kill.stderr(Stdio::null()).status();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_known_by_its_id() {
        assert_eq!(package_name("path+file:///a/libactor#0.1.0").as_deref(), Some("libactor"));
        assert_eq!(package_name("path+file:///a/b#sdk@0.1.0").as_deref(), Some("sdk"));
    }

    #[test]
    fn both_streams_are_collected() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let (output, ended) = run_within(&mut command, Duration::from_secs(60)).expect("sh runs");
        assert_eq!(output, "out\nerr\n");
        assert!(ended == Ended::Badly);
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_its_children() {
        let started = Instant::now();
        let mut command = Command::new("sh");
        command.args(["-c", "echo here; sleep 600 & wait"]);
        let limit = Duration::from_millis(300);
        let (output, ended) = run_within(&mut command, limit).expect("sh runs");
        assert_eq!(output, "here\n");
        assert!(ended == Ended::Never);
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
