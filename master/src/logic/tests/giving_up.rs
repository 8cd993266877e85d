//! How fast agents are given up, and how many after a fail-over.

use std::time::Duration;

use protocol::agent::AgentToMaster;
use protocol::change::{AgentNews, GivenUp, What};

use super::scenario::{Scenario, agent_id, agent_pid};
use crate::config::{Config, RateLimit};

const PING: Duration = Duration::from_secs(15);

fn limited(agents: u64) -> Scenario {
    limited_to(1, agents)
}

/// So many of the agents may be given up a minute.
fn limited_to(count: u32, agents: u64) -> Scenario {
    let limit = RateLimit { count, within: Duration::from_secs(60) };
    let mut t =
        Scenario::with(Config { agent_removal_rate_limit: Some(limit), ..Config::default() });
    (1..=agents).for_each(|n| t.agent_joins(n));
    t.forget_lines();
    t
}

fn unreachable(t: &Scenario) -> usize {
    t.written.agents.values().filter(|entry| entry.unreachable.is_some()).count()
}

fn count(t: &Scenario, wanted: AgentNews) -> usize {
    let is = |what: &What| matches!(what, What::AgentNews { news, .. } if *news == wanted);
    t.changes.iter().filter(|change| is(&change.what)).count()
}

#[test]
fn part_05_silent_agents_are_given_up_one_a_minute_and_who_answers_late_is_kept() {
    let mut t = limited(3);
    // Five pings are unanswered when the sixth is due, so all three have to go.
    t.pass(PING * 6);
    assert_eq!((unreachable(&t), count(&t, AgentNews::UnreachableScheduled)), (1, 3));
    t.pass(Duration::from_secs(59));
    assert_eq!(unreachable(&t), 1);
    t.pass(Duration::from_secs(1));
    assert_eq!(unreachable(&t), 2);
    let last = (1..=3).find(|n| t.written.agents[&agent_id(*n)].unreachable.is_none()).unwrap();
    t.agent_says(agent_pid(last, 1), AgentToMaster::Pong { sequence: 9 });
    assert_eq!(count(&t, AgentNews::UnreachableCanceled), 1);
    t.pass(PING * 5);
    assert_eq!(unreachable(&t), 2, "a late pong is a pong");
    // And then it falls silent for good.
    t.pass(Duration::from_secs(120));
    assert_eq!(unreachable(&t), 3);
    assert_eq!(count(&t, AgentNews::Unreachable(GivenUp::Silent)), 3);
}

#[test]
fn part_05_a_limit_of_several_a_minute_lets_go_one_after_the_other_at_that_pace() {
    let mut t = limited_to(3, 5);
    t.pass(PING * 6);
    for gone in 1..5 {
        assert_eq!(unreachable(&t), gone);
        t.pass(Duration::from_secs(19));
        assert_eq!(unreachable(&t), gone);
        t.pass(Duration::from_secs(1));
    }
    assert_eq!(unreachable(&t), 5);
}

#[test]
fn part_05_who_is_back_before_its_turn_is_kept() {
    let mut t = limited(3);
    (1..=3).for_each(|n| t.down(agent_pid(n, 1)));
    t.pass(Config::default().agent_reregister_timeout);
    assert_eq!((unreachable(&t), count(&t, AgentNews::UnreachableScheduled)), (1, 3));
    let back: Vec<u64> =
        (1..=3).filter(|n| t.written.agents[&agent_id(*n)].unreachable.is_none()).collect();
    t.agent_returns(back[0], 1, Vec::new());
    t.pass(Duration::from_secs(60));
    assert_eq!((unreachable(&t), count(&t, AgentNews::UnreachableCanceled)), (2, 1));
    assert_eq!(count(&t, AgentNews::Unreachable(GivenUp::NotBack)), 2);
    assert_eq!(t.written.agents[&agent_id(back[0])].unreachable, None);
}

/// The limit is one for all, whatever the reason.
#[test]
fn part_05_agents_that_a_new_reign_misses_are_given_up_at_the_same_pace() {
    let mut t = limited(3).restart("n");
    t.pass(Config::default().agent_reregister_timeout);
    assert_eq!(unreachable(&t), 1);
    t.pass(Duration::from_secs(120));
    assert_eq!((unreachable(&t), count(&t, AgentNews::Unreachable(GivenUp::NotRecovered))), (3, 3));
}

fn with_share(percent: u8, agents: u64) -> Scenario {
    let config = Config {
        recovery_agent_removal_percent_max: percent,
        ping_every: Duration::from_secs(3600),
        ..Config::default()
    };
    let mut t = Scenario::with(config);
    (1..=agents).for_each(|n| t.agent_joins(n));
    t.restart("n")
}

#[test]
fn part_06_a_reign_that_misses_too_many_agents_ends_and_gives_up_none() {
    let mut t = with_share(10, 10);
    (1..=8).for_each(|n| t.agent_returns(n, 1, Vec::new()));
    t.forget_lines();
    t.pass(Config::default().agent_reregister_timeout);
    let told = t.take_lines();
    let last = told.last().unwrap();
    assert_eq!(
        last,
        "end of the reign: 2 of the 10 agents that the registry knows have not returned within 600s, and no more than 10 % may be given up at once: look for what keeps them away, or raise --recovery_agent_removal_limit if they are gone; none was given up, and the next reign waits for them again"
    );
    assert_eq!(unreachable(&t), 0);
}

#[test]
fn part_06_a_reign_that_misses_a_few_gives_them_up() {
    let mut t = with_share(10, 10);
    (1..=9).for_each(|n| t.agent_returns(n, 1, Vec::new()));
    t.forget_lines();
    t.pass(Config::default().agent_reregister_timeout);
    assert!(t.take_lines().iter().all(|line| !line.starts_with("end of the reign")));
    assert_eq!(unreachable(&t), 1);
    // Those that were unreachable before are awaited by nobody.
    let mut t = t.restart("o");
    (1..=9).for_each(|n| t.agent_returns(n, 2, Vec::new()));
    t.pass(Config::default().agent_reregister_timeout);
    assert!(t.take_lines().iter().all(|line| !line.starts_with("end of the reign")));
    // Nor are they counted among those of whom a share may be missing: one of nine is more than a tenth.
    let mut t = t.restart("p");
    (1..=8).for_each(|n| t.agent_returns(n, 3, Vec::new()));
    t.pass(Config::default().agent_reregister_timeout);
    assert!(t.take_lines().iter().any(|line| line.starts_with("end of the reign: 1 of the 9")));
}
