//! One of very many agents, found in one run.

use super::*;

const AGENTS: u32 = 10_000;

/// The one agent with something that others do not have.
fn special() -> BookEntry {
    let mut entry = agent(0, 1.0);
    if let BookEntry::Agent { agent, hostname, attributes, .. } = &mut entry {
        (*agent, *hostname) = (AgentId::new("special"), "special".into());
        *attributes = vec![Attribute { name: "tape".into(), value: "yes".into() }];
    }
    entry
}

/// Frameworks that want all of it: those that take whatever there is, and those that state it.
fn others() -> Vec<BookEntry> {
    let of = |n: u32| {
        let (id, role) = (format!("g{n:02}"), format!("m{n:02}"));
        let demand = n.is_multiple_of(2).then(|| vec![demand(1.0, AGENTS, Vec::new())]);
        framework(&id, &[&role], demand)
    };
    (0..20).map(of).collect()
}

fn wants_special(role: &str) -> BookEntry {
    let on = Constraint::Is { attribute: "tape".into(), value: "yes".into() };
    framework("f", &[role], Some(vec![demand(1.0, 1, vec![on])]))
}

/// What one run proposes: no sweep and no second run.
fn run(allocator: &mut Allocator, entries: Vec<BookEntry>) -> Vec<Proposal> {
    assert_eq!(allocator.step(at(0), Event::Book(entries)), [Effect::RunSoon]);
    let effects = allocator.step(at(0), Event::Run);
    let [Effect::Propose(proposals)] = &effects[..] else { panic!("{effects:?}") };
    one_by_one(proposals)
}

fn to_f(proposals: &[Proposal]) -> Vec<String> {
    let of_f = |proposal: &&Proposal| proposal.framework.as_str() == "f";
    let of_f: Vec<Proposal> = proposals.iter().filter(of_f).cloned().collect();
    told(&of_f)
}

/// Whether its role comes before those of the others or behind them.
#[test]
fn the_one_of_ten_thousand_agents_that_a_demand_asks_for_is_proposed_in_the_first_run() {
    for role in ["a", "z"] {
        let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
        let mut entries: Vec<BookEntry> = (1..AGENTS).map(|n| agent(n, 1.0)).collect();
        entries.insert(entries.len() / 2, special());
        entries.extend(others());
        entries.push(wants_special(role));
        let first = run(&mut allocator, entries);
        assert_eq!(to_f(&first), ["special to f: cpus:1;mem:100"], "role {role}");
        assert!(first.len() >= 10_000, "all others were proposed as well: {}", first.len());
    }
}

/// It comes when all is taken; the agent is released among others.
#[test]
fn the_one_of_ten_thousand_agents_that_a_demand_asks_for_is_proposed_as_soon_as_it_is_free() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let mut entries: Vec<BookEntry> = (1..AGENTS).map(|n| agent(n, 1.0)).collect();
    entries.insert(0, special());
    entries.extend(others());
    let all = run(&mut allocator, entries);
    assert!(enter(&mut allocator, 0, vec![wants_special("z")]).is_empty(), "all is taken");
    let (special, rest): (Vec<Proposal>, Vec<Proposal>) =
        all.into_iter().partition(|proposal| proposal.agent.as_str() == "special");
    let freed = rest.chunks(1).take(100).chain(special.chunks(1));
    let again = run(&mut allocator, freed.map(|one| ended(one, Resources::none(), 0)).collect());
    assert_eq!(to_f(&again), ["special to f: cpus:1;mem:100"]);
}
