//! `airside demo`: words are counted on a cluster of this machine, and shown how. The cluster, the wordcount framework and
//! the batch framework beside it are processes of their own; everything is below one temporary folder.

mod folder;
mod ha;
mod holdings;
pub(crate) mod progress;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agent::detect::DetectError;
use coordination::detect::BadMaster;
use coordination::store::StoreError;
use ensemble::EnsembleError;
use protocol::ids::{Role, TaskId};
use protocol::operator::{AgentView, TaskView};
use protocol::task::TaskState;
use tempfile::TempDir;
use tokio::time::{MissedTickBehavior, interval, timeout};
use wordcount::{Plan as Counted, PlanError};

use crate::arguments::DemoArguments;
use crate::client::{Client, ClientError};
use crate::cluster::FileError;
use crate::ending;
use crate::environment::Environment;
use crate::flow;
use crate::frameworks;
use crate::local::{Local, LocalError, Masters, Plan};
use crate::output;
use crate::supervise::{ChildError, Kept, Recipe};
use holdings::Holdings;
use progress::Bars;

/// The demo is over by then, whatever happens.
const OVER_WITHIN: Duration = Duration::from_secs(110);
/// How often the cluster is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// How long one look may take; a master that was just killed does not stop the demo.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
/// How long a framework's process may take to end when it is asked to.
const FRAMEWORK_ENDS_WITHIN: Duration = Duration::from_secs(5);
/// Words that are shown.
const TOP_WORDS: usize = 10;
/// The file in the demo's folder in which each task of both frameworks notes when it was at work.
const INTERVALS: &str = "intervals";

/// A demo that did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error("{path} is no folder that can be read; give another with --input")]
    Input { path: PathBuf },
    #[error(transparent)]
    Detect(#[from] DetectError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the {0} framework failed; what it said: {1}")]
    Framework(&'static str, String),
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("the demo was not over in time; wordcount said last: {0}")]
    Late(String),
    #[error("interrupted")]
    Interrupted,
    #[error(
        "{0}; the demo needs a ZooKeeper: install Debian's packages zookeeper and default-jre-headless, or name one that runs with --zk zk://host:port/a/path/of/its/own"
    )]
    NoZooKeeper(EnsembleError),
    #[error("cannot start ZooKeeper servers")]
    Ensemble(#[source] EnsembleError),
    #[error(transparent)]
    ZooKeeper(#[from] StoreError),
    #[error(transparent)]
    Way(#[from] BadMaster),
    #[error(
        "there is something at {0} already; name a path that is not there, since the demo removes it"
    )]
    PathInUse(String),
    #[error("not within {} s: {what}; seen at last: {seen}", .within.as_secs())]
    NotInTime { what: &'static str, within: Duration, seen: String },
    #[error("{lost} of {all} tasks did not run on when the leading master was killed")]
    TasksLost { lost: usize, all: usize },
    #[error("a thread of the demo's ended early")]
    Thread,
}

/// Runs it. Whatever happens, the cluster is ended and its folder removed.
pub(crate) async fn demo(
    arguments: DemoArguments,
    environment: &Environment,
) -> Result<(), DemoError> {
    if arguments.ha {
        return ha::demo(&arguments, environment).await;
    }
    if let Some(path) = arguments.input.iter().find(|path| std::fs::read_dir(path).is_err()) {
        return Err(DemoError::Input { path: path.clone() });
    }
    // From here on there may be something to clean up.
    let asked = ending::asked(arguments.end_with_stdin);
    tokio::pin!(asked);
    let planned = said_of(&frameworks::plan(&arguments.input, arguments.input_max)?, &arguments);
    let began_at = Instant::now();
    let folder = folder::make(&within(&arguments)).await?;
    let plan = Plan {
        work_dir: folder.path().to_owned(),
        agents: arguments.agents,
        masters: Masters::One,
        port: 5050,
        log: arguments.log.clone(),
        resources: agent::detect::resources(folder.path(), None, &Role::everybody())?,
    };
    let local = Local::start(&plan, environment, &mut asked).await?;
    let ms = began_at.elapsed().as_millis();
    output::print(&format!(
        "A master at {} and {} agents at {} are up ({ms} ms)\n",
        local.master_at,
        local.agents_at.len(),
        local.agents_at.join(", ")
    ));
    output::print(&planned);
    let shown = tokio::select! {
        shown = show(&arguments, &local, environment, began_at) => shown,
        _ = &mut asked => Err(DemoError::Interrupted),
    };
    local.stop().await;
    let text = shown?;
    output::print(&format!("{text}\n"));
    clear(folder, began_at)
}

/// Where the demo's folder is made.
fn within(arguments: &DemoArguments) -> PathBuf {
    match &arguments.work_dir {
        Some(given) => std::path::absolute(given).unwrap_or_else(|_| given.clone()),
        None => std::env::temp_dir(),
    }
}

/// The last of it.
fn clear(folder: TempDir, began_at: Instant) -> Result<(), DemoError> {
    let left = folder.path().to_owned();
    folder.close().map_err(|source| DemoError::Write { path: left, source })?;
    let seconds = began_at.elapsed().as_secs_f64();
    output::print(&format!(
        "All processes have ended and all files are gone, {seconds:.1} s after the start.\n"
    ));
    Ok(())
}

/// The frameworks at work, watched until both have ended; what is to be said of it.
async fn show(
    arguments: &DemoArguments,
    local: &Local,
    environment: &Environment,
    began_at: Instant,
) -> Result<String, DemoError> {
    let counts = local.work_dir().join("counts");
    let intervals = arguments.intervals.clone().unwrap_or(local.work_dir().join(INTERVALS));
    let client = local.client().await?;
    let recipe = wordcount(arguments, local, &counts, &intervals);
    let mut wordcount = local.beside(recipe, environment)?;
    let mut batch = local.beside(batch(arguments, local, &intervals), environment)?;
    let mut watched = Watched { began_at, holdings: Holdings::default(), ended_task: None };
    let ended = timeout(OVER_WITHIN, watched.until_both_end(&client, &mut wordcount, &mut batch));
    let ended = ended.await.unwrap_or_else(|_| Err(DemoError::Late(wordcount.said())));
    for (framework, name) in [(wordcount, "wordcount"), (batch, "batch")] {
        tracing::debug!(name, log = %framework.log().display(), "ends");
        framework.stop(FRAMEWORK_ENDS_WITHIN).await;
    }
    let summary = ended?;
    let counted = std::fs::read_to_string(&counts)
        .map_err(|source| FileError::Read { path: counts.clone(), source })?;
    if let Some(path) = &arguments.counts {
        std::fs::write(path, &counted)
            .map_err(|source| DemoError::Write { path: path.clone(), source })?;
    }
    let flow = watched.flow(&client).await?;
    Ok(format!("\n{summary}\n{}\n{}\n{flow}", top(&counted), watched.holdings.table()))
}

/// What is seen of the cluster while the frameworks work.
struct Watched {
    began_at: Instant,
    holdings: Holdings,
    /// The newest task of wordcount's that was seen to have ended well.
    ended_task: Option<TaskId>,
}

impl Watched {
    /// What the frameworks said last.
    async fn until_both_end(
        &mut self,
        client: &Client,
        wordcount: &mut Kept,
        batch: &mut Kept,
    ) -> Result<String, DemoError> {
        let bars = Bars::new();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut counted, mut ran) = (None, None);
        while counted.is_none() || ran.is_none() {
            tokio::select! {
                well = wordcount.ended(), if counted.is_none() => counted = Some(well),
                well = batch.ended(), if ran.is_none() => ran = Some(well),
                _ = looks.tick() => {}
            }
            bars.show(&wordcount.said(), &batch.said());
            match timeout(LOOK_WITHIN, self.look(client)).await {
                Ok(Ok(())) => {}
                // The master may be on its way back; the next look will tell.
                Ok(Err(error)) => tracing::info!(%error, "the cluster could not be looked at"),
                Err(_) => tracing::info!("the cluster could not be looked at in time"),
            }
        }
        bars.end();
        for (well, name, framework) in
            [(counted, "wordcount", &*wordcount), (ran, "batch", &*batch)]
        {
            if well != Some(true) {
                return Err(DemoError::Framework(name, framework.last_words()));
            }
        }
        Ok(bars.summary(&wordcount.said(), &batch.said()))
    }

    async fn look(&mut self, client: &Client) -> Result<(), ClientError> {
        let before = client.agents().await?;
        let (frameworks, tasks) = (client.frameworks().await?, client.tasks().await?);
        let agents = client.agents().await?;
        let used = |agents: &[AgentView]| agents.iter().map(|a| a.used.clone()).collect::<Vec<_>>();
        // What changed while it was looked at makes no sense together.
        if used(&before) == used(&agents) {
            self.holdings.look(self.began_at.elapsed(), &agents, &frameworks, &tasks);
        }
        let wordcount = frameworks.iter().find(|f| f.info.name == "wordcount");
        let of = |task: &&TaskView| {
            wordcount.is_some_and(|f| f.info.framework == task.report.framework)
                && task.report.state == TaskState::Finished
        };
        let at = |task: &&TaskView| task.statuses.last().map(|status| status.at);
        let newest = tasks.iter().filter(of).max_by_key(at);
        self.ended_task =
            newest.map(|task| task.report.spec.task.clone()).or(self.ended_task.take());
        Ok(())
    }

    /// The flow of one task, from its offer to its acknowledged end.
    async fn flow(&self, client: &Client) -> Result<String, ClientError> {
        match &self.ended_task {
            Some(task) => flow::of_task(client, task.as_str()).await,
            None => Ok("No task of wordcount was seen to end.\n".into()),
        }
    }
}

fn flag(name: &str, path: &Path) -> OsString {
    let mut word = OsString::from(name);
    word.push(path);
    word
}

fn cluster_flags(local: &Local) -> [OsString; 2] {
    [
        format!("--master={}", local.master_at).into(),
        flag("--cluster-secret-file=", &local.secret_file()),
    ]
}

fn wordcount(arguments: &DemoArguments, local: &Local, counts: &Path, intervals: &Path) -> Recipe {
    let mut words = vec![OsString::from("wordcount-scheduler")];
    words.extend(cluster_flags(local));
    words.extend(arguments.input.iter().map(|path| flag("--input=", path)));
    words.push(format!("--input-max={}", arguments.input_max).into());
    words.push(flag("--state-dir=", &local.work_dir().join("wordcount")));
    words.push(flag("--counts=", counts));
    words.push(flag("--intervals=", intervals));
    words.push(format!("--log={}", arguments.log).into());
    Recipe { name: "wordcount".into(), arguments: words, port: None, forever: false }
}

fn batch(arguments: &DemoArguments, local: &Local, intervals: &Path) -> Recipe {
    let mut words = vec![OsString::from("batch")];
    words.extend(cluster_flags(local));
    words.push(format!("--repeat={}", arguments.batch_tasks).into());
    words.push(flag("--state-dir=", &local.work_dir().join("batch")));
    words.push(format!("--log={}", arguments.log).into());
    words.push("--progress".into());
    words.push("--mem=16MB".into());
    words.push("--cpus=0.05".into());
    words.push(shell_task(intervals));
    Recipe { name: "batch".into(), arguments: words, port: None, forever: false }
}

/// What each shell task beside does. It notes when it was at work as wordcount's tasks do; the shell finds the boot clock, in
/// hundredths of a second, in `/proc/uptime`.
fn shell_task(intervals: &Path) -> OsString {
    let quoted = intervals.as_os_str().as_bytes().split(|byte| *byte == b'\'');
    let mut line = br#"note() {
  read -r up idle < /proc/uptime
  echo "$1 ${AIRSIDE_TASK_ID%.*} ${AIRSIDE_TASK_ID##*.} ${up%.*}${up#*.}0000000 $$" >> '"#
        .to_vec();
    line.extend(quoted.collect::<Vec<_>>().join(&br"'\''"[..]));
    line.extend_from_slice(
        br#"'
}
note start && sleep 0.1 && echo "$AIRSIDE_TASK_NAME has run" && note end"#,
    );
    OsString::from_vec(line)
}

/// What will be counted, and what not.
fn said_of(plan: &Counted, arguments: &DemoArguments) -> String {
    let megabytes = plan.bytes as f64 / (1024.0 * 1024.0);
    let of = arguments.input.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    let mut text = format!(
        "Counting the words of {} files below {}: {megabytes:.1} MB in {} tasks\n",
        plan.files,
        of.join(" and "),
        plan.jobs.len()
    );
    if plan.skipped > 0 {
        text += &format!(
            "  {} files are left out: unreadable, no text, or beyond {} MB in all (--input-max)\n",
            plan.skipped, arguments.input_max
        );
    }
    text
}

/// The most frequent words, from lines of `word count`.
fn top(counted: &str) -> String {
    let mut counts: Vec<(&str, u64)> = counted
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(word, count)| Some((word, count.parse().ok()?)))
        .collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let mut text = format!("{all} words, {} different; the most frequent:\n", counts.len());
    for (word, count) in counts.iter().take(TOP_WORDS) {
        text += &format!("  {count:>9}  {word}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use wordcount::{at_once, read_intervals};

    use super::*;

    #[test]
    fn a_shell_task_notes_its_interval_as_tasks_of_wordcount_do() {
        let dir = tempfile::tempdir().unwrap();
        let intervals = dir.path().join("it's here");
        for attempt in 1..=2 {
            let mut shell = std::process::Command::new("sh");
            shell.arg("-c").arg(shell_task(&intervals));
            shell.env("AIRSIDE_TASK_ID", format!("job-1.{attempt}"));
            shell.env("AIRSIDE_TASK_NAME", "job-1");
            assert_eq!(shell.output().unwrap().stdout, b"job-1 has run\n");
        }
        let all = read_intervals(&std::fs::read_to_string(&intervals).unwrap()).unwrap();
        let named: Vec<_> =
            all.iter().map(|i| (i.job.as_str(), i.attempt, i.ended, i.last > i.first)).collect();
        assert_eq!(named, [("job-1", 1, true, true), ("job-1", 2, true, true)]);
        assert_eq!(at_once(&all), None);
    }

    #[test]
    fn the_most_frequent_words_come_first_and_all_are_summed() {
        let text = top("a 1\nthe 30\nof 30\nb 2\n");
        assert_eq!(
            text,
            "63 words, 4 different; the most frequent:\n         30  of\n         30  the\n          2  b\n          1  a\n"
        );
    }
}
