//! The scheduler against a master and executors that are played by hand.

use sdk::logic::{Driver, Effect, Event, Framework, Pid};
use sdk::protocol::framework::{FrameworkToMaster, MasterToFramework, Operation};
use sdk::protocol::ids::{MasterId, Role, UpdateId};
use sdk::protocol::task::{Run, Source, TaskReport};
use sdk::protocol::time::Now;

use super::*;
use crate::plan::Part;
use crate::result::cut;

struct Scenario {
    framework: Framework<WordCount>,
    launched: Vec<TaskSpec>,
    acknowledged: Vec<String>,
    stored: BTreeMap<String, Vec<u8>>,
    torn_down: bool,
    updates: u64,
    offers: u64,
}

fn test_plan(jobs: usize) -> Plan {
    let job = |n: usize| Job {
        name: format!("j{n}"),
        parts: vec![Part { path: b"f".to_vec(), start: 0, end: 1, size: 1 }],
    };
    Plan { jobs: (0..jobs).map(job).collect(), ..Plan::default() }
}

/// What every try in these tests counts.
fn counted() -> Counts {
    (0..5000).map(|n| (format!("word{n}"), 1)).collect()
}

impl Scenario {
    fn new(jobs: usize) -> Self {
        Self::again(jobs, BTreeMap::new(), vec![])
    }

    fn again(jobs: usize, stored: BTreeMap<String, Vec<u8>>, tasks: Vec<TaskReport>) -> Self {
        let scheduler = WordCount::new(test_plan(jobs), Setup::new(CommandSpec::default()), |_| ());
        let id = Some(FrameworkId::new("F"));
        let driver = Driver::new(framework("wordcount"), id, 7, Settings::default());
        let mut t = Self {
            framework: Framework::new(driver, scheduler),
            launched: vec![],
            acknowledged: vec![],
            stored: stored.clone(),
            torn_down: false,
            updates: 0,
            offers: 0,
        };
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
        for effect in self.framework.step(Now::default(), event).effects {
            match effect {
                Effect::TellMaster { message, .. } => self.told(message),
                Effect::Store { number, entries } => {
                    assert!(self.acknowledged.len() < usize::try_from(self.updates).unwrap());
                    for (key, value) in entries {
                        self.stored.insert(key, value.unwrap());
                    }
                    self.step(Event::Stored(number));
                }
                Effect::Link(_) | Effect::Unlink(_) | Effect::Remember(_) | Effect::Forget => (),
                Effect::StartTimer { .. } | Effect::End(_) | Effect::Warn(_) => (),
            }
        }
    }

    fn told(&mut self, message: FrameworkToMaster) {
        match message {
            FrameworkToMaster::Accept { operations, .. } => {
                let Operation::Launch(tasks) = &operations[0];
                self.launched.extend(tasks.iter().cloned());
            }
            FrameworkToMaster::Acknowledge { task, .. } => {
                self.acknowledged.push(task.to_string());
            }
            FrameworkToMaster::Teardown => self.torn_down = true,
            FrameworkToMaster::Subscribe { .. }
            | FrameworkToMaster::Decline { .. }
            | FrameworkToMaster::Demand(_)
            | FrameworkToMaster::Kill { .. }
            | FrameworkToMaster::Reconcile(_)
            | FrameworkToMaster::Revive
            | FrameworkToMaster::Suppress
            | FrameworkToMaster::SubscribeWith { .. }
            | FrameworkToMaster::Wishes(_)
            | FrameworkToMaster::ReviveRoles(_)
            | FrameworkToMaster::SuppressRoles(_)
            | FrameworkToMaster::UpdateFramework { .. }
            | FrameworkToMaster::ToExecutor { .. }
            | FrameworkToMaster::ShutdownExecutor { .. } => (),
        }
    }

    fn hear(&mut self, message: MasterToFramework) {
        self.step(Event::FromMaster { from: Pid::invented(1, 1), message });
    }

    fn offer(&mut self) {
        self.offers += 1;
        let (offer, agent) = (OfferId::new(format!("O{}", self.offers)), AgentId::new("S1"));
        let offer =
            Offer::plain(offer, FrameworkId::new("F"), agent, Resources::cpus_mem(0.7, 1000.0));
        self.hear(MasterToFramework::Offers(vec![offer.into()]));
    }

    fn end(&mut self, task: &str, state: TaskState, reason: Option<Reason>, data: Vec<u8>) {
        self.updates += 1;
        self.hear(MasterToFramework::Updated(TaskStatus {
            agent: Some(AgentId::new("S1")),
            executor: Some(ExecutorId::new(EXECUTOR)),
            reason,
            message: "no such file".into(),
            data,
            update: Some(UpdateId { source: 1, sequence: self.updates }),
            ..TaskStatus::plain(FrameworkId::new("F"), TaskId::new(task), state, Source::Executor)
        }));
    }

    /// The executor counted; all but `lost` of the pieces come through.
    fn counted(&mut self, task: &str, lost: usize) {
        let (pieces, whole) = cut(&counted()).unwrap();
        for (number, words) in (0..).zip(pieces).skip(lost) {
            let piece = Piece { task: TaskId::new(task), number, words };
            self.hear(MasterToFramework::FromExecutor {
                agent: AgentId::new("S1"),
                executor: ExecutorId::new(EXECUTOR),
                data: typed::encode(&piece).unwrap(),
            });
        }
        self.end(task, TaskState::Finished, None, typed::encode(&whole).unwrap());
    }

    fn launches(&mut self) -> String {
        let launched = std::mem::take(&mut self.launched);
        launched.iter().map(|spec| spec.task.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn times_counted(&self) -> u64 {
        let counts = self.framework.scheduler().counts();
        assert!(counts.is_empty() || counts.len() == 5000);
        counts.values().next().copied().unwrap_or(0)
    }
}

#[test]
fn every_job_is_counted_once() {
    let mut t = Scenario::new(4);
    t.offer(); // holds the executor and three tasks
    assert_eq!(t.launches(), "j0.1 j1.1 j2.1");
    t.counted("j1.1", 0);
    t.counted("j0.1", 0);
    t.offer();
    assert_eq!(t.launches(), "j3.1");
    t.counted("j3.1", 0);
    assert!(!t.torn_down);
    t.counted("j2.1", 0);
    assert!(t.torn_down && t.framework.scheduler().is_complete());
    assert_eq!((t.times_counted(), t.acknowledged.len(), t.stored.len()), (4, 4, 4));
}

#[test]
fn a_result_that_lost_a_piece_is_counted_again_and_not_twice() {
    let mut t = Scenario::new(1);
    t.offer();
    t.counted("j0.1", 1);
    assert_eq!((t.times_counted(), t.stored.len()), (0, 0));
    t.offer();
    assert_eq!(t.launches(), "j0.1 j0.2");
    t.counted("j0.2", 0);
    t.counted("j0.1", 0); // a late repeat under another number
    assert_eq!(t.times_counted(), 1);
}

#[test]
fn lost_tries_are_made_again_and_faults_have_their_limit() {
    let mut t = Scenario::new(1);
    for reason in [Reason::ExecutorUnregistered, Reason::AgentRestarted, Reason::ExecutorTerminated]
    {
        t.offer();
        let task = t.launches();
        t.end(&task, TaskState::Failed, Some(reason), vec![]);
    }
    for _ in 0..3 {
        assert!(!t.torn_down);
        t.offer();
        let task = t.launches();
        t.end(&task, TaskState::Failed, None, vec![]);
    }
    assert_eq!(t.framework.scheduler().given_up(), [("j0", "no such file")]);
    assert!(t.torn_down && !t.framework.scheduler().is_complete());
}

#[test]
fn a_scheduler_that_was_killed_goes_on() {
    let mut t = Scenario::new(3);
    t.offer();
    t.counted("j0.1", 0);
    let spec = t.launched[1].clone();
    let running = TaskReport {
        framework: FrameworkId::new("F"),
        spec: spec.into(),
        agent: AgentId::new("S1"),
        executor: ExecutorId::new(EXECUTOR),
        state: TaskState::Running,
        unacknowledged: None,
        role: Role::everybody(),
    };
    let mut t = Scenario::again(3, t.stored, vec![running]);
    assert_eq!(t.times_counted(), 1);
    t.offer();
    assert_eq!(t.launches(), "j2.1");
    t.counted("j1.1", 1); // what it sent before is lost with the first life
    t.counted("j2.1", 0);
    t.offer();
    assert_eq!(t.launches(), "j1.2");
    t.counted("j1.2", 0);
    assert_eq!(t.times_counted(), 3);
    assert!(t.torn_down);
}

#[test]
fn a_scheduler_that_was_killed_after_its_last_result_only_tears_down() {
    let mut t = Scenario::new(1);
    t.offer();
    t.counted("j0.1", 0);
    let t = Scenario::again(1, t.stored, vec![]);
    assert!(t.torn_down && t.framework.scheduler().is_complete());
    assert_eq!(t.times_counted(), 1);
}

#[test]
fn a_launch_carries_the_work_and_its_executor() {
    let mut t = Scenario::new(1);
    t.offer();
    let Run::Executor { executor, data } = &t.launched[0].run else { panic!("no executor") };
    assert_eq!(executor.executor.as_str(), EXECUTOR);
    let work: Work = typed::decode(data).unwrap();
    assert_eq!((work.job.as_str(), work.attempt, work.parts.len()), ("j0", 1, 1));
}
