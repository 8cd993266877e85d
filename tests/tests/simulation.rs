//! Whole clusters from seeds: a few of them here, a thousand with `cargo xtask simulate --seeds 1000`.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::change::AgentState;
use protocol::ids::{FrameworkId, TaskId};
use protocol::offer::{Constraint, Demand, Offer};
use protocol::resources::Resources;
use protocol::task::{CommandSpec, Run, TaskSpec, TaskState, TaskStatus};
use protocol::wishes::{AttributeConstraint, FaultDomain, Predicate, Selector};
use sdk::{Calls, Scheduler};
use simulator::Cluster;
use simulator::bugs::Bug;
use simulator::run::run;

/// So many run with every test: they take a few seconds without optimisation.
const SEEDS: u64 = 40;

#[test]
fn clusters_keep_their_promises_whatever_goes_wrong() {
    for seed in 1..=SEEDS {
        let outcome = run(seed, None, false);
        assert_eq!(outcome.violation, None, "repeat with `cargo xtask simulate --seed {seed}`");
        assert!(outcome.checks > outcome.steps && outcome.messages > 0);
    }
}

#[test]
fn a_seed_repeats_byte_for_byte() {
    let elects = |seed: &u64| run(*seed, None, false).healing.followed > Duration::ZERO;
    let of_elected = (5..=10 * SEEDS).find(elects).expect("in one of them schedulers are elected");
    for seed in [2, 3, 4, of_elected] {
        let (one, other) = (run(seed, None, false), run(seed, None, false));
        assert_eq!(one, other);
        assert_ne!(one.hash, run(seed + 100, None, false).hash);
    }
}

#[test]
fn deliberate_mistakes_are_caught_and_the_flow_says_where() {
    for name in [
        "master/ResourcesReturnedTwice",
        "master/RegistryToldBeforeWritten",
        "agent/TerminalUpdateDropped",
        "agent/MembershipNotSynced",
        "sdk/SpeaksThoughSuspended",
        "sdk/TakesOverWithNothing",
    ] {
        let bug = Bug::named(name).expect("a mistake of that name");
        let caught =
            (1..=SEEDS).map(|seed| run(seed, Some(bug), true)).find(|o| o.violation.is_some());
        let outcome =
            caught.unwrap_or_else(|| panic!("{name} was not caught within {SEEDS} seeds"));
        assert!(outcome.flow.iter().any(|line| line.contains("VIOLATED")), "{:#?}", outcome.flow);
    }
}

/// Runs `wanted` tasks to their end, each under a new id for each attempt.
#[derive(Clone)]
struct Runs {
    wanted: u32,
    line: &'static str,
    attempts: u32,
    states: BTreeMap<TaskId, TaskState>,
}

impl Runs {
    fn new(wanted: u32, line: &'static str) -> Self {
        Self { wanted, line, attempts: 0, states: BTreeMap::new() }
    }

    fn finished(&self) -> u32 {
        let finished = self.states.values().filter(|state| **state == TaskState::Finished);
        u32::try_from(finished.count()).expect("fewer than four billion")
    }

    fn missing(&self) -> u32 {
        let live = self.states.values().filter(|state| !state.is_end()).count();
        self.wanted
            .saturating_sub(self.finished() + u32::try_from(live).expect("fewer than four billion"))
    }

    fn want(&self, calls: &mut Calls) {
        calls.want(
            &Resources::cpus_mem(1.0, 64.0),
            usize::try_from(self.missing()).expect("fewer than four billion"),
        );
    }
}

impl Scheduler for Runs {
    fn started(&mut self, calls: &mut Calls, _: BTreeMap<String, Vec<u8>>) {
        self.want(calls);
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in &offers {
            while self.missing() > 0 {
                self.attempts += 1;
                let task = TaskId::new(format!("task-{}", self.attempts));
                let command =
                    CommandSpec { value: self.line.into(), shell: true, ..CommandSpec::default() };
                let spec = TaskSpec {
                    task: task.clone(),
                    name: "a task".into(),
                    resources: Resources::cpus_mem(1.0, 64.0),
                    run: Run::Command(command),
                    kill_grace: None,
                    carried: Default::default(),
                };
                if calls.launch(offer, spec).is_err() {
                    break;
                }
                self.states.insert(task, TaskState::Staging);
            }
        }
        self.want(calls);
    }

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        self.states.insert(status.task.clone(), status.state);
        self.want(calls);
    }
}

#[test]
fn a_scheduler_survives_the_loss_of_its_master_and_of_an_agent() {
    let mut cluster = Cluster::new(7).agents(2).with_scheduler(Runs::new(12, "sleep 20; exit 0"));
    cluster.run_until(|view| view.scheduler::<Runs>().is_some_and(|s| s.finished() >= 2));
    cluster.lose_master();
    cluster.run_until(|view| view.scheduler::<Runs>().is_some_and(|s| s.finished() >= 8));
    cluster.lose_agent(1);
    cluster.run_until(|view| view.scheduler::<Runs>().is_some_and(|s| s.finished() == 12));
    cluster.settle();
    assert_eq!(cluster.view().tasks(), []);
}

/// One task in each of two zones, launched where an offer says that it is of that zone.
#[derive(Clone, Default)]
struct Spread {
    running: BTreeMap<String, TaskState>,
    seen: BTreeSet<String>,
}

impl Scheduler for Spread {
    fn subscribed(&mut self, calls: &mut Calls, _: &FrameworkId) {
        let each = Resources::cpus_mem(1.0, 64.0);
        let in_zone = |zone: &str| {
            let predicate = Predicate::TextEquals(zone.into());
            let there = AttributeConstraint { selector: Selector::Zone, predicate };
            let constraints = vec![Constraint::Attribute(there)];
            Demand { each: each.clone(), count: 1, constraints }
        };
        let missing = ["a", "b"].into_iter().filter(|zone| !self.running.contains_key(*zone));
        calls.demand(missing.map(in_zone).collect());
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in &offers {
            let Some(domain) = calls.domain_of(offer).cloned() else { continue };
            self.seen.insert(domain.to_string());
            if let Entry::Vacant(place) = self.running.entry(domain.zone) {
                let each = Resources::cpus_mem(1.0, 64.0);
                let task = sdk::task::shell(place.key(), "sleep 100000", &each);
                if calls.launch(offer, task).is_ok() {
                    place.insert(TaskState::Staging);
                }
            }
        }
    }

    fn updated(&mut self, _: &mut Calls, status: &TaskStatus) {
        self.running.insert(status.task.to_string(), status.state);
    }
}

#[test]
fn fd_01_a_scheduler_spreads_its_tasks_over_zones_also_at_the_next_master() {
    let at = |zone: &str| FaultDomain { region: "eu".into(), zone: zone.into() };
    let each = || Resources::cpus_mem(4.0, 4096.0);
    let mut cluster = Cluster::new(3).agent_at(each(), at("a")).agents(2);
    cluster = cluster.agent_at(each(), at("c")).with_scheduler(Spread::default());
    cluster.run_until(|view| view.task("a") == Some(TaskState::Running));
    cluster.lose_master();
    let mut cluster = cluster.agent_at(each(), at("b"));
    cluster.run_until(|view| view.task("b") == Some(TaskState::Running));
    let seen = cluster.view().scheduler::<Spread>().map(|spread| spread.seen.clone());
    assert_eq!(seen, Some(["eu/a".to_owned(), "eu/b".to_owned()].into()), "and no other");
}

#[test]
fn lp_08_the_clock_advances_75_s_and_an_agent_becomes_unreachable_without_waiting() {
    let minute = Duration::from_secs(60);
    let scheduler = Runs::new(1, "sleep 1000; exit 0");
    let mut cluster =
        Cluster::new(1).agents_return_within(minute).agents(1).with_scheduler(scheduler);
    cluster.run_until(|view| view.task("task-1") == Some(TaskState::Running));
    cluster.cut_off_agent(1, Duration::from_secs(200));
    // Ten seconds of silence break a connection; from then on the agent has its minute.
    cluster.advance(Duration::from_secs(9));
    assert_eq!(cluster.view().agent(1), Some(AgentState::Active));
    cluster.advance(Duration::from_secs(3));
    assert_eq!(cluster.view().agent(1), Some(AgentState::Disconnected));
    cluster.advance(Duration::from_secs(75));
    assert_eq!(cluster.view().agent(1), Some(AgentState::Unreachable));
    assert_eq!(cluster.view().task("task-1"), Some(TaskState::Unreachable));
    cluster.run_until(|view| view.task("task-1") == Some(TaskState::Running));
    cluster.run_until(|view| view.scheduler::<Runs>().is_some_and(|s| s.finished() == 1));
    cluster.settle();
    assert!(cluster.view().now() > Duration::from_secs(1000), "and no test waited for it");
}
