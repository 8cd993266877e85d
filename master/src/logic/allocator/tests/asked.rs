//! Whoever asks about what might be wanted is told by the same rules; and what is named is what binds.

use protocol::quantities::{Limits, Quantities};
use protocol::quota::Quota;
use protocol::resources::Milli;
use protocol::why::{Cause, Quiet, RoleWhy, WANTS_MAX, WhyAnswer};

use super::why::{cluster, first, needs, roles, used_agent};
use super::*;

fn quota_of(role: &str, guarantees: &str, limits: &str) -> BookEntry {
    let quota = Quota {
        guarantees: if guarantees.is_empty() {
            Quantities::none()
        } else {
            guarantees.parse().unwrap()
        },
        limits: if limits.is_empty() { Limits::none() } else { limits.parse().unwrap() },
    };
    let quotas = [(role.parse().unwrap(), quota)].into_iter().collect();
    BookEntry::Shares(Shares { quotas, ..Shares::default() })
}

fn asked(allocator: &Allocator, role: Option<&str>, cpus: f64) -> WhyAnswer {
    let role = role.map(|role| role.parse().unwrap());
    let (now, f) = (at(10).steady, FrameworkId::new("f"));
    allocator.why_demand(now, &f, role.as_ref(), &demand(cpus, 1, Vec::new()))
}

fn told(answer: WhyAnswer) -> Vec<RoleWhy> {
    let WhyAnswer::Because(roles) = answer else { panic!("{answer:?}") };
    roles
}

fn first_asked(allocator: &Allocator, cpus: f64) -> Cause {
    told(asked(allocator, None, cpus))[0].wants[0].causes[0].0.clone()
}

#[test]
fn what_might_be_wanted_is_answered_and_nothing_is_changed_by_asking() {
    let f = framework("f", &["web", "batch"], Some(Vec::new()));
    let mut allocator = cluster(vec![agent(0, 4.0), f]);
    let answer = told(asked(&allocator, None, 8.0));
    assert_eq!(answer.len(), 2, "for each of its roles");
    let want = &answer[0].wants[0];
    let Cause::TooSmall { resource, wants, total } = &want.causes[0].0 else { panic!("{want:?}") };
    assert_eq!([resource, wants, total], ["cpus", "8", "4"]);
    assert_eq!(want.demand, Some(demand(8.0, 1, Vec::new())));
    assert_eq!((answer[0].quiet, want.promised, want.of), (None, 0, 1));
    let answer = told(asked(&allocator, Some("web"), 2.0));
    assert_eq!((answer.len(), answer[0].role.as_str()), (1, "web"));
    assert_eq!(answer[0].wants[0].causes, [(Cause::Fits, 1)]);
    assert!(after(&mut allocator, 11, Event::Sweep).is_empty(), "it is offered nothing");
    assert_eq!(roles(&allocator, 11, "f")[0].quiet, Some(Quiet::NoDemand));
    let WhyAnswer::Refused(why) = asked(&allocator, Some("db"), 1.0) else { panic!() };
    assert!(why.contains("does not act for role 'db', but for batch, web"), "{why}");
    let g = FrameworkId::new("g");
    let unknown = allocator.why_demand(at(1).steady, &g, None, &demand(1.0, 1, Vec::new()));
    assert_eq!(unknown, WhyAnswer::Unknown);
}

#[test]
fn who_wants_no_offers_is_told_so_beside_what_would_be() {
    let f = FrameworkId::new("f");
    let suppressed = BookEntry::Suppressed { framework: f, roles: Vec::new() };
    let allocator = cluster(vec![agent(0, 4.0), needs(1.0, Vec::new()), suppressed]);
    let answer = told(asked(&allocator, None, 8.0)).remove(0);
    assert_eq!(answer.quiet, Some(Quiet::Suppressed));
    assert!(matches!(answer.wants[0].causes[0].0, Cause::TooSmall { .. }));
}

#[test]
fn whose_whole_demand_is_under_way_is_told_so_with_which_agent_and_since_when() {
    let mut allocator = cluster(vec![agent(0, 4.0), needs(2.0, Vec::new())]);
    let role = roles(&allocator, 10, "f").remove(0);
    assert_eq!((role.quiet, role.wants.len(), role.offers_of), (Some(Quiet::UnderWay), 0, 1));
    let offer = &role.offers[0];
    assert_eq!((offer.agent.as_str(), offer.hostname.as_str()), ("a0", "h0"));
    assert_eq!((offer.resources.cpus(), offer.held_for.as_secs()), (Milli::whole(2), 10));
    // More is wanted: that waits, and the offer is still shown.
    let wishes = wishes(&["web"], vec![demand(2.0, 4, Vec::new())]);
    let framework = FrameworkId::new("f");
    enter(&mut allocator, 20, vec![BookEntry::Wishes { framework, wishes }]);
    let role = roles(&allocator, 30, "f").remove(0);
    let want = &role.wants[0];
    assert_eq!((role.quiet, role.offers_of, want.promised), (None, 2, 2));
    let held: Vec<u64> = role.offers.iter().map(|offer| offer.held_for.as_secs()).collect();
    assert_eq!(held, [30, 10], "the oldest comes first");
}

#[test]
fn the_bound_that_is_named_is_of_something_that_is_wanted() {
    // Apples are bound more tightly than cpus, come before them, and nobody asked for any.
    let agent = used_agent(0, "cpus:4;mem:4000;apples:100", "");
    let quota = quota_of("web", "", "apples:0;cpus:1");
    let allocator = cluster(vec![quota, agent.clone(), needs(2.0, Vec::new())]);
    let Cause::Limit { resource, limit, .. } = first(&allocator, "f") else {
        panic!("{}", first(&allocator, "f"))
    };
    assert_eq!((resource.as_str(), limit), ("cpus", Milli::whole(1)));
    // Who takes whatever there is wants one of the least offers.
    let all = framework("f", &["web"], None);
    let quota = quota_of("web", "", "apples:0;cpus:0;mem:0");
    let allocator = cluster(vec![quota, agent, all]);
    let Cause::Limit { resource, .. } = first(&allocator, "f") else {
        panic!("{}", first(&allocator, "f"))
    };
    assert_eq!(resource, "cpus");
}

#[test]
fn a_full_agent_is_not_blamed_on_what_others_are_guaranteed_but_a_limit_holds_wherever_there_is_room()
 {
    let full = used_agent(0, "cpus:4;mem:4000", "cpus:3.5");
    let guarantee = quota_of("db", "cpus:1", "");
    let allocator = cluster(vec![guarantee, full.clone(), needs(2.0, Vec::new())]);
    let cause = first(&allocator, "f");
    assert!(matches!(&cause, Cause::TooLittle { resource, .. } if resource == "cpus"), "{cause}");
    let limit = quota_of("web", "", "cpus:1");
    let allocator = cluster(vec![limit, full, needs(2.0, Vec::new())]);
    let cause = first(&allocator, "f");
    assert!(matches!(&cause, Cause::Limit { resource, .. } if resource == "cpus"), "{cause}");
}

#[test]
fn what_a_limit_holds_back_does_not_hide_that_less_would_fit() {
    let limit = quota_of("web", "", "cpus:1");
    let allocator = cluster(vec![limit, agent(0, 4.0), needs(2.0, Vec::new())]);
    assert!(matches!(first(&allocator, "f"), Cause::Limit { .. }));
    assert_eq!(first_asked(&allocator, 0.5), Cause::Fits);
}

#[test]
fn all_that_makes_an_offer_is_named_and_not_its_first_resource() {
    let nearly = used_agent(0, "cpus:4;mem:4000", "cpus:3.995;mem:3984");
    let allocator = cluster(vec![nearly.clone(), framework("f", &["web"], None)]);
    let Cause::BelowLeast { free, least } = first(&allocator, "f") else {
        panic!("{}", first(&allocator, "f"))
    };
    assert_eq!((free.cpus(), free.mem()), (Milli(5), Milli::whole(16)));
    assert_eq!(least[..], AllocatorConfig::default().allocatable[..]);
    // One of its own, which the agent never has.
    let mut wish = RoleWishes::of("web".parse().unwrap());
    wish.allocatable = Some(vec!["cpus:1;mem:5000".parse().unwrap()]);
    let framework = FrameworkId::new("f");
    let mut allocator = allocator;
    enter(&mut allocator, 1, vec![BookEntry::Wishes { framework, wishes: vec![wish] }]);
    let cause = first(&allocator, "f");
    let Cause::NeverEnough { total, least } = &cause else { panic!("{cause}") };
    assert_eq!((total.mem(), least.len()), (Milli::whole(4000), 1));
    assert!(cause.to_string().ends_with("(cpus:1;mem:5000)"), "{cause}");
}

/// Each demand is held against every agent, while nobody else is offered anything.
#[test]
fn of_very_many_demands_only_some_are_explained_and_all_are_counted() {
    let demands = (0..200).map(|n| demand(64.0 + f64::from(n), 1, Vec::new())).collect();
    let allocator = cluster(vec![agent(0, 4.0), framework("f", &["web"], Some(demands))]);
    let role = roles(&allocator, 10, "f").remove(0);
    assert_eq!((role.wants.len(), role.wants_of), (WANTS_MAX, 200));
}
