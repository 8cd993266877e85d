//! What is around the agent that dies: a disk that writes in order, executors that outlive it, and a master that says again
//! what was not answered. All of them watch what they are told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::*;
use super::Dead;

/// A process that the agent started; it lives on when the agent dies.
struct Process {
    start: StartExecutor,
    actor: Pid,
    lives: bool,
    /// Whether it knows that an agent had it.
    registered: bool,
    tasks: BTreeMap<TaskId, TaskState>,
    /// Not acknowledged yet.
    waiting: Vec<TaskStatus>,
    /// How its task ended, as it wrote it down.
    noted: Option<Box<TaskStatus>>,
    sequence: u64,
}

/// What the master knows of a task.
#[derive(Default)]
struct Book {
    heard: BTreeSet<UpdateId>,
    ended: Option<TaskState>,
    /// The agent came back without it.
    dropped: bool,
    kill: bool,
}

pub(in super::super) struct World {
    agent: Option<Agent>,
    pub(super) disk: Checkpoint,
    /// Asked for, and not on the disk.
    pending: VecDeque<Record>,
    /// On the disk, and the agent was not told of it.
    done: VecDeque<Record>,
    events: VecDeque<Event>,
    processes: BTreeMap<ContainerId, Process>,
    books: BTreeMap<TaskId, Book>,
    removed: bool,
    /// Where each task was begun.
    ran: BTreeMap<TaskId, BTreeSet<ContainerId>>,
    nonce: Option<u64>,
    deaths: Vec<usize>,
    /// Whether all else happens before a write is done, or nothing.
    disk_is_slow: bool,
    pub(super) boundaries: usize,
    pub(super) lives: usize,
    pub(super) written: Vec<Record>,
}

impl World {
    pub(super) fn new(deaths: &[usize], disk_is_slow: bool) -> Self {
        Self {
            disk_is_slow,
            agent: None,
            disk: Checkpoint::default(),
            pending: VecDeque::new(),
            done: VecDeque::new(),
            events: VecDeque::new(),
            processes: BTreeMap::new(),
            books: BTreeMap::new(),
            removed: false,
            ran: BTreeMap::new(),
            nonce: None,
            deaths: deaths.to_vec(),
            boundaries: 0,
            lives: 0,
            written: Vec::new(),
        }
    }

    /// The agent's process may be killed here.
    fn boundary(&mut self) -> Result<(), Dead> {
        let at = self.boundaries;
        self.boundaries += 1;
        if self.deaths.contains(&at) { Err(Dead) } else { Ok(()) }
    }

    /// A life begins, and if it dies, another one, until all is at rest.
    pub(super) fn begins(&mut self) {
        loop {
            self.lives += 1;
            self.pending.clear();
            self.done.clear();
            self.events.clear();
            let mut disk = Checkpoint::default();
            self.disk.records().into_iter().for_each(|record| disk.apply(record));
            assert_eq!(disk, self.disk, "what is read back is what was written");
            let mut seed = [0; 32];
            seed[0] = u8::try_from(self.lives).unwrap();
            let config = Scenario::new(
                |config| config.info.resources = Resources::cpus_mem(40.0, 9999.0),
                Checkpoint::default(),
            )
            .agent
            .config
            .clone();
            self.agent = Some(Agent::new(config, disk, seed));
            self.events.push_back(Event::Started);
            if self.runs().is_ok() {
                return self.is_as_it_should_be();
            }
        }
    }

    /// Until nothing is under way.
    pub(super) fn rests(&mut self) {
        if self.runs().is_err() {
            self.begins();
        }
        self.is_as_it_should_be();
    }

    fn runs(&mut self) -> Result<(), Dead> {
        loop {
            let disk_has_work = !self.pending.is_empty() || !self.done.is_empty();
            if disk_has_work && (!self.disk_is_slow || self.events.is_empty()) {
                self.disk_works()?;
            } else if let Some(event) = self.events.pop_front() {
                self.step(event)?;
            } else {
                return Ok(());
            }
        }
    }

    /// One record gets to the disk, or the agent is told that one is there.
    fn disk_works(&mut self) -> Result<(), Dead> {
        if let Some(record) = self.done.pop_front() {
            return self.step(Event::Written(record));
        }
        if let Some(record) = self.pending.pop_front() {
            self.boundary()?;
            self.disk.apply(record.clone());
            self.written.push(record.clone());
            self.boundary()?;
            self.done.push_back(record);
        }
        Ok(())
    }

    fn step(&mut self, event: Event) -> Result<(), Dead> {
        let now = Now { steady: Instant(1_000_000_000), wall: WallTime(5) };
        let agent = self.agent.as_mut().expect("it lives");
        for effect in agent.step(now, event).effects {
            if !matches!(effect, Effect::Note(_) | Effect::StartTimer { .. } | Effect::Write(_)) {
                self.boundary()?;
            }
            self.perform(effect);
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Write(record) => self.pending.push_back(record),
            Effect::ContactMaster(message) | Effect::TellMaster { message, .. } => {
                self.master_hears(message);
            }
            Effect::TellExecutor { to, message } => self.executor_hears(to, message),
            Effect::StartExecutor(start) => self.starts(*start),
            Effect::FindExecutor(old) => self.looks_for(old),
            Effect::EndOldExecutor(old) => panic!("{old:?} was started by this version"),
            Effect::SignalExecutor { container, .. } => {
                let process = self.processes.get_mut(&container).expect("it was started");
                assert!(process.tasks.values().all(|state| state.is_end()), "kills what runs");
                process.lives = false;
                self.exits(&container, Exit::Signal(9));
            }
            Effect::Stop(end) => panic!("it stops: {end}"),
            _ => {}
        }
    }

    fn says(&mut self, message: MasterToAgent) {
        self.events.push_back(Event::FromMaster { from: master(1), message });
    }

    fn kept(&self, task: &TaskId) -> Option<&KeptTask> {
        self.disk.frameworks.get(&FrameworkId::new("F"))?.tasks.get(task)
    }

    fn master_hears(&mut self, message: AgentToMaster) {
        match message {
            AgentToMaster::Register { nonce, .. } | AgentToMaster::RegisterAt { nonce, .. } => {
                assert_eq!(self.disk.nonce, Some(nonce), "the next life says another");
                assert_eq!(*self.nonce.get_or_insert(nonce), nonce, "two agents joined");
                self.registers();
            }
            AgentToMaster::MayReturn { .. } => {
                self.says(MasterToAgent::ReturnNow { epoch: 1, cluster: ClusterId::new("C") });
            }
            AgentToMaster::Reregister { tasks, .. } | AgentToMaster::ReregisterAt { tasks, .. } => {
                self.registers();
                self.compares(&tasks);
            }
            AgentToMaster::Updated { status, .. } => self.hears(status),
            AgentToMaster::ExecutorEnded { container, .. } => {
                assert!(!self.disk.executors.contains_key(&container), "told before written");
            }
            AgentToMaster::Pong { .. } | AgentToMaster::FromExecutor { .. } => {}
            other @ (AgentToMaster::EpochRefused { .. } | AgentToMaster::Unregister) => {
                panic!("{other:?}")
            }
        }
    }

    fn registers(&mut self) {
        self.says(MasterToAgent::Registered {
            epoch: 1,
            agent: AgentId::new("S1"),
            cluster: ClusterId::new("C"),
            master: MasterId::new("M"),
            ping_every: Duration::from_secs(1),
            silent_after: Duration::from_secs(5),
        });
    }

    /// What a returning agent does not have was never begun; what it has is as it says.
    fn compares(&mut self, tasks: &[TaskReport]) {
        let has = |task: &TaskId| tasks.iter().find(|report| report.spec.task == *task);
        for (task, book) in &mut self.books {
            if has(task).is_none() && book.ended.is_none() {
                assert!(
                    self.removed || !self.ran.contains_key(task),
                    "{task} ran and is not known"
                );
                book.dropped = true;
            }
        }
        for report in tasks.iter().filter(|report| report.state.is_end()) {
            let known = self.kept(&report.spec.task).map(|kept| kept.taken.state);
            assert_eq!(known, Some(report.state), "{} is told before written", report.spec.task);
        }
        let kills = self.books.iter().filter(|(_, book)| book.kill && book.ended.is_none());
        let kills: Vec<TaskId> = kills.map(|(task, _)| task.clone()).collect();
        kills.into_iter().for_each(|task| self.says_kill(task));
        if self.removed {
            self.says_removed();
        }
    }

    fn hears(&mut self, status: TaskStatus) {
        let (task, update) = (status.task.clone(), status.update.expect("it has a number"));
        let mut waiting = self.kept(&task).into_iter().flat_map(|kept| &kept.updates);
        assert!(
            waiting.any(|kept| kept.update == Some(update)),
            "{task} {:?} is told before written",
            status.state
        );
        let book = self.books.get_mut(&task).expect("it was launched");
        if book.heard.insert(update) && status.state.is_end() {
            assert_eq!(book.ended.replace(status.state), None, "{task} ends twice");
        }
        let framework = FrameworkId::new("F");
        self.says(MasterToAgent::Acknowledge { epoch: 1, framework, task, update });
    }

    fn executor_hears(&mut self, to: Pid, message: AgentToExecutor) {
        let found = self.processes.iter().find(|(_, process)| process.actor == to);
        let (container, _) = found.expect("nobody else is told");
        let container = container.clone();
        match message {
            AgentToExecutor::Registered { .. } | AgentToExecutor::Reregistered { .. } => {
                self.process(&container).registered = true;
            }
            AgentToExecutor::Launch(spec) => self.begins_task(&container, spec),
            AgentToExecutor::Kill { task, .. } => {
                if self.process(&container).tasks.get(&task).is_some_and(|state| !state.is_end()) {
                    self.task_is(&container, &task, TaskState::Killed);
                }
            }
            AgentToExecutor::Acknowledge { task, update } => {
                self.is_remembered(&container, &task, update);
                let process = self.process(&container);
                process.waiting.retain(|status| status.update != Some(update));
                let over = process.start.program == Program::CommandExecutor
                    && process.waiting.is_empty()
                    && process.tasks.values().all(|state| state.is_end());
                if over {
                    self.exits(&container, Exit::Code(0));
                }
            }
            AgentToExecutor::Shutdown => {
                let removed = self.removed;
                let process = self.process(&container);
                let idle = process.tasks.values().all(|state| state.is_end());
                assert!(idle || removed, "what runs is told to end");
                self.exits(&container, Exit::Code(0));
            }
            AgentToExecutor::FromScheduler(_) => {}
        }
    }

    /// What an executor forgets because of an acknowledgement, a next life has heard.
    fn is_remembered(&self, container: &ContainerId, task: &TaskId, update: UpdateId) {
        let heard = self.kept(task).and_then(|kept| kept.taken.heard).or_else(|| {
            self.disk.executors.get(container).and_then(|kept| kept.heard.get(task).copied())
        });
        let known = heard.is_some_and(|heard| heard.sequence >= update.sequence);
        assert!(self.removed || known, "{task} {update:?} is acknowledged before written");
    }

    fn begins_task(&mut self, container: &ContainerId, spec: TaskSpec) {
        let task = spec.task;
        assert!(self.kept(&task).is_some(), "{task} is begun before written");
        assert!(self.disk.executors[container].process.is_some(), "its process is not written");
        if self.process(container).tasks.contains_key(&task) {
            return;
        }
        let places = self.ran.entry(task.clone()).or_default();
        places.insert(container.clone());
        assert_eq!(places.len(), 1, "{task} is doubled");
        self.task_is(container, &task, TaskState::Running);
    }

    fn process(&mut self, container: &ContainerId) -> &mut Process {
        self.processes.get_mut(container).expect("it was started")
    }

    fn task_is(&mut self, container: &ContainerId, task: &TaskId, state: TaskState) {
        let process = self.process(container);
        process.sequence += 1;
        let update = UpdateId { source: process.actor.actor(), sequence: process.sequence };
        let status = said_by_executor(task.as_str(), state, update);
        process.tasks.insert(task.clone(), state);
        process.waiting.push(status.clone());
        if state.is_end() && process.start.program == Program::CommandExecutor {
            process.noted = Some(Box::new(status.clone()));
        }
        let (from, message) = (process.actor, ExecutorToAgent::Updated(status));
        self.events.push_back(Event::FromExecutor { from, message });
    }

    fn starts(&mut self, start: StartExecutor) {
        let container = start.container.clone();
        assert!(self.disk.executors.contains_key(&container), "it is started before written");
        let actor = executor(self.processes.len());
        let process = Process {
            start,
            actor,
            lives: true,
            registered: false,
            tasks: BTreeMap::new(),
            waiting: Vec::new(),
            noted: None,
            sequence: 0,
        };
        let former = self.processes.insert(container.clone(), process);
        assert!(former.is_none(), "an executor is doubled");
        let process = ProcessIdentity { process: 77, started: 1, boot: "boot".into() };
        let started = Event::ExecutorStarted { container: container.clone(), process };
        self.events.push_back(started);
        self.contacts(&container);
    }

    fn contacts(&mut self, container: &ContainerId) {
        let process = &self.processes[container];
        let start = &process.start;
        let (framework, executor) =
            (start.framework.framework.clone(), start.spec.executor.clone());
        let (container, token) = (container.clone(), start.token.clone());
        let held =
            |(task, state): (&TaskId, &TaskState)| TaskHeld { task: task.clone(), state: *state };
        let message = if process.registered {
            ExecutorToAgent::Reregister {
                framework,
                executor,
                container,
                token,
                tasks: process.tasks.iter().map(held).collect(),
                unacknowledged: process.waiting.clone(),
            }
        } else {
            ExecutorToAgent::Register { framework, executor, container, token }
        };
        let from = process.actor;
        self.events.push_back(Event::FromExecutor { from, message });
    }

    fn looks_for(&mut self, old: OldExecutor) {
        let OldExecutor { container, process } = old;
        let Some(found) = self.processes.get(&container) else {
            assert!(process.is_none(), "it was noted that it runs");
            return self.events.push_back(Event::ExecutorNeverBegan(container));
        };
        if !found.lives {
            let ended = found.noted.clone();
            return self.events.push_back(Event::ExecutorExited { container, exit: None, ended });
        }
        let process = ProcessIdentity { process: 77, started: 1, boot: "boot".into() };
        self.events.push_back(Event::ExecutorFound { container: container.clone(), process });
        self.contacts(&container);
    }

    fn exits(&mut self, container: &ContainerId, exit: Exit) {
        let process = self.process(container);
        process.lives = false;
        let ended = process.noted.clone();
        let (container, exit) = (container.clone(), Some(exit));
        self.events.push_back(Event::ExecutorExited { container, exit, ended });
    }

    /// What holds whenever nothing is under way.
    fn is_as_it_should_be(&self) {
        let agent = self.agent.as_ref().expect("it lives");
        assert!(agent.master().is_some(), "it is registered");
        for process in self.processes.values().filter(|process| process.lives) {
            for (task, state) in &process.tasks {
                let known = agent.tasks().find(|(_, id, _)| *id == task).map(|(.., state)| state);
                let over = state.is_end() && known.is_none();
                assert!(over || known == Some(*state), "{task} is {state:?}, not {known:?}");
            }
        }
    }
}

/// What happens to the agent.
impl World {
    pub(super) fn launches(&mut self, task: TaskSpec) -> Result<(), Dead> {
        self.books.insert(task.task.clone(), Book::default());
        let (framework, role) = (framework(), Role::everybody());
        self.says(MasterToAgent::Launch { epoch: 1, framework, task, role });
        self.runs()
    }

    /// Where it runs, if it was begun.
    fn place_of(&self, task: &str) -> Option<ContainerId> {
        self.ran.get(&TaskId::new(task)).and_then(|places| places.first()).cloned()
    }

    pub(super) fn executor_says(&mut self, task: &str, state: TaskState) -> Result<(), Dead> {
        if let Some(container) = self.place_of(task) {
            self.task_is(&container, &TaskId::new(task), state);
        }
        self.runs()
    }

    pub(super) fn kills(&mut self, task: &str) -> Result<(), Dead> {
        let task = TaskId::new(task);
        let book = self.books.get_mut(&task).expect("it was launched");
        if !book.dropped {
            book.kill = true;
            self.says_kill(task);
        }
        self.runs()
    }

    fn says_kill(&mut self, task: TaskId) {
        let framework = FrameworkId::new("F");
        self.says(MasterToAgent::Kill { epoch: 1, framework, task, grace: None });
    }

    pub(super) fn process_dies(&mut self, task: &str) -> Result<(), Dead> {
        if let Some(container) = self.place_of(task) {
            self.exits(&container, Exit::Signal(9));
        }
        self.runs()
    }

    pub(super) fn removes_framework(&mut self) -> Result<(), Dead> {
        self.removed = true;
        self.says_removed();
        self.runs()
    }

    fn says_removed(&mut self) {
        let framework = FrameworkId::new("F");
        self.says(MasterToAgent::ShutdownFramework { epoch: 1, framework });
    }

    /// Nothing is left, and all that ran has ended once.
    pub(super) fn is_over(&self) {
        let agent = self.agent.as_ref().expect("it lives");
        assert_eq!((agent.tasks().count(), agent.executors().count()), (0, 0));
        assert_eq!((self.disk.frameworks.len(), self.disk.executors.len()), (0, 0));
        assert!(self.processes.values().all(|process| !process.lives));
        for (task, book) in &self.books {
            let ran = self.ran.contains_key(task);
            let ended = match (task.as_str(), ran) {
                ("c", true) => Some(TaskState::Finished),
                ("a", true) => Some(TaskState::Finished),
                ("d", true) => Some(TaskState::Killed),
                ("b" | "y", true) => Some(TaskState::Failed),
                // Removed with its framework, which nobody asks about.
                ("x", true) => continue,
                _ => {
                    assert!(book.dropped || book.ended.is_some(), "{task} is lost");
                    continue;
                }
            };
            assert_eq!(book.ended, ended, "{task}");
        }
    }
}
