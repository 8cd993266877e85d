//! What the executor of a command task decides. No sockets, clocks or processes here: [`Executor::step`] takes one event
//! and returns what should happen next. One executor runs one task, so all processes below it are that task's.

mod agent;
mod config;
mod updates;
mod words;

#[cfg(test)]
mod tests;

use std::time::Duration;

use libactor::Pid;
use protocol::container::{SecretValue, Wanted};
use protocol::executor::{AgentToExecutor, ExecutorToAgent};
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, TaskId};
use protocol::task::{CommandSpec, Exit, Run, TaskSpec, TaskStatus};
use protocol::time::Now;
use serde::{Deserialize, Serialize};

pub use config::{Bug, Config};
pub use protocol::executor::Identity;
pub use words::{End, Remark, SpawnFailure};

use agent::Lost;
use updates::Updates;

/// Everything that can happen to an executor.
#[allow(clippy::large_enum_variant)] // an event is moved once, into the step that uses it up
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The first event.
    Started,
    /// Its agent speaks.
    FromAgent {
        /// The agent's actor.
        from: Pid,
        /// What it says.
        message: AgentToExecutor,
    },
    /// The agent is gone or its connection is lost; see [`Effect::Link`].
    AgentDown {
        /// The agent's actor.
        pid: Pid,
    },
    /// The task's process runs; see [`Effect::Spawn`].
    Spawned {
        /// Its number.
        process: u32,
    },
    /// The task's process could not be started; see [`Effect::Spawn`].
    NotSpawned(SpawnFailure),
    /// Something that explains the end of the task's own process; said before its [`Event::Exited`].
    Remarked(Remark),
    /// The task's own process has ended; others below it may live.
    Exited(Exit),
    /// No process below the executor lives; see [`Effect::ClearTree`].
    TreeCleared,
    /// See [`Effect::StartTimer`].
    TimerFired(Timer),
    /// The executor itself was told to end by a signal.
    Terminate,
}

/// Everything an executor can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Say this to the agent's actor, whoever has that name now; may get lost.
    ContactAgent(ExecutorToAgent),
    /// Say this to the agent.
    TellAgent {
        /// The agent's actor.
        to: Pid,
        /// What.
        message: ExecutorToAgent,
    },
    /// Comes back as [`Event::AgentDown`], once.
    Link(Pid),
    /// Write down how the task ended, before anything that comes after this is done.
    NoteEnd(Box<TaskStatus>),
    /// Start the task's process; comes back as [`Event::Spawned`] and at last [`Event::Exited`], or as
    /// [`Event::NotSpawned`] alone.
    Spawn(Box<Spawn>),
    /// `SIGTERM` to every process below the executor.
    TerminateTree,
    /// `SIGKILL` to every process below the executor, again and again until none lives; comes back as
    /// [`Event::TreeCleared`] (and as [`Event::Exited`] before it, if the task's own process lived).
    ClearTree,
    /// Comes back as [`Event::TimerFired`]; never cancelled.
    StartTimer {
        /// Which.
        timer: Timer,
        /// How long from now.
        after: Duration,
    },
    /// End the process.
    Exit(End),
}

/// What the executor waits for. Generations tell a timer that was replaced from one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Timer {
    /// Contact the agent (again).
    Register,
    /// The agent should have answered by now.
    RegisterOverdue,
    /// Contact the agent that was lost, or its next life (again).
    ContactAgain {
        /// Grows with each loss.
        generation: u64,
    },
    /// The agent that was lost should have come back by now.
    RecoveryOver {
        /// Grows with each loss.
        generation: u64,
    },
    /// The grace of a kill is over.
    GraceOver {
        /// Grows with each kill that shortens the grace.
        generation: u64,
    },
    /// Say unacknowledged updates again.
    UpdatesAgain {
        /// Grows with each start of this timer.
        generation: u64,
    },
    /// Nothing keeps the executor but an acknowledgement that does not come.
    LingerOver,
}

/// What it takes to start the task's process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spawn {
    /// The task.
    pub task: TaskId,
    /// What to start.
    pub command: CommandSpec,
    /// Who it runs as; empty: as the executor itself.
    pub user: String,
    /// Added to its environment for people: framework, agent and the like.
    pub environment: Vec<(String, String)>,
    /// What its secret volumes hold, in their order.
    pub secrets: Vec<SecretValue>,
}

/// What one step brings about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// In this order.
    pub effects: Vec<Effect>,
}

/// `Registering -> Idle -> Spawning -> Running -> Clearing -> Over`; a task that cannot be started goes to `Over` at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Phase {
    /// Says who it is until the agent answers.
    Registering { attempts: u32 },
    /// Has no task yet.
    Idle,
    /// The task's process is being started.
    Spawning,
    /// The task's process runs.
    Running,
    /// The task's process has ended; what it left behind is being killed.
    Clearing { exit: Exit },
    /// The task has ended, and its news wait for acknowledgement.
    Over,
}

/// A kill that has begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kill {
    /// When the final signal follows.
    ends: protocol::time::Instant,
    generation: u64,
    /// Whether the polite signal was sent.
    begun: bool,
}

/// The executor of one command task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Executor {
    identity: Identity,
    config: Config,
    phase: Phase,
    agent: Option<Pid>,
    /// Set while an agent that was lost is looked for.
    lost: Option<Lost>,
    losses: u64,
    agent_id: Option<AgentId>,
    framework: Option<FrameworkInfo>,
    shutdown_grace: Duration,
    task: Option<TaskId>,
    kill: Option<Kill>,
    /// Set once it is to end even if its news are not acknowledged.
    leaving: Option<End>,
    /// Whether everything below is being killed.
    clearing: bool,
    remark: Option<Remark>,
    updates: Updates,
}

/// One call of [`Executor::step`]: the time it is, and what will be done.
struct Turn {
    now: Now,
    effects: Vec<Effect>,
}

impl Turn {
    fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn start(&mut self, timer: Timer, after: Duration) {
        self.push(Effect::StartTimer { timer, after });
    }
}

impl Executor {
    /// A new executor; `source` is random and names it in the ids of its updates.
    pub fn new(identity: Identity, config: Config, source: u64) -> Self {
        Self {
            identity,
            phase: Phase::Registering { attempts: 0 },
            agent: None,
            lost: None,
            losses: 0,
            agent_id: None,
            framework: None,
            shutdown_grace: config.kill_grace,
            config,
            task: None,
            kill: None,
            leaving: None,
            clearing: false,
            remark: None,
            updates: Updates::new(source),
        }
    }

    /// The index of everything the executor reacts to.
    pub fn step(&mut self, now: Now, event: Event) -> Step {
        let mut turn = Turn { now, effects: Vec::new() };
        let turn_ref = &mut turn;
        match event {
            Event::Started => self.on_started(turn_ref),
            Event::FromAgent { from, message } => self.on_agent_said(turn_ref, from, message),
            Event::AgentDown { pid } => self.on_agent_down(turn_ref, pid),
            Event::Spawned { process } => self.on_spawned(turn_ref, process),
            Event::NotSpawned(failure) => self.on_not_spawned(turn_ref, failure),
            Event::Remarked(remark) => self.remark = Some(remark),
            Event::Exited(exit) => self.on_exited(turn_ref, exit),
            Event::TreeCleared => self.on_tree_cleared(turn_ref),
            Event::TimerFired(timer) => self.on_timer(turn_ref, timer),
            Event::Terminate => self.on_shutdown(turn_ref, End::Terminated),
        }
        Step { effects: turn.effects }
    }

    fn on_timer(&mut self, turn: &mut Turn, timer: Timer) {
        match timer {
            Timer::Register => self.register(turn),
            Timer::RegisterOverdue => {
                if matches!(self.phase, Phase::Registering { .. }) {
                    turn.push(Effect::Exit(End::NotRegistered));
                }
            }
            Timer::ContactAgain { generation } => self.contact_again(turn, generation),
            Timer::RecoveryOver { generation } => self.on_recovery_over(turn, generation),
            Timer::GraceOver { generation } => self.on_grace_over(turn, generation),
            Timer::UpdatesAgain { generation } => self.on_updates_due(turn, generation),
            Timer::LingerOver => {
                if let (Phase::Over, Some(end)) = (&self.phase, self.leaving) {
                    turn.push(Effect::Exit(end));
                }
            }
        }
    }

    fn on_started(&mut self, turn: &mut Turn) {
        turn.start(Timer::RegisterOverdue, self.config.register_within);
        self.register(turn);
    }

    fn on_agent_said(&mut self, turn: &mut Turn, from: Pid, message: AgentToExecutor) {
        match message {
            AgentToExecutor::Registered { agent, framework, shutdown_grace } => {
                if self.agent.is_none() {
                    self.agent = Some(from);
                    turn.push(Effect::Link(from));
                }
                self.agent_id = Some(agent);
                self.framework = Some(framework);
                self.shutdown_grace = shutdown_grace;
                if matches!(self.phase, Phase::Registering { .. }) {
                    self.phase = Phase::Idle;
                }
            }
            AgentToExecutor::Launch(task) => self.on_launch(turn, task),
            AgentToExecutor::Kill { task, grace } => {
                if self.task.as_ref() == Some(&task) {
                    self.kill_within(turn, grace);
                }
            }
            AgentToExecutor::Acknowledge { task, update } => {
                if self.updates.acknowledge(&task, update) {
                    self.exit_if_done(turn);
                }
            }
            // Command tasks have nobody to read it.
            AgentToExecutor::FromScheduler(_) => {}
            AgentToExecutor::Shutdown => self.on_shutdown(turn, End::Told),
            AgentToExecutor::Reregistered { agent, shutdown_grace } => {
                self.agent_id = Some(agent);
                self.shutdown_grace = shutdown_grace;
                self.on_reregistered(turn, from);
            }
        }
    }

    /// A launch of the task that it has is a repeat: its updates say how it is.
    fn on_launch(&mut self, turn: &mut Turn, spec: TaskSpec) {
        // The answer to the registration was lost: it is asked for again, and then the launch is repeated.
        let Some(framework) = self.framework.clone() else {
            return;
        };
        if let Some(task) = &self.task {
            if *task != spec.task {
                let words = "this executor has a task already".to_owned();
                self.say(turn, &spec.task, updates::Saying::refused(words));
            }
            return;
        }
        self.task = Some(spec.task.clone());
        let secrets = secrets_of(&spec);
        let command = match spec.run {
            Run::Command(command) => command,
            Run::Executor { .. } => {
                self.phase = Phase::Over;
                let words = "the executor of command tasks runs commands only".to_owned();
                self.say(turn, &spec.task, updates::Saying::refused(words));
                return;
            }
        };
        self.phase = Phase::Spawning;
        self.say(turn, &spec.task, updates::Saying::starting());
        let user = command.user.clone().unwrap_or_else(|| framework.user.clone());
        let agent = self.agent_id.as_ref().map_or("", AgentId::as_str);
        let environment = [
            ("AIRSIDE_TASK_ID", spec.task.as_str()),
            ("AIRSIDE_TASK_NAME", spec.name.as_str()),
            ("AIRSIDE_AGENT_ID", agent),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = environment.to_vec();
        let spawn = Spawn { task: spec.task, command, user, environment, secrets };
        turn.push(Effect::Spawn(Box::new(spawn)));
    }

    fn on_spawned(&mut self, turn: &mut Turn, process: u32) {
        self.phase = Phase::Running;
        if let Some(task) = self.task.clone() {
            self.say(turn, &task, updates::Saying::running(process));
        }
        if self.clearing {
            turn.push(Effect::ClearTree);
        } else {
            self.begin_kill(turn);
        }
    }

    fn on_not_spawned(&mut self, turn: &mut Turn, failure: SpawnFailure) {
        self.phase = Phase::Over;
        if let Some(task) = self.task.clone() {
            self.say(turn, &task, updates::Saying::not_spawned(&failure));
        }
        self.exit_if_leaving(turn);
    }

    /// Asked for once or again; a repeat may shorten the grace and never lengthens it.
    fn kill_within(&mut self, turn: &mut Turn, grace: Duration) {
        match self.phase {
            Phase::Spawning | Phase::Running => {}
            Phase::Registering { .. } | Phase::Idle | Phase::Clearing { .. } | Phase::Over => {
                return;
            }
        }
        let ends = turn.now.steady + grace;
        let (generation, begun) = match &self.kill {
            Some(kill) if kill.ends <= ends => return,
            Some(kill) => (kill.generation + 1, kill.begun),
            None => (0, false),
        };
        self.kill = Some(Kill { ends, generation, begun });
        turn.start(Timer::GraceOver { generation }, grace);
        self.begin_kill(turn);
    }

    /// The polite signal, as soon as there is a process to hear it.
    fn begin_kill(&mut self, turn: &mut Turn) {
        if !matches!(self.phase, Phase::Running) {
            return;
        }
        let Some(kill) = self.kill.as_mut().filter(|kill| !kill.begun) else {
            return;
        };
        kill.begun = true;
        turn.push(Effect::TerminateTree);
        if let Some(task) = self.task.clone() {
            self.say(turn, &task, updates::Saying::killing());
        }
    }

    fn on_grace_over(&mut self, turn: &mut Turn, generation: u64) {
        if self.kill.as_ref().is_some_and(|kill| kill.generation == generation) {
            self.clear_tree(turn);
        }
    }

    fn clear_tree(&mut self, turn: &mut Turn) {
        match self.phase {
            // A process on its way is killed as soon as it is there.
            Phase::Spawning => self.clearing = true,
            Phase::Running | Phase::Clearing { .. } => {
                if !self.clearing {
                    self.clearing = true;
                    turn.push(Effect::ClearTree);
                }
            }
            Phase::Registering { .. } | Phase::Idle | Phase::Over => {}
        }
    }

    fn on_exited(&mut self, turn: &mut Turn, exit: Exit) {
        if matches!(self.phase, Phase::Running) {
            self.phase = Phase::Clearing { exit };
            self.clear_tree(turn);
        }
    }

    /// Only now can the task be said to have ended: nothing of it runs any more.
    fn on_tree_cleared(&mut self, turn: &mut Turn) {
        let Phase::Clearing { exit } = self.phase else {
            return;
        };
        self.phase = Phase::Over;
        if let Some(task) = self.task.clone() {
            let killed = self.kill.is_some() || self.leaving.is_some();
            let remark = self.remark.as_ref();
            self.say(turn, &task, updates::Saying::ended(exit, killed, remark));
        }
        self.exit_if_leaving(turn);
    }

    fn on_shutdown(&mut self, turn: &mut Turn, end: End) {
        if self.leaving.is_some() {
            return;
        }
        self.leaving = Some(end);
        match self.phase {
            Phase::Registering { .. } | Phase::Idle => turn.push(Effect::Exit(end)),
            Phase::Spawning | Phase::Running => {
                // A part of the grace is left for the final signal and the news of it.
                self.kill_within(turn, self.shutdown_grace.mul_f32(0.8));
            }
            Phase::Clearing { .. } => {}
            Phase::Over => self.exit_if_leaving(turn),
        }
    }

    /// Waits a moment for acknowledgements, unless there is no agent left to give them.
    fn exit_if_leaving(&mut self, turn: &mut Turn) {
        match self.leaving {
            None => {}
            Some(end) if self.agent.is_none() => turn.push(Effect::Exit(end)),
            Some(_) => turn.start(Timer::LingerOver, self.config.linger),
        }
    }

    fn exit_if_done(&mut self, turn: &mut Turn) {
        if matches!(self.phase, Phase::Over) && self.updates.is_empty() {
            turn.push(Effect::Exit(self.leaving.unwrap_or(End::Done)));
        }
    }
}

/// What the secret volumes of a task hold.
fn secrets_of(spec: &TaskSpec) -> Vec<SecretValue> {
    // What its agent could not read it has not sent.
    let info = spec.carried.decode().ok();
    let wanted = info.and_then(|info| Wanted::of_task(&info).ok());
    wanted.iter().flat_map(Wanted::secrets).cloned().collect()
}
