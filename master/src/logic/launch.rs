//! Using offers: what is launched, what is refused in words, what goes back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use libactor::Pid;
use protocol::agent::MasterToAgent;
use protocol::change::What;
use protocol::framework::{Capability, MasterToFramework, Operation};
use protocol::ids::{AgentId, FrameworkId, OfferId, Role, TaskId};
use protocol::resources::Resources;
use protocol::task::{Reason, Run, TaskSpec, TaskState};

use super::allocator::BookEntry;
use super::book::executor_of;
use super::bugs::Bug;
use super::tasks::Task;
use super::validate::{self, Refusal};
use super::{Master, Turn};

/// The offers of one call, all of one agent and role.
struct Pool {
    agent: AgentId,
    role: Role,
    numbers: BTreeSet<u64>,
    offered: Resources,
    left: Resources,
}

impl Master {
    pub(super) fn on_accept(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        offers: &[OfferId],
        operations: Vec<Operation>,
        refuse_for: Duration,
    ) {
        let tasks: Vec<TaskSpec> =
            operations.into_iter().flat_map(|Operation::Launch(tasks)| tasks).collect();
        let limits = [
            ("a call's list of offers", offers.len(), self.config.offers_per_call_max),
            ("a call's list of tasks", tasks.len(), self.config.tasks_per_call_max),
        ];
        for (what, has, max) in limits {
            if let Err(refusal) = validate::at_most(what, has, max) {
                return self.tell_error(turn, framework, refusal.to_string());
            }
        }
        let pool = match self.pool(framework, offers) {
            Ok(pool) => pool,
            Err(message) => return self.on_bad_offers(turn, framework, offers, tasks, &message),
        };
        self.use_pool(turn, framework, pool, tasks, self.refusal(refuse_for));
    }

    fn tell_error(&self, turn: &mut Turn, framework: &FrameworkId, reason: String) {
        if let Some(pid) = self.scheduler(framework) {
            turn.tell_framework(pid, MasterToFramework::Error { reason });
        }
    }

    /// All offers must be the framework's, and of one agent and role.
    fn pool(&self, framework: &FrameworkId, offers: &[OfferId]) -> Result<Pool, String> {
        let mut pool: Option<Pool> = None;
        for id in offers {
            let gone = || format!("Offer {id} is no longer valid");
            let number = self.offer_number(id).ok_or_else(gone)?;
            let offer = self.offers.find(number).ok_or_else(gone)?;
            if offer.framework != *framework {
                return Err(format!("offer {id} is not an offer to this framework"));
            }
            let Some(pool) = &mut pool else {
                pool = Some(Pool {
                    agent: offer.agent.clone(),
                    role: offer.role.clone(),
                    numbers: BTreeSet::from([number]),
                    offered: offer.resources.clone(),
                    left: offer.resources.clone(),
                });
                continue;
            };
            if offer.agent != pool.agent || offer.role != pool.role {
                return Err(format!(
                    "offer {id} is of another agent or role than the offers before it"
                ));
            }
            if !pool.numbers.insert(number) {
                return Err(format!("offer {id} is named twice"));
            }
            pool.offered.add(&offer.resources);
            pool.left.add(&offer.resources);
        }
        pool.ok_or_else(|| "No offers specified".to_owned())
    }

    /// Nothing is launched; offers that are valid return.
    fn on_bad_offers(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        offers: &[OfferId],
        tasks: Vec<TaskSpec>,
        message: &str,
    ) {
        self.on_decline(turn, framework, offers, Duration::ZERO);
        if tasks.is_empty() {
            return self.tell_error(turn, framework, message.to_owned());
        }
        for spec in tasks {
            if !self.answer_repeat(turn, framework, &spec.task) {
                let (state, reason) = (TaskState::Dropped, Reason::InvalidOffers);
                self.refuse_task(
                    turn,
                    framework,
                    &spec.task,
                    None,
                    state,
                    reason,
                    message.to_owned(),
                );
            }
        }
    }

    fn use_pool(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        mut pool: Pool,
        tasks: Vec<TaskSpec>,
        refuse_for: Duration,
    ) {
        let mut proposals = Vec::new();
        for number in &pool.numbers {
            proposals.extend(self.close_offer(turn, *number).map(|offer| offer.proposal));
        }
        // The allocator learns of the use first, so that what a task releases is in its book.
        let at = turn.entries.len();
        for spec in tasks {
            self.launch(turn, framework, &mut pool, spec);
        }
        let used = pool.offered.checked_sub(&pool.left).expect("what is left was offered");
        turn.entries.insert(at, BookEntry::Ended { proposals, used, refuse_for });
    }

    /// A launch of an id that is not ended and acknowledged is answered with how that task is, and never runs twice.
    fn launch(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        pool: &mut Pool,
        spec: TaskSpec,
    ) {
        if let Some(message) = self.is_reused(framework, &spec.task) {
            let (state, reason) = (TaskState::Error, Reason::TaskInvalid);
            let agent = Some(pool.agent.clone());
            return self.refuse_task(turn, framework, &spec.task, agent, state, reason, message);
        }
        if self.answer_repeat(turn, framework, &spec.task) {
            return;
        }
        let agent = pool.agent.clone();
        let (pid, needs) = match self.may_launch(turn, framework, pool, &spec) {
            Ok(checked) => checked,
            Err((state, reason, message)) => {
                let agent = Some(agent);
                return self
                    .refuse_task(turn, framework, &spec.task, agent, state, reason, message);
            }
        };
        pool.left = pool.left.checked_sub(&needs).expect("it was checked that the task fits");
        let runs = self.executor_runs(&agent, framework, &spec);
        if let Run::Executor { executor, .. } = &spec.run {
            self.book_executor(turn, &agent, framework, executor, &pool.role);
        }
        if let Some(entry) = self.agents.get_mut(&agent) {
            entry.book.used.add(&spec.resources);
            entry.book.tasks.insert((framework.clone(), spec.task.clone()));
            turn.book_of(entry);
        }
        let epoch = self.epoch();
        let Some(entry) = self.frameworks.get_mut(framework) else { return };
        let shared = Arc::new(spec.clone());
        let task = Task::launched(shared, agent, pool.role.clone(), turn.now.steady);
        turn.what.push(What::Task(task.report(framework).into()));
        entry.tasks.insert(spec.task.clone(), task);
        let framework = entry.info.clone();
        let role = pool.role.clone();
        let message = match runs {
            true => MasterToAgent::LaunchInRunning { epoch, framework, task: spec, role },
            false => MasterToAgent::Launch { epoch, framework, task: spec, role },
        };
        turn.tell_agent(pid, message);
    }

    /// Whether the task's executor has been heard of, and not its end: nothing is booked for another life of it.
    fn executor_runs(&self, agent: &AgentId, framework: &FrameworkId, spec: &TaskSpec) -> bool {
        let key = (framework.clone(), executor_of(spec));
        let booked = self.agents.get(agent).and_then(|agent| agent.book.executors.get(&key));
        booked.is_some_and(|booked| booked.heard && !booked.ended)
    }

    /// Whom to tell and what the task needs; or what becomes of it instead, and why.
    fn may_launch(
        &self,
        turn: &Turn,
        framework: &FrameworkId,
        pool: &Pool,
        spec: &TaskSpec,
    ) -> Result<(Pid, Resources), (TaskState, Reason, String)> {
        let (agent, dropped) = (&pool.agent, TaskState::Dropped);
        let entry = self.agents.get(agent);
        let pid = entry.and_then(|agent| agent.pid()).ok_or_else(|| {
            (dropped, Reason::AgentDisconnected, format!("agent {agent} is not connected"))
        })?;
        let key = (framework.clone(), executor_of(spec));
        let booked = entry.and_then(|agent| agent.book.executors.get(&key));
        if booked.is_some_and(|booked| booked.is_ending(turn.now.steady)) {
            let message = format!("executor {} on {agent} is being shut down", key.1);
            return Err((dropped, Reason::ExecutorTerminated, message));
        }
        let needs = self.check_launch(framework, pool, spec);
        let needs = needs
            .map_err(|refusal| (TaskState::Error, Reason::TaskInvalid, refusal.to_string()))?;
        Ok((pid, needs))
    }

    fn check_launch(
        &self,
        framework: &FrameworkId,
        pool: &Pool,
        spec: &TaskSpec,
    ) -> Result<Resources, Refusal> {
        let agent = self.agents.get(&pool.agent);
        let key = (framework.clone(), executor_of(spec));
        let running = agent.and_then(|agent| agent.book.executors.get(&key));
        let needs = validate::task(spec, running, &self.config)?;
        if let Some(lacking) = pool.left.lacking(&needs) {
            return Err(Refusal::MoreThanOffered {
                lacking: lacking.to_string(),
                needs: needs.clone(),
                offered: pool.offered.clone(),
                left: pool.left.clone(),
            });
        }
        let on_agent = agent.map_or(0, |agent| agent.book.tasks.len());
        let of_framework = self.frameworks.get(framework).map_or(0, |f| f.tasks.len());
        validate::at_most(
            "the agent's list of tasks",
            on_agent + 1,
            self.config.tasks_per_agent_max,
        )?;
        let max = self.config.tasks_per_framework_max;
        validate::at_most("the framework's list of tasks", of_framework + 1, max)?;
        Ok(needs)
    }

    /// Frameworks of Mesos's API never launch a task again: for them it is an error, in Mesos's words, if an id is in use.
    fn is_reused(&self, framework: &FrameworkId, id: &TaskId) -> Option<String> {
        if !self.frameworks.get(framework)?.has(Capability::NamesItself) {
            return None;
        }
        let is_away = self.task(framework, id)?.state == TaskState::Unreachable;
        let what =
            if is_away { "reuses the ID of an unreachable task" } else { "has duplicate ID" };
        Some(format!("Task {what}: {id}"))
    }

    /// If the task is known and not ended and acknowledged: says how it is.
    fn answer_repeat(&self, turn: &mut Turn, framework: &FrameworkId, id: &TaskId) -> bool {
        if self.config.bugs.has(Bug::RelaunchOfUnacknowledgedTask) {
            return false;
        }
        let Some(task) = self.task(framework, id) else { return false };
        let message =
            "this task is known: it was launched before and is not ended and acknowledged"
                .to_owned();
        let status = task.status(framework, turn.now.wall, Reason::Reconciliation, message);
        self.tell_status(turn, status);
        true
    }

    /// The launch could certainly not be sent.
    pub(super) fn on_launch_untold(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        id: &TaskId,
    ) {
        if self.task(framework, id).is_some_and(Task::is_staging) {
            let message = "the agent did not take the launch".to_owned();
            self.end_task(
                turn,
                framework,
                id,
                TaskState::Dropped,
                Reason::AgentDisconnected,
                message,
            );
        }
    }
}
