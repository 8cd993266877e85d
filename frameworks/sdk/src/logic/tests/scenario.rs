//! A framework, a clock, and the lines of what was done since last asked.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use libactor::Pid;
use protocol::agent::AgentAddress;
use protocol::change::{Change, What};
use protocol::framework::{FrameworkInfo, FrameworkToMaster, MasterToFramework, Operation};
use protocol::ids::{AgentId, ExecutorId, FrameworkId, MasterId, OfferId, Role, TaskId, UpdateId};
use protocol::offer::{Demand, Offer, Unmet};
use protocol::quantities::Quantities;
use protocol::resources::{Milli, Resources};
use protocol::task::{
    CommandSpec, ExecutorSpec, Run, Source, TaskReport, TaskSpec, TaskState, TaskStatus,
};
use protocol::time::Now;
use protocol::wishes::{AttributeConstraint, OfferConstraints, Predicate, Selector};

use super::words::line;
use crate::logic::{
    Calls, Driver, Effect, Event, Framework, NotLaunched, Outcome, Scheduler, Settings, Timer,
};

type Lines = Rc<RefCell<Vec<String>>>;

/// Does as it is told and notes what it hears.
#[derive(Default)]
pub(super) struct Notes {
    heard: Lines,
    wants: Vec<String>,
    refusals: Vec<NotLaunched>,
    holds: bool,
    kills: Option<TaskId>,
    stores: bool,
    stops: bool,
    /// The tasks that it saw when it subscribed last.
    seen: Vec<TaskId>,
}

impl Notes {
    fn note(&self, line: String) {
        self.heard.borrow_mut().push(line);
    }
}

impl Scheduler for Notes {
    fn started(&mut self, _: &mut Calls, _: BTreeMap<String, Vec<u8>>) {
        self.note("started".into());
    }

    fn subscribed(&mut self, calls: &mut Calls, framework: &FrameworkId) {
        self.seen = calls.tasks().map(|(task, _)| task.clone()).collect();
        self.note(format!("subscribed {framework}"));
    }

    fn disconnected(&mut self, _: &mut Calls) {
        self.note("disconnected".into());
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        let ids: Vec<_> = offers.iter().map(|offer| offer.offer.to_string()).collect();
        self.note(format!("offers {}", ids.join(",")));
        for offer in &offers {
            for name in std::mem::take(&mut self.wants) {
                match calls.launch(offer, spec(&name)) {
                    Ok(()) => (),
                    Err(NotLaunched::DoesNotFit(_)) => self.wants.push(name),
                    Err(refusal) => {
                        self.note(format!("not launched {name}"));
                        self.refusals.push(refusal);
                    }
                }
            }
            if let Some(task) = self.kills.take() {
                calls.kill(&task);
            }
            if self.holds {
                calls.hold(offer);
            }
        }
    }

    fn rescinded(&mut self, _: &mut Calls, offers: &[OfferId]) {
        self.note(format!("rescinded {offers:?}").replace(['[', ']'], ""));
    }

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        self.note(format!("updated {} {:?}", status.task, status.state));
        if self.stores {
            calls.store("done", vec![1]);
        }
        if self.stops {
            calls.stop();
        }
    }

    fn input(&mut self, calls: &mut Calls, data: &[u8]) {
        let words = String::from_utf8_lossy(data).into_owned();
        match words.split(' ').collect::<Vec<_>>().as_slice() {
            ["kill", task] => calls.kill(&TaskId::new(task)),
            ["kill", task, "now"] => calls.kill_within(&TaskId::new(task), Duration::ZERO),
            ["want", count] => {
                calls.want(&Resources::cpus_mem(1.0, 0.0), count.parse().unwrap());
            }
            ["kill", task, "when", "launched"] => self.kills = Some(TaskId::new(task)),
            ["want", count, "for", role] => {
                let each = Resources::cpus_mem(1.0, 0.0);
                let wanted =
                    calls.want_for(&role.parse().unwrap(), count.parse().unwrap(), &each, vec![]);
                if let Err(refused) = wanted {
                    self.note(refused.to_string());
                }
            }
            ["suppress", role] => calls.suppress_for(&role.parse().unwrap()).unwrap(),
            ["revive", role] => calls.revive_for(&role.parse().unwrap()).unwrap(),
            ["revive"] => calls.revive(),
            ["require", role] => {
                let predicate = Predicate::Exists;
                let constraint = AttributeConstraint { selector: Selector::Hostname, predicate };
                let constraints = OfferConstraints { groups: vec![vec![constraint]] };
                calls.require_for(&role.parse().unwrap(), constraints).unwrap();
            }
            ["least", cpus, role] => {
                let least = Quantities::none().with("cpus", Milli::whole(cpus.parse().unwrap()));
                calls.least_offer_for(&role.parse().unwrap(), Some(vec![least])).unwrap();
            }
            ["store"] => calls.store("key", Vec::new()),
            ["hold"] => self.holds = true,
            ["tear", "down"] => calls.tear_down(),
            other => panic!("{other:?}"),
        }
    }

    fn ended(&mut self, outcome: &Outcome) {
        self.note(format!("ended {outcome:?}"));
    }
}

pub(super) struct Scenario {
    pub(super) framework: Framework<Notes>,
    pub(super) lines: Vec<String>,
    heard: Lines,
    now: Now,
    timers: Vec<Timer>,
    /// What was said to a master since last asked.
    told: Vec<FrameworkToMaster>,
    /// All that was ever said, and to whom.
    said: Vec<(Option<Pid>, FrameworkToMaster)>,
}

impl Scenario {
    pub(super) fn new(remembered: Option<&str>) -> Self {
        Self::of(info(), remembered)
    }

    /// Of a framework that acts for these.
    pub(super) fn with_roles(roles: &[&str]) -> Self {
        let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        Self::of(FrameworkInfo { roles, ..info() }, Some("F"))
    }

    fn of(info: FrameworkInfo, remembered: Option<&str>) -> Self {
        let heard = Lines::default();
        let notes = Notes { heard: heard.clone(), ..Notes::default() };
        let remembered = remembered.map(FrameworkId::new);
        let driver = Driver::new(info, remembered, 42, Settings::default());
        let framework = Framework::new(driver, notes);
        let (now, lines, timers) = Default::default();
        Self { framework, lines, heard, now, timers, told: vec![], said: vec![] }
    }

    /// Followed by master 1 of epoch 1; nothing launched.
    pub(super) fn with_master() -> Self {
        let mut t = Self::new(Some("F"));
        t.start();
        t.subscribed(1, 1, vec![]);
        t.lines.clear();
        t
    }

    /// With master 1, and a task of which it was told that it runs; delta 1 has been heard.
    pub(super) fn running(task: &str) -> Self {
        let mut t = Self::with_master();
        t.framework_wants(&[task]);
        t.offer(1, "o1", 2.0);
        t.deltas(1, vec![delta(1, task, TaskState::Staging)]);
        t.updated(1, status(task, TaskState::Starting, 5));
        t.updated(1, status(task, TaskState::Running, 6));
        t.timer_due("Doubts");
        t.lines.clear();
        t
    }

    #[cfg(feature = "testing")]
    pub(super) fn with_bug(mut self, bug: crate::logic::Bug) -> Self {
        self.framework.driver = self.framework.driver.with_bug(bug);
        self
    }

    fn step(&mut self, event: Event) {
        let step = self.framework.step(self.now, event);
        for effect in step.effects {
            if let Effect::StartTimer { timer, .. } = &effect {
                self.timers.push(*timer);
            }
            self.lines.push(line(&effect));
            if let Effect::TellMaster { to, message } = effect {
                self.told.extend(to.map(|_| message.clone()));
                self.said.push((to, message));
            }
        }
        self.lines.append(&mut self.heard.borrow_mut());
    }

    /// What was done and heard since last asked: effects of a step, then what the scheduler heard in it.
    #[track_caller]
    pub(super) fn did<const N: usize>(&mut self, expected: [&str; N]) {
        // Within a step the order between effects and words to the scheduler is not compared.
        let mut done = std::mem::take(&mut self.lines);
        let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        let said = |lines: &[String]| -> Vec<String> {
            lines.iter().filter(|line| line.starts_with("to ")).cloned().collect()
        };
        assert_eq!(said(&done), said(&expected), "in {done:#?}");
        done.sort();
        expected.sort();
        assert_eq!(done, expected);
    }

    pub(super) fn start(&mut self) {
        self.step(Event::Started { stored: BTreeMap::new() });
    }

    pub(super) fn subscribed(&mut self, master: u64, epoch: u64, tasks: Vec<TaskReport>) {
        let framework = FrameworkId::new("F");
        let leader = MasterId::new(format!("m{master}"));
        self.hear(
            master,
            MasterToFramework::Subscribed { epoch, framework, master: leader, tasks, change: 0 },
        );
    }

    fn hear(&mut self, master: u64, message: MasterToFramework) {
        self.step(Event::FromMaster { from: Pid::invented(master, 1), message });
    }

    pub(super) fn unmet(&mut self, master: u64, each: Resources) {
        let demand = Demand { each, count: 1, constraints: Vec::new() };
        let why = "no agent has it".to_owned();
        self.hear(master, MasterToFramework::Unmet(vec![Unmet { demand, why }]));
    }

    pub(super) fn remembered(&mut self) {
        self.step(Event::Remembered(FrameworkId::new("F")));
    }

    pub(super) fn stored(&mut self, number: u64) {
        self.step(Event::Stored(number));
    }

    pub(super) fn down(&mut self, master: u64) {
        self.step(Event::Down { pid: Pid::invented(master, 1) });
    }

    pub(super) fn other_leader(&mut self) {
        self.step(Event::OtherLeader);
    }

    pub(super) fn suspended(&mut self) {
        self.step(Event::Suspended);
    }

    pub(super) fn resumed(&mut self) {
        self.step(Event::Resumed);
    }

    pub(super) fn deposed(&mut self) {
        self.step(Event::Deposed("another leads".into()));
    }

    pub(super) fn told(&mut self) -> Vec<FrameworkToMaster> {
        std::mem::take(&mut self.told)
    }

    pub(super) fn no_room(&mut self, master: u64, messages: Vec<FrameworkToMaster>) {
        self.step(Event::NoRoom { to: Pid::invented(master, 1), messages });
    }

    pub(super) fn not_sent(&mut self, master: u64) {
        self.step(Event::NotSent { to: Some(Pid::invented(master, 1)) });
    }

    /// The last that was said comes back.
    pub(super) fn too_new(&mut self, master: Option<u64>) {
        let to = master.map(|master| Pid::invented(master, 1));
        let last = self.said.iter().rev().find(|(who, _)| *who == to);
        let (to, message) = last.expect("something was said").clone();
        self.step(Event::TooNew { to, message });
    }

    pub(super) fn offer(&mut self, master: u64, id: &str, cpus: f64) {
        self.offer_of(master, id, Resources::cpus_mem(cpus, 0.0));
    }

    /// What was launched last, and on what.
    pub(super) fn launched(&self) -> Vec<TaskSpec> {
        let accepted = self.told.iter().rev().find_map(|message| {
            if let FrameworkToMaster::Accept { operations, .. } = message {
                let Operation::Launch(tasks) = &operations[0];
                return Some(tasks.clone());
            }
            None
        });
        accepted.expect("something was launched")
    }

    pub(super) fn offer_of(&mut self, master: u64, id: &str, resources: Resources) {
        self.offer_beside(master, id, resources, &[]);
    }

    /// Of an agent that has these executors.
    pub(super) fn offer_beside(
        &mut self,
        master: u64,
        id: &str,
        resources: Resources,
        executors: &[&str],
    ) {
        let at = AgentAddress { hostname: "h".into(), listens: "127.0.0.1:5051".into() }.into();
        self.hear(
            master,
            MasterToFramework::Offers(vec![std::sync::Arc::new(Offer {
                offer: OfferId::new(id),
                framework: FrameworkId::new("F"),
                agent: AgentId::new("S1"),
                at,
                role: Role::everybody(),
                resources,
                attributes: vec![],
                executors: executors.iter().map(ExecutorId::new).collect(),
            })]),
        );
    }

    pub(super) fn updated(&mut self, master: u64, status: TaskStatus) {
        self.hear(master, MasterToFramework::Updated(status));
    }

    pub(super) fn deltas(&mut self, master: u64, changes: Vec<Change>) {
        self.hear(master, MasterToFramework::Deltas(changes));
    }

    pub(super) fn failed_over(&mut self, master: u64) {
        self.hear(master, MasterToFramework::FailedOver);
    }

    pub(super) fn refused(&mut self, reason: &str) {
        self.hear(9, MasterToFramework::Refused { reason: reason.into() });
    }

    pub(super) fn input(&mut self, words: &str) {
        self.step(Event::Input(words.as_bytes().to_vec()));
    }

    pub(super) fn framework_wants(&mut self, tasks: &[&str]) {
        self.framework.scheduler.wants = tasks.iter().map(ToString::to_string).collect();
    }

    pub(super) fn store_on_update(&mut self) {
        self.framework.scheduler.stores = true;
    }

    pub(super) fn stop_on_update(&mut self) {
        self.framework.scheduler.stops = true;
    }

    pub(super) fn refusals(&self) -> &[NotLaunched] {
        &self.framework.scheduler.refusals
    }

    pub(super) fn seen(&self) -> Vec<&str> {
        self.framework.scheduler.seen.iter().map(TaskId::as_str).collect()
    }

    pub(super) fn report(
        &self,
        task: &str,
        state: TaskState,
        unacknowledged: Option<TaskStatus>,
    ) -> TaskReport {
        TaskReport { unacknowledged: unacknowledged.map(Into::into), ..report(task, state) }
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.now.steady = self.now.steady + span;
    }

    /// The newest timer of a name goes off.
    pub(super) fn timer_due(&mut self, name: &str) {
        let of_name = |timer: &&Timer| format!("{timer:?}").starts_with(name);
        let timer = *self.timers.iter().rev().find(of_name).expect("such a timer was started");
        self.fire(timer);
    }

    pub(super) fn fire(&mut self, timer: Timer) {
        self.step(Event::TimerFired(timer));
    }
}

fn info() -> FrameworkInfo {
    FrameworkInfo {
        framework: FrameworkId::new("ignored"),
        name: "test".into(),
        user: "nobody".into(),
        roles: vec![Role::everybody()],
        failover_timeout: Duration::from_secs(3600),
        hostname: "h".into(),
        capabilities: vec![],
        carried: Default::default(),
    }
}

/// `t@x` is on executor `x`.
fn spec(task: &str) -> TaskSpec {
    let run = match task.split_once('@') {
        None => Run::Command(CommandSpec::default()),
        Some((_, executor)) => Run::Executor {
            executor: ExecutorSpec {
                executor: ExecutorId::new(executor),
                name: String::new(),
                command: CommandSpec::default(),
                resources: Resources::cpus_mem(0.5, 0.0),
                shutdown_grace: None,
            },
            data: Vec::new(),
        },
    };
    TaskSpec {
        task: TaskId::new(task),
        name: task.into(),
        resources: Resources::cpus_mem(1.0, 0.0),
        run,
        kill_grace: None,
        carried: Default::default(),
    }
}

fn report(task: &str, state: TaskState) -> TaskReport {
    TaskReport {
        framework: FrameworkId::new("F"),
        spec: spec(task).into(),
        agent: AgentId::new("S1"),
        executor: ExecutorId::new(task),
        state,
        unacknowledged: None,
        role: Role::everybody(),
    }
}

/// The master has the task in its book.
pub(super) fn delta(number: u64, task: &str, state: TaskState) -> Change {
    Change { number, what: What::Task(report(task, state).into()) }
}

pub(super) fn forgotten(number: u64, task: &str) -> Change {
    let framework = FrameworkId::new("F");
    let task = TaskId::new(task);
    Change { number, what: What::TaskForgotten { framework, task, state: TaskState::Finished } }
}

/// News number `update`; 0: the master's own word.
pub(super) fn status(task: &str, state: TaskState, update: u64) -> TaskStatus {
    TaskStatus {
        agent: Some(AgentId::new("S1")),
        update: (update > 0).then_some(UpdateId { source: 1, sequence: update }),
        ..TaskStatus::plain(FrameworkId::new("F"), TaskId::new(task), state, Source::Executor)
    }
}
