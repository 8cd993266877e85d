//! What frameworks say of their roles.

use std::time::Duration;

use protocol::change::{FrameworkState, What};
use protocol::framework::{Capability, FrameworkInfo, FrameworkToMaster};
use protocol::ids::Role;
use protocol::offer::{Constraint, Demand};
use protocol::quantities::Quantities;
use protocol::resources::{Milli, Resources};
use protocol::wishes::{AttributeConstraint, OfferConstraints, Predicate, RoleWishes, Selector};

use super::scenario::{Scenario, framework_info};
use crate::config::Config;
use crate::logic::allocator::BookEntry;

fn role(name: &str) -> Role {
    name.parse().expect("a role")
}

fn info(roles: &[&str], capabilities: &[Capability]) -> FrameworkInfo {
    let roles = roles.iter().map(|name| role(name)).collect();
    FrameworkInfo { roles, ..framework_info("web", capabilities) }
}

fn subscribes(t: &mut Scenario, info: FrameworkInfo, wishes: Vec<RoleWishes>) {
    let message = FrameworkToMaster::SubscribeWith { nonce: 1001, framework: None, info, wishes };
    t.scheduler_says(1, message);
}

fn needs(cpus: f64, count: u32) -> Demand {
    Demand { each: Resources::cpus_mem(cpus, 100.0), count, constraints: Vec::new() }
}

fn wants(name: &str, demand: Vec<Demand>) -> RoleWishes {
    RoleWishes { demand, ..RoleWishes::of(role(name)) }
}

fn suppressed(name: &str) -> RoleWishes {
    RoleWishes { suppressed: true, ..RoleWishes::of(role(name)) }
}

fn in_rack(rack: &str) -> OfferConstraints {
    let selector = Selector::Attribute("rack".into());
    let predicate = Predicate::TextEquals(rack.into());
    OfferConstraints { groups: vec![vec![AttributeConstraint { selector, predicate }]] }
}

/// What the allocator was told last of wishes.
fn told(t: &Scenario) -> Vec<RoleWishes> {
    let wishes = |entry: &BookEntry| match entry {
        BookEntry::Framework { wishes, .. } | BookEntry::Wishes { wishes, .. } => {
            Some(wishes.clone())
        }
        BookEntry::Agent { .. } | BookEntry::AgentInactive { .. } => None,
        BookEntry::Awaiting(_)
        | BookEntry::AgentLost { .. }
        | BookEntry::AgentGone { .. }
        | BookEntry::Shares(_) => None,
        BookEntry::FrameworkInactive { .. } | BookEntry::Returned(_) => None,
        BookEntry::Revived { .. } | BookEntry::Suppressed { .. } => None,
        BookEntry::Ended { .. } | BookEntry::Released { .. } | BookEntry::StartOver(_) => None,
    };
    t.told.iter().rev().find_map(wishes).expect("it was told wishes")
}

/// What an allocator that starts over would be told.
fn in_the_book(t: &Scenario) -> Vec<RoleWishes> {
    let entry = &t.master.whole_book().frameworks[0];
    let BookEntry::Framework { wishes, .. } = entry else { panic!("{entry:?}") };
    wishes.clone()
}

/// What readers were told of the framework, since the test asked last.
fn states(t: &mut Scenario) -> Vec<FrameworkState> {
    let changes = std::mem::take(&mut t.changes);
    let states = changes.iter().filter_map(|change| {
        if let What::Framework { state, .. } | What::FrameworkState { state, .. } = &change.what {
            return Some(*state);
        }
        None
    });
    states.collect()
}

#[test]
fn what_is_wished_for_each_role_is_in_the_allocators_stream_and_book() {
    let mut t = Scenario::new();
    let first = RoleWishes {
        constraints: in_rack("r1"),
        allocatable: Some(vec![Quantities::none().with("cpus", Milli::whole(1))]),
        ..wants("a", vec![needs(1.0, 2)])
    };
    let all = vec![wants("b", vec![needs(2.0, 1)]), RoleWishes::of(role("c")), first.clone()];
    subscribes(&mut t, info(&["b", "a", "c"], &[Capability::StatesDemand]), all);
    // By role, and without those that say nothing.
    let expected = vec![first, wants("b", vec![needs(2.0, 1)])];
    assert_eq!((told(&t), in_the_book(&t)), (expected.clone(), expected));

    let restated = vec![wants("b", vec![needs(2.0, 5)])];
    t.scheduler_says(1, FrameworkToMaster::Wishes(restated.clone()));
    assert_eq!((told(&t), in_the_book(&t)), (restated.clone(), restated));
    t.scheduler_says(1, FrameworkToMaster::Wishes(Vec::new()));
    assert_eq!((told(&t), in_the_book(&t)), (Vec::new(), Vec::new()));
}

#[test]
fn a_scheduler_that_speaks_of_no_role_means_its_first() {
    let mut t = Scenario::new();
    let demand = vec![needs(1.0, 2)];
    let info = info(&["b", "a"], &[Capability::StatesDemand]);
    let message = FrameworkToMaster::Subscribe { nonce: 1001, framework: None, info, demand };
    t.scheduler_says(1, message);
    assert_eq!(told(&t), [wants("b", vec![needs(1.0, 2)])]);
    // What else was wished stays, but nothing is needed for other roles.
    let with_rack = |wish| RoleWishes { constraints: in_rack("r1"), ..wish };
    let wishes = vec![wants("b", vec![needs(1.0, 2)]), with_rack(wants("a", vec![needs(1.0, 1)]))];
    t.scheduler_says(1, FrameworkToMaster::Wishes(wishes));
    t.scheduler_says(1, FrameworkToMaster::Demand(vec![needs(3.0, 1)]));
    let expected = vec![with_rack(wants("a", Vec::new())), wants("b", vec![needs(3.0, 1)])];
    assert_eq!((told(&t), in_the_book(&t)), (expected.clone(), expected));
}

/// Under which roles a framework of two is offered an agent.
#[test]
fn role_03_a_role_that_is_suppressed_is_offered_nothing_and_the_other_is() {
    let offered = |t: &mut Scenario, n| {
        let before = t.offered.len();
        t.agent_joins(n);
        let offers = t.offered[before..].iter().flat_map(|(_, offers)| offers);
        offers.map(|offer| offer.role.to_string()).collect::<Vec<_>>()
    };
    let mut t = Scenario::new();
    subscribes(&mut t, info(&["a", "b"], &[]), vec![suppressed("a")]);
    assert_eq!(offered(&mut t, 1), ["b"]);
    assert_eq!(offered(&mut t, 2), ["b"]);
    t.scheduler_says(1, FrameworkToMaster::SuppressRoles(vec![role("b")]));
    assert_eq!(offered(&mut t, 3), Vec::<String>::new());
    let before = t.offered.len();
    t.scheduler_says(1, FrameworkToMaster::ReviveRoles(vec![role("a")]));
    let offers = t.offered[before..].iter().flat_map(|(_, offers)| offers);
    let now: Vec<_> = offers.map(|offer| offer.role.to_string()).collect();
    assert_eq!(now, ["a"]);
    // Though it has more than the other by then.
    (4..9).for_each(|n| assert_eq!(offered(&mut t, n), ["a"]));
}

#[test]
fn role_03_each_role_is_suppressed_and_revived_for_itself() {
    let mut t = Scenario::new();
    subscribes(&mut t, info(&["a", "b"], &[]), vec![suppressed("b")]);
    assert_eq!(states(&mut t), [FrameworkState::Active]);
    let says = |t: &mut Scenario, message| {
        t.told.clear();
        t.scheduler_says(1, message);
        (std::mem::take(&mut t.told), states(t), in_the_book(t))
    };
    let suppress = |names: &[&str]| {
        FrameworkToMaster::SuppressRoles(names.iter().map(|name| role(name)).collect())
    };
    let revive = |names: &[&str]| {
        FrameworkToMaster::ReviveRoles(names.iter().map(|name| role(name)).collect())
    };
    let framework = || protocol::ids::FrameworkId::new("c-0000");
    let both = || vec![suppressed("a"), suppressed("b")];
    let entry = |names: &[&str], is_suppressed| {
        let (framework, roles) = (framework(), names.iter().map(|name| role(name)).collect());
        match is_suppressed {
            true => vec![BookEntry::Suppressed { framework, roles }],
            false => vec![BookEntry::Revived { framework, roles }],
        }
    };
    // Once all roles are, readers see the framework as suppressed.
    let done = says(&mut t, suppress(&["a"]));
    assert_eq!(done, (entry(&["a"], true), vec![FrameworkState::Suppressed], both()));
    let done = says(&mut t, suppress(&["a", "b"]));
    assert_eq!(done, (entry(&["a", "b"], true), Vec::new(), both()));
    let done = says(&mut t, revive(&["b"]));
    assert_eq!(done, (entry(&["b"], false), vec![FrameworkState::Active], vec![suppressed("a")]));
    // Without roles all are meant.
    let done = says(&mut t, FrameworkToMaster::Suppress);
    assert_eq!(done, (entry(&[], true), vec![FrameworkState::Suppressed], both()));
    let done = says(&mut t, FrameworkToMaster::Revive);
    assert_eq!(done, (entry(&[], false), vec![FrameworkState::Active], Vec::new()));
    // By wishes as well.
    let (_, told_states, book) = says(&mut t, FrameworkToMaster::Wishes(both()));
    assert_eq!((told_states, book), (vec![FrameworkState::Suppressed], both()));
    // A new subscription says it all anew.
    subscribes(&mut t, info(&["a", "b"], &[]), both());
    assert_eq!(states(&mut t), [FrameworkState::Suppressed]);
    subscribes(&mut t, info(&["a", "b"], &[]), vec![suppressed("a")]);
    assert_eq!(states(&mut t), [FrameworkState::Active]);
    assert_eq!(in_the_book(&t), [suppressed("a")]);
}

#[test]
fn what_was_proposed_for_a_role_that_was_suppressed_meanwhile_is_not_offered() {
    let mut t = Scenario::new();
    t.allocator_is_slow = true;
    subscribes(&mut t, info(&["a", "b"], &[]), Vec::new());
    t.agent_joins(1);
    t.forget_lines();
    let proposed = t.proposals[0].role.clone();
    let numbers: Vec<u64> = t.proposals[0].all.iter().map(|proposal| proposal.number).collect();
    t.scheduler_says(1, FrameworkToMaster::SuppressRoles(vec![proposed.clone()]));
    t.allocator_is_slow = false;
    t.propose();
    let returned = |entry: &BookEntry| matches!(entry, BookEntry::Returned(all) if *all == numbers);
    assert!(t.told.iter().any(returned));
    // It is offered for the other role, and the other one alone.
    t.did(["to scheduler-1: O1 of S0: cpus:4;mem:4096"]);
    assert!(t.master.holdings().keys().all(|(_, _, role)| *role != proposed));
}

#[track_caller]
fn refused(wishes: Vec<RoleWishes>, words: &str) {
    let mut t = Scenario::new();
    let roles = info(&["a", "b"], &[Capability::StatesDemand]);
    subscribes(&mut t, roles.clone(), wishes.clone());
    t.did([&*format!("to scheduler-1: Refused: {words}")]);
    assert!(t.told.is_empty());
    subscribes(&mut t, roles, vec![suppressed("b")]);
    t.forget_lines();
    t.scheduler_says(1, FrameworkToMaster::Wishes(wishes));
    t.did([&*format!("to scheduler-1: Error: {words}")]);
    assert_eq!(in_the_book(&t), [suppressed("b")], "nothing was done");
}

#[test]
fn wishes_that_make_no_sense_are_refused_in_words() {
    refused(
        vec![RoleWishes::of(role("c")), suppressed("c")],
        "the framework does not act for role 'c', but for a, b; subscribe with 'c' among its roles first",
    );
    let twice = vec![suppressed("a"), suppressed("a")];
    refused(twice, "role 'a' is named twice; name each role once");
    let many = vec![suppressed("a"); 65];
    refused(many, "the list of wishes has 65, more than 64");
    let many = vec![wants("a", vec![needs(1.0, 1); 200]), wants("b", vec![needs(1.0, 1); 100])];
    refused(many, "the list of demands has 300, more than 256");
    let nothing = Demand { each: Resources::none(), count: 1, constraints: Vec::new() };
    refused(vec![wants("a", vec![nothing])], "a demand's list of resources is empty");
    let is = Constraint::Is { attribute: "rack".into(), value: "r1".into() };
    let demand = Demand { constraints: vec![is; 10_000], ..needs(1.0, 1) };
    refused(
        vec![wants("a", vec![demand])],
        "the list of all constraints has 10000, more than 1024",
    );
}

#[test]
fn constraints_and_least_offers_that_make_no_sense_are_refused_in_words() {
    let constrained = |name: &str, groups| RoleWishes {
        constraints: OfferConstraints { groups },
        ..RoleWishes::of(role(name))
    };
    let rack =
        |predicate| AttributeConstraint { selector: Selector::Attribute("rack".into()), predicate };
    refused(
        vec![constrained("a", vec![Vec::new()])],
        "group 1 of the offer constraints is empty; leave it out, or say what must hold",
    );
    let groups = vec![vec![rack(Predicate::Exists); 100]; 6];
    refused(
        vec![constrained("a", groups.clone()), constrained("b", groups)],
        "the list of all constraints has 1200, more than 1024",
    );
    let demand =
        |constraints| Demand { each: Resources::cpus_mem(1.0, 10.0), count: 1, constraints };
    let of_racks = |predicate| vec![Constraint::Attribute(rack(predicate)); 50];
    let many = |predicate: Predicate| RoleWishes {
        demand: (0..30).map(|_| demand(of_racks(predicate.clone()))).collect(),
        ..RoleWishes::of(role("a"))
    };
    refused(vec![many(Predicate::Exists)], "the list of all constraints has 1500, more than 1024");
    let some = RoleWishes {
        demand: many(Predicate::TextMatches("r.".into())).demand[..4].to_vec(),
        ..RoleWishes::of(role("a"))
    };
    refused(vec![some], "the list of all regular expressions has 200, more than 128");
    let endless = rack(Predicate::TextMatches("((a{99}){99}){99}".into()));
    refused(
        vec![constrained("b", vec![vec![endless]])],
        "the constraint's regular expression '((a{99}){99}){99}' is too complex; make it shorter, or raise the master's \
         --offer_constraints_re2_max_program_size and --offer_constraints_re2_max_mem",
    );
    // A peer may write what cannot be made here.
    let quantities = |name: &str, amount: i64| {
        let map = std::collections::BTreeMap::from([(name.to_owned(), Milli(amount))]);
        let bytes = libactor::wire::encode(&map, 1 << 10).expect("bytes");
        libactor::wire::decode::<Quantities>(&bytes).expect("quantities")
    };
    for (name, amount) in [("cpus", -1000), ("cpus", 0), ("", 1000)] {
        let allocatable = Some(vec![quantities(name, amount)]);
        let milli = Milli(amount);
        refused(
            vec![RoleWishes { allocatable, ..RoleWishes::of(role("a")) }],
            &format!(
                "the least offer for role 'a' names '{name}:{milli}': it needs a name and an amount of more than zero"
            ),
        );
    }
}

#[test]
fn roles_that_are_none_or_named_twice_or_of_another_are_refused_in_words() {
    let subscribes_as = |roles: &[&str]| {
        let mut t = Scenario::new();
        // As it may come over the wire.
        let raw = |name: &&str| {
            let bytes = libactor::wire::encode(name, 1 << 10).expect("bytes");
            libactor::wire::decode::<Role>(&bytes).expect("a role, or what passes for one")
        };
        let roles = roles.iter().map(raw).collect();
        subscribes(&mut t, FrameworkInfo { roles, ..framework_info("web", &[]) }, Vec::new());
        t.take_lines().remove(0)
    };
    for bad in ["a//b", "..", "*/x", "a b", ""] {
        let line = subscribes_as(&["a", bad]);
        let words = bad.parse::<Role>().expect_err("it is none");
        assert_eq!(line, format!("to scheduler-1: Refused: {words}"));
    }
    let line = subscribes_as(&["a", "b", "a"]);
    assert!(line.ends_with("Refused: role 'a' is named twice; name each role once"), "{line}");
    let many: Vec<String> = (0..65).map(|n| format!("r{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let line = subscribes_as(&many);
    assert!(line.ends_with("the framework's list of roles has 65, more than 64"), "{line}");

    let mut t = Scenario::new();
    subscribes(&mut t, info(&["a"], &[]), Vec::new());
    t.forget_lines();
    t.scheduler_says(1, FrameworkToMaster::SuppressRoles(vec![role("b")]));
    t.scheduler_says(1, FrameworkToMaster::ReviveRoles(Vec::new()));
    t.scheduler_says(1, FrameworkToMaster::ReviveRoles(vec![role("a"), role("a")]));
    t.did([
        "to scheduler-1: Error: the framework does not act for role 'b', but for a; subscribe with 'b' among its roles first",
        "to scheduler-1: Error: the list of roles is empty",
        "to scheduler-1: Error: role 'a' is named twice; name each role once",
    ]);
    assert!(in_the_book(&t).is_empty());
}

#[test]
fn needs_of_every_role_are_judged_with_the_roles_constraints() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.forget_lines();
    let b = RoleWishes { constraints: in_rack("r9"), ..wants("b", vec![needs(1.0, 1)]) };
    let wishes = vec![wants("a", vec![needs(1.0, 1), needs(64.0, 1)]), b.clone()];
    subscribes(&mut t, info(&["a", "b"], &[Capability::StatesDemand]), wishes);
    let too_much =
        "for role a, no agent has cpus:64;mem:100: the most that one has is cpus:4;mem:4096";
    let no_rack = "for role b, no agent has rack=r9";
    let lines = t.take_lines();
    let unmet: Vec<&String> = lines.iter().filter(|line| line.contains("Unmet")).collect();
    assert_eq!(unmet, [&format!("to scheduler-1: Unmet: {too_much}; {no_rack}")]);
    // Of another role it is another need.
    let wishes = vec![wants("b", vec![needs(64.0, 1)])];
    t.scheduler_says(1, FrameworkToMaster::Wishes(wishes));
    let lines = t.take_lines();
    assert!(
        lines.iter().any(|line| line.contains("Unmet: for role b, no agent has cpus:64")),
        "{lines:?}"
    );
}

#[test]
fn offer_04_a_refusal_lasts_until_the_next_sweep_at_least_and_a_year_at_most() {
    let year = Duration::from_secs(365 * 24 * 3600);
    let sweep = Config::default().allocator.sweep_every;
    let table = [
        (Duration::ZERO, Duration::ZERO),
        (Duration::from_millis(1), sweep),
        (Duration::from_secs(5), Duration::from_secs(5)),
        (Duration::MAX, year),
    ];
    for (refuse_for, expected) in table {
        let mut t = Scenario::new();
        t.agent_joins(1);
        t.subscribes(1);
        let ended = |t: &mut Scenario| {
            let told = std::mem::take(&mut t.told);
            let refused = told.iter().find_map(|entry| match entry {
                BookEntry::Ended { refuse_for, .. } => Some(*refuse_for),
                BookEntry::Agent { .. } | BookEntry::AgentInactive { .. } => None,
                BookEntry::Framework { .. } | BookEntry::FrameworkInactive { .. } => None,
                BookEntry::Wishes { .. } | BookEntry::Revived { .. } => None,
                BookEntry::Suppressed { .. } | BookEntry::Shares(_) => None,
                BookEntry::Returned(_) | BookEntry::Released { .. } => None,
                BookEntry::StartOver(_) | BookEntry::Awaiting(_) => None,
                BookEntry::AgentLost { .. } | BookEntry::AgentGone { .. } => None,
            });
            refused.expect("an offer ended")
        };
        let offers = vec![t.offer_of(1)];
        t.scheduler_says(1, FrameworkToMaster::Decline { offers, refuse_for });
        assert_eq!(ended(&mut t), expected);
        t.scheduler_says(1, FrameworkToMaster::Revive);
        t.told.clear();
        let offer = t.offer_of(1);
        t.accepts(1, vec![offer], vec![super::scenario::task("a", 1.0)], refuse_for);
        assert_eq!(ended(&mut t), expected, "what is left of an accepted offer is refused as well");
    }
}
