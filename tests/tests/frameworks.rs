//! Frameworks on a real cluster: a master and agents on nodes of this process, executors as processes of their own. Words
//! are counted right, a batch is run to its end, and the loss of the master in between changes neither.
#![allow(clippy::unwrap_used)] // the helpers of these tests, too

use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::AgentConfig;
use batch::{Batch, Limits, Verdict};
use libactor::{Node, NodeConfig, Secret};
use sdk::prelude::*;
use wordcount::{Counts, Setup, WordCount, at_once, plan, read_intervals};

const PATIENCE: Duration = Duration::from_secs(90);

/// The framework of the documentation.
#[path = "../../frameworks/sdk/examples/hello.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program of its own")]
mod hello;

struct Cluster {
    folder: tempfile::TempDir,
    master: Node,
    reign: Option<master::Running>,
    agents: Vec<Node>,
    /// What all of each agent is reserved for.
    role: Role,
}

/// A node that speaks today's version.
fn todays() -> NodeConfig {
    NodeConfig { version: protocol::PROTOCOL_VERSION, ..NodeConfig::loopback() }
}

async fn start_master(folder: &Path, listen: NodeConfig) -> (Node, master::Running) {
    let node = Node::start(listen).await.unwrap();
    // The threads of a master before may still be closing it.
    let registry = async {
        loop {
            match master::local_store(&folder.join("master")) {
                Ok(store) => return store,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let store = tokio::time::timeout(PATIENCE, registry).await.unwrap();
    let running = master::start(&node, master::MasterConfig::default(), store).unwrap();
    (node, running)
}

impl Cluster {
    async fn of(agents: usize) -> Self {
        Self::with(agents, None).await
    }

    async fn with(agents: usize, secret: Option<Secret>) -> Self {
        Self::reserved(agents, secret, Role::everybody()).await
    }

    async fn reserved(agents: usize, secret: Option<Secret>, role: Role) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = || NodeConfig { secret: secret.clone(), ..todays() };
        let (master, reign) = start_master(folder.path(), listen()).await;
        let (reign, nodes) = (Some(reign), vec![]);
        let mut cluster = Self { folder, master, reign, agents: nodes, role };
        for n in 0..agents {
            let node = cluster.start_agent(n, listen()).await;
            cluster.agents.push(node);
        }
        cluster
    }

    async fn start_agent(&self, n: usize, listen: NodeConfig) -> Node {
        let node = Node::start(listen).await.unwrap();
        let master = coordination::detect::detector(&self.address()).unwrap();
        let work_dir = self.folder.path().join(format!("agent-{n}"));
        let executor = vec![env!("CARGO_BIN_EXE_executor-for-tests").into()];
        let resources = Some("cpus:2;mem:1024;disk:1024".to_owned());
        // An executor that does not hear any more that its framework is gone is not to outlive these tests for long.
        let recovery_timeout = Some(Duration::from_secs(30));
        let config = AgentConfig {
            resources,
            default_role: self.role.clone(),
            recovery_timeout,
            ..AgentConfig::new(master, work_dir, executor)
        };
        agent::start(&node, config).unwrap();
        node
    }

    /// An agent ends as if killed, and comes back with its folder.
    async fn replace_agent(&mut self, n: usize) {
        let listen = self.agents[n].address();
        self.agents[n].shutdown().await;
        let config = NodeConfig { listen, ..todays() };
        self.agents[n] = self.start_agent(n, config).await;
    }

    fn address(&self) -> String {
        self.master.address().unwrap().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The master ends as if killed, and another reads its registry and listens in its place.
    async fn replace_master(&mut self) {
        let listen = self.master.address();
        self.master.shutdown().await;
        // Its registry is not closed as long as anybody holds its actors.
        drop(self.reign.take());
        let config = NodeConfig { listen, ..todays() };
        let (master, reign) = start_master(self.folder.path(), config).await;
        (self.master, self.reign) = (master, Some(reign));
    }

    async fn end(self) {
        for agent in &self.agents {
            agent.shutdown().await;
        }
        self.master.shutdown().await;
    }
}

/// Not a test of its own: this file is its own executor, started again by an agent with just this test.
#[tokio::test]
async fn be_the_executor() {
    if std::env::var_os("AIRSIDE_EXECUTOR_ID").is_some() {
        run_executor(wordcount::Counter::default()).await.unwrap();
    }
}

fn executor() -> CommandSpec {
    let program = std::env::current_exe().unwrap().to_string_lossy().into_owned();
    let arguments = [program.as_str(), "--exact", "be_the_executor"].map(str::to_owned).to_vec();
    CommandSpec { value: program, arguments, ..CommandSpec::default() }
}

/// Some text with many words, in files of many sizes; their counts, made at once.
fn fill(folder: &Path) -> Counts {
    std::fs::create_dir(folder).unwrap();
    let mut whole = Counts::new();
    for file in 0u32..60 {
        let words =
            (0..file * 50).map(|n| format!("Word{} Straße-{file}\n", (n * n + file) % 3000));
        let text: String = words.collect();
        std::fs::write(folder.join(format!("{file}.txt")), &text).unwrap();
        wordcount::count(text.as_bytes(), &mut whole);
    }
    whole
}

/// No try of a job began before the one before it had ended.
fn nothing_overlaps(intervals: &Path) {
    let text = std::fs::read_to_string(intervals).unwrap();
    assert_eq!(at_once(&read_intervals(&text).unwrap()), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_counted_right() {
    let cluster = Cluster::of(2).await;
    let whole = fill(&cluster.path("texts"));
    let plan = plan(&[cluster.path("texts")], 1 << 30, 64 << 10).unwrap();
    let intervals = cluster.path("intervals");
    let setup = Setup { intervals: Some(intervals.clone()), ..Setup::new(executor()) };
    let scheduler = WordCount::new(plan, setup, |happening| eprintln!("{happening:?}"));
    let master = cluster.address();
    let running = run_scheduler(&master, framework("words"), scheduler, Options::default());
    let (outcome, scheduler) = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!(outcome, Outcome::TornDown);
    assert!(scheduler.is_complete(), "{:?}", scheduler.given_up());
    assert_eq!(*scheduler.counts(), whole);
    nothing_overlaps(&intervals);
    cluster.end().await;
}

/// The executor of each agent is started on what is reserved, and launched on again in the same words.
#[tokio::test(flavor = "multi_thread")]
async fn words_are_counted_where_all_is_reserved_for_the_role_of_the_framework() {
    let role: Role = "eng".parse().unwrap();
    let cluster = Cluster::reserved(2, None, role.clone()).await;
    let whole = fill(&cluster.path("texts"));
    let plan = plan(&[cluster.path("texts")], 1 << 30, 32 << 10).unwrap();
    let scheduler =
        WordCount::new(plan, Setup::new(executor()), |happening| eprintln!("{happening:?}"));
    let info = FrameworkInfo { roles: vec![role], ..framework("words") };
    let master = cluster.address();
    let running = run_scheduler(&master, info, scheduler, Options::default());
    let (_, scheduler) = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert!(scheduler.is_complete(), "{:?}", scheduler.given_up());
    assert_eq!(*scheduler.counts(), whole);
    cluster.end().await;
}

/// Such an executor can read neither files nor the environment of its agent.
#[tokio::test(flavor = "multi_thread")]
async fn an_executor_of_another_user_joins_a_cluster_that_has_a_secret() {
    use std::os::unix::fs::PermissionsExt;
    let root = nix::unistd::geteuid().is_root();
    let secret = Secret::new(b"only the cluster knows this").unwrap();
    let cluster = Cluster::with(1, Some(secret.clone())).await;
    std::fs::set_permissions(cluster.folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let whole = fill(&cluster.path("texts"));
    let program = cluster.path("executor");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    // Only root may become somebody else; for others the secret goes the same way, to a process of their own.
    let user = root.then(|| "nobody".to_owned());
    let executor =
        CommandSpec { value: program.to_string_lossy().into_owned(), user, ..executor() };
    let plan = plan(&[cluster.path("texts")], 1 << 30, 1 << 20).unwrap();
    let scheduler =
        WordCount::new(plan, Setup::new(executor), |happening| eprintln!("{happening:?}"));
    let options = Options { secret: Some(secret), ..Options::default() };
    let master = cluster.address();
    let running = run_scheduler(&master, framework("words"), scheduler, options);
    let (_, scheduler) = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert!(scheduler.is_complete(), "{:?}", scheduler.given_up());
    assert_eq!(*scheduler.counts(), whole);
    cluster.end().await;
}

/// Counts words while `lose` breaks something after the first result.
async fn counted_though(lose: impl AsyncFnOnce(&mut Cluster)) {
    let mut cluster = Cluster::of(2).await;
    let whole = fill(&cluster.path("texts"));
    let plan = plan(&[cluster.path("texts")], 1 << 30, 32 << 10).unwrap();
    let (done, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let intervals = cluster.path("intervals");
    let setup = Setup { intervals: Some(intervals.clone()), ..Setup::new(executor()) };
    let scheduler = WordCount::new(plan, setup, move |happening| {
        eprintln!("{happening:?}");
        if let wordcount::Happening::Done { done: count, .. } = happening {
            // Only the first is waited for.
            let _ = done.send(*count);
        }
    });
    let options = Options { state_dir: Some(cluster.path("state")), ..Options::default() };
    let running =
        start_scheduler(&cluster.address(), framework("words"), scheduler, options).await.unwrap();
    tokio::time::timeout(PATIENCE, hears.recv()).await.unwrap();
    lose(&mut cluster).await;
    let (outcome, scheduler) =
        tokio::time::timeout(PATIENCE, running.ended()).await.unwrap().unwrap();
    assert_eq!(outcome, Outcome::TornDown);
    assert!(scheduler.is_complete(), "{:?}", scheduler.given_up());
    assert_eq!(*scheduler.counts(), whole);
    nothing_overlaps(&intervals);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_counted_right_though_the_master_is_lost() {
    counted_though(async |cluster| cluster.replace_master().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_counted_right_though_an_agent_is_lost() {
    counted_though(async |cluster| cluster.replace_agent(0).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_framework_of_the_documentation_runs() {
    let cluster = Cluster::of(1).await;
    let master = cluster.address();
    let running = run_scheduler(&master, framework("hello"), hello::hello(), Options::default());
    let (outcome, _) = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!(outcome, Outcome::TornDown, "which it is when all three have ended");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_runs_to_its_end() {
    let cluster = Cluster::of(1).await;
    let mark = cluster.path("mark");
    let second_try = format!("test -e {0} || {{ touch {0}; exit 1; }}", mark.display());
    let small = Resources::cpus_mem(0.5, 32.0);
    let jobs = batch::shell_lines("job", ["true", second_try.as_str(), "exit 3"], &small);
    let watcher = |happening: &batch::Happening| eprintln!("{happening:?}");
    let batch = Batch::new(jobs, Limits { attempts: 2, ..Limits::default() }, watcher).unwrap();
    let master = cluster.address();
    let running = run_scheduler(&master, framework("batch"), batch, Options::default());
    let (_, batch) = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    let report = batch.report();
    let verdicts: Vec<_> =
        report.jobs.iter().map(|job| (job.verdict, job.attempts.len())).collect();
    assert_eq!(
        verdicts,
        [(Verdict::Succeeded, 1), (Verdict::Succeeded, 2), (Verdict::GivenUp, 2)],
        "{report}"
    );
    assert_eq!(report.jobs[2].attempts[1].exit, Some(Exit::Code(3)));
    cluster.end().await;
}
