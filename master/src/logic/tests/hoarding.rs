//! Frameworks that want nothing cost the one that does nothing, and one that answers nothing costs others a lease.

use std::time::Duration;

use protocol::agent::AgentToMaster;
use protocol::framework::{Capability, FrameworkInfo, FrameworkToMaster};
use protocol::ids::FrameworkId;
use protocol::offer::Demand;
use protocol::resources::Resources;
use protocol::task::{TaskState, TaskStatus};

use super::scenario::{Scenario, agent_pid, framework_info, scheduler_pid, status, task};
use crate::config::Config;

const STATES: [Capability; 2] = [Capability::PartitionAware, Capability::StatesDemand];

fn cores(count: u32) -> Vec<Demand> {
    vec![Demand { each: Resources::cpus_mem(1.0, 128.0), count, constraints: Vec::new() }]
}

impl Scenario {
    /// How many cores each message offered, and to whom, since last asked.
    fn cores_offered(&mut self) -> Vec<(libactor::Pid, i64)> {
        let messages = std::mem::take(&mut self.offered).into_iter();
        let cores = |offers: Vec<std::sync::Arc<protocol::offer::Offer>>| {
            offers.iter().map(|offer| offer.resources.cpus().0).sum::<i64>() / 1000
        };
        messages.map(|(to, offers)| (to, cores(offers))).collect()
    }

    /// Time passes; agents answer the pings, whatever number they have.
    fn pass_and_answer(&mut self, span: Duration, agents: u64) {
        let until = self.now.steady + span;
        while self.now.steady < until {
            self.pass(Duration::from_secs(15).min(until.since(self.now.steady)));
            for n in 1..=agents {
                self.agent_says(agent_pid(n, 1), AgentToMaster::Pong { sequence: 99 });
            }
        }
    }
}

#[test]
fn of_two_hundred_frameworks_the_one_that_wants_something_is_offered_all_of_it() {
    let mut t = Scenario::new();
    for n in 1..=200 {
        t.subscribes_as(n, None, &STATES, Vec::new());
    }
    t.subscribes_as(201, None, &STATES, cores(1_000_000));
    let busy = scheduler_pid(201);
    (1..=5).for_each(|n| t.agent_joins(n));
    assert_eq!(t.cores_offered(), [(busy, 4); 5], "each agent whole, and at once");
    for round in 0..10 {
        let names: Vec<String> = (1..=5).map(|n| format!("{round}.{n}")).collect();
        for (n, name) in (1..).zip(&names) {
            t.launches(201, n, vec![task(name, 4.0)]);
        }
        assert_eq!(t.cores_offered(), [], "all of it is used");
        for (n, name) in (1..).zip(&names) {
            let latest = TaskState::Finished;
            let framework = FrameworkId::new("c-0200");
            let status = TaskStatus { framework, ..status(n, name, latest, Some(round + 1)) };
            t.agent_says(agent_pid(n, 1), AgentToMaster::Updated { status, latest });
        }
        assert_eq!(t.cores_offered(), [(busy, 4); 5], "and offered as soon as it is free");
    }
    // Neither does a sweep give the others any.
    t.pass(Duration::from_secs(1));
    assert_eq!(t.cores_offered(), []);
}

/// One hoards in a role of its own, or in the role of the one that waits.
fn is_delayed_by_one_lease_at_most(roles: [&str; 2]) {
    let mut t = Scenario::new();
    for (n, role) in (1..).zip(roles) {
        let roles = vec![role.parse().unwrap()];
        let info = FrameworkInfo { roles, ..framework_info("web", &STATES) };
        let (nonce, framework, demand) = (1000 + n, None, cores(1_000_000));
        t.scheduler_says(n, FrameworkToMaster::Subscribe { nonce, framework, info, demand });
        // The first one has all when the second one comes.
        if n == 1 {
            (1..=4).for_each(|n| t.agent_joins(n));
        }
    }
    let (hoards, waits) = (scheduler_pid(1), scheduler_pid(2));
    assert_eq!(t.cores_offered(), [(hoards, 4); 4]);
    let lease = Config::default().offer_lease;
    t.pass_and_answer(lease - Duration::from_secs(1), 4);
    assert_eq!(t.cores_offered(), [], "until then they are its");
    t.pass_and_answer(Duration::from_secs(1), 4);
    let all = t.cores_offered();
    let of = |all: &[(libactor::Pid, i64)], pid| -> i64 {
        all.iter().filter(|(to, _)| *to == pid).map(|(_, cores)| cores).sum()
    };
    assert!(of(&all, waits) >= 8, "its share, as soon as the lease is over: {all:?}");
    assert_eq!(of(&all, hoards) + of(&all, waits), 16, "nothing lies idle: {all:?}");
}

#[test]
fn one_that_hoards_delays_others_of_its_role_by_a_lease_at_most() {
    is_delayed_by_one_lease_at_most(["web", "web"]);
}

#[test]
fn one_that_hoards_delays_those_of_other_roles_by_a_lease_at_most() {
    is_delayed_by_one_lease_at_most(["hoards", "waits"]);
    is_delayed_by_one_lease_at_most(["z", "a/b"]);
}
