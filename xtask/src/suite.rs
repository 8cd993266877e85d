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
use crate::report::{Outcome, Report, TestResult};
use crate::steps::{Failure, Seconds};

/// A binary that says nothing more after this hangs; the longest honest one takes two minutes.
const BINARY_TIME_MAX: Duration = Duration::from_secs(600);

/// Unit tests, integration tests and stories of all crates.
pub(crate) fn unit_and_stories(results: &mut Vec<TestResult>) -> Result<(), Failure> {
    let binaries = build()?;
    let mut complaints = Vec::new();
    for (index, binary) in binaries.iter().enumerate() {
        let place = format!("{}/{}", index + 1, binaries.len());
        let title = format!("{} {}", binary.package, binary.target);
        let mut command = Command::new(&binary.executable);
        command.current_dir(&binary.folder).env("CARGO_MANIFEST_DIR", &binary.folder);
        run_one(&place, &title, &binary.package, command, results, &mut complaints)?;
    }
    told_ignored(results, &mut complaints);
    Failure::unless_empty(complaints)
}

/// The examples in documentation. Cargo runs them package by package, and so do we.
pub(crate) fn doc_tests(results: &mut Vec<TestResult>) -> Result<(), Failure> {
    let packages = libraries()?;
    let mut complaints = Vec::new();
    let mut found = Vec::new();
    for (index, package) in packages.iter().enumerate() {
        let place = format!("{}/{}", index + 1, packages.len());
        let mut command = cargo();
        command.args(["test", "--quiet", "--doc", "-p", package, "--", "--format=pretty"]);
        run_one(&place, package, package, command, &mut found, &mut complaints)?;
    }
    told_ignored(&found, &mut complaints);
    results.append(&mut found);
    Failure::unless_empty(complaints)
}

/// One file of tests, built.
struct Binary {
    package: String,
    target: String,
    folder: PathBuf,
    executable: PathBuf,
}

/// Builds all test binaries; cargo tells as JSON where they are.
fn build() -> Result<Vec<Binary>, Failure> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-run", "--message-format=json-render-diagnostics"]);
    let text = cargo::output(&mut command)?;
    let mut binaries = Vec::new();
    for line in text.lines() {
        let message: Value = serde_json::from_str(line)
            .map_err(|source| Failure::Json { command: cargo::name(&command), source })?;
        binaries.extend(read_artifact(&message));
    }
    binaries.sort_by(|a, b| (&a.package, &a.target).cmp(&(&b.package, &b.target)));
    Ok(binaries)
}

/// The test binary that a message of cargo's tells of, if it tells of one.
fn read_artifact(message: &Value) -> Option<Binary> {
    let is_test = message["profile"]["test"].as_bool()?;
    let executable = PathBuf::from(message["executable"].as_str()?);
    let folder = PathBuf::from(message["manifest_path"].as_str()?).parent()?.to_owned();
    let kind = message["target"]["kind"][0].as_str()?;
    let target = message["target"]["name"].as_str()?;
    let package = package_name(message["package_id"].as_str()?)?;
    is_test.then(|| Binary { package, target: format!("{kind} {target}"), folder, executable })
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

/// The workspace's packages with a library, which may have examples in its documentation.
fn libraries() -> Result<Vec<String>, Failure> {
    let metadata = cargo::metadata()?;
    let has_library = |package: &&Value| {
        let targets = package["targets"].as_array().into_iter().flatten();
        targets.into_iter().any(|target| target["kind"][0] == "lib" && target["doctest"] == true)
    };
    let packages = metadata["packages"].as_array().into_iter().flatten().filter(has_library);
    Ok(packages.filter_map(|package| Some(package["name"].as_str()?.to_owned())).collect())
}

fn run_one(
    place: &str,
    title: &str,
    package: &str,
    mut command: Command,
    results: &mut Vec<TestResult>,
    complaints: &mut Vec<String>,
) -> Result<(), Failure> {
    let started = Instant::now();
    let (output, ended) = run_within(&mut command, BINARY_TIME_MAX)?;
    let report = Report::read(package, &output);
    let count = |outcome| report.results.iter().filter(|test| test.outcome == outcome).count();
    let (passed, failed) = (count(Outcome::Passed), count(Outcome::Failed));
    // A package without examples prints nothing at all.
    let nothing = output.trim().is_empty();
    if !nothing && (passed + failed > 0 || ended != Ended::Well) {
        let took = Seconds(started.elapsed());
        println!("      {place:>6}  {passed:>4} passed {failed:>3} failed {took:>8}  {title}");
    }
    let complaint = match ended {
        Ended::Well if nothing => None,
        Ended::Well => report.complaint(),
        Ended::Badly => Some(report.complaint().unwrap_or_else(|| format!("{failed} failed"))),
        Ended::Never => Some(format!("was killed after {}", Seconds(BINARY_TIME_MAX))),
    };
    if let Some(complaint) = complaint {
        println!("{output}");
        complaints.push(format!("{title}: {complaint}"));
        let failures = report.results.iter().filter(|test| test.outcome == Outcome::Failed);
        complaints.extend(failures.map(|test| format!("{title}: {} failed", test.name)));
    }
    results.extend(report.results);
    Ok(())
}

/// Skipped tests are told; where `CI` is true none may be skipped, or it would prove less than it
/// seems to.
fn told_ignored(results: &[TestResult], complaints: &mut Vec<String>) {
    let in_ci = env::var_os("CI").is_some_and(|value| value == "true");
    for test in results.iter().filter(|test| test.outcome == Outcome::Ignored) {
        println!("      skipped: {} {}", test.package, test.name);
        if in_ci {
            complaints.push(format!("{} {} was skipped", test.package, test.name));
        }
    }
}

#[derive(PartialEq, Eq)]
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
