//! A batch against a master that is played by hand.

use std::sync::{Arc, Mutex};

use sdk::logic::{Driver, Effect, Event, Framework};
use sdk::protocol::framework::{FrameworkToMaster, MasterToFramework, Operation};
use sdk::protocol::ids::{MasterId, Role, UpdateId};
use sdk::protocol::task::{Source, TaskReport};
use sdk::protocol::time::Now;

use super::*;

struct Scenario {
    framework: Framework<Batch>,
    now: Now,
    /// What the master was told, in words.
    lines: Vec<String>,
    heard: Arc<Mutex<Vec<Happening>>>,
    updates: u64,
    offers: u64,
    stored: BTreeMap<String, Vec<u8>>,
}

fn master() -> sdk::logic::Pid {
    sdk::logic::Pid::invented(1, 1)
}

fn jobs(names: &[&str]) -> Vec<Job> {
    let small = Resources::cpus_mem(1.0, 16.0);
    let job = |name: &&str| Job { name: name.to_string(), task: task::shell(name, "x", &small) };
    names.iter().map(job).collect()
}

impl Scenario {
    fn new(names: &[&str], limits: Limits) -> Self {
        Self::again(names, limits, BTreeMap::new(), vec![])
    }

    fn again(
        names: &[&str],
        limits: Limits,
        stored: BTreeMap<String, Vec<u8>>,
        tasks: Vec<TaskReport>,
    ) -> Self {
        let heard = Arc::new(Mutex::new(vec![]));
        let hears = heard.clone();
        let watcher = move |happening: &Happening| hears.lock().unwrap().push(happening.clone());
        let batch = Batch::new(jobs(names), limits, watcher).unwrap();
        let id = Some(FrameworkId::new("F"));
        let driver = Driver::new(framework("batch"), id, 7, Settings::default());
        let framework = Framework::new(driver, batch);
        let (now, lines) = Default::default();
        let mut t =
            Self { framework, now, lines, heard, updates: 0, offers: 0, stored: stored.clone() };
        t.step(Event::Started { stored });
        t.hear(MasterToFramework::Subscribed {
            epoch: 1,
            framework: FrameworkId::new("F"),
            master: MasterId::new("M"),
            tasks,
            change: 0,
        });
        t
    }

    fn step(&mut self, event: Event) {
        for effect in self.framework.step(self.now, event).effects {
            match effect {
                Effect::TellMaster { message, .. } => self.lines.extend(words(&message)),
                Effect::Store { number, entries } => {
                    for (key, value) in entries {
                        self.stored.insert(key, value.unwrap());
                    }
                    self.step(Event::Stored(number));
                }
                Effect::End(outcome) => self.lines.push(format!("{outcome:?}")),
                Effect::Link(_) | Effect::Unlink(_) | Effect::Remember(_) | Effect::Forget => (),
                Effect::Warn(_) => (),
                Effect::StartTimer { .. } => (),
            }
        }
    }

    fn hear(&mut self, message: MasterToFramework) {
        self.step(Event::FromMaster { from: master(), message });
    }

    fn offer(&mut self, agent: &str, cpus: f64) {
        self.offers += 1;
        let (offer, agent) = (OfferId::new(format!("O{}", self.offers)), AgentId::new(agent));
        let offer =
            Offer::plain(offer, FrameworkId::new("F"), agent, Resources::cpus_mem(cpus, 1000.0));
        self.hear(MasterToFramework::Offers(vec![offer.into()]));
    }

    fn updated(&mut self, task: &str, state: TaskState, reason: Option<Reason>) {
        self.updates += 1;
        self.hear(MasterToFramework::Updated(TaskStatus {
            agent: Some(AgentId::new("S1")),
            reason,
            message: "so it was".into(),
            exit: Some(Exit::Code(1)).filter(|_| state == TaskState::Failed),
            update: Some(UpdateId { source: 1, sequence: self.updates }),
            ..TaskStatus::plain(FrameworkId::new("F"), TaskId::new(task), state, Source::Executor)
        }));
    }

    #[track_caller]
    fn did<const N: usize>(&mut self, expected: [&str; N]) {
        assert_eq!(std::mem::take(&mut self.lines), expected);
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.framework.scheduler().report().jobs.iter().map(|job| job.verdict).collect()
    }
}

fn words(message: &FrameworkToMaster) -> Option<String> {
    Some(match message {
        FrameworkToMaster::Subscribe { demand, .. } => format!("Subscribe wants {}", sum(demand)),
        FrameworkToMaster::Accept { operations, .. } => {
            let Operation::Launch(tasks) = &operations[0];
            let tasks: Vec<_> = tasks.iter().map(|spec| spec.task.as_str()).collect();
            format!("launch {}", tasks.join(","))
        }
        FrameworkToMaster::Demand(demand) => format!("wants {}", sum(demand)),
        FrameworkToMaster::Kill { task, .. } => format!("kill {task}"),
        FrameworkToMaster::Teardown => "Teardown".into(),
        FrameworkToMaster::Decline { .. } => "decline".into(),
        FrameworkToMaster::Acknowledge { .. }
        | FrameworkToMaster::Reconcile(_)
        | FrameworkToMaster::Revive
        | FrameworkToMaster::Suppress
        | FrameworkToMaster::SubscribeWith { .. }
        | FrameworkToMaster::Wishes(_)
        | FrameworkToMaster::ReviveRoles(_)
        | FrameworkToMaster::SuppressRoles(_)
        | FrameworkToMaster::UpdateFramework { .. }
        | FrameworkToMaster::ToExecutor { .. }
        | FrameworkToMaster::ShutdownExecutor { .. } => return None,
    })
}

fn sum(demand: &[Demand]) -> u32 {
    demand.iter().map(|need| need.count).sum()
}

#[test]
fn all_jobs_run_to_the_end() {
    let mut t = Scenario::new(&["a", "b", "c"], Limits::default());
    t.did(["Subscribe wants 3"]);
    t.offer("S1", 2.0);
    t.did(["launch a.1,b.1", "wants 1"]);
    t.updated("a.1", TaskState::Running, None);
    t.updated("a.1", TaskState::Finished, None);
    t.offer("S1", 2.0);
    t.did(["launch c.1", "wants 0"]);
    t.updated("b.1", TaskState::Finished, None);
    t.updated("c.1", TaskState::Finished, None);
    t.did(["Teardown"]);
    t.hear(MasterToFramework::TornDown);
    t.did(["TornDown"]);
    let report = t.framework.scheduler().report();
    assert!(report.all_succeeded());
    assert_eq!(report.to_string(), "3 of 3 succeeded, in 3 attempts");
    let heard = t.heard.lock().unwrap();
    let decided = |happening: &&Happening| matches!(happening, Happening::Decided { .. });
    assert_eq!(heard.iter().filter(decided).count(), 3);
}

#[test]
fn a_failure_is_retried_and_then_given_up() {
    let mut t = Scenario::new(&["a"], Limits { attempts: 2, ..Limits::default() });
    t.offer("S1", 1.0);
    t.updated("a.1", TaskState::Failed, None);
    t.did(["Subscribe wants 1", "launch a.1", "wants 0", "wants 1"]);
    t.offer("S1", 1.0);
    t.updated("a.2", TaskState::Failed, None);
    t.did(["launch a.2", "wants 0", "Teardown"]);
    let report = t.framework.scheduler().report();
    assert_eq!(
        report.to_string(),
        "0 of 1 succeeded, in 2 attempts\n\
         a: GivenUp after 2 attempts; the last, a.2, is Failed with exit code 1: so it was"
    );
}

#[test]
fn what_the_cluster_lost_does_not_count_but_has_its_limit() {
    let mut t = Scenario::new(&["a"], Limits { attempts: 1, losses: 3, ..Limits::default() });
    for n in 1..=3 {
        t.offer("S1", 1.0);
        t.updated(&format!("a.{n}"), TaskState::Killed, Some(Reason::ExecutorUnregistered));
        assert_eq!(t.verdicts(), [Verdict::Waiting]);
    }
    t.offer("S1", 1.0);
    t.updated("a.4", TaskState::Lost, None);
    assert_eq!(t.verdicts(), [Verdict::GivenUp]);
}

#[test]
fn what_cannot_run_is_not_tried_again() {
    let mut t = Scenario::new(&["a"], Limits::default());
    t.offer("S1", 1.0);
    t.updated("a.1", TaskState::Error, Some(Reason::TaskInvalid));
    assert_eq!(t.verdicts(), [Verdict::GivenUp]);
}

#[test]
fn no_more_run_at_once_than_allowed() {
    let mut t = Scenario::new(&["a", "b", "c"], Limits { at_once: 2, ..Limits::default() });
    t.offer("S1", 9.0);
    t.did(["Subscribe wants 2", "launch a.1,b.1", "wants 0"]);
    t.updated("b.1", TaskState::Finished, None);
    t.did(["wants 1"]);
}

#[test]
fn a_cancelled_batch_kills_what_runs_and_ends() {
    let mut t = Scenario::new(&["a", "b"], Limits::default());
    t.offer("S1", 1.0);
    t.lines.clear();
    t.step(Event::Input(CANCEL.to_vec()));
    t.did(["kill a.1", "wants 0"]);
    t.updated("a.1", TaskState::Killed, None);
    t.did(["Teardown"]);
    assert_eq!(t.verdicts(), [Verdict::Cancelled, Verdict::Cancelled]);
}

#[test]
fn a_batch_that_is_started_again_goes_on_where_it_was() {
    let mut t = Scenario::new(&["a", "b", "c"], Limits::default());
    t.offer("S1", 3.0);
    t.updated("a.1", TaskState::Finished, None);
    t.updated("b.1", TaskState::Failed, None);
    let running = TaskReport {
        framework: FrameworkId::new("F"),
        spec: jobs(&["c.1"]).remove(0).task.into(),
        agent: AgentId::new("S1"),
        executor: ExecutorId::new("c.1"),
        state: TaskState::Running,
        unacknowledged: None,
        role: Role::everybody(),
    };
    let mut t = Scenario::again(&["a", "b", "c"], Limits::default(), t.stored, vec![running]);
    t.did(["Subscribe wants 2", "wants 1"]);
    t.offer("S1", 3.0);
    t.did(["launch b.2", "wants 0"]);
    t.updated("c.1", TaskState::Finished, None);
    t.updated("b.2", TaskState::Finished, None);
    t.did(["Teardown"]);
    assert_eq!(t.verdicts(), [Verdict::Succeeded; 3]);
}

#[test]
fn two_thousand_jobs_are_no_burden() {
    let names: Vec<String> = (0..2000).map(|n| format!("j{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut t = Scenario::new(&names, Limits::default());
    while t.framework.scheduler().left > 0 {
        t.lines.clear();
        t.offer("S1", 200.0);
        for task in t.lines[0].clone().trim_start_matches("launch ").split(',') {
            t.updated(task, TaskState::Finished, None);
        }
    }
    assert!(t.framework.scheduler().report().all_succeeded());
}

#[test]
fn a_try_that_was_given_up_and_turns_up_again_is_killed() {
    let mut t = Scenario::new(&["a"], Limits::default());
    t.offer("S1", 1.0);
    t.updated("a.1", TaskState::Lost, None);
    t.offer("S1", 1.0);
    t.lines.clear();
    t.updated("a.1", TaskState::Running, None);
    t.did(["kill a.1"]);
    t.updated("a.1", TaskState::Killed, None);
    assert_eq!(t.verdicts(), [Verdict::Trying]);
}
