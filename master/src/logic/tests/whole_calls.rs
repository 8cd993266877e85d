//! Whatever anybody says, in any order: nothing ends the master, its invariants hold, and at rest both books are equal (all of which
//! [`Scenario::step`] looks at). Half of what is said here makes no sense.

use std::time::Duration;

use libactor::Principal;
use libactor::wire::{decode, encode};
use proptest::collection::vec;
use proptest::prelude::*;
use protocol::agent::{AgentInfo, AgentToMaster};
use protocol::framework::{Capability, FrameworkInfo, FrameworkToMaster, Operation};
use protocol::ids::{FrameworkId, OfferId, Role};
use protocol::offer::{Constraint, Demand};
use protocol::operator::{SetQuotas, SetWeights};
use protocol::quantities::{Limits, Quantities};
use protocol::quota::Quota;
use protocol::resources::{Milli, Resource, Resources, Value};
use protocol::task::{TaskState, TaskStatus};
use protocol::wishes::{AttributeConstraint, OfferConstraints, Predicate, RoleWishes, Selector};

use super::scenario::{
    Scenario, agent_info, agent_pid, framework_info, scheduler_pid, status, task,
};
use crate::logic::Event;
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
        1 => prop::sample::select(odd).prop_map(|name| raw(&name)),
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
    vec(prop_oneof![3 => scalar, 1 => ports, 1 => set], 0..4).prop_map(|entries| {
        let entries = entries.into_iter().map(|(name, value)| Resource::unreserved(name, value));
        raw(&entries.collect::<Vec<_>>())
    })
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

/// What is said; schedulers and agents by small numbers, offers by how many were made since.
#[derive(Clone, Debug)]
enum Call {
    Subscribe { n: u64, known: bool, roles: Vec<Role>, states: bool, wishes: Vec<RoleWishes> },
    Says { n: u64, message: FrameworkToMaster },
    Answer { n: u64, back: usize, more: usize, needs: Option<Resources>, refuse_for: Duration },
    Quotas { list: Vec<(Role, Quota)>, force: bool },
    Weights { list: Vec<(Role, f64)> },
    Joins { n: u64, resources: Resources },
    Returns { n: u64, resources: Resources },
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
    prop_oneof![
        2 => (vec((role(), quota), 0..3), any::<bool>())
            .prop_map(|(list, force)| Call::Quotas { list, force }),
        1 => vec((role(), number), 0..3).prop_map(|list| Call::Weights { list }),
        3 => (1..5u64, resources()).prop_map(|(n, resources)| Call::Joins { n, resources }),
        1 => (1..5u64, resources()).prop_map(|(n, resources)| Call::Returns { n, resources }),
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
                self.sets(asked, Setting::Quotas(SetQuotas { quotas: list, force }));
            }
            Call::Weights { list } => {
                self.sets(asked, Setting::Weights(SetWeights { weights: list }))
            }
            Call::Joins { n, resources } => {
                let message = AgentToMaster::Register { nonce: n, info: agent(n, resources) };
                self.t.agent_says(agent_pid(n, 1), message);
            }
            Call::Returns { n, resources } => {
                let message = AgentToMaster::Reregister {
                    agent: super::scenario::agent_id(n),
                    info: agent(n, resources),
                    tasks: Vec::new(),
                    executors: Vec::new(),
                    frameworks: Vec::new(),
                    epoch: self.t.master.epoch(),
                    cluster: protocol::ids::ClusterId::new("c"),
                };
                self.t.agent_says(agent_pid(n, 2), message);
            }
            Call::AgentDown(n) => self.t.down(agent_pid(n, 1 + self.calls % 2)),
            Call::SchedulerDown(n) => self.t.down(scheduler_pid(n)),
            Call::Ends { back } => self.ends(back),
            Call::Pass(seconds) => self.t.pass(Duration::from_secs(seconds)),
            Call::StartOver => self.t.allocator_starts_over(),
        }
        self.t.forget_lines();
    }

    fn sets(&mut self, asked: u64, setting: Setting) {
        self.t.step(Event::SetAsked { asked, principal: Principal::Cluster, setting });
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
            let agent = (1..5).find(|n| super::scenario::agent_id(*n) == offer.agent);
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn nothing_that_anybody_says_ends_the_master_or_leaves_books_unbalanced(
        calls in vec(prop_oneof![of_schedulers(), of_others()], 1..60)
    ) {
        let mut said = Said { t: Scenario::new(), calls: 0, launched: Vec::new() };
        calls.into_iter().for_each(|call| said.says(call));
        // What is used and offered is never more than there is.
        said.says(Call::StartOver);
    }
}
