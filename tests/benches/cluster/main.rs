//! What a cluster costs: memory at rest, time to come up, time from accepting an offer to a running
//! task, tasks a second. Everything but the schedulers (and, in the last row, the agent) is a real
//! process. `--airside PATH` names the program; `--json` prints one object a line.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

mod memory;
mod program;
mod schedulers;
mod swarm;

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use program::Cluster;

/// One measured row.
pub(crate) struct Row {
    name: &'static str,
    value: f64,
    unit: &'static str,
}

pub(crate) type Measured = Result<Row, Box<dyn Error>>;

/// Processes are at rest after this long: nothing is left of joining.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
const STARTS: usize = 5;
const RUNS: usize = 31;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let mut airside = PathBuf::from("airside");
    let mut json = false;
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--airside") => airside = arguments.next().map(PathBuf::from).unwrap_or_default(),
            Some("--json") => json = true,
            // Cargo's own `--bench`, and filters, which are not for us.
            _ => (),
        }
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let mut all_measured = true;
    let mut show = |name: &str, measured: Measured| match measured {
        Ok(row) => print(&row, json),
        Err(error) => {
            eprintln!("{name}: {error}");
            all_measured = false;
        }
    };
    show("up", up_ready(&airside));
    show("master", idle_rss(&airside, "master", "master_idle_rss"));
    show("agent", idle_rss(&airside, "agent", "agent_idle_rss"));
    show("executor", executor_private(&airside));
    show("run true", run_true_wall(&airside));
    show("accept to running", runtime.block_on(schedulers::accept_to_running(&airside)));
    show("command tasks", runtime.block_on(schedulers::command_tasks(&airside)));
    show("tasks", runtime.block_on(swarm::tasks_per_s(&airside)));
    if all_measured { Ok(()) } else { Err("some rows were not measured".into()) }
}

fn print(Row { name, value, unit }: &Row, json: bool) {
    if json {
        let line =
            serde_json::json!({"bench": "actors", "row": name, "value": value, "unit": unit});
        println!("{line}");
    } else {
        println!("{name:<24}{value:>10.2} {unit}");
    }
}

/// From starting `airside up` until it says that it is up: all agents are admitted, so that the
/// next scheduler is offered something at once.
fn up_ready(airside: &Path) -> Measured {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let started = Instant::now();
        let cluster = Cluster::up(airside, 3)?;
        times.push(started.elapsed().as_secs_f64());
        drop(cluster);
    }
    Ok(Row { name: "up_ready", value: median(times), unit: "s" })
}

fn idle_rss(airside: &Path, role: &'static str, name: &'static str) -> Measured {
    let cluster = Cluster::up(airside, 1)?;
    pause(SETTLED_AFTER);
    let process = memory::process(role, cluster.process()).ok_or("its process is not there")?;
    Ok(Row { name, value: memory::resident(process)?, unit: "MiB" })
}

fn executor_private(airside: &Path) -> Measured {
    let cluster = Cluster::up(airside, 1)?;
    let mut run = cluster.command(&["run", "--quiet", "--", "sleep", "600"]).spawn()?;
    let found = within(Duration::from_secs(20), || {
        memory::process("executor", cluster.process()).filter(|_| memory::runs("sleep"))
    });
    pause(SETTLED_AFTER);
    let measured = found.ok_or("no executor came").map(memory::private);
    run.kill()?;
    run.wait()?;
    Ok(Row { name: "executor_private", value: measured??, unit: "MiB" })
}

fn run_true_wall(airside: &Path) -> Measured {
    let cluster = Cluster::up(airside, 1)?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let started = Instant::now();
        let status = cluster.command(&["run", "--", "true"]).stderr(Stdio::null()).status()?;
        if !status.success() {
            return Err(format!("`airside run -- true` ended with {status}").into());
        }
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Row { name: "run_true_wall", value: median(times), unit: "ms" })
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Time passes while processes settle; there is no event to wait for.
fn pause(span: Duration) {
    let (_held, never) = std::sync::mpsc::channel::<()>();
    let _ = never.recv_timeout(span);
}

/// Looks again and again until something is there.
fn within<T>(limit: Duration, look: impl Fn() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if started.elapsed() > limit {
            return None;
        }
        pause(Duration::from_millis(20));
    }
}
