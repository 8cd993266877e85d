//! Joining the master and staying joined: the executors of a former life first, then registration by name until answered, written down
//! before it counts, pings, silence and loss. First words are in `membership/contact.rs`, last ones in
//! `membership/leaving.rs`, and what follows from what is on disk in `membership/written.rs`.

mod contact;
mod leaving;
mod written;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use libactor::Pid;
use protocol::agent::{AgentInfo, AgentToMaster, MasterToAgent};
use protocol::ids::{AgentId, ClusterId, ContainerId};
use protocol::time::Instant;
use protocol::wishes::FaultDomain;
use serde::{Deserialize, Serialize};

pub(super) use contact::backoff;

use super::checkpoint::{Checkpoint, Record};
use super::config::{Bug, Recover};
use super::launch::RunIn;
use super::notice::{End, Notice};
use super::{Agent, Effect, Timer, Turn};

/// `Recovering -> Contacting -> Joining -> Registered -> Contacting`, and from each `-> Leaving`.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Phase {
    /// Executors of a former life come back, or end.
    Recovering { left: BTreeSet<ContainerId> },
    /// Says who it is until a master answers. Has told all that it knows so often since it was last told to wait.
    Contacting { attempts: u32, told: u32 },
    /// The answer is being written down; what the master says meanwhile is held.
    Joining { joining: Joining, held: VecDeque<MasterToAgent> },
    /// Obeys this master.
    Registered { master: Pid, heard_at: Instant, silent_after: Duration },
    /// Ends its executors, then itself. Knows its master if it had one, unless that one removed it: with these words.
    Leaving { master: Option<Pid>, waits_for_acks: bool, removed: Option<String> },
}

/// A master's answer to a registration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Joining {
    master: Pid,
    epoch: u64,
    agent: AgentId,
    cluster: ClusterId,
    silent_after: Duration,
}

impl Joining {
    fn is_before(&self, later: &Self) -> bool {
        self.cluster == later.cluster && self.epoch < later.epoch
    }
}

/// Who the agent is, and to whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Membership {
    member: Option<(AgentId, ClusterId)>,
    /// The highest written down.
    epoch: u64,
    /// The highest heard of in this cluster, which counts against masters even before it is written, and if it never is: who is
    /// of an earlier reign is deposed whether or not the disk was quick and the later one stayed.
    seen: u64,
    /// Makes repeats of a first contact harmless, of this life and of the next.
    nonce: u64,
    /// Nothing is said under it before.
    nonce_is_written: bool,
    /// Whether the next life would know that what it finds is of this boot of the machine.
    boot_is_written: bool,
    /// What was last said of this agent, as it is written down.
    info: Option<Box<AgentInfo>>,
    /// Where it then was.
    domain: Option<FaultDomain>,
    phase: Phase,
    generation: u64,
    leader: Leader,
    /// That the master is of an older version was said.
    older_said: bool,
}

/// What is known of who leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Leader {
    /// Whoever has the name.
    #[default]
    ByName,
    /// Nobody: there is no use in contacting anybody.
    Nobody,
    /// The one at this address.
    At(String),
}

impl Membership {
    pub(super) fn new(checkpoint: &Checkpoint, nonce: u64, boot: &str) -> Self {
        let (member, epoch, written) =
            (checkpoint.member.clone(), checkpoint.epoch, checkpoint.nonce);
        let phase = Phase::Recovering { left: checkpoint.executors.keys().cloned().collect() };
        let (nonce, nonce_is_written) = (written.unwrap_or(nonce), written.is_some());
        Self {
            member,
            epoch,
            seen: epoch,
            nonce,
            nonce_is_written,
            info: checkpoint.info.clone(),
            domain: checkpoint.domain.clone(),
            boot_is_written: checkpoint.boot.as_deref() == Some(boot),
            phase,
            generation: 0,
            leader: Leader::ByName,
            older_said: false,
        }
    }

    pub(super) fn agent(&self) -> Option<&AgentId> {
        self.member.as_ref().map(|(agent, _)| agent)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The master that hears the agent's news.
    pub(super) fn master(&self) -> Option<Pid> {
        match &self.phase {
            Phase::Registered { master, .. } => Some(*master),
            Phase::Leaving { master, .. } => *master,
            Phase::Recovering { .. } | Phase::Contacting { .. } | Phase::Joining { .. } => None,
        }
    }

    /// Those of a former life that are neither back nor gone.
    pub(super) fn executors_awaited(&self) -> BTreeSet<ContainerId> {
        match &self.phase {
            Phase::Recovering { left } => left.clone(),
            Phase::Contacting { .. } | Phase::Joining { .. } => BTreeSet::new(),
            Phase::Registered { .. } | Phase::Leaving { .. } => BTreeSet::new(),
        }
    }

    /// Whether executors of a former life are missing.
    pub(super) fn is_recovering(&self) -> bool {
        matches!(self.phase, Phase::Recovering { .. })
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving { .. })
    }

    fn is_member(&self) -> bool {
        self.member.is_some()
    }

    fn is_before(&self, later: &Joining) -> bool {
        let of_cluster = self.member.as_ref().is_some_and(|(_, mine)| *mine == later.cluster);
        of_cluster && self.epoch < later.epoch
    }

    fn enter(&mut self, phase: Phase) -> u64 {
        self.phase = phase;
        self.generation += 1;
        self.generation
    }
}

impl Agent {
    pub(super) fn on_started(&mut self, turn: &mut Turn) {
        let before = self.membership.info.as_deref();
        let policy = self.config.reconfiguration_policy;
        let begins_anew = self.config.recover == Recover::Cleanup;
        let (was_at, is_at) = (self.membership.domain.as_ref(), self.config.domain.as_ref());
        let forbids = |before| {
            let forbidden = policy.forbids(before, &self.config.info);
            forbidden.or_else(|| policy.forbids_place(was_at, is_at))
        };
        if let Some(words) = before.filter(|_| !begins_anew).and_then(forbids) {
            return turn.push(Effect::Stop(End::Reconfigured(words)));
        }
        self.forsake_what_is_passing(turn);
        self.report_orphans(turn);
        let Phase::Recovering { left } = &self.membership.phase else {
            return;
        };
        if self.config.has(Bug::RegistersBeforeOldExecutorsDied) {
            return self.contact_from_now_on(turn, Duration::ZERO);
        }
        if left.is_empty() {
            return self.go_on_if_recovered(turn);
        }
        turn.note(Notice::OldExecutors(left.len()));
        self.look_for_executors(turn);
    }

    /// Once nothing of the former life is missing, and it is written down of which boot all is that follows, the master is told.
    fn go_on_if_recovered(&mut self, turn: &mut Turn) {
        let Phase::Recovering { left } = &self.membership.phase else {
            return;
        };
        if !left.is_empty() {
            return;
        }
        if self.config.recover == Recover::Cleanup {
            return turn.push(Effect::Write(Record::Left));
        }
        let now = &self.config.info;
        if !self.membership.boot_is_written {
            turn.push(Effect::Write(Record::Booted(now.boot.clone())));
        } else if self.membership.info.as_deref() != Some(now)
            || self.membership.domain != self.config.domain
        {
            let (info, domain) = (Box::new(now.clone()), self.config.domain.clone());
            turn.push(Effect::Write(Record::Configured { info, domain }));
        } else {
            self.contact_from_now_on(turn, Duration::ZERO);
        }
    }

    /// It is back, or nothing of it runs any more: once that is true of all, the master is told.
    pub(super) fn executor_is_back(&mut self, turn: &mut Turn, container: &ContainerId) {
        if let Phase::Recovering { left } = &mut self.membership.phase
            && left.remove(container)
            && left.is_empty()
        {
            turn.note(Notice::Recovered);
            self.go_on_if_recovered(turn);
        }
    }

    pub(super) fn on_old_executors_late(&mut self, turn: &mut Turn) {
        if let Phase::Recovering { left } = &self.membership.phase {
            turn.push(Effect::Stop(End::OldExecutorsLive(left.len())));
        }
    }

    pub(super) fn on_master_said(&mut self, turn: &mut Turn, from: Pid, message: MasterToAgent) {
        let epoch = message.epoch();
        let seen = self.membership.seen;
        let deposed = epoch < seen && !self.is_of_other_cluster(&message);
        if deposed && !self.config.has(Bug::EpochNotChecked) {
            turn.note(Notice::EpochRefused { epoch, seen });
            let message = AgentToMaster::EpochRefused { epoch, seen };
            turn.push(Effect::TellMaster { to: from, message });
            return;
        }
        match message {
            MasterToAgent::Registered { epoch, agent, cluster, silent_after, .. } => {
                let joining = Joining { master: from, epoch, agent, cluster, silent_after };
                self.on_registered(turn, joining);
            }
            MasterToAgent::Refused { reason, .. } => self.on_refused(turn, from, reason),
            MasterToAgent::ReturnNow { .. } => self.on_return_now(turn, from),
            MasterToAgent::ReturnLater { after, .. } => self.on_return_later(turn, after),
            MasterToAgent::RegisterAgain { .. } => self.on_register_again(turn, from),
            MasterToAgent::Shutdown { reason, .. } => self.on_removed(turn, from, reason),
            command @ (MasterToAgent::Ping { .. }
            | MasterToAgent::Launch { .. }
            | MasterToAgent::LaunchInRunning { .. }
            | MasterToAgent::Kill { .. }
            | MasterToAgent::Acknowledge { .. }
            | MasterToAgent::ToExecutor { .. }
            | MasterToAgent::ShutdownExecutor { .. }
            | MasterToAgent::ShutdownFramework { .. }
            | MasterToAgent::FrameworkUpdated { .. }
            | MasterToAgent::Reconcile { .. }) => self.on_command(turn, from, command),
        }
    }

    /// Another cluster has counted other reigns, so that its epochs say nothing here.
    fn is_of_other_cluster(&self, message: &MasterToAgent) -> bool {
        let (MasterToAgent::Registered { cluster: theirs, .. }
        | MasterToAgent::Refused { cluster: theirs, .. }
        | MasterToAgent::ReturnNow { cluster: theirs, .. }
        | MasterToAgent::ReturnLater { cluster: theirs, .. }
        | MasterToAgent::Shutdown { cluster: theirs, .. }) = message
        else {
            // Said to members only.
            return false;
        };
        self.membership.member.as_ref().is_some_and(|(_, mine)| mine != theirs)
    }

    /// Whoever answers first is joined. From then on only that master is heard; another one of the same cluster and of a
    /// later reign only shows that the agent asked too early.
    fn on_registered(&mut self, turn: &mut Turn, joining: Joining) {
        let is_later = self.membership.is_before(&joining);
        if is_later {
            self.membership.seen = self.membership.seen.max(joining.epoch);
        }
        match &mut self.membership.phase {
            Phase::Recovering { .. } | Phase::Leaving { .. } => return,
            Phase::Contacting { .. } => {
                if let Some((_, mine)) = &self.membership.member
                    && *mine != joining.cluster
                {
                    let (mine, theirs) = (mine.clone(), joining.cluster);
                    return turn.push(Effect::Stop(End::OtherCluster { mine, theirs }));
                }
            }
            // The answer to a repeat; the first answer counts.
            Phase::Joining { joining: first, .. } if first.master == joining.master => return,
            Phase::Joining { joining: first, .. } if first.is_before(&joining) => {
                turn.push(Effect::Unlink(first.master));
            }
            Phase::Registered { master, heard_at, silent_after } if *master == joining.master => {
                *heard_at = turn.now.steady;
                *silent_after = joining.silent_after;
                return;
            }
            Phase::Registered { master, .. } if is_later => {
                turn.push(Effect::Unlink(*master));
                let words = format!("a master of the later epoch {} answered", joining.epoch);
                return self.on_master_lost(turn, words);
            }
            Phase::Joining { .. } | Phase::Registered { .. } => {
                return turn.note(Notice::NotTheMaster(joining.master));
            }
        }
        turn.push(Effect::Link(joining.master));
        let remembered = joining.epoch == self.membership.epoch
            && self.membership.agent() == Some(&joining.agent);
        let record = Record::Joined {
            agent: joining.agent.clone(),
            cluster: joining.cluster.clone(),
            epoch: joining.epoch,
        };
        self.membership.enter(Phase::Joining { joining, held: VecDeque::new() });
        if remembered || self.config.has(Bug::IdToldBeforeStored) {
            self.on_joined(turn, &record);
        } else {
            turn.push(Effect::Write(record));
        }
    }

    /// The membership is written down and counts now: news that waited is said, commands that waited are obeyed.
    fn on_joined(&mut self, turn: &mut Turn, record: &Record) {
        let Phase::Joining { joining, held } = &mut self.membership.phase else {
            return;
        };
        let written = Record::Joined {
            agent: joining.agent.clone(),
            cluster: joining.cluster.clone(),
            epoch: joining.epoch,
        };
        if written != *record {
            return;
        }
        let (joining, held) = (joining.clone(), std::mem::take(held));
        let Joining { master, epoch, agent, cluster, silent_after } = joining;
        turn.note(Notice::Registered { agent: agent.clone(), epoch });
        self.membership.member = Some((agent, cluster));
        (self.membership.epoch, self.membership.seen) = (epoch, self.membership.seen.max(epoch));
        let heard_at = turn.now.steady;
        let generation =
            self.membership.enter(Phase::Registered { master, heard_at, silent_after });
        turn.start(Timer::MasterSilent { generation }, silent_after);
        self.send_waiting_updates(turn);
        self.tell_ended_executors(turn);
        for command in held {
            self.on_command(turn, master, command);
        }
    }

    fn on_refused(&mut self, turn: &mut Turn, from: Pid, reason: String) {
        if self.may_refuse(from) {
            turn.push(Effect::Stop(End::Refused(reason)));
        }
    }

    /// Whether this may be the master that decides about the agent.
    fn may_refuse(&self, from: Pid) -> bool {
        match &self.membership.phase {
            Phase::Contacting { .. } => true,
            Phase::Joining { joining, .. } => joining.master == from,
            Phase::Registered { master, .. } => *master == from,
            Phase::Recovering { .. } | Phase::Leaving { .. } => false,
        }
    }

    fn on_command(&mut self, turn: &mut Turn, from: Pid, command: MasterToAgent) {
        match &mut self.membership.phase {
            Phase::Registered { master, heard_at, .. } if *master == from => {
                *heard_at = turn.now.steady;
            }
            Phase::Leaving { master: Some(master), .. } if *master == from => {}
            Phase::Joining { joining, held } if joining.master == from => {
                if held.len() < self.config.held_max {
                    held.push_back(command);
                } else {
                    turn.note(Notice::HeldFull(held.len()));
                }
                return;
            }
            // A deposed master's commands; obeyed only by the deliberate bug.
            Phase::Registered { .. }
                if self.config.has(Bug::EpochNotChecked)
                    && command.epoch() < self.membership.epoch => {}
            Phase::Recovering { .. } | Phase::Contacting { .. } | Phase::Joining { .. } => return,
            Phase::Registered { .. } | Phase::Leaving { .. } => {
                turn.note(Notice::NotTheMaster(from));
                return;
            }
        }
        match command {
            // Handled before it came here.
            MasterToAgent::Registered { .. } | MasterToAgent::Refused { .. } => {}
            MasterToAgent::ReturnNow { .. } | MasterToAgent::ReturnLater { .. } => {}
            MasterToAgent::RegisterAgain { .. } | MasterToAgent::Shutdown { .. } => {}
            MasterToAgent::Ping { sequence, .. } => {
                let message = AgentToMaster::Pong { sequence };
                turn.push(Effect::TellMaster { to: from, message });
            }
            MasterToAgent::Launch { framework, task, role, .. } => {
                self.on_launch(turn, framework, task, role, RunIn::AnyLife);
            }
            MasterToAgent::LaunchInRunning { framework, task, role, .. } => {
                self.on_launch(turn, framework, task, role, RunIn::TheLifeThatRuns);
            }
            MasterToAgent::Kill { framework, task, grace, .. } => {
                self.on_kill(turn, &framework, &task, grace);
            }
            MasterToAgent::Acknowledge { framework, task, update, .. } => {
                self.on_acknowledge(turn, &framework, &task, update);
            }
            MasterToAgent::ToExecutor { framework, executor, data, .. } => {
                self.on_message_to_executor(turn, framework, executor, data);
            }
            MasterToAgent::ShutdownExecutor { framework, executor, .. } => {
                self.on_shutdown_executor(turn, &framework, &executor);
            }
            MasterToAgent::ShutdownFramework { framework, .. } => {
                self.on_shutdown_framework(turn, &framework);
            }
            MasterToAgent::FrameworkUpdated { framework, .. } => {
                self.on_framework_updated(turn, framework);
            }
            MasterToAgent::Reconcile { tasks, .. } => self.on_reconcile(turn, tasks),
        }
    }

    pub(super) fn on_silence_due(&mut self, turn: &mut Turn, generation: u64) {
        let Phase::Registered { master, heard_at, silent_after } = &self.membership.phase else {
            return;
        };
        if generation != self.membership.generation {
            return;
        }
        let silence = turn.now.steady.since(*heard_at);
        if silence < *silent_after {
            turn.start(Timer::MasterSilent { generation }, *silent_after - silence);
            return;
        }
        turn.push(Effect::Unlink(*master));
        let words = format!("it has been silent for {silence:?}");
        self.on_master_lost(turn, words);
    }

    pub(super) fn on_down(&mut self, turn: &mut Turn, pid: Pid, words: &str) {
        let was_master = match &mut self.membership.phase {
            Phase::Registered { master, .. } => *master == pid,
            Phase::Joining { joining, .. } => joining.master == pid,
            Phase::Leaving { master, .. } => {
                if *master == Some(pid) {
                    *master = None;
                    self.leave_if_done(turn);
                    return;
                }
                false
            }
            Phase::Recovering { .. } | Phase::Contacting { .. } => false,
        };
        if was_master {
            self.on_master_lost(turn, words.to_owned());
        } else {
            self.on_executor_down(turn, pid, words);
        }
    }

    fn on_master_lost(&mut self, turn: &mut Turn, words: String) {
        turn.note(Notice::MasterLost(words));
        self.drop_unknown_tasks();
        self.contact_soon(turn);
    }
}
