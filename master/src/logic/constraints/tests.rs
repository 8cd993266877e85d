//! Tables of what holds where.

use protocol::wishes::{AttributeConstraint, Predicate, Selector};

use super::*;

fn attributes(all: &[(&str, &str)]) -> Vec<Attribute> {
    let attribute = |(name, value): &(&str, &str)| Attribute {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    all.iter().map(attribute).collect()
}

fn place<'a>(attributes: &'a [Attribute], domain: Option<&'a FaultDomain>) -> Whereabouts<'a> {
    Whereabouts { hostname: "h1.example.com", attributes, domain }
}

fn rack(predicate: Predicate) -> AttributeConstraint {
    AttributeConstraint { selector: Selector::Attribute("rack".into()), predicate }
}

fn groups(groups: Vec<Vec<AttributeConstraint>>) -> Constraints {
    Constraints::compile(&OfferConstraints { groups }).expect("good constraints")
}

fn one(constraint: AttributeConstraint) -> Constraints {
    groups(vec![vec![constraint]])
}

fn equals(text: &str) -> Predicate {
    Predicate::TextEquals(text.into())
}

fn matches(regex: &str) -> Predicate {
    Predicate::TextMatches(regex.into())
}

/// Each predicate with an attribute that is absent, the text that is meant, another text.
#[test]
fn offer_11_each_predicate_is_asked_of_the_attribute_that_is_named() {
    let table = [
        (Predicate::Exists, [false, true, true]),
        (Predicate::NotExists, [true, false, false]),
        (equals("r1"), [false, true, false]),
        (Predicate::TextNotEquals("r1".into()), [true, false, true]),
        (matches("r[01]"), [false, true, false]),
        (Predicate::TextNotMatches("r[01]".into()), [true, false, true]),
    ];
    let agents = [
        attributes(&[("row", "r1")]),
        attributes(&[("row", "x"), ("rack", "r1")]),
        attributes(&[("rack", "r12")]),
    ];
    for (predicate, expected) in table {
        let compiled = one(rack(predicate.clone()));
        for (agent, expected) in agents.iter().zip(expected) {
            let here = place(agent, None);
            assert_eq!(compiled.holds(&here), expected, "{predicate:?} of {agent:?}");
            assert_eq!(compiled.first_unmet(&here).is_none(), expected);
        }
    }
}

#[test]
fn offer_11_predicates_about_texts_hold_of_attributes_that_are_none() {
    let about_texts = [
        equals("r1"),
        Predicate::TextNotEquals("r1".into()),
        matches("r1"),
        Predicate::TextNotMatches("r1".into()),
    ];
    for value in ["7", "-1.5", "1e3", "[1-2,5-9]", "{a,b}"] {
        let agent = attributes(&[("rack", value)]);
        for predicate in &about_texts {
            assert!(one(rack(predicate.clone())).holds(&place(&agent, None)), "{value}");
        }
        assert!(!one(rack(Predicate::NotExists)).holds(&place(&agent, None)));
    }
    for value in ["", "r7", "1-2", "[1-2", "[2-1]", "[a]", "inf", "nan", "a{b}"] {
        let agent = attributes(&[("rack", value)]);
        assert!(!one(rack(equals("r1"))).holds(&place(&agent, None)), "{value} is a text");
    }
}

#[test]
fn offer_11_machines_and_fault_domains_are_asked_like_attributes() {
    let domain = FaultDomain { region: "north".into(), zone: "n1".into() };
    let holds = |selector: Selector, predicate: Predicate, domain| {
        one(AttributeConstraint { selector, predicate }).holds(&place(&[], domain))
    };
    assert!(holds(Selector::Hostname, matches(r"h\d\.example\.com"), None));
    assert!(!holds(Selector::Hostname, equals("h2.example.com"), None));
    assert!(!holds(Selector::Hostname, Predicate::NotExists, None));
    assert!(holds(Selector::Region, equals("north"), Some(&domain)));
    assert!(!holds(Selector::Zone, equals("north"), Some(&domain)));
    assert!(holds(Selector::Zone, equals("n1"), Some(&domain)));
    for selector in [Selector::Region, Selector::Zone] {
        assert!(!holds(selector.clone(), Predicate::Exists, None));
        assert!(holds(selector.clone(), Predicate::TextNotEquals("north".into()), None));
        assert!(!holds(selector, equals("north"), None));
    }
    // A zone may have a number for a name, and yet be a text.
    let numbered = FaultDomain { region: "north".into(), zone: "7".into() };
    assert!(!holds(Selector::Zone, equals("8"), Some(&numbered)));
}

#[test]
fn offer_11_one_group_of_which_all_holds_is_enough() {
    let in_rack = |text: &str| rack(equals(text));
    let gpu = || AttributeConstraint {
        selector: Selector::Attribute("gpu".into()),
        predicate: Predicate::Exists,
    };
    let both = groups(vec![vec![in_rack("r1"), gpu()]]);
    let either = groups(vec![vec![in_rack("r1")], vec![gpu()]]);
    let table = [
        (attributes(&[("rack", "r1"), ("gpu", "x")]), true, true),
        (attributes(&[("rack", "r1")]), false, true),
        (attributes(&[("gpu", "x")]), false, true),
        (attributes(&[]), false, false),
    ];
    for (agent, holds_both, holds_either) in table {
        let here = place(&agent, None);
        assert_eq!(
            (both.holds(&here), either.holds(&here)),
            (holds_both, holds_either),
            "{agent:?}"
        );
    }
    assert!(Constraints::none().holds(&place(&[], None)));
    assert!(groups(Vec::new()).holds(&place(&[], None)));
}

#[test]
fn of_two_attributes_of_one_name_the_first_counts() {
    let agent = attributes(&[("rack", "r1"), ("rack", "r2")]);
    let here = place(&agent, None);
    assert!(one(rack(equals("r1"))).holds(&here));
    assert!(!one(rack(equals("r2"))).holds(&here));
    assert!(one(rack(Predicate::TextNotEquals("r2".into()))).holds(&here));
}

#[test]
fn offer_11_a_regular_expression_matches_the_whole_text_as_re2_has_it() {
    let table = [
        ("r1", "r1", true),
        ("r1", "r12", false),
        ("r1", "xr1", false),
        ("r|r1", "r1", true),
        ("", "", true),
        ("", "a", false),
        (r"\d+", "12", true),
        (r"\d", "\u{663}", false),
        (r"\w+", "a_1", true),
        (r"\w", "é", false),
        (r"[\w-]+", "a-b", true),
        (r"[^\d]+", "ab", true),
        (r"[^\d]+", "a1", false),
        (r"\S+\s\S+", "a b", true),
        (r"a\b.*", "a-b", true),
        (r"a\b.*", "ab", false),
        (r"a.c", "aéc", true),
        (r"a.c", "a\nc", false),
        (r"(?s)a.c", "a\nc", true),
        (r"(?i)RACK", "rack", true),
        (r"[a[b]+", "[", true),
        (r"[]a]+", "]a", true),
        (r"[^]a]", "]", false),
        (r"[a&&b]+", "&", true),
        (r"[[:alpha:]]+", "ab", true),
        (r"[[:^alpha:]]", "1", true),
        (r"\[x\]", "[x]", true),
        (r"a\\d", r"a\d", true),
        ("x{2,3}?", "xxx", true),
        (r"a$", "a", true),
    ];
    for (regex, text, expected) in table {
        let hostname =
            AttributeConstraint { selector: Selector::Hostname, predicate: matches(regex) };
        let here = Whereabouts { hostname: text, attributes: &[], domain: None };
        let bounds = Bounds::default();
        let source = OfferConstraints { groups: vec![vec![hostname]] };
        let compiled = Constraints::compile_within(&source, &bounds).expect(regex);
        assert_eq!(compiled.holds(&here), expected, "{regex} of {text}");
    }
}

fn refused(groups: Vec<Vec<AttributeConstraint>>) -> String {
    let source = OfferConstraints { groups };
    let bad = Constraints::compile_within(&source, &Bounds::default());
    bad.expect_err("it should be refused").to_string()
}

#[test]
fn what_cannot_be_gone_by_is_refused_in_words() {
    assert_eq!(
        refused(vec![vec![rack(Predicate::Exists)], Vec::new()]),
        "group 2 of the offer constraints is empty; leave it out, or say what must hold"
    );
    let nameless = AttributeConstraint {
        selector: Selector::Attribute(String::new()),
        predicate: Predicate::Exists,
    };
    assert_eq!(refused(vec![vec![nameless]]), "a constraint names no attribute");
    let many = vec![rack(Predicate::Exists); 10_000];
    assert!(
        refused(vec![many]).starts_with("a group of offer constraints has 10000, more than 256")
    );
    let many = vec![vec![rack(Predicate::Exists)]; 10_000];
    assert!(refused(many).contains("groups of offer constraints has 10000, more than 128"));
    let many = vec![vec![rack(Predicate::Exists); 200]; 6];
    assert!(refused(many).contains("role together has 1200, more than 1024"));
    let many = vec![vec![rack(matches("a")); 129]];
    assert!(refused(many).contains("regular expressions has 129, more than 128"));
    let long = refused(vec![vec![rack(matches(&"a".repeat(2000)))]]);
    assert_eq!(long, "the regular expression of a constraint has 2000 bytes, more than 1024");
    let long = refused(vec![vec![rack(equals(&"a".repeat(2000)))]]);
    assert_eq!(long, "the text of a constraint has 2000 bytes, more than 1024");
}

/// As Mesos refuses them by default, and none may take long or more room than it is given.
#[test]
fn a_regular_expression_that_is_none_or_too_complex_is_refused() {
    for regex in ["(", "a)", "a)|(?:b", "[", "*", r"\", "a{2,1}", r"(a)\1", "(?=a)", "(?x)a # b"] {
        let words = refused(vec![vec![rack(matches(regex))]]);
        let start = format!("the constraint's regular expression '{regex}' cannot be used: ");
        assert!(words.starts_with(&start) && words.len() > start.len(), "{regex}: {words}");
        assert!(!words.contains('\n'), "{words}");
    }
    let deep = format!("{}a{}", "(".repeat(300), ")".repeat(300));
    for regex in ["a{1000}", "((a{100}){100}){100}", ".{100}", r"\pL{9}", "(a?){40}a{40}b{40}"] {
        let words = refused(vec![vec![rack(matches(regex))]]);
        assert!(words.contains("is too complex"), "{regex}: {words}");
    }
    assert!(refused(vec![vec![rack(matches(&deep))]]).contains("cannot be used"));
    // Where a machine that goes back and forth would never end.
    let endless = one(rack(matches("(a*)*b")));
    let agent = attributes(&[("rack", &"a".repeat(50_000))]);
    assert!(!endless.holds(&place(&agent, None)));
}

#[test]
fn the_bounds_of_an_expression_are_those_of_the_flags() {
    let source = OfferConstraints { groups: vec![vec![rack(matches("[a-z]{90}"))]] };
    let within = |offer_constraints_re2_max_mem, offer_constraints_re2_max_program_size| {
        let bounds = Bounds {
            offer_constraints_re2_max_mem,
            offer_constraints_re2_max_program_size,
            ..Bounds::default()
        };
        Constraints::compile_within(&source, &bounds).is_ok()
    };
    assert!(within(4096, 100));
    assert!(!within(4096, 50));
    assert!(!within(1024, 100));
}

#[test]
fn why_an_agent_will_not_do_is_said_of_the_nearest_alternative() {
    let agent = attributes(&[("rack", "r1"), ("size", "4")]);
    let here = place(&agent, None);
    let words = |groups_of| groups(groups_of).first_unmet(&here).expect("it does not hold");
    assert_eq!(words(vec![vec![rack(equals("r2"))]]), "rack must be r2, and its rack is r1");
    let of = |name: &str, predicate| AttributeConstraint {
        selector: Selector::Attribute(name.into()),
        predicate,
    };
    assert_eq!(
        words(vec![vec![of("gpu", Predicate::Exists)]]),
        "gpu must be set, and it has no gpu"
    );
    assert_eq!(
        words(vec![vec![of("size", Predicate::NotExists)]]),
        "size must not be set, and its size is 4"
    );
    let zone = AttributeConstraint { selector: Selector::Zone, predicate: matches("n.") };
    assert_eq!(
        words(vec![vec![rack(equals("r2")), zone], vec![rack(matches("r[2-9]"))]]),
        "rack must match r[2-9], and its rack is r1, and the other alternative does not hold either"
    );
    assert_eq!(groups(vec![vec![rack(equals("r1"))]]).first_unmet(&here), None);
}

#[test]
fn a_demands_constraints_are_about_words_and_its_ports_about_no_place() {
    let is = |attribute: &str, value: &str| Constraint::Is {
        attribute: attribute.into(),
        value: value.into(),
    };
    let is_not = |attribute: &str, value: &str| Constraint::IsNot {
        attribute: attribute.into(),
        value: value.into(),
    };
    let agent = attributes(&[("rack", "r1"), ("rack", "r2"), ("size", "4")]);
    let holds = |constraints: &[Constraint]| {
        let compiled = Constraints::compile_demand(constraints).expect("good constraints");
        assert_eq!(
            compiled.first_unmet(&place(&agent, None)).is_none(),
            compiled.holds(&place(&agent, None))
        );
        compiled.holds(&place(&agent, None))
    };
    assert!(holds(&[]));
    assert!(holds(&[is("rack", "r1"), is("rack", "r2"), is("hostname", "h1.example.com")]));
    assert!(!holds(&[is("rack", "r1"), is("rack", "r3")]));
    assert!(!holds(&[is("size", "5")]), "numbers are compared as they are written");
    assert!(holds(&[is_not("rack", "r3"), is_not("color", "blue")]));
    assert!(!holds(&[is_not("rack", "r2")]));
    let ports = vec![Constraint::Ports { each: 3 }, Constraint::Ports { each: 2 }];
    assert!(holds(&ports));
    assert_eq!(ports_each(&ports), 5);
    assert!(!holds(&[Constraint::Attribute(rack(matches("x.*")))]));
    assert!(holds(&[Constraint::Attribute(rack(matches("r.*")))]));
    let bad = Constraints::compile_demand_within(&[is("", "x")], &Bounds::default());
    assert_eq!(bad, Err(BadConstraints::NoName));
}

#[test]
fn constraints_are_kept_as_they_were_written_and_made_ready_again() {
    let written = groups(vec![vec![rack(matches("r[0-9]")), rack(Predicate::Exists)]]);
    let demand = Constraints::compile_demand(&[Constraint::Attribute(rack(equals("r1")))]);
    for compiled in [written, demand.expect("a good constraint")] {
        let bytes = libactor::wire::encode(&compiled, 1 << 20).expect("bytes");
        let again: Constraints = libactor::wire::decode(&bytes).expect("constraints");
        assert_eq!(again, compiled);
        for value in ["r1", "x"] {
            let agent = attributes(&[("rack", value)]);
            assert_eq!(again.holds(&place(&agent, None)), value == "r1");
        }
    }
}

/// Within the bounds of a master whose operator lets expressions be large.
#[test]
fn what_a_generous_master_found_good_is_gone_by_and_what_cannot_be_gone_by_holds_nowhere() {
    let pattern = "[a-z]{20000}".to_owned();
    let predicate = Predicate::TextMatches(pattern);
    let one = AttributeConstraint { selector: Selector::Hostname, predicate };
    let source = OfferConstraints { groups: vec![vec![one]] };
    let generous = Bounds {
        offer_constraints_re2_max_mem: 64 << 20,
        offer_constraints_re2_max_program_size: 1_000_000,
        ..Bounds::default()
    };
    Constraints::compile_within(&source, &generous).expect("it is within bounds");
    let constraints = Constraints::compile(&source).expect("whoever compiles it again can");
    let here = Whereabouts { hostname: "host", attributes: &[], domain: None };
    assert!(!constraints.holds(&here));
    assert!(!Constraints::nowhere().holds(&here) && !Constraints::nowhere().are_none());
}
