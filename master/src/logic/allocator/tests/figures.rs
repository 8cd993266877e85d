//! What is shown of an allocator is what it goes by.

use protocol::resources::Milli;

use super::*;
use crate::config;

#[test]
fn alloc_19_figures_say_what_is_held_refused_suppressed_and_whose_the_shares_are() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let entries = vec![
        agent(0, 4.0),
        framework("f", &["eng/web", "ops"], None),
        framework("g", &["eng"], None),
        BookEntry::Suppressed {
            framework: FrameworkId::new("f"),
            roles: vec!["ops".parse().unwrap()],
        },
        BookEntry::Suppressed { framework: FrameworkId::new("g"), roles: Vec::new() },
    ];
    let proposal = enter(&mut allocator, 0, entries).remove(0);
    assert_eq!(proposal.role.as_str(), "eng/web");
    let key = |framework: &str, role: &str| (FrameworkId::new(framework), role.parse().unwrap());
    let figures = allocator.figures();
    let cpus = figures.scalars.iter().find(|(name, ..)| name == "cpus").unwrap();
    assert_eq!((cpus.1, cpus.2), (Milli::whole(4), Milli::whole(4)), "it is offered, all of it");
    let suppressed =
        [(key("f", "eng/web"), false), (key("f", "ops"), true), (key("g", "eng"), true)];
    assert_eq!(figures.suppressed, suppressed.into_iter().collect());
    let parts = [("eng", 1.0), ("eng/web", 1.0), ("ops", 0.0)];
    let parts = parts.map(|(role, part)| (role.parse().unwrap(), part));
    assert_eq!(figures.role_shares, parts.into_iter().collect(), "those above hold what is below");
    assert_eq!(figures.shares[&key("f", "eng/web")], 1.0);
    // Half of it is taken, and the rest refused.
    let ended = BookEntry::Ended {
        proposals: vec![proposal.number],
        used: Resources::cpus_mem(2.0, 0.0),
        refuse_for: Duration::from_secs(60),
    };
    enter(&mut allocator, 1, vec![ended]);
    let figures = allocator.figures();
    let cpus = figures.scalars.iter().find(|(name, ..)| name == "cpus").unwrap();
    assert_eq!((cpus.1, cpus.2), (Milli::whole(4), Milli::whole(2)));
    assert_eq!(figures.filters[&"eng/web".parse().unwrap()], 1);
    assert_eq!(figures.role_shares[&"eng".parse().unwrap()], 0.5);
    assert_eq!(figures.runs, allocator.runs());
}

#[test]
fn where_lots_are_drawn_a_share_is_what_is_held_all_the_same() {
    let config = AllocatorConfig { order: config::Order::Lots, ..AllocatorConfig::default() };
    let mut allocator = Allocator::new(config, 1);
    enter(&mut allocator, 0, vec![agent(0, 1.0), agent(1, 1.0), framework("f", &["a"], None)]);
    let key = (FrameworkId::new("f"), "a".parse().unwrap());
    assert_eq!(allocator.figures().shares[&key], 1.0);
}
