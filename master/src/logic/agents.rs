//! Agents: how they join, how the master knows that they are there, and how it gives them up. How they come back is in
//! `agents/returning.rs`.

mod collection;
mod domain;
mod entrance;
mod forsaken;
mod giving_up;
mod returning;
mod slots;
mod unreachable;

use std::collections::{BTreeMap, BTreeSet};

use libactor::{DownReason, Pid, Principal};
use protocol::agent::{AgentInfo, AgentToMaster, MasterToAgent};
use protocol::change::{AgentNews, AgentState, GivenUp, What};
use protocol::ids::{AgentId, FrameworkId, TaskId, UpdateId};
use protocol::time::Instant;
use protocol::wishes::FaultDomain;
use serde::{Deserialize, Serialize};

use super::allocator::BookEntry;
use super::authorize::{Action, authorize};
use super::book::{Book, Holder};
use super::bugs::{Bug, Bugs};
use super::registry::{AgentEntry, RegistryOperation};
use super::tasks::Task;
use super::{Effect, Master, Peer, TaskKey, Timer, Turn, validate};
use crate::sizes;
pub(super) use entrance::Entrance;
use entrance::Knock;
pub(super) use giving_up::Condemned;
use returning::Return;
pub(super) use slots::Agents;

/// An agent that the registry holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Agent {
    pub(super) info: AgentInfo,
    /// Of its offers.
    pub(super) sizes: sizes::OfAgent,
    /// See [`Agents`].
    pub(super) slot: u32,
    /// Where it is, if its operator says.
    pub(super) domain: Option<FaultDomain>,
    phase: Phase,
    /// Counts the phases; timers and proposals of earlier ones are void.
    pub(super) generation: u64,
    /// Who last spoke for it. Another process of the same agent has none of its tasks.
    last: Option<Pid>,
    pub(super) book: Book,
    /// Its frameworks were told that it is unreachable, in this reign or an earlier one, and it is not back yet.
    pub(super) was_given_up: bool,
    /// Tasks that it runs and must not, since their ids run elsewhere: killed until their end is heard of.
    pub(super) strays: BTreeSet<TaskKey>,
    /// Frameworks whose tasks on it were lost with its connection.
    forsaken: BTreeSet<FrameworkId>,
    /// Tasks that it did not report and may have all the same: it is asked for them until it says something of each.
    pub(super) doubted: BTreeSet<TaskKey>,
    /// Frameworks whose end there was no room to tell.
    pub(super) owed_shutdowns: BTreeSet<FrameworkId>,
    /// Acknowledgements that there was no room to tell.
    pub(super) owed_acknowledgements: BTreeMap<TaskKey, UpdateId>,
}

/// `Recovered -> Returning -> Active <-> Disconnected -> Marking -> Unreachable -> Returning`; `Leaving -> gone`.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Phase {
    /// Of an earlier reign, and not yet back.
    Recovered,
    /// There, and offered.
    Active(Connection),
    /// Its connection is lost; it may be back any moment.
    Disconnected,
    /// The registry is being told that it is unreachable. If it is back already, that is heard then.
    Marking(Option<Box<Return>>),
    /// Written down as unreachable.
    Unreachable,
    /// It is back, and the registry is being told.
    Returning(Box<Return>),
    /// The registry is being told that it is gone.
    Leaving,
}

/// A linked agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Connection {
    pid: Pid,
    /// Of the newest ping.
    sequence: u64,
    /// Pings in a row without an answer.
    unanswered: u32,
    contest: Option<Contest>,
}

/// Another process claims the agent's id: the holder is pinged, and keeps it if it answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Contest {
    from: Pid,
    sequence: u64,
    since: Instant,
}

/// A new agent of which the registry is being told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Joining {
    agent: AgentId,
    from: Pid,
    info: AgentInfo,
    domain: Option<FaultDomain>,
}

/// Who wants to join.
struct Newcomer {
    from: Pid,
    info: AgentInfo,
    domain: Option<FaultDomain>,
}

impl Agent {
    pub(super) fn recovered(entry: &AgentEntry, bugs: &Bugs) -> Self {
        let phase = match entry.unreachable {
            Some(_) if !bugs.has(Bug::UnreachableForgotten) => Phase::Unreachable,
            Some(_) | None => Phase::Recovered,
        };
        Self::of(entry.info.clone(), entry.domain.clone(), phase)
    }

    fn of(info: AgentInfo, domain: Option<FaultDomain>, phase: Phase) -> Self {
        let book = Book::of(info.resources.clone());
        let was_given_up = matches!(phase, Phase::Unreachable);
        let (strays, doubted, owed_shutdowns, owed_acknowledgements) = Default::default();
        let forsaken = BTreeSet::new();
        Self {
            sizes: sizes::OfAgent::new(&info),
            info,
            slot: 0,
            domain,
            phase,
            generation: 0,
            last: None,
            book,
            was_given_up,
            strays,
            forsaken,
            doubted,
            owed_shutdowns,
            owed_acknowledgements,
        }
    }

    /// It says anew what it is.
    fn describe(&mut self, info: AgentInfo) {
        self.book.total = info.resources.clone();
        self.sizes = sizes::OfAgent::new(&info);
        self.info = info;
    }

    pub(super) fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active(_))
    }

    pub(super) fn is_recovered(&self) -> bool {
        matches!(self.phase, Phase::Recovered)
    }

    /// Whether it may have tasks of which this reign has not heard, and may still tell of them.
    pub(super) fn is_awaited(&self) -> bool {
        self.last.is_none() && !self.is_unreachable()
    }

    /// Whether it has tasks of which this reign will not hear unless it returns.
    pub(super) fn is_unheard_of(&self) -> bool {
        self.last.is_none() && self.is_unreachable()
    }

    /// Whether its tasks may be anywhere between running and gone.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self.phase, Phase::Unreachable)
    }

    /// Whom to tell, if it is there.
    pub(super) fn pid(&self) -> Option<Pid> {
        match &self.phase {
            Phase::Active(connection) => Some(connection.pid),
            Phase::Recovered | Phase::Disconnected | Phase::Marking(_) | Phase::Unreachable => None,
            Phase::Returning(_) | Phase::Leaving => None,
        }
    }

    pub(super) fn state(&self) -> AgentState {
        match &self.phase {
            Phase::Recovered => AgentState::Recovered,
            Phase::Active(_) => AgentState::Active,
            Phase::Disconnected | Phase::Marking(_) | Phase::Returning(_) => {
                AgentState::Disconnected
            }
            Phase::Unreachable => AgentState::Unreachable,
            Phase::Leaving => AgentState::Gone,
        }
    }

    /// Whether what it has and what runs on it counts for roles: not what is out of reach.
    pub(super) fn counts(&self) -> bool {
        match &self.phase {
            Phase::Recovered | Phase::Active(_) | Phase::Disconnected => true,
            Phase::Marking(_) | Phase::Leaving => true,
            Phase::Unreachable => false,
            Phase::Returning(_) => !self.was_given_up,
        }
    }

    fn enter(&mut self, phase: Phase) -> u64 {
        self.phase = phase;
        self.generation += 1;
        self.generation
    }
}

impl Master {
    /// The index of all that agents say.
    pub(super) fn hear_agent(
        &mut self,
        turn: &mut Turn,
        from: Pid,
        principal: Principal,
        message: AgentToMaster,
    ) {
        match message {
            AgentToMaster::Register { nonce, info } => {
                self.on_register(turn, principal, nonce, Newcomer { from, info, domain: None });
            }
            AgentToMaster::RegisterAt { domain, nonce, info } => {
                let domain = Some(domain);
                self.on_register(turn, principal, nonce, Newcomer { from, info, domain });
            }
            back @ (AgentToMaster::Reregister { .. } | AgentToMaster::ReregisterAt { .. }) => {
                if let Some((agent, back)) = Return::heard(from, back) {
                    self.on_reregister(turn, principal, &agent, back);
                }
            }
            AgentToMaster::MayReturn { agent, cluster, epoch, tasks } => {
                let knock = Knock { from, cluster, epoch, tasks };
                self.on_may_return(turn, principal, &agent, knock);
            }
            AgentToMaster::Pong { sequence } => self.on_pong(turn, from, sequence),
            AgentToMaster::Updated { status, latest } => {
                if let Some(agent) = self.member(turn, from) {
                    self.on_updated(turn, &agent, from, status, latest);
                }
            }
            AgentToMaster::ExecutorEnded { framework, executor, container: _, exit } => {
                if let Some(agent) = self.member(turn, from) {
                    self.on_executor_ended(turn, &agent, &framework, &executor, exit);
                }
            }
            AgentToMaster::FromExecutor { framework, executor, data } => {
                if let Some(agent) = self.member(turn, from) {
                    self.on_from_executor(turn, agent, &framework, executor, data);
                }
            }
            AgentToMaster::EpochRefused { epoch, seen } => {
                // Of this master's own agents only: others may have counted the reigns of another cluster.
                if seen > self.epoch() && self.agent_of(from).is_some() {
                    let reason = format!(
                        "an agent that saw epoch {seen} refused a command of epoch {epoch}"
                    );
                    turn.effects.push(Effect::StepDown { reason });
                }
            }
            AgentToMaster::Unregister => self.on_unregister(turn, from, principal),
        }
    }

    /// The active agent that this pid speaks for.
    fn agent_of(&self, from: Pid) -> Option<AgentId> {
        match self.peers.get(&from)? {
            Peer::Agent(agent) => Some(agent.clone()),
            Peer::Framework(_) => None,
        }
    }

    /// The active agent that this pid speaks for. Who speaks like one and is none has not noticed that it was lost.
    fn member(&self, turn: &mut Turn, from: Pid) -> Option<AgentId> {
        let agent = self.agent_of(from);
        if agent.is_none() {
            turn.tell_agent(from, MasterToAgent::RegisterAgain { epoch: self.epoch() });
        }
        agent
    }

    fn refuse_agent(&self, turn: &mut Turn, to: Pid, reason: String) {
        let (epoch, cluster) = (self.epoch(), self.registry.cluster.clone());
        turn.tell_agent(to, MasterToAgent::Refused { epoch, reason, cluster });
    }

    /// An agent repeats `Register` until it is answered, so a repeat is normal; its nonce tells.
    fn on_register(
        &mut self,
        turn: &mut Turn,
        principal: Principal,
        nonce: u64,
        newcomer: Newcomer,
    ) {
        let Newcomer { from, info, domain } = newcomer;
        if let Some(agent) = self.agent_nonces.get(&nonce).cloned() {
            let cluster = self.registry.cluster.clone();
            let back = Return::of_nothing(from, info, domain, cluster);
            return self.on_reregister(turn, principal, &agent, back);
        }
        if let Some(joining) = self.joining.get_mut(&nonce) {
            joining.from = from;
            // It is called once the registry has it.
            return self.tell_return_later(turn, from, self.joining.len());
        }
        let allowed = authorize(principal, Action::JoinAsAgent, &info.at.listens);
        if let Err(refused) = allowed {
            return self.refuse_agent(turn, from, refused.to_string());
        }
        if let Err(refusal) = validate::agent(&info, &self.config) {
            return self.refuse_agent(turn, from, refusal.to_string());
        }
        if let Err(unfit) = domain::fits(domain.as_ref(), &self.config) {
            return self.refuse_agent(turn, from, unfit.to_string());
        }
        if !self.make_room_for_agent(turn) {
            let reason =
                format!("the cluster has {} agents, as many as it may", self.config.agents_max);
            return self.refuse_agent(turn, from, reason);
        }
        let number = self.agents_numbered;
        self.agents_numbered += 1;
        let agent = AgentId::new(format!("{}-S{number}", self.registry.cluster));
        turn.write(RegistryOperation::AdmitAgent {
            agent: agent.clone(),
            number: self.agents_numbered,
            nonce,
            info: info.clone(),
            domain: domain.clone(),
        });
        if self.config.bugs.has(Bug::RegistryToldBeforeWritten) {
            self.tell_registered(turn, &agent, from);
        }
        self.joining.insert(nonce, Joining { agent, from, info, domain });
    }

    /// Greeted only now: a master that restarts must still know every agent it has greeted.
    pub(super) fn on_agent_admitted(&mut self, turn: &mut Turn, id: &AgentId, nonce: u64) {
        let Some(Joining { from, info, domain, .. }) = self.joining.remove(&nonce) else { return };
        self.agents.insert(id.clone(), Agent::of(info, domain, Phase::Disconnected));
        self.agent_nonces.insert(nonce, id.clone());
        turn.what.push(What::AgentNews { agent: id.clone(), news: AgentNews::Registered });
        self.connect(turn, id, from);
        self.open_book(turn, id, Vec::new());
    }

    /// From here on the agent is told what to do, and heard.
    fn connect(&mut self, turn: &mut Turn, id: &AgentId, pid: Pid) {
        self.spare(turn, id);
        self.has_entered(turn, id);
        let Some(agent) = self.agents.get_mut(id) else { return };
        let connection = Connection { pid, sequence: 0, unanswered: 0, contest: None };
        let generation = agent.enter(Phase::Active(connection));
        agent.last = Some(pid);
        agent.owed_acknowledgements.clear();
        self.peers.insert(pid, Peer::Agent(id.clone()));
        turn.effects.push(Effect::Link(pid));
        self.tell_registered(turn, id, pid);
        turn.start(Timer::Ping { agent: id.clone(), generation }, self.config.ping_every);
    }

    fn tell_registered(&self, turn: &mut Turn, id: &AgentId, pid: Pid) {
        let message = MasterToAgent::Registered {
            epoch: self.epoch(),
            agent: id.clone(),
            cluster: self.registry.cluster.clone(),
            master: self.identity.clone(),
            ping_every: self.config.ping_every,
            silent_after: self.config.agent_timeout(),
        };
        turn.tell_agent(pid, message);
    }

    /// From here on the agent's resources are offered, but for what is held.
    fn open_book(&mut self, turn: &mut Turn, id: &AgentId, held: Vec<Holder>) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        turn.book_of(agent);
        let Some(agent) = self.agents.get(id) else { return };
        turn.what.push(What::Agent {
            agent: id.clone(),
            info: agent.info.clone().into(),
            state: AgentState::Active,
        });
        turn.what.extend(self.domain_of(id));
        turn.entries.push(self.agent_entry(id, agent, held));
        self.await_no_longer(turn, id);
        self.agents_changed(turn);
    }

    pub(super) fn on_ping_due(&mut self, turn: &mut Turn, id: &AgentId, generation: u64) {
        let Some(agent) = self.agents.get(id) else { return };
        if !self.counts(generation, agent.generation) {
            return;
        }
        if matches!(agent.phase, Phase::Disconnected) {
            return self.call_back(turn, id);
        }
        let (epoch, lost) = (self.epoch(), self.config.ping_misses_max);
        let Some(Agent { phase: Phase::Active(connection), .. }) = self.agents.get_mut(id) else {
            return;
        };
        if connection.unanswered >= lost {
            self.condemn(turn, id, GivenUp::Silent);
        }
        // If its turn to be given up has not come, it may still answer.
        let Some(Agent { phase: Phase::Active(connection), .. }) = self.agents.get_mut(id) else {
            return;
        };
        connection.unanswered = connection.unanswered.saturating_add(1);
        connection.sequence += 1;
        let (pid, sequence) = (connection.pid, connection.sequence);
        turn.tell_agent(pid, MasterToAgent::Ping { epoch, sequence });
        self.ask_for_what_is_late(turn, id, pid);
        self.say_again_to_agent(turn, id, pid);
        turn.start(Timer::Ping { agent: id.clone(), generation }, self.config.ping_every);
    }

    /// A launch may be lost without anybody's knowing, as a counted drop, and so may a question: the agent is asked for those
    /// of which it should have said something by now.
    fn ask_for_what_is_late(&self, turn: &mut Turn, id: &AgentId, pid: Pid) {
        let Some(agent) = self.agents.get(id) else { return };
        let late = |key: &&(FrameworkId, TaskId)| {
            let (framework, task) = key;
            let staged = self.task(framework, task).filter(|task| task.is_staging());
            let age = |task: &Task| turn.now.steady.since(task.launched_at);
            agent.doubted.contains(*key)
                || staged.is_some_and(|task| age(task) >= self.config.ping_every)
        };
        let tasks: Vec<_> = agent.book.tasks.iter().filter(late).cloned().collect();
        if !tasks.is_empty() {
            turn.tell_agent(pid, MasterToAgent::Reconcile { epoch: self.epoch(), tasks });
        }
    }

    /// The connection may be lost for the master only: then the agent does not know that it has to return.
    fn call_back(&mut self, turn: &mut Turn, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        if let Some(last) = agent.last {
            turn.tell_agent(last, MasterToAgent::RegisterAgain { epoch: self.epoch() });
        }
        let timer = Timer::Ping { agent: id.clone(), generation: agent.generation };
        turn.start(timer, self.config.ping_every);
    }

    fn on_pong(&mut self, turn: &mut Turn, from: Pid, sequence: u64) {
        let Some(id) = self.member(turn, from) else { return };
        let Some(Agent { phase: Phase::Active(connection), .. }) = self.agents.get_mut(&id) else {
            return;
        };
        connection.unanswered = 0;
        let won = connection.contest.take_if(|contest| sequence >= contest.sequence);
        self.spare(turn, &id);
        // Called since a question of it came late. An answer to a ping may be of an earlier life than the one that waits.
        if sequence == 0 {
            self.has_entered(turn, &id);
        }
        if let Some(contest) = won {
            let reason = format!(
                "agent {id} is already here, and its process lives: give this one a work directory of its own"
            );
            self.refuse_agent(turn, contest.from, reason);
        }
    }

    /// Its tasks are thought to run on; nothing of it is offered until it is back.
    pub(super) fn on_agent_down(
        &mut self,
        turn: &mut Turn,
        id: &AgentId,
        pid: Pid,
        _: &DownReason,
    ) {
        let Some(agent) = self.agents.get_mut(id).filter(|agent| agent.pid() == Some(pid)) else {
            return;
        };
        let generation = agent.enter(Phase::Disconnected);
        // From here on it has the time of one whose connection is lost.
        self.spare(turn, id);
        if !self.config.bugs.has(Bug::OfferNotRescindedOnAgentLoss) {
            self.rescind_all_of_agent(turn, id);
        }
        turn.entries.push(BookEntry::AgentInactive { agent: id.clone() });
        turn.agent_state(id, AgentState::Disconnected);
        self.forsake(turn, id);
        let timer = Timer::AgentReturn { agent: id.clone(), generation };
        turn.start(timer, self.config.agent_reregister_timeout);
        turn.start(Timer::Ping { agent: id.clone(), generation }, self.config.ping_every);
    }
}
