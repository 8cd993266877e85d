//! How an agent says who it is, to whoever has the master's name: again and again until it is answered.

use std::sync::Arc;
use std::time::Duration;

use libactor::Pid;
use protocol::agent::{AgentInfo, AgentToMaster, ExecutorReport};
use protocol::ids::{AgentId, ContainerId};
use protocol::task::TaskReport;

use super::{Joining, Leader, Phase};
use crate::logic::checkpoint::Record;
use crate::logic::notice::Notice;
use crate::logic::state::Executor;
use crate::logic::{Agent, Config, Effect, Timer, Turn};

/// After this many unanswered attempts, and whenever they are twice as many, the operator is told.
const ATTEMPTS_SAID: u32 = 5;

/// A master of an older version does not know the question whether an agent may return. So that is told all, uncalled, at the
/// attempt of this number (from zero), whenever it is twice as high, and each time after so many more.
const UNCALLED_FIRST: u32 = 8;
const UNCALLED_EVERY: u32 = 64;

impl Agent {
    /// The first attempt comes after a share of the first gap that chance chooses: a master that returns is not to be met by
    /// all agents at once.
    pub(super) fn contact_soon(&mut self, turn: &mut Turn) {
        let within = match self.membership.is_member() {
            true => self.config.question_backoff_min,
            false => self.config.contact_backoff_min,
        };
        self.contact_from_now_on(turn, within);
    }

    pub(super) fn contact_from_now_on(&mut self, turn: &mut Turn, within: Duration) {
        let generation = self.membership.enter(Phase::Contacting { attempts: 0, told: 0 });
        if within.is_zero() {
            self.on_contact_due(turn, generation);
        } else {
            let after = share(within, self.chance.draw());
            turn.start(Timer::Contact { generation }, after);
        }
    }

    pub(in crate::logic) fn on_contact_due(&mut self, turn: &mut Turn, generation: u64) {
        let current = generation == self.membership.generation;
        let Phase::Contacting { attempts, .. } = &mut self.membership.phase else {
            return;
        };
        if !current || self.membership.leader == Leader::Nobody {
            return;
        }
        if self.membership.member.is_none() && !self.membership.nonce_is_written {
            return turn.push(Effect::Write(Record::Registering { nonce: self.membership.nonce }));
        }
        let before = *attempts;
        *attempts += 1;
        if before.is_multiple_of(ATTEMPTS_SAID) && (before / ATTEMPTS_SAID).is_power_of_two() {
            turn.note(Notice::MasterSilent { attempts: before });
        }
        let Config { question_backoff_min, question_backoff_max, .. } = self.config;
        let Config { contact_backoff_min, .. } = self.config;
        let (first, gaps) = match self.membership.is_member() {
            true if is_uncalled(before) => {
                (self.contact(), (question_backoff_min, question_backoff_max))
            }
            true => (self.question(), (question_backoff_min, question_backoff_max)),
            false => (self.contact(), (contact_backoff_min, question_backoff_max)),
        };
        turn.push(Effect::ContactMaster(first));
        self.contact_again(turn, generation, gaps, before);
    }

    fn contact_again(
        &mut self,
        turn: &mut Turn,
        generation: u64,
        (least, most): (Duration, Duration),
        attempt: u32,
    ) {
        let after = backoff(least, most, attempt, self.chance.draw());
        turn.start(Timer::Contact { generation }, after);
    }

    /// What an agent knows may be much, and a new master is met by all agents at once: it is asked first. A question is so
    /// little that it is asked every second or two: whoever could not be reached is found soon after it can, and whoever has
    /// too much to do says `ReturnLater`. Of an agent that never was with a master all that there is to say is as little.
    fn question(&self) -> AgentToMaster {
        match &self.membership.member {
            None => self.contact(),
            Some((agent, cluster)) => AgentToMaster::MayReturn {
                agent: agent.clone(),
                cluster: cluster.clone(),
                epoch: self.membership.epoch,
                tasks: u32::try_from(self.state.task_count()).unwrap_or(u32::MAX),
            },
        }
    }

    /// It is this agent's turn: whoever is called comes or says that it is there, or its place stays taken. If what it tells is
    /// lost, it asks again; the longer, the oftener it has told: all that is much, and the master may be busy with it.
    pub(super) fn on_return_now(&mut self, turn: &mut Turn, from: Pid) {
        let (attempts, told) = match &self.membership.phase {
            Phase::Contacting { attempts, told } if self.membership.is_member() => {
                (*attempts, *told)
            }
            // A question of its own came late: it is there, and needs no place in line.
            Phase::Registered { master, .. }
            | Phase::Joining { joining: Joining { master, .. }, .. }
                if *master == from =>
            {
                let message = AgentToMaster::Pong { sequence: 0 };
                return turn.push(Effect::TellMaster { to: from, message });
            }
            Phase::Contacting { .. } | Phase::Joining { .. } | Phase::Registered { .. } => return,
            Phase::Recovering { .. } | Phase::Leaving { .. } => return,
        };
        // Questions that were held up together are answered together, and all need not be told again for each.
        if told == 0 || attempts > 0 {
            turn.push(Effect::TellMaster { to: from, message: self.contact() });
            let phase = Phase::Contacting { attempts: 0, told: told.saturating_add(1) };
            let generation = self.membership.enter(phase);
            let gaps = (self.config.contact_backoff_min, self.config.contact_backoff_max);
            self.contact_again(turn, generation, gaps, told);
        }
    }

    /// Others come first, so many that asking sooner would only make it longer.
    pub(super) fn on_return_later(&mut self, turn: &mut Turn, after: Duration) {
        if matches!(self.membership.phase, Phase::Contacting { .. }) {
            let after = after + share(after, self.chance.draw());
            let generation = self.membership.enter(Phase::Contacting { attempts: 0, told: 0 });
            turn.start(Timer::Contact { generation }, after);
        }
    }

    /// The master lost this agent, and the agent had not noticed.
    pub(super) fn on_register_again(&mut self, turn: &mut Turn, from: Pid) {
        let master = match &self.membership.phase {
            Phase::Registered { master, .. } => *master,
            Phase::Joining { joining, .. } => joining.master,
            Phase::Recovering { .. } | Phase::Contacting { .. } | Phase::Leaving { .. } => return,
        };
        if master == from {
            turn.push(Effect::Unlink(from));
            self.on_master_lost(turn, "it has lost this agent".to_owned());
        }
    }

    /// With nobody to lead, tasks run on and their news waits.
    pub(in crate::logic) fn on_master_detected(&mut self, turn: &mut Turn, leader: Option<String>) {
        let found = leader.map_or(Leader::Nobody, Leader::At);
        let before = std::mem::replace(&mut self.membership.leader, found.clone());
        let words = match &found {
            Leader::At(address) => format!("the master at {address} leads now"),
            Leader::ByName | Leader::Nobody => "nobody leads now".to_owned(),
        };
        if found == before {
            return;
        }
        match &self.membership.phase {
            Phase::Registered { master, .. }
            | Phase::Joining { joining: Joining { master, .. }, .. } => {
                turn.push(Effect::Unlink(*master));
                self.on_master_lost(turn, words);
            }
            Phase::Contacting { .. } => {
                self.contact_soon(turn);
            }
            Phase::Recovering { .. } | Phase::Leaving { .. } => {}
        }
    }

    /// It does not know the question whether an agent may return, and need not. But who says where it is has no words for it.
    pub(in crate::logic) fn on_master_is_older(&mut self, turn: &mut Turn) {
        let waits = matches!(self.membership.phase, Phase::Contacting { .. });
        if waits
            && let Some(domain) = self.config.domain.clone()
            && !std::mem::replace(&mut self.membership.older_said, true)
        {
            turn.note(Notice::MasterIsOlder(domain));
        }
    }

    fn contact(&self) -> AgentToMaster {
        let info = AgentInfo { resources: self.state.total().clone(), ..self.config.info.clone() };
        let place = self.config.domain.clone();
        let Some((agent, cluster)) = self.membership.member.clone() else {
            let nonce = self.membership.nonce;
            return AgentToMaster::Register { nonce, info }.at(place);
        };
        let tasks = self.task_reports(&agent);
        let executor = |(container, executor): (&ContainerId, &Executor)| ExecutorReport {
            framework: executor.framework.clone(),
            spec: executor.spec.clone(),
            container: container.clone(),
            role: executor.role.clone(),
        };
        let executors = self.state.executors.iter().map(executor).collect();
        let frameworks = self.state.live_frameworks().cloned().collect();
        let epoch = self.membership.epoch;
        AgentToMaster::Reregister { agent, info, tasks, executors, frameworks, epoch, cluster }
            .at(place)
    }

    fn task_reports(&self, agent: &AgentId) -> Vec<TaskReport> {
        let reported = |(framework, _, task): (&_, &_, &crate::logic::state::Task)| {
            let spec = task.spec.clone()?;
            let (state, unacknowledged) = task.known();
            Some(TaskReport {
                framework: Clone::clone(framework),
                spec,
                agent: agent.clone(),
                executor: task.executor.clone(),
                state,
                unacknowledged: unacknowledged.cloned().map(Arc::new),
                role: task.role.clone(),
            })
        };
        self.state.tasks().filter_map(reported).collect()
    }
}

fn is_uncalled(attempt: u32) -> bool {
    let doubled = attempt >= UNCALLED_FIRST && attempt.is_power_of_two();
    doubled || (attempt > 0 && attempt.is_multiple_of(UNCALLED_EVERY))
}

/// `min` doubled with each attempt up to `max`, of which chance takes up to a half.
pub(in crate::logic) fn backoff(
    min: Duration,
    max: Duration,
    attempt: u32,
    chance: u64,
) -> Duration {
    let whole = min.saturating_mul(1 << attempt.min(16)).min(max);
    whole / 2 + share(whole / 2, chance)
}

/// A part of `whole` between nothing and all.
fn share(whole: Duration, chance: u64) -> Duration {
    whole.mul_f64((chance >> 11) as f64 / (1_u64 << 53) as f64)
}
