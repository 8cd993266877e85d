//! What operators say of roles: quota and weights. It is checked against what the cluster has and what roles hold, written
//! down, and only then told: to the allocator, to readers, to who asked. Offers that are in the way are taken back then.

mod awaiting;
mod check;
mod make_room;
pub mod sums;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use protocol::change::What;
use protocol::ids::Role;
use protocol::operator::{SetAnswer, SetQuotas, SetWeights};
use protocol::quantities::Quantities;
use protocol::quota::{Quota, Shares, Weight};
use serde::{Deserialize, Serialize};

use super::allocator::BookEntry;
use super::authorize::{Action, Who, authorize};
use super::bugs::Bug;
use super::registry::RegistryOperation;
use super::{Effect, Master, Turn};
pub(super) use awaiting::Awaited;
use check::Refused;
pub(crate) use check::fit_one_write;
use make_room::Offered;
use sums::Sums;

/// What an operator says of roles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Setting {
    /// What they are guaranteed and may have at most.
    Quotas(SetQuotas),
    /// How much their shares weigh.
    Weights(SetWeights),
}

/// What was said of roles and is not written yet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Settings {
    /// What the registry will say once all of it is written.
    wanted: Shares,
    /// Who waits for each, in the order in which they will be written; nobody waits for what the master's own flags say.
    waiting: VecDeque<Option<u64>>,
}

impl Settings {
    /// Nothing is under way.
    pub(super) fn after(written: &Shares) -> Self {
        Self { wanted: written.clone(), waiting: VecDeque::new() }
    }
}

impl Master {
    /// All that was said of roles in earlier reigns; and if nothing was said of weights, what the master's flags say.
    pub(super) fn tell_shares(&mut self, turn: &mut Turn) {
        if self.config.bugs.has(Bug::SharesForgotten) {
            self.registry.shares = Shares::default();
        }
        let shares = &self.registry.shares;
        if !shares.quotas.is_empty() {
            turn.what.push(What::Quotas(shares.quotas.clone()));
        }
        if !shares.weights.is_empty() {
            turn.what.push(What::Weights(shares.weights.clone()));
        }
        if *shares != Shares::default() {
            turn.entries.push(BookEntry::Shares(shares.clone()));
        }
        if shares.weights.is_empty() && !self.config.weights.is_empty() {
            let operation = RegistryOperation::SetWeights(self.config.weights.clone());
            self.set(turn, operation, None);
        }
    }

    pub(super) fn on_set_asked(&mut self, turn: &mut Turn, asked: u64, who: Who, setting: Setting) {
        let judged = match setting {
            Setting::Quotas(question) => self.judge_quotas(&who, question),
            Setting::Weights(question) => self.judge_weights(&who, question),
        };
        match judged {
            Ok(operation) if self.config.bugs.has(Bug::QuotaToldBeforeWritten) => {
                self.set(turn, operation, None);
                let answer = SetAnswer::SetAt(self.moment(turn));
                turn.effects.push(Effect::AnswerSet { asked, answer });
            }
            Ok(operation) => self.set(turn, operation, Some(asked)),
            Err(refused) => {
                let answer = SetAnswer::Refused(refused.into());
                turn.effects.push(Effect::AnswerSet { asked, answer });
            }
        }
    }

    fn judge_quotas(
        &self,
        who: &Who,
        SetQuotas { quotas, force, before }: SetQuotas,
    ) -> Result<RegistryOperation, Refused> {
        check::room(self.settings.waiting.len(), quotas.len(), &self.config)?;
        for (role, _) in &quotas {
            authorize(who.clone(), Action::SetQuota, role.as_str())?;
        }
        check::before(before, quotas.iter().map(|(role, _)| role), &self.settings.wanted)?;
        let quotas = check::quotas(quotas, &self.config)?;
        let mut wanted = self.settings.wanted.clone();
        wanted.set_quotas(quotas.clone());
        check::count("quota", wanted.quotas.len(), &self.config)?;
        if !force {
            check::capacity(&wanted, &quotas, &self.capacity())?;
            check::limits(&quotas, &self.sums())?;
        }
        Ok(RegistryOperation::SetQuotas(quotas))
    }

    fn judge_weights(
        &self,
        who: &Who,
        SetWeights { weights }: SetWeights,
    ) -> Result<RegistryOperation, Refused> {
        check::room(self.settings.waiting.len(), weights.len(), &self.config)?;
        for (role, _) in &weights {
            authorize(who.clone(), Action::SetWeight, role.as_str())?;
        }
        let weights = check::weights(weights)?;
        let mut wanted = self.settings.wanted.clone();
        wanted.set_weights(weights.clone());
        check::count("a weight", wanted.weights.len(), &self.config)?;
        Ok(RegistryOperation::SetWeights(weights))
    }

    fn set(&mut self, turn: &mut Turn, operation: RegistryOperation, asked: Option<u64>) {
        let wanted = &mut self.settings.wanted;
        if let RegistryOperation::SetQuotas(quotas) = &operation {
            wanted.set_quotas(quotas.clone());
        } else if let RegistryOperation::SetWeights(weights) = &operation {
            wanted.set_weights(weights.clone());
        }
        self.settings.waiting.push_back(asked);
        turn.write(operation);
    }

    /// The allocator knows what holds before it has back what is taken back for it.
    pub(super) fn on_quotas_written(&mut self, turn: &mut Turn, quotas: BTreeMap<Role, Quota>) {
        turn.entries.push(BookEntry::Shares(self.registry.shares.clone()));
        let numbers = self.in_the_way(&quotas);
        self.rescind(turn, &numbers, Duration::ZERO);
        turn.what.push(What::Quotas(quotas));
        self.answer_set(turn);
    }

    /// Who is offered what was decided by the former weights.
    pub(super) fn on_weights_written(&mut self, turn: &mut Turn, weights: BTreeMap<Role, Weight>) {
        turn.entries.push(BookEntry::Shares(self.registry.shares.clone()));
        if weights.keys().any(|role| self.acts_within(role)) {
            let all = self.offers.open().map(|(number, _)| number).collect();
            self.rescind(turn, &all, Duration::ZERO);
        }
        turn.what.push(What::Weights(weights));
        self.answer_set(turn);
    }

    /// Of the setting that was under way for longest.
    fn answer_set(&mut self, turn: &mut Turn) {
        if let Some(Some(asked)) = self.settings.waiting.pop_front() {
            let answer = SetAnswer::SetAt(self.moment(turn));
            turn.effects.push(Effect::AnswerSet { asked, answer });
        }
    }

    /// Whether a framework acts for this role or one below it.
    fn acts_within(&self, above: &Role) -> bool {
        let known = self.frameworks.values().filter(|framework| !framework.is_removed());
        known.flat_map(|framework| &framework.info.roles).any(|role| role.is_within(above))
    }

    /// The offers that keep a role above its new limits, or keep from another what it is guaranteed.
    fn in_the_way(&self, quotas: &BTreeMap<Role, Quota>) -> BTreeSet<u64> {
        let open: Vec<Offered> = self.offers.open().map(Offered::of).collect();
        let sums = self.sums();
        let over = make_room::over_limits(quotas, &sums, &open);
        let free = self.agents.values().filter(|agent| agent.is_active());
        let free = free.fold(Quantities::none(), |mut all, agent| {
            all.add(&sums::for_anybody(&agent.book.free()));
            all
        });
        let named = quotas.keys().collect();
        make_room::for_guarantees(&named, &self.registry.shares, &sums, free, &open, over)
    }

    /// What guarantees may promise: what all agents have that can be reached, or are awaited, but for what may be taken back.
    fn capacity(&self) -> Quantities {
        let mut all = Quantities::none();
        for agent in self.agents.values().filter(|agent| agent.counts()) {
            all.add(&sums::lasting(&agent.info.resources));
        }
        all
    }

    /// What each role holds, with those below it.
    pub fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for agent in self.agents.values().filter(|agent| agent.counts()) {
            sums.reserve(&agent.info.resources);
            for booked in agent.book.executors.values() {
                sums.allocate(&booked.role, &booked.spec.resources);
            }
            let tasks = agent.book.tasks.iter().filter_map(|(f, id)| self.task(f, id));
            for task in tasks.filter(|task| !task.state.is_end()) {
                sums.allocate(&task.role, &task.spec.resources);
            }
        }
        for (_, offer) in self.offers.open() {
            sums.offer(&offer.role, &offer.resources);
        }
        sums.with_those_below()
    }
}

#[cfg(test)]
mod tests;
