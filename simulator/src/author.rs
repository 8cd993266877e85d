//! Schedulers of any type, run by one world: what their authors write, wrapped so that everything they are told is seen.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use protocol::ids::{AgentId, ExecutorId, FrameworkId, OfferId};
use protocol::offer::Offer;
use protocol::task::{Exit, TaskStatus};
use protocol::time::Now;
use sdk::logic::{Calls, Driver, Event, Framework, Outcome, Scheduler, Step};

/// What a scheduler was told, in order, since it was last asked; with the number of what it stored for it, if it did.
pub(crate) type Heard = Rc<RefCell<Vec<(TaskStatus, Option<u64>)>>>;

/// A framework of some scheduler.
pub(crate) trait AnyFramework {
    fn step(&mut self, now: Now, event: Event) -> Step;
    fn driver(&self) -> &Driver;
    fn scheduler(&self) -> &dyn Any;
    fn take_heard(&mut self) -> Vec<(TaskStatus, Option<u64>)>;
}

/// Makes a scheduler for each life of its process.
pub(crate) trait MakeScheduler {
    fn make(&mut self, driver: Driver) -> Box<dyn AnyFramework>;
    /// For another process of the same framework.
    fn again(&self) -> Box<dyn MakeScheduler>;
}

/// Every life begins with a copy of this scheduler.
pub(crate) struct Copies<S>(pub(crate) S);

impl<S: Scheduler + Clone + 'static> MakeScheduler for Copies<S> {
    fn make(&mut self, driver: Driver) -> Box<dyn AnyFramework> {
        witnessed(driver, self.0.clone())
    }

    fn again(&self) -> Box<dyn MakeScheduler> {
        Box::new(Self(self.0.clone()))
    }
}

/// Puts a driver and a scheduler together, so that everything that the scheduler is told is seen.
pub(crate) fn witnessed<S: Scheduler + 'static>(driver: Driver, inner: S) -> Box<dyn AnyFramework> {
    let heard = Heard::default();
    let witness = Witness { inner, heard: heard.clone() };
    Box::new(Run { framework: Framework::new(driver, witness), heard })
}

struct Run<S> {
    framework: Framework<Witness<S>>,
    heard: Heard,
}

impl<S: Scheduler + 'static> AnyFramework for Run<S> {
    fn step(&mut self, now: Now, event: Event) -> Step {
        self.framework.step(now, event)
    }

    fn driver(&self) -> &Driver {
        self.framework.driver()
    }

    fn scheduler(&self) -> &dyn Any {
        &self.framework.scheduler().inner
    }

    fn take_heard(&mut self) -> Vec<(TaskStatus, Option<u64>)> {
        self.heard.take()
    }
}

/// Passes everything on, and writes down what was told of tasks.
struct Witness<S> {
    inner: S,
    heard: Heard,
}

impl<S: Scheduler> Scheduler for Witness<S> {
    fn started(&mut self, calls: &mut Calls, stored: BTreeMap<String, Vec<u8>>) {
        self.inner.started(calls, stored);
    }

    fn subscribed(&mut self, calls: &mut Calls, framework: &FrameworkId) {
        self.inner.subscribed(calls, framework);
    }

    fn disconnected(&mut self, calls: &mut Calls) {
        self.inner.disconnected(calls);
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        self.inner.offers(calls, offers);
    }

    fn rescinded(&mut self, calls: &mut Calls, offers: &[OfferId]) {
        self.inner.rescinded(calls, offers);
    }

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        let before = calls.stores();
        self.inner.updated(calls, status);
        let stored = Some(calls.stores()).filter(|after| *after > before);
        self.heard.borrow_mut().push((status.clone(), stored));
    }

    fn message(&mut self, calls: &mut Calls, agent: &AgentId, executor: &ExecutorId, data: &[u8]) {
        self.inner.message(calls, agent, executor, data);
    }

    fn executor_ended(
        &mut self,
        calls: &mut Calls,
        agent: &AgentId,
        executor: &ExecutorId,
        exit: Option<Exit>,
    ) {
        self.inner.executor_ended(calls, agent, executor, exit);
    }

    fn agent_lost(&mut self, calls: &mut Calls, agent: &AgentId) {
        self.inner.agent_lost(calls, agent);
    }

    fn timer(&mut self, calls: &mut Calls, key: u64) {
        self.inner.timer(calls, key);
    }

    fn input(&mut self, calls: &mut Calls, data: &[u8]) {
        self.inner.input(calls, data);
    }

    fn error(&mut self, calls: &mut Calls, reason: &str) {
        self.inner.error(calls, reason);
    }

    fn ended(&mut self, outcome: &Outcome) {
        self.inner.ended(outcome);
    }
}
