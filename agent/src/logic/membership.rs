//! Joining the master and staying joined: former executors first, then registration by name until answered, written down
//! before it counts, pings, silence, loss, and leaving.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use libactor::Pid;
use protocol::agent::{AgentToMaster, ExecutorReport, MasterToAgent};
use protocol::ids::{AgentId, ClusterId, ContainerId};
use protocol::task::TaskReport;
use protocol::time::Instant;
use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, OldExecutor, ProcessIdentity, Record};
use super::config::Bug;
use super::notice::{End, Notice};
use super::{Agent, Effect, Timer, Turn};

/// After this many unanswered attempts, and again after each further so many, the operator is told.
const ATTEMPTS_SAID: u32 = 5;

/// `Clearing -> Contacting -> Joining -> Registered -> Contacting`, and from each `-> Leaving`.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Phase {
    /// Executors of a former life must not run beside new ones.
    Clearing { left: BTreeMap<ContainerId, Option<ProcessIdentity>> },
    /// Says who it is until a master answers.
    Contacting { attempts: u32 },
    /// The answer is being written down; what the master says meanwhile is held.
    Joining { joining: Joining, held: VecDeque<MasterToAgent> },
    /// Obeys this master.
    Registered { master: Pid, heard_at: Instant, silent_after: Duration },
    /// Ends its executors, then itself. Knows its master if it had one.
    Leaving { master: Option<Pid>, waits_for_acks: bool },
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

/// Who the agent is, and to whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Membership {
    member: Option<(AgentId, ClusterId)>,
    /// The highest written down.
    epoch: u64,
    /// Of this life; makes repeats of a first contact harmless.
    nonce: u64,
    phase: Phase,
    generation: u64,
}

impl Membership {
    pub(super) fn new(checkpoint: Checkpoint, nonce: u64) -> Self {
        let Checkpoint { member, epoch, executors } = checkpoint;
        let phase = Phase::Clearing { left: executors };
        Self { member, epoch, nonce, phase, generation: 0 }
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
            Phase::Clearing { .. } | Phase::Contacting { .. } | Phase::Joining { .. } => None,
        }
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving { .. })
    }

    fn enter(&mut self, phase: Phase) -> u64 {
        self.phase = phase;
        self.generation += 1;
        self.generation
    }
}

impl Agent {
    pub(super) fn on_started(&mut self, turn: &mut Turn) {
        let Phase::Clearing { left } = &self.membership.phase else {
            return;
        };
        if left.is_empty() || self.config.has(Bug::RegistersBeforeOldExecutorsDied) {
            self.contact_from_now_on(turn, Duration::ZERO);
            return;
        }
        turn.note(Notice::OldExecutors(left.len()));
        for (container, process) in left {
            let old = OldExecutor { container: container.clone(), process: process.clone() };
            turn.push(Effect::EndOldExecutor(old));
        }
        turn.start(Timer::OldExecutorsLate, self.config.old_executors_within);
    }

    pub(super) fn on_old_executor_ended(&mut self, turn: &mut Turn, container: &ContainerId) {
        if let Phase::Clearing { left } = &mut self.membership.phase
            && left.remove(container).is_some()
        {
            turn.push(Effect::Write(Record::ExecutorEnded(container.clone())));
            if left.is_empty() {
                self.contact_from_now_on(turn, Duration::ZERO);
            }
        }
    }

    pub(super) fn on_old_executors_late(&mut self, turn: &mut Turn) {
        if let Phase::Clearing { left } = &self.membership.phase {
            turn.push(Effect::Stop(End::OldExecutorsLive(left.len())));
        }
    }

    /// The first attempt comes after a share of `within` that chance chooses: a master that returns is not to be met by
    /// all agents at once.
    fn contact_from_now_on(&mut self, turn: &mut Turn, within: Duration) {
        let generation = self.membership.enter(Phase::Contacting { attempts: 0 });
        if within.is_zero() {
            self.on_contact_due(turn, generation);
        } else {
            let after = share(within, self.chance.draw());
            turn.start(Timer::Contact { generation }, after);
        }
    }

    pub(super) fn on_contact_due(&mut self, turn: &mut Turn, generation: u64) {
        let current = generation == self.membership.generation;
        let Phase::Contacting { attempts } = &mut self.membership.phase else {
            return;
        };
        if !current {
            return;
        }
        let before = *attempts;
        *attempts += 1;
        if before > 0 && before.is_multiple_of(ATTEMPTS_SAID) {
            turn.note(Notice::MasterSilent { attempts: before });
        }
        turn.push(Effect::ContactMaster(self.contact()));
        let after = backoff(
            self.config.contact_backoff_min,
            self.config.contact_backoff_max,
            before,
            self.chance.draw(),
        );
        turn.start(Timer::Contact { generation }, after);
    }

    fn contact(&self) -> AgentToMaster {
        let info = self.config.info.clone();
        let Some(agent) = self.membership.agent() else {
            return AgentToMaster::Register { nonce: self.membership.nonce, info };
        };
        AgentToMaster::Reregister {
            agent: agent.clone(),
            info,
            tasks: self.task_reports(agent),
            executors: self
                .state
                .executors
                .iter()
                .map(|(container, executor)| ExecutorReport {
                    framework: executor.framework.clone(),
                    spec: executor.spec.clone(),
                    container: container.clone(),
                })
                .collect(),
            frameworks: self.state.live_frameworks().cloned().collect(),
            epoch: self.membership.epoch,
        }
    }

    fn task_reports(&self, agent: &AgentId) -> Vec<TaskReport> {
        let reported = |(framework, _, task): (&_, &_, &super::state::Task)| {
            let spec = task.spec.clone()?;
            Some(TaskReport {
                framework: Clone::clone(framework),
                spec,
                agent: agent.clone(),
                executor: task.executor.clone(),
                state: task.state,
                unacknowledged: task.updates.back().cloned(),
            })
        };
        self.state.tasks().filter_map(reported).collect()
    }

    pub(super) fn on_master_said(&mut self, turn: &mut Turn, from: Pid, message: MasterToAgent) {
        let epoch = message.epoch();
        if epoch < self.membership.epoch && !self.config.has(Bug::EpochNotChecked) {
            let seen = self.membership.epoch;
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
            command @ (MasterToAgent::Ping { .. }
            | MasterToAgent::Launch { .. }
            | MasterToAgent::Kill { .. }
            | MasterToAgent::Acknowledge { .. }
            | MasterToAgent::ToExecutor { .. }
            | MasterToAgent::ShutdownExecutor { .. }
            | MasterToAgent::ShutdownFramework { .. }
            | MasterToAgent::Reconcile { .. }) => self.on_command(turn, from, command),
        }
    }

    fn on_registered(&mut self, turn: &mut Turn, joining: Joining) {
        match &mut self.membership.phase {
            Phase::Clearing { .. } | Phase::Leaving { .. } => return,
            // The answer to a repeat; the first answer counts.
            Phase::Joining { joining: first, .. } if *first == joining => return,
            Phase::Registered { master, heard_at, silent_after }
                if *master == joining.master && self.membership.epoch == joining.epoch =>
            {
                *heard_at = turn.now.steady;
                *silent_after = joining.silent_after;
                return;
            }
            Phase::Registered { master, .. } => turn.push(Effect::Unlink(*master)),
            Phase::Joining { joining: first, .. } => turn.push(Effect::Unlink(first.master)),
            Phase::Contacting { .. } => {}
        }
        if let Some((_, mine)) = &self.membership.member
            && *mine != joining.cluster
        {
            let (mine, theirs) = (mine.clone(), joining.cluster);
            turn.push(Effect::Stop(End::OtherCluster { mine, theirs }));
            return;
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
        self.membership.epoch = epoch;
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

    pub(super) fn on_written(&mut self, turn: &mut Turn, record: Record) {
        match record {
            Record::Joined { .. } => self.on_joined(turn, &record),
            Record::ExecutorStarting(container) => self.start_executor(turn, &container),
            Record::Left => {
                if self.membership.is_leaving() {
                    turn.push(Effect::Stop(End::Left));
                }
            }
            Record::ExecutorStarted { .. } | Record::ExecutorEnded(_) => {}
        }
    }

    pub(super) fn on_write_failed(&mut self, turn: &mut Turn, record: Record, words: String) {
        match record {
            Record::Joined { .. } => turn.push(Effect::Stop(End::CannotRemember(words))),
            Record::Left => turn.push(Effect::Stop(End::Left)),
            Record::ExecutorStarting(container) => {
                self.on_executor_not_recorded(turn, &container, words);
            }
            // What should have ended is looked for in vain after a restart, which does no harm; what runs without its
            // process noted is found by its environment.
            Record::ExecutorStarted { .. } | Record::ExecutorEnded(_) => {
                turn.note(Notice::NotWritten(words));
            }
        }
    }

    fn on_refused(&mut self, turn: &mut Turn, from: Pid, reason: String) {
        let heard = match &self.membership.phase {
            Phase::Contacting { .. } => true,
            Phase::Joining { joining, .. } => joining.master == from,
            Phase::Registered { master, .. } => *master == from,
            Phase::Clearing { .. } | Phase::Leaving { .. } => false,
        };
        if heard {
            turn.push(Effect::Stop(End::Refused(reason)));
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
            Phase::Clearing { .. } | Phase::Contacting { .. } | Phase::Joining { .. } => return,
            Phase::Registered { .. } | Phase::Leaving { .. } => {
                turn.note(Notice::NotTheMaster(from));
                return;
            }
        }
        match command {
            // Handled before it came here.
            MasterToAgent::Registered { .. } | MasterToAgent::Refused { .. } => {}
            MasterToAgent::Ping { sequence, .. } => {
                let message = AgentToMaster::Pong { sequence };
                turn.push(Effect::TellMaster { to: from, message });
            }
            MasterToAgent::Launch { framework, task, .. } => self.on_launch(turn, framework, task),
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
            Phase::Clearing { .. } | Phase::Contacting { .. } => false,
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
        self.contact_from_now_on(turn, self.config.contact_backoff_min);
    }

    pub(super) fn on_leave(&mut self, turn: &mut Turn) {
        if self.membership.is_leaving() {
            return;
        }
        let master = self.membership.master();
        self.membership.enter(Phase::Leaving { master, waits_for_acks: true });
        self.shut_all_down(turn);
        self.leave_if_done(turn);
    }

    /// With its last executor the agent waits a moment for the acknowledgements of its tasks' ends, then goes.
    pub(super) fn leave_if_done(&mut self, turn: &mut Turn) {
        let nothing_left = self.state.tasks().next().is_none();
        let Phase::Leaving { master, waits_for_acks } = &mut self.membership.phase else {
            return;
        };
        if !self.state.executors.is_empty() {
            return;
        }
        if nothing_left || master.is_none() {
            self.leave_now(turn);
        } else if *waits_for_acks {
            *waits_for_acks = false;
            turn.start(Timer::LeaveAnyway, self.config.leave_within);
        }
    }

    pub(super) fn on_leave_anyway(&mut self, turn: &mut Turn) {
        if self.membership.is_leaving() && self.state.executors.is_empty() {
            self.leave_now(turn);
        }
    }

    /// Told first, then forgotten: an agent that dies between the two comes back under its id and is refused in words.
    fn leave_now(&mut self, turn: &mut Turn) {
        let Phase::Leaving { master, .. } = &mut self.membership.phase else {
            return;
        };
        match master.take() {
            Some(to) => {
                turn.push(Effect::TellMaster { to, message: AgentToMaster::Unregister });
                turn.push(Effect::Write(Record::Left));
            }
            // Nobody was told that this agent goes for good, so it keeps its id.
            None => turn.push(Effect::Stop(End::Left)),
        }
    }
}

/// `min` doubled with each attempt up to `max`, of which chance takes up to a half.
pub(super) fn backoff(min: Duration, max: Duration, attempt: u32, chance: u64) -> Duration {
    let whole = min.saturating_mul(1 << attempt.min(16)).min(max);
    whole / 2 + share(whole / 2, chance)
}

/// A part of `whole` between nothing and all.
fn share(whole: Duration, chance: u64) -> Duration {
    whole.mul_f64((chance >> 11) as f64 / (1_u64 << 53) as f64)
}
