//! What schedulers are told of their tasks, and what they do about it.

use protocol::framework::{FrameworkToMaster, Operation};
use protocol::task::{Exit, TaskState, TaskStatus};
use sdk::logic::{Outcome, Phase};

use super::{LIVES, ONCE, RELAUNCH, STATES, TRUTH, WRITTEN};
use crate::network::Life;
use crate::process::{Body, FrameworkBody};
use crate::truth::{Known, TaskKey};
use crate::world::World;

impl World {
    /// What a scheduler has just been told.
    pub(crate) fn check_told(&mut self, life: Life, body: &mut FrameworkBody) {
        for (status, stored) in body.framework.take_heard() {
            if let (Some(update), Some(number)) = (status.update, stored) {
                body.stores_for.insert(update, number);
            }
            self.truth.checks += 1;
            self.check_one_told(life.process, &status);
        }
    }

    fn check_one_told(&mut self, process: u32, status: &TaskStatus) {
        let subjects = || vec![status.task.to_string()];
        let key = (process, status.task.clone());
        let name = self.name_of(process).to_owned();
        let before = self.truth.known.get(&key).cloned();
        match &before {
            Some(known) if known.state.is_end() => {
                let words = format!(
                    "{name} is told {:?} of {} after {:?}",
                    status.state, status.task, known.state
                );
                self.violate(ONCE, words, subjects());
            }
            Some(known) if !known.state.can_become(status.state) => {
                let words = format!(
                    "{name} is told {:?} of {} after {:?}",
                    status.state, status.task, known.state
                );
                self.violate(STATES, words, subjects());
            }
            Some(_) | None => (),
        }
        self.truth.known.insert(key, Known { state: status.state, launching: false });
        self.check_end_is_true(process, status);
        self.check_fate_told(status);
    }

    /// `Lost` and `Gone` only say that somebody gave up; every other end says that nothing runs.
    fn check_end_is_true(&mut self, process: u32, status: &TaskStatus) {
        let key = (status.framework.clone(), status.task.clone());
        if self.was_superseded(process, &key) {
            return;
        }
        let runs = self.truth.running.get(&key).copied();
        let ended = self.truth.ended.get(&key).copied();
        let lie = match status.state {
            TaskState::Finished => runs.is_some() || ended != Some(Exit::Code(0)),
            TaskState::Failed | TaskState::Killed | TaskState::Error | TaskState::Dropped => {
                runs.is_some()
            }
            TaskState::Lost | TaskState::Gone | TaskState::GoneByOperator => false,
            TaskState::Staging | TaskState::Starting | TaskState::Running | TaskState::Killing => {
                false
            }
            TaskState::Unreachable | TaskState::Unknown => false,
        };
        if lie {
            let words = format!(
                "{} is told to be {:?} ({}), but process {runs:?} runs and the last one ended with {ended:?}",
                status.task, status.state, status.message
            );
            self.violate(TRUTH, words, vec![status.task.to_string()]);
        }
    }

    /// Another life of the framework's scheduler is with a master and has launched the task anew. What this one is still told,
    /// before it hears that it is over for it, is of the task before.
    fn was_superseded(&self, process: u32, key: &TaskKey) -> bool {
        let launcher = self.truth.launched_by.get(key).filter(|launcher| **launcher != process);
        launcher.is_some_and(|launcher| match &self.processes[launcher].body {
            Some(Body::Framework(body)) => {
                matches!(body.framework.driver().phase(), Phase::Subscribed { .. })
            }
            Some(Body::Master(_) | Body::Agent(_) | Body::Executor(_) | Body::Custom(_)) | None => {
                false
            }
        })
    }

    /// What it stored when it was told is written before the master hears that it was dealt with.
    pub(crate) fn check_acknowledged(
        &mut self,
        life: Life,
        body: &FrameworkBody,
        message: &FrameworkToMaster,
    ) {
        let FrameworkToMaster::Acknowledge { task, update, .. } = message else {
            return;
        };
        self.truth.checks += 1;
        let needs = body.stores_for.get(update).copied().unwrap_or(0);
        if needs > body.stored {
            let words = format!(
                "{} acknowledges news of {task} before what it stored for it, number {needs}, is written",
                self.name_of(life.process)
            );
            self.violate(WRITTEN, words, vec![task.to_string()]);
        }
    }

    /// What a scheduler has launched after its end was dealt with is another task from here on, even if the master is lost
    /// before it is told.
    pub(crate) fn see_launches(&mut self, life: Life, body: &FrameworkBody) {
        for (task, booked) in body.framework.driver().book() {
            if booked.unconfirmed.is_none() || booked.state != TaskState::Staging {
                continue;
            }
            if let Some(known) = self.truth.known.get_mut(&(life.process, task.clone()))
                && known.state.is_end()
            {
                *known = Known { state: TaskState::Staging, launching: true };
            }
        }
    }

    /// What a scheduler tells the master to launch.
    pub(crate) fn check_launches(&mut self, life: Life, message: &FrameworkToMaster) {
        let FrameworkToMaster::Accept { operations, .. } = message else {
            return;
        };
        let framework = self.framework_seat(life.process).and_then(|seat| seat.remembered.clone());
        for operation in operations {
            let Operation::Launch(tasks) = operation;
            for spec in tasks {
                self.truth.checks += 1;
                if let Some(framework) = framework.clone() {
                    let key = (framework, spec.task.clone());
                    self.see_fate(&key, spec.fate());
                    self.truth.launched_by.insert(key, life.process);
                }
                let key = (life.process, spec.task.clone());
                let fresh = Known { state: TaskState::Staging, launching: false };
                let before = self.truth.known.insert(key, fresh);
                if let Some(known) =
                    before.filter(|known| !known.state.is_end() && !known.launching)
                {
                    let words = format!(
                        "{} launches {} again, of which it was last told {:?}",
                        self.name_of(life.process),
                        spec.task,
                        known.state
                    );
                    self.violate(RELAUNCH, words, vec![spec.task.to_string()]);
                }
            }
        }
    }

    /// A new life of a scheduler has been told nothing.
    pub(crate) fn forget_told(&mut self, process: u32) {
        self.truth.known.retain(|(of, _), _| *of != process);
    }

    /// Schedulers end when they want to, when another takes over, and when their framework is removed; not otherwise.
    pub(crate) fn check_scheduler_may_end(&mut self, life: Life, outcome: &Outcome) {
        let remembered = self.framework_seat(life.process).and_then(|seat| seat.remembered.clone());
        let removed = remembered.as_ref().is_none_or(|id| self.registry.removed.contains_key(id));
        let may = match outcome {
            Outcome::Stopped => true,
            Outcome::TornDown => removed,
            Outcome::FailedOver => self.truth.families.contains_key(&life.process),
            Outcome::Refused(_) => removed,
            // Only who was elected.
            Outcome::Deposed(_) => self.stands_by(life.process),
        };
        if !may {
            let name = self.name_of(life.process).to_owned();
            let id = remembered.map(|id| id.to_string()).unwrap_or_default();
            self.violate(LIVES, format!("{name} ends: {outcome}"), vec![name, id]);
        }
    }
}
