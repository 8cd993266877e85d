//! How an agent says who it is, to whoever has the master's name: again and again until it is answered.

use std::time::Duration;

use protocol::agent::{AgentToMaster, ExecutorReport};
use protocol::ids::AgentId;
use protocol::task::TaskReport;

use super::Phase;
use crate::logic::checkpoint::Record;
use crate::logic::notice::Notice;
use crate::logic::{Agent, Effect, Timer, Turn};

/// After this many unanswered attempts, and again after each further so many, the operator is told.
const ATTEMPTS_SAID: u32 = 5;

impl Agent {
    /// The first attempt comes after a share of `within` that chance chooses: a master that returns is not to be met by
    /// all agents at once.
    pub(super) fn contact_from_now_on(&mut self, turn: &mut Turn, within: Duration) {
        let generation = self.membership.enter(Phase::Contacting { attempts: 0 });
        if within.is_zero() {
            self.on_contact_due(turn, generation);
        } else {
            let after = share(within, self.chance.draw());
            turn.start(Timer::Contact { generation }, after);
        }
    }

    pub(in crate::logic) fn on_contact_due(&mut self, turn: &mut Turn, generation: u64) {
        let current = generation == self.membership.generation;
        let Phase::Contacting { attempts } = &mut self.membership.phase else {
            return;
        };
        if !current {
            return;
        }
        if self.membership.member.is_none() && !self.membership.nonce_is_written {
            return turn.push(Effect::Write(Record::Registering { nonce: self.membership.nonce }));
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
        let Some((agent, cluster)) = &self.membership.member else {
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
                    role: executor.role.clone(),
                })
                .collect(),
            frameworks: self.state.live_frameworks().cloned().collect(),
            epoch: self.membership.epoch,
            cluster: cluster.clone(),
        }
    }

    fn task_reports(&self, agent: &AgentId) -> Vec<TaskReport> {
        let reported = |(framework, _, task): (&_, &_, &crate::logic::state::Task)| {
            let spec = task.spec.clone()?;
            Some(TaskReport {
                framework: Clone::clone(framework),
                spec,
                agent: agent.clone(),
                executor: task.executor.clone(),
                state: task.state,
                unacknowledged: task.updates.back().cloned(),
                role: task.role.clone(),
            })
        };
        self.state.tasks().filter_map(reported).collect()
    }
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
