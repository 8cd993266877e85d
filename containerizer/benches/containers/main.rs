//! What it costs to launch and destroy a container with a static `true`: overlay, five namespaces, limits of control groups;
//! beside crun, runc and the straight path; and a command task beside `posix_spawn`. As root. `--json` prints one object a line.

mod others;
mod ours;
mod place;
mod reference;

use std::time::{Duration, Instant};

use measure::{Measured, Row};

const ROUNDS: usize = 60;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("launcher") {
        // The same process as in the program.
        containerizer::launcher::main();
        return Ok(());
    }
    let json = std::env::args().any(|argument| argument == "--json");
    run()?.iter().for_each(|row| row.print("containers", json));
    Ok(())
}

type Case<'a> = (&'static str, Box<dyn FnMut() -> Result<(), Box<dyn std::error::Error>> + 'a>);

fn run() -> Measured {
    let place = place::Place::new()?;
    let ours = std::cell::RefCell::new(ours::Ours::new(&place)?);
    let mut cases: Vec<Case<'_>> = vec![
        ("ours", Box::new(|| ours.borrow_mut().container())),
        ("reference", Box::new(|| reference::container(&place))),
        ("task", Box::new(|| ours.borrow_mut().task())),
        ("spawn", Box::new(|| reference::spawn(&place))),
        ("crun", Box::new(|| others::run("crun", &place))),
        ("runc", Box::new(|| others::run("runc", &place))),
    ];
    let mut times = vec![Vec::new(); cases.len()];
    for round in 0..=ROUNDS {
        for ((name, case), times) in cases.iter_mut().zip(&mut times) {
            let started = Instant::now();
            case().map_err(|error| format!("{name}: {error}"))?;
            // The first of each finds nothing in any cache.
            if round > 0 {
                times.push(started.elapsed());
            }
        }
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    let at = |times: &[Duration], place: usize| times[place].as_secs_f64() * 1e3;
    let mut rows: Vec<_> = cases
        .iter()
        .zip(&times)
        .flat_map(|((name, _), times)| {
            [
                Row::of(format!("{name}_median"), at(times, times.len() / 2), "ms"),
                Row::of(format!("{name}_least"), at(times, 0), "ms"),
            ]
        })
        .collect();
    // Of the least: what else the machine does is added to each time, and to those that are of many steps more than to others.
    let [ours, reference, task, spawn, crun, runc] =
        times.iter().map(|times| at(times, 0)).collect::<Vec<_>>()[..]
    else {
        return Err("a case is missing".into());
    };
    rows.push(Row::of("vs_crun", ours / crun, "ratio"));
    rows.push(Row::of("vs_runc", ours / runc, "ratio"));
    rows.push(Row::of("vs_reference", ours / reference, "ratio"));
    rows.push(Row::of("command_task", task / spawn, "ratio"));
    Ok(rows)
}
