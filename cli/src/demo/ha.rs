//! `airside demo --ha`: three masters of which one is elected, and agents that run tasks. The leading master is killed before
//! the viewer's eyes, another one leads soon after, and no task notices.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coordination::detect::{Way, detector};
use coordination::election::{Candidate, Detector};
use coordination::zookeeper::url::Url;
use coordination::zookeeper::{Settings, ZooKeeper};
use ensemble::{Ensemble, EnsembleError};
use indicatif::{ProgressBar, ProgressStyle};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::ids::Role;
use protocol::task::TaskState;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    DemoError, FRAMEWORK_ENDS_WITHIN, LOOK_EVERY, LOOK_WITHIN, clear, flag, folder, within,
};
use crate::arguments::DemoArguments;
use crate::cluster::write_private;
use crate::ending;
use crate::environment::Environment;
use crate::local::{Local, Masters, Plan};
use crate::output;
use crate::supervise::{Kept, Recipe};

const MASTERS: u16 = 3;
const TASKS: usize = 12;
/// How many servers are started where there is no ZooKeeper.
const SERVERS: usize = 3;
/// The path that the masters have there.
const PATH: &str = "/airside";
/// So long a master that is killed is waited for.
const SESSION_TIMEOUT: Duration = Duration::from_secs(4);
/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// Each task adds its process to this file below the demo's folder.
const NOTES: &str = "notes";
/// Tasks end when this file is there.
const GATE: &str = "gate";

/// Where the masters are elected; it is gone with the demo.
enum Place {
    Started(Ensemble),
    Given(ZooKeeper),
}

impl Place {
    /// The ZooKeeper that was named, or one of our own. Blocks.
    fn of(zk: Option<&str>) -> Result<(Self, String), DemoError> {
        let Some(zk) = zk else {
            let ensemble = Ensemble::start(SERVERS).map_err(|error| {
                let is_missing = matches!(error, EnsembleError::NotInstalled { .. });
                if is_missing { DemoError::NoZooKeeper(error) } else { DemoError::Ensemble(error) }
            })?;
            let url = ensemble.url(PATH);
            return Ok((Self::Started(ensemble), url));
        };
        let url: Url = zk.parse().map_err(coordination::detect::BadMaster::from)?;
        let shown = url.to_string();
        let zookeeper = ZooKeeper::start(Settings::of(url))?;
        zookeeper.wait_until_connected(PATIENCE)?;
        if zookeeper.is_there()? {
            return Err(DemoError::PathInUse(shown));
        }
        Ok((Self::Given(zookeeper), zk.to_owned()))
    }

    /// Nothing of the demo stays there. Blocks.
    fn leave(self) -> Result<(), DemoError> {
        match self {
            Self::Started(ensemble) => drop(ensemble),
            Self::Given(zookeeper) => zookeeper.remove()?,
        }
        Ok(())
    }
}

/// Runs it. Whatever happens, all that was started is ended and removed.
pub(super) async fn demo(
    arguments: &DemoArguments,
    environment: &Environment,
) -> Result<(), DemoError> {
    let asked = ending::asked(arguments.end_with_stdin);
    tokio::pin!(asked);
    let began_at = Instant::now();
    let folder = folder::make(&within(arguments)).await?;
    let zk = arguments.zk.clone();
    let found = actix_rt::task::spawn_blocking(move || Place::of(zk.as_deref()));
    let found = tokio::select! {
        found = found => found.map_err(|_| DemoError::Thread)?,
        _ = &mut asked => Err(DemoError::Interrupted),
    };
    let (place, url) = found?;
    // Command lines are seen by all; the URL may hold a password.
    let file = folder.path().join("zk");
    write_private(&file, url.as_bytes())?;
    let masters = Masters::Elected {
        count: MASTERS,
        zk: format!("file://{}", file.display()),
        session_timeout: SESSION_TIMEOUT,
    };
    let plan = Plan {
        work_dir: folder.path().to_owned(),
        agents: arguments.agents,
        masters,
        port: 5050,
        log: arguments.log.clone(),
        resources: agent::detect::resources(folder.path(), None, &Role::everybody())?,
    };
    let shown = match Local::start(&plan, environment, &mut asked).await {
        Ok(local) => {
            let ms = began_at.elapsed().as_millis();
            output::print(&up(&local, &place, &url, ms));
            let shown = tokio::select! {
                shown = show(&local, environment) => shown,
                _ = &mut asked => Err(DemoError::Interrupted),
            };
            local.stop().await;
            shown
        }
        Err(error) => Err(error.into()),
    };
    let left = actix_rt::task::spawn_blocking(move || place.leave()).await;
    shown?;
    left.map_err(|_| DemoError::Thread)??;
    clear(folder, began_at)
}

fn up(local: &Local, place: &Place, url: &str, ms: u128) -> String {
    let servers = match place {
        Place::Started(ensemble) => {
            format!("{} ZooKeeper servers at {}, ", SERVERS, ensemble.hosts())
        }
        Place::Given(_) => String::new(),
    };
    let shown = url.parse::<Way>().map_or_else(|_| String::new(), |way| way.to_string());
    let masters: Vec<_> = local.masters().into_keys().collect();
    format!(
        "{servers}{} masters at {}, elected at {shown}, and {} agents are up ({ms} ms)\n",
        masters.len(),
        masters.join(", "),
        local.agents_at.len(),
    )
}

async fn show(local: &Local, environment: &Environment) -> Result<(), DemoError> {
    let detector = detector(&local.master_at)?;
    let mut batch = local.beside(batch(local), environment)?;
    let watched = Watched::new(local, &detector);
    let shown = watched.show(local, &mut batch).await;
    watched.bar.finish_and_clear();
    tracing::debug!(log = %batch.log().display(), "ends");
    let said = batch.last_words();
    batch.stop(FRAMEWORK_ENDS_WITHIN).await;
    shown.inspect_err(|_| tracing::info!(said, "what the framework said last"))
}

/// Tasks that stay until the gate is there.
fn batch(local: &Local) -> Recipe {
    let folder = local.work_dir().display().to_string().replace('\'', r"'\''");
    let line = format!(
        "echo $AIRSIDE_TASK_ID $$ >> '{folder}/{NOTES}'; until [ -e '{folder}/{GATE}' ]; do sleep 0.2; done"
    );
    let mut words = vec![OsString::from("batch")];
    words.push(format!("--master={}", local.master_at).into());
    words.push(flag("--cluster-secret-file=", &local.secret_file()));
    words.push(flag("--state-dir=", &local.work_dir().join("batch")));
    words.push(format!("--repeat={TASKS}").into());
    words.extend(["--progress", "--mem=16MB", "--cpus=0.05", "--log=info"].map(OsString::from));
    words.push(line.into());
    Recipe { name: "batch".into(), arguments: words, port: None, forever: false }
}

/// What the viewer sees.
struct Watched {
    notes: PathBuf,
    gate: PathBuf,
    leader: watch::Receiver<Option<Candidate>>,
    bar: ProgressBar,
}

impl Watched {
    fn new(local: &Local, detector: &Arc<dyn Detector>) -> Self {
        let style = "  tasks that run {bar:24.green/red} {pos}/{len}   {msg}";
        let style = ProgressStyle::with_template(style).expect("the template is a constant");
        Self {
            notes: local.work_dir().join(NOTES),
            gate: local.work_dir().join(GATE),
            leader: detector.leader(),
            bar: ProgressBar::new(TASKS as u64).with_style(style),
        }
    }

    async fn show(&self, local: &Local, batch: &mut Kept) -> Result<(), DemoError> {
        self.until("all tasks run", |running, leader| running == TASKS && leader.is_some()).await?;
        let started = self.noted();
        let old = self.leader.borrow().clone().unwrap_or_else(|| Candidate::at(""));
        let masters = local.masters();
        let (name, process) = masters.get(&old.address).cloned().unwrap_or_default();
        self.say(&format!(
            "{TASKS} tasks run; {name} at {} leads. kill -9 {process}\n",
            old.address
        ));
        let killed_at = Instant::now();
        if let Ok(process @ 1..) = i32::try_from(process) {
            // It is a child that was not waited for: the number is still its own.
            let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
        }
        let other = |leader: Option<&Candidate>| leader.is_some_and(|now| now.id != old.id);
        self.until("another master leads", |_, leader| other(leader)).await?;
        let took = killed_at.elapsed().as_secs_f64();
        let new = self.leader.borrow().clone().unwrap_or_else(|| Candidate::at(""));
        let name = masters.get(&new.address).map_or("another one", |(name, _)| name);
        self.say(&format!("{name} at {} leads, {took:.1} s after\n", new.address));
        self.knows_all(local).await?;
        let noted = self.noted();
        let lost = started.iter().filter(|(task, process)| noted.get(*task) != Some(process));
        let lost = lost.count().max(noted.len().saturating_sub(TASKS));
        if lost > 0 {
            return Err(DemoError::TasksLost { lost, all: TASKS });
        }
        self.say(&format!(
            "It knows all {TASKS} tasks, {:.1} s after; they ran on all the while, each as the process that it was\n",
            killed_at.elapsed().as_secs_f64()
        ));
        std::fs::write(&self.gate, "")
            .map_err(|source| DemoError::Write { path: self.gate.clone(), source })?;
        if !batch.ended().await {
            return Err(DemoError::Framework("batch", batch.last_words()));
        }
        self.say("Told to end, all have ended well, and their framework with them\n");
        Ok(())
    }

    /// Looks again and again, shows what is seen, and sees that no task ends.
    async fn until(
        &self,
        what: &'static str,
        so: impl Fn(usize, Option<&Candidate>) -> bool,
    ) -> Result<(), DemoError> {
        let until = Instant::now() + PATIENCE;
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let (noted, leader) = (self.noted(), self.leader.borrow().clone());
            let running = noted.values().filter(|process| lives(**process)).count();
            self.bar.set_position(running as u64);
            let leads = leader.as_ref().map_or("nobody", |leader| leader.address.as_str());
            self.bar.set_message(format!("leads: {leads}"));
            if running < noted.len() {
                return Err(DemoError::TasksLost { lost: noted.len() - running, all: TASKS });
            }
            if so(running, leader.as_ref()) {
                return Ok(());
            }
            if Instant::now() > until {
                let seen = format!("{running} of {TASKS} tasks run, {leads} leads");
                return Err(DemoError::NotInTime { what, within: PATIENCE, seen });
            }
        }
    }

    /// Whoever leads hears of the tasks from the agents.
    async fn knows_all(&self, local: &Local) -> Result<(), DemoError> {
        let client = local.client().await?;
        let until = Instant::now() + PATIENCE;
        loop {
            self.until("the new leader is looked at", |_, _| true).await?;
            let seen = match tokio::time::timeout(LOOK_WITHIN, client.tasks()).await {
                Ok(Ok(tasks)) => {
                    let mut states: BTreeMap<TaskState, usize> = BTreeMap::new();
                    tasks
                        .iter()
                        .for_each(|task| *states.entry(task.report.state).or_default() += 1);
                    if states == BTreeMap::from([(TaskState::Running, TASKS)]) {
                        return Ok(());
                    }
                    format!("the tasks that it knows are {states:?}")
                }
                Ok(Err(error)) => output::chain(&error),
                Err(_) => format!("it did not answer within {} s", LOOK_WITHIN.as_secs()),
            };
            if Instant::now() > until {
                let what = "the leader knows that all tasks run";
                return Err(DemoError::NotInTime { what, within: PATIENCE, seen });
            }
        }
    }

    /// The process of each task that has begun.
    fn noted(&self) -> BTreeMap<String, i32> {
        let notes = std::fs::read_to_string(&self.notes).unwrap_or_default();
        let pair = |line: &str| {
            let (task, process) = line.split_once(' ')?;
            Some((task.to_owned(), process.parse().ok()?))
        };
        // Of a line that is just being written, a part may be there.
        let whole = notes.rfind('\n').map_or("", |end| &notes[..end]);
        whole.lines().filter_map(pair).collect()
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| output::print(line));
    }
}

fn lives(process: i32) -> bool {
    kill(Pid::from_raw(process), None).is_ok()
}
