//! What may be said of roles, what they hold, and which offers go.

use protocol::ids::AgentId;
use protocol::quantities::Limits;
use protocol::resources::{Kind, Milli, Resource, Resources, Terms, Value};

use super::check::*;
use super::make_room::*;
use super::sums::*;
use super::*;
use crate::config::Config;
use crate::records;

fn role(text: &str) -> Role {
    text.parse().unwrap()
}

fn quota(guarantees: &[(&str, i64)], limits: &[(&str, i64)]) -> Quota {
    let sum = |all: Quantities, (name, units): &(&str, i64)| all.with(name, Milli::whole(*units));
    let limit = |all: Limits, (name, units): &(&str, i64)| all.with(name, Milli::whole(*units));
    Quota {
        guarantees: guarantees.iter().fold(Quantities::none(), sum),
        limits: limits.iter().fold(Limits::none(), limit),
    }
}

fn words<T: std::fmt::Debug>(result: Result<T, Refused>) -> String {
    result.expect_err("it is refused").to_string()
}

#[test]
fn quota_is_for_top_level_roles_and_in_itself_sound() {
    let config = Config { quantities_max: 2, ..Config::default() };
    let one = |name: &str, quota: Quota| quotas(vec![(role(name), quota)], &config);
    let plain = quota(&[("cpus", 1)], &[("cpus", 1)]);
    assert_eq!(one("eng", plain.clone()), Ok(BTreeMap::from([(role("eng"), plain.clone())])));
    for (list, expected) in [
        (vec![("*", plain.clone())], "role '*' cannot have a quota"),
        (vec![("a/b/c", plain.clone())], "set that of 'a', which holds for all roles below"),
        (vec![("a", plain.clone()), ("a", plain.clone())], "role a is named twice"),
        (
            vec![("a", quota(&[("cpus", 3)], &[("cpus", 2)]))],
            "the guarantee of a, cpus:3, is above its limit, cpus:2",
        ),
        (vec![("a", quota(&[], &[("", 1)]))], "a resource with no name"),
        (vec![("a", quota(&[(&"x".repeat(129), 1)], &[]))], "a name of more than 128 bytes"),
        (vec![("a", quota(&[], &[("a", 1), ("b", 1), ("c", 1)]))], "has 3 amounts of one kind"),
        (
            vec![("a", quota(&[("cpus", 1_000_000_000_001)], &[]))],
            "the guarantee of a of cpus is 1000000000001, and must be from 0 to 1000000000000",
        ),
        (
            vec![("a", quota(&[], &[("mem", (1 << 40) + 1)]))],
            "the limit of a of mem is 1099511627777, and must be from 0 to 1099511627776",
        ),
    ] {
        let list = list.into_iter().map(|(name, quota)| (role(name), quota)).collect();
        let said = words(quotas(list, &config));
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn what_a_message_holds_that_no_constructor_makes_is_refused_too() {
    // A role and amounts as they may arrive: nothing checks them when they are decoded.
    let raw = |name: &str, amount: i64| -> (Role, Quota) {
        let wire = (name, (vec![("cpus", amount)], Vec::<(String, i64)>::new()));
        let bytes = libactor::wire::encode(&wire, 1 << 20).unwrap();
        libactor::wire::decode(&bytes).unwrap()
    };
    let said = |name, amount| words(quotas(vec![raw(name, amount)], &Config::default()));
    assert!(said("eng", -1).contains("the guarantee of eng of cpus is -0.001"));
    assert!(said("a//b", 1).contains("role 'a//b' has an empty part"));
    assert!(said("..", 1).contains("'.' or '..'") && said("*/x", 1).contains("stands alone"));
    let nothing = quotas(vec![raw("eng", 0)], &Config::default()).unwrap();
    assert!(nothing[&role("eng")].is_default(), "a guarantee of nothing is none");
}

#[test]
fn weights_are_numbers_that_can_be_divided_by() {
    let one = |name: &str, number: f64| weights(vec![(role(name), number)]);
    assert!(one("*", 2.0).is_ok() && one("a/b", 0.5).is_ok());
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e308] {
        let said = words(one("a", bad));
        assert!(said.contains("role a: a weight must be a number from 0.000001"), "{said}");
    }
    let said = words(weights(vec![(role("a"), 1.0), (role("a"), 2.0)]));
    assert_eq!(said, "role a is named twice");
}

#[test]
fn a_call_and_all_of_them_together_have_a_bound() {
    let config = Config { roles_per_call_max: 2, shares_max: 3, ..Config::default() };
    assert!(words(room(0, 0, &config)).contains("no role is named"));
    assert!(words(room(0, 3, &config)).contains("3 roles are named, and 2 at most"));
    assert!(words(room(64, 1, &config)).contains("try again in a moment"));
    assert!(room(63, 2, &config).is_ok() && count("quota", 3, &config).is_ok());
    assert!(words(count("quota", 4, &config)).contains("4 roles would have quota, and 3 at most"));
}

#[test]
fn what_is_said_at_once_fits_one_batch_of_the_registry() {
    let long = |n: usize| role(&format!("{n:04}{}", "x".repeat(251)));
    let all = |count| (0..count).map(|n| (long(n), 2.0)).collect();
    let names: Vec<(String, i64)> = (0..16).map(|n| (format!("{n:0128}"), 1 << 39)).collect();
    let names: Vec<_> = names.iter().map(|(name, units)| (name.as_str(), *units)).collect();
    let large = quota(&names, &names);
    let quotas = |count| {
        let list = (0..count).map(|n| (long(n), large.clone())).collect();
        quotas(list, &Config::default())
    };
    let counts: Vec<usize> = (1..1_000).collect();
    let most = counts.partition_point(|count| weights(all(*count)).is_ok());
    let most_quotas = counts.partition_point(|count| quotas(*count).is_ok());
    assert!(most > 400 && most_quotas > 50 && most_quotas < 999, "{most} {most_quotas}");
    for operation in [
        RegistryOperation::SetWeights(weights(all(most)).unwrap()),
        RegistryOperation::SetQuotas(quotas(most_quotas).unwrap()),
    ] {
        let mut registry =
            crate::logic::registry::Registry::new(protocol::ids::ClusterId::new("c"), 1);
        let changes = records::apply(&mut registry, &operation);
        let bytes: usize = changes.iter().map(coordination::store::Change::bytes).sum();
        assert!(bytes <= coordination::store::BATCH_BYTES_MAX, "{bytes}");
    }
}

#[test]
fn guarantees_are_within_what_the_cluster_has() {
    let has = Quantities::none().with("cpus", Milli::whole(8));
    let shares = |list: &[(&str, Quota)]| {
        let quotas = list.iter().map(|(name, quota)| (role(name), quota.clone())).collect();
        Shares { quotas, ..Shares::default() }
    };
    let (five, three) = (quota(&[("cpus", 5)], &[]), quota(&[("cpus", 3)], &[]));
    let named = |quota: &Quota| BTreeMap::from([(role("b"), quota.clone())]);
    let both = shares(&[("a", five.clone()), ("b", three.clone())]);
    assert_eq!(capacity(&both, &named(&three), &has), Ok(()));
    let over = shares(&[("a", five.clone()), ("b", five.clone())]);
    assert_eq!(
        words(capacity(&over, &named(&five), &has)),
        "all guarantees together would be cpus:10, and the cluster has cpus:8: guarantee less, add agents, or force it"
    );
    assert_eq!(capacity(&over, &named(&quota(&[], &[])), &has), Ok(()), "b promises nothing");
}

fn reserved(cpus: f64, for_role: &str) -> Resources {
    let resource = Resource {
        name: "cpus".into(),
        kind: Kind::reserved(role(for_role)),
        value: Value::Scalar(Milli::from_f64(cpus)),
    };
    let mut all = Resources::none();
    all.add_one(resource);
    all
}

fn revocable(cpus: f64) -> Resources {
    let mut all = Resources::none();
    let kind = Kind::of(Terms { revocable: true, ..Terms::default() });
    let value = Value::Scalar(Milli::from_f64(cpus));
    all.add_one(Resource { name: "cpus".into(), kind, value });
    all
}

fn cpus(units: f64) -> Resources {
    Resources::none().with_scalar("cpus", Milli::from_f64(units))
}

#[test]
fn quota_06_what_is_in_use_and_what_is_reserved_count_once_for_the_role_and_those_above_it() {
    let mut sums = Sums::default();
    sums.reserve(&cpus(100.0));
    sums.reserve(&reserved(10.0, "eng").plus(&reserved(3.0, "eng/web")));
    sums.allocate(&role("eng/web"), &cpus(2.0));
    // Of the reservation of the role above, and of its own.
    sums.allocate(&role("eng/web"), &reserved(4.0, "eng").plus(&reserved(1.0, "eng/web")));
    sums.allocate(&role("eng/web"), &revocable(50.0));
    sums.offer(&role("eng/app"), &cpus(1.0).plus(&reserved(2.0, "eng")));
    let sums = sums.with_those_below();
    let of = |name: &str, what: fn(&Held) -> Quantities| {
        sums.get(&role(name)).map(what).unwrap_or_default().amount("cpus").as_f64()
    };
    assert_eq!(of("eng", Held::consumed), 2.0 + 10.0 + 3.0, "in use or not, reserved is reserved");
    assert_eq!(of("eng/web", Held::consumed), 2.0 + 4.0 + 3.0, "the other reservation is not its");
    assert_eq!(of("eng/app", Held::consumed), 0.0, "an offer is not consumed");
    assert_eq!(of("eng", Held::consumed_or_offered), 15.0 + 1.0, "what is reserved counts already");
    assert_eq!(of("eng", Held::offered_or_allocated), 57.0 + 3.0);
    assert_eq!(sums.all().len(), 3, "nothing is known of others");
}

#[test]
fn a_limit_is_not_below_what_is_consumed() {
    let mut sums = Sums::default();
    sums.allocate(&role("eng/web"), &cpus(3.0));
    let sums = sums.with_those_below();
    let named = |cpus| BTreeMap::from([(role("eng"), quota(&[], &[("cpus", cpus), ("mem", 0)]))]);
    assert_eq!(limits(&named(3), &sums), Ok(()));
    assert_eq!(
        words(limits(&named(2), &sums)),
        "eng has cpus:3 in use or reserved, above the limit cpus:2: end some of its tasks, limit it less, or force it"
    );
}

fn open(list: &[(u64, &str, &str, Resources)]) -> Vec<Offered> {
    let offer = |(number, agent, name, resources): &(u64, &str, &str, Resources)| {
        Offered::new(*number, AgentId::new(agent), &role(name), resources)
    };
    list.iter().map(offer).collect()
}

fn sums_of(list: &[(u64, &str, &str, Resources)]) -> Sums {
    let mut sums = Sums::default();
    list.iter().for_each(|(_, _, name, resources)| sums.offer(&role(name), resources));
    sums.with_those_below()
}

#[test]
fn quota_05_the_newest_offers_go_until_the_rest_is_within_the_limits() {
    let mem = Resources::cpus_mem(0.0, 64.0);
    let list = [
        (1, "a1", "eng", cpus(2.0)),
        (2, "a1", "eng/web", cpus(2.0)),
        (3, "a2", "eng", reserved(9.0, "eng")),
        (4, "a2", "ops", cpus(8.0)),
        (5, "a3", "eng", mem),
        (6, "a3", "eng/web", cpus(1.0)),
    ];
    let taken = |cpus| {
        let named = BTreeMap::from([(role("eng"), quota(&[], &[("cpus", cpus)]))]);
        over_limits(&named, &sums_of(&list), &open(&list))
    };
    assert_eq!(taken(5), BTreeSet::new());
    assert_eq!(taken(4), BTreeSet::from([6]));
    assert_eq!(taken(3), BTreeSet::from([6, 2]));
    assert_eq!(taken(0), BTreeSet::from([6, 2, 1]), "all that counts, and no memory");
}

fn taken_for(
    named: &str,
    quotas: &[(&str, Quota)],
    free: f64,
    list: &[(u64, &str, &str, Resources)],
) -> BTreeSet<u64> {
    let quotas = quotas.iter().map(|(name, quota)| (role(name), quota.clone())).collect();
    let shares = Shares { quotas, ..Shares::default() };
    let free = for_anybody(&cpus(free));
    let none = BTreeSet::new();
    for_guarantees(
        &BTreeSet::from([&role(named)]),
        &shares,
        &sums_of(list),
        free,
        &open(list),
        none,
    )
}

#[test]
fn quota_05_offers_of_others_go_agent_by_agent_until_what_is_guaranteed_is_free() {
    let list = [
        (1, "a1", "ops", cpus(2.0)),
        (2, "a2", "ops", cpus(1.0)),
        (3, "a2", "dev", cpus(1.0)),
        (4, "a2", "dev", Resources::cpus_mem(0.0, 64.0)),
        (5, "a3", "ops", cpus(4.0)),
        (6, "a3", "eng/web", cpus(1.0)),
    ];
    let taken =
        |cpus, free| taken_for("eng", &[("eng", quota(&[("cpus", cpus)], &[]))], free, &list);
    assert_eq!(taken(1, 0.0), BTreeSet::new(), "it is offered that much already");
    assert_eq!(taken(2, 1.0), BTreeSet::new(), "it is free");
    assert_eq!(taken(3, 0.5), BTreeSet::from([1]));
    assert_eq!(taken(4, 0.0), BTreeSet::from([1, 2, 3]), "all of a2, but for what is no help");
    assert_eq!(taken(100, 0.0), BTreeSet::from([1, 2, 3, 5]), "never its own");
}

#[test]
fn quota_05_what_others_are_guaranteed_is_left_to_them_and_kept_free_for_them() {
    let list =
        [(1, "a1", "ops", cpus(2.0)), (2, "a1", "ops", cpus(2.0)), (3, "a2", "dev", cpus(4.0))];
    let two = quota(&[("cpus", 2)], &[]);
    let quotas = [("eng", two.clone()), ("ops", two.clone())];
    assert_eq!(taken_for("eng", &quotas, 0.0, &list), BTreeSet::from([1]), "ops keeps two");
    // What is free is another's who does not have what it is guaranteed.
    let quotas = [("eng", two.clone()), ("idle", two.clone())];
    assert_eq!(taken_for("eng", &quotas, 2.0, &list), BTreeSet::from([1, 2]));
    assert_eq!(taken_for("dev", &quotas, 0.0, &list), BTreeSet::new(), "dev was promised nothing");
}
