//! `cargo xtask bench NAME`: runs the bench binaries that make up a table, gathers the rows they
//! print and sets them beside their goals. A bench measures and judges nothing; this judges.

use std::process::ExitCode;

use crate::cargo::{self, cargo};
use crate::goals::{self, Row};
use crate::packages;
use crate::steps::Failure;

/// Which bench targets make up a table.
const TABLES: [(&str, &[Target]); 6] = [
    (
        "actors",
        &[
            Target { package: "libactor", bench: "actors", needs: Needs::Nothing },
            Target { package: "tests", bench: "cluster", needs: Needs::Airside },
        ],
    ),
    ("allocator", &[Target { package: "tests", bench: "allocator", needs: Needs::Airside }]),
    (
        "containers",
        &[
            Target { package: "containerizer", bench: "containers", needs: Needs::Packages },
            Target { package: "tests", bench: "containers", needs: Needs::AirsideAndPackages },
        ],
    ),
    (
        "failover",
        &[Target { package: "tests", bench: "failover", needs: Needs::AirsideAndPackages }],
    ),
    ("http", &[Target { package: "tests", bench: "http", needs: Needs::Airside }]),
    ("resources", &[Target { package: "tests", bench: "resources", needs: Needs::Nothing }]),
];

struct Target {
    package: &'static str,
    bench: &'static str,
    needs: Needs,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// Programs of Debian's that it is measured beside, or works with.
    Packages,
    /// It starts clusters, and is told by `--airside PATH` which program to start.
    Airside,
    /// Both.
    AirsideAndPackages,
}

const GOALS: &str = "tests/bench/goals.tsv";

pub(crate) fn run(name: &str, json: bool) -> ExitCode {
    let mut rows = Vec::new();
    // What was measured before something failed is shown all the same.
    let measured = if name == "peers" { peers(&mut rows) } else { measure(name, &mut rows) };
    let shown = show(name, &rows, json);
    match measured.and(shown) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench {name}: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(name: &str, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let Some((_, targets)) = TABLES.iter().find(|(table, _)| *table == name) else {
        let known = TABLES.map(|(table, _)| table).join(", ");
        return Err(Failure::Found(vec![format!(
            "there is no such table; there is {known}, peers"
        )]));
    };
    let mut all = Ok(());
    for Target { package, bench, needs } in *targets {
        if matches!(needs, Needs::AirsideAndPackages | Needs::Packages) {
            packages::install()?;
        }
        eprintln!("bench {bench} of {package}");
        let mut command = cargo();
        command.args(["bench", "-p", package, "--bench", bench, "--", "--json"]);
        if matches!(needs, Needs::Airside | Needs::AirsideAndPackages) {
            command.arg("--airside").arg(cargo::release_program("cli", "airside")?);
        }
        let (text, ended) = cargo::output_and_end(&mut command)?;
        rows.extend(goals::read_rows(&text));
        all = all.and(ended);
    }
    all
}

/// Draws what a table's bench measures. Names of files are as seen from where the chore was started.
pub(crate) fn picture(words: &[&str]) -> Result<(), Failure> {
    let airside = cargo::release_program("cli", "airside")?;
    let mut command = cargo();
    command.args(["bench", "-p", "tests", "--bench", "allocator", "--", "--airside"]).arg(airside);
    if let Ok(here) = std::env::current_dir() {
        command.arg("--from").arg(here);
    }
    cargo::finish(command.arg("picture").args(words))
}

/// The comparison with other actor systems lives in a workspace of its own: its dependencies are
/// no business of ours.
fn peers(rows: &mut Vec<Row>) -> Result<(), Failure> {
    let mut command = cargo();
    command.args(["run", "--release", "--manifest-path", "tests/peers/Cargo.toml", "--", "--json"]);
    let (text, ended) = cargo::output_and_end(&mut command)?;
    rows.extend(goals::read_rows(&text));
    ended
}

fn show(name: &str, rows: &[Row], json: bool) -> Result<(), Failure> {
    if json {
        for row in rows {
            println!("{}", row.json);
        }
        return Ok(());
    }
    let text = cargo::read(&cargo::root().join(GOALS))?;
    let goals = goals::read_goals(&text).map_err(|why| Failure::Found(vec![why]))?;
    let (lines, reached, of) = goals::compare(name, &goals, rows);
    println!("{}", goals::table(&lines));
    if of > 0 {
        println!("{reached} of {of} goals reached");
    }
    Ok(())
}
