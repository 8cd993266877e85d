//! What agents say and do, step by step: news in order, nothing of a former life unknown, nothing killed in vain.

use std::time::Duration;

use agent::logic::{Agent, Effect, Event};
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::task::{TaskReport, TaskState, TaskStatus};

use super::{ALONE, EPOCHS, KILLED, ORDER, REPLAYED, SYNCED, WRITTEN};
use crate::network::Life;
use crate::process::{AgentBody, Seat};
use crate::truth::TaskKey;
use crate::world::World;

/// How long a launch and the kill that follows it may be on their way from an agent to an executor, repeats included.
const KILL_CROSSES: Duration = Duration::from_secs(9);

impl World {
    /// After a step of an agent: what it heard, and what it is about to do.
    pub(crate) fn check_agent_step(
        &mut self,
        life: Life,
        body: &mut AgentBody,
        heard: &Event,
        effects: &[Effect],
    ) {
        self.see_kill(life, &body.agent, heard);
        body.greeted |= body.agent.master().is_some();
        for effect in effects {
            match effect {
                Effect::TellMaster { message: AgentToMaster::Updated { status, .. }, .. } => {
                    let Some(update) = status.update else { continue };
                    self.truth.checks += 1;
                    self.check_news_written(life, status);
                    let key = (status.framework.clone(), status.task.clone(), update.source);
                    let before = body.said.insert(key, update.sequence);
                    if let Some(before) = before.filter(|before| *before > update.sequence) {
                        let words = format!(
                            "news {} of {} is told after news {before}",
                            update.sequence, status.task
                        );
                        self.violate(ORDER, words, vec![status.task.to_string()]);
                    }
                }
                Effect::TellMaster {
                    message:
                        AgentToMaster::Reregister { tasks, .. }
                        | AgentToMaster::ReregisterAt { tasks, .. },
                    ..
                }
                | Effect::ContactMaster(
                    AgentToMaster::Reregister { tasks, .. }
                    | AgentToMaster::ReregisterAt { tasks, .. },
                ) => {
                    self.check_alone(life);
                    self.check_replayed(life, body, tasks);
                }
                Effect::ContactMaster(_) => self.check_alone(life),
                Effect::TellMaster { .. } | Effect::TellExecutor { .. } | Effect::Link(_) => (),
                Effect::Unlink(_) | Effect::Write(_) | Effect::EndOldExecutor(_) => (),
                Effect::FindExecutor(_) | Effect::DropRecords(_) | Effect::DismissGateway(_) => (),
                Effect::StartExecutor(_) | Effect::SignalExecutor { .. } | Effect::Note(_) => (),
                Effect::StartTimer { .. } | Effect::Stop(_) => (),
                Effect::GiveContainer { .. } => (),
            }
        }
    }

    /// News of a task that the agent has taken is told once the disk has it.
    fn check_news_written(&mut self, life: Life, status: &TaskStatus) {
        let Seat::Agent { checkpoint, .. } = &self.processes[&life.process].seat else {
            return;
        };
        let kept = checkpoint.frameworks.get(&status.framework);
        let kept = kept.and_then(|kept| kept.tasks.get(&status.task));
        let Some(kept) = kept.filter(|_| status.executor.is_some()) else {
            return;
        };
        if !kept.updates.iter().any(|written| written.update == status.update) {
            let words =
                format!("{:?} of {} is told, and is not written", status.state, status.task);
            self.violate(WRITTEN, words, vec![status.task.to_string()]);
        }
    }

    /// Before any master has answered it, an agent has all news still that waits on its disk.
    fn check_replayed(&mut self, life: Life, body: &AgentBody, tasks: &[TaskReport]) {
        let Seat::Agent { checkpoint, .. } = &self.processes[&life.process].seat else {
            return;
        };
        self.truth.checks += 1;
        let waits = |report: &&TaskReport| {
            let kept = checkpoint.frameworks.get(&report.framework);
            let kept = kept.and_then(|kept| kept.tasks.get(&report.spec.task));
            kept.is_some_and(|kept| !kept.updates.is_empty())
        };
        let lost = tasks.iter().filter(|report| report.unacknowledged.is_none()).find(waits);
        if let Some(report) = lost.filter(|_| !body.greeted) {
            let task = &report.spec.task;
            let words =
                format!("{} returns without the news of {task}", self.name_of(life.process));
            self.violate(REPLAYED, words, vec![task.to_string()]);
        }
    }

    /// A new life of an agent has seen what the former ones had.
    pub(crate) fn check_epoch_remembered(&mut self, life: Life, agent: &Agent, written: u64) {
        self.truth.checks += 1;
        if agent.epoch() < written {
            let name = self.name_of(life.process).to_owned();
            let words = format!("{name} has seen epoch {written} and knows of {}", agent.epoch());
            self.violate(EPOCHS, words, vec![name]);
        }
    }

    /// It registers: nothing runs that an earlier life of it started and that it has not found again.
    fn check_alone(&mut self, life: Life) {
        self.truth.checks += 1;
        let left = self.system.tasks.values().find(|task| {
            match &self.processes[&task.executor.process].seat {
                Seat::Executor { parent, .. } => {
                    parent.process == life.process && parent.life != life.life
                }
                Seat::Master | Seat::Agent { .. } | Seat::Framework(_) => false,
            }
        });
        if let Some(task) = left {
            let (name, task) = (self.name_of(life.process).to_owned(), task.key.1.clone());
            let words = format!(
                "{name} registers, and {task} of its former life runs, which it does not watch"
            );
            self.violate(ALONE, words, vec![name, task.to_string()]);
        }
    }

    /// The machine of an agent has lost its power, and with it what was not synced.
    pub(crate) fn check_membership_survives(&mut self, process: u32) {
        self.truth.checks += 1;
        let Seat::Agent { checkpoint, .. } = &self.processes[&process].seat else {
            return;
        };
        let Some((id, epoch)) = self.truth.members.get(&process) else {
            return;
        };
        let left = checkpoint.member.as_ref().map(|(id, _)| id);
        if left != Some(id) || checkpoint.epoch < *epoch {
            let words = format!(
                "it was {id} in epoch {epoch}, and its disk says {left:?} in epoch {}",
                checkpoint.epoch
            );
            let name = self.name_of(process).to_owned();
            self.violate(SYNCED, words, vec![name]);
        }
    }

    fn see_kill(&mut self, life: Life, agent: &Agent, heard: &Event) {
        let Event::FromMaster { from, message } = heard else {
            return;
        };
        match message {
            MasterToAgent::Launch { framework, task, .. }
            | MasterToAgent::LaunchInRunning { framework, task, .. } => {
                let key = (framework.framework.clone(), task.task.clone());
                self.truth.kills.remove(&(life, key));
            }
            MasterToAgent::Kill { framework, task, .. } if agent.master() == Some(*from) => {
                let lives = |(f, t, state): (_, _, TaskState)| {
                    (f, t) == (framework, task) && !state.is_end()
                };
                if agent.tasks().any(lives) {
                    let key = (framework.clone(), task.clone());
                    let now = self.shown(life.process).steady;
                    self.truth.kills.entry((life, key)).or_insert(now);
                }
            }
            MasterToAgent::Kill { .. } | MasterToAgent::Acknowledge { .. } => (),
            MasterToAgent::Registered { .. } | MasterToAgent::Refused { .. } => (),
            MasterToAgent::Ping { .. } | MasterToAgent::Reconcile { .. } => (),
            MasterToAgent::FrameworkUpdated { .. } => (),
            MasterToAgent::ToExecutor { .. } | MasterToAgent::ShutdownExecutor { .. } => (),
            MasterToAgent::ShutdownFramework { .. } | MasterToAgent::Shutdown { .. } => (),
            MasterToAgent::ReturnNow { .. } | MasterToAgent::ReturnLater { .. } => (),
            MasterToAgent::RegisterAgain { .. } => (),
        }
    }

    /// A task's process starts.
    pub(crate) fn check_not_killed(&mut self, executor: Life, key: &TaskKey) {
        let Seat::Executor { parent, .. } = &self.processes[&executor.process].seat else {
            return;
        };
        self.truth.checks += 1;
        let now = self.shown(parent.process).steady;
        let told = self.truth.kills.get(&(*parent, key.clone()));
        if let Some(told) = told.filter(|told| **told + KILL_CROSSES < now) {
            let words = format!("{} was to be killed at {told:?} and starts now", key.1);
            self.violate(KILLED, words, vec![key.1.to_string()]);
        }
    }
}
