//! Whatever anybody says, in any order: nothing ends the master, its invariants hold, and at rest both books are equal (all of which
//! [`Scenario::step`] looks at). Half of what is said here makes no sense.

use std::sync::Arc;
use std::time::Duration;

use libactor::Principal;
use libactor::wire::{decode, encode};
use proptest::collection::vec;
use proptest::prelude::*;
use protocol::agent::{AgentInfo, AgentToMaster, ExecutorReport};
use protocol::framework::{Capability, FrameworkInfo, FrameworkToMaster, Operation};
use protocol::ids::{ClusterId, ContainerId, ExecutorId, FrameworkId, OfferId, Role};
use protocol::offer::{Constraint, Demand};
use protocol::operator::{Before, SetQuotas, SetWeights};
use protocol::quantities::{Limits, Quantities};
use protocol::quota::Quota;
use protocol::resources::{
    Disk, DiskKind, DiskSource, Kind, Milli, Reservation, ReservationMade, Resource, Resources,
    Terms, Value,
};
use protocol::task::{ExecutorSpec, TaskReport, TaskState, TaskStatus};
use protocol::wishes::{AttributeConstraint, OfferConstraints, Predicate, RoleWishes, Selector};

use super::scenario::{
    Scenario, agent_id, agent_info, agent_pid, framework_info, report, scheduler_pid, status, task,
};
use crate::logic::Event;
use crate::logic::allocator::BookEntry;
use crate::logic::roles::Setting;

/// As it may come over the wire, where nothing is checked.
fn raw<T: serde::Serialize, R: serde::de::DeserializeOwned>(value: &T) -> R {
    decode(&encode(value, 64 << 20).expect("it is short")).expect("it has this form")
}

fn sound_role() -> impl Strategy<Value = Role> {
    let names = ["*", "a", "a/b", "a/b/c", "b", "b/x"];
    prop::sample::select(names.to_vec()).prop_map(|name| name.parse().unwrap())
}

fn role() -> impl Strategy<Value = Role> {
    let deep = "a/".repeat(299) + "a";
    let long = "x".repeat(1 << 16);
    let odd =
        ["a//b", "..", ".", "*/x", "x/*", "", "/", "a b", "-a", "a/../b", "a\0", &deep, &long];
    let odd: Vec<String> = odd.iter().map(ToString::to_string).collect();
    prop_oneof![
        9 => sound_role(),
        2 => prop::sample::select(odd).prop_map(|name| raw(&name)),
    ]
}

fn amount() -> impl Strategy<Value = Milli> {
    let odd = [0.0004, 1e308, -1e308, f64::NAN, -1.0, 0.0, f64::INFINITY, 0.0005, 1e12, 1e-3];
    prop_oneof![
        4 => (1..6000i64).prop_map(Milli),
        1 => prop::sample::select(odd.to_vec()).prop_map(Milli::from_f64),
        1 => prop::sample::select(vec![Milli(i64::MIN), Milli(i64::MAX), Milli::MAX]),
    ]
}

fn ranges() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop_oneof![
        4 => (0..10u64, 0..10u64).prop_map(|(first, more)| vec![(first, first + more)]),
        1 => Just(Vec::new()),
        1 => Just(vec![(1, 5), (3, 9)]),
        1 => Just(vec![(9, 1), (0, u64::MAX), (5, 5)]),
        1 => Just(vec![(0, u64::MAX)]),
        1 => Just((0..100_000).map(|n| (2 * n, 2 * n)).collect()),
    ]
}

/// Of a few entries, in any order, each as likely sound as not.
fn odd_resources() -> impl Strategy<Value = Resources> {
    let name = prop::sample::select(vec!["cpus", "mem", "disk", "gpus", "", "a b"]);
    let scalar = (name, amount()).prop_map(|(name, amount)| (name, Value::Scalar(amount)));
    let ports = ranges().prop_map(|ranges| ("ports", Value::Ranges(raw(&ranges))));
    let names = vec(prop::sample::select(vec!["a", "b", ""]), 0..3);
    let set = names
        .prop_map(|names| ("disks", Value::Set(names.into_iter().map(str::to_owned).collect())));
    let entry = (prop_oneof![3 => scalar, 1 => ports, 1 => set], kind());
    vec(entry, 0..4).prop_map(|entries| {
        let entry = |((name, value), kind)| Resource { kind, ..Resource::unreserved(name, value) };
        raw(&entries.into_iter().map(entry).collect::<Vec<_>>())
    })
}

/// Reserved for whomever, in use by whomever, on whatever disk.
fn kind() -> impl Strategy<Value = Kind> {
    let made = prop::sample::select(vec![ReservationMade::Static, ReservationMade::Dynamic]);
    let reservation = (role(), made).prop_map(|(role, made)| {
        let (principal, labels) = (None, Vec::new());
        Reservation { role, made, principal, labels }
    });
    let kinds = [DiskKind::Path, DiskKind::Mount, DiskKind::Block, DiskKind::Raw];
    let disk = prop::sample::select(kinds.to_vec()).prop_map(|kind| {
        let (root, id, vendor, profile) = (None, None, None, None);
        let source = Some(DiskSource { kind, root, id, vendor, profile, metadata: Vec::new() });
        Disk { source, volume: None }
    });
    let flags = (any::<bool>(), any::<bool>());
    let terms = (vec(reservation, 0..3), prop::option::of(disk), flags, prop::option::of(role()));
    let terms = terms.prop_map(|(reservations, disk, (revocable, shared), allocated_to)| {
        Kind::Particular(Arc::new(Terms { reservations, disk, revocable, shared, allocated_to }))
    });
    prop_oneof![4 => Just(Kind::Unreserved), 2 => role().prop_map(Kind::reserved), 1 => terms]
}

fn resources() -> impl Strategy<Value = Resources> {
    let sound = (1..9i64, 1..9i64).prop_map(|(cpus, mem)| {
        let cpus = Resources::none().with_scalar("cpus", Milli(cpus * 500));
        cpus.with_scalar("mem", Milli::whole(mem * 100))
    });
    prop_oneof![2 => sound, 1 => odd_resources()]
}

fn quantities() -> impl Strategy<Value = Quantities> {
    let name = prop::sample::select(vec!["cpus", "mem", ""]);
    let entries = vec((name, amount()), 0..3);
    entries.prop_map(|entries| {
        let map: std::collections::BTreeMap<&str, Milli> = entries.into_iter().collect();
        raw(&map)
    })
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let endless = ["((a{99}){99}){99}", "(a*)*b", "(a|aa)+$", "(", "\\", "[", ".*", "r1"];
    let pattern = prop::sample::select(endless.to_vec());
    prop_oneof![
        Just(Predicate::Exists),
        Just(Predicate::NotExists),
        Just(Predicate::TextEquals("r1".into())),
        pattern.clone().prop_map(|text| Predicate::TextMatches(text.into())),
        pattern.prop_map(|text| Predicate::TextNotMatches(text.into())),
    ]
}

fn constraint() -> impl Strategy<Value = AttributeConstraint> {
    let selector = prop::sample::select(vec![
        Selector::Attribute("rack".into()),
        Selector::Attribute(String::new()),
        Selector::Hostname,
        Selector::Zone,
    ]);
    (selector, predicate())
        .prop_map(|(selector, predicate)| AttributeConstraint { selector, predicate })
}

fn constraints() -> impl Strategy<Value = Vec<Constraint>> {
    let one = prop_oneof![
        Just(Constraint::Is { attribute: String::new(), value: String::new() }),
        Just(Constraint::IsNot { attribute: "hostname".into(), value: "host1".into() }),
        any::<u16>().prop_map(|each| Constraint::Ports { each }),
        constraint().prop_map(Constraint::Attribute),
    ];
    prop_oneof![
        6 => Just(Vec::new()),
        3 => vec(one.clone(), 1..3),
        1 => one.prop_map(|one| vec![one; 10_000]),
    ]
}

fn demand() -> impl Strategy<Value = Vec<Demand>> {
    let count = prop_oneof![0..4u32, Just(u32::MAX)];
    let one = (resources(), count, constraints());
    let one = one.prop_map(|(each, count, constraints)| Demand { each, count, constraints });
    vec(one, 0..3)
}

fn wishes() -> impl Strategy<Value = Vec<RoleWishes>> {
    let group = vec(constraint(), 0..3);
    let groups = prop_oneof![
        4 => Just(Vec::new()),
        3 => vec(group, 1..3),
        1 => constraint().prop_map(|one| vec![vec![one]; 10_000]),
    ];
    let least = prop_oneof![2 => Just(None), 1 => vec(quantities(), 0..3).prop_map(Some)];
    let one = (role(), demand(), groups, least, any::<bool>());
    let one = one.prop_map(|(role, demand, groups, allocatable, suppressed)| {
        let constraints = OfferConstraints { groups };
        RoleWishes { demand, constraints, allocatable, suppressed, ..RoleWishes::of(role) }
    });
    vec(one, 0..3)
}

fn span() -> impl Strategy<Value = Duration> {
    prop::sample::select(vec![Duration::ZERO, Duration::from_secs(5), Duration::MAX])
}

/// What an agent says that it has: a task or an executor of the framework of a number, under a role.
type Held = (u64, bool, Role, Resources);

/// What is said; schedulers and agents by small numbers, offers by how many were made since.
#[derive(Clone, Debug)]
enum Call {
    Subscribe { n: u64, known: bool, roles: Vec<Role>, states: bool, wishes: Vec<RoleWishes> },
    Says { n: u64, message: FrameworkToMaster },
    Answer { n: u64, back: usize, more: usize, needs: Option<Resources>, refuse_for: Duration },
    Quotas { list: Vec<(Role, Quota)>, force: bool },
    Weights { list: Vec<(Role, f64)> },
    Joins { n: u64, resources: Resources },
    Returns { n: u64, resources: Resources, holds: Vec<Held> },
    AgentDown(u64),
    SchedulerDown(u64),
    Ends { back: usize },
    Pass(u64),
    StartOver,
}

fn of_schedulers() -> impl Strategy<Value = Call> {
    let roles = prop_oneof![4 => vec(sound_role(), 1..3), 1 => vec(role(), 0..4)];
    let named = || vec(role(), 0..3);
    let message = prop_oneof![
        3 => wishes().prop_map(FrameworkToMaster::Wishes),
        2 => demand().prop_map(FrameworkToMaster::Demand),
        1 => Just(FrameworkToMaster::Suppress),
        2 => Just(FrameworkToMaster::Revive),
        1 => named().prop_map(FrameworkToMaster::SuppressRoles),
        2 => named().prop_map(FrameworkToMaster::ReviveRoles),
        1 => Just(FrameworkToMaster::Reconcile(Vec::new())),
        2 => (any::<u64>(), vec(role(), 0..3), any::<bool>(), wishes()).prop_map(
            |(number, roles, states, wishes)| FrameworkToMaster::UpdateFramework {
                number,
                info: info(roles, states),
                wishes,
            }
        ),
    ];
    let answer = (1..4u64, 0..6usize, 0..3usize, prop::option::of(resources()), span());
    prop_oneof![
        (1..4u64, any::<bool>(), roles, any::<bool>(), wishes()).prop_map(
            |(n, known, roles, states, wishes)| Call::Subscribe { n, known, roles, states, wishes }
        ),
        (1..4u64, message).prop_map(|(n, message)| Call::Says { n, message }),
        answer.prop_map(|(n, back, more, needs, refuse_for)| {
            Call::Answer { n, back, more, needs, refuse_for }
        }),
    ]
}

fn of_others() -> impl Strategy<Value = Call> {
    let limits = vec((prop::sample::select(vec!["cpus", "mem"]), amount()), 0..3);
    let quota = (quantities(), limits).prop_map(|(guarantees, limits)| {
        let with = |all: Limits, (name, amount): (&str, Milli)| all.with(name, amount);
        Quota { guarantees, limits: limits.into_iter().fold(Limits::none(), with) }
    });
    let odd = [0.0004, 1e308, f64::NAN, -1.0, 0.0, f64::INFINITY, 1e-308];
    let number = prop_oneof![1 => 0.5..9.0f64, 1 => prop::sample::select(odd.to_vec())];
    let held = (1..5u64, any::<bool>(), role(), resources());
    prop_oneof![
        2 => (vec((role(), quota), 0..3), any::<bool>())
            .prop_map(|(list, force)| Call::Quotas { list, force }),
        1 => vec((role(), number), 0..3).prop_map(|list| Call::Weights { list }),
        3 => (1..5u64, resources()).prop_map(|(n, resources)| Call::Joins { n, resources }),
        3 => (1..5u64, resources(), vec(held, 0..3))
            .prop_map(|(n, resources, holds)| Call::Returns { n, resources, holds }),
        1 => (1..5u64).prop_map(Call::AgentDown),
        1 => (1..4u64).prop_map(Call::SchedulerDown),
        2 => (0..4usize).prop_map(|back| Call::Ends { back }),
        2 => prop::sample::select(vec![1u64, 6, 400]).prop_map(Call::Pass),
        1 => Just(Call::StartOver),
    ]
}

fn info(roles: Vec<Role>, states: bool) -> FrameworkInfo {
    let states = states.then_some(Capability::StatesDemand);
    let capabilities: Vec<_> = [Capability::PartitionAware].into_iter().chain(states).collect();
    FrameworkInfo { roles, ..framework_info("any", &capabilities) }
}

/// All that is there, and what was launched on it.
struct Said {
    t: Scenario,
    calls: u64,
    /// Of whom, where, and which: what was launched and not ended.
    launched: Vec<(FrameworkId, u64, String)>,
}

impl Said {
    fn says(&mut self, call: Call) {
        self.calls += 1;
        let asked = self.calls;
        match call {
            Call::Subscribe { n, known, roles, states, wishes } => {
                let framework = known.then(|| FrameworkId::new(format!("c-{:04}", n - 1)));
                let (nonce, info) = (self.calls, info(roles, states));
                let message = FrameworkToMaster::SubscribeWith { nonce, framework, info, wishes };
                self.t.scheduler_says(n, message);
            }
            Call::Says { n, message } => self.t.scheduler_says(n, message),
            Call::Answer { n, back, more, needs, refuse_for } => {
                self.answers(n, (back, more), needs, refuse_for)
            }
            Call::Quotas { list, force } => {
                self.sets(
                    asked,
                    Setting::Quotas(SetQuotas { quotas: list, force, before: Before::Anything }),
                );
            }
            Call::Weights { list } => {
                self.sets(asked, Setting::Weights(SetWeights { weights: list }))
            }
            Call::Joins { n, resources } => {
                let message = AgentToMaster::Register { nonce: n, info: agent(n, resources) };
                self.t.agent_says(agent_pid(n, 1), message);
            }
            Call::Returns { n, resources, holds } => self.returns(n, agent(n, resources), holds),
            Call::AgentDown(n) => self.t.down(agent_pid(n, 1 + self.calls % 2)),
            Call::SchedulerDown(n) => self.t.down(scheduler_pid(n)),
            Call::Ends { back } => self.ends(back),
            Call::Pass(seconds) => self.t.pass(Duration::from_secs(seconds)),
            Call::StartOver => self.t.allocator_starts_over(),
        }
        self.t.forget_lines();
    }

    /// An agent comes back, with whatever it says that it has.
    fn returns(&mut self, n: u64, info: AgentInfo, holds: Vec<Held>) {
        let (mut tasks, mut executors, mut frameworks) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (of, is_task, role, resources)) in holds.into_iter().enumerate() {
            let framework = FrameworkId::new(format!("c-{:04}", of - 1));
            let known = self::info(vec!["a".parse().unwrap()], false);
            frameworks.push(FrameworkInfo { framework: framework.clone(), ..known });
            let id = format!("r{}.{number}", self.calls);
            if is_task {
                let mut report = TaskReport { role, ..report(n, &id, TaskState::Running) };
                Arc::make_mut(&mut report.spec).resources = resources;
                self.launched.push((framework.clone(), n, id));
                tasks.push(TaskReport { framework, ..report });
            } else {
                let (command, name) = (Default::default(), String::new());
                let executor = ExecutorId::new(&id);
                let spec =
                    ExecutorSpec { executor, name, command, resources, shutdown_grace: None };
                let container = ContainerId::new(&id);
                executors.push(ExecutorReport { framework, spec, container, role });
            }
        }
        let message = AgentToMaster::Reregister {
            agent: agent_id(n),
            info,
            tasks,
            executors,
            frameworks,
            epoch: self.t.master.epoch(),
            cluster: ClusterId::new("c"),
        };
        self.t.agent_says(agent_pid(n, 2), message);
    }

    /// What came into the books makes sense, whatever was said.
    fn has_only_what_is_sound(&self) {
        let book = self.t.master.whole_book();
        for entry in book.agents.iter().chain(&book.frameworks) {
            if let BookEntry::Agent { total, allocated, .. } = entry {
                assert_eq!(total.check(), Ok(()), "{entry:?}");
                for (_, role, held) in allocated {
                    assert_eq!((role.check(), held.check()), (Ok(()), Ok(())), "{entry:?}");
                }
            } else if let BookEntry::Framework { roles, wishes, .. } = entry {
                assert!(roles.iter().all(|role| role.check().is_ok()), "{roles:?}");
                wishes.iter().for_each(is_sound);
            }
        }
        for (role, quota) in &book.shares.quotas {
            assert_eq!(role.check(), Ok(()));
            let amounts = quota.guarantees.iter().chain(quota.limits.iter());
            amounts.for_each(|(name, amount)| {
                assert!(!name.is_empty() && (0..=Milli::MAX.0).contains(&amount.0), "{quota:?}");
            });
        }
        for (role, weight) in &book.shares.weights {
            assert_eq!(role.check(), Ok(()));
            assert!(f64::from(*weight).is_finite() && f64::from(*weight) > 0.0, "{weight:?}");
        }
    }

    fn sets(&mut self, asked: u64, setting: Setting) {
        self.t.step(Event::SetAsked { asked, who: Principal::Cluster.into(), setting });
    }

    /// Answers offers that were made lately, to whomever.
    fn answers(
        &mut self,
        n: u64,
        (back, more): (usize, usize),
        needs: Option<Resources>,
        refuse_for: Duration,
    ) {
        let made = self.t.offered.iter().flat_map(|(_, offers)| offers);
        let lately: Vec<_> = made.rev().skip(back).take(more + 1).cloned().collect();
        let offers: Vec<OfferId> = lately.iter().map(|offer| offer.offer.clone()).collect();
        let Some(needs) = needs else {
            return self.t.scheduler_says(n, FrameworkToMaster::Decline { offers, refuse_for });
        };
        let id = format!("t{}", self.calls);
        if let Some(offer) = lately.first() {
            let agent = (1..5).find(|n| agent_id(*n) == offer.agent);
            self.launched.push((offer.framework.clone(), agent.unwrap_or(1), id.clone()));
        }
        let mut spec = task(&id, 1.0);
        spec.resources = needs;
        let operations = vec![Operation::Launch(vec![spec])];
        self.t.scheduler_says(n, FrameworkToMaster::Accept { offers, operations, refuse_for });
    }

    /// One of the newest tasks ends, though it may never have been launched.
    fn ends(&mut self, back: usize) {
        let at = self.launched.len().checked_sub(back + 1);
        let Some((framework, n, id)) = at.map(|at| self.launched.remove(at)) else { return };
        let latest = TaskState::Finished;
        let status = TaskStatus { framework, ..status(n, &id, latest, Some(self.calls)) };
        let life = 1 + self.calls % 2;
        self.t.agent_says(agent_pid(n, life), AgentToMaster::Updated { status, latest });
    }
}

fn agent(n: u64, resources: Resources) -> AgentInfo {
    AgentInfo { resources, ..agent_info(n) }
}

fn is_sound(wish: &RoleWishes) {
    assert_eq!(wish.role.check(), Ok(()));
    for demand in &wish.demand {
        assert_eq!((demand.each.check(), demand.each.is_empty()), (Ok(()), false), "{demand:?}");
        assert!(demand.constraints.len() < 1000);
    }
    for least in wish.allocatable.iter().flatten() {
        assert!(least.iter().all(|(name, amount)| !name.is_empty() && amount > Milli(0)));
    }
    assert!(wish.constraints.groups.len() < 1000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn nothing_that_anybody_says_ends_the_master_or_leaves_books_unbalanced(
        calls in vec(prop_oneof![of_schedulers(), of_others()], 1..60)
    ) {
        let mut said = Said { t: Scenario::new(), calls: 0, launched: Vec::new() };
        for call in calls {
            said.says(call);
            said.has_only_what_is_sound();
        }
        // What is used and offered is never more than there is.
        said.says(Call::StartOver);
    }
}
