//! What is offered at all: least offers, capabilities, reservations, refusals.

use protocol::quantities::Quantities;
use protocol::resources::{Kind, Milli, Resource, Terms};
use protocol::wishes::{AttributeConstraint, FaultDomain, OfferConstraints, Predicate, Selector};

use super::*;

fn agent_with(name: &str, total: Resources) -> BookEntry {
    BookEntry::Agent {
        agent: AgentId::new(name),
        slot: 0,
        generation: 1,
        hostname: name.into(),
        attributes: Vec::new(),
        domain: None,
        total,
        allocated: Vec::new(),
    }
}

fn of_kind(kind: Kind, text: &str) -> Resources {
    let mut all = Resources::none();
    for resource in text.parse::<Resources>().unwrap().iter() {
        all.add_one(Resource { kind: kind.clone(), ..resource.clone() });
    }
    all
}

fn with_capabilities(id: &str, role: &str, capabilities: &[Capability]) -> BookEntry {
    BookEntry::Framework {
        framework: FrameworkId::new(id),
        roles: vec![role.parse().unwrap()],
        capabilities: capabilities.to_vec(),
        wishes: Vec::new(),
    }
}

fn new() -> Allocator {
    Allocator::new(AllocatorConfig::default(), 1)
}

#[test]
fn alloc_10_less_than_the_least_offer_is_never_offered_unless_a_role_takes_less() {
    let mut allocator = new();
    let tiny = || agent_with("tiny", "cpus:0.005;mem:16".parse().unwrap());
    enter(&mut allocator, 0, vec![framework("f", &["*"], None), tiny()]);
    assert!(after(&mut allocator, 1, Event::Sweep).is_empty());
    // One of the alternatives is enough: a hundredth of a core, or 32 MB.
    let enough = agent_with("enough", "cpus:0.01;mem:1".parse().unwrap());
    assert_eq!(enter(&mut allocator, 2, vec![enough]).len(), 1);
    let mut wish = RoleWishes::of(Role::everybody());
    wish.allocatable = Some(vec![Quantities::none().with("mem", Milli::whole(16))]);
    let framework = FrameworkId::new("f");
    let told = enter(&mut allocator, 3, vec![BookEntry::Wishes { framework, wishes: vec![wish] }]);
    assert_eq!(told.len(), 1, "the role takes 16 MB");
    assert_eq!(told[0].agent.as_str(), "tiny");
}

#[test]
fn a_role_gets_what_it_is_guaranteed_and_the_rest_of_an_agent_as_one_offer() {
    let mut allocator = new();
    let quota = protocol::quota::Quota {
        guarantees: Quantities::none().with("cpus", Milli::whole(1)),
        limits: Default::default(),
    };
    let quotas = [("web".parse::<Role>().unwrap(), quota)].into_iter().collect();
    let shares = Shares { quotas, ..Shares::default() };
    let entries = vec![BookEntry::Shares(shares), framework("f", &["web"], None), agent(0, 4.0)];
    let proposals = enter(&mut allocator, 0, entries);
    assert_eq!(told(&proposals), ["a0 to f: cpus:4;mem:4000"], "one of guarantee, three beside it");
    let back = enter(&mut allocator, 1, vec![ended(&proposals, Resources::none(), 0)]);
    assert_eq!(told(&back), ["a0 to f: cpus:4;mem:4000"]);
}

#[test]
fn alloc_12_what_a_framework_cannot_deal_with_is_left_out() {
    use Capability::{
        GpuResources, RegionAware, ReservationRefinement, RevocableResources, SharedResources,
    };
    let offered = |config: &AllocatorConfig, capabilities: &[Capability], agent: &BookEntry| {
        let mut allocator = Allocator::new(config.clone(), 1);
        let framework = with_capabilities("f", "eng/web", capabilities);
        let all = enter(&mut allocator, 0, vec![framework, agent.clone()]);
        all.first()
            .map_or_else(|| "nothing".into(), |proposal| proposal.resources.cpus().to_string())
    };
    let config = AllocatorConfig { region: Some("eu".into()), ..AllocatorConfig::default() };
    let revocable = Kind::of(Terms { revocable: true, ..Terms::default() });
    let plain: Resources = "cpus:1;mem:100".parse().unwrap();
    let some = agent_with("a", plain.plus(&of_kind(revocable, "cpus:4")));
    assert_eq!(offered(&config, &[], &some), "1");
    assert_eq!(offered(&config, &[RevocableResources], &some), "5");

    let shared = Kind::of(Terms { shared: true, ..Terms::default() });
    let some = agent_with("a", plain.plus(&of_kind(shared, "cpus:3")));
    assert_eq!(offered(&config, &[], &some), "1");
    assert_eq!(offered(&config, &[SharedResources], &some), "4");

    let gpus = agent_with("a", plain.plus(&"gpus:2".parse().unwrap()));
    assert_eq!(offered(&config, &[], &gpus), "nothing");
    assert_eq!(offered(&config, &[GpuResources], &gpus), "1");
    let unfiltered = AllocatorConfig { filter_gpu_resources: false, ..config.clone() };
    assert_eq!(offered(&unfiltered, &[], &gpus), "1");

    let mut refined = Terms::default();
    for role in ["eng", "eng/web"] {
        let Kind::Particular(one) = Kind::reserved(role.parse().unwrap()) else { panic!() };
        refined.reservations.extend(one.reservations.iter().cloned());
    }
    let some = agent_with("a", plain.plus(&of_kind(Kind::of(refined), "cpus:7")));
    assert_eq!(offered(&config, &[], &some), "1");
    assert_eq!(offered(&config, &[ReservationRefinement], &some), "8");

    let mut far = agent_with("a", plain);
    if let BookEntry::Agent { domain, .. } = &mut far {
        *domain = Some(FaultDomain { region: "us".into(), zone: "1".into() });
    }
    assert_eq!(offered(&config, &[], &far), "nothing");
    assert_eq!(offered(&config, &[RegionAware], &far), "1");
    assert_eq!(offered(&AllocatorConfig::default(), &[], &far), "1", "the master names no region");
}

#[test]
fn rsv_01_role_02_what_is_reserved_is_offered_to_its_role_and_to_those_below_it() {
    let reserved = Kind::reserved("eng".parse().unwrap());
    let total = of_kind(reserved, "cpus:2;mem:200").plus(&"cpus:1;mem:100".parse().unwrap());
    for (role, cpus) in [("eng", 3000), ("eng/web", 3000), ("engineering", 1000), ("ops", 1000)] {
        let mut allocator = new();
        let entries = vec![framework("f", &[role], None), agent_with("a", total.clone())];
        let all = enter(&mut allocator, 0, entries);
        assert_eq!(all[0].resources.cpus().0, cpus, "{role}");
        // What it may not have stays free for who may.
        let rest = enter(&mut allocator, 1, vec![framework("g", &["eng/db"], None)]);
        assert_eq!(rest.iter().map(|p| p.resources.cpus().0).sum::<i64>(), 3000 - cpus, "{role}");
    }
}

#[test]
fn offer_11_only_agents_that_meet_a_roles_constraints_are_offered_and_one_of_many_at_once() {
    let not_exists = |name: &str| AttributeConstraint {
        selector: Selector::Attribute(name.into()),
        predicate: Predicate::NotExists,
    };
    let wishes = |groups| {
        let constraints = OfferConstraints { groups };
        vec![RoleWishes { constraints, ..RoleWishes::of(Role::everybody()) }]
    };
    let mut allocator = new();
    let bare = agent_with("bare", "cpus:1;mem:100".parse().unwrap());
    // All others have a rack.
    let mut entries: Vec<BookEntry> = (0..2000).map(|n| agent(n, 1.0)).collect();
    entries.push(bare);
    entries.push(BookEntry::Framework {
        framework: FrameworkId::new("f"),
        roles: vec![Role::everybody()],
        capabilities: Vec::new(),
        wishes: wishes(vec![vec![not_exists("rack")]]),
    });
    let first = enter(&mut allocator, 0, entries);
    assert_eq!(told(&first), ["bare to f: cpus:1;mem:100"], "in the first run");
    // Without the constraint the others are offered at once.
    let framework = FrameworkId::new("f");
    let all = BookEntry::Wishes { framework, wishes: wishes(Vec::new()) };
    assert_eq!(enter(&mut allocator, 1, vec![all]).len(), 2000);
}

#[test]
fn offer_05_more_than_was_refused_breaks_through() {
    let mut allocator = new();
    let first = enter(&mut allocator, 0, vec![framework("f", &["*"], None), agent(0, 4.0)]);
    let used = Resources::cpus_mem(1.0, 1000.0);
    enter(&mut allocator, 0, vec![ended(&first, used.clone(), 60)]);
    assert!(after(&mut allocator, 1, Event::Sweep).is_empty(), "three of four were refused");
    let released = BookEntry::Released {
        agent: first[0].agent.clone(),
        framework: first[0].framework.clone(),
        role: first[0].role.clone(),
        resources: used,
    };
    let again = enter(&mut allocator, 2, vec![released]);
    assert_eq!(told(&again), ["a0 to f: cpus:4;mem:4000"]);
}

#[test]
fn alloc_14_refusals_run_out_are_dropped_by_revive_and_by_new_capacity_and_are_each_roles_own() {
    let mut allocator = new();
    let roles = ["a", "b"];
    let refused = |allocator: &mut Allocator| {
        let mut all = enter(allocator, 0, vec![framework("f", &roles, None), agent(0, 4.0)]);
        let first = all.remove(0);
        // Refused under one role, it is offered under the other.
        let second =
            enter(allocator, 0, vec![ended(std::slice::from_ref(&first), Resources::none(), 60)]);
        assert_ne!(second[0].role, first.role);
        let none = enter(allocator, 0, vec![ended(&second, Resources::none(), 60)]);
        assert!(none.is_empty() && after(allocator, 1, Event::Sweep).is_empty());
        first.role
    };
    refused(&mut allocator);
    assert_eq!(allocator.filters_by_role().values().sum::<usize>(), 2);
    assert!(after(&mut allocator, 59, Event::Sweep).is_empty());
    assert_eq!(after(&mut allocator, 60, Event::Sweep).len(), 1, "they have run out");
    assert_eq!(allocator.filters_by_role().values().sum::<usize>(), 0);

    let mut allocator = new();
    let role = refused(&mut allocator);
    let f = || FrameworkId::new("f");
    let revived = BookEntry::Revived { framework: f(), roles: vec![role.clone()] };
    let again = enter(&mut allocator, 2, vec![revived]);
    assert_eq!((again.len(), &again[0].role), (1, &role), "only what this role refused is dropped");

    let mut allocator = new();
    refused(&mut allocator);
    assert!(enter(&mut allocator, 2, vec![agent(0, 4.0)]).is_empty(), "it is back as it was");
    assert_eq!(enter(&mut allocator, 3, vec![agent(0, 5.0)]).len(), 1, "it has more than it had");
}

/// What it would be offered is no more than it refused; and yet it may be welcome where there is more beside it.
#[test]
fn alloc_14_new_capacity_drops_a_refusal_of_a_part_too() {
    let mut allocator = new();
    let wants = || Some(vec![demand(1.0, 1, Vec::new())]);
    let first = enter(&mut allocator, 0, vec![framework("f", &["a"], wants()), agent(0, 4.0)]);
    assert_eq!(told(&first), ["a0 to f: cpus:1;mem:100"]);
    assert!(enter(&mut allocator, 1, vec![ended(&first, Resources::none(), 600)]).is_empty());
    assert!(enter(&mut allocator, 2, vec![agent(0, 4.0)]).is_empty(), "it is back as it was");
    let again = enter(&mut allocator, 3, vec![agent(0, 5.0)]);
    assert_eq!(told(&again), ["a0 to f: cpus:1;mem:100"]);
    // A revival drops it, and the next refusal is another one.
    let none = enter(&mut allocator, 4, vec![ended(&again, Resources::none(), 600)]);
    let framework = FrameworkId::new("f");
    let revived = BookEntry::Revived { framework, roles: Vec::new() };
    let third = enter(&mut allocator, 5, vec![revived]);
    assert_eq!((none.len(), third.len()), (0, 1));
    assert!(enter(&mut allocator, 6, vec![ended(&third, Resources::none(), 10)]).is_empty());
    assert_eq!(after(&mut allocator, 16, Event::Sweep).len(), 1, "the earlier one is void");
}

#[test]
fn refusals_are_bounded_and_those_that_would_run_out_first_make_room() {
    let config = AllocatorConfig { refusals_max: 3, ..AllocatorConfig::default() };
    let mut allocator = Allocator::new(config, 1);
    let agents = (0..5).map(|n| agent(n, 1.0));
    let mut entries = vec![framework("f", &["*"], None)];
    entries.extend(agents);
    let all = enter(&mut allocator, 0, entries);
    for (n, proposal) in all.iter().enumerate() {
        let until = 100 + n as u64;
        enter(
            &mut allocator,
            0,
            vec![ended(std::slice::from_ref(proposal), Resources::none(), until)],
        );
    }
    assert_eq!(allocator.filters_by_role().values().sum::<usize>(), 3);
}

/// Who refuses for a year and asks again, over and over, fills no memory.
#[test]
fn refusals_that_are_void_count_for_the_bound_as_well() {
    let config = AllocatorConfig { refusals_max: 20, ..AllocatorConfig::default() };
    let mut allocator = Allocator::new(config, 1);
    let mut entries = vec![framework("f", &["*"], None)];
    entries.extend((0..10).map(|n| agent(n, 1.0)));
    entries.extend((0..10).map(|n| framework(&format!("g{n}"), &["*"], None)));
    let mut all = enter(&mut allocator, 0, entries);
    for second in 1..200 {
        assert!(!all.is_empty());
        let each =
            all.iter().map(|one| ended(std::slice::from_ref(one), Resources::none(), 1 << 20));
        let mut entries: Vec<BookEntry> = each.collect();
        entries.extend(all.iter().map(|one| {
            let framework = one.framework.clone();
            BookEntry::Revived { framework, roles: Vec::new() }
        }));
        all = enter(&mut allocator, second, entries);
        let kept: usize = allocator.places.iter().map(|(_, at)| at.rest.filters.len()).sum();
        assert!(kept <= 20, "{kept} after {second} rounds");
        assert_eq!(kept, allocator.stored);
    }
}

#[test]
fn alloc_01_a_sweep_is_a_run_and_many_events_before_one_are_one() {
    let mut allocator = new();
    for n in 0..3 {
        allocator.step(at(0), Event::Book(vec![framework(&format!("f{n}"), &["*"], None)]));
        allocator.step(at(0), Event::Book(vec![agent(n, 1.0)]));
    }
    let before = allocator.runs();
    let Effect::Propose(proposals) = &allocator.step(at(0), Event::Run)[0] else { panic!() };
    assert_eq!((one_by_one(proposals).len(), allocator.runs() - before), (3, 1));
    for second in 1..4 {
        let runs = allocator.runs();
        after(&mut allocator, second, Event::Sweep);
        assert_eq!(allocator.runs() - runs, 1, "each sweep is a run over all agents");
    }
}

#[test]
fn role_03_only_the_roles_that_are_named_are_suppressed_and_revived() {
    let mut allocator = new();
    enter(&mut allocator, 0, vec![framework("f", &["a", "b"], None)]);
    let framework = || FrameworkId::new("f");
    let named = |name: &str| vec![name.parse::<Role>().unwrap()];
    let suppressed = |name| BookEntry::Suppressed { framework: framework(), roles: named(name) };
    let revived = |name| BookEntry::Revived { framework: framework(), roles: named(name) };
    let mut next = 0..;
    let mut roles = |entry| {
        enter(&mut allocator, 1, vec![entry]);
        let agents = next.by_ref().take(4).map(|n| agent(n, 1.0)).collect();
        let all = enter(&mut allocator, 1, agents);
        all.iter().map(|one| one.role.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(roles(suppressed("a")), ["b"; 4]);
    // Of the next eight the first gets six, until both have as much.
    assert_eq!(roles(revived("a")), ["a"; 4]);
    assert_eq!(roles(suppressed("b")), ["a"; 4]);
    assert_eq!(roles(suppressed("a")), [""; 0]);
    assert_eq!(roles(revived("a"))[..4], ["a"; 4], "though it has more than the other");
}
