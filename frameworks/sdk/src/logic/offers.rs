//! Offers: what the scheduler uses is accepted, what it holds is watched, all else returns at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::framework::{FrameworkToMaster, Operation};
use protocol::ids::{AgentId, OfferId, TaskId};
use protocol::offer::Offer;
use protocol::resources::Resources;
use protocol::task::{Run, TaskSpec};
use protocol::wishes::FaultDomain;

use super::calls::NotLaunched;
use super::tasks::BookedTask;
use super::{Bug, Driver, News, OpenOffer, Timer, Turn};

/// The most tasks that one accept launches, and so the most of one offer.
const LAUNCHES_MOST: usize = 256;

impl Driver {
    pub(super) fn on_offers(
        &mut self,
        turn: &mut Turn,
        offers: Vec<Arc<Offer>>,
        domains: &BTreeMap<AgentId, FaultDomain>,
    ) {
        let offers: Vec<Offer> = offers.into_iter().map(Arc::unwrap_or_clone).collect();
        for offer in &offers {
            self.executors.offered(offer, &self.book);
            let open = OpenOffer {
                left: offer.resources.clone(),
                domain: domains.get(&offer.agent).cloned(),
                offer: offer.clone(),
                since: turn.now.steady,
                told: false,
                held: false,
                launches: Vec::new(),
            };
            self.offers.insert(offer.offer.clone(), open);
        }
        turn.news.push_back(News::Offers(offers));
    }

    /// Those of `offers` that are still open, now that the scheduler is to hear of them.
    pub(super) fn tell_offers(&mut self, offers: &[Offer]) -> Vec<Offer> {
        let mut told = Vec::with_capacity(offers.len());
        for offer in offers {
            if let Some(open) = self.offers.get_mut(&offer.offer) {
                open.told = true;
                told.push(offer.clone());
            }
        }
        told
    }

    /// All open offers are void; those that the scheduler has heard of are to be taken back.
    pub(super) fn drop_offers(&mut self) -> Vec<OfferId> {
        let offers = std::mem::take(&mut self.offers).into_iter();
        offers.filter(|(_, open)| open.told).map(|(id, _)| id).collect()
    }

    pub(super) fn on_rescinded(&mut self, turn: &mut Turn, offers: Vec<OfferId>) {
        let mut known = offers;
        known.retain(|offer| self.offers.remove(offer).is_some_and(|open| open.told));
        if !known.is_empty() {
            turn.news.push_back(News::Rescinded(known));
        }
    }

    pub(super) fn launch(
        &mut self,
        turn: &mut Turn,
        offer: &OfferId,
        mut task: TaskSpec,
    ) -> Result<(), NotLaunched> {
        let id = task.task.clone();
        let viewed = self.view.tasks.contains_key(&id) && !self.has(Bug::RelaunchesUnacknowledged);
        if viewed || self.book.contains_key(&id) {
            return Err(NotLaunched::TaskKnown(id));
        }
        if self.full.is_some() {
            return Err(NotLaunched::NoRoom(id));
        }
        let full = self.book.len() >= self.settings.tasks_most;
        let open = self.offers.get_mut(offer).ok_or_else(|| NotLaunched::NoOffer(offer.clone()))?;
        if full || open.launches.len() >= LAUNCHES_MOST {
            return Err(NotLaunched::TooMany);
        }
        // What is reserved for the role goes first.
        if let Some(found) = open.left.find(&task.resources) {
            task.resources = found;
        }
        self.executors.describe(open, &self.book, &mut task);
        let needs = needs(open, &task);
        let Some(left) = open.left.checked_sub(&needs) else {
            let lacking = open.left.lacking(&needs).map(ToString::to_string);
            return Err(NotLaunched::DoesNotFit(lacking.unwrap_or_default()));
        };
        open.left = left;
        let agent = open.offer.agent.clone();
        self.executors.launched(&agent, &task);
        open.launches.push(task);
        self.settled.remove(&id);
        self.book.insert(id, BookedTask::new(agent, Some(turn.now.steady)));
        Ok(())
    }

    /// A launch that the master was not told of yet is undone; whether there was one.
    pub(super) fn take_back_launch(&mut self, task: &TaskId) -> bool {
        for open in self.offers.values_mut() {
            if let Some(at) = open.launches.iter().position(|spec| spec.task == *task) {
                // What it would have used returns with the rest of the offer.
                open.launches.remove(at);
                return true;
            }
        }
        false
    }

    /// What is left of an open offer.
    pub(super) fn left_of(&self, offer: &OfferId) -> Resources {
        self.offers.get(offer).map_or(Resources::none(), |open| open.left.clone())
    }

    pub(super) fn hold(&mut self, turn: &mut Turn, offer: &OfferId) {
        let Some(open) = self.offers.get_mut(offer) else {
            return;
        };
        open.held = true;
        if self.held.is_none() {
            let generation = self.next_generation();
            self.held = Some(generation);
            turn.start(Timer::Held(generation), self.settings.hold_most);
        }
    }

    /// After each word with the scheduler: offers with launches are accepted, those not held are declined.
    pub(crate) fn settle_offers(&mut self, turn: &mut Turn) {
        let refuse_for = self.settings.refuse_for;
        let answered: Vec<OfferId> = self
            .offers
            .iter()
            .filter(|(_, open)| open.told && (!open.held || !open.launches.is_empty()))
            .map(|(id, _)| id.clone())
            .collect();
        let mut unused = Vec::new();
        for id in answered {
            match self.offers.remove(&id) {
                Some(open) if !open.launches.is_empty() => {
                    let operations = vec![Operation::Launch(open.launches)];
                    let offers = vec![id];
                    self.tell(turn, FrameworkToMaster::Accept { offers, operations, refuse_for });
                    self.watch_doubts(turn);
                }
                Some(_) => unused.push(id),
                None => (),
            }
        }
        if !unused.is_empty() {
            self.tell(turn, FrameworkToMaster::Decline { offers: unused, refuse_for });
        }
    }

    pub(super) fn on_held_due(&mut self, turn: &mut Turn, due: u64) {
        if self.held != Some(due) {
            return;
        }
        self.held = None;
        let (now, most) = (turn.now.steady, self.settings.hold_most);
        let over = self.offers.iter().filter(|(_, open)| now.since(open.since) >= most);
        let over: Vec<OfferId> = over.map(|(id, _)| id.clone()).collect();
        self.offers.retain(|id, _| !over.contains(id));
        if !over.is_empty() {
            let refuse_for = self.settings.refuse_for;
            self.tell(turn, FrameworkToMaster::Decline { offers: over.clone(), refuse_for });
            turn.news.push_back(News::Rescinded(over));
        }
        if let Some(oldest) = self.offers.values().map(|open| open.since).min() {
            let generation = self.next_generation();
            self.held = Some(generation);
            turn.start(Timer::Held(generation), most.saturating_sub(now.since(oldest)));
        }
    }
}

/// What a task takes from an offer: its executor's part too, unless that runs there or is started by an earlier task.
fn needs(open: &OpenOffer, task: &TaskSpec) -> Resources {
    let Run::Executor { executor, .. } = &task.run else {
        return task.resources.clone();
    };
    let starts = |other: &TaskSpec| match &other.run {
        Run::Executor { executor: other, .. } => other.executor == executor.executor,
        Run::Command(_) => false,
    };
    if open.offer.executors.contains(&executor.executor) || open.launches.iter().any(starts) {
        return task.resources.clone();
    }
    task.resources.plus(&executor.resources)
}
