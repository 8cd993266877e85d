//! The project's chores, the same for people and for CI: `cargo xtask test`, `check`, `deny`,
//! `simulate`, `bench`. What a chore needs beyond Rust it says; there are no shell scripts.

#![allow(clippy::print_stdout, reason = "a chore talks to whoever started it")]

mod bench;
mod cargo;
mod cgroup2;
mod chaos;
mod deny;
mod features;
mod goals;
mod packages;
mod released;
mod report;
mod steps;
mod suite;
mod upgrade;

use std::process::ExitCode;

use steps::Steps;
use suite::Built;

const HELP: &str = "\
cargo xtask check             what to run while working: formatting, lints, house rules
cargo xtask test              everything CI runs; ends with `N passed, N failed`
cargo xtask deny              licences, sources and bans of all dependencies (deny.toml)
cargo xtask test-failover     leaders killed, frozen and cut off, longer than `test` does it
cargo xtask test-upgrade      the version before and today's together, and one replaced by the other
cargo xtask test-cgroup2      control groups of version 2, in a small machine of their own (docs/cgroups2.md)
cargo xtask test-chaos ...    agents killed at random moments, containers started and killed: --kills N, --cycles N, --seed N
cargo xtask simulate ...      whole clusters from seeds; arguments go to the simulator
cargo xtask bench NAME        the speed table NAME beside its goals; --json: one object a line
cargo xtask picture ...       what the allocator's bench measures, and shares of a live cluster, as SVG
cargo xtask bench peers       the same work done by ractor, kameo and, if installed, Erlang/OTP";

/// How many seeds `cargo xtask test` simulates: a taste; CI for releases and people run thousands.
const SEEDS: &str = "200";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["check"] => check(),
        ["test"] => test(),
        ["test-failover"] => test_failover(),
        ["test-upgrade"] => test_upgrade(),
        ["test-cgroup2"] => test_cgroup2(),
        ["test-chaos", rest @ ..] => test_chaos(rest),
        ["deny"] => one("dependencies", deny::check),
        ["simulate", rest @ ..] => one("simulation", || cargo::simulate(rest)),
        ["bench", "--json", name] | ["bench", name, "--json"] => bench::run(name, true),
        ["bench", name] => bench::run(name, false),
        ["picture", words @ ..] => one("picture", || bench::picture(words)),
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{HELP}");
            ExitCode::from(2)
        }
    }
}

fn one(name: &'static str, chore: impl FnOnce() -> Result<(), steps::Failure>) -> ExitCode {
    let mut steps = Steps::of(1);
    steps.run(name, chore);
    steps.finish()
}

/// The quick half of `test`: what most mistakes fall over.
fn check() -> ExitCode {
    let mut steps = Steps::of(3);
    steps.run("formatting", || cargo::run(&["fmt", "--all", "--check"]));
    steps.run("lints", cargo::clippy);
    steps.run("house rules", || cargo::run(&["test", "--quiet", "-p", "tests", "--test", "tidy"]));
    steps.finish()
}

/// The stories of fail-over in their long form.
fn test_failover() -> ExitCode {
    let mut steps = Steps::of(2);
    steps.run("packages", packages::install);
    steps.run("fail-over", cargo::failover);
    steps.finish()
}

/// Masters and agents of the version before beside those of today.
fn test_upgrade() -> ExitCode {
    let mut steps = Steps::of(2);
    let mut former = None;
    steps.run("the version before", || upgrade::build_former(&mut former));
    steps.run("upgrade", || upgrade::stories(former.as_deref()));
    steps.finish()
}

/// The tests of control groups, where there is version 2 only.
fn test_cgroup2() -> ExitCode {
    let mut steps = Steps::of(4);
    let mut machine = cgroup2::Machine::default();
    steps.run("packages", packages::install_for_machines);
    steps.run("machine", || machine.make(&cgroup2::build()?));
    let mut results = Vec::new();
    steps.run_tests("tests", &mut results, |results| machine.run(results));
    steps.run("page", || machine.keep());
    steps.finish()
}

/// What dies at any moment, as often as issues of it ask for.
fn test_chaos(words: &[&str]) -> ExitCode {
    let chaos = match chaos::Chaos::read(words) {
        Ok(chaos) => chaos,
        Err(words) => {
            eprintln!("{words}");
            return ExitCode::from(2);
        }
    };
    let mut steps = Steps::of(4);
    steps.run("packages", packages::install);
    steps.run("build", chaos::build);
    steps.run("containers started and killed", || chaos.cycles());
    steps.run("agents killed", || chaos.kills());
    steps.finish()
}

fn test() -> ExitCode {
    let mut steps = Steps::of(13);
    steps.run("packages", packages::install);
    steps.run("formatting", || cargo::run(&["fmt", "--all", "--check"]));
    steps.run("dependencies", deny::check);
    steps.run("no mistakes released", released::has_no_mistakes);
    steps.run("lints", cargo::clippy);
    steps.run("documentation", cargo::doc);
    let mut built = Built::default();
    steps.run("build", || suite::build(&mut built));
    let mut results = Vec::new();
    steps.run_tests("tests", &mut results, |results| built.run_tests(results));
    steps.run_tests("control groups of version 2", &mut results, |results| {
        let mut machine = cgroup2::Machine::default();
        machine.make(built.of_machine())?;
        machine.run(results)
    });
    steps.run_tests("doc tests", &mut results, suite::doc_tests);
    steps.run("features", || features::check(&results));
    steps.run("simulation", || built.run_program("simulate", &["--seeds", SEEDS]));
    steps.run("deliberate mistakes", || built.run_program("simulate", &["--bugs"]));
    steps.finish()
}
