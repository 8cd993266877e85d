//! A cluster on this machine: a master, or several of which one is elected, and agents, as processes of their own below one
//! folder.

pub(crate) mod leftovers;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use protocol::change::AgentState;
use protocol::resources::Resources;
use tokio::time::{interval, timeout};

use crate::client::{Client, ClientError};
use crate::cluster::{Cluster, FileError, create_dir, make_secret};
use crate::environment::Environment;
use crate::supervise::{ChildError, Kept, Recipe};

/// How long agents have to end their tasks and themselves, and then the master.
const END_WITHIN: Duration = Duration::from_secs(8);
/// How long the agents have to register, and how often to look.
const ACTIVE_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long executors have to end themselves once their agent is gone.
const EXECUTORS_END_WITHIN: Duration = Duration::from_secs(5);

/// The file in a cluster's folder that is locked as long as the cluster lives.
pub(crate) const LOCK: &str = "lock";

/// What is started.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where everything is written.
    pub(crate) work_dir: PathBuf,
    /// How many agents.
    pub(crate) agents: u16,
    /// Who leads.
    pub(crate) masters: Masters,
    /// The first master's port; the others and the agents get the next ones.
    pub(crate) port: u16,
    /// What each process logs.
    pub(crate) log: String,
    /// What the machine has, to be divided among the agents.
    pub(crate) resources: Resources,
}

/// The masters of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Masters {
    /// One, with its registry in a file.
    One,
    /// Several, of which one is elected.
    Elected {
        /// How many.
        count: u16,
        /// Where, as a command line has it.
        zk: String,
        /// After so long without a word, one is taken for dead.
        session_timeout: Duration,
    },
}

/// The processes of a cluster, as far as they were started.
struct Processes {
    work_dir: PathBuf,
    masters: Vec<Kept>,
    agents: Vec<Kept>,
    /// Held for as long as any of them may run.
    _lock: Flock<File>,
}

/// A running cluster.
pub(crate) struct Local {
    processes: Processes,
    /// `host:port` of the master, or where it is elected.
    pub(crate) master_at: String,
    /// `host:port` of each agent.
    pub(crate) agents_at: Vec<String>,
}

/// A cluster that does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the agents did not register with their master in time; their logs are in {logs}")]
    Late { logs: PathBuf },
    #[error(
        "{work_dir} is in use by another cluster (process {process}); end it, or choose another folder with --work-dir"
    )]
    InUse { work_dir: PathBuf, process: String },
    #[error("interrupted")]
    Interrupted,
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
}

impl Local {
    /// Starts all processes and waits until the master has all agents, unless `asked` to end before. A cluster that does not
    /// come up leaves no process.
    pub(crate) async fn start(
        plan: &Plan,
        environment: &Environment,
        asked: impl Future<Output = io::Result<()>>,
    ) -> Result<Self, LocalError> {
        let work_dir = plan.work_dir.clone();
        let lock = take_folder(&work_dir)?;
        let mut processes = Processes { work_dir, masters: vec![], agents: vec![], _lock: lock };
        let started = tokio::select! {
            started = processes.start(plan, environment) => started,
            asked = asked => Err(asked.map_or_else(LocalError::Signals, |()| LocalError::Interrupted)),
        };
        match started {
            Ok((master_at, agents_at)) => Ok(Self { processes, master_at, agents_at }),
            Err(error) => {
                processes.stop().await;
                Err(error)
            }
        }
    }

    /// The way to it.
    pub(crate) async fn client(&self) -> Result<Client, ClientError> {
        self.processes.client(&self.master_at).await
    }

    /// The masters: the name and the process of each that is ready, by where it listens.
    pub(crate) fn masters(&self) -> BTreeMap<String, (String, u32)> {
        let ready = |master: &Kept| {
            let (address, process) = master.is_ready()?;
            Some((address_of(&address), (master.name().to_owned(), process)))
        };
        self.processes.masters.iter().filter_map(ready).collect()
    }

    /// Starts one more process beside, with its log among the others.
    pub(crate) fn beside(
        &self,
        recipe: Recipe,
        environment: &Environment,
    ) -> Result<Kept, ChildError> {
        Kept::start(recipe, &self.processes.logs(), environment)
    }

    /// Where everything is written.
    pub(crate) fn work_dir(&self) -> &Path {
        &self.processes.work_dir
    }

    /// The file with the cluster's secret.
    pub(crate) fn secret_file(&self) -> PathBuf {
        secret_file(&self.processes.work_dir)
    }

    /// Ends the agents with all they run, then the master, then whatever is still there.
    pub(crate) async fn stop(self) {
        self.processes.stop().await;
    }
}

impl Processes {
    /// Where the master is, and the agents.
    async fn start(
        &mut self,
        plan: &Plan,
        environment: &Environment,
    ) -> Result<(String, Vec<String>), LocalError> {
        make_secret(&secret_file(&plan.work_dir))?;
        let logs = self.logs();
        create_dir(&logs)?;
        for recipe in plan.masters() {
            self.masters.push(Kept::start(recipe, &logs, environment)?);
        }
        let mut masters_at = Vec::new();
        for master in &mut self.masters {
            masters_at.push(address_of(&master.ready().await?));
        }
        let master_at = match &plan.masters {
            Masters::One => masters_at.concat(),
            Masters::Elected { zk, .. } => zk.clone(),
        };
        for index in 0..plan.agents {
            self.agents.push(Kept::start(plan.agent(index, &master_at), &logs, environment)?);
        }
        let mut agents_at = Vec::new();
        for agent in &mut self.agents {
            agents_at.push(address_of(&agent.ready().await?));
        }
        self.all_agents_active(&master_at).await?;
        Ok((master_at, agents_at))
    }

    /// An agent that listens is not yet one that the master knows.
    async fn all_agents_active(&self, master_at: &str) -> Result<(), LocalError> {
        let client = self.client(master_at).await?;
        let mut looks = interval(LOOK_EVERY);
        let active = async {
            loop {
                looks.tick().await;
                let agents = match client.agents().await {
                    // Whoever was just elected is about to read its registry.
                    Err(_) if self.masters.len() > 1 => continue,
                    agents => agents?,
                };
                let active = agents.iter().filter(|agent| agent.state == AgentState::Active);
                if active.count() >= self.agents.len() {
                    return Ok(());
                }
            }
        };
        let late = |_| LocalError::Late { logs: self.logs() };
        timeout(ACTIVE_WITHIN, active).await.map_err(late)?
    }

    async fn client(&self, master_at: &str) -> Result<Client, ClientError> {
        let secret_file = Some(secret_file(&self.work_dir));
        Client::start(Cluster { master: master_at.to_owned(), secret_file }).await
    }

    fn logs(&self) -> PathBuf {
        self.work_dir.join("logs")
    }

    async fn stop(self) {
        let stops: Vec<_> = self
            .agents
            .into_iter()
            .map(|agent| actix_rt::spawn(async move { agent.stop(END_WITHIN).await }))
            .collect();
        for stop in stops {
            // The task only panics if the runtime ends, and then so do we.
            let _ = stop.await;
        }
        for master in self.masters {
            master.stop(END_WITHIN).await;
        }
        let ended = leftovers::end(&self.work_dir, EXECUTORS_END_WITHIN).await;
        for (process, command) in ended.killed {
            tracing::warn!(process, command, "outlived its agent and was killed");
        }
        if let Some(why) = ended.blind {
            let work_dir = self.work_dir.display();
            tracing::warn!(%work_dir, why, "cannot see whether anything is left of the cluster");
        }
    }
}

impl Plan {
    fn masters(&self) -> Vec<Recipe> {
        let (count, elected) = match &self.masters {
            Masters::One => (1, None),
            Masters::Elected { count, zk, session_timeout } => {
                (*count, Some((zk, session_timeout)))
            }
        };
        let recipe = |index: u16| {
            let name = elected.map_or("master".into(), |_| format!("master-{}", index + 1));
            let mut arguments = vec![OsString::from("master")];
            if let Some((zk, session_timeout)) = elected {
                arguments.push(format!("--zk={zk}").into());
                let millis = session_timeout.as_millis();
                arguments.push(format!("--zk-session-timeout={millis}ms").into());
            }
            arguments.extend(self.for_all(&name));
            Recipe { name, arguments, port: Some(self.port_after(index)), forever: true }
        };
        (0..count).map(recipe).collect()
    }

    /// Any, if the first is any.
    fn port_after(&self, places: u16) -> u16 {
        if self.port == 0 { 0 } else { self.port.saturating_add(places) }
    }

    fn agent(&self, index: u16, master: &str) -> Recipe {
        let name = format!("agent-{}", index + 1);
        let share = agent::detect::part(&self.resources, u32::from(index), u32::from(self.agents));
        let mut arguments = vec![OsString::from("agent"), format!("--master={master}").into()];
        arguments.push(format!("--resources={share}").into());
        // Images take root; who is not simply has none.
        if nix::unistd::geteuid().is_root() {
            arguments.push("--isolation=filesystem/linux,docker/runtime".into());
            arguments.push("--image-providers=docker".into());
            let mut store = OsString::from("--docker-store-dir=");
            store.push(self.work_dir.join("images"));
            arguments.push(store);
        }
        arguments.extend(self.for_all(&name));
        let masters = match self.masters {
            Masters::One => 1,
            Masters::Elected { count, .. } => count,
        };
        let port = Some(self.port_after(masters.saturating_add(index)));
        Recipe { name, arguments, port, forever: true }
    }

    fn for_all(&self, name: &str) -> [OsString; 4] {
        let flag = |flag: &str, path: PathBuf| {
            let mut word = OsString::from(flag);
            word.push(path);
            word
        };
        [
            flag("--work-dir=", self.work_dir.join(name)),
            flag("--cluster-secret-file=", secret_file(&self.work_dir)),
            format!("--log={}", self.log).into(),
            "--or-any-port".into(),
        ]
    }
}

fn secret_file(work_dir: &Path) -> PathBuf {
    work_dir.join("secret")
}

/// `master@host:port` is how a child says where it is.
fn address_of(said: &str) -> String {
    said.rsplit_once('@').map_or(said, |(_, address)| address).to_owned()
}

/// Makes the folder and takes it for this process alone.
fn take_folder(work_dir: &Path) -> Result<Flock<File>, LocalError> {
    create_dir(work_dir)?;
    let path = work_dir.join(LOCK);
    let failed = |source| FileError::Write { path: path.clone(), source };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            let note = lock.set_len(0).and_then(|()| write!(*lock, "{}", std::process::id()));
            note.map_err(failed)?;
            Ok(lock)
        }
        Err((mut file, _)) => {
            let mut process = String::new();
            // Whose it is is only for the words of the error.
            let _ = file.read_to_string(&mut process);
            Err(LocalError::InUse { work_dir: work_dir.into(), process })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_serves_one_cluster_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let lock = take_folder(dir.path()).unwrap();
        let error = take_folder(dir.path()).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{} is in use by another cluster (process {}); end it, or choose another folder with --work-dir",
                dir.path().display(),
                std::process::id()
            )
        );
        drop(lock);
        assert!(take_folder(dir.path()).is_ok());
    }

    #[test]
    fn the_agents_have_the_ports_after_the_masters_and_any_when_those_are_taken() {
        let plan = |port| Plan {
            work_dir: "/w".into(),
            agents: 3,
            masters: Masters::One,
            port,
            log: "info".into(),
            resources: Resources::none(),
        };
        let ports = |plan: &Plan| {
            let agents = (0..plan.agents).map(|index| plan.agent(index, "127.0.0.1:1"));
            let all: Vec<_> = plan.masters().into_iter().chain(agents).collect();
            let any = |recipe: &Recipe| recipe.arguments.contains(&"--or-any-port".into());
            assert!(all.iter().all(any), "{all:?}");
            all.iter().map(|recipe| recipe.port.unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(ports(&plan(5050)), [5050, 5051, 5052, 5053]);
        assert_eq!(ports(&plan(0)), [0, 0, 0, 0]);
        let zk = "zk://h:1/demo".to_owned();
        let masters =
            Masters::Elected { count: 2, zk: zk.clone(), session_timeout: Duration::from_secs(4) };
        let elected = Plan { masters, ..plan(5050) };
        assert_eq!(ports(&elected), [5050, 5051, 5052, 5053, 5054]);
        for master in elected.masters() {
            assert!(master.arguments.contains(&format!("--zk={zk}").into()), "{master:?}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named_with_what_to_do() {
        let error = take_folder(Path::new("/dev/null/airside")).unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot write /dev/null/airside; choose a folder that you may write to with --work-dir"
        );
    }
}
