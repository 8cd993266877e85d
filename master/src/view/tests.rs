//! The view shows what the changes say, within its bounds.

mod events;
mod numbers;
mod offers;
mod pages;

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::agent::AgentInfo;
use protocol::ids::{ClusterId, MasterId, Role};
use protocol::offer::Offer;
use protocol::operator::{Read, RoleView};
use protocol::quantities::{Limits, Quantities};
use protocol::quota::{Quota, Weight};
use protocol::resources::{Kind, Milli, Resource, Value};

use super::*;
use crate::backlog::{Backlog, Next};
use crate::logic::tests::scenario::{agent_id, agent_info, framework_info, report, status};

fn view() -> View {
    let cluster = ClusterView {
        cluster: ClusterId::new("c"),
        master: MasterId::new("m"),
        epoch: 3,
        version: "0.1.0".into(),
        change: 0,
        recovering: false,
    };
    View::new(cluster, 2)
}

fn tell(view: &mut View, what: What) {
    let number = view.cluster.change + 1;
    view.apply(Change { number, what });
}

fn framework() -> FrameworkInfo {
    FrameworkInfo { framework: FrameworkId::new("c-0000"), ..framework_info("web", &[]) }
}

fn id(n: usize) -> FrameworkId {
    FrameworkId::new(format!("c-{n:04}"))
}

fn filled() -> View {
    let mut view = view();
    let (agent, info) = (agent_id(1), agent_info(1));
    tell(&mut view, What::Agent { agent, info: info.into(), state: AgentState::Active });
    tell(&mut view, What::Framework { info: framework().into(), state: FrameworkState::Active });
    for id in ["a", "b", "c", "d"] {
        tell(&mut view, What::Task(report(1, id, TaskState::Staging).into()));
        tell(&mut view, What::TaskStatus(status(1, id, TaskState::Running, Some(1)).into()));
    }
    view
}

fn tasks(view: &View) -> Vec<String> {
    let ReadAnswer::Tasks(tasks) = view.answer(List::Tasks) else { panic!() };
    tasks.iter().map(|t| format!("{} {:?}", t.report.spec.task, t.report.state)).collect()
}

#[test]
fn lists_show_what_was_told() {
    let mut view = filled();
    let offer = Offer {
        offer: OfferId::new("m-O1"),
        framework: FrameworkId::new("c-0000"),
        agent: agent_id(1),
        at: agent_info(1).at,
        role: Role::everybody(),
        resources: Resources::cpus_mem(1.0, 1.0),
        attributes: Vec::new(),
        executors: Vec::new(),
    };
    tell(&mut view, What::OfferMade(offer.into()));
    let book = What::AgentBook {
        agent: agent_id(1),
        used: Resources::cpus_mem(2.0, 256.0),
        offered: Resources::cpus_mem(1.0, 1.0),
    };
    tell(&mut view, book);
    let ReadAnswer::Frameworks(frameworks) = view.answer(List::Frameworks) else { panic!() };
    assert_eq!(frameworks[0].tasks, 4);
    assert_eq!(frameworks[0].used, Resources::cpus_mem(4.0, 512.0));
    assert_eq!(frameworks[0].offered, Resources::cpus_mem(1.0, 1.0));
    let text = view.metrics();
    for line in
        ["tasks_running 4", "outstanding_offers 1", "cpus_used 2", "agents_active 1", "epoch 3"]
    {
        assert!(text.contains(&format!("\nairside_master_{line}\n")), "{line} in {text}");
    }
    tell(&mut view, What::OfferEnded(OfferId::new("m-O1")));
    let ReadAnswer::Frameworks(frameworks) = view.answer(List::Frameworks) else { panic!() };
    assert_eq!(frameworks[0].offered, Resources::none());
}

/// The leader was killed when it had the acknowledgement of the first.
#[test]
fn news_older_than_what_an_agent_that_is_back_reported_does_not_put_a_task_back() {
    let mut view = filled();
    let [starts, runs] = [(TaskState::Starting, 1), (TaskState::Running, 2)]
        .map(|(state, sequence)| Arc::new(status(1, "e", state, Some(sequence))));
    let unacknowledged = Some(runs.clone());
    let back = TaskReport { unacknowledged, ..report(1, "e", TaskState::Running) };
    tell(&mut view, What::Task(back.into()));
    tell(&mut view, What::TaskStatus(starts.clone()));
    tell(&mut view, What::TaskStatus(runs.clone()));
    assert_eq!(tasks(&view)[4], "e Running");
    let ReadAnswer::Tasks(all) = view.answer(List::Tasks) else { panic!() };
    assert_eq!(all[4].statuses, [starts, runs]);
}

#[test]
fn sum_05_ended_tasks_are_kept_up_to_the_limit_and_a_second_life_of_an_id_is_not_mixed_up() {
    let mut view = filled();
    let forget = |view: &mut View, id: &str| {
        let (framework, task) = (FrameworkId::new("c-0000"), TaskId::new(id));
        tell(view, What::TaskForgotten { framework, task, state: TaskState::Finished });
    };
    forget(&mut view, "a");
    forget(&mut view, "b");
    assert_eq!(tasks(&view), ["a Finished", "b Finished", "c Running", "d Running"]);
    tell(&mut view, What::Task(report(1, "a", TaskState::Staging).into()));
    forget(&mut view, "c");
    assert_eq!(tasks(&view), ["a Staging", "b Finished", "c Finished", "d Running"]);
    forget(&mut view, "d");
    assert_eq!(tasks(&view), ["a Staging", "c Finished", "d Finished"]);
    assert!(view.metrics().contains("\nairside_master_tasks_finished 4\n"));
}

#[test]
fn what_a_view_missed_is_counted_when_it_starts_over() {
    let mut view = filled();
    let mut backlog: Backlog<Change, Totals> = Backlog::default();
    let framework = FrameworkId::new("c-0000");
    let mut number = view.cluster.change;
    let mut push = |what| {
        number += 1;
        backlog.push(Change { number, what });
    };
    // While the view stands still: many tasks begin, and end, before and after the bound is reached.
    for n in 0..60_000 {
        let id = format!("t{n}");
        push(What::Task(report(1, &id, TaskState::Staging).into()));
        let (framework, task) = (framework.clone(), TaskId::new(&id));
        push(What::TaskForgotten { framework, task, state: TaskState::Finished });
    }
    let Some(Next::StartOver(missed)) = backlog.take() else { panic!("it holds all") };
    view.start_over(number, vec![], &missed);
    let text = view.metrics();
    for line in ["tasks_launched 60004", "tasks_finished 60000"] {
        assert!(text.contains(&format!("\nairside_master_{line}\n")), "{line} in {text}");
    }
}

#[test]
fn the_first_and_the_newest_statuses_are_kept() {
    let mut view = filled();
    for sequence in 2..100 {
        let status = status(1, "a", TaskState::Running, Some(sequence));
        tell(&mut view, What::TaskStatus(status.into()));
    }
    let ReadAnswer::Tasks(tasks) = view.answer(List::Tasks) else { panic!() };
    let kept: Vec<_> = tasks[0].statuses.iter().filter_map(|s| Some(s.update?.sequence)).collect();
    assert_eq!((kept.len(), kept[0], kept[15]), (STATUSES_MAX, 1, 99));
}

#[test]
fn news_that_is_said_again_is_shown_once() {
    let mut view = filled();
    let news = status(1, "a", TaskState::Finished, Some(2));
    tell(&mut view, What::TaskStatus(news.into()));
    let again = status(1, "a", TaskState::Running, Some(1));
    tell(&mut view, What::TaskStatus(again.into()));
    let ReadAnswer::Tasks(tasks) = view.answer(List::Tasks) else { panic!() };
    let shown: Vec<_> = tasks[0].statuses.iter().map(|status| status.state).collect();
    assert_eq!(shown, [TaskState::Running, TaskState::Finished]);
    assert_eq!(tasks[0].report.state, TaskState::Finished, "and it goes back to no earlier state");
}

#[test]
fn the_cluster_is_recovering_while_an_agent_is_awaited() {
    let mut view = view();
    let recovering = |view: &View| {
        let ReadAnswer::Cluster(cluster) = view.answer(List::Cluster) else { panic!() };
        cluster.recovering
    };
    let (agent, info) = (agent_id(1), agent_info(1));
    let state = AgentState::Recovered;
    tell(&mut view, What::Agent { agent: agent.clone(), info: info.into(), state });
    assert!(recovering(&view));
    tell(&mut view, What::AgentState { agent, state: AgentState::Unreachable });
    assert!(!recovering(&view));
    view.doubt(true);
    assert!(recovering(&view), "another may lead, of which more is known");
    view.doubt(false);
    assert!(!recovering(&view));
}

#[test]
fn what_is_gone_is_shown_for_a_while() {
    let mut view = view();
    for n in 1..=60 {
        let (agent, info) = (agent_id(n), agent_info(n));
        tell(
            &mut view,
            What::Agent { agent: agent.clone(), info: info.into(), state: AgentState::Active },
        );
        tell(&mut view, What::AgentState { agent, state: AgentState::Gone });
        let info = FrameworkInfo { framework: FrameworkId::new(format!("c-{n}")), ..framework() };
        let framework = info.framework.clone();
        tell(&mut view, What::Framework { info: info.into(), state: FrameworkState::Active });
        tell(&mut view, What::FrameworkState { framework, state: FrameworkState::Removed });
    }
    let ReadAnswer::Agents(agents) = view.answer(List::Agents) else { panic!() };
    let ReadAnswer::Frameworks(frameworks) = view.answer(List::Frameworks) else { panic!() };
    assert_eq!((agents.len(), frameworks.len()), (GONE_MAX, REMOVED_MAX));
}

fn moment(change: u64) -> Moment {
    Moment { epoch: 3, change }
}

fn after(moment: Moment) -> Read {
    Read::After { moment, list: List::Tasks }
}

#[test]
fn a_read_after_a_change_waits_until_the_view_shows_it() {
    let mut view = filled();
    let mut readers = Readers::default();
    let reached = view.moment();
    let (reader, answer) = readers.hear(&view, after(reached), "at once").unwrap();
    assert_eq!((reader, answer), ("at once", view.answer(List::Tasks)));
    let next = moment(reached.change + 1);
    assert!(readers.hear(&view, after(moment(reached.change + 2)), "later").is_none());
    assert!(readers.hear(&view, after(next), "first").is_none());
    assert!(readers.hear(&view, after(next), "second").is_none());
    assert!(readers.on_changes(&view).is_empty());
    tell(&mut view, What::TaskStatus(status(1, "a", TaskState::Killing, Some(2)).into()));
    let answered = readers.on_changes(&view);
    assert_eq!(answered.iter().map(|(reader, _)| *reader).collect::<Vec<_>>(), ["first", "second"]);
    let ReadAnswer::Tasks(tasks) = &answered[0].1 else { panic!("{answered:?}") };
    assert_eq!(tasks[0].report.state, TaskState::Killing, "the change that was waited for");
    assert!(!readers.is_empty());
}

#[test]
fn a_moment_of_another_reign_is_not_waited_for() {
    let view = filled();
    let mut readers = Readers::default();
    for epoch in [2, 4] {
        let moment = Moment { epoch, change: 1_000_000 };
        assert!(readers.hear(&view, after(moment), ()).is_some(), "epoch {epoch}");
    }
    assert!(readers.is_empty());
}

#[test]
fn who_waits_in_vain_is_told_how_far_the_view_is_and_only_so_many_wait() {
    let view = filled();
    let mut readers = Readers::default();
    let far = moment(1_000_000);
    let behind = ReadAnswer::Behind(view.moment());
    let waiting = (0..20_000).filter(|n| readers.hear(&view, after(far), *n).is_none()).count();
    assert_eq!(waiting, 16_384);
    assert_eq!(readers.hear(&view, after(far), 20_000), Some((20_000, behind.clone())));
    assert!(readers.on_tick(&view).is_empty(), "they may have come just before");
    let given_up = readers.on_tick(&view);
    assert_eq!(given_up.len(), waiting);
    assert!(given_up.iter().all(|(_, answer)| *answer == behind));
    assert!(readers.is_empty());
}

fn named(text: &str) -> Role {
    text.parse().unwrap()
}

/// An agent with 4 cpus, 2 of which are reserved for `eng`; a task of `eng/web` has 1 of these and 1 of the rest.
fn with_a_reservation() -> View {
    let mut view = view();
    let reserved = |amount| Resource {
        name: "cpus".into(),
        kind: Kind::reserved(named("eng")),
        value: Value::Scalar(Milli::whole(amount)),
    };
    let cpus = |amount, of_reserved| {
        let mut all = Resources::none().with_scalar("cpus", Milli::whole(amount));
        all.add_one(reserved(of_reserved));
        all
    };
    let info = AgentInfo { resources: cpus(2, 2), ..agent_info(1) };
    tell(
        &mut view,
        What::Agent { agent: agent_id(1), info: info.into(), state: AgentState::Active },
    );
    let info = FrameworkInfo { roles: vec![named("eng/web")], ..framework() };
    tell(&mut view, What::Framework { info: info.into(), state: FrameworkState::Active });
    let mut report = TaskReport { role: named("eng/web"), ..report(1, "a", TaskState::Running) };
    Arc::make_mut(&mut report.spec).resources = cpus(1, 1);
    tell(&mut view, What::Task(report.into()));
    view
}

fn one_role(view: &View, name: &str) -> RoleView {
    let ReadAnswer::Roles(roles) = view.answer(List::Roles) else { panic!() };
    roles.into_iter().find(|role| role.role == named(name)).unwrap()
}

#[test]
fn quota_06_what_is_reserved_and_not_in_use_counts_as_consumed() {
    let mut view = with_a_reservation();
    let words =
        |role: RoleView| format!("{} of {} and {}", role.consumed, role.allocated, role.reserved);
    assert_eq!(words(one_role(&view, "eng")), "cpus:3 of cpus:2 and cpus:2");
    assert_eq!(words(one_role(&view, "eng/web")), "cpus:2 of cpus:2 and nothing");
    let (framework, task) = (FrameworkId::new("c-0000"), TaskId::new("a"));
    tell(&mut view, What::TaskForgotten { framework, task, state: TaskState::Finished });
    assert_eq!(words(one_role(&view, "eng")), "cpus:2 of nothing and cpus:2");
    let state = AgentState::Unreachable;
    tell(&mut view, What::AgentState { agent: agent_id(1), state });
    assert_eq!(words(one_role(&view, "eng/web")), "nothing of nothing and nothing");
    let ReadAnswer::Roles(roles) = view.answer(List::Roles) else { panic!() };
    assert_eq!(roles.len(), 2, "a reservation out of reach is nobody's");
}

#[test]
fn quota_07_figures_of_roles_with_quota_say_what_they_may_have_and_what_is_in_their_hands() {
    let mut view = with_a_reservation();
    assert!(!view.metrics().contains("quota") && !view.metrics().contains("weight"));
    let quota = |guarantee, limit| Quota {
        guarantees: Quantities::none().with("cpus", Milli(guarantee)),
        limits: Limits::none().with("mem", Milli::whole(limit)),
    };
    let odd = named("a\"b");
    let quotas = [(named("eng"), quota(1500, 64)), (odd.clone(), quota(1000, 0))];
    tell(&mut view, What::Quotas(BTreeMap::from(quotas)));
    tell(&mut view, What::Weights(BTreeMap::from([(odd, Weight::try_from(2.5).unwrap())])));
    let offer = Offer {
        offer: OfferId::new("m-O1"),
        framework: FrameworkId::new("c-0000"),
        agent: agent_id(1),
        at: agent_info(1).at,
        role: named("eng/web"),
        resources: Resources::cpus_mem(1.0, 32.0),
        attributes: Vec::new(),
        executors: Vec::new(),
    };
    tell(&mut view, What::OfferMade(offer.into()));
    let text = view.metrics();
    let of_roles: Vec<&str> = text.lines().filter(|line| line.contains("role=")).collect();
    assert_eq!(
        of_roles,
        [
            r#"airside_weight{role="a\"b"} 2.5"#,
            r#"airside_quota_guarantee{role="a\"b",resource="cpus"} 1"#,
            r#"airside_quota_guarantee{role="eng",resource="cpus"} 1.5"#,
            r#"airside_quota_limit{role="a\"b",resource="mem"} 0"#,
            r#"airside_quota_limit{role="eng",resource="mem"} 64"#,
            r#"airside_quota_offered_or_allocated{role="a\"b",resource="cpus"} 0"#,
            r#"airside_quota_offered_or_allocated{role="a\"b",resource="mem"} 0"#,
            r#"airside_quota_offered_or_allocated{role="eng",resource="cpus"} 3"#,
            r#"airside_quota_offered_or_allocated{role="eng",resource="mem"} 32"#,
        ]
    );
    assert_eq!(text.matches("# TYPE airside_quota_limit gauge\n").count(), 1);
}
