//! A thousand command tasks on one agent, each in control groups of its own: how long until all run, until they are listed, and until nothing
//! is left of them; and what the thousandth costs beside the tenth.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use measure::{Measured, Row};
use sdk::prelude::*;
use tests::cluster::{Home, Process, happens_by};
use tests::groups::Groups;
use tests::http;

const TASKS: usize = 1000;
/// So many in turn around the tenth, and as the last.
const SINGLES: usize = 20;
const LISTINGS: usize = 11;
/// For all of one run.
const PATIENCE: Duration = Duration::from_secs(300);

/// With what its executor takes, it stays within this.
fn each() -> Resources {
    Resources::cpus_mem(0.01, 16.0)
}

/// Some tasks, so many of them at once on their way.
struct Step {
    tasks: usize,
    at_once: usize,
    first_at: Option<Instant>,
    /// From its acceptance until it was heard to run, in milliseconds, where there is one at a time; else until all ran.
    took: Vec<f64>,
}

impl Step {
    fn of(tasks: usize, at_once: usize) -> Self {
        Self { tasks, at_once, first_at: None, took: Vec::new() }
    }
}

/// Launches step by step, does something when all run, and kills all.
struct Fleet {
    steps: Vec<Step>,
    step: usize,
    launched: usize,
    under_way: usize,
    all: Vec<TaskId>,
    when_up: Option<Box<dyn FnOnce() + Send>>,
    killed_at: Option<Instant>,
    ended: usize,
    failed: Vec<String>,
}

impl Fleet {
    fn new(steps: Vec<Step>, when_up: Box<dyn FnOnce() + Send>) -> Self {
        Self {
            steps,
            step: 0,
            launched: 0,
            under_way: 0,
            all: Vec::new(),
            when_up: Some(when_up),
            killed_at: None,
            ended: 0,
            failed: Vec::new(),
        }
    }

    /// How many may be launched now.
    fn room(&self) -> usize {
        let now = self.steps.get(self.step);
        now.map_or(0, |step| (step.tasks - self.launched).min(step.at_once - self.under_way))
    }

    fn want(&self, calls: &mut Calls) {
        calls.want(&each(), self.room());
    }

    fn runs(&mut self, calls: &mut Calls) {
        self.under_way -= 1;
        let Some(step) = self.steps.get_mut(self.step) else { return };
        if self.under_way == 0 {
            step.took.extend(step.first_at.take().map(|at| at.elapsed().as_secs_f64() * 1e3));
        }
        if self.launched == step.tasks && self.under_way == 0 {
            (self.step, self.launched) = (self.step + 1, 0);
        }
        if self.step == self.steps.len() {
            self.when_up.take().into_iter().for_each(|then| then());
            self.killed_at = Some(Instant::now());
            self.all.iter().for_each(|task| calls.kill(task));
        }
    }
}

impl Scheduler for Fleet {
    fn subscribed(&mut self, calls: &mut Calls, _: &FrameworkId) {
        self.want(calls);
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in &offers {
            while self.room() > 0 {
                let number = self.all.len();
                let task = task::command(
                    format!("sleep.{number}"),
                    "sleep",
                    ["1000000".to_owned()],
                    &each(),
                );
                let id = task.task.clone();
                if calls.launch(offer, task).is_err() {
                    break;
                }
                self.all.push(id);
                self.launched += 1;
                self.under_way += 1;
                if let Some(step) = self.steps.get_mut(self.step) {
                    step.first_at.get_or_insert_with(Instant::now);
                }
            }
        }
        self.want(calls);
    }

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        if status.state == TaskState::Running {
            self.runs(calls);
            self.want(calls);
        } else if status.state.is_end() {
            self.ended += 1;
            if status.state != TaskState::Killed {
                self.failed.push(format!("{} {:?}: {}", status.task, status.state, status.message));
            }
            if self.ended == self.all.len() {
                calls.tear_down();
            }
        }
    }
}

/// A master with one agent that has control groups.
struct Place {
    agent: String,
    master: String,
    home: Home,
    groups: Groups,
    _processes: [Process; 2],
}

impl Place {
    fn new(airside: &Path) -> Self {
        let (home, groups) = (Home::new(), Groups::own());
        let start = |role: &str, flags: &[&str]| {
            let work_dir = home.work_dir(role);
            let line = [&[role, &work_dir, "--port=0", "--log=warn"][..], flags].concat();
            let mut process = Process::start(role, &mut home.command_of(airside, &line));
            let prefix = format!("{role}@");
            let at = process.says(&prefix).trim_start_matches(&prefix).to_owned();
            (process, at)
        };
        let (master, at) = start("master", &[]);
        let flags = [
            &format!("--master={at}"),
            "--isolation=cgroups/cpu,cgroups/mem",
            &groups.flag(),
            "--resources=cpus:64;mem:65536;disk:65536;ports:[31000-32000]",
        ];
        let (agent, agent_at) = start("agent", &flags);
        Self { agent: agent_at, master: at, home, groups, _processes: [master, agent] }
    }

    /// Runs the steps and then kills all. Returns how long it took until nothing was left of them, in seconds.
    async fn run(&self, fleet: Fleet) -> Result<(Fleet, f64), Box<dyn Error>> {
        let run = run_scheduler(&self.master, framework("bench"), fleet, Options::default());
        let (_, fleet) = tokio::time::timeout(PATIENCE, run).await??;
        let killed_at = fleet.killed_at.ok_or("they never ran all at once")?;
        let gone = || self.groups.count() == 0 && self.home.processes_of("executor").is_empty();
        if !happens_by(Instant::now() + PATIENCE, gone) {
            return Err("something is left of them".into());
        }
        let took = killed_at.elapsed().as_secs_f64();
        if fleet.failed.is_empty() {
            Ok((fleet, took))
        } else {
            Err(fleet.failed.join("; ").into())
        }
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) async fn up_and_down(airside: &Path) -> Measured {
    let place = Place::new(airside);
    // First: what is gone costs the kernel something for a while, and would count for the tenth.
    let bulk = TASKS - 2 * SINGLES;
    let steps = vec![Step::of(SINGLES, 1), Step::of(bulk, bulk), Step::of(SINGLES, 1)];
    let (singles, _) = place.run(Fleet::new(steps, Box::new(|| ()))).await?;
    let costs = singles.steps.into_iter().map(|step| median(step.took)).collect::<Vec<_>>();
    let [tenth, _, thousandth] = costs[..] else { return Err("a step is missing".into()) };
    let (listed, listings) = std::sync::mpsc::channel();
    let at = place.agent.clone();
    let list = move || {
        for _ in 0..LISTINGS {
            let started = Instant::now();
            let answer = http::ask(&at, "GET /containers", &[], b"");
            let took = started.elapsed().as_secs_f64() * 1e3;
            let shown = answer.json().as_array().map_or(0, Vec::len);
            // Whoever measured this has gone only when all is over.
            let _ = listed.send((took, shown));
        }
    };
    let flood = Fleet::new(vec![Step::of(TASKS, TASKS)], Box::new(list));
    let (flood, down) = place.run(flood).await?;
    let up = flood.steps.iter().flat_map(|step| &step.took).sum::<f64>() / 1e3;
    let listings: Vec<_> = listings.try_iter().collect();
    if let Some((_, shown)) = listings.iter().find(|(_, shown)| *shown != TASKS) {
        return Err(format!("{shown} containers are listed, not {TASKS}").into());
    }
    Ok(vec![
        Row::of("thousand_up", up, "s"),
        Row::of("thousand_down", down, "s"),
        Row::of("thousandth_launch", thousandth, "ms").beside("the tenth", tenth),
        Row::of("thousandth_vs_tenth", thousandth / tenth, "ratio"),
        Row::of("list_1000", median(listings.into_iter().map(|(took, _)| took).collect()), "ms"),
    ])
}
