//! `cargo xtask bench NAME`: runs the bench binaries that make up a table, gathers the rows they
//! print and sets them beside their goals. A bench measures and judges nothing; this judges.

use std::process::ExitCode;

use crate::cargo::{self, cargo};
use crate::goals::{self, Row};
use crate::steps::Failure;

/// Which bench targets make up a table: package and target.
const TABLES: [(&str, &[(&str, &str)]); 1] =
    [("actors", &[("libactor", "actors"), ("tests", "cluster")])];

const GOALS: &str = "tests/bench/goals.tsv";

pub(crate) fn run(name: &str, json: bool) -> ExitCode {
    let rows = if name == "peers" { peers() } else { measure(name) };
    let shown = rows.and_then(|rows| show(name, &rows, json));
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench {name}: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(name: &str) -> Result<Vec<Row>, Failure> {
    let Some((_, targets)) = TABLES.iter().find(|(table, _)| *table == name) else {
        let known = TABLES.map(|(table, _)| table).join(", ");
        return Err(Failure::Found(vec![format!(
            "there is no such table; there is {known}, peers"
        )]));
    };
    let mut rows = Vec::new();
    for (package, target) in *targets {
        eprintln!("bench {target} of {package}");
        let mut command = cargo();
        command.args(["bench", "-p", package, "--bench", target, "--", "--json"]);
        rows.extend(goals::read_rows(&cargo::output(&mut command)?));
    }
    Ok(rows)
}

/// The comparison with other actor systems lives in a workspace of its own: its dependencies are
/// no business of ours.
fn peers() -> Result<Vec<Row>, Failure> {
    let mut command = cargo();
    command.args(["run", "--release", "--manifest-path", "tests/peers/Cargo.toml", "--", "--json"]);
    Ok(goals::read_rows(&cargo::output(&mut command)?))
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
