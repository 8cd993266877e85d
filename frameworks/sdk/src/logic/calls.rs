//! What a scheduler may do while it is told something.

use std::time::Duration;

use protocol::framework::FrameworkToMaster;
use protocol::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use protocol::offer::Offer;
use protocol::resources::Resources;
use protocol::task::TaskSpec;
use protocol::time::Now;
use protocol::wishes::FaultDomain;

use super::{Driver, Effect, Timer, Turn, ViewedTask};

/// Why a task was not launched. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotLaunched {
    /// A task of this id is launched, or has ended and its end is not yet dealt with.
    #[error("launch task {0}: a task of this id has not ended")]
    TaskKnown(TaskId),
    /// The offer was answered, rescinded or never there.
    #[error("launch on offer {0}: the offer is not open")]
    NoOffer(OfferId),
    /// More than is left of the offer; this is the first that lacks.
    #[error("launch on an offer: what is left of it does not hold {0}")]
    DoesNotFit(String),
    /// The master does not keep up with what this framework says; the resources are offered again.
    #[error("launch task {0}: the way to the master is full")]
    NoRoom(TaskId),
    /// A limit of the driver is reached.
    #[error("launch a task: too many tasks at once")]
    TooMany,
}

/// Given to each method of a scheduler. Offers that were neither used nor held return when the method returns.
pub struct Calls<'a> {
    pub(super) driver: &'a mut Driver,
    pub(super) turn: &'a mut Turn,
}

impl Calls<'_> {
    /// When this happens; the same wherever the scheduler asks during one call.
    pub fn now(&self) -> Now {
        self.turn.now
    }

    /// The framework's id, once a master gave it one.
    pub fn framework(&self) -> Option<&FrameworkId> {
        self.driver.framework.as_ref()
    }

    /// All tasks that have not ended as far as the scheduler was told, as the master has them. One that was given up for
    /// lost and turned up again is not among them: it is being killed, and nothing more is told of it.
    pub fn tasks(&self) -> impl Iterator<Item = (&TaskId, &ViewedTask)> {
        let settled = &self.driver.settled;
        self.driver.view.tasks.iter().filter(|(task, _)| !settled.contains(task))
    }

    /// One of [`Calls::tasks`].
    pub fn task(&self, task: &TaskId) -> Option<&ViewedTask> {
        self.driver.view.tasks.get(task).filter(|_| !self.driver.settled.contains(task))
    }

    /// Whether a task of this id was launched and has not ended.
    pub fn knows(&self, task: &TaskId) -> bool {
        self.driver.book.contains_key(task) || self.driver.view.tasks.contains_key(task)
    }

    /// Launches a task on an offer. What several tasks take together is watched.
    pub fn launch(&mut self, offer: &Offer, task: TaskSpec) -> Result<(), NotLaunched> {
        self.driver.launch(self.turn, &offer.offer, task)
    }

    /// What is left of an offer.
    pub fn left_of(&self, offer: &Offer) -> Resources {
        self.driver.left_of(&offer.offer)
    }

    /// Where the agent of an open offer is, if its operator says so and the master tells; one of version 1 does not.
    pub fn domain_of(&self, offer: &Offer) -> Option<&FaultDomain> {
        self.driver.offers.get(&offer.offer)?.domain.as_ref()
    }

    /// Keeps an unused offer for later. It is returned before the master's lease of it ends.
    pub fn hold(&mut self, offer: &Offer) {
        self.driver.hold(self.turn, &offer.offer);
    }

    /// Writes a warning to this process's log.
    pub fn warn(&mut self, words: String) {
        self.turn.effects.push(Effect::Warn(words));
    }

    /// Ends a task. Said again after each return to a master, until the task has ended.
    pub fn kill(&mut self, task: &TaskId) {
        self.driver.kill(self.turn, task, None);
    }

    /// Ends a task that has so long between the polite and the final signal. A kill that is under way may be shortened.
    pub fn kill_within(&mut self, task: &TaskId, grace: Duration) {
        self.driver.kill(self.turn, task, Some(grace));
    }

    /// Says something to an executor; may be lost.
    pub fn message(&mut self, agent: &AgentId, executor: &ExecutorId, data: Vec<u8>) {
        let (agent, executor) = (agent.clone(), executor.clone());
        self.driver.tell(self.turn, FrameworkToMaster::ToExecutor { agent, executor, data });
    }

    /// Ends an executor with all its tasks.
    pub fn shutdown_executor(&mut self, agent: &AgentId, executor: &ExecutorId) {
        let (agent, executor) = (agent.clone(), executor.clone());
        self.driver.tell(self.turn, FrameworkToMaster::ShutdownExecutor { agent, executor });
    }

    /// [`super::Scheduler::timer`] is called with `key` after a while.
    pub fn after(&mut self, span: Duration, key: u64) {
        self.turn.start(Timer::Author(key), span);
    }

    /// Writes something down that the next life of this scheduler finds. What the framework tells the master after this
    /// call, the acknowledgement of the update at hand among it, waits until it is written.
    pub fn store(&mut self, key: impl Into<String>, value: Vec<u8>) {
        self.write(vec![(key.into(), Some(value))]);
    }

    /// How often anything was stored or removed so far; for tests.
    #[doc(hidden)]
    pub fn stores(&self) -> u64 {
        self.driver.stores
    }

    /// Removes what was stored.
    pub fn unstore(&mut self, key: impl Into<String>) {
        self.write(vec![(key.into(), None)]);
    }

    fn write(&mut self, entries: Vec<(String, Option<Vec<u8>>)>) {
        self.driver.stores += 1;
        self.turn.effects.push(Effect::Store { number: self.driver.stores, entries });
    }

    /// Ends this scheduler. Its tasks run on and wait for its return.
    pub fn stop(&mut self) {
        self.driver.stopping = true;
    }

    /// Ends the framework: all its tasks are killed and its id is never valid again. What is said and acknowledged in
    /// this call goes first.
    pub fn tear_down(&mut self) {
        self.driver.tearing_down = true;
    }
}
