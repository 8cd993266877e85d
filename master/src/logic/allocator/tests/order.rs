//! Who comes next: shares, ties, the tree of roles, weights, lots.

use std::collections::BTreeMap;

use protocol::quota::{Shares, Weight};

use super::*;
use crate::config::Order;

/// An agent of so much, all of which these hold.
fn held_agent(total: &str, held: &[(&str, &str, &str)]) -> BookEntry {
    let holder = |(framework, role, what): &(&str, &str, &str)| {
        (FrameworkId::new(*framework), role.parse().unwrap(), what.parse().unwrap())
    };
    BookEntry::Agent {
        agent: AgentId::new("big"),
        slot: 0,
        generation: 1,
        hostname: "big".into(),
        attributes: Vec::new(),
        domain: None,
        total: total.parse().unwrap(),
        allocated: held.iter().map(holder).collect(),
    }
}

fn weights(of: &[(&str, f64)]) -> BookEntry {
    let weights =
        of.iter().map(|(role, weight)| (role.parse().unwrap(), Weight::try_from(*weight).unwrap()));
    BookEntry::Shares(Shares { weights: weights.collect(), ..Shares::default() })
}

/// How many of so many equal agents each framework is proposed.
fn proposed(allocator: &mut Allocator, agents: u32) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for proposal in enter(allocator, 1, (0..agents).map(|n| agent(n, 1.0)).collect()) {
        *all.entry(proposal.framework.to_string()).or_default() += 1;
    }
    all
}

fn takers(allocator: &mut Allocator, agents: u32) -> Vec<String> {
    (0..agents).map(|n| enter(allocator, 1, vec![agent(n, 1.0)])[0].framework.to_string()).collect()
}

/// Cases of Mesos's sorter tests.
#[test]
fn alloc_02_a_share_is_the_largest_part_of_any_scalar_by_weight() {
    let config = AllocatorConfig { excluded: vec!["gpus".into()], ..AllocatorConfig::default() };
    let mut allocator = Allocator::new(config, 1);
    let held = [
        ("f", "a", "cpus:5;mem:5;gpus:4;ports:[1-90]"),
        ("g", "b", "cpus:6;mem:2"),
        ("h", "c", "cpus:1;mem:16"),
    ];
    let total = "cpus:100;mem:100;gpus:4;ports:[1-100]";
    let frameworks = held.map(|(id, role, _)| framework(id, &[role], Some(Vec::new())));
    enter(&mut allocator, 0, vec![held_agent(total, &held)]);
    enter(&mut allocator, 0, frameworks.to_vec());
    let share = |allocator: &Allocator, framework: &str, role: &str| {
        let shares = allocator.shares();
        shares[&(FrameworkId::new(framework), role.parse().unwrap())]
    };
    let all = |allocator: &Allocator| {
        [("f", "a"), ("g", "b"), ("h", "c")].map(|(f, role)| share(allocator, f, role))
    };
    assert_eq!(all(&allocator), [0.05, 0.06, 0.16], "gpus are excluded, ports are no scalar");
    // Twice the memory in the cluster: the cpus of h are as much of all as its memory was not.
    enter(&mut allocator, 0, vec![mem_only(100.0)]);
    enter(&mut allocator, 0, vec![framework("x", &["x"], Some(Vec::new()))]);
    assert_eq!(all(&allocator), [0.05, 0.06, 0.08]);
}

fn mem_only(mem: f64) -> BookEntry {
    agent_with(7, Resources::cpus_mem(0.0, mem), Vec::new())
}

/// Of two that want all there is, the one with the smaller share is asked first, by the shares as they are when it is asked.
#[test]
fn alloc_02_who_has_the_smaller_share_by_what_counts_comes_first() {
    let first = |excluded: &[&str], more: Option<BookEntry>| {
        let excluded = excluded.iter().map(ToString::to_string).collect();
        let config = AllocatorConfig { excluded, ..AllocatorConfig::default() };
        let mut allocator = Allocator::new(config, 1);
        let held = [("f", "a", "cpus:10;gpus:4;ports:[1-90]"), ("g", "b", "cpus:6;mem:16")];
        let busy = "cpus:16;mem:16;gpus:4;ports:[1-90]";
        let total = agent_with(8, "cpus:84;mem:84".parse().unwrap(), Vec::new());
        enter(&mut allocator, 0, vec![held_agent(busy, &held), total]);
        enter(&mut allocator, 0, more.into_iter().collect());
        // The agents that are there already are for somebody else.
        enter(&mut allocator, 0, vec![framework("x", &["x"], None)]);
        let none = vec![BookEntry::FrameworkInactive { framework: FrameworkId::new("x") }];
        enter(&mut allocator, 0, none);
        enter(&mut allocator, 0, vec![framework("f", &["a"], None), framework("g", &["b"], None)]);
        let small = agent_with(0, "cpus:1;mem:1".parse().unwrap(), Vec::new());
        let served = enter(&mut allocator, 1, vec![small]);
        served[0].framework.to_string()
    };
    assert_eq!(first(&["gpus"], None), "f", "10 of 100 cpus are less than 16 of 100 of memory");
    assert_eq!(first(&[], None), "g", "all gpus are more than anything");
    assert_eq!(first(&["gpus"], Some(mem_only(200.0))), "g", "that memory is a small part by now");
}

#[test]
fn alloc_02_a_role_of_twice_the_weight_gets_twice_as_much() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    enter(&mut allocator, 0, vec![weights(&[("b", 2.0)])]);
    enter(&mut allocator, 0, vec![framework("f", &["a"], None), framework("g", &["b"], None)]);
    let all = proposed(&mut allocator, 30);
    assert_eq!((all["f"], all["g"]), (10, 20));
}

#[test]
fn alloc_03_equal_shares_alternate_and_ties_go_by_path() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let frameworks = [("g", "b"), ("f", "a"), ("h", "c")];
    let entries = frameworks.map(|(id, role)| framework(id, &[role], None));
    enter(&mut allocator, 0, entries.to_vec());
    assert_eq!(takers(&mut allocator, 6), ["f", "g", "h", "f", "g", "h"]);
    // What was allocated more often comes later, though its share is nothing again.
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    enter(&mut allocator, 0, vec![framework("f", &["a"], None), framework("g", &["b"], None)]);
    let first = enter(&mut allocator, 1, vec![agent(0, 1.0)]);
    assert_eq!(first[0].framework.as_str(), "f");
    let second = enter(&mut allocator, 1, vec![ended(&first, Resources::none(), 0)]);
    assert_eq!(second[0].framework.as_str(), "g");
}

#[test]
fn alloc_04_a_role_that_is_a_parent_competes_with_its_children_as_a_leaf_of_its_own() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let in_a = [("f", "a"), ("f2", "a"), ("g", "a/b"), ("m", "a/z")];
    let in_c = [("h", "c"), ("k", "c/d/e"), ("l", "c/d/x")];
    let frameworks = [&in_a[..], &in_c].concat();
    let entries = frameworks.iter().map(|(id, role)| framework(id, &[role], None));
    enter(&mut allocator, 0, entries.collect());
    let all = proposed(&mut allocator, 48);
    // Half of all for each of a and c; of a, a third for the leaf `a/.` and for each of a/b and a/z; of c, half for its leaf; of
    // c/d, half for each below it.
    let counts: Vec<usize> = frameworks.iter().map(|(id, _)| all[*id]).collect();
    assert_eq!(counts, [4, 4, 8, 8, 12, 6, 6]);
    // Who wants nothing is passed by, and who has gone leaves no leaf behind.
    let gone =
        ["f", "f2"].map(|id| BookEntry::FrameworkInactive { framework: FrameworkId::new(id) });
    enter(&mut allocator, 2, gone.to_vec());
    let more: Vec<BookEntry> = (100..108).map(|n| agent(n, 1.0)).collect();
    let more = enter(&mut allocator, 2, more);
    assert!(more.iter().all(|proposal| !["f", "f2"].contains(&proposal.framework.as_str())));
}

#[test]
fn alloc_05_lots_fall_as_the_weights_are() {
    let config = AllocatorConfig { order: Order::Lots, ..AllocatorConfig::default() };
    let mut allocator = Allocator::new(config, 7);
    enter(&mut allocator, 0, vec![weights(&[("b", 2.0), ("c", 5.0)])]);
    let frameworks = [("f", "a"), ("g", "b"), ("h", "c")];
    enter(&mut allocator, 0, frameworks.map(|(id, role)| framework(id, &[role], None)).to_vec());
    let all = proposed(&mut allocator, 8000);
    for (id, expected) in [("f", 1000), ("g", 2000), ("h", 5000)] {
        let off = all[id].abs_diff(expected);
        assert!(off < 150, "{id}: {} of 8000, where {expected} are expected", all[id]);
    }
    // It is no rota: shares would hand them out in turn.
    let mut allocator =
        Allocator::new(AllocatorConfig { order: Order::Lots, ..AllocatorConfig::default() }, 3);
    enter(&mut allocator, 0, vec![framework("f", &["a"], None), framework("g", &["b"], None)]);
    let order = takers(&mut allocator, 20);
    assert!(order.windows(2).any(|two| two[0] == two[1]), "{order:?}");
}

#[test]
fn alloc_06_roles_are_equal_and_then_the_frameworks_of_each() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let frameworks = [("f", "web"), ("g", "web"), ("h", "batch"), ("i", "batch"), ("k", "batch")];
    enter(&mut allocator, 0, frameworks.map(|(id, role)| framework(id, &[role], None)).to_vec());
    let all = proposed(&mut allocator, 12);
    let counts: Vec<usize> = frameworks.iter().map(|(id, _)| all[*id]).collect();
    assert_eq!(counts, [3, 3, 2, 2, 2]);
}
