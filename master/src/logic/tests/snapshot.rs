//! A view that missed changes shows what one shows that missed none.

use std::time::Duration;

use protocol::agent::AgentToMaster;
use protocol::framework::FrameworkToMaster;
use protocol::ids::{ClusterId, MasterId};
use protocol::operator::{ClusterView, List, ReadAnswer};
use protocol::task::TaskState;
use protocol::time::Now;

use super::scenario::{Scenario, agent_pid, task};
use crate::view::{Totals, View};

fn view() -> View {
    let cluster = ClusterView {
        cluster: ClusterId::new("c"),
        master: MasterId::new("m"),
        epoch: 1,
        version: "0.1.0".into(),
        change: 0,
        recovering: false,
    };
    View::new(cluster, 100)
}

/// Agents, frameworks, roles, offers with their age, and the tasks without their history, of which parts were missed.
fn shown(view: &View) -> String {
    let lists = [List::Cluster, List::Agents, List::Frameworks, List::Roles, List::Offers];
    let lists: Vec<_> = lists.into_iter().map(|list| view.answer(list)).collect();
    let ReadAnswer::Tasks(tasks) = view.answer(List::Tasks) else { panic!() };
    let tasks = tasks.iter().map(|t| format!("{} {:?}", t.report.spec.task, t.report.state));
    format!("{lists:?} {:?}", tasks.collect::<Vec<_>>())
}

#[test]
fn a_view_that_starts_over_shows_what_one_shows_that_saw_all() {
    let mut t = Scenario::new();
    (1..=3).for_each(|n| t.agent_joins(n));
    t.subscribes(1);
    t.subscribes(3);
    t.launches(1, 1, vec![task("runs", 1.0), task("ends", 1.0), task("ended", 1.0)]);
    t.news(1, "ended", TaskState::Finished, 1);
    t.acknowledges(1, 1, "ended", 1);
    let (mut one, mut other) = (view(), view());
    let later = Now { steady: t.now.steady + Duration::from_secs(2), ..t.now };
    one.tell_time(later);
    other.tell_time(later);
    let seen = t.changes.len();
    t.changes.iter().for_each(|change| one.apply(change.clone()));
    t.changes.iter().for_each(|change| other.apply(change.clone()));

    // While the other is behind: agents and offers come and go, tasks start and end, a framework leaves.
    t.news(1, "runs", TaskState::Running, 2);
    t.news(1, "ends", TaskState::Failed, 3);
    t.acknowledges(1, 1, "ends", 3);
    t.launches(1, 2, vec![task("new", 1.0), task("short", 1.0)]);
    t.news(2, "short", TaskState::Running, 4);
    t.agent_says(agent_pid(3, 1), AgentToMaster::Unregister);
    t.subscribes(2);
    t.scheduler_says(2, FrameworkToMaster::Suppress);
    t.scheduler_says(3, FrameworkToMaster::Teardown);
    t.scheduler_says(1, FrameworkToMaster::Revive);
    t.down(agent_pid(2, 1));
    t.changes[seen..].iter().for_each(|change| one.apply(change.clone()));
    other.start_over(t.master.change(), t.master.snapshot(), &Totals::default());
    assert_eq!(shown(&one), shown(&other));
    assert!(shown(&one).contains("held_for: 2s"), "some offers are held");

    // Both go on.
    let seen = t.changes.len();
    t.agent_joins(4);
    t.news(1, "runs", TaskState::Finished, 5);
    t.changes[seen..].iter().for_each(|change| one.apply(change.clone()));
    t.changes[seen..].iter().for_each(|change| other.apply(change.clone()));
    assert_eq!(shown(&one), shown(&other));
}
