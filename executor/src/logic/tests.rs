//! Decisions of an executor, one scenario each.

use std::time::Duration;

use protocol::carried::Carried;
use protocol::executor::TaskHeld;
use protocol::ids::{ContainerId, ExecutorId, FrameworkId, UpdateId};
use protocol::resources::Resources;
use protocol::task::{ExecutorSpec, Reason, TaskState, TaskStatus};
use protocol::time::{Instant, WallTime};

use super::*;

/// An executor, a clock, and what was done since last asked.
struct Scenario {
    executor: Executor,
    now: Now,
    done: Vec<String>,
    timers: Vec<(Instant, Timer)>,
    told: Vec<TaskStatus>,
    noted: Option<TaskStatus>,
    /// What it said when it looked for its agent.
    contact: Option<ExecutorToAgent>,
}

fn agent() -> Pid {
    Pid::invented(1, 1)
}

fn task(id: &str) -> TaskSpec {
    TaskSpec {
        task: TaskId::new(id),
        name: id.into(),
        resources: Resources::cpus_mem(1.0, 1.0),
        run: Run::Command(CommandSpec {
            value: "sleep 1".into(),
            shell: true,
            ..Default::default()
        }),
        kill_grace: None,
        carried: Carried::default(),
    }
}

impl Scenario {
    fn new() -> Self {
        let identity = Identity {
            framework: FrameworkId::new("F"),
            executor: ExecutorId::new("t"),
            container: ContainerId::new("c"),
            token: "token".into(),
        };
        let mut t = Self {
            executor: Executor::new(identity, Config::default(), 9),
            now: Now::default(),
            done: Vec::new(),
            timers: Vec::new(),
            told: Vec::new(),
            noted: None,
            contact: None,
        };
        t.step(Event::Started);
        t
    }

    fn registered() -> Self {
        let mut t = Self::new();
        let framework =
            FrameworkInfo { user: "ann".into(), ..FrameworkInfo::plain(FrameworkId::new("F")) };
        t.hear(AgentToExecutor::Registered {
            agent: AgentId::new("S1"),
            framework,
            shutdown_grace: Duration::from_secs(5),
        });
        t.done.clear();
        t
    }

    fn running() -> Self {
        let mut t = Self::registered();
        t.hear(AgentToExecutor::Launch(task("t")));
        t.step(Event::Spawned { process: 42 });
        t.done.clear();
        t
    }

    fn step(&mut self, event: Event) {
        for effect in self.executor.step(self.now, event).effects {
            let line = match effect {
                Effect::StartTimer { timer, after } => {
                    self.timers.push((self.now.steady + after, timer));
                    continue;
                }
                Effect::ContactAgent(message) => {
                    let again = matches!(message, ExecutorToAgent::Reregister { .. });
                    self.contact = Some(message);
                    if again { "reregister" } else { "register" }.to_owned()
                }
                Effect::NoteEnd(status) => {
                    self.noted = Some(*status);
                    continue;
                }
                Effect::TellAgent { message: ExecutorToAgent::Updated(status), .. } => {
                    let noted = self.noted.as_ref() == Some(&status);
                    assert!(
                        noted || !status.state.is_end(),
                        "an end is written down before it is told"
                    );
                    let line = format!("{:?}", status.state);
                    self.told.push(status);
                    line
                }
                Effect::TellAgent { message, .. } => panic!("an executor does not say {message:?}"),
                Effect::Link(_) => "link".to_owned(),
                Effect::Spawn(spawn) => format!("spawn as {}", spawn.user),
                Effect::TerminateTree => "terminate".to_owned(),
                Effect::ClearTree => "clear".to_owned(),
                Effect::Exit(end) => format!("exit {:?}", end),
            };
            self.done.push(line);
        }
    }

    fn forget_done(&mut self) {
        self.done.clear();
    }

    fn hear(&mut self, message: AgentToExecutor) {
        self.step(Event::FromAgent { from: agent(), message });
    }

    fn kill(&mut self, grace: u64) {
        let grace = Duration::from_secs(grace);
        self.hear(AgentToExecutor::Kill { task: TaskId::new("t"), grace });
    }

    /// The agent acknowledges all that it was told.
    fn acknowledge_all(&mut self) {
        for status in std::mem::take(&mut self.told) {
            let update = status.update.unwrap();
            self.hear(AgentToExecutor::Acknowledge { task: status.task, update });
        }
    }

    fn pass(&mut self, seconds: u64) {
        let end = self.now.steady + Duration::from_secs(seconds);
        loop {
            let due = self.timers.iter().enumerate().min_by_key(|(_, (at, _))| *at);
            let Some((index, at)) = due.map(|(index, (at, _))| (index, *at)) else { break };
            if at > end {
                break;
            }
            self.now.steady = at;
            let (_, timer) = self.timers.remove(index);
            self.step(Event::TimerFired(timer));
        }
        self.now.steady = end;
    }

    #[track_caller]
    fn did<const N: usize>(&mut self, expected: [&str; N]) {
        assert_eq!(std::mem::take(&mut self.done), expected);
    }

    fn last(&self) -> &TaskStatus {
        self.told.last().unwrap()
    }
}

#[test]
fn an_executor_registers_until_answered_and_gives_up_after_a_minute() {
    let mut t = Scenario::new();
    t.did(["register"]);
    t.pass(59);
    assert!(t.done.len() > 20 && t.done.iter().all(|line| line == "register"));
    t.done.clear();
    t.pass(2);
    assert!(t.done.contains(&"exit NotRegistered".to_owned()), "{:?}", t.done);
}

#[test]
fn a_task_is_started_once_and_its_isolation_is_said() {
    let mut t = Scenario::registered();
    t.hear(AgentToExecutor::Launch(task("t")));
    t.did(["Starting", "spawn as ann"]);
    t.hear(AgentToExecutor::Launch(task("t")));
    t.did([]);
    t.step(Event::Spawned { process: 42 });
    t.did(["Running"]);
    assert_eq!(t.last().process, Some(42));
    assert!(t.last().message.contains("process group only"), "{}", t.last().message);
}

#[test]
fn an_end_is_told_only_when_nothing_of_the_task_lives() {
    let mut t = Scenario::running();
    t.step(Event::Exited(Exit::Code(3)));
    t.did(["clear"]);
    t.step(Event::TreeCleared);
    t.did(["Failed"]);
    assert_eq!(t.last().exit, Some(Exit::Code(3)));
    t.acknowledge_all();
    t.did(["exit Done"]);
}

#[test]
fn what_explains_the_end_is_in_its_words() {
    let full = "exited with status 127 (a shell's word for: command not found); the disk of its";
    let not_begun = Remark::NotBegun("become user 'ann': setgid: no".into());
    for (remark, words, reason) in [
        (Remark::SandboxFull, full, None),
        (not_begun, "cannot become user 'ann': setgid: no", Some(Reason::CommandExecutorFailed)),
    ] {
        let mut t = Scenario::running();
        t.step(Event::Remarked(remark.clone()));
        t.step(Event::Exited(Exit::Code(127)));
        t.step(Event::TreeCleared);
        assert!(t.last().message.starts_with(words), "{}", t.last().message);
        assert_eq!((t.last().reason, t.last().state), (reason, TaskState::Failed));
        // Nothing is wrong with what ends well.
        let mut t = Scenario::running();
        t.step(Event::Remarked(remark));
        t.step(Event::Exited(Exit::Code(0)));
        t.step(Event::TreeCleared);
        assert_eq!((t.last().message.as_str(), t.last().reason), ("exited with status 0", None));
    }
}

#[test]
fn the_end_says_how_the_process_ended() {
    for (exit, state, words) in [
        (Exit::Code(0), TaskState::Finished, "exited with status 0"),
        (Exit::Code(127), TaskState::Failed, "command not found"),
        (Exit::Signal(11), TaskState::Failed, "was killed by signal 11 (SIGSEGV)"),
    ] {
        let mut t = Scenario::running();
        t.step(Event::Exited(exit));
        t.step(Event::TreeCleared);
        assert_eq!(t.last().state, state);
        assert!(t.last().message.contains(words), "{}", t.last().message);
    }
}

#[test]
fn updates_are_said_again_until_acknowledged() {
    let mut t = Scenario::running();
    t.pass(2);
    t.did(["Starting", "Running"]);
    t.acknowledge_all();
    t.pass(60);
    t.did([]);
}

#[test]
fn a_kill_is_polite_then_final() {
    let mut t = Scenario::running();
    t.kill(3);
    t.did(["terminate", "Killing"]);
    // The agent repeats itself; that buys the task no time.
    t.pass(2);
    t.kill(3);
    t.acknowledge_all();
    t.done.clear();
    t.pass(1);
    t.did(["clear"]);
    t.step(Event::Exited(Exit::Signal(9)));
    t.step(Event::TreeCleared);
    t.did(["Killed"]);
}

#[test]
fn a_second_kill_may_shorten_the_grace() {
    let mut t = Scenario::running();
    t.kill(60);
    t.kill(1);
    t.acknowledge_all();
    t.done.clear();
    t.pass(1);
    t.did(["clear"]);
}

#[test]
fn a_kill_while_the_process_is_being_started_is_not_forgotten() {
    let mut t = Scenario::registered();
    t.hear(AgentToExecutor::Launch(task("t")));
    t.kill(3);
    t.done.clear();
    t.step(Event::Spawned { process: 1 });
    t.did(["Running", "terminate", "Killing"]);

    let mut t = Scenario::registered();
    t.hear(AgentToExecutor::Launch(task("t")));
    t.kill(0);
    t.pass(0);
    t.done.clear();
    t.step(Event::Spawned { process: 1 });
    t.did(["Running", "clear"]);
}

#[test]
fn a_command_that_cannot_be_started_says_what_to_do() {
    let mut t = Scenario::registered();
    t.hear(AgentToExecutor::Launch(task("t")));
    t.step(Event::NotSpawned(SpawnFailure::NotFound("/no/such".into())));
    assert_eq!(t.last().state, TaskState::Failed);
    assert_eq!(t.last().reason, Some(Reason::CommandExecutorFailed));
    assert!(t.last().message.contains("'/no/such' was not found on the agent; check the path"));
    t.acknowledge_all();
    assert_eq!(t.done.last().unwrap(), "exit Done");
}

#[test]
fn a_task_runs_on_while_its_agent_is_away_and_the_executor_says_what_it_has() {
    let mut t = Scenario::running();
    t.acknowledge_all();
    t.step(Event::AgentDown { pid: agent() });
    t.did([]);
    // It ends meanwhile, and that is written down.
    t.step(Event::Exited(Exit::Code(3)));
    t.step(Event::TreeCleared);
    assert_eq!(t.noted.as_ref().map(|status| status.state), Some(TaskState::Failed));
    t.forget_done();
    t.pass(1);
    assert!(t.done.len() >= 2 && t.done.iter().all(|line| line == "reregister"), "{:?}", t.done);
    let Some(ExecutorToAgent::Reregister { tasks, unacknowledged, .. }) = t.contact.clone() else {
        panic!("{:?}", t.contact)
    };
    assert_eq!(tasks, [TaskHeld { task: TaskId::new("t"), state: TaskState::Failed }]);
    assert_eq!(unacknowledged, [t.noted.clone().unwrap()]);
    t.forget_done();
    let again = Pid::invented(2, 1);
    let message = AgentToExecutor::Reregistered {
        agent: AgentId::new("S1"),
        shutdown_grace: Duration::from_secs(5),
    };
    t.step(Event::FromAgent { from: again, message });
    t.did(["link"]);
    t.told.extend(unacknowledged);
    t.acknowledge_all();
    t.did(["exit Done"]);
}

#[test]
fn exec_10_executors_that_lost_one_agent_look_for_it_by_chance_and_pause_no_longer_than_they_may() {
    let most = Config::default().reconnect_backoff_max;
    assert!(most <= Duration::from_secs(2), "what agents tell");
    let mut firsts = std::collections::BTreeSet::new();
    let mut longest = Duration::ZERO;
    for source in 0..100_u64 {
        let mut t = Scenario::running();
        t.executor.updates = Updates::new(source.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        t.timers.clear();
        t.step(Event::AgentDown { pid: agent() });
        for contact in 0..20 {
            let again = |timer: &Timer| matches!(timer, Timer::ContactAgain { .. });
            let index = t.timers.iter().position(|(_, timer)| again(timer)).unwrap();
            let (at, timer) = t.timers.remove(index);
            let pause = at - t.now.steady;
            assert!(pause <= most, "{pause:?}");
            if contact == 0 {
                firsts.insert(pause);
            }
            longest = longest.max(pause);
            t.now.steady = at;
            t.forget_done();
            t.step(Event::TimerFired(timer));
            t.did(["reregister"]);
        }
    }
    assert!(firsts.len() > 90, "{firsts:?}");
    assert!(longest > most.mul_f32(0.9), "{longest:?}");
}

#[test]
fn exec_09_an_executor_that_waits_for_no_agent_ends_with_its_own() {
    let mut t = Scenario::running();
    t.executor.config.recovery_timeout = Duration::ZERO;
    t.step(Event::AgentDown { pid: agent() });
    t.pass(0);
    t.done.retain(|line| line != "reregister");
    t.did(["clear"]);
    t.step(Event::Exited(Exit::Signal(9)));
    t.step(Event::TreeCleared);
    t.did(["exit AgentLost"]);
}

#[test]
fn exec_09_an_agent_that_does_not_come_back_ends_the_task_and_then_the_executor() {
    let mut t = Scenario::running();
    t.step(Event::AgentDown { pid: agent() });
    t.pass(15 * 60 - 1);
    t.forget_done();
    t.pass(1);
    t.done.retain(|line| line != "reregister");
    t.did(["clear"]);
    t.step(Event::Exited(Exit::Signal(9)));
    t.did([]);
    t.step(Event::TreeCleared);
    t.did(["exit AgentLost"]);
}

#[test]
fn a_shutdown_kills_within_its_grace_and_does_not_wait_for_ever() {
    let mut t = Scenario::running();
    t.hear(AgentToExecutor::Shutdown);
    t.did(["terminate", "Killing"]);
    t.acknowledge_all();
    t.pass(4);
    t.did(["clear"]);
    t.step(Event::Exited(Exit::Signal(9)));
    t.step(Event::TreeCleared);
    t.did(["Killed"]);
    t.pass(1);
    t.did(["exit Told"]);
}

#[test]
fn a_shutdown_before_any_task_ends_it_at_once() {
    let mut t = Scenario::registered();
    t.hear(AgentToExecutor::Shutdown);
    t.did(["exit Told"]);
}

#[test]
fn it_takes_no_second_task_and_no_task_of_another_kind() {
    let mut t = Scenario::running();
    t.hear(AgentToExecutor::Launch(task("other")));
    t.did(["Error"]);
    let mut t = Scenario::registered();
    let executor = ExecutorSpec {
        executor: ExecutorId::new("t"),
        name: "t".into(),
        command: CommandSpec::default(),
        resources: Resources::none(),
        shutdown_grace: None,
    };
    let run = Run::Executor { executor, data: Vec::new() };
    t.hear(AgentToExecutor::Launch(TaskSpec { run, ..task("t") }));
    t.did(["Error"]);
}

#[test]
fn an_acknowledgement_of_something_else_changes_nothing() {
    let mut t = Scenario::running();
    t.step(Event::Exited(Exit::Code(0)));
    t.step(Event::TreeCleared);
    t.done.clear();
    let update = UpdateId { source: 1, sequence: 3 };
    t.hear(AgentToExecutor::Acknowledge { task: TaskId::new("t"), update });
    t.did([]);
    assert_eq!(t.last().at, WallTime(0));
}

#[cfg(feature = "testing")]
mod bugs {
    use super::*;

    #[test]
    fn the_task_is_killed_when_the_agent_is_lost() {
        let mut t = Scenario::running();
        t.executor.config.bug = Some(Bug::TaskKilledWithoutAgent);
        t.step(Event::AgentDown { pid: agent() });
        t.did(["clear"]);
    }

    #[test]
    #[should_panic(expected = "an end is written down before it is told")]
    fn the_end_is_told_before_it_is_written_down() {
        let mut t = Scenario::running();
        t.executor.config.bug = Some(Bug::EndToldBeforeNoted);
        t.step(Event::Exited(Exit::Code(0)));
        t.step(Event::TreeCleared);
    }
}
