//! Periodic jobs against a master that is played by hand.

use std::sync::Mutex;

use sdk::logic::{Driver, Effect, Event, Framework, Timer};
use sdk::protocol::framework::{FrameworkToMaster, MasterToFramework, Operation};
use sdk::protocol::ids::{MasterId, UpdateId};
use sdk::protocol::task::Source;
use sdk::protocol::time::{Now, WallTime};

use super::*;

const PERIOD: u64 = 30;

struct Scenario {
    framework: Framework<Periodic>,
    now: Now,
    /// What the master was told, what was written, and what happened, in words.
    lines: Arc<Mutex<Vec<String>>>,
    stored: BTreeMap<String, Vec<u8>>,
    writes: Vec<u64>,
    timers: Vec<(u64, Timer)>,
    offers: u64,
}

impl Scenario {
    /// A life that begins so many seconds after 1970, of a framework whose earlier lives stored this.
    fn life(at: u64, stored: BTreeMap<String, Vec<u8>>) -> Self {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let says = lines.clone();
        let watcher = move |happening: &Happening| {
            if let Happening::Missed { job, due } = happening {
                says.lock().unwrap().push(format!("missed {job}.{due}"));
            }
        };
        let task = task::shell("a", "true", &Resources::cpus_mem(1.0, 16.0));
        let job = Job { name: "a".into(), every: Duration::from_secs(PERIOD), task };
        let periodic = Periodic::new(vec![job], watcher).unwrap();
        let id = Some(FrameworkId::new("F"));
        let driver = Driver::new(framework("periodic"), id, 7, Settings::default());
        let framework = Framework::new(driver, periodic);
        let now = Now { wall: WallTime(at * 1_000_000_000), ..Now::default() };
        let (writes, timers) = Default::default();
        let mut t =
            Self { framework, now, lines, stored: stored.clone(), writes, timers, offers: 0 };
        t.step(Event::Started { stored });
        t.hear(MasterToFramework::Subscribed {
            epoch: 1,
            framework: FrameworkId::new("F"),
            master: MasterId::new("M"),
            tasks: vec![],
            change: 0,
        });
        t.all_written();
        t
    }

    /// Something is written to the disk as soon as it is asked for.
    fn step(&mut self, event: Event) {
        for effect in self.framework.step(self.now, event).effects {
            match effect {
                Effect::TellMaster { message, .. } => {
                    self.lines.lock().unwrap().extend(words(&message));
                }
                Effect::Store { number, entries } => {
                    for (key, value) in entries {
                        self.stored.insert(key, value.unwrap());
                        self.lines.lock().unwrap().push("store".to_owned());
                    }
                    self.writes.push(number);
                }
                Effect::StartTimer { timer: timer @ Timer::Author(_), after } => {
                    let at = self.now.wall.0 + u64::try_from(after.as_nanos()).unwrap();
                    self.timers.push((at, timer));
                }
                Effect::Link(_) | Effect::Unlink(_) | Effect::Remember(_) | Effect::Forget => (),
                Effect::Warn(_) | Effect::End(_) | Effect::StartTimer { .. } => (),
            }
        }
    }

    fn all_written(&mut self) {
        while let Some(number) = (!self.writes.is_empty()).then(|| self.writes.remove(0)) {
            self.step(Event::Stored(number));
        }
    }

    fn hear(&mut self, message: MasterToFramework) {
        self.step(Event::FromMaster { from: sdk::logic::Pid::invented(1, 1), message });
    }

    /// Lets time pass, with the timers that fire.
    fn until(&mut self, at: u64) {
        let at = at * 1_000_000_000;
        self.timers.sort();
        while let Some((due, timer)) = self.timers.first().copied().filter(|(due, _)| *due <= at) {
            self.timers.remove(0);
            self.now.wall = WallTime(due);
            self.step(Event::TimerFired(timer));
            self.timers.sort();
        }
        self.now.wall = WallTime(at);
    }

    fn offer(&mut self) {
        self.offers += 1;
        let (offer, agent) = (OfferId::new(format!("O{}", self.offers)), AgentId::new("S1"));
        let offer =
            Offer::plain(offer, FrameworkId::new("F"), agent, Resources::cpus_mem(4.0, 1000.0));
        self.hear(MasterToFramework::Offers(vec![offer.into()]));
    }

    fn updated(&mut self, task: &str, state: TaskState) {
        self.hear(MasterToFramework::Updated(TaskStatus {
            agent: Some(AgentId::new("S1")),
            update: Some(UpdateId { source: 1, sequence: self.offers }),
            ..TaskStatus::plain(FrameworkId::new("F"), TaskId::new(task), state, Source::Master)
        }));
    }

    #[track_caller]
    fn did<const N: usize>(&mut self, expected: [&str; N]) {
        assert_eq!(std::mem::take(&mut *self.lines.lock().unwrap()), expected);
    }
}

fn words(message: &FrameworkToMaster) -> Option<String> {
    Some(match message {
        FrameworkToMaster::Accept { operations, .. } => {
            let Operation::Launch(tasks) = &operations[0];
            let tasks: Vec<_> = tasks.iter().map(|spec| spec.task.as_str()).collect();
            format!("launch {}", tasks.join(","))
        }
        FrameworkToMaster::Demand(demand) => {
            format!("wants {}", demand.iter().map(|need| need.count).sum::<u32>())
        }
        FrameworkToMaster::Subscribe { .. }
        | FrameworkToMaster::Kill { .. }
        | FrameworkToMaster::Teardown
        | FrameworkToMaster::Decline { .. }
        | FrameworkToMaster::Acknowledge { .. }
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

#[test]
fn a_job_runs_once_each_time_it_is_due_from_the_next_time_on() {
    let mut t = Scenario::life(100, BTreeMap::new());
    t.did(["store"]);
    t.offer();
    t.until(119);
    t.did([]);
    for due in [120, 150] {
        t.until(due);
        t.did(["wants 1"]);
        t.offer();
        t.all_written();
        t.did(["store", &format!("launch a.{due}"), "wants 0"]);
        t.offer();
        t.did([]);
    }
}

#[test]
fn what_is_to_be_launched_is_written_before_it_is_said_and_not_launched_by_the_next_life() {
    let mut t = Scenario::life(100, BTreeMap::new());
    t.until(120);
    t.offer();
    t.did(["store", "wants 1", "store"]);
    let stored = t.stored.clone();
    t.all_written();
    t.did(["launch a.120", "wants 0"]);
    // Neither life knows whether the master heard it.
    let mut t = Scenario::life(125, stored);
    t.offer();
    t.did([]);
    t.until(150);
    t.did(["wants 1"]);
}

#[test]
fn a_launch_of_which_certainly_nothing_came_is_tried_again_as_long_as_it_is_due() {
    let mut t = Scenario::life(100, BTreeMap::new());
    t.until(120);
    t.offer();
    t.all_written();
    t.until(130);
    t.lines.lock().unwrap().clear();
    t.updated("a.120", TaskState::Dropped);
    t.all_written();
    t.did(["store", "wants 1"]);
    t.offer();
    t.all_written();
    t.did(["store", "launch a.120", "wants 0"]);
    t.until(150);
    t.offer();
    t.all_written();
    t.lines.lock().unwrap().clear();
    t.updated("a.120", TaskState::Dropped);
    t.all_written();
    t.offer();
    t.did([]);
}

#[test]
fn a_job_that_finds_no_offer_before_it_is_due_again_is_missed_and_not_run_late() {
    let mut t = Scenario::life(100, BTreeMap::new());
    t.did(["store"]);
    t.until(155);
    t.did(["wants 1", "missed a.120"]);
    t.offer();
    t.all_written();
    t.did(["store", "launch a.150", "wants 0"]);
}

#[test]
fn a_job_of_another_period_begins_anew() {
    let stored = [("a".to_owned(), [60_u64.to_le_bytes(), 9_000_u64.to_le_bytes()].concat())];
    let mut t = Scenario::life(100, BTreeMap::from(stored));
    t.did(["store"]);
    t.until(120);
    t.did(["wants 1"]);
}

#[test]
fn a_clock_that_is_set_back_runs_nothing_twice() {
    let mut t = Scenario::life(100, BTreeMap::new());
    t.until(120);
    t.offer();
    t.all_written();
    t.lines.lock().unwrap().clear();
    t.now.wall = WallTime(110_000_000_000);
    t.timers.clear();
    t.step(Event::TimerFired(Timer::Author(DUE)));
    t.offer();
    t.until(149);
    t.did([]);
    t.until(150);
    t.did(["wants 1"]);
}
