//! Putting a master on a node: it stands for election, reads its registry, and its four actors begin.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::Actor;
pub use coordination::detect::MASTER;
use coordination::election::{Candidate, Elector, Standing};
use coordination::local::LocalStore;
use coordination::store::{Store, StoreError};
use coordination::zookeeper::url::Url;
use coordination::zookeeper::{Settings, ZooKeeper};
use libactor::{Accepts, Clock, Context, Handle, Node, Pid, Spawn, SpawnError};
use protocol::agent::AgentToMaster;
use protocol::framework::FrameworkToMaster;
use protocol::ids::{ClusterId, MasterId};
use protocol::operator::{
    ClusterView, KillTask, MarkAgentGone, Read, ReadMoment, SetQuotas, SetWeights, Teardown,
};
use protocol::time::{Now, WallTime};
use protocol::why::{AskWhy, AskWhyDemand};
use tokio::sync::{oneshot, watch};

use crate::actors::allocator::{AllocatorActor, metrics};
use crate::actors::master::{Ended, Helpers, MasterActor, StartOvers};
use crate::actors::registrar::Registrar;
use crate::actors::view::{ReadMetrics, ReadNumbers, ViewActor};
use crate::config::{BadConfig, Config};
use crate::logic::Master;
use crate::logic::registry::Registry;
use crate::published::{Published, Stored};
use crate::records::{self, BadRegistry};
use crate::view::{Totals, View};

/// The name of the actor that serves reads.
pub const VIEW: &str = "view";

/// The name of the actor that shares resources out, on the leader's node: it says why.
pub const ALLOCATOR: &str = "allocator";

/// The registry's file below a master's work directory.
pub(crate) const REGISTRY_FILE: &str = "registry.redb";

/// What waits for the master at most: the returns of thousands of agents.
const MAILBOX: usize = 65_536;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How a master is started.
#[derive(Clone, Debug, Default)]
pub struct MasterConfig {
    /// How it decides.
    pub logic: Config,
}

/// Why a master did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] BadConfig),
    /// Agents and schedulers must be able to find it.
    #[error("a master's node must listen")]
    NotListening,
    /// Its folder cannot be made.
    #[error("failed to make the work directory {path}")]
    WorkDir {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It cannot be noted, or read, to which cluster its folder belongs.
    #[error(
        "failed to read or write {path}, which says to which cluster this work directory belongs"
    )]
    Belonging {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its registry cannot be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its registry makes no sense.
    #[error(transparent)]
    Registry(#[from] BadRegistry),
    /// The kernel gave no random bytes.
    #[error("failed to draw random bytes: {0}")]
    Random(getrandom::Error),
    /// The node has no room, or has such an actor already.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// How a master's reign ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// Its process asked it to stop.
    #[error("the master was stopped")]
    Stopped,
    /// Somebody has seen a later reign.
    #[error("the master steps down: {0}")]
    SteppedDown(String),
    /// So much is missing that going on could do harm.
    #[error("the reign ends, since too much is missing: {0}")]
    TooMuchIsMissing(String),
    /// The election is lost, or may be.
    #[error("the master is deposed: {0}")]
    Deposed(String),
    /// A master that cannot remember must not lead.
    #[error("the master ends, since its registry cannot be written: {0}")]
    CannotRemember(String),
    /// One of its own helpers is gone or stuck.
    #[error("the master ends, since it lost {0}")]
    HelperLost(String),
}

/// A master that runs.
#[derive(Clone, Debug)]
pub struct Running {
    master: Handle<MasterActor>,
    helpers: Helpers,
    ended: Arc<Ended>,
    start_overs: Arc<StartOvers>,
    cluster: ClusterView,
    standing: watch::Receiver<Standing>,
    published: Arc<Published>,
    /// When the reign began.
    elected: WallTime,
}

impl Running {
    /// The master's actor.
    pub fn pid(&self) -> Pid {
        self.master.pid()
    }

    /// Whether it is known at this moment that it leads.
    pub(crate) fn leads(&self) -> bool {
        *self.standing.borrow() == Standing::Leads
    }

    /// The actor that decides.
    pub(crate) fn master(&self) -> &Handle<MasterActor> {
        &self.master
    }

    /// The actor that writes.
    pub(crate) fn registrar(&self) -> &Handle<Registrar> {
        &self.helpers.registrar
    }

    /// The actor that serves reads.
    pub(crate) fn view(&self) -> &Handle<ViewActor> {
        &self.helpers.view
    }

    /// What it lets its gateways see.
    pub(crate) fn published(&self) -> &Arc<Published> {
        &self.published
    }

    /// When its reign began.
    pub(crate) fn elected(&self) -> WallTime {
        self.elected
    }

    /// Which cluster it leads, in which reign.
    pub fn cluster(&self) -> &ClusterView {
        &self.cluster
    }

    /// Ends it. Wait for [`Running::ended`].
    pub fn stop(&self) {
        self.master.stop();
    }

    /// Waits until its reign is over and nothing of it is left on its node, and says why it is.
    pub async fn ended(&self) -> End {
        let end = loop {
            let notified = self.ended.notify.notified();
            if let Some(end) = self.ended.end.get() {
                break end.clone();
            }
            notified.await;
        };
        let Helpers { allocator, registrar, view } = &self.helpers;
        allocator.stop();
        registrar.stop();
        view.stop();
        // A question to an actor fails once it is gone, with its name.
        while self.master.ask(ReadMoment).await.is_ok() {}
        while view.ask(ReadMetrics).await.is_ok() {}
        end
    }

    /// What it counts, under Mesos's names.
    pub async fn numbers(&self) -> gateway::Snapshot {
        let Helpers { allocator, registrar, view } = &self.helpers;
        let mut all = gateway::Snapshot::from(
            [
                ("master/elected", f64::from(u8::from(self.leads()))),
                ("master/event_queue_messages", self.master.queued() as f64),
                ("master/http_cache_hits", self.published.shared() as f64),
                ("master/operator_event_stream_subscribers", self.published.listeners() as f64),
                ("allocator/event_queue_dispatches", allocator.queued() as f64),
                ("allocator/mesos/event_queue_dispatches", allocator.queued() as f64),
                ("registrar/queued_operations", registrar.queued() as f64),
            ]
            .map(|(name, number)| (name.to_owned(), number)),
        );
        // Who is gone counts nothing.
        let of_view = view.ask(ReadNumbers).await.unwrap_or_default();
        let of_allocator = allocator.ask(ReadNumbers).await.unwrap_or_default();
        let of_frameworks = of_view.of_frameworks.iter().chain(&of_allocator.of_frameworks);
        all.extend(self.published.tally(|tally| tally.numbers(of_frameworks)));
        all.extend(self.published.stored(|stored| stored.numbers()));
        all.extend(of_view.numbers.into_iter().chain(of_allocator.numbers));
        self.published.tally(|tally| tally.add_refused(&mut all));
        all
    }

    /// What it counts, as Prometheus reads it.
    pub async fn metrics(&self) -> String {
        let Helpers { allocator, view, .. } = &self.helpers;
        let waiting = metrics::waiting(allocator.queued());
        // Who is gone counts nothing.
        let of_view = view.ask(ReadMetrics).await.map(|text| text.0).unwrap_or_default();
        let of_allocator = allocator.ask(ReadMetrics).await.map(|text| text.0).unwrap_or_default();
        of_view + &waiting + &of_allocator + &self.start_overs.metrics()
    }
}

/// The embedded registry below a work directory, which is made if it is not there.
pub fn local_store(work_dir: &Path) -> Result<LocalStore, StartError> {
    std::fs::create_dir_all(work_dir)
        .map_err(|source| StartError::WorkDir { path: work_dir.to_owned(), source })?;
    let cluster = random_text(6)?;
    Ok(LocalStore::open(&work_dir.join(REGISTRY_FILE), &cluster)?)
}

/// The connection to the ensemble in which masters are elected and which keeps their registry: this cluster's, if it is
/// known which one it should be.
pub fn zookeeper(
    url: Url,
    session_timeout: Duration,
    cluster: Option<String>,
) -> Result<ZooKeeper, StartError> {
    let new_cluster = random_text(6)?;
    Ok(ZooKeeper::start(Settings { session_timeout, cluster, new_cluster, ..Settings::of(url) })?)
}

fn random_text(bytes: usize) -> Result<String, StartError> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(StartError::Random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A master that was elected and has read its registry; [`Elected::start`] lets it decide.
pub struct Elected {
    store: Box<dyn Store>,
    standing: watch::Receiver<Standing>,
    registry: Registry,
    identity: MasterId,
    stored: Stored,
}

/// Stands for election under a new id until elected, which may take for ever and blocks, and reads the registry.
pub fn stand<S>(node: &Node, hostname: Option<&str>, mut store: S) -> Result<Elected, StartError>
where
    S: Store + Elector<Error = StoreError> + 'static,
{
    let address = node.advertised().ok_or(StartError::NotListening)?.to_string();
    let identity = MasterId::new(random_text(4)?);
    let bare = Candidate::at(&address);
    let candidate = Candidate {
        id: identity.to_string(),
        hostname: hostname.map_or(bare.hostname, str::to_owned),
        version: VERSION.to_owned(),
        ..Candidate::at(&address)
    };
    let reign = store.stand(&candidate)?;
    let standing = store.standing();
    let clock = Clock::start();
    let records = store.load()?;
    let mut stored = Stored::default();
    stored.fetched.add(Duration::from_nanos(Now::from(clock.read()).steady.0));
    stored.bytes = records.iter().map(|(key, value)| (key.clone(), value.len())).collect();
    let registry = records::read(ClusterId::new(reign.cluster), reign.epoch, &records)?;
    Ok(Elected { store: Box::new(store), standing, registry, identity, stored })
}

/// Starts a master on a node that listens, as soon as it is elected.
pub fn start<S>(node: &Node, config: MasterConfig, store: S) -> Result<Running, StartError>
where
    S: Store + Elector<Error = StoreError> + 'static,
{
    stand(node, None, store)?.start(node, config)
}

impl Elected {
    /// The id of the cluster that it will lead.
    pub fn cluster(&self) -> &str {
        self.registry.cluster.as_str()
    }

    /// The reign begins: its four actors start on the node on which it stood for election.
    pub fn start(self, node: &Node, config: MasterConfig) -> Result<Running, StartError> {
        let (running, begin) = self.prepare(node, config)?;
        // The master waits for this, unless its node has ended meanwhile.
        let _ = begin.send(());
        Ok(running)
    }

    /// All is there, and agents may find the master already; it hears them once the other half of the pair is sent.
    fn prepare(
        self,
        node: &Node,
        config: MasterConfig,
    ) -> Result<(Running, oneshot::Sender<()>), StartError> {
        let Self { store, standing, registry, identity, stored } = self;
        let logic = config.logic.validate()?;
        let seed = getrandom::u64().map_err(StartError::Random)?;
        let cluster = ClusterView {
            cluster: registry.cluster.clone(),
            master: identity.clone(),
            epoch: registry.epoch,
            version: VERSION.to_owned(),
            change: 0,
            recovering: false,
        };
        let clock = Clock::start();
        let knows_master = Arc::new(OnceLock::new());
        let mut view = View::new(cluster.clone(), logic.ended_tasks_max)
            .remembering(logic.ended_frameworks_max)
            .located(logic.domain.clone());
        let master = Master::new(logic.clone(), identity, registry.clone());
        // It may be read before the master says its first word, and agents are awaited from the first moment on.
        view.start_over(0, master.snapshot(), &Totals::default());
        let published = Arc::new(Published::new(view.clone(), stored));
        published.tally(|tally| tally.shows_frameworks(logic.per_framework_metrics));
        let elected = Now::from(clock.read()).wall;
        let view = ViewActor::new(view, Arc::clone(&published), standing.clone(), clock);
        let view = spawn(node, Some(VIEW), Accepts::new().asks::<Read>(), true, view)?;
        let known = Arc::clone(&knows_master);
        let allocator = AllocatorActor::new(logic.clone(), seed, clock, known);
        let accepts = Accepts::new().asks::<AskWhy>().asks::<AskWhyDemand>();
        let allocator = spawn(node, Some(ALLOCATOR), accepts, false, allocator)?;
        let registrar = Registrar {
            store,
            registry,
            waiting: Vec::new(),
            master: Arc::clone(&knows_master),
            published: Arc::clone(&published),
            clock,
        };
        let registrar = spawn(node, None, Accepts::new(), true, registrar)?;
        let helpers = Helpers { allocator, registrar, view };
        let (begin, begun) = oneshot::channel();
        let (told, knows) = (standing.clone(), Arc::clone(&published));
        let actor = MasterActor::new(master, clock, helpers.clone(), begun, told, knows);
        let (ended, start_overs) = (Arc::clone(&actor.ended), Arc::clone(&actor.start_overs));
        let accepts = Accepts::new()
            .tells::<AgentToMaster>()
            .tells::<FrameworkToMaster>()
            .asks::<KillTask>()
            .asks::<SetQuotas>()
            .asks::<SetWeights>()
            .asks::<Teardown>()
            .asks::<MarkAgentGone>()
            .asks::<ReadMoment>()
            .links();
        let master = spawn(node, Some(MASTER), accepts, false, actor)?;
        let _ = knows_master.set(master.clone());
        let running =
            Running { master, helpers, ended, start_overs, cluster, standing, published, elected };
        Ok((running, begin))
    }
}

fn spawn<A>(
    node: &Node,
    name: Option<&str>,
    accepts: Accepts<A>,
    pinned: bool,
    actor: A,
) -> Result<Handle<A>, SpawnError>
where
    A: Actor<Context = Context<A>> + Send,
{
    node.spawn(Spawn { name, mailbox: MAILBOX, accepts, pinned }, |_| actor)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use libactor::NodeConfig;
    use protocol::agent::{AgentAddress, AgentInfo};
    use protocol::ids::AgentId;
    use protocol::operator::ReadAnswer;
    use protocol::resources::Resources;

    use super::*;
    use crate::logic::registry::AgentEntry;

    /// A reign over one agent that was admitted before, of which the master has said nothing yet.
    fn awaits_one(node: &Node, folder: &Path) -> (Running, oneshot::Sender<()>) {
        let mut elected = stand(node, None, local_store(folder).unwrap()).unwrap();
        let at = AgentAddress { hostname: "one".into(), listens: "one:5051".into() }.into();
        let resources = Resources::cpus_mem(1.0, 64.0);
        let (version, boot) = ("0".into(), "boot".into());
        let info = AgentInfo { at, resources, attributes: Vec::new(), version, boot };
        let entry = AgentEntry { info, domain: None, nonce: 1, unreachable: None };
        elected.registry.agents.insert(AgentId::new("S0"), entry);
        elected.prepare(node, MasterConfig::default()).unwrap()
    }

    #[tokio::test]
    async fn a_view_awaits_the_agents_of_the_registry_before_the_master_says_its_first_word() {
        let node = Node::start(NodeConfig::loopback()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (running, _begin) = awaits_one(&node, folder.path());
        let name = format!("{VIEW}@{}", node.address().unwrap()).parse::<libactor::Name>().unwrap();
        let read = node.ask(&name, Read::Cluster, Duration::from_secs(60)).await.unwrap();
        let ReadAnswer::Cluster(cluster) = read else { panic!("{read:?}") };
        assert!(cluster.recovering && cluster.change == 0, "{cluster:?}");
        running.stop();
        node.shutdown().await;
    }

    #[tokio::test]
    async fn a_master_hears_nobody_before_the_view_knows_whom_the_registry_does() {
        let node = Node::start(NodeConfig::loopback()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (running, begin) = awaits_one(&node, folder.path());
        let address: SocketAddr = node.address().unwrap();
        let name = format!("{MASTER}@{address}").parse::<libactor::Name>().unwrap();
        let asked = node.ask(&name, ReadMoment, Duration::from_secs(60));
        begin.send(()).unwrap();
        assert_eq!(asked.await.unwrap().change, 1, "the agent is told to the view first");
        running.stop();
        running.ended().await;
        node.shutdown().await;
    }
}
