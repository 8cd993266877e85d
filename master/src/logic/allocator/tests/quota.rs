//! Guarantees, limits, and what is kept free for who has less than it is guaranteed.

use protocol::quantities::{Limits, Quantities};
use protocol::quota::{Quota, Shares};
use protocol::resources::{Kind, Milli, Resource, Terms};

use super::*;

fn cpus(units: i64) -> Quantities {
    Quantities::none().with("cpus", Milli::whole(units))
}

fn guaranteed(units: i64) -> Quota {
    Quota { guarantees: cpus(units), limits: Limits::none() }
}

fn limited(units: i64) -> Quota {
    let limits = Limits::none().with("cpus", Milli::whole(units));
    Quota { guarantees: Quantities::none(), limits }
}

fn quotas(of: &[(&str, Quota)]) -> BookEntry {
    let quotas = of.iter().map(|(role, quota)| (role.parse().unwrap(), quota.clone()));
    BookEntry::Shares(Shares { quotas: quotas.collect(), ..Shares::default() })
}

fn cpus_of(proposals: &[Proposal], framework: &str) -> i64 {
    let mine = proposals.iter().filter(|proposal| proposal.framework.as_str() == framework);
    mine.map(|proposal| proposal.resources.cpus().0).sum::<i64>() / 1000
}

fn agents(count: u32, cpus: f64) -> Vec<BookEntry> {
    (0..count).map(|n| agent(n, cpus)).collect()
}

#[test]
fn alloc_07_roles_with_unsatisfied_guarantees_come_first() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let entries = vec![
        quotas(&[("b", guaranteed(6))]),
        framework("f", &["a"], None),
        framework("g", &["b"], None),
    ];
    enter(&mut allocator, 0, entries);
    let all = enter(&mut allocator, 1, agents(4, 2.0));
    // By share each would get two agents, and f the first one, since its path comes first.
    assert_eq!((cpus_of(&all, "f"), cpus_of(&all, "g")), (2, 6), "{:?}", told(&all));
    // What a guarantee names no amount of comes with it: memory is not cut.
    let of_g = all.iter().filter(|proposal| proposal.framework.as_str() == "g");
    assert!(of_g.into_iter().all(|proposal| proposal.resources.mem() == Milli::whole(2000)));
}

#[test]
fn alloc_07_a_role_gets_what_it_lacks_and_of_the_rest_what_nobody_is_guaranteed() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let frameworks = [("f", "a"), ("g", "b"), ("h", "c")];
    let mut entries = vec![quotas(&[("b", guaranteed(3)), ("c", guaranteed(4))])];
    entries.extend(frameworks.map(|(id, role)| framework(id, &[role], None)));
    enter(&mut allocator, 0, entries);
    let all = enter(&mut allocator, 1, agents(1, 8.0));
    assert_eq!((cpus_of(&all, "g"), cpus_of(&all, "h")), (4, 4), "{:?}", told(&all));
}

#[test]
fn what_a_role_lacks_and_what_it_gets_besides_of_one_agent_is_one_proposal() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let entries =
        vec![quotas(&[("q", guaranteed(1))]), framework("q", &["q"], None), agent(1, 3.0)];
    let proposals = enter(&mut allocator, 0, entries);
    let all: Vec<_> = proposals.iter().map(|proposal| proposal.resources.to_string()).collect();
    assert_eq!(all, ["cpus:3;mem:3000"]);
    // What is told and what is in the book is the same: when it is returned, all of it is free.
    let mut again = enter(&mut allocator, 1, vec![returned(&proposals)]);
    again.extend(after(&mut allocator, 2, Event::Sweep));
    assert_eq!(cpus_of(&again, "q"), 3, "{again:?}");
}

#[test]
fn alloc_07_an_agent_that_has_nothing_of_what_a_role_lacks_is_not_for_it_first() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let tapes = Quantities::none().with("tapes", Milli::whole(1));
    let quota = Quota { guarantees: tapes, ..Quota::default() };
    let entries =
        vec![quotas(&[("b", quota)]), framework("f", &["a"], None), framework("g", &["b"], None)];
    enter(&mut allocator, 0, entries);
    let all = enter(&mut allocator, 1, agents(4, 2.0));
    assert_eq!((cpus_of(&all, "f"), cpus_of(&all, "g")), (4, 4), "{:?}", told(&all));
}

#[test]
fn alloc_08_other_roles_do_not_get_what_is_kept_for_guarantees() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    // Nobody of role b is here yet.
    let entries = vec![quotas(&[("b", guaranteed(5))]), framework("f", &["a"], None)];
    enter(&mut allocator, 0, entries);
    let all = enter(&mut allocator, 1, agents(4, 2.0));
    assert_eq!(cpus_of(&all, "f"), 3, "{:?}", told(&all));
    let all = enter(&mut allocator, 2, vec![framework("g", &["b"], None)]);
    assert_eq!(cpus_of(&all, "g"), 5, "{:?}", told(&all));
}

#[test]
fn alloc_08_a_role_gets_no_more_than_its_limit_together_with_those_below_it() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let entries = vec![
        quotas(&[("a", limited(3))]),
        framework("f", &["a"], None),
        framework("g", &["a/b"], None),
    ];
    enter(&mut allocator, 0, entries);
    let all = enter(&mut allocator, 1, agents(4, 2.0));
    let held = |allocator: &Allocator| -> i64 {
        allocator.holdings().values().map(|held| held.cpus().0).sum::<i64>() / 1000
    };
    assert_eq!(held(&allocator), 3, "{:?}", told(&all));
    // What is given back may be had again, and no more.
    let again = enter(&mut allocator, 2, vec![ended(&all[..1], Resources::none(), 0)]);
    assert_eq!(held(&allocator), 3, "{:?}", told(&again));
    // A higher limit lets them have more at once.
    enter(&mut allocator, 3, vec![quotas(&[("a", limited(7))])]);
    assert_eq!(held(&allocator), 7);
}

#[test]
fn alloc_09_headroom_is_what_guarantees_lack_of_what_nobody_has_a_claim_to() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let reserved = agent_with(9, reserved("c", 4.0), Vec::new());
    let entries = vec![
        quotas(&[("b", guaranteed(4)), ("d", guaranteed(2))]),
        reserved,
        framework("f", &["a"], None),
    ];
    enter(&mut allocator, 0, entries);
    // Of 10 that are free 6 are lacking; what is reserved for c is no headroom for b.
    let all = enter(&mut allocator, 1, agents(5, 2.0));
    assert_eq!(cpus_of(&all, "f"), 4, "{:?}", told(&all));
    // A guarantee that is given up leaves more.
    let all = enter(&mut allocator, 2, vec![quotas(&[("b", guaranteed(4))])]);
    assert_eq!(cpus_of(&all, "f"), 2, "{:?}", told(&all));
}

fn of_kind(kind: &Kind, cpus: f64) -> Resources {
    let all = Resources::cpus_mem(cpus, cpus * 1000.0);
    all.iter().map(|resource| Resource { kind: kind.clone(), ..resource.clone() }).collect()
}

fn reserved(role: &str, cpus: f64) -> Resources {
    of_kind(&Kind::reserved(role.parse().unwrap()), cpus)
}

/// What a role has reserved and nobody uses is a part of what it is guaranteed: no more need be kept free for it.
#[test]
fn alloc_09_what_is_reserved_and_free_counts_for_the_guarantee_of_its_role() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let entries = vec![
        quotas(&[("b", guaranteed(5))]),
        agent_with(9, reserved("b", 4.0), Vec::new()),
        framework("f", &["a"], None),
    ];
    enter(&mut allocator, 0, entries);
    let all = enter(&mut allocator, 1, agents(3, 2.0));
    assert_eq!(cpus_of(&all, "f"), 5, "{:?}", told(&all));
}

#[test]
fn alloc_09_what_may_be_taken_back_is_no_headroom() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let revocable = Kind::of(Terms { revocable: true, ..Terms::default() });
    let entries = vec![
        quotas(&[("b", guaranteed(4))]),
        agent_with(9, of_kind(&revocable, 4.0), Vec::new()),
        framework("f", &["a"], None),
    ];
    enter(&mut allocator, 0, entries);
    let all = enter(&mut allocator, 1, agents(3, 2.0));
    assert_eq!(cpus_of(&all, "f"), 2, "{:?}", told(&all));
}

fn held_by(framework: &str, role: &str, cpus: f64) -> (FrameworkId, Role, Resources) {
    let held = Resources::cpus_mem(cpus, cpus * 1000.0);
    (FrameworkId::new(framework), role.parse().unwrap(), held)
}

/// Its agent may be back any moment, and its tasks with it.
#[test]
fn alloc_08_what_runs_on_an_agent_that_is_disconnected_counts_against_the_limit() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let held = vec![held_by("f", "a", 2.0)];
    let busy = agent_with(0, Resources::cpus_mem(2.0, 2000.0), held);
    let entries = vec![quotas(&[("a", limited(3))]), framework("f", &["a"], None), busy.clone()];
    enter(&mut allocator, 0, entries);
    let (id, framework) = (AgentId::new("a0"), FrameworkId::new("f"));
    enter(&mut allocator, 1, vec![BookEntry::AgentInactive { agent: id.clone() }]);
    let some = enter(&mut allocator, 1, vec![agent(1, 4.0)]);
    assert_eq!(cpus_of(&some, "f"), 1, "{:?}", told(&some));
    // It is back, and counts once.
    assert!(enter(&mut allocator, 2, vec![busy]).is_empty());
    // A task of it ends while it is away.
    enter(&mut allocator, 3, vec![BookEntry::AgentInactive { agent: id.clone() }]);
    let (role, resources) = ("a".parse().unwrap(), Resources::cpus_mem(1.0, 1000.0));
    let released = BookEntry::Released { agent: id.clone(), framework, role, resources };
    let mut more = |seconds, entry| {
        enter(&mut allocator, seconds, vec![entry]);
        cpus_of(&after(&mut allocator, seconds, Event::Sweep), "f")
    };
    assert_eq!(more(4, released), 1);
    // It cannot be reached, and what runs on it counts no more.
    assert_eq!(more(5, BookEntry::AgentLost { agent: id }), 1);
}

#[test]
fn a_role_that_is_held_back_is_not_looked_at_until_something_is_released() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    // Of memory, too: or what is left of it on other agents would be offered without a core.
    let limits = limited(2).limits.with("mem", Milli::whole(2000));
    let quota = Quota { limits, ..Quota::default() };
    enter(&mut allocator, 0, vec![quotas(&[("a", quota)]), framework("f", &["a"], None)]);
    let all = enter(&mut allocator, 1, agents(3, 2.0));
    assert_eq!((cpus_of(&all, "f"), all.len()), (2, 1), "{:?}", told(&all));
    assert!(after(&mut allocator, 2, Event::Sweep).is_empty());
    // Used, and ended: the same amount is proposed anew, wherever.
    enter(&mut allocator, 3, vec![ended(&all, all[0].resources.clone(), 0)]);
    let released = BookEntry::Released {
        agent: all[0].agent.clone(),
        framework: all[0].framework.clone(),
        role: all[0].role.clone(),
        resources: all[0].resources.clone(),
    };
    assert_eq!(cpus_of(&enter(&mut allocator, 4, vec![released]), "f"), 2);
}

#[test]
fn a_role_that_is_held_back_is_looked_at_as_soon_as_it_wants_less() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let wants = |cpus| vec![demand(cpus, 1, Vec::new())];
    let entries = vec![quotas(&[("a", limited(2))]), framework("f", &["a"], Some(wants(3.0)))];
    enter(&mut allocator, 0, entries);
    assert!(enter(&mut allocator, 1, agents(1, 4.0)).is_empty(), "three are above the limit");
    let framework = FrameworkId::new("f");
    let less = BookEntry::Wishes { framework, wishes: wishes(&["a"], wants(2.0)) };
    assert_eq!(cpus_of(&enter(&mut allocator, 1, vec![less]), "f"), 2);
}

/// One role after the other is held back while the order of all is gone through.
#[test]
fn roles_that_are_held_back_do_not_hide_those_behind_them() {
    let none = || {
        let limits = Limits::none().with("cpus", Milli(0)).with("mem", Milli(0));
        Quota { limits, ..Quota::default() }
    };
    for count in 1..40 {
        let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
        let limited: Vec<String> = (0..count).map(|n| format!("a{:02}", n * 7 % 40)).collect();
        let of: Vec<(&str, Quota)> = limited.iter().map(|role| (role.as_str(), none())).collect();
        let mut entries = vec![quotas(&of)];
        let roles = ["d", "b"].into_iter().chain(limited.iter().map(String::as_str)).chain(["c"]);
        entries.extend(roles.map(|role| framework(role, &[role], None)));
        enter(&mut allocator, 0, entries);
        let all = enter(&mut allocator, 1, agents(1, 4.0));
        assert_eq!(cpus_of(&all, "b"), 4, "{count}: {:?}", told(&all));
    }
}

/// One small agent of somebody else's: roles at their limit are held back all the same, and not looked at again each second.
#[test]
fn what_is_reserved_for_others_lets_nobody_at_its_limit_be_looked_at_again() {
    let none = Limits::none().with("cpus", Milli(0)).with("mem", Milli(0));
    let quota = Quota { limits: none, ..Quota::default() };
    let held_back = |role: &str| {
        let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
        let entries = vec![
            quotas(&[("a", quota.clone())]),
            agent_with(9, reserved(role, 1.0), Vec::new()),
            framework("f", &["a"], None),
        ];
        enter(&mut allocator, 0, entries);
        let some = enter(&mut allocator, 1, agents(2, 2.0));
        (allocator.held_back.len(), some.len())
    };
    assert_eq!(held_back("db"), (1, 0));
    // What is reserved for it is bound by nothing: it may come free any time.
    assert_eq!(held_back("a/b").0, 0);
}

/// A refusal of all that there is stays one, whatever quota says of other roles.
#[test]
fn a_refusal_of_what_quota_did_not_cut_is_not_looked_at_each_second() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let entries = vec![quotas(&[("b", guaranteed(1))]), framework("f", &["a"], None)];
    enter(&mut allocator, 0, entries);
    let all = enter(&mut allocator, 1, agents(3, 2.0));
    let refused = |one: &Proposal| ended(std::slice::from_ref(one), Resources::none(), 60);
    assert_eq!(all.len(), 3);
    enter(&mut allocator, 2, all.iter().map(refused).collect());
    after(&mut allocator, 3, Event::Sweep);
    let ruled_out = |allocator: &Allocator| {
        let client = allocator.frameworks[&FrameworkId::new("f")].clients.values().next().copied();
        allocator.places.iter().filter(|(_, at)| at.is_ruled_out(client.unwrap())).count()
    };
    // Of the third a part was refused; all of it may be had by now.
    assert!(ruled_out(&allocator) >= 2);
    assert!(allocator.bounded.is_empty(), "the next sweep has nobody to look at again");
}
