//! Decisions of the executor's driver, one step at a time.

use protocol::executor::{AgentToExecutor, ExecutorToAgent};
use protocol::ids::{ContainerId, ExecutorId, FrameworkId};
use protocol::task::{CommandSpec, Run};

use super::*;

struct Scenario {
    driver: ExecutorDriver,
    lines: Vec<String>,
    timers: Vec<Timer>,
}

fn agent() -> Pid {
    Pid::invented(1, 1)
}

fn task(name: &str) -> TaskSpec {
    TaskSpec {
        task: TaskId::new(name),
        name: name.into(),
        resources: Default::default(),
        run: Run::Command(CommandSpec::default()),
        kill_grace: None,
        carried: Default::default(),
    }
}

fn registered() -> AgentToExecutor {
    AgentToExecutor::Registered {
        agent: AgentId::new("S1"),
        framework: FrameworkInfo {
            framework: FrameworkId::new("F"),
            name: "test".into(),
            user: "nobody".into(),
            roles: vec![],
            failover_timeout: Duration::ZERO,
            hostname: "h".into(),
            capabilities: vec![],
            carried: Default::default(),
        },
        shutdown_grace: Duration::from_secs(5),
    }
}

impl Scenario {
    fn new() -> Self {
        let identity = Identity {
            framework: FrameworkId::new("F"),
            executor: ExecutorId::new("E"),
            container: ContainerId::new("C"),
            token: "t".into(),
        };
        Self {
            driver: ExecutorDriver::new(identity, 7, Duration::from_secs(60)),
            lines: vec![],
            timers: vec![],
        }
    }

    /// Registered, with task `a` launched.
    fn running() -> Self {
        let mut t = Self::new();
        t.step(Event::Started);
        t.hear(registered());
        t.hear(AgentToExecutor::Launch(task("a")));
        t.lines.clear();
        t
    }

    fn step(&mut self, event: Event) {
        for effect in self.driver.step(Now::default(), event) {
            self.lines.push(match effect {
                Effect::TellAgent { to, message } => {
                    let to = if to.is_some() { "pid" } else { "name" };
                    match message {
                        ExecutorToAgent::Register { .. } => format!("to {to}: Register"),
                        ExecutorToAgent::Updated(status) => {
                            let number = status.update.unwrap().sequence;
                            format!("to {to}: {} {:?} {number}", status.task, status.state)
                        }
                        ExecutorToAgent::ToScheduler(data) => format!("to {to}: message {data:?}"),
                        ExecutorToAgent::Reregister { tasks, unacknowledged, .. } => {
                            let (tasks, news) = (tasks.len(), unacknowledged.len());
                            format!("to {to}: Reregister with {tasks} tasks, {news} news")
                        }
                    }
                }
                Effect::Link(_) => "link".into(),
                Effect::StartTimer { timer, after } => {
                    self.timers.push(timer);
                    let name = format!("{timer:?}");
                    format!("{} in {after:?}", name.split('(').next().unwrap())
                }
                Effect::Author(Word::Registered(..)) => "author: registered".into(),
                Effect::Author(Word::Launch(spec)) => format!("author: launch {}", spec.task),
                Effect::Author(Word::Kill(task, grace)) => format!("author: kill {task} {grace:?}"),
                Effect::Author(Word::Message(data)) => format!("author: message {data:?}"),
                Effect::Author(Word::Shutdown) => "author: shutdown".into(),
                Effect::Exit(ending) => format!("exit {ending:?}"),
            });
        }
    }

    fn hear(&mut self, message: AgentToExecutor) {
        self.step(Event::FromAgent { from: agent(), message });
    }

    fn report(&mut self, name: &str, state: TaskState) {
        let (task, message, data) = (TaskId::new(name), String::new(), vec![]);
        self.step(Event::Reported(Report::Task { task, state, message, data }));
    }

    fn acknowledge(&mut self, name: &str, sequence: u64) {
        let update = UpdateId { source: 7, sequence };
        self.hear(AgentToExecutor::Acknowledge { task: TaskId::new(name), update });
    }

    fn timer_due(&mut self) {
        let timer = self.timers.pop().expect("a timer runs");
        self.step(Event::TimerFired(timer));
    }

    #[track_caller]
    fn did<const N: usize>(&mut self, expected: [&str; N]) {
        assert_eq!(std::mem::take(&mut self.lines), expected);
    }
}

#[test]
fn registration_is_repeated_and_given_up() {
    let mut t = Scenario::new();
    t.step(Event::Started);
    t.did(["to name: Register", "Register in 500ms"]);
    t.timer_due();
    t.did(["to name: Register", "Register in 1s"]);
    for _ in 0..7 {
        t.timer_due();
    }
    assert_eq!(t.lines.pop().as_deref(), Some("exit NoAnswer"));
}

#[test]
fn a_launch_reaches_the_author_once() {
    let mut t = Scenario::new();
    t.step(Event::Started);
    t.lines.clear();
    t.hear(registered());
    t.did(["link", "author: registered"]);
    t.hear(registered());
    t.hear(AgentToExecutor::Launch(task("a")));
    t.hear(AgentToExecutor::Launch(task("a")));
    t.did(["author: launch a"]);
}

#[test]
fn updates_go_at_once_and_again_until_acknowledged() {
    let mut t = Scenario::running();
    t.report("a", TaskState::Running);
    t.report("a", TaskState::Finished);
    t.did(["to pid: a Running 1", "Updates in 500ms", "to pid: a Finished 2"]);
    t.timer_due();
    t.did(["to pid: a Running 1", "to pid: a Finished 2", "Updates in 1s"]);
    t.acknowledge("a", 1);
    t.did(["Updates in 500ms"]);
    t.timer_due();
    t.did(["to pid: a Finished 2", "Updates in 1s"]);
    t.acknowledge("a", 1);
    t.did([]);
    t.acknowledge("a", 2);
    t.timer_due();
    t.did([]);
}

#[test]
fn nothing_follows_the_end_of_a_task() {
    let mut t = Scenario::running();
    t.report("a", TaskState::Finished);
    t.lines.clear();
    t.report("a", TaskState::Failed);
    t.hear(AgentToExecutor::Kill { task: TaskId::new("a"), grace: Duration::from_secs(1) });
    t.hear(AgentToExecutor::Launch(task("a")));
    t.did([]);
}

#[test]
fn what_finds_no_room_keeps_its_order() {
    let mut t = Scenario::running();
    let message = |n| Event::Reported(Report::Message(vec![n]));
    t.step(Event::NotSent(ExecutorToAgent::ToScheduler(vec![1])));
    t.step(Event::NotSent(ExecutorToAgent::ToScheduler(vec![2])));
    t.step(message(3));
    t.did(["Backlog in 20ms"]);
    t.timer_due();
    t.did(["to pid: message [1]", "to pid: message [2]", "to pid: message [3]"]);
    for n in 0..=BACKLOG_MOST {
        let n = u8::try_from(n).unwrap();
        t.step(Event::NotSent(ExecutorToAgent::ToScheduler(vec![n])));
    }
    assert!(!t.driver.has_room());
}

#[test]
fn its_tasks_run_on_while_its_agent_is_away() {
    let mut t = Scenario::running();
    t.step(Event::Down { pid: Pid::invented(2, 1) });
    t.did([]);
    t.step(Event::Down { pid: agent() });
    let (contact, recovery) = ("to name: Reregister with 1 tasks, 0 news", "Recovery in 60s");
    t.did([recovery, contact, "Contact in 50ms"]);
    t.report("a", TaskState::Running);
    t.did(["Updates in 500ms"]);
    t.step(Event::TimerFired(Timer::Contact(1)));
    t.did(["to name: Reregister with 1 tasks, 1 news", "Contact in 100ms"]);
    let (again, grace) = (Pid::invented(2, 1), Duration::from_secs(5));
    let message =
        AgentToExecutor::Reregistered { agent: AgentId::new("S1"), shutdown_grace: grace };
    t.step(Event::FromAgent { from: again, message });
    t.did(["link", "to pid: a Running 1", "Updates in 500ms"]);
    // Timers of the loss that is over do nothing.
    t.step(Event::TimerFired(Timer::Contact(1)));
    t.step(Event::TimerFired(Timer::Recovery(1)));
    t.did([]);
    let kill = AgentToExecutor::Kill { task: TaskId::new("a"), grace };
    t.step(Event::FromAgent { from: again, message: kill });
    t.did(["author: kill a 5s"]);
}

#[test]
fn an_agent_that_does_not_come_back_in_time_ends_it() {
    let mut t = Scenario::running();
    t.step(Event::Down { pid: agent() });
    t.lines.clear();
    t.step(Event::TimerFired(Timer::Recovery(1)));
    t.did(["author: shutdown", "exit AgentLost"]);
    t.report("a", TaskState::Finished);
    t.did([]);
}

#[test]
fn who_is_turned_away_by_the_agents_next_life_ends() {
    let mut t = Scenario::running();
    t.step(Event::Down { pid: agent() });
    t.lines.clear();
    t.hear(AgentToExecutor::Shutdown);
    t.did(["author: shutdown", "Grace in 5s"]);
}

#[test]
fn a_shut_down_waits_for_the_last_word_of_each_task() {
    let mut t = Scenario::running();
    t.hear(AgentToExecutor::Shutdown);
    t.did(["author: shutdown", "Grace in 5s"]);
    t.report("a", TaskState::Killed);
    t.did(["to pid: a Killed 1", "Updates in 500ms"]);
    t.acknowledge("a", 1);
    t.did(["exit ShutDown"]);
}

#[test]
fn a_shut_down_does_not_wait_for_ever() {
    let mut t = Scenario::running();
    t.hear(AgentToExecutor::Shutdown);
    t.lines.clear();
    t.timer_due();
    t.did(["exit ShutDown"]);
}
