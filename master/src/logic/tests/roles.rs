//! What operators say of roles: written before it is answered, and offers that are in the way are taken back.

use std::collections::BTreeMap;
use std::time::Duration;

use libactor::Principal;
use protocol::framework::{Capability, FrameworkInfo, FrameworkToMaster};
use protocol::ids::{ClusterId, MasterId, Role};
use protocol::operator::{
    Before, ClusterView, List, ReadAnswer, RefusalKind, RoleView, SetAnswer, SetQuotas, SetWeights,
};
use protocol::quantities::{Limits, Quantities};
use protocol::quota::{Quota, Weight};
use protocol::resources::Milli;
use protocol::task::{Source, TaskState};

use super::offers::{says, with_executor};
use super::scenario::{Scenario, agent_pid, framework_info, scheduler_pid, task};
use crate::config::Config;
use crate::logic::allocator::BookEntry;
use crate::logic::registry::{Registry, RegistryOperation};
use crate::logic::roles::Setting;
use crate::logic::{Effect, Event};
use crate::view::View;

fn role(text: &str) -> Role {
    text.parse().unwrap()
}

fn quota(guarantee: i64, limit: Option<i64>) -> Quota {
    let limits =
        limit.map(|cpus| Limits::none().with("cpus", Milli::whole(cpus))).unwrap_or_default();
    Quota { guarantees: Quantities::none().with("cpus", Milli::whole(guarantee)), limits }
}

fn weight(number: f64) -> Weight {
    Weight::try_from(number).unwrap()
}

impl Scenario {
    fn sets(&mut self, asked: u64, setting: Setting) {
        self.step(Event::SetAsked { asked, who: Principal::Cluster.into(), setting });
    }

    fn sets_quota(&mut self, asked: u64, list: &[(&str, Quota)], force: bool) {
        let quotas = list.iter().map(|(name, quota)| (role(name), quota.clone())).collect();
        self.sets(asked, Setting::Quotas(SetQuotas { quotas, force, before: Before::Anything }));
    }

    fn sets_weight(&mut self, asked: u64, name: &str, number: f64) {
        let weights = vec![(role(name), number)];
        self.sets(asked, Setting::Weights(SetWeights { weights }));
    }

    /// Scheduler `n` subscribes a framework that acts for one role.
    fn subscribes_for(&mut self, n: u64, name: &str) {
        let info = FrameworkInfo {
            roles: vec![role(name)],
            ..framework_info("web", &[Capability::PartitionAware])
        };
        let (nonce, framework, demand) = (1000 + n, None, Vec::new());
        self.scheduler_says(n, FrameworkToMaster::Subscribe { nonce, framework, info, demand });
    }

    /// What was taken back since last asked, and what was answered.
    fn took_back(&mut self) -> Vec<String> {
        let mut lines = self.take_lines();
        lines.retain(|line| line.contains("Rescinded") || line.starts_with("answer"));
        lines
    }

    /// What readers see, as a view that was told everything has it.
    fn roles(&self) -> Vec<RoleView> {
        let cluster = ClusterView {
            cluster: ClusterId::new("c"),
            master: MasterId::new("m"),
            epoch: 1,
            version: "0".into(),
            change: 0,
            recovering: false,
        };
        let mut view = View::new(cluster, 100);
        self.changes.iter().for_each(|change| view.apply(change.clone()));
        let seen = view.answer(List::Roles);
        view.start_over(self.master.change(), self.master.snapshot(), &Default::default());
        assert_eq!(view.answer(List::Roles), seen, "a view that starts over sees the same");
        let ReadAnswer::Roles(roles) = seen else { panic!("{seen:?}") };
        roles
    }

    fn role(&self, name: &str) -> RoleView {
        self.roles().into_iter().find(|known| known.role == role(name)).expect("it is known")
    }
}

/// Three agents of 4 cpus, all of which one framework was offered; what is proposed from now on waits.
fn hoarded(name: &str) -> Scenario {
    let mut t = Scenario::new();
    // One after the other, so that the first offer is of the first agent.
    t.subscribes_for(1, name);
    (1..=3).for_each(|n| t.agent_joins(n));
    t.allocator_is_slow = true;
    t.forget_lines();
    t
}

#[test]
fn what_is_said_of_roles_is_answered_once_it_is_written() {
    let mut t = hoarded("ops");
    t.registrar_is_slow = true;
    t.sets_quota(7, &[("eng", quota(2, Some(4)))], false);
    t.sets_weight(8, "eng/web", 2.0);
    t.did([]);
    assert_eq!(t.written.shares, Default::default());
    t.write();
    let told = t.took_back();
    assert!(told[0].contains("Rescinded") && told[1].starts_with("answer 7: set at"), "{told:?}");
    t.write();
    assert!(t.took_back()[0].starts_with("answer 8: set at"));
    assert_eq!(t.role("eng").quota, quota(2, Some(4)));
    assert_eq!(t.role("eng/web").weight, weight(2.0));
    let written = t.written.shares.clone();
    let t = t.restart("n");
    assert_eq!(t.master.whole_book().shares, written, "the next reign knows it");
    assert_eq!((t.role("eng").quota, t.role("eng/web").weight), (quota(2, Some(4)), weight(2.0)));
}

#[test]
fn the_moment_of_the_answer_is_one_at_which_readers_see_it() {
    let mut t = hoarded("eng");
    t.sets_quota(7, &[("eng", quota(0, Some(8)))], false);
    let told = t.took_back();
    let moment: u64 = told[1].strip_prefix("answer 7: set at ").unwrap().parse().unwrap();
    let later = t.changes.iter().filter(|change| change.number > moment);
    let mut what = later.map(|change| format!("{:?}", change.what));
    assert!(what.all(|what| what.starts_with("AgentBook")), "its offers are gone by then, too");
}

#[test]
fn all_of_a_call_is_done_or_nothing() {
    let mut t = hoarded("ops");
    t.sets_quota(1, &[("eng", quota(1, None)), ("a/b", quota(1, None))], true);
    t.sets_quota(2, &[("eng", quota(7, None)), ("ops", quota(6, None))], false);
    let told = t.take_lines();
    assert!(told[0].starts_with("answer 1: role 'a/b' cannot have a quota of its own"), "{told:?}");
    assert!(told[1].starts_with("answer 2: all guarantees together would be cpus:13"), "{told:?}");
    assert_eq!((told.len(), t.written.shares.clone()), (2, Default::default()));
    t.sets_quota(3, &[("eng", quota(7, None)), ("ops", quota(6, None))], true);
    assert!(t.take_lines().last().unwrap().starts_with("answer 3: set"), "it was forced");
}

#[test]
fn what_waits_to_be_written_counts_for_what_is_said_next() {
    let mut t = hoarded("ops");
    t.registrar_is_slow = true;
    t.sets_quota(1, &[("eng", quota(7, None))], false);
    t.sets_quota(2, &[("ops", quota(6, None))], false);
    assert!(t.take_lines()[0].starts_with("answer 2: all guarantees together would be cpus:13"));
    t.sets_quota(3, &[("ops", quota(5, None))], false);
    t.write();
    t.write();
    let told = t.took_back();
    assert_eq!(told.iter().filter(|line| line.starts_with("answer")).count(), 2, "{told:?}");
    assert!(told.last().unwrap().starts_with("answer 3: set"), "in their order: {told:?}");
}

#[test]
fn a_limit_is_held_against_what_the_role_and_those_below_it_hold() {
    let mut t = hoarded("eng/web");
    t.launches(1, 1, vec![task("a", 3.0)]);
    t.forget_lines();
    t.sets_quota(1, &[("eng", quota(0, Some(2)))], false);
    let words = "answer 1: eng has cpus:3 in use or reserved, above the limit cpus:2";
    let told = t.take_lines();
    assert!(told[0].starts_with(words), "{told:?}");
    t.sets_quota(2, &[("eng", quota(0, Some(3)))], false);
    assert_eq!(t.took_back()[0], "to scheduler-1: Rescinded O2 O3");
    t.sets_quota(3, &[("eng", quota(0, Some(2)))], true);
    assert!(t.took_back()[0].starts_with("answer 3: set"));
}

#[test]
fn quota_05_a_limit_takes_back_the_roles_newest_offers_until_the_rest_is_within_it() {
    let mut t = hoarded("eng/web");
    t.sets_quota(1, &[("eng", quota(0, Some(8)))], false);
    assert_eq!(t.took_back()[0], "to scheduler-1: Rescinded O3");
    t.sets_quota(2, &[("eng", quota(0, Some(8)))], false);
    assert!(t.took_back()[0].starts_with("answer 2: set"), "the rest may stay");
}

#[test]
fn quota_05_a_guarantee_takes_back_offers_of_others_until_it_is_free() {
    let mut t = hoarded("ops");
    t.sets_quota(1, &[("eng", quota(5, None))], false);
    assert_eq!(t.took_back()[0], "to scheduler-1: Rescinded O1 O2", "two agents have eight");
    t.sets_quota(2, &[("eng", quota(8, None))], false);
    assert!(t.took_back()[0].starts_with("answer 2: set"), "eight are free, or on their way");
}

#[test]
fn the_allocator_knows_a_quota_before_it_has_back_what_is_taken_back_for_it() {
    let mut t = hoarded("ops");
    let now = t.now;
    let operation = RegistryOperation::SetQuotas(BTreeMap::from([(role("eng"), quota(5, None))]));
    let step = t.master.step(now, Event::Written(operation));
    let entries = step.effects.into_iter().find_map(|effect| {
        if let Effect::TellAllocator(entries) = effect { Some(entries) } else { None }
    });
    let entries = entries.unwrap();
    let kinds: Vec<bool> =
        entries.iter().map(|entry| matches!(entry, BookEntry::Shares(_))).collect();
    assert_eq!(kinds, [true, false, false]);
}

#[test]
fn weights_take_back_all_offers_if_a_framework_acts_for_the_role_or_one_below_it() {
    let mut t = hoarded("eng/web");
    for (asked, idle) in [(1, "ops"), (2, "eng/web/x"), (3, "en")] {
        t.sets_weight(asked, idle, 2.0);
        assert!(t.took_back()[0].starts_with("answer"), "{idle}");
    }
    t.sets_weight(4, "eng", 2.0);
    assert_eq!(t.took_back()[0], "to scheduler-1: Rescinded O1 O2 O3");
}

#[test]
fn offer_07_offers_are_taken_back_when_their_agent_is_lost() {
    let mut t = hoarded("eng");
    t.down(agent_pid(2, 1));
    assert_eq!(t.took_back(), ["to scheduler-1: Rescinded O2"]);
}

#[test]
fn offer_07_offers_are_taken_back_when_quota_or_weights_change() {
    let mut t = hoarded("eng");
    t.sets_quota(1, &[("eng", quota(0, Some(4)))], false);
    assert_eq!(t.took_back()[0], "to scheduler-1: Rescinded O2 O3");
    t.sets_weight(2, "eng", 3.0);
    assert_eq!(t.took_back()[0], "to scheduler-1: Rescinded O1");
    assert_eq!(t.role("eng").offered, Quantities::none());
}

#[test]
fn offer_07_a_framework_that_is_gone_holds_no_offers_and_one_that_wants_no_more_keeps_what_it_has()
{
    let mut t = hoarded("eng");
    t.scheduler_says(1, FrameworkToMaster::Suppress);
    assert_eq!(t.role("eng").offered.to_string(), "cpus:12;mem:12288");
    t.did([]);
    t.down(scheduler_pid(1));
    assert_eq!(t.role("eng").offered, Quantities::none());
    assert_eq!(t.master.holdings(), Default::default());
    t.subscribes_for(2, "eng");
    t.propose();
    let offered = t.take_lines();
    assert_eq!(offered.iter().filter(|line| line.contains(": O")).count(), 3, "{offered:?}");
}

fn held(t: &Scenario, name: &str) -> (String, String, String) {
    let known = t.role(name);
    let sums = t.master.sums();
    let decided = sums.get(&role(name)).cloned().unwrap_or_default();
    assert_eq!(known.consumed, decided.consumed(), "the view shows what the master goes by");
    (known.consumed.to_string(), known.allocated.to_string(), known.offered.to_string())
}

#[test]
fn quota_06_consumed_is_what_tasks_and_executors_of_the_role_and_below_hold_and_not_what_is_offered()
 {
    let mut t = hoarded("eng/web");
    t.launches(1, 1, vec![with_executor("a", 1.0, 0.5)]);
    t.launches(1, 2, vec![task("b", 2.0)]);
    let both = "cpus:3.5;mem:288".to_owned();
    let offered = "cpus:4;mem:4096".to_owned();
    let all = (both.clone(), both, offered);
    assert_eq!((held(&t, "eng"), held(&t, "eng/web")), (all.clone(), all));
    // An executor that has no task left holds what it holds.
    t.agent_says(agent_pid(1, 1), says("a", TaskState::Finished, 1, Source::Executor));
    t.news(2, "b", TaskState::Finished, 1);
    let (consumed, allocated, _) = held(&t, "eng");
    assert_eq!((consumed.as_str(), allocated.as_str()), ("cpus:0.5;mem:32", "cpus:0.5;mem:32"));
    t.down(agent_pid(1, 1));
    t.pass(Duration::from_secs(600));
    assert_eq!(held(&t, "eng").0, "nothing", "what is out of reach counts for nobody");
}

#[test]
fn role_06_a_role_under_which_something_runs_is_shown_when_its_framework_has_left_it() {
    let mut t = hoarded("eng/web");
    t.launches(1, 1, vec![task("b", 2.0)]);
    let info = FrameworkInfo {
        roles: vec![role("ops")],
        ..framework_info("web", &[Capability::PartitionAware])
    };
    let (nonce, demand) = (1002, Vec::new());
    let framework = Some(protocol::ids::FrameworkId::new("c-0000"));
    t.scheduler_says(2, FrameworkToMaster::Subscribe { nonce, framework, info, demand });
    let names = |t: &Scenario| -> Vec<String> {
        t.roles().into_iter().map(|known| known.role.to_string()).collect()
    };
    assert_eq!(names(&t), ["eng", "eng/web", "ops"]);
    let left = t.role("eng/web");
    assert_eq!((left.frameworks.len(), left.allocated.to_string().as_str()), (1, "cpus:2;mem:128"));
    t.news(1, "b", TaskState::Finished, 1);
    assert_eq!(names(&t), ["ops"]);
}

#[test]
fn every_role_that_is_known_is_shown_with_those_above_it() {
    let mut t = hoarded("a/b/c");
    t.sets_quota(1, &[("q", quota(1, None))], false);
    t.sets_weight(2, "w/x", 2.0);
    let names: Vec<String> = t.roles().iter().map(|known| known.role.to_string()).collect();
    assert_eq!(names, ["a", "a/b", "a/b/c", "q", "w", "w/x"]);
    assert!(t.role("a/b").frameworks.is_empty() && t.role("a/b/c").frameworks.len() == 1);
    t.sets_quota(3, &[("q", Quota::default())], false);
    t.sets_weight(4, "w/x", 1.0);
    assert_eq!(t.roles().len(), 3, "what says nothing is gone");
}

#[test]
fn the_masters_flag_says_weights_only_to_a_registry_that_has_none() {
    let weights = BTreeMap::from([(role("eng"), weight(2.0))]);
    let config = Config { weights, ..Config::default() };
    let mut t = Scenario::with(config.clone());
    assert_eq!(t.written.shares.weight(&role("eng")), weight(2.0));
    assert_eq!(t.master.whole_book().shares.weight(&role("eng")), weight(2.0));
    t.sets_weight(1, "eng", 5.0);
    assert!(t.take_lines()[0].starts_with("answer 1: set"), "nobody waited for the flag's");
    let mut registry: Registry = t.written.clone();
    registry.epoch += 1;
    let t = Scenario::on(config, registry, "n");
    assert_eq!(t.written.shares.weight(&role("eng")), weight(5.0));
}

/// ALLOC-15: what a task holds and what is only offered is not the same to readers; what is not used comes back for who refused it
/// when the refusal is over, and at once if it was none.
#[test]
fn alloc_15_what_is_used_and_what_is_only_offered_returns_with_a_refusal_or_without() {
    let mut t = Scenario::new();
    t.subscribes_for(1, "eng");
    t.agent_joins(1);
    let cpus = |t: &Scenario| {
        let RoleView { allocated, offered, .. } = t.role("eng");
        (allocated.amount("cpus").0, offered.amount("cpus").0)
    };
    assert_eq!(cpus(&t), (0, 4000));
    let offer = t.offer_of(1);
    t.accepts(1, vec![offer], vec![task("a", 1.0)], Duration::from_secs(5));
    assert_eq!(cpus(&t), (1000, 0));
    t.pass(Duration::from_secs(4));
    assert_eq!(cpus(&t), (1000, 0), "it is refused");
    t.pass(Duration::from_secs(2));
    assert_eq!(cpus(&t), (1000, 3000));
    let offers = vec![t.offer_of(1)];
    let decline = FrameworkToMaster::Decline { offers: offers.clone(), refuse_for: Duration::ZERO };
    t.scheduler_says(1, decline);
    assert_ne!(t.offer_of(1), offers[0]);
    assert_eq!(cpus(&t), (1000, 3000), "it is offered anew");
    t.news(1, "a", TaskState::Finished, 1);
    assert_eq!(cpus(&t), (0, 4000));
}

/// Five agents, a role with a limit, one without; and another master, to which so many agents have come back.
fn after_fail_over(back: u64) -> Scenario {
    let mut t = Scenario::new();
    (1..=5).for_each(|n| t.agent_joins(n));
    t.sets_quota(1, &[("web", quota(0, Some(6)))], false);
    t.subscribes_for(1, "web");
    t.subscribes_for(2, "batch");
    let mut t = t.restart("n");
    t.subscribes_for(1, "web");
    t.subscribes_for(2, "batch");
    t.forget_lines();
    (1..=back).for_each(|n| t.agent_returns(n, 1, Vec::new()));
    t
}

/// Which schedulers were told of offers.
fn offered_to(t: &mut Scenario) -> Vec<String> {
    let lines = t.take_lines();
    let offers = lines.iter().filter(|line| line.contains(": O"));
    let mut to: Vec<String> = offers.map(|line| line["to ".len()..][..11].to_owned()).collect();
    to.sort();
    to.dedup();
    to
}

#[test]
fn after_a_fail_over_a_role_with_quota_waits_until_most_agents_are_back() {
    let mut t = after_fail_over(3);
    assert_eq!(offered_to(&mut t), ["scheduler-2"], "web may hold anything on the others");
    t.agent_returns(4, 1, Vec::new());
    assert_eq!(offered_to(&mut t), ["scheduler-1"]);
}

#[test]
fn a_role_with_quota_waits_for_agents_no_longer_than_it_must() {
    let mut t = after_fail_over(1);
    t.pass(Duration::from_secs(590));
    assert_eq!(offered_to(&mut t), ["scheduler-2"]);
    t.pass(Duration::from_secs(10));
    t.agent_returns(2, 1, Vec::new());
    assert_eq!(offered_to(&mut t), ["scheduler-1"]);
    // An allocator that starts over waits as long as the master does.
    let mut t = after_fail_over(3);
    t.allocator_starts_over();
    t.forget_lines();
    t.down(scheduler_pid(2));
    assert_eq!(offered_to(&mut t), Vec::<String>::new(), "all that is there is free");
    t.agent_returns(4, 1, Vec::new());
    assert_eq!(offered_to(&mut t), ["scheduler-1"]);
}

/// Two operators who both mean to be the first: what is being written counts as well.
#[test]
fn a_quota_for_a_role_that_must_have_none_is_set_once() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.forget_lines();
    t.registrar_is_slow = true;
    let set = |t: &mut Scenario, asked, before, quota: Quota| {
        let quotas = vec![(role("eng"), quota)];
        t.sets(asked, Setting::Quotas(SetQuotas { quotas, force: false, before }));
    };
    set(&mut t, 1, Before::Quota, Quota::default());
    t.did(["answer 1: Role 'eng' has no quota set"]);
    set(&mut t, 2, Before::NoQuota, quota(1, None));
    set(&mut t, 3, Before::NoQuota, quota(2, None));
    t.did(["answer 3: Cannot set quota for role 'eng' which already has quota"]);
    set(&mut t, 4, Before::Quota, Quota::default());
    t.did([]);
    set(&mut t, 5, Before::NoQuota, quota(9, None));
    let answers = t.took_back();
    assert!(answers[0].starts_with("answer 5: all guarantees together"), "{answers:?}");
    let Some(SetAnswer::Refused(refusal)) = &t.answered else { panic!("{:?}", t.answered) };
    assert_eq!(refusal.kind, RefusalKind::Conflict, "it could be forced");
}
