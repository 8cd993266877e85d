//! Decisions of an agent, one scenario each. A scenario is an agent, a clock, and the list of what was done since last
//! asked; disk and processes answer at once unless a test holds them back.
#![allow(clippy::wildcard_enum_match_arm)] // a scenario names what it looks at

mod asking;
mod boundaries;
#[cfg(feature = "testing")]
mod bugs;
mod configuring;
mod executors;
mod joining;
mod launching;
mod limits;
mod recovering;
mod remembering;
mod subscribing;
mod updating;

use std::time::Duration;

use libactor::Pid;
use protocol::agent::{AgentAddress, AgentInfo, AgentToMaster, MasterToAgent};
use protocol::carried::Carried;
use protocol::executor::{AgentToExecutor, ExecutorToAgent, TaskHeld};
use protocol::framework::FrameworkInfo;
use protocol::ids::*;
use protocol::limits::TaskLimits;
use protocol::resources::Resources;
use protocol::task::*;
use protocol::time::{Instant, Now, WallTime};

use super::*;

pub(super) fn master(n: u64) -> Pid {
    Pid::invented(n, 1)
}

pub(super) fn framework() -> FrameworkInfo {
    FrameworkInfo { user: "ann".into(), ..FrameworkInfo::plain(FrameworkId::new("F")) }
}

pub(super) fn command_task(id: &str) -> TaskSpec {
    TaskSpec {
        task: TaskId::new(id),
        name: id.into(),
        resources: Resources::cpus_mem(1.0, 100.0),
        run: Run::Command(CommandSpec { value: "true".into(), shell: true, ..Default::default() }),
        kill_grace: None,
        carried: Carried::default(),
    }
}

pub(super) fn custom_task(id: &str, executor: &str) -> TaskSpec {
    let executor = ExecutorSpec {
        executor: ExecutorId::new(executor),
        name: executor.into(),
        command: CommandSpec { value: "./run".into(), shell: true, ..Default::default() },
        resources: Resources::cpus_mem(0.5, 32.0),
        shutdown_grace: None,
    };
    TaskSpec { run: Run::Executor { executor, data: vec![1] }, ..command_task(id) }
}

/// An agent, a clock, and what was done since last asked.
pub(super) struct Scenario {
    pub(super) agent: Agent,
    pub(super) now: Now,
    done: Vec<String>,
    /// All that was written down.
    pub(super) disk: Checkpoint,
    timers: Vec<(Instant, Timer)>,
    /// Executors started and not ended, by the order of their start.
    pub(super) started: Vec<StartExecutor>,
    /// Whether writes and starts are answered only when the test says so.
    pub(super) hold: bool,
    held: Vec<Event>,
    /// The newest update sent to the master.
    pub(super) sent: Option<TaskStatus>,
    /// The state of its task, as it was sent along.
    pub(super) latest: Option<TaskState>,
    pub(super) reregistered: Option<AgentToMaster>,
    /// Under which it last said that it wants to join.
    pub(super) nonce: Option<u64>,
    /// What containers were given, by their executors.
    pub(super) given: Vec<(String, Resources)>,
    /// What the last of them may take at most.
    pub(super) limits: TaskLimits,
    executor_sequence: u64,
    /// Under which tasks are launched.
    pub(super) role: Role,
}

impl Scenario {
    /// An agent that has noted already in which boot it is, and what it says of itself.
    pub(super) fn new(config: impl FnOnce(&mut Config), mut checkpoint: Checkpoint) -> Self {
        let info = AgentInfo {
            at: AgentAddress { hostname: "here".into(), listens: "127.0.0.1:5051".into() }.into(),
            resources: Resources::cpus_mem(4.0, 1000.0),
            attributes: Vec::new(),
            version: "0".into(),
            boot: "boot".into(),
        };
        let mut settings = Config::new(info);
        config(&mut settings);
        settings.validate().unwrap();
        checkpoint.boot.get_or_insert_with(|| settings.info.boot.clone());
        checkpoint.info.get_or_insert_with(|| Box::new(settings.info.clone()));
        Self {
            disk: checkpoint.clone(),
            agent: Agent::new(settings, checkpoint, [7; 32]),
            now: Now { steady: Instant(1_000_000_000), wall: WallTime(5) },
            done: Vec::new(),
            timers: Vec::new(),
            started: Vec::new(),
            hold: false,
            held: Vec::new(),
            sent: None,
            latest: None,
            reregistered: None,
            nonce: None,
            given: Vec::new(),
            limits: TaskLimits::default(),
            executor_sequence: 0,
            role: Role::everybody(),
        }
    }

    /// A new agent that has registered with master 1 in epoch 1.
    pub(super) fn registered() -> Self {
        Self::registered_with(|_| ())
    }

    pub(super) fn registered_with(config: impl FnOnce(&mut Config)) -> Self {
        let mut t = Self::new(config, Checkpoint::default());
        t.step(Event::Started);
        t.register_with(1, 1);
        t.done.clear();
        t
    }

    pub(super) fn step(&mut self, event: Event) {
        let mut events = vec![event];
        while !events.is_empty() {
            if let Event::Written(record) = &events[0] {
                self.disk.apply(record.clone());
            }
            let step = self.agent.step(self.now, events.remove(0));
            for effect in step.effects {
                let answer = self.perform(effect);
                if self.hold {
                    self.held.extend(answer);
                } else {
                    events.extend(answer);
                }
            }
            assert!(self.agent.total().contains(&self.agent.used()), "more is held than there is");
        }
    }

    /// What the disk and the processes would say.
    fn perform(&mut self, effect: Effect) -> Option<Event> {
        let line = match effect {
            Effect::StartTimer { timer, after } => {
                self.timers.push((self.now.steady + after, timer));
                return None;
            }
            Effect::ContactMaster(message) => {
                if let AgentToMaster::Register { nonce, .. } = &message {
                    self.nonce = Some(*nonce);
                }
                self.reregistered = Some(message.clone());
                format!("contact: {}", variant(&message))
            }
            Effect::TellMaster { message, .. } => self.told_master(&message),
            Effect::TellExecutor { to, message } => {
                format!("to executor {}: {}", to.actor(), told_executor(&message))
            }
            Effect::DismissGateway(pid) => format!("dismiss {}", pid.actor()),
            Effect::Link(pid) => format!("link {}", pid.actor()),
            Effect::Unlink(pid) => format!("unlink {}", pid.actor()),
            Effect::Write(record) => {
                // Of tasks and their news so much is written that it would hide what else is done.
                match &record {
                    Record::TaskTaken(_) | Record::Updated { .. } | Record::Acknowledged { .. } => {
                    }
                    Record::TaskForgotten { .. } | Record::FrameworkRemoved(_) => {}
                    Record::Booted(_) | Record::Configured { .. } => {}
                    Record::FrameworkUpdated(_) => {}
                    other => self.done.push(format!("write {}", variant(other))),
                }
                return Some(Event::Written(record));
            }
            Effect::EndOldExecutor(old) => format!("end old {}", old.container),
            Effect::FindExecutor(old) => format!("find {}", self.name_of(&old.container)),
            Effect::DropRecords(_) => return None,
            Effect::GiveContainer { container, allowance } => {
                self.given.push((self.name_of(&container), allowance.holds));
                self.limits = allowance.limits;
                return None;
            }
            Effect::StartExecutor(start) => {
                self.done.push(format!("start executor {}", start.spec.executor));
                let process = ProcessIdentity { process: 77, started: 1, boot: "boot".into() };
                let container = start.container.clone();
                self.started.push(*start);
                return Some(Event::ExecutorStarted { container, process });
            }
            Effect::SignalExecutor { container, signal } => {
                format!("signal {} {signal:?}", self.name_of(&container))
            }
            Effect::Note(notice) => {
                // Its text is for people; most tests look at what is done.
                assert!(!notice.to_string().is_empty());
                return None;
            }
            Effect::Stop(end) => format!("stop: {end}"),
        };
        self.done.push(line);
        None
    }

    fn name_of(&self, container: &ContainerId) -> String {
        let which = self.started.iter().find(|start| start.container == *container);
        which.map_or("?", |start| start.spec.executor.as_str()).to_owned()
    }

    fn told_master(&mut self, message: &AgentToMaster) -> String {
        match message {
            AgentToMaster::Updated { status, latest } => {
                self.latest = Some(*latest);
                self.sent = Some(status.clone());
                format!("update {} {:?}", status.task, status.state)
            }
            other => {
                if let AgentToMaster::Reregister { .. } | AgentToMaster::ReregisterAt { .. } = other
                {
                    self.reregistered = Some(other.clone());
                }
                format!("to master: {}", variant(other))
            }
        }
    }

    /// Lets what was held back happen now.
    pub(super) fn release(&mut self) {
        self.hold = false;
        for event in std::mem::take(&mut self.held) {
            self.step(event);
        }
    }

    /// Fails what was held back: nothing can be written or started.
    pub(super) fn fail_held(&mut self) {
        self.hold = false;
        for event in std::mem::take(&mut self.held) {
            let words = "disk full".to_owned();
            match event {
                Event::Written(record) => self.step(Event::WriteFailed { record, words }),
                Event::ExecutorStarted { container, .. } => {
                    let why = StartFailure::Program(words);
                    self.step(Event::ExecutorNotStarted { container, why });
                }
                other => panic!("nothing else is held: {other:?}"),
            }
        }
    }

    /// Lets time pass; what is due is fired in order.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.now.steady + span;
        loop {
            let next = self.timers.iter().enumerate().min_by_key(|(_, (at, _))| *at);
            let Some((index, at)) = next.map(|(index, (at, _))| (index, *at)) else { break };
            if at > end {
                break;
            }
            let (at, timer) = self.timers.remove(index);
            self.now.steady = at;
            self.step(Event::TimerFired(timer));
        }
        self.now.steady = end;
    }

    /// What was done since last asked.
    #[track_caller]
    pub(super) fn did<const N: usize>(&mut self, expected: [&str; N]) {
        assert_eq!(std::mem::take(&mut self.done), expected);
    }

    /// What was done since last asked, to be looked at.
    pub(super) fn take_done(&mut self) -> Vec<String> {
        std::mem::take(&mut self.done)
    }

    pub(super) fn forget_done(&mut self) {
        self.done.clear();
    }

    /// The master lets the agent tell all it knows.
    pub(super) fn lets_return(&mut self, from: u64, epoch: u64) {
        self.hear(from, MasterToAgent::ReturnNow { epoch, cluster: ClusterId::new("C") });
    }

    pub(super) fn hear(&mut self, from: u64, message: MasterToAgent) {
        self.step(Event::FromMaster { from: master(from), message });
    }

    pub(super) fn register_with(&mut self, from: u64, epoch: u64) {
        self.register_by(from, epoch, "C");
    }

    pub(super) fn register_by(&mut self, from: u64, epoch: u64, cluster: &str) {
        self.hear(
            from,
            MasterToAgent::Registered {
                epoch,
                agent: AgentId::new("S1"),
                cluster: ClusterId::new(cluster),
                master: MasterId::new("M"),
                ping_every: Duration::from_secs(1),
                silent_after: Duration::from_secs(5),
            },
        );
    }

    pub(super) fn refuse(&mut self, from: u64, epoch: u64, cluster: &str, reason: &str) {
        let (reason, cluster) = (reason.to_owned(), ClusterId::new(cluster));
        self.hear(from, MasterToAgent::Refused { epoch, reason, cluster });
    }

    pub(super) fn lose_master(&mut self) {
        self.step(Event::Down { pid: master(1), words: "the connection was lost".into() });
    }

    pub(super) fn launch(&mut self, task: TaskSpec) {
        let (framework, role) = (framework(), self.role.clone());
        self.hear(1, MasterToAgent::Launch { epoch: 1, framework, task, role });
    }

    pub(super) fn launch_in_running(&mut self, task: TaskSpec) {
        let (framework, role) = (framework(), self.role.clone());
        self.hear(1, MasterToAgent::LaunchInRunning { epoch: 1, framework, task, role });
    }

    pub(super) fn kill(&mut self, task: &str) {
        let (framework, task) = (FrameworkId::new("F"), TaskId::new(task));
        self.hear(1, MasterToAgent::Kill { epoch: 1, framework, task, grace: None });
    }

    /// The nth executor started registers, as actor 100 + n.
    pub(super) fn executor_registers(&mut self, n: usize) {
        let start = self.started[n].clone();
        let message = ExecutorToAgent::Register {
            framework: start.framework.framework,
            executor: start.spec.executor,
            container: start.container,
            token: start.token,
        };
        self.step(Event::FromExecutor { from: executor(n), message });
    }

    /// The nth executor says this of a task.
    pub(super) fn executor_says(&mut self, n: usize, task: &str, state: TaskState) {
        self.executor_sequence += 1;
        let status = self.status(n, task, state, self.executor_sequence);
        self.step(Event::FromExecutor {
            from: executor(n),
            message: ExecutorToAgent::Updated(status),
        });
    }

    pub(super) fn status(&self, n: usize, task: &str, state: TaskState, seq: u64) -> TaskStatus {
        let update = UpdateId { source: n as u64 + 1, sequence: seq };
        said_by_executor(task, state, update)
    }

    pub(super) fn executor_exits(&mut self, n: usize, exit: Exit) {
        let container = self.started[n].container.clone();
        self.step(Event::ExecutorExited { container, exit: Some(exit), ended: None });
    }

    /// The framework acknowledges the newest update sent.
    pub(super) fn acknowledge(&mut self) {
        let status = self.sent.take().unwrap();
        self.hear(
            1,
            MasterToAgent::Acknowledge {
                epoch: 1,
                framework: status.framework,
                task: status.task,
                update: status.update.unwrap(),
            },
        );
    }

    /// The agent is killed: what was being written is lost. Its next life begins with what is on disk.
    pub(super) fn dies(&mut self) {
        self.dies_and(|_| ());
    }

    pub(super) fn dies_and(&mut self, config: impl FnOnce(&mut Config)) {
        let mut settings = self.agent.config.clone();
        config(&mut settings);
        // As it is read back.
        let mut disk = Checkpoint::default();
        self.disk.records().into_iter().for_each(|record| disk.apply(record));
        assert_eq!(disk, self.disk);
        self.agent = Agent::new(settings, disk, [8; 32]);
        self.timers.clear();
        self.held.clear();
        self.hold = false;
        self.forget_done();
        self.step(Event::Started);
    }

    /// The machine is started anew, under another boot id each time.
    pub(super) fn reboots(&mut self) {
        self.dies_and(|config| config.info.boot.push('+'));
    }

    /// The nth executor is found alive.
    pub(super) fn executor_is_found(&mut self, n: usize) {
        let container = self.started[n].container.clone();
        let process = ProcessIdentity { process: 77, started: 1, boot: "boot".into() };
        self.step(Event::ExecutorFound { container, process });
    }

    /// The nth executor, which lost its agent, says what it has.
    pub(super) fn executor_is_back(
        &mut self,
        n: usize,
        tasks: &[(&str, TaskState)],
        unacknowledged: Vec<TaskStatus>,
    ) {
        let start = self.started[n].clone();
        let held = |(task, state): &(&str, TaskState)| TaskHeld {
            task: TaskId::new(*task),
            state: *state,
        };
        let message = ExecutorToAgent::Reregister {
            framework: start.framework.framework,
            executor: start.spec.executor,
            container: start.container,
            token: start.token,
            tasks: tasks.iter().map(held).collect(),
            unacknowledged,
        };
        self.step(Event::FromExecutor { from: executor(n), message });
    }

    /// A command task that runs, its first updates acknowledged.
    pub(super) fn with_running(&mut self, task: &str) -> usize {
        let n = self.started.len();
        self.launch(command_task(task));
        self.executor_registers(n);
        self.executor_says(n, task, TaskState::Running);
        self.acknowledge();
        self.forget_done();
        n
    }
}

pub(super) fn said_by_executor(task: &str, state: TaskState, update: UpdateId) -> TaskStatus {
    TaskStatus {
        update: Some(update),
        ..TaskStatus::plain(FrameworkId::new("F"), TaskId::new(task), state, Source::Executor)
    }
}

pub(super) fn executor(n: usize) -> Pid {
    Pid::invented(50 + n as u64, 100 + n as u64)
}

fn told_executor(message: &AgentToExecutor) -> String {
    match message {
        AgentToExecutor::Launch(task) => format!("Launch {}", task.task),
        AgentToExecutor::Kill { task, grace } => format!("Kill {task} within {grace:?}"),
        AgentToExecutor::Acknowledge { task, .. } => format!("Acknowledge {task}"),
        other => variant(other),
    }
}

fn variant(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}
