//! Shares of roles over time, of a live cluster: one that is there, as `airside roles` and `airside agents` show it, or one that is
//! started for it, with two batches under roles of which one weighs twice what the other does.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use batch::{Batch, CANCEL, Limits, shell_lines};
use libactor::Secret;
use protocol::framework::FrameworkInfo;
use sdk::prelude::*;
use sdk::{Running, start_scheduler};
use serde_json::Value;
use tempfile::TempDir;
use tests::cluster::Process;
use tokio::time::Interval;

use crate::draw::Line;

const EVERY: Duration = Duration::from_secs(1);

/// Which cluster, as the command line of `airside` names it.
pub(crate) struct Place {
    pub(crate) airside: PathBuf,
    pub(crate) master: Option<String>,
    pub(crate) secret_file: Option<PathBuf>,
}

impl Place {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.airside);
        command.args(words);
        if let Some(master) = &self.master {
            command.arg("--master").arg(master);
        }
        if let Some(file) = &self.secret_file {
            command.arg("--cluster-secret-file").arg(file);
        }
        command
    }

    fn says(&self, words: &[&str]) -> Result<Vec<u8>, Box<dyn Error>> {
        let output = self.command(words).output()?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("airside {} ended with {}: {said}", words.join(" "), output.status).into())
    }

    fn list(&self, words: &[&str]) -> Result<Vec<Value>, Box<dyn Error>> {
        Ok(serde_json::from_slice(&self.says(words)?)?)
    }

    /// The dominant share of each role, with its weight: of what tasks and executors hold.
    fn shares(&self) -> Result<Vec<(String, f64)>, Box<dyn Error>> {
        let agents = self.list(&["agents", "--json"])?;
        let all = |kind: &str| {
            let amounts = agents.iter().filter_map(|agent| agent["resources"][kind].as_f64());
            amounts.sum::<f64>()
        };
        let totals = ["cpus", "mem", "disk", "gpus"].map(|kind| (kind, all(kind)));
        let share = |role: &Value| {
            let of = |(kind, total): &(&str, f64)| {
                let held = role["allocated"][kind].as_f64().unwrap_or_default();
                if *total > 0.0 { held / total } else { 0.0 }
            };
            totals.iter().map(of).fold(0.0, f64::max)
        };
        let name = |role: &Value| {
            let name = role["role"].as_str().unwrap_or_default();
            format!("{name} (weight {})", role["weight"])
        };
        let roles = self.list(&["roles", "--json"])?;
        Ok(roles.iter().map(|role| (name(role), share(role))).collect())
    }
}

/// Looks once a second.
struct Sampler<'a> {
    place: &'a Place,
    ticks: Interval,
    started: Instant,
    lines: Vec<Line>,
}

impl<'a> Sampler<'a> {
    fn of(place: &'a Place) -> Self {
        let ticks = tokio::time::interval(EVERY);
        Self { place, ticks, started: Instant::now(), lines: Vec::new() }
    }

    async fn looks_for(&mut self, seconds: u64) -> Result<(), Box<dyn Error>> {
        for _ in 0..seconds {
            self.ticks.tick().await;
            let now = self.started.elapsed().as_secs_f64();
            for (name, share) in self.place.shares()? {
                match self.lines.iter_mut().find(|line| line.name == name) {
                    Some(line) => line.points.push((now, share)),
                    None => self.lines.push(Line { name, points: vec![(now, share)] }),
                }
            }
        }
        Ok(())
    }

    /// A role that never held anything has none.
    fn lines(mut self) -> Vec<Line> {
        self.lines.retain(|line| line.points.iter().any(|point| point.1 > 0.0));
        self.lines
    }
}

/// Of a cluster that is there.
pub(crate) async fn of_cluster(place: &Place, seconds: u64) -> Result<Vec<Line>, Box<dyn Error>> {
    let mut sampler = Sampler::of(place);
    sampler.looks_for(seconds).await?;
    Ok(sampler.lines())
}

/// A cluster of its own, gone afterwards.
struct Started {
    up: Process,
    folder: TempDir,
    place: Place,
}

impl Started {
    fn start(airside: &Path) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(airside);
        command.args(["up", "--agents=4", "--end-with-stdin", "--port=0", "--log=warn"]);
        command.arg("--work-dir").arg(folder.path().join("up"));
        command.env("XDG_CACHE_HOME", folder.path());
        let mut up = Process::start("the cluster", &mut command);
        let said = up.says("Master");
        let master = said.trim().strip_prefix("Master").map(|at| at.trim().to_owned());
        let secret_file = Some(folder.path().join("up/secret"));
        let place = Place { airside: airside.to_owned(), master, secret_file };
        Ok(Self { up, folder, place })
    }

    fn secret(&self) -> Result<Secret, Box<dyn Error>> {
        Ok(Secret::new(&fs::read(self.folder.path().join("up/secret"))?)?)
    }

    /// More short tasks than can be run meanwhile.
    async fn batch(&self, role: &str) -> Result<Running<Batch>, Box<dyn Error>> {
        let lines: Vec<String> = (0..4000).map(|n| format!("sleep {}", 2 + n % 4)).collect();
        let each = Resources::cpus_mem(0.5, 32.0);
        let jobs = shell_lines(role, lines.iter().map(String::as_str), &each);
        let batch = Batch::new(jobs, Limits::default(), |_| ())?;
        let info = FrameworkInfo { roles: vec![role.parse()?], ..framework(role) };
        let options = Options { secret: Some(self.secret()?), ..Options::default() };
        let master = self.place.master.as_deref().ok_or("it says where it is")?;
        Ok(start_scheduler(master, info, batch, options).await?)
    }
}

/// Of a cluster that is started for it: one batch is there all the time, the other while a part of it passes.
pub(crate) async fn of_two_batches(
    airside: &Path,
    seconds: u64,
) -> Result<Vec<Line>, Box<dyn Error>> {
    let mut cluster = Started::start(airside)?;
    cluster.place.says(&["weights", "set", "two", "2"])?;
    let one = cluster.batch("one").await?;
    let mut sampler = Sampler::of(&cluster.place);
    sampler.looks_for(seconds / 4).await?;
    let two = cluster.batch("two").await?;
    sampler.looks_for(seconds / 2).await?;
    two.inputs().input(CANCEL.to_vec());
    two.ended().await?;
    sampler.looks_for(seconds / 4).await?;
    let lines = sampler.lines();
    one.inputs().input(CANCEL.to_vec());
    one.ended().await?;
    cluster.up.close_stdin();
    cluster.up.ended();
    Ok(lines)
}
