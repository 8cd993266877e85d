//! An operator who says things of roles while all goes wrong, and what is known of what was heard: what was answered must hold in
//! every later reign.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libactor::Principal;
use master::logic::Effect;
use master::logic::Event as MasterEvent;
use master::logic::allocator::BookEntry;
use master::logic::roles::Setting;
use protocol::ids::Role;
use protocol::operator::{Before, SetAnswer, SetQuotas, SetWeights};
use protocol::quantities::{Limits, Quantities};
use protocol::quota::{Quota, Shares, Weight};
use protocol::resources::Milli;

use crate::chance::Chance;
use crate::faults::Fault;
use crate::network::Life;
use crate::properties::KEEPS;
use crate::said::Event;
use crate::world::{Due, World};

/// Those directly below the root that schedulers act for.
const ROLES: [&str; 2] = ["web", "eng"];
/// After all is put right nothing is guaranteed or limited any more, so that all work can be done: it is asked for until it is so.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// Something that an operator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Of the role of this number: what it is guaranteed and may have at most, in tenths of a core.
    Quota(usize, i64, Option<i64>),
    /// Of the role of this number: its weight in tenths.
    Weight(usize, u32),
    /// No role has quota any more.
    NoQuota,
}

/// What was said and heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operator {
    asked: u64,
    /// Those that were not answered: they may hold or not.
    open: BTreeMap<u64, Setting>,
    /// What holds as far as it was answered.
    holds: Shares,
}

fn role(number: usize) -> Role {
    ROLES[number].parse().expect("a role")
}

impl Order {
    fn setting(self) -> Setting {
        let cpus = |tenths: i64| Milli(tenths * 100);
        let quotas = match self {
            Self::Weight(number, tenths) => {
                let weights = vec![(role(number), f64::from(tenths) / 10.0)];
                return Setting::Weights(SetWeights { weights });
            }
            Self::Quota(number, guarantee, limit) => {
                let guarantees = Quantities::none().with("cpus", cpus(guarantee));
                let limits = limit.map(|limit| Limits::none().with("cpus", cpus(limit)));
                vec![(role(number), Quota { guarantees, limits: limits.unwrap_or_default() })]
            }
            Self::NoQuota => {
                (0..ROLES.len()).map(|number| (role(number), Quota::default())).collect()
            }
        };
        Setting::Quotas(SetQuotas { quotas, force: true, before: Before::Anything })
    }
}

fn apply(shares: &mut Shares, setting: &Setting) {
    match setting {
        Setting::Quotas(set) => shares.set_quotas(set.quotas.iter().cloned().collect()),
        Setting::Weights(set) => {
            let weights = set
                .weights
                .iter()
                .filter_map(|(role, weight)| Some((role.clone(), Weight::try_from(*weight).ok()?)));
            shares.set_weights(weights.collect());
        }
    }
}

impl World {
    pub(crate) fn plan_orders(&mut self, chance: &mut Chance, until: Duration) {
        if chance.in_thousand(400) {
            return;
        }
        for _ in 0..chance.between(1, 8) {
            let at = chance.span(Duration::from_secs(1), until);
            let number = chance.index(ROLES.len());
            let tenths = |chance: &mut Chance, most| {
                i64::try_from(chance.between(0, most)).expect("it is small")
            };
            let order = if chance.in_thousand(700) {
                let guarantee = if chance.in_thousand(600) { tenths(chance, 40) } else { 0 };
                let limit = chance.in_thousand(500).then(|| guarantee + tenths(chance, 60));
                Order::Quota(number, guarantee, limit)
            } else {
                Order::Weight(number, u32::try_from(chance.between(1, 40)).expect("it is small"))
            };
            self.queue.at(at, Due::Fault(Fault::Order(order)));
        }
    }

    /// Whoever leads is told, if anybody does.
    pub(crate) fn order(&mut self, order: Order) {
        let quotas = self.registry.shares.quotas.is_empty();
        if order == Order::NoQuota {
            if quotas {
                return;
            }
            self.queue.after(ASK_AGAIN, Due::Fault(Fault::Order(order)));
        }
        if !self.processes[&self.leader].is_up() {
            return;
        }
        let (life, setting) = (self.present_life(self.leader), order.setting());
        self.operator.asked += 1;
        let asked = self.operator.asked;
        self.operator.open.insert(asked, setting.clone());
        let event = MasterEvent::SetAsked { asked, who: Principal::Cluster.into(), setting };
        self.soon(life, Event::Master(event));
    }

    pub(crate) fn hear_answer(&mut self, asked: u64, answer: &SetAnswer) {
        let Some(setting) = self.operator.open.remove(&asked) else { return };
        match answer {
            SetAnswer::SetAt(_) => apply(&mut self.operator.holds, &setting),
            SetAnswer::Refused(_) => (),
        }
    }

    /// A reign begins with what was answered before. What was not answered may be written or not, which is heard now; of roles of
    /// which nothing else was asked everything is as it was.
    pub(crate) fn check_shares_kept(&mut self, life: Life, effects: &[Effect]) {
        self.truth.checks += 1;
        let told = effects.iter().find_map(|effect| {
            let Effect::TellAllocator(entries) = effect else { return None };
            entries.iter().find_map(|entry| match entry {
                BookEntry::Shares(shares) => Some(shares.clone()),
                BookEntry::Agent { .. } | BookEntry::AgentInactive { .. } => None,
                BookEntry::AgentLost { .. } | BookEntry::AgentGone { .. } => None,
                BookEntry::Framework { .. } | BookEntry::Awaiting(_) => None,
                BookEntry::FrameworkInactive { .. } | BookEntry::Wishes { .. } => None,
                BookEntry::Revived { .. } | BookEntry::Suppressed { .. } => None,
                BookEntry::Returned(_) | BookEntry::Ended { .. } => None,
                BookEntry::Released { .. } | BookEntry::StartOver(_) => None,
            })
        });
        let told = told.unwrap_or_default();
        if let Some(words) = self.operator.lost(&told) {
            let name = self.name_of(life.process).to_owned();
            self.violate(KEEPS, words, vec![name]);
        }
        self.operator.open.clear();
        self.operator.holds = told;
    }
}

impl Operator {
    /// What a reign says of a role that was neither answered nor asked for since, in words.
    fn lost(&self, told: &Shares) -> Option<String> {
        let known = [&self.holds, told];
        let roles: BTreeSet<&Role> =
            known.iter().flat_map(|of| of.quotas.keys().chain(of.weights.keys())).collect();
        let is_lost = |role: &&Role| {
            let (mut quotas, mut weights) =
                (vec![self.holds.quota(role)], vec![self.holds.weight(role)]);
            for setting in self.open.values() {
                let mut asked = Shares::default();
                apply(&mut asked, setting);
                match setting {
                    Setting::Quotas(set) if set.quotas.iter().any(|(of, _)| of == *role) => {
                        quotas.push(asked.quota(role));
                    }
                    Setting::Weights(set) if set.weights.iter().any(|(of, _)| of == *role) => {
                        weights.push(asked.weight(role));
                    }
                    Setting::Quotas(_) | Setting::Weights(_) => (),
                }
            }
            !quotas.contains(&told.quota(role)) || !weights.contains(&told.weight(role))
        };
        let role = roles.into_iter().find(is_lost)?;
        let (quota, weight) = (self.holds.quota(role), self.holds.weight(role));
        let (has, weighs) = (told.quota(role), told.weight(role));
        Some(format!(
            "of {role} {quota:?} and weight {weight} was answered, and the reign has {has:?} and {weighs}"
        ))
    }
}
