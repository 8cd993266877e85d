//! Demand for what is not like everything else: reserved, used as a whole, or to be taken back at any time.

use protocol::resources::{Disk, DiskKind, DiskSource, Kind, Milli, Resource, Terms, Value};

use super::*;

fn one(name: &str, units: i64, kind: Kind) -> Resource {
    Resource { kind, ..Resource::unreserved(name, Value::Scalar(Milli::whole(units))) }
}

fn mounted() -> Kind {
    let (id, vendor, profile) = (None, None, None);
    let root = Some("/mnt/1".to_owned());
    let (kind, metadata) = (DiskKind::Mount, Vec::new());
    let source = Some(DiskSource { kind, root, id, vendor, profile, metadata });
    Kind::of(Terms { disk: Some(Disk { source, volume: None }), ..Terms::default() })
}

fn wants(role: &str, can: &[Capability], each: Vec<Resource>, count: u32) -> BookEntry {
    let each: Resources = each.into_iter().collect();
    let role: Role = role.parse().unwrap();
    let demand = vec![Demand { each, count, constraints: Vec::new() }];
    BookEntry::Framework {
        framework: FrameworkId::new("f"),
        roles: vec![role.clone()],
        capabilities: can.iter().copied().chain([Capability::StatesDemand]).collect(),
        wishes: vec![RoleWishes { demand, ..RoleWishes::of(role) }],
    }
}

fn offered(agent: Vec<Resource>, entry: BookEntry) -> (Allocator, Vec<Proposal>) {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let some = agent_with(0, agent.into_iter().collect(), Vec::new());
    let all = enter(&mut allocator, 0, vec![some, entry]);
    (allocator, all)
}

#[test]
fn disks_that_are_used_as_a_whole_are_offered_to_who_demands_such() {
    let disk = || one("disk", 1000, mounted());
    let cpus = |units| one("cpus", units, Kind::Unreserved);
    let has = vec![disk(), disk(), disk(), one("disk", 5000, Kind::Unreserved), cpus(8)];
    let (_, all) = offered(has, wants("*", &[], vec![disk(), cpus(1)], 2));
    let told = told(&all);
    assert_eq!(all.len(), 1, "{told:?}");
    assert_eq!(
        (all[0].resources.disk(), all[0].resources.len()),
        (Milli::whole(2000), 3),
        "{told:?}"
    );
    assert!(all[0].resources.contains(&[disk(), disk()].into_iter().collect()), "{told:?}");
}

#[test]
fn who_demands_what_may_be_taken_back_is_offered_that_and_nothing_else() {
    let revocable = || Kind::of(Terms { revocable: true, ..Terms::default() });
    let has = vec![one("cpus", 4, revocable()), one("cpus", 4, Kind::Unreserved)];
    let demand =
        wants("*", &[Capability::RevocableResources], vec![one("cpus", 1, revocable())], 3);
    let (_, all) = offered(has, demand);
    assert_eq!(told(&all).len(), 1);
    assert!(
        all[0].resources.iter().all(|resource| resource.kind.is_revocable()),
        "{:?}",
        told(&all)
    );
    assert_eq!(all[0].resources.cpus(), Milli::whole(3));
}

#[test]
fn a_demand_for_what_is_reserved_counts_as_met_when_that_is_used() {
    let reserved = || Kind::reserved("eng".parse().unwrap());
    let demand = wants("eng", &[], vec![one("cpus", 1, reserved())], 2);
    let (mut allocator, all) = offered(vec![one("cpus", 8, reserved())], demand);
    assert_eq!((all.len(), all[0].resources.cpus()), (1, Milli::whole(2)), "{:?}", told(&all));
    let used = all[0].resources.clone();
    assert!(enter(&mut allocator, 1, vec![ended(&all, used, 0)]).is_empty());
    assert!(after(&mut allocator, 2, Event::Sweep).is_empty(), "both run");
}

/// Of what may be taken back nothing counts for who does not ask for it: two fit, and neither three nor one.
#[test]
fn as_many_tasks_are_offered_for_as_fit_though_the_sums_say_more() {
    let revocable = Kind::of(Terms { revocable: true, ..Terms::default() });
    let has = vec![one("cpus", 2, Kind::Unreserved), one("cpus", 3, revocable)];
    let each = vec![one("cpus", 1, Kind::Unreserved)];
    let (_, all) = offered(has, wants("*", &[Capability::RevocableResources], each, 5));
    assert_eq!(told(&all), ["a0 to f: cpus:2"]);
}

/// What was refused is of another kind than what would be offered once that is gone.
#[test]
fn who_refused_what_is_reserved_is_offered_what_is_not_when_that_is_taken() {
    let reserved = Kind::reserved("eng".parse().unwrap());
    let has = vec![one("cpus", 1, reserved), one("cpus", 1, Kind::Unreserved)];
    let each = vec![one("cpus", 1, Kind::Unreserved)];
    let (mut allocator, first) = offered(has, wants("eng", &[], each, 1));
    assert_eq!(told(&first), ["a0 to f: cpus(eng):1"], "what is reserved comes first");
    assert!(enter(&mut allocator, 1, vec![ended(&first, Resources::none(), 600)]).is_empty());
    let demand =
        vec![Demand { each: first[0].resources.clone(), count: 1, constraints: Vec::new() }];
    let other = framework("g", &["eng"], Some(demand));
    let both = enter(&mut allocator, 2, vec![other]);
    assert_eq!(told(&both), ["a0 to g: cpus(eng):1", "a0 to f: cpus:1"]);
}
