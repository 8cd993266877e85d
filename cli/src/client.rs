//! A node that only dials, and the questions that commands ask through it.

use std::sync::Arc;
use std::time::Duration;

use coordination::detect::{BadMaster, Way, detector};
use coordination::election::Detector;
use libactor::{AskError, Name, Node, NodeConfig, Pid, Question, Secret, StartError};
use master::{ALLOCATOR, MASTER, VIEW};
use protocol::PROTOCOL_VERSION;
use protocol::change::Moment;
use protocol::ids::{FrameworkId, Role};
use protocol::offer::Demand;
use protocol::operator::{
    AgentView, Before, ClusterView, FrameworkView, KillAnswer, KillTask, List, OfferView, Read,
    ReadAnswer, ReadMoment, ReadSandbox, RoleView, SandboxAnswer, SetAnswer, SetQuotas, SetWeights,
    TaskView,
};
use protocol::quota::{Quota, Weight};
use protocol::why::{AskWhy, AskWhyDemand, RoleWhy, WhyAnswer};

use crate::cluster::{Cluster, FileError, read_secret};
use crate::domains::{self, Domains};
use crate::pages::{self, Listed};

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A question that gets no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(transparent)]
    Secret(#[from] FileError),
    #[error("cannot start a node to talk to the cluster")]
    Start(#[from] StartError),
    #[error(
        "cannot reach the master at {master}: {why}; start a cluster with `airside up`, or name the master with --master and its secret with --cluster-secret-file"
    )]
    Master { master: String, why: AskError },
    #[error(
        "nobody leads the cluster at {master}{}",
        why.as_ref().map_or("; is a master running there?".to_owned(), |why| format!(": {why}"))
    )]
    NoLeader { master: String, why: Option<String> },
    #[error(transparent)]
    Detect(#[from] BadMaster),
    #[error("cannot reach {name}: {why}; is it running there, with the same secret?")]
    Other { name: String, why: AskError },
    #[error("'{0}' is no name of an actor: expected actor@host:port")]
    Name(String),
    #[error("the master answered another question than was asked; are both of one version?")]
    Answer,
    #[error(
        "it is done, but the master's lists do not show it yet: they are at change {reached} of {of}; they will soon"
    )]
    Behind { of: u64, reached: u64 },
    #[error("{0}")]
    Refused(String),
    #[error("agent {0}, on which the task ran, is not among the agents any more")]
    AgentGone(String),
}

/// The way to a cluster.
pub(crate) struct Client {
    node: Node,
    /// How the leader is found, as it was written.
    master: String,
    detector: Arc<dyn Detector>,
}

/// How a node that only dials is started: with the cluster's secret, if it has one.
pub(crate) fn dialling(cluster: &Cluster) -> Result<NodeConfig, FileError> {
    Ok(dialling_with(cluster.secret_file.as_deref().map(read_secret).transpose()?))
}

fn dialling_with(secret: Option<Secret>) -> NodeConfig {
    NodeConfig {
        secret,
        version: PROTOCOL_VERSION,
        threads: 1,
        // A command is over soon.
        calibrate: false,
        ..NodeConfig::default()
    }
}

/// Whether a master leads and answers, on a connection of its own: schedulers wait for theirs without end.
pub(crate) async fn look_for(master: &str, secret: Option<Secret>) -> Result<(), ClientError> {
    let detector = detector(master)?;
    let node = Node::start(dialling_with(secret)).await?;
    let client = Client { node, master: master.to_owned(), detector };
    let found = client.find().await;
    client.node.shutdown().await;
    found
}

impl Client {
    /// Starts the node; the master is dialled by the first question.
    pub(crate) async fn start(cluster: Cluster) -> Result<Self, ClientError> {
        let detector = detector(&cluster.master)?;
        let node = Node::start(dialling(&cluster)?).await?;
        Ok(Self { node, master: cluster.master, detector })
    }

    /// The node, for a framework to live on.
    pub(crate) fn node(&self) -> Node {
        self.node.clone()
    }

    /// How the leader is found, for a framework that outlives it.
    pub(crate) fn master(&self) -> &str {
        &self.master
    }

    /// `host:port` of the leader.
    pub(crate) async fn leader(&self) -> Result<String, ClientError> {
        let mut leader = self.detector.leader();
        let found = tokio::time::timeout(ANSWER_WITHIN, leader.wait_for(Option::is_some)).await;
        let found = found.ok().and_then(Result::ok).and_then(|found| found.clone());
        // As it shows itself: it may hold a password.
        let shown = |way: Way| way.to_string();
        let nobody = || ClientError::NoLeader {
            master: self.master.parse().map_or_else(|_| String::new(), shown),
            why: self.detector.trouble(),
        };
        found.map(|leader| leader.address).ok_or_else(nobody)
    }

    /// The leader has an actor that schedulers speak to.
    async fn find(&self) -> Result<(), ClientError> {
        let master = self.leader().await?;
        let failed = |why| ClientError::Master { master: master.clone(), why };
        let found = self.node.resolve(&name(MASTER, &master)?, ANSWER_WITHIN).await;
        found.map(drop).map_err(failed)
    }

    async fn ask_master<Q: Question>(
        &self,
        actor: &str,
        question: Q,
    ) -> Result<Q::Answer, ClientError> {
        let master = self.leader().await?;
        let failed = |why| ClientError::Master { master: master.clone(), why };
        self.node.ask(&name(actor, &master)?, question, ANSWER_WITHIN).await.map_err(failed)
    }

    /// Asks any actor by its name.
    pub(crate) async fn ask<Q: Question>(
        &self,
        name: &str,
        question: Q,
    ) -> Result<Q::Answer, ClientError> {
        let to: Name = name.parse().map_err(|_| ClientError::Name(name.into()))?;
        let failed = |why| ClientError::Other { name: name.into(), why };
        self.node.ask(&to, question, ANSWER_WITHIN).await.map_err(failed)
    }

    /// Who bears a name now.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Pid, ClientError> {
        let to: Name = name.parse().map_err(|_| ClientError::Name(name.into()))?;
        let failed = |why| ClientError::Other { name: name.into(), why };
        self.node.resolve(&to, ANSWER_WITHIN).await.map_err(failed)
    }

    /// Who leads, and whether lists may lack something.
    pub(crate) async fn cluster(&self) -> Result<ClusterView, ClientError> {
        if let ReadAnswer::Cluster(cluster) = self.ask_master(VIEW, Read::Cluster).await? {
            Ok(cluster)
        } else {
            Err(ClientError::Answer)
        }
    }

    /// All agents.
    pub(crate) async fn agents(&self) -> Result<Vec<AgentView>, ClientError> {
        self.list().await
    }

    /// All frameworks.
    pub(crate) async fn frameworks(&self) -> Result<Vec<FrameworkView>, ClientError> {
        self.list().await
    }

    /// All tasks, ended ones among them.
    pub(crate) async fn tasks(&self) -> Result<Vec<TaskView>, ClientError> {
        self.list().await
    }

    /// All roles that anything is known of.
    pub(crate) async fn roles(&self) -> Result<Vec<RoleView>, ClientError> {
        self.list().await
    }

    /// Where the master and its agents are, as far as it knows.
    pub(crate) async fn domains(&self) -> Result<Domains, ClientError> {
        domains::read_all(async |read| self.ask_master(VIEW, read).await).await
    }

    /// All offers that are held; `None` from a master of a version that does not say.
    pub(crate) async fn offers(&self) -> Result<Option<Vec<OfferView>>, ClientError> {
        let read = self.list().await;
        if let Err(ClientError::Master { why: AskError::Refused(_), .. }) = read {
            return Ok(None);
        }
        read.map(Some)
    }

    async fn list<T: Listed>(&self) -> Result<Vec<T>, ClientError> {
        pages::read_all(async |read| self.ask_master(VIEW, read).await).await
    }

    /// Waits until every list shows what this client has heard of so far.
    pub(crate) async fn settle(&self) -> Result<(), ClientError> {
        let moment = self.ask_master(MASTER, ReadMoment).await?;
        self.reach(moment).await
    }

    /// Waits until every list shows what had happened at a moment.
    async fn reach(&self, moment: Moment) -> Result<(), ClientError> {
        let list = List::Cluster;
        match self.ask_master(VIEW, Read::After { moment, list }).await? {
            ReadAnswer::Cluster(_) => Ok(()),
            ReadAnswer::Behind(reached) => {
                Err(ClientError::Behind { of: moment.change, reached: reached.change })
            }
            ReadAnswer::Agents(_) | ReadAnswer::SomeAgents(_) => Err(ClientError::Answer),
            ReadAnswer::Frameworks(_) | ReadAnswer::SomeFrameworks(_) => Err(ClientError::Answer),
            ReadAnswer::Tasks(_) | ReadAnswer::SomeTasks(_) => Err(ClientError::Answer),
            ReadAnswer::Roles(_) | ReadAnswer::SomeRoles(_) => Err(ClientError::Answer),
            ReadAnswer::Domains(_) | ReadAnswer::SomeDomains(_) => Err(ClientError::Answer),
            ReadAnswer::Offers(_) | ReadAnswer::SomeOffers(_) => Err(ClientError::Answer),
            ReadAnswer::Refused(why) => Err(ClientError::Refused(why)),
        }
    }

    /// Ends a task; lists that are asked for afterwards, by whomever, show it.
    pub(crate) async fn kill(&self, task: &TaskView) -> Result<(), ClientError> {
        let framework = task.report.framework.clone();
        let question = KillTask { framework, task: task.report.spec.task.clone() };
        match self.ask_master(MASTER, question).await? {
            KillAnswer::Killing => Ok(()),
            KillAnswer::KillingAt(moment) => self.reach(moment).await,
            KillAnswer::Refused(why) => Err(ClientError::Refused(why)),
        }
    }

    /// Says what a role is guaranteed and may have at most; lists that are asked for afterwards, by whomever, show it.
    pub(crate) async fn set_quota(
        &self,
        role: Role,
        quota: Quota,
        force: bool,
    ) -> Result<(), ClientError> {
        let question = SetQuotas { quotas: vec![(role, quota)], force, before: Before::Anything };
        self.see_set(self.ask_master(MASTER, question).await?).await
    }

    /// Says how much a role's share weighs; lists likewise.
    pub(crate) async fn set_weight(&self, role: Role, weight: Weight) -> Result<(), ClientError> {
        let question = SetWeights { weights: vec![(role, weight.as_f64())] };
        self.see_set(self.ask_master(MASTER, question).await?).await
    }

    async fn see_set(&self, answer: SetAnswer) -> Result<(), ClientError> {
        match answer {
            SetAnswer::SetAt(moment) => self.reach(moment).await,
            SetAnswer::Refused(refusal) => Err(ClientError::Refused(refusal.why)),
        }
    }

    /// Why a framework is not offered what it wants.
    pub(crate) async fn why(&self, framework: FrameworkId) -> Result<Vec<RoleWhy>, ClientError> {
        roles_of(self.ask_master(ALLOCATOR, AskWhy { framework }).await?)
    }

    /// Why it would not be offered this, under one of its roles or each.
    pub(crate) async fn why_demand(
        &self,
        framework: FrameworkId,
        role: Option<Role>,
        demand: Demand,
    ) -> Result<Vec<RoleWhy>, ClientError> {
        let question = AskWhyDemand { framework, role, demand };
        roles_of(self.ask_master(ALLOCATOR, question).await?)
    }

    /// Part of a file in a task's sandbox, from the agent that listens at `at`.
    pub(crate) async fn sandbox(
        &self,
        at: &str,
        question: ReadSandbox,
    ) -> Result<SandboxAnswer, ClientError> {
        self.ask(&format!("{}@{at}", agent::ACTOR), question).await
    }
}

fn roles_of(answer: WhyAnswer) -> Result<Vec<RoleWhy>, ClientError> {
    match answer {
        WhyAnswer::Because(roles) => Ok(roles),
        WhyAnswer::Unknown => Ok(Vec::new()),
        WhyAnswer::Refused(why) => Err(ClientError::Refused(why)),
    }
}

fn name(actor: &str, at: &str) -> Result<Name, ClientError> {
    let name = format!("{actor}@{at}");
    name.parse().map_err(|_| ClientError::Name(name))
}
