//! Agents that come back: who may speak for an agent id, and how what the agent knows and what the master knows become
//! one.

use std::collections::BTreeSet;

use libactor::{Pid, Principal};
use protocol::agent::{AgentInfo, AgentToMaster, ExecutorReport, MasterToAgent};
use protocol::change::{AgentNews, What};
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ClusterId};
use protocol::task::{Reason, Run, TaskReport, TaskState};
use protocol::wishes::FaultDomain;
use serde::{Deserialize, Serialize};

use super::{Agent, Connection, Contest, Phase, domain};
use crate::logic::authorize::{Action, authorize};
use crate::logic::book::{Holder, sum_of};
use crate::logic::bugs::Bug;
use crate::logic::registry::{AgentEntry, RegistryOperation};
use crate::logic::{Effect, Master, TaskKey, Turn, validate};

/// What an agent said when it came back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::logic) struct Return {
    pub(in crate::logic) from: Pid,
    pub(in crate::logic) info: AgentInfo,
    pub(in crate::logic) domain: Option<FaultDomain>,
    pub(in crate::logic) tasks: Vec<TaskReport>,
    pub(in crate::logic) executors: Vec<ExecutorReport>,
    pub(in crate::logic) frameworks: Vec<FrameworkInfo>,
    pub(in crate::logic) epoch: u64,
    pub(in crate::logic) cluster: ClusterId,
}

impl Return {
    /// Who comes back, and what it says; of another message nothing.
    pub(super) fn heard(from: Pid, message: AgentToMaster) -> Option<(AgentId, Self)> {
        let mut place = None;
        if let AgentToMaster::ReregisterAt { domain, .. } = &message {
            place = Some(domain.clone());
        }
        let (AgentToMaster::Reregister {
            agent,
            info,
            tasks,
            executors,
            frameworks,
            epoch,
            cluster,
        }
        | AgentToMaster::ReregisterAt {
            domain: _,
            agent,
            info,
            tasks,
            executors,
            frameworks,
            epoch,
            cluster,
        }) = message
        else {
            return None;
        };
        let domain = place;
        let back = Self { from, info, domain, tasks, executors, frameworks, epoch, cluster };
        Some((agent, back))
    }

    /// Of an agent that was admitted and never heard of it.
    pub(super) fn of_nothing(
        from: Pid,
        info: AgentInfo,
        domain: Option<FaultDomain>,
        cluster: ClusterId,
    ) -> Self {
        Self {
            from,
            info,
            domain,
            tasks: Vec::new(),
            executors: Vec::new(),
            frameworks: Vec::new(),
            epoch: 0,
            cluster,
        }
    }
}

/// What to do about a return.
enum Answer {
    /// It is answered when a write or a contest is over, or it was overtaken.
    Wait,
    /// A repeat of what was answered.
    Repeat,
    /// Another process holds the id.
    Contest,
    /// Welcome.
    Back,
}

impl Master {
    pub(super) fn on_reregister(
        &mut self,
        turn: &mut Turn,
        principal: Principal,
        id: &AgentId,
        back: Return,
    ) {
        self.hear_return(turn, principal, id, back);
        if !self.is_being_written(id) {
            self.has_entered(turn, id);
        }
    }

    /// Whether an agent of this id may be heard at all; who may not is told so.
    pub(super) fn may_speak_for(
        &self,
        turn: &mut Turn,
        principal: Principal,
        id: &AgentId,
        from: Pid,
        cluster: &ClusterId,
        epoch: u64,
    ) -> bool {
        if let Err(refused) = authorize(principal, Action::JoinAsAgent, id.as_str()) {
            self.refuse_agent(turn, from, refused.to_string());
            return false;
        }
        // Before the epoch: another cluster counts its own, and says nothing of this master's reign.
        let ours = &self.registry.cluster;
        if cluster != ours {
            let reason = format!(
                "agent {id} belongs to cluster {cluster}, but this master leads cluster {ours}: give the agent another --work_dir to join this one, or that cluster's --master"
            );
            self.refuse_agent(turn, from, reason);
            return false;
        }
        if epoch > self.epoch() {
            let reason = format!("agent {id} has seen epoch {epoch}");
            turn.effects.push(Effect::StepDown { reason });
            return false;
        }
        if !self.agents.contains_key(id) {
            let reason = format!(
                "agent {id} is not known to cluster {ours} any more: it was removed, so give it another --work_dir to join anew"
            );
            let (epoch, cluster) = (self.epoch(), ours.clone());
            let shutdown = MasterToAgent::Shutdown { epoch, reason: reason.clone(), cluster };
            turn.tell_agent(from, shutdown);
            // One of version 1 knows only this.
            self.refuse_agent(turn, from, reason);
            return false;
        }
        true
    }

    fn hear_return(&mut self, turn: &mut Turn, principal: Principal, id: &AgentId, back: Return) {
        if !self.may_speak_for(turn, principal, id, back.from, &back.cluster, back.epoch) {
            return;
        }
        if let Err(refusal) = validate::agent(&back.info, &self.config) {
            return self.refuse_agent(turn, back.from, refusal.to_string());
        }
        if domain::fits(back.domain.as_ref(), &self.config).is_err() {
            return self.put_off(turn, id, back.from);
        }
        let Some(agent) = self.agents.get(id) else { return };
        let answer = match &agent.phase {
            Phase::Active(connection) if connection.pid == back.from => Answer::Repeat,
            Phase::Active(_) => Answer::Contest,
            Phase::Marking(_) | Phase::Returning(_) | Phase::Leaving => Answer::Wait,
            Phase::Recovered | Phase::Disconnected | Phase::Unreachable => Answer::Back,
        };
        match answer {
            Answer::Wait => match self.agents.get_mut(id).map(|agent| &mut agent.phase) {
                Some(Phase::Returning(earlier)) => **earlier = back,
                Some(Phase::Marking(earlier)) => *earlier = Some(Box::new(back)),
                Some(Phase::Recovered | Phase::Active(_) | Phase::Disconnected) => (),
                Some(Phase::Unreachable | Phase::Leaving) | None => (),
            },
            Answer::Repeat => {
                // Who speaks lives, whatever became of its pongs.
                if let Some(Agent { phase: Phase::Active(connection), .. }) =
                    self.agents.get_mut(id)
                {
                    connection.unanswered = 0;
                }
                self.spare(turn, id);
                self.tell_registered(turn, id, back.from);
                let before = self.holders_on(id);
                let held = self.reconcile_agent(turn, id, &back, true);
                if held != before {
                    self.reopen_book(turn, id, held);
                }
            }
            Answer::Contest => self.on_contest(turn, id, back),
            Answer::Back => self.take_back(turn, id, back),
        }
    }

    /// What an active agent holds is not what was thought: offers of it are void, and the allocator begins anew.
    fn reopen_book(&mut self, turn: &mut Turn, id: &AgentId, held: Vec<Holder>) {
        self.rescind_all_of_agent(turn, id);
        let ping_every = self.config.ping_every;
        if let Some(agent) = self.agents.get_mut(id) {
            agent.generation += 1;
            let timer =
                crate::logic::Timer::Ping { agent: id.clone(), generation: agent.generation };
            turn.start(timer, ping_every);
        }
        self.open_book(turn, id, held);
    }

    /// The holder of the id is asked whether it lives; the claimant repeats itself and is answered then. A holder that
    /// says nothing in time has lost.
    fn on_contest(&mut self, turn: &mut Turn, id: &AgentId, back: Return) {
        let (epoch, now) = (self.epoch(), turn.now.steady);
        let Some(Agent { phase: Phase::Active(holder), .. }) = self.agents.get_mut(id) else {
            return;
        };
        let Connection { pid, sequence, contest, .. } = holder;
        match contest {
            Some(contest) if contest.from == back.from => {
                if now.since(contest.since) >= self.config.contest_timeout {
                    self.disconnect(turn, id);
                    if let Some(agent) = self.agents.get_mut(id) {
                        agent.enter(Phase::Disconnected);
                    }
                    self.take_back(turn, id, back);
                }
            }
            Some(_) | None => {
                *sequence += 1;
                *contest = Some(Contest { from: back.from, sequence: *sequence, since: now });
                let (pid, sequence) = (*pid, *sequence);
                turn.tell_agent(pid, MasterToAgent::Ping { epoch, sequence });
            }
        }
    }

    /// Written first, if the registry says otherwise.
    pub(super) fn take_back(&mut self, turn: &mut Turn, id: &AgentId, back: Return) {
        let as_it_is = |entry: &AgentEntry| {
            entry.unreachable.is_none() && entry.info == back.info && entry.domain == back.domain
        };
        if self.registry.agents.get(id).is_some_and(as_it_is) {
            return self.welcome_back(turn, id, &back);
        }
        let (info, domain) = (back.info.clone(), back.domain.clone());
        turn.write(RegistryOperation::MarkReachable { agent: id.clone(), info, domain });
        if self.config.bugs.has(Bug::RegistryToldBeforeWritten) {
            self.tell_registered(turn, id, back.from);
        }
        if let Some(agent) = self.agents.get_mut(id) {
            agent.enter(Phase::Returning(Box::new(back)));
        }
    }

    pub(in crate::logic) fn on_reachable_written(&mut self, turn: &mut Turn, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        if !matches!(agent.phase, Phase::Returning(_)) {
            return;
        }
        if let Phase::Returning(back) = std::mem::replace(&mut agent.phase, Phase::Disconnected) {
            self.take_back(turn, id, *back);
        }
    }

    fn welcome_back(&mut self, turn: &mut Turn, id: &AgentId, back: &Return) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let same_process = agent.last == Some(back.from);
        agent.describe(back.info.clone());
        agent.domain = back.domain.clone();
        turn.what.push(What::AgentNews { agent: id.clone(), news: AgentNews::Reregistered });
        self.connect(turn, id, back.from);
        let held = self.reconcile_agent(turn, id, back, same_process);
        self.open_book(turn, id, held);
    }

    /// Both ways: what the agent has is learned; what it does not have has ended, unless a launch may still be on its way
    /// to the very same process. Who holds what then.
    fn reconcile_agent(
        &mut self,
        turn: &mut Turn,
        id: &AgentId,
        back: &Return,
        same_process: bool,
    ) -> Vec<Holder> {
        let mut known = BTreeSet::new();
        if let Some(agent) = self.agents.get_mut(id) {
            agent.strays.clear();
            known.clone_from(&agent.book.tasks);
        }
        for info in &back.frameworks {
            self.learn_framework(turn, info);
        }
        self.learn_executors(turn, id, back);
        let earlier = |report: &&TaskReport| self.is_report_of_earlier_task(report);
        let (earlier, tasks): (Vec<_>, Vec<_>) = back.tasks.iter().partition(earlier);
        for report in earlier {
            if let Some(news) = &report.unacknowledged {
                self.acknowledge_again(turn, back.from, news);
            }
        }
        let (forsaken, tasks): (Vec<_>, Vec<_>) =
            tasks.into_iter().partition(|report| self.is_forsaken(turn, id, back.from, report));
        for report in &tasks {
            self.learn_task(turn, id, back.from, report);
        }
        // What is not heard of any more is known to be over.
        if forsaken.is_empty()
            && let Some(agent) = self.agents.get_mut(id)
        {
            agent.forsaken.clear();
        }
        self.end_what_is_missing(turn, id, back.from, known, &tasks, same_process);
        let entry = self.agents.get_mut(id);
        if entry.is_some_and(|agent| std::mem::take(&mut agent.was_given_up)) {
            self.kill_what_was_to_end(turn, id, &tasks);
        }
        self.drop_missing_executors(turn, id, &back.executors);
        let held = self.holders_on(id);
        if let Some(agent) = self.agents.get_mut(id) {
            agent.book.used = sum_of(&held);
            turn.book_of(agent);
        }
        for info in &back.frameworks {
            let epoch = self.epoch();
            let message = match self.frameworks.get(&info.framework) {
                Some(known) if known.is_removed() => None,
                Some(known) if known.info == *info => continue,
                Some(known) => Some(known.info.clone()),
                None => None,
            };
            let framework = info.framework.clone();
            let message = message
                .map_or(MasterToAgent::ShutdownFramework { epoch, framework }, |framework| {
                    MasterToAgent::FrameworkUpdated { epoch, framework }
                });
            turn.tell_agent(back.from, message);
        }
        held
    }

    /// Those of command tasks are not booked: they hold nothing of their own.
    fn learn_executors(&mut self, turn: &mut Turn, id: &AgentId, back: &Return) {
        let of_commands =
            back.tasks.iter().filter(|report| matches!(report.spec.run, Run::Command(_)));
        let of_commands = of_commands.map(|report| (&report.framework, &report.executor));
        let of_commands = of_commands.collect::<BTreeSet<_>>();
        for ExecutorReport { framework, spec, container: _, role } in &back.executors {
            if of_commands.contains(&(framework, &spec.executor))
                || validate::reported("an executor", role, &spec.resources).is_err()
            {
                continue;
            }
            if self.frameworks.contains_key(framework) {
                self.book_executor(turn, id, framework, spec, role);
                self.executor_heard(id, framework, &spec.executor);
            }
        }
    }

    fn drop_missing_executors(
        &mut self,
        turn: &mut Turn,
        id: &AgentId,
        reports: &[ExecutorReport],
    ) {
        let has = reports.iter().map(|r| (&r.framework, &r.spec.executor)).collect::<BTreeSet<_>>();
        let Some(agent) = self.agents.get(id) else { return };
        let booked = agent.book.executors.keys().filter(|(f, e)| !has.contains(&(f, e))).cloned();
        for (framework, executor) in booked.collect::<Vec<_>>() {
            if !self.has_tasks(id, &framework, &executor) {
                self.unbook_executor(turn, id, &framework, &executor);
                continue;
            }
            // A launch of its tasks may be on its way, and starts another life of it; else it goes with the last of them.
            let key = (framework, executor);
            let entry = self.agents.get_mut(id);
            if let Some(booked) = entry.and_then(|agent| agent.book.executors.get_mut(&key)) {
                booked.heard = false;
            }
        }
    }

    /// Of those that were known before.
    fn end_what_is_missing(
        &mut self,
        turn: &mut Turn,
        id: &AgentId,
        from: Pid,
        mut missing: BTreeSet<TaskKey>,
        reported: &[&TaskReport],
        same_process: bool,
    ) {
        for report in reported {
            if missing.is_empty() {
                break;
            }
            missing.remove(&(report.framework.clone(), report.spec.task.clone()));
        }
        let mut asked = Vec::new();
        for (framework, task) in missing {
            let Some(known) = self.task(&framework, &task) else { continue };
            if known.state.is_end() {
                self.forget(turn, &framework, &task);
            } else if same_process {
                asked.push((framework, task));
            } else {
                let state = if known.is_staging() { TaskState::Dropped } else { TaskState::Lost };
                let message = format!("agent {id} came back without it");
                self.end_task(turn, &framework, &task, state, Reason::AgentRestarted, message);
            }
        }
        if let Some(agent) = self.agents.get_mut(id) {
            agent.doubted = asked.iter().cloned().collect();
        }
        if !asked.is_empty() {
            let message = MasterToAgent::Reconcile { epoch: self.epoch(), tasks: asked };
            turn.tell_agent(from, message);
        }
    }
}
