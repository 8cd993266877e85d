//! Subscribing: written, then told, with a snapshot of all that is known. The newest life of a scheduler wins.

use std::collections::BTreeSet;
use std::time::Duration;

use libactor::{Pid, Principal};
use protocol::agent::MasterToAgent;
use protocol::change::{FrameworkState, What};
use protocol::framework::{Capability, FrameworkInfo, MasterToFramework, REMOVED};
use protocol::ids::{AgentId, FrameworkId};
use protocol::time::Instant;
use protocol::wishes::RoleWishes;
use serde::{Deserialize, Serialize};

use super::{Framework, Phase, SUPERSEDED_MAX, immutable, wishes};
use crate::logic::authorize::{Action, Who, authorize};
use crate::logic::bugs::Bug;
use crate::logic::registry::RegistryOperation;
use crate::logic::{Effect, Master, Peer, Timer, Turn, validate};

/// A scheduler asks every second or two until it is answered, and the answer may be much: it is not said again sooner than so long
/// after the last time, for each task in it.
const AGAIN_FOR_EACH_TASK: Duration = Duration::from_micros(100);
/// And not later than this.
const AGAIN_MAX: Duration = Duration::from_secs(10);

/// A scheduler that wants to speak for a framework.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::logic) struct Subscription {
    pub(in crate::logic) from: Pid,
    pub(in crate::logic) nonce: u64,
    pub(in crate::logic) info: FrameworkInfo,
    pub(in crate::logic) wishes: Vec<RoleWishes>,
    /// The number of the update that it is, if it already speaks for the framework.
    pub(in crate::logic) update: Option<u64>,
}

impl Subscription {
    fn refuse(&self, turn: &mut Turn, reason: String) {
        let message = match self.update {
            Some(number) => MasterToFramework::FrameworkUpdated { number, refused: Some(reason) },
            None => MasterToFramework::Refused { reason },
        };
        turn.tell_framework(self.from, message);
    }
}

impl Framework {
    /// Whether the same scheduler was told all for the same words, and so lately that it need not have heard it yet.
    fn was_just_told_all(&self, wish: &Subscription, now: Instant) -> bool {
        let same = self.pid() == Some(wish.from)
            && self.nonce == wish.nonce
            && self.info == wish.info
            && self.wishes == wish.wishes;
        let tasks = u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
        let pause = AGAIN_FOR_EACH_TASK.saturating_mul(tasks).min(AGAIN_MAX);
        same && self.told_all_at.is_some_and(|told| now.since(told) < pause)
    }
}

/// Under which name a framework acts, if it says one. What cannot be read is refused elsewhere.
fn principal_of(info: &FrameworkInfo) -> Option<String> {
    info.carried.decode().ok().and_then(|carried| carried.principal)
}

impl Master {
    /// A scheduler repeats `Subscribe` until it is answered, so a repeat is normal; its nonce tells.
    pub(super) fn on_subscribe(
        &mut self,
        turn: &mut Turn,
        principal: Principal,
        id: Option<FrameworkId>,
        mut wish: Subscription,
    ) {
        if let Err(reason) = self.may_subscribe(principal, id.as_ref(), &wish) {
            return wish.refuse(turn, reason);
        }
        let id = id.or_else(|| self.framework_nonces.get(&wish.nonce).cloned());
        let Some(id) = id else { return self.admit_framework(turn, None, wish) };
        wish.info.framework = id.clone();
        if let Some(known) = self.frameworks.get(&id) {
            match immutable::preserved(&known.info, wish.info.clone()) {
                Ok(info) => wish.info = info,
                Err(reason) => return wish.refuse(turn, reason),
            }
        }
        if let Some(waiting) = self.subscribing.get_mut(&id) {
            if wish.update.is_some() && waiting.from != wish.from {
                return wish.refuse(turn, "another life of its scheduler takes over".to_owned());
            }
            // What was written meanwhile is compared with this one then.
            let before = std::mem::replace(waiting, wish);
            if before.from != waiting.from {
                turn.tell_framework(before.from, MasterToFramework::FailedOver);
            }
            return;
        }
        match self.frameworks.get(&id) {
            None if self.registry.removed.contains_key(&id) => {
                wish.refuse(turn, REMOVED.to_owned())
            }
            // Ids of the cluster's own making are given out by it alone.
            None if wish.info.capabilities.contains(&Capability::NamesItself)
                && !self.is_numbered(&id) =>
            {
                self.admit_framework(turn, Some(id), wish);
            }
            None => {
                let reason =
                    format!("framework {id} is not known to cluster {}", self.registry.cluster);
                wish.refuse(turn, reason);
            }
            // That it is gone is told once it is written; the scheduler asks again.
            Some(Framework { phase: Phase::Leaving { .. }, .. }) if wish.update.is_none() => (),
            Some(Framework { phase: Phase::Leaving { .. }, .. }) => {
                wish.refuse(turn, REMOVED.to_owned());
            }
            Some(Framework { phase: Phase::Removed, .. }) => {
                wish.refuse(turn, REMOVED.to_owned());
            }
            Some(known) if known.superseded.contains(&wish.nonce) => {
                turn.tell_framework(wish.from, MasterToFramework::FailedOver);
            }
            // The answer may still be on its way.
            Some(known)
                if wish.update.is_none() && known.was_just_told_all(&wish, turn.now.steady) => {}
            Some(known) if known.info == wish.info => self.subscribe(turn, &id, wish),
            Some(_) => {
                let (nonce, info) = (wish.nonce, wish.info.clone());
                self.subscribing.insert(id, wish);
                turn.write(RegistryOperation::AdmitFramework { number: None, nonce, info });
            }
        }
    }

    /// Of whoever speaks for a framework; it keeps its place, and hears no snapshot.
    pub(super) fn on_update_framework(
        &mut self,
        turn: &mut Turn,
        principal: Principal,
        from: Pid,
        (number, info, wishes): (u64, FrameworkInfo, Vec<RoleWishes>),
    ) {
        let speaks = match self.peers.get(&from) {
            Some(Peer::Framework(id)) => self.frameworks.get_key_value(id),
            Some(Peer::Agent(_)) | None => None,
        };
        let nonce = speaks.map_or(0, |(_, framework)| framework.nonce);
        let id = speaks.map(|(id, _)| id.clone());
        let wishes = wishes::normal(wishes);
        let wish = Subscription { from, nonce, info, wishes, update: Some(number) };
        match id {
            Some(id) => self.on_subscribe(turn, principal, Some(id), wish),
            None => wish.refuse(turn, "this scheduler is not subscribed".to_owned()),
        }
    }

    fn may_subscribe(
        &self,
        principal: Principal,
        id: Option<&FrameworkId>,
        wish: &Subscription,
    ) -> Result<(), String> {
        let object = id.map_or(wish.info.name.as_str(), FrameworkId::as_str);
        let name = principal_of(&wish.info);
        let who = Who::named(principal, name.as_deref());
        authorize(who, Action::Subscribe, object).map_err(|refused| refused.to_string())?;
        validate::framework(&wish.info, &self.config).map_err(|refusal| refusal.to_string())?;
        // Whoever may speak for one framework could take over that of another else. To whom it belongs is nobody's business.
        let known = id.and_then(|id| self.frameworks.get(id));
        if known.is_some_and(|known| principal_of(&known.info) != name) {
            return Err("Changing framework's principal is not allowed.".to_owned());
        }
        validate::wishes(&wish.wishes, &wish.info, &self.config)
            .map_err(|refusal| refusal.to_string())?;
        match self.peers.get(&wish.from) {
            Some(Peer::Framework(other))
                if id.or_else(|| self.framework_nonces.get(&wish.nonce)) != Some(other) =>
            {
                Err(format!("this scheduler already speaks for framework {other}"))
            }
            Some(Peer::Agent(agent)) => Err(format!("this actor already speaks for agent {agent}")),
            Some(Peer::Framework(_)) | None => Ok(()),
        }
    }

    /// Whether an id is one that a framework without any is given, now or later.
    fn is_numbered(&self, id: &FrameworkId) -> bool {
        let rest = id.as_str().strip_prefix(self.registry.cluster.as_str());
        rest.is_some_and(|rest| rest.starts_with('-'))
    }

    /// Under an id of its own, or under the next one.
    fn admit_framework(
        &mut self,
        turn: &mut Turn,
        own: Option<FrameworkId>,
        mut wish: Subscription,
    ) {
        if self.frameworks.len() + self.subscribing.len() >= self.config.frameworks_max {
            let max = self.config.frameworks_max;
            let reason = format!("the cluster has {max} frameworks, as many as it may");
            return wish.refuse(turn, reason);
        }
        let (id, number) = match own {
            Some(id) => (id, None),
            None => {
                let number = self.frameworks_numbered;
                self.frameworks_numbered += 1;
                let id = FrameworkId::new(format!("{}-{number:04}", self.registry.cluster));
                (id, Some(self.frameworks_numbered))
            }
        };
        wish.info.framework = id.clone();
        turn.write(RegistryOperation::AdmitFramework {
            number,
            nonce: wish.nonce,
            info: wish.info.clone(),
        });
        if self.config.bugs.has(Bug::RegistryToldBeforeWritten) {
            self.tell_subscribed(turn, &id, wish.from);
        }
        self.framework_nonces.insert(wish.nonce, id.clone());
        self.subscribing.insert(id, wish);
    }

    pub(in crate::logic) fn on_framework_admitted(
        &mut self,
        turn: &mut Turn,
        nonce: u64,
        info: FrameworkInfo,
    ) {
        let id = info.framework.clone();
        let fresh = Framework::of(info.clone(), nonce, Phase::Recovered);
        let framework = self.frameworks.entry(id.clone()).or_insert(fresh);
        let is_other = framework.info != info;
        framework.info = info;
        if is_other {
            self.tell_agents_of(turn, &id);
        }
        let Some(framework) = self.frameworks.get_mut(&id) else { return };
        let Some(wish) = self.subscribing.remove(&id) else { return };
        match framework.phase {
            Phase::Leaving { .. } if wish.update.is_none() => (),
            Phase::Leaving { .. } | Phase::Removed => wish.refuse(turn, REMOVED.to_owned()),
            Phase::Recovered | Phase::Active(_) | Phase::Disconnected
                if framework.info != wish.info =>
            {
                let (nonce, info) = (wish.nonce, wish.info.clone());
                self.subscribing.insert(id, wish);
                turn.write(RegistryOperation::AdmitFramework { number: None, nonce, info });
            }
            Phase::Recovered | Phase::Active(_) | Phase::Disconnected => {
                self.subscribe(turn, &id, wish)
            }
        }
    }

    /// A framework says other things of itself: those that run something of it know.
    fn tell_agents_of(&self, turn: &mut Turn, id: &FrameworkId) {
        let Some(known) = self.frameworks.get(id) else { return };
        let epoch = self.epoch();
        let has_tasks: BTreeSet<&AgentId> = known.tasks.values().map(|task| &task.agent).collect();
        for (agent, entry) in self.agents.iter() {
            let runs = has_tasks.contains(agent)
                || entry.book.executors.keys().any(|(framework, _)| framework == id);
            if let Some(pid) = entry.pid().filter(|_| runs) {
                let framework = known.info.clone();
                turn.tell_agent(pid, MasterToAgent::FrameworkUpdated { epoch, framework });
            }
        }
    }

    /// The registry holds the framework as it now is: its scheduler is told, and any earlier one ends.
    fn subscribe(&mut self, turn: &mut Turn, id: &FrameworkId, wish: Subscription) {
        let Subscription { from, nonce, wishes, update, .. } = wish;
        // It asked for both before either was written.
        if let Some(Peer::Framework(other)) = self.peers.get(&from)
            && other != id
        {
            let other = other.clone();
            self.disconnect_framework(turn, &other);
        }
        let keeps_old = self.config.bugs.has(Bug::FailoverKeepsOldPid);
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        // A gateway remembers its client's offers, and says anew what its framework is: those of roles that it has still stay.
        let updates = framework.pid() == Some(from) && framework.has(Capability::NamesItself);
        let roles = &framework.info.roles;
        let stays = |number: &u64| {
            updates && self.offers.find(*number).is_some_and(|open| roles.contains(&open.role))
        };
        let (stay, offers) = std::mem::take(&mut framework.offers).into_iter().partition(stays);
        framework.offers = stay;
        let old = framework.pid().filter(|old| *old != from);
        if framework.nonce != nonce {
            framework.superseded.push_back(framework.nonce);
            if framework.superseded.len() > SUPERSEDED_MAX {
                framework.superseded.pop_front();
            }
            framework.nonce = nonce;
        }
        framework.enter(Phase::Active(old.filter(|_| keeps_old).unwrap_or(from)));
        framework.told_all_at = Some(turn.now.steady);
        turn.what.extend(framework.wish(wishes));
        framework.unmet.clear();
        let told = self.end_offers(turn, &offers, Duration::ZERO);
        match old {
            Some(old) => {
                self.peers.remove(&old);
                turn.tell_framework(old, MasterToFramework::FailedOver);
                turn.effects.push(Effect::Unlink(old));
            }
            // Only a repeat: offers on their way are void, since the snapshot replaces all.
            None if !told.is_empty() => {
                turn.tell_framework(from, MasterToFramework::Rescinded(told))
            }
            None => {}
        }
        self.peers.insert(from, Peer::Framework(id.clone()));
        turn.effects.push(Effect::Link(from));
        match update {
            Some(number) => {
                let message = MasterToFramework::FrameworkUpdated { number, refused: None };
                turn.tell_framework(from, message);
            }
            None => self.tell_subscribed(turn, id, from),
        }
        let Some(framework) = self.frameworks.get(id) else { return };
        let (info, state) = (framework.info.clone(), framework.state());
        turn.entries.push(framework.entry());
        turn.what.push(What::Framework { info: info.into(), state });
        self.judge_demand(turn, id);
    }

    pub(in crate::logic) fn tell_subscribed(&self, turn: &mut Turn, id: &FrameworkId, to: Pid) {
        let known = self.frameworks.get(id);
        let tasks = known.into_iter().flat_map(|f| f.tasks.values());
        let tasks = tasks.filter(|task| !task.told_lost).map(|task| task.report(id));
        let message = MasterToFramework::Subscribed {
            epoch: self.epoch(),
            framework: id.clone(),
            master: self.identity.clone(),
            tasks: tasks.collect(),
            change: known.map_or(0, |framework| framework.change),
        };
        turn.tell_framework(to, message);
    }

    /// An agent has something of this framework. The registry knows it, unless it was removed, or the registry was lost.
    pub(in crate::logic) fn learn_framework(&mut self, turn: &mut Turn, info: &FrameworkInfo) {
        let id = &info.framework;
        if self.frameworks.contains_key(id) || self.subscribing.contains_key(id) {
            return;
        }
        if self.registry.removed.contains_key(id) {
            let framework = Framework::of(info.clone(), 0, Phase::Removed);
            self.frameworks.insert(id.clone(), framework);
            return;
        }
        if validate::framework(info, &self.config).is_err()
            || self.frameworks.len() >= self.config.frameworks_max
        {
            return;
        }
        let framework = Framework::of(info.clone(), 0, Phase::Recovered);
        turn.what
            .push(What::Framework { info: info.clone().into(), state: FrameworkState::Recovered });
        let timer = Timer::Failover { framework: id.clone(), generation: framework.generation };
        turn.start(timer, self.time_to_return(info));
        self.frameworks.insert(id.clone(), framework);
        let info = info.clone();
        turn.write(RegistryOperation::AdmitFramework { number: None, nonce: 0, info });
    }
}
