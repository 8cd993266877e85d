//! Whoever asks why is told the true cause first.

use protocol::quantities::{Limits, Quantities};
use protocol::quota::{Quota, Shares};
use protocol::resources::{Kind, Milli, Ranges, Resource};
use protocol::why::{Cause, Quiet, RoleWhy, WantWhy, WhyAnswer};

use super::*;

pub(super) fn roles(allocator: &Allocator, seconds: u64, id: &str) -> Vec<RoleWhy> {
    match allocator.why(at(seconds).steady, &FrameworkId::new(id)) {
        WhyAnswer::Because(roles) => roles,
        other @ (WhyAnswer::Unknown | WhyAnswer::Refused(_)) => panic!("{other:?}"),
    }
}

fn want(allocator: &Allocator, seconds: u64, id: &str) -> WantWhy {
    roles(allocator, seconds, id).remove(0).wants.remove(0)
}

pub(super) fn first(allocator: &Allocator, id: &str) -> Cause {
    want(allocator, 10, id).causes.remove(0).0
}

pub(super) fn needs(cpus: f64, constraints: Vec<Constraint>) -> BookEntry {
    framework("f", &["web"], Some(vec![demand(cpus, 1, constraints)]))
}

pub(super) fn cluster(entries: Vec<BookEntry>) -> Allocator {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    enter(&mut allocator, 0, entries);
    allocator
}

pub(super) fn used_agent(n: u32, total: &str, used: &str) -> BookEntry {
    let holder = || (FrameworkId::new("other"), "other".parse().unwrap(), used.parse().unwrap());
    let held = if used.is_empty() { Vec::new() } else { vec![holder()] };
    agent_with(n, total.parse().unwrap(), held)
}

#[test]
fn too_little_of_a_resource_is_named_with_the_nearest_miss_first() {
    let agents = [
        used_agent(0, "cpus:4;mem:4000", "cpus:3.5;mem:100"),
        used_agent(1, "cpus:4;mem:4000", "cpus:3;mem:100"),
    ];
    let mut entries = agents.to_vec();
    entries.push(needs(2.0, Vec::new()));
    let allocator = cluster(entries);
    let why = want(&allocator, 10, "f");
    let Cause::TooLittle { resource, wants, free, total } = &why.causes[0].0 else {
        panic!("{:?}", why.causes)
    };
    assert_eq!([resource, wants, free, total], ["cpus", "2", "1", "4"]);
    assert_eq!((why.causes.len(), why.causes[0].1, why.of), (1, 2, 2));
    assert_eq!(why.agents[0].0.as_str(), "a1", "the one with more free comes first");
    // Memory likewise.
    let agents = vec![used_agent(0, "cpus:4;mem:120", "mem:100"), needs(2.0, Vec::new())];
    let Cause::TooLittle { resource, .. } = first(&cluster(agents), "f") else { panic!() };
    assert_eq!(resource, "mem");
}

#[test]
fn ports_that_are_taken_are_named() {
    let used = "ports:[31000-31001]";
    let total = "cpus:4;mem:4000;ports:[31000-31002]";
    let entries = || vec![used_agent(0, total, used)];
    let mut all = entries();
    all.push(needs(1.0, vec![Constraint::Ports { each: 2 }]));
    let Cause::TooLittle { resource, .. } = first(&cluster(all), "f") else { panic!() };
    assert_eq!(resource, "ports");
    let each = Resources::cpus_mem(1.0, 100.0).with_ranges("ports", Ranges::new([(31001, 31001)]));
    let wants = vec![Demand { each, count: 1, constraints: Vec::new() }];
    let mut all = entries();
    all.push(framework("f", &["web"], Some(wants)));
    let Cause::TooLittle { resource, .. } = first(&cluster(all), "f") else { panic!() };
    assert_eq!(resource, "ports");
}

#[test]
fn a_constraint_that_no_agent_meets_is_named() {
    let rack = Constraint::Is { attribute: "rack".into(), value: "r7".into() };
    let Cause::Constraint { constraint } =
        first(&cluster(vec![agent(0, 4.0), agent(1, 4.0), needs(1.0, vec![rack])]), "f")
    else {
        panic!()
    };
    assert!(constraint.contains("r7"), "{constraint}");
    // One agent meets it and is full: that is the reason, and not the others.
    let rack = Constraint::Is { attribute: "rack".into(), value: "r0".into() };
    let full = used_agent(2, "cpus:4;mem:4000", "cpus:4");
    let cause = first(&cluster(vec![full, agent(1, 4.0), needs(1.0, vec![rack])]), "f");
    assert!(matches!(&cause, Cause::TooLittle { resource, .. } if resource == "cpus"), "{cause}");
}

#[test]
fn a_limit_and_what_others_are_guaranteed_are_named() {
    let cpus = |units| Quantities::none().with("cpus", Milli::whole(units));
    let shares = |role: &str, quota| {
        let quotas = [(role.parse().unwrap(), quota)].into_iter().collect();
        BookEntry::Shares(Shares { quotas, ..Shares::default() })
    };
    let limits = Limits::none().with("cpus", Milli::whole(1));
    let quota = Quota { limits, ..Quota::default() };
    let allocator = cluster(vec![shares("web", quota), agent(0, 4.0), needs(2.0, Vec::new())]);
    let Cause::Limit { role, resource, limit, consumed } = first(&allocator, "f") else {
        panic!("{}", first(&allocator, "f"))
    };
    assert_eq!((role.as_str(), resource.as_str()), ("web", "cpus"));
    assert_eq!((limit, consumed), (Milli::whole(1), Milli(0)));

    let quota = Quota { guarantees: cpus(3), ..Quota::default() };
    let allocator = cluster(vec![shares("db", quota), agent(0, 4.0), needs(2.0, Vec::new())]);
    let Cause::Guaranteed { to, resource, kept, free } = first(&allocator, "f") else {
        panic!("{}", first(&allocator, "f"))
    };
    assert_eq!((to[0].as_str(), resource.as_str()), ("db", "cpus"));
    assert_eq!((kept, free), (Milli::whole(3), Milli::whole(4)));
}

#[test]
fn who_hoards_an_offer_is_named_and_for_how_long() {
    let allocator =
        cluster(vec![framework("hoarder", &["*"], None), agent(0, 4.0), needs(2.0, Vec::new())]);
    let cause = first(&allocator, "f");
    let Cause::Offered { to, held_for } = &cause else { panic!("{cause}") };
    assert_eq!((to.as_str(), held_for.as_secs()), ("hoarder", 10));
}

#[test]
fn a_refusal_of_its_own_is_named_with_the_time_that_is_left() {
    let mut allocator = cluster(vec![agent(0, 4.0)]);
    let all = enter(&mut allocator, 0, vec![needs(2.0, Vec::new())]);
    enter(&mut allocator, 0, vec![ended(&all, Resources::none(), 60)]);
    let cause = first(&allocator, "f");
    let Cause::Refused { for_another } = &cause else { panic!("{cause}") };
    assert_eq!(for_another.as_secs(), 50);
}

#[test]
fn what_is_reserved_for_others_is_named() {
    let mut total = Resources::none();
    for resource in Resources::cpus_mem(4.0, 4000.0).iter() {
        let kind = Kind::reserved("db".parse().unwrap());
        total.add_one(Resource { kind, ..resource.clone() });
    }
    let reserved = agent_with(0, total, Vec::new());
    let cause = first(&cluster(vec![reserved, needs(2.0, Vec::new())]), "f");
    let Cause::Reserved { role, .. } = &cause else { panic!("{cause}") };
    assert_eq!(role.as_str(), "db");
}

#[test]
fn a_capability_that_is_lacking_is_named() {
    let agent = used_agent(0, "cpus:4;mem:4000;gpus:1", "");
    let cause = first(&cluster(vec![agent, needs(2.0, Vec::new())]), "f");
    assert_eq!(cause, Cause::Lacks(Capability::GpuResources));
    let rack = Constraint::Is { attribute: "rack".into(), value: "r7".into() };
    let elsewhere = used_agent(0, "cpus:4;mem:4000;gpus:1", "");
    let cause = first(&cluster(vec![elsewhere, needs(2.0, vec![rack])]), "f");
    assert!(matches!(cause, Cause::Constraint { .. }), "it is not wanted there: {cause}");
    // With it, it would be too small all the same: nothing of what is told would help.
    let agent = used_agent(0, "cpus:1;mem:4000;gpus:1", "");
    let cause = first(&cluster(vec![agent, needs(2.0, Vec::new())]), "f");
    assert!(matches!(cause, Cause::TooSmall { .. }), "{cause}");
}

#[test]
fn an_agent_that_would_do_and_is_not_there_is_named() {
    let inactive = BookEntry::AgentInactive { agent: AgentId::new("a0") };
    let small = agent(1, 1.0);
    let mut allocator = cluster(vec![agent(0, 4.0), small, needs(2.0, Vec::new())]);
    enter(&mut allocator, 1, vec![inactive]);
    assert_eq!(first(&allocator, "f"), Cause::Inactive);
    enter(&mut allocator, 2, vec![BookEntry::AgentGone { agent: AgentId::new("a0") }]);
    let cause = first(&allocator, "f");
    let Cause::TooSmall { resource, wants, total } = &cause else { panic!("{cause}") };
    assert_eq!([resource, wants, total], ["cpus", "2", "1"]);
}

#[test]
fn who_wants_nothing_is_told_so() {
    let mut allocator = cluster(vec![agent(0, 4.0), framework("f", &["web"], Some(Vec::new()))]);
    assert_eq!(roles(&allocator, 1, "f")[0].quiet, Some(Quiet::NoDemand));
    let f = || FrameworkId::new("f");
    enter(&mut allocator, 1, vec![BookEntry::Suppressed { framework: f(), roles: Vec::new() }]);
    assert_eq!(roles(&allocator, 1, "f")[0].quiet, Some(Quiet::Suppressed));
    assert_eq!(allocator.why(at(1).steady, &FrameworkId::new("g")), WhyAnswer::Unknown);
}
