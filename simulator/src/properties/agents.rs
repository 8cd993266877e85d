//! What agents say and do, step by step: news in order, nothing of a former life unknown, nothing killed in vain.

use std::time::Duration;

use agent::logic::{Agent, Effect, Event};
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::task::TaskState;

use super::{ALONE, KILLED, ORDER};
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
        for effect in effects {
            match effect {
                Effect::TellMaster { message: AgentToMaster::Updated { status, .. }, .. } => {
                    let Some(update) = status.update else { continue };
                    self.truth.checks += 1;
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
                Effect::ContactMaster(_) => self.check_alone(life),
                Effect::TellMaster { .. } | Effect::TellExecutor { .. } | Effect::Link(_) => (),
                Effect::Unlink(_) | Effect::Write(_) | Effect::EndOldExecutor(_) => (),
                Effect::FindExecutor(_) | Effect::DropRecords(_) => (),
                Effect::StartExecutor(_) | Effect::SignalExecutor { .. } | Effect::Note(_) => (),
                Effect::StartTimer { .. } | Effect::Stop(_) => (),
            }
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

    fn see_kill(&mut self, life: Life, agent: &Agent, heard: &Event) {
        let Event::FromMaster { from, message } = heard else {
            return;
        };
        match message {
            MasterToAgent::Launch { framework, task, .. } => {
                let key = (framework.framework.clone(), task.task.clone());
                self.truth.kills.remove(&(life, key));
            }
            MasterToAgent::Kill { framework, task, .. } if agent.master() == Some(*from) => {
                let lives = |(f, t, state): (_, _, TaskState)| {
                    (f, t) == (framework, task) && !state.is_end()
                };
                if agent.tasks().any(lives) {
                    let key = (framework.clone(), task.clone());
                    self.truth.kills.entry((life, key)).or_insert(self.queue.now());
                }
            }
            MasterToAgent::Kill { .. } | MasterToAgent::Acknowledge { .. } => (),
            MasterToAgent::Registered { .. } | MasterToAgent::Refused { .. } => (),
            MasterToAgent::Ping { .. } | MasterToAgent::Reconcile { .. } => (),
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
        let told = self.truth.kills.get(&(*parent, key.clone()));
        if let Some(told) = told.filter(|told| **told + KILL_CROSSES < self.queue.now()) {
            let words = format!("{} was to be killed at {told:?} and starts now", key.1);
            self.violate(KILLED, words, vec![key.1.to_string()]);
        }
    }
}
