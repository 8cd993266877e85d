//! A driver with its author's scheduler: the one value that the actor and the simulator both run.

use std::collections::BTreeMap;

use protocol::framework::FrameworkToMaster;
use protocol::ids::{AgentId, ExecutorId, FrameworkId, OfferId};
use protocol::offer::{Offer, Unmet};
use protocol::task::{Exit, TaskStatus};
use protocol::time::Now;

use super::{Calls, Driver, Effect, Event, News, Outcome, Phase, Step, Turn};

/// What the author of a framework writes. Every method is called by one driver, one after the other; what it wants done
/// it says to [`Calls`]. A scheduler that reads no clock and draws no chance of its own runs the same in the simulator.
#[allow(unused_variables)]
pub trait Scheduler {
    /// The process is up; `stored` is what earlier lives stored. The place to state the first demand.
    fn started(&mut self, calls: &mut Calls, stored: BTreeMap<String, Vec<u8>>) {}

    /// A master has taken the framework, for the first time or again. [`Calls::tasks`] shows those it knows; what changed
    /// since is told by [`Scheduler::updated`] right after.
    fn subscribed(&mut self, calls: &mut Calls, framework: &FrameworkId) {}

    /// The master is lost. The driver looks for the next one; all open offers are void.
    fn disconnected(&mut self, calls: &mut Calls) {}

    /// Resources to use. What is neither used nor held returns when this method does.
    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {}

    /// Held offers are void.
    fn rescinded(&mut self, calls: &mut Calls, offers: &[OfferId]) {}

    /// News of a task; each is told once, and acknowledged when this method has returned and what it stored is
    /// written. After an end the id may be launched again as soon as the master has forgotten the task.
    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {}

    /// An executor says something.
    fn message(&mut self, calls: &mut Calls, agent: &AgentId, executor: &ExecutorId, data: &[u8]) {}

    /// An executor has ended; `None` if it never started. Its tasks are told by [`Scheduler::updated`].
    fn executor_ended(
        &mut self,
        calls: &mut Calls,
        agent: &AgentId,
        executor: &ExecutorId,
        exit: Option<Exit>,
    ) {
    }

    /// An agent is unreachable or gone. Its tasks are told by [`Scheduler::updated`].
    fn agent_lost(&mut self, calls: &mut Calls, agent: &AgentId) {}

    /// See [`Calls::after`].
    fn timer(&mut self, calls: &mut Calls, key: u64) {}

    /// Somebody in this process said something to the scheduler.
    fn input(&mut self, calls: &mut Calls, data: &[u8]) {}

    /// These of its needs are more than any agent has, so that no offer will come for them unless the cluster grows. Told
    /// once of each, until it is stated anew or has become possible meanwhile.
    fn unmet(&mut self, calls: &mut Calls, unmet: &[Unmet]) {
        for one in unmet {
            calls.warn(format!("no offer will come: {}", one.why));
        }
    }

    /// A call made no sense to the master; nothing was done.
    fn error(&mut self, calls: &mut Calls, reason: &str) {}

    /// The framework has ended; nothing follows.
    fn ended(&mut self, outcome: &Outcome) {}
}

/// A driver and its scheduler.
pub struct Framework<S> {
    pub(super) driver: Driver,
    pub(super) scheduler: S,
}

impl<S: Scheduler> Framework<S> {
    /// Puts them together.
    pub fn new(driver: Driver, scheduler: S) -> Self {
        Self { driver, scheduler }
    }

    /// The scheduler.
    pub fn scheduler(&self) -> &S {
        &self.scheduler
    }

    /// The driver.
    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    /// The scheduler, when all is over.
    pub fn into_scheduler(self) -> S {
        self.scheduler
    }

    /// Takes one event; returns what is to be done.
    pub fn step(&mut self, now: Now, event: Event) -> Step {
        let mut turn = Turn { now, effects: Vec::new(), news: Default::default() };
        if let (Event::Started { stored }, Phase::Idle) = (&event, &self.driver.phase) {
            let stored = stored.clone();
            let mut calls = Calls { driver: &mut self.driver, turn: &mut turn };
            self.scheduler.started(&mut calls, stored);
        }
        self.driver.hear(&mut turn, event);
        while let Some(news) = turn.news.pop_front() {
            if matches!(self.driver.phase, Phase::Ended) {
                break;
            }
            self.tell_scheduler(&mut turn, news);
            self.driver.settle_offers(&mut turn);
        }
        self.driver.settle_wishes(&mut turn);
        self.driver.settle_stop(&mut turn);
        if let Some(Effect::End(outcome)) = turn.effects.last() {
            self.scheduler.ended(outcome);
        }
        Step { effects: turn.effects }
    }

    fn tell_scheduler(&mut self, turn: &mut Turn, news: News) {
        let offered = match &news {
            News::Offers(offers) => self.driver.tell_offers(offers),
            News::Subscribed(_) | News::Disconnected | News::Rescinded(_) => Vec::new(),
            News::Updated(_) | News::Message { .. } | News::ExecutorEnded { .. } => Vec::new(),
            News::AgentLost(_) | News::Timer(_) | News::Input(_) | News::Error(_) => Vec::new(),
            News::Unmet(_) => Vec::new(),
        };
        let calls = &mut Calls { driver: &mut self.driver, turn };
        let scheduler = &mut self.scheduler;
        match news {
            News::Subscribed(framework) => scheduler.subscribed(calls, &framework),
            News::Disconnected => scheduler.disconnected(calls),
            News::Offers(_) if offered.is_empty() => (),
            News::Offers(_) => scheduler.offers(calls, offered),
            News::Rescinded(offers) => scheduler.rescinded(calls, &offers),
            News::Updated(status) => {
                scheduler.updated(calls, &status);
                self.driver.on_dealt_with(turn, &status);
            }
            News::Message { agent, executor, data } => {
                scheduler.message(calls, &agent, &executor, &data);
            }
            News::ExecutorEnded { agent, executor, exit } => {
                scheduler.executor_ended(calls, &agent, &executor, exit);
            }
            News::AgentLost(agent) => scheduler.agent_lost(calls, &agent),
            News::Unmet(unmet) => scheduler.unmet(calls, &unmet),
            News::Timer(key) => scheduler.timer(calls, key),
            News::Input(data) => scheduler.input(calls, &data),
            News::Error(reason) => scheduler.error(calls, &reason),
        }
    }
}

impl Driver {
    /// What was said and stored comes first.
    pub(crate) fn settle_stop(&mut self, turn: &mut Turn) {
        let subscribed = matches!(self.phase, Phase::Subscribed { .. });
        if self.tearing_down && subscribed && !self.tear_down_told {
            self.tear_down_told = true;
            self.tell(turn, FrameworkToMaster::Teardown);
        }
        let said = self.stores <= self.stored && self.full.is_none();
        if self.stopping && said && !matches!(self.phase, Phase::Ended) {
            self.end(turn, Outcome::Stopped);
        }
    }
}
