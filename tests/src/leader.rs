//! The leading master: a real process on a local store. The next leader is one that is started on what the dead one left,
//! at the same address.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use libactor::{Name, Node, NodeConfig};
use nix::sys::signal::Signal;
use protocol::PROTOCOL_VERSION;
use protocol::operator::{
    AgentView, ClusterView, FrameworkView, List, Read, ReadAnswer, ReadMoment,
};
use tempfile::TempDir;

use crate::cluster::Process;

/// Of a question.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// A master that can be killed and followed.
pub struct Leader {
    airside: PathBuf,
    folder: TempDir,
    process: Process,
    at: String,
    /// Who reads.
    node: Node,
}

impl Leader {
    /// The first one.
    pub async fn start(airside: &Path) -> Result<Self, Box<dyn Error>> {
        Self::start_with(airside, &[]).await
    }

    /// The first one, with more flags; the next ones are started without.
    pub async fn start_with(airside: &Path, flags: &[String]) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let (process, at) = start(airside, folder.path(), "0", flags)?;
        let config = NodeConfig {
            version: PROTOCOL_VERSION,
            record: false,
            threads: 1,
            ..NodeConfig::default()
        };
        let node = Node::start(config).await?;
        Ok(Self { airside: airside.to_owned(), folder, process, at, node })
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.at
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// `kill -9`.
    pub fn dies(&mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.ended();
    }

    /// The next one leads.
    pub fn follows(&mut self) -> Result<(), Box<dyn Error>> {
        let (_, port) = self.at.rsplit_once(':').ok_or("an address has a port")?;
        self.process = start(&self.airside, self.folder.path(), port, &[])?.0;
        Ok(())
    }

    /// Whoever leads at this address, now and later.
    pub fn reader(&self) -> Result<Reader, Box<dyn Error>> {
        Ok(Reader { node: self.node.clone(), view: format!("view@{}", self.at).parse()? })
    }

    /// All frameworks, once its view shows what the master knows now. An error if it still awaits agents then.
    pub async fn frameworks(&self, within: Duration) -> Result<Vec<FrameworkView>, Box<dyn Error>> {
        let name = |actor| format!("{actor}@{}", self.at).parse::<Name>();
        let (master, view) = (name("master")?, name("view")?);
        let moment = self.node.ask(&master, ReadMoment, ANSWERED_WITHIN).await?;
        let asked = Instant::now();
        let frameworks = loop {
            let read = Read::After { moment, list: List::Frameworks };
            let answer = self.node.ask(&view, read, ANSWERED_WITHIN).await?;
            if let ReadAnswer::Frameworks(frameworks) = answer {
                break frameworks;
            }
            if asked.elapsed() > within {
                return Err(format!("the view says {answer:?}").into());
            }
        };
        let answer = self.node.ask(&view, Read::Cluster, ANSWERED_WITHIN).await?;
        if let ReadAnswer::Cluster(cluster) = &answer
            && !cluster.recovering
        {
            return Ok(frameworks);
        }
        Err(format!("agents are still awaited: {answer:?}").into())
    }
}

/// Somebody who reads the leader's view again and again.
pub struct Reader {
    node: Node,
    view: Name,
}

/// What was read.
pub struct Seen {
    /// What was read first: who leads, and whether the lists may lack something.
    pub cluster: ClusterView,
    /// All agents that are listed.
    pub agents: Vec<AgentView>,
    /// How many tasks are listed.
    pub tasks: usize,
}

impl Reader {
    async fn ask(&self, read: Read) -> Result<ReadAnswer, Box<dyn Error>> {
        Ok(self.node.ask(&self.view, read, ANSWERED_WITHIN).await?)
    }

    /// As `airside agents` and `airside tasks` do.
    pub async fn look(&self) -> Result<Seen, Box<dyn Error>> {
        let answer = self.ask(Read::Cluster).await?;
        let ReadAnswer::Cluster(cluster) = answer else {
            return Err(format!("no cluster: {answer:?}").into());
        };
        let answer = self.ask(Read::Agents).await?;
        let ReadAnswer::Agents(agents) = answer else {
            return Err(format!("not all agents: {answer:?}").into());
        };
        let (mut tasks, mut read) = (0, Read::Tasks);
        loop {
            let answer = self.ask(read).await?;
            let (page, more) = if let ReadAnswer::Tasks(rest) = answer {
                (rest, false)
            } else if let ReadAnswer::SomeTasks(some) = answer {
                (some, true)
            } else {
                return Err("the view answers no question about tasks with tasks".into());
            };
            tasks += page.len();
            let Some(last) = page.last().filter(|_| more) else {
                return Ok(Seen { cluster, agents, tasks });
            };
            let (framework, task) = (&last.report.framework, &last.report.spec.task);
            read = Read::TasksBehind { framework: framework.clone(), task: task.clone() };
        }
    }
}

fn start(
    airside: &Path,
    folder: &Path,
    port: &str,
    flags: &[String],
) -> Result<(Process, String), Box<dyn Error>> {
    let mut command = Command::new(airside);
    command.args(["master", "--end-with-stdin", "--log=warn", &format!("--port={port}")]);
    command.arg("--work-dir").arg(folder).args(flags);
    let mut process = Process::start("the leader", &mut command);
    let said = process.says("master@");
    let at = said.trim().strip_prefix("master@").ok_or("it says where it is")?.to_owned();
    Ok((process, at))
}
