//! The answer, as it is printed.

use std::time::Duration;

use protocol::ids::{AgentId, FrameworkId};
use protocol::offer::Constraint;
use protocol::resources::Resources;
use protocol::why::{Cause, OfferWhy, Quiet};

use super::*;
use crate::lists::tests::framework;
use crate::output::json;

fn role(quiet: Option<Quiet>) -> RoleWhy {
    let demand = Demand {
        each: Resources::cpus_mem(2.0, 64.0),
        count: 3,
        constraints: vec![
            Constraint::Is { attribute: "rack".into(), value: "r1".into() },
            Constraint::Ports { each: 2 },
        ],
    };
    let (to, held_for) = (FrameworkId::new("c-0007"), Duration::from_secs(90));
    let cause = Cause::Offered { to, held_for };
    RoleWhy {
        role: "eng/web".parse().unwrap(),
        share: 125,
        quiet,
        holds: Resources::cpus_mem(1.0, 32.0),
        wants: vec![WantWhy {
            demand: Some(demand),
            promised: 1,
            causes: vec![(cause.clone(), 1)],
            agents: vec![(AgentId::new("c-S1"), "host-1".into(), cause)],
            of: 1,
        }],
        wants_of: 1,
        offers: vec![OfferWhy {
            agent: AgentId::new("c-S0"),
            hostname: "host-0".into(),
            resources: Resources::cpus_mem(2.0, 64.0),
            held_for: Duration::from_secs(12),
        }],
        offers_of: 1,
    }
}

#[test]
fn a_summary_comes_first_and_then_each_agent() {
    insta::assert_snapshot!("waits", of_framework(&framework(), &[role(None)], false));
    insta::assert_snapshot!("why_json", json(&[RoleJson::from(&role(None))]));
}

#[test]
fn what_might_be_wanted_is_told_from_what_is() {
    let text = of_framework(&framework(), &[role(None)], true);
    let words = "  if it wanted cpus:2;mem:64 with rack=r1 and 2 free ports";
    assert!(text.contains(words), "{text}");
}

#[test]
fn whose_whole_demand_is_under_way_is_told_with_which_agent_and_since_when() {
    let under_way = RoleWhy { wants: Vec::new(), ..role(Some(Quiet::UnderWay)) };
    let text = of_framework(&framework(), &[under_way], false);
    for words in [
        "gets no offers: offers for all that it wants are under way or with it",
        "offers not answered yet: 1, the oldest first\n      c-S0 (host-0): cpus:2;mem:64, for 12s",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
}

#[test]
fn of_very_much_that_is_wanted_some_is_told_and_how_much_more_there_is() {
    let many = RoleWhy { wants_of: 200, ..role(None) };
    let text = of_framework(&framework(), &[many], false);
    assert!(text.contains("  and waits for 199 more; ask of one by --cpus"), "{text}");
}

#[test]
fn only_one_role_is_told_of_if_one_is_named() {
    let other = RoleWhy { role: "ops".parse().unwrap(), ..role(None) };
    let all = || vec![role(None), other.clone()];
    assert_eq!(only(all(), None).unwrap().len(), 2);
    assert_eq!(only(all(), Some(&other.role)).unwrap(), vec![other.clone()]);
    let refused = only(all(), Some(&"db".parse().unwrap())).unwrap_err().to_string();
    assert_eq!(refused, "the framework does not act for role 'db', but for eng/web, ops");
}

/// Of this id and state, all of one name.
fn namesake(id: &str, state: FrameworkState) -> FrameworkView {
    let mut one = FrameworkView { state, ..framework() };
    one.info.framework = FrameworkId::new(id);
    one
}

#[test]
fn a_framework_that_is_removed_is_meant_only_if_no_other_can_be() {
    use FrameworkState::{Active, Disconnected, Removed};
    let all = |states: &[FrameworkState]| -> Vec<FrameworkView> {
        let states = states.iter().enumerate();
        states.map(|(n, state)| namesake(&format!("c-000{n}"), *state)).collect()
    };
    let found = |all: &[FrameworkView], id: &str| {
        let found = super::framework(all, id);
        found.map(|one| one.info.framework.to_string()).map_err(|error| error.to_string())
    };
    let second = || Ok("c-0001".to_owned());
    assert_eq!(found(&all(&[Removed, Active, Removed]), "wordcount"), second());
    assert_eq!(found(&all(&[Removed, Disconnected]), "c-"), second());
    assert_eq!(found(&all(&[Active, Removed]), "c-0001"), second(), "it is named in full");
    assert_eq!(found(&all(&[Removed]), "wordcount"), Ok("c-0000".to_owned()));
    assert_eq!(
        found(&all(&[Removed, Active, Disconnected]), "wordcount").unwrap_err(),
        "2 frameworks are named 'wordcount': c-0001, c-0002; say by its id which you mean"
    );
    let removed = found(&all(&[Removed, Removed]), "wordcount").unwrap_err();
    assert!(removed.starts_with("2 frameworks are named 'wordcount': c-0000, c-0001"), "{removed}");
    let none = found(&all(&[Active, Removed]), "else").unwrap_err();
    assert_eq!(none, "no framework or task begins with 'else'; `airside frameworks` lists them");
}
