//! What an allocator proposes keeps to what operators and schedulers have said. It is counted anew here, from what the allocator was
//! told and what it proposed, by sums and not by its own books of quota, refusals and who wants what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use master::config::AllocatorConfig;
use master::logic::Master;
use master::logic::allocator::{Allocator, BookEntry, Effect, Event, Proposals};
use protocol::ids::{AgentId, FrameworkId, Role};
use protocol::quota::Shares;
use protocol::resources::{Milli, Resource, Resources};
use protocol::time::Instant;

use super::fairness::unfair;
use super::suits::Suits;
use super::{AWAITED, FAIR, GUARANTEES, LIMITS, OVERLOOKED, REFUSED, UNWANTED};

/// What quota is set of here.
const SCALARS: [&str; 2] = ["cpus", "mem"];
/// An allocator keeps so many refusals of one client on one agent.
const REFUSALS_MAX: usize = 8;

type Client = (FrameworkId, Role);
/// By role directly below the root, of each of [`SCALARS`], in thousandths.
type Sums = BTreeMap<Role, [i64; 2]>;

/// What one allocator was told, and what it proposed.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    suits: Suits,
    shares: Shares,
    roles: BTreeMap<FrameworkId, Vec<Role>>,
    suppressed: BTreeSet<Client>,
    open: BTreeMap<u64, (AgentId, Client, Resources)>,
    refusals: BTreeMap<(AgentId, Client), Vec<(Resources, Instant)>>,
    /// What agents have that are there, or may be back any moment.
    totals: BTreeMap<AgentId, Resources>,
    /// When it was first seen.
    began: Option<Instant>,
    /// As it was after the last step.
    held: Sums,
    free: [i64; 2],
}

impl Policy {
    /// Of an allocator that was told nothing yet.
    pub(crate) fn new(config: &AllocatorConfig) -> Self {
        Self::of(Suits::new(config))
    }

    fn of(suits: Suits) -> Self {
        Self {
            suits,
            shares: Shares::default(),
            roles: BTreeMap::new(),
            suppressed: BTreeSet::new(),
            open: BTreeMap::new(),
            refusals: BTreeMap::new(),
            totals: BTreeMap::new(),
            began: None,
            held: Sums::new(),
            free: [0; 2],
        }
    }

    /// One step of the allocator. What is wrong with it: which property, and how, in words.
    pub(crate) fn see(
        &mut self,
        now: Instant,
        heard: &Event,
        effects: &[Effect],
        (allocator, master): (&Allocator, &Master),
    ) -> Option<(&'static str, String)> {
        let began = *self.began.get_or_insert(now);
        if let Event::Book(entries) = heard {
            entries.iter().for_each(|entry| self.learn(now, entry));
        }
        let proposals = effects.iter().filter_map(|effect| match effect {
            Effect::Propose(proposals) => Some(proposals),
            Effect::RunSoon | Effect::SweepAfter(_) => None,
        });
        let proposals: Vec<&Proposals> = proposals.flatten().collect();
        let (held, free) = self.counted(allocator);
        let wrong = self
            .over_limit(&proposals, &held)
            .or_else(|| self.taken_from_others(&proposals))
            .or_else(|| self.unwanted(now, &proposals))
            .or_else(|| self.suits.wrong(&proposals))
            .or_else(|| self.too_soon(now.since(began), &proposals, master))
            .or_else(|| Some((FAIR, unfair(&proposals, &self.shares, &self.totals, allocator)?)))
            .or_else(|| allocator.overlooked().map(|words| (OVERLOOKED, words)));
        for Proposals { framework, role, all } in proposals {
            for one in all {
                let client = (framework.clone(), role.clone());
                let open = (one.agent.clone(), client, one.resources.clone());
                self.open.insert(one.number, open);
            }
        }
        (self.held, self.free) = (held, free);
        wrong
    }

    /// What quota counts: what roles hold or could take back for themselves at any time, and what of all agents is anybody's and free.
    /// What may be taken from whoever uses it counts for nobody.
    fn counted(&self, allocator: &Allocator) -> (Sums, [i64; 2]) {
        let mut held = Sums::new();
        let mut free = [0; 2];
        if self.shares.quotas.is_empty() {
            return (held, free);
        }
        for resource in allocator.free().values().flat_map(Resources::iter) {
            match resource.kind.reserved_for() {
                None if is_plain(resource) => add_one(&mut free, resource),
                Some(role) if !resource.kind.is_revocable() => {
                    add_one(held.entry(top(role)).or_default(), resource);
                }
                None | Some(_) => (),
            }
        }
        for ((_, _, role), resources) in allocator.holdings() {
            let lasting = resources.iter().filter(|resource| !resource.kind.is_revocable());
            let held = held.entry(top(&role)).or_default();
            lasting.for_each(|resource| add_one(held, resource));
        }
        (held, free)
    }

    /// Nothing but what is reserved for it, or may be taken back, is proposed to a role that has more than its limit then.
    fn over_limit(&self, proposals: &[&Proposals], held: &Sums) -> Option<(&'static str, String)> {
        for (role, proposed) in sums_of(proposals) {
            for (n, scalar) in SCALARS.iter().enumerate() {
                let quota = self.shares.quota(&role);
                let limit = quota.limits.iter().find(|(name, _)| &***name == *scalar);
                let Some((_, Milli(limit))) = limit.filter(|_| proposed[n] > 0) else { continue };
                let has = held.get(&role).map_or(0, |held| held[n]);
                if has > limit {
                    let words = format!("{role} has {has} thousandths of {scalar}, of {limit}");
                    return Some((LIMITS, words));
                }
            }
        }
        None
    }

    /// How much less a role had than it is guaranteed, before this step.
    fn lacked(&self, role: &Role, scalar: usize) -> i64 {
        let quota = self.shares.quota(role);
        let guarantee = quota.guarantees.iter().find(|(name, _)| &***name == SCALARS[scalar]);
        let guarantee = guarantee.map_or(0, |(_, Milli(guarantee))| guarantee);
        (guarantee - self.held.get(role).map_or(0, |held| held[scalar])).max(0)
    }

    /// What was proposed beyond what each lacks of its own guarantee was not kept for anybody.
    fn taken_from_others(&self, proposals: &[&Proposals]) -> Option<(&'static str, String)> {
        if self.shares.quotas.is_empty() || proposals.is_empty() {
            return None;
        }
        for (n, scalar) in SCALARS.iter().enumerate() {
            let kept: i64 = self.shares.quotas.keys().map(|role| self.lacked(role, n)).sum();
            let slack = (self.free[n] - kept).max(0);
            let sums = sums_of(proposals);
            let beyond = |(role, sum): (&Role, &[i64; 2])| (sum[n] - self.lacked(role, n)).max(0);
            let beyond: i64 = sums.iter().map(beyond).sum();
            if beyond > slack {
                let free = self.free[n];
                let words =
                    format!("{beyond} of {scalar} proposed, of {free} free {kept} are kept");
                return Some((GUARANTEES, words));
            }
        }
        None
    }

    /// After a fail-over roles with quota wait for four of five agents, for ten minutes at most.
    fn too_soon(
        &self,
        since: Duration,
        proposals: &[&Proposals],
        master: &Master,
    ) -> Option<(&'static str, String)> {
        let (missing, of) = master.awaits();
        let waits = |of: &&&Proposals| self.shares.quotas.contains_key(&top(&of.role));
        let one = proposals.iter().find(waits)?;
        let soon = missing > of / 5 && since < Duration::from_secs(599);
        let words = || {
            format!("{} is offered something, and {missing} of {of} agents are missing", one.role)
        };
        soon.then(|| (AWAITED, words()))
    }

    fn unwanted(&self, now: Instant, proposals: &[&Proposals]) -> Option<(&'static str, String)> {
        for Proposals { framework, role, all } in proposals {
            let client = (framework.clone(), role.clone());
            if self.suppressed.contains(&client) {
                return Some((UNWANTED, format!("{framework} wants nothing for {role}")));
            }
            for one in all {
                let refusals = self.refusals.get(&(one.agent.clone(), client.clone()));
                let counts = |(what, until): &&(Resources, Instant)| {
                    *until > now && what.contains(&one.resources)
                };
                if let Some((what, _)) = refusals.into_iter().flatten().find(counts) {
                    let words =
                        format!("{framework} has refused {what} of {} for a while", one.agent);
                    return Some((REFUSED, words));
                }
            }
        }
        None
    }

    fn forget_refusals(&mut self, framework: &FrameworkId, roles: &[Role]) {
        self.refusals.retain(|(_, (of, role)), _| {
            of != framework || !(roles.is_empty() || roles.contains(role))
        });
    }

    fn end(&mut self, now: Instant, ended: &BookEntry) {
        let BookEntry::Ended { proposals, used, refuse_for } = ended else { return };
        let known: Vec<_> = proposals.iter().filter_map(|one| self.open.remove(one)).collect();
        let Some((agent, client, _)) = known.first().cloned() else { return };
        let mut left = Resources::none();
        known.iter().for_each(|(_, _, resources)| left.add(resources));
        let left = left.checked_sub(used).unwrap_or_default();
        if !refuse_for.is_zero() && !left.is_empty() {
            let all = self.refusals.entry((agent, client)).or_default();
            all.push((left, now + *refuse_for));
            // Which of many are kept is the allocator's affair.
            if all.len() > REFUSALS_MAX {
                all.clear();
            }
        }
    }

    fn drop_agent(&mut self, agent: &AgentId) {
        self.open.retain(|_, (of, ..)| of != agent);
    }

    fn learn(&mut self, now: Instant, entry: &BookEntry) {
        self.suits.learn(entry);
        match entry {
            BookEntry::Agent { agent, total, .. } => {
                self.drop_agent(agent);
                self.totals.insert(agent.clone(), total.clone());
                // What an agent is that came back with other resources was never refused.
                self.refusals.retain(|(of, _), _| of != agent);
            }
            BookEntry::AgentInactive { agent } => self.drop_agent(agent),
            BookEntry::AgentLost { agent } | BookEntry::AgentGone { agent } => {
                self.drop_agent(agent);
                self.totals.remove(agent);
            }
            BookEntry::Framework { framework, roles, wishes, .. } => {
                self.forget_refusals(framework, &[]);
                self.roles.insert(framework.clone(), roles.clone());
                self.suppressed.retain(|(of, _)| of != framework);
                let suppressed = wishes.iter().filter(|wish| wish.suppressed);
                let suppressed = suppressed.map(|wish| (framework.clone(), wish.role.clone()));
                self.suppressed.extend(suppressed);
            }
            BookEntry::Wishes { framework, wishes } => {
                self.forget_refusals(framework, &[]);
                for wish in wishes {
                    let client = (framework.clone(), wish.role.clone());
                    match wish.suppressed {
                        true => self.suppressed.insert(client),
                        false => self.suppressed.remove(&client),
                    };
                }
            }
            BookEntry::Revived { framework, roles } => {
                self.forget_refusals(framework, roles);
                self.suppressed.retain(|(of, role)| {
                    of != framework || !(roles.is_empty() || roles.contains(role))
                });
            }
            BookEntry::Suppressed { framework, roles } => {
                let all = self.roles.get(framework).cloned().unwrap_or_default();
                let these = all.into_iter().filter(|role| roles.is_empty() || roles.contains(role));
                self.suppressed.extend(these.map(|role| (framework.clone(), role)));
            }
            BookEntry::FrameworkInactive { framework } => self.forget_refusals(framework, &[]),
            BookEntry::Shares(shares) => self.shares = shares.clone(),
            BookEntry::Returned(numbers) => {
                numbers.iter().for_each(|number| drop(self.open.remove(number)));
            }
            BookEntry::Ended { .. } => self.end(now, entry),
            BookEntry::Released { .. } | BookEntry::Awaiting(_) => (),
            BookEntry::StartOver(book) => {
                let open = std::mem::take(&mut self.open);
                let (shares, began) = (book.shares.clone(), self.began);
                self.suits.start_over();
                *self = Self { open, shares, began, ..Self::of(self.suits.clone()) };
                let entries = book.agents.iter().chain(&book.frameworks);
                let kept = self.open.clone();
                entries.for_each(|entry| self.learn(now, entry));
                self.open = kept;
            }
        }
    }
}

fn top(role: &Role) -> Role {
    let first = role.as_str().split('/').next().unwrap_or_default();
    first.parse().expect("what is above a role is a role")
}

/// Whether quota says how much of it somebody may have.
fn is_plain(resource: &Resource) -> bool {
    resource.kind.reserved_for().is_none() && !resource.kind.is_revocable()
}

fn add_one(sum: &mut [i64; 2], resource: &Resource) {
    for (sum, scalar) in sum.iter_mut().zip(SCALARS) {
        if *resource.name == *scalar {
            *sum += resource.amount().map_or(0, |Milli(amount)| amount);
        }
    }
}

/// What was proposed of what quota is about.
fn sums_of(proposals: &[&Proposals]) -> Sums {
    let mut sums = Sums::new();
    for Proposals { role, all, .. } in proposals {
        let sum = sums.entry(top(role)).or_default();
        let proposed = all.iter().flat_map(|one| one.resources.iter());
        proposed.filter(|resource| is_plain(resource)).for_each(|one| add_one(sum, one));
    }
    sums
}
