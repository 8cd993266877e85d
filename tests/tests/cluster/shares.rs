//! What each role has of a cluster that is busy all the time: as the weights say, and what is guaranteed comes first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sdk::Running;
use sdk::prelude::*;
use serde_json::Value;
use tests::cluster::{Home, Process, eventually};
use tokio::runtime::Runtime;

/// On each of three agents there is room for so many tasks.
const ROOM: u64 = 4;

/// So many tasks the third role is guaranteed: twice what it would have by its weight.
const GUARANTEED: usize = 6;

/// What all schedulers did, in their order.
#[derive(Default)]
struct Log {
    launched: Vec<TaskId>,
    ran: BTreeSet<TaskId>,
}

impl Log {
    fn of<'l>(&'l self, name: &'l str) -> impl Iterator<Item = &'l TaskId> {
        self.launched.iter().filter(move |task| task.as_str().starts_with(name))
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wants ever more small tasks of its role, or only so many that stay, once it is told to.
struct Wants {
    name: &'static str,
    stay: bool,
    started: usize,
    log: Arc<Mutex<Log>>,
}

fn each() -> Resources {
    Resources::cpus_mem(0.1, 10.0)
}

impl Wants {
    fn state(&self, calls: &mut Calls) {
        let role = self.name.parse().expect("a role");
        // The demand stands until it is met, and so many are never launched here.
        let count = if self.stay { GUARANTEED } else { 1_000_000 };
        calls.want_for(&role, count, &each(), Vec::new()).expect("it is its role");
    }

    fn next_task(&self) -> TaskSpec {
        // They do not all end at once.
        let tenths = 10 + self.started % 5 * 4;
        let line = match self.stay {
            true => "sleep 1000".to_owned(),
            false => format!("sleep {}.{}", tenths / 10, tenths % 10),
        };
        task::shell(format!("{}.{}", self.name, self.started), line, &each())
    }
}

impl Scheduler for Wants {
    fn subscribed(&mut self, calls: &mut Calls, _: &FrameworkId) {
        if self.stay {
            calls.demand(Vec::new());
        } else {
            self.state(calls);
        }
    }

    fn input(&mut self, calls: &mut Calls, _: &[u8]) {
        self.state(calls);
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in &offers {
            loop {
                let task = self.next_task();
                let id = task.task.clone();
                if calls.launch(offer, task).is_err() {
                    break;
                }
                self.started += 1;
                lock(&self.log).launched.push(id);
            }
        }
    }

    fn updated(&mut self, _: &mut Calls, status: &TaskStatus) {
        if status.state == TaskState::Running {
            lock(&self.log).ran.insert(status.task.clone());
        }
    }
}

struct Stage {
    home: Home,
    of: String,
    at: String,
    runtime: Runtime,
    log: Arc<Mutex<Log>>,
    _processes: Vec<Process>,
}

impl Stage {
    fn set() -> Self {
        let home = Home::new();
        let (master, at) = home.master(&[]);
        let of = format!("--master={at}");
        let resources = format!("--resources=cpus:0.{ROOM};mem:1000;disk:0;ports:[]");
        let mut processes = vec![master];
        for name in ["a1", "a2", "a3"] {
            let line = ["agent", "--port=0", &of, &home.work_dir(name), &resources];
            let mut agent = Process::start(name, &mut home.command(&line));
            agent.says("agent@");
            processes.push(agent);
        }
        let (runtime, log) = (Runtime::new().expect("a runtime starts"), Arc::default());
        Self { home, of, at, runtime, log, _processes: processes }
    }

    fn starts(&self, name: &'static str, stay: bool) -> Running<Wants> {
        let info = FrameworkInfo { roles: vec![name.parse().unwrap()], ..framework(name) };
        let scheduler = Wants { name, stay, started: 0, log: Arc::clone(&self.log) };
        let started = start_scheduler(&self.at, info, scheduler, Options::default());
        self.runtime.block_on(started).expect("a scheduler starts")
    }

    #[track_caller]
    fn says(&self, words: &[&str]) {
        let line: Vec<&str> = words.iter().copied().chain([self.of.as_str()]).collect();
        let outcome = self.home.airside(&line);
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    }

    /// How many tasks' worth each role has in use or was offered, as readers see it.
    // Tenths of some cores are few.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn has(&self) -> BTreeMap<String, u64> {
        let outcome = self.home.airside(&["roles", "--json", &self.of]);
        let roles: Vec<Value> = serde_json::from_str(&outcome.stdout).unwrap_or_default();
        let tasks = |role: &Value| {
            let cpus = |what: &str| role[what]["cpus"].as_f64().unwrap_or_default();
            ((cpus("allocated") + cpus("offered")) * 10.0).round() as u64
        };
        roles.iter().map(|role| (role["role"].as_str().unwrap().to_owned(), tasks(role))).collect()
    }

    #[track_caller]
    fn come_to_have(&self, expected: &[(&str, u64)]) {
        eventually(&format!("the roles have {expected:?}"), || {
            let has = self.has();
            expected.iter().all(|(role, tasks)| has.get(*role) == Some(tasks))
        });
    }

    /// Over some rounds of tasks they have, taken together, one and two thirds within 5 %: looks come as they come on a busy machine,
    /// so that two rounds may not be enough of them.
    #[track_caller]
    fn stay_at_one_to_two(&self) {
        let whole = 3 * usize::try_from(ROOM).unwrap();
        let before = lock(&self.log).launched.len();
        let (mut one, mut two, mut looks) = (0, 0, 0);
        let is_near = |one: u64, two: u64| (two as f64 / one as f64 / 2.0 - 1.0).abs() < 0.05;
        eventually("some rounds of tasks are launched", || {
            let has = self.has();
            one += has["one"];
            two += has["two"];
            looks += 1;
            let rounds = (lock(&self.log).launched.len() - before) / whole;
            rounds >= 2 && is_near(one, two) || rounds >= 8
        });
        assert!(is_near(one, two), "{one} and {two} in {looks} looks");
        let used = (one + two) as f64 / looks as f64 / whole as f64;
        assert!(used > 0.8, "all is in use or offered nearly always: {used}");
    }
}

#[test]
fn roles_of_weights_one_and_two_have_a_third_and_two_thirds_and_a_guarantee_comes_first() {
    let stage = Stage::set();
    stage.says(&["weights", "set", "two", "2"]);
    let all = 3 * ROOM;
    let _one = stage.starts("one", false);
    let third = stage.starts("third", true);
    stage.come_to_have(&[("one", all), ("third", 0)]);
    // From what the first one's tasks leave, the second one has its two thirds.
    let _two = stage.starts("two", false);
    stage.come_to_have(&[("one", all / 3), ("two", all / 3 * 2)]);
    stage.stay_at_one_to_two();

    let cpus = format!("--guarantee=cpus:0.{GUARANTEED}");
    stage.says(&["quota", "set", "third", &cpus]);
    let before = lock(&stage.log).launched.len();
    third.inputs().input(Vec::new());
    let guaranteed = u64::try_from(GUARANTEED).unwrap();
    stage.come_to_have(&[("third", guaranteed), ("one", 2), ("two", 4)]);
    // Nor is anything left to be started when this ends.
    eventually("all that it is guaranteed runs", || {
        let log = lock(&stage.log);
        let runs = log.of("third").filter(|task| log.ran.contains(*task)).count();
        log.of("third").count() == GUARANTEED && runs == GUARANTEED
    });
    let log = lock(&stage.log);
    // What came free went to it alone; the last of it may have come together with something for others.
    let half: Vec<&TaskId> = log.of("third").take(GUARANTEED / 2).collect();
    let last = log.launched.iter().position(|task| Some(&task) == half.last()).unwrap();
    let others = log.launched[before..last].iter().filter(|task| !half.contains(task));
    let ran: Vec<&TaskId> = others.filter(|task| log.ran.contains(*task)).collect();
    assert!(ran.is_empty(), "{ran:?} before {half:?}");
}
