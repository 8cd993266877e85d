//! Executors of the v1 API, for which gateways speak.

use super::*;

impl Scenario {
    /// A gateway subscribes for the nth executor, as actor 100 + n + `life`.
    fn subscribes(&mut self, n: usize, life: usize, tasks: &[&str], news: Vec<TaskStatus>) {
        let subscription = Subscription {
            container: self.started[n].container.clone(),
            tasks: tasks.iter().map(TaskId::new).collect(),
            unacknowledged: news,
        };
        let from = executor(n + life);
        self.step(Event::ExecutorSubscribes { from, subscription });
    }

    /// Its gateway passes on that it says this, under an id of its own making.
    fn gateway_says(&mut self, n: usize, task: &str, state: TaskState, id: (u64, u64)) {
        let message = ExecutorToAgent::Updated(said(task, state, id));
        self.step(Event::FromExecutor { from: executor(n), message });
    }

    #[track_caller]
    fn addressed(&self, framework: &str, id: &str) -> &'static str {
        match self.agent.addressed(&FrameworkId::new(framework), &ExecutorId::new(id)) {
            Addressed::NoFramework => "no framework",
            Addressed::NoExecutor => "no executor",
            Addressed::Native => "native",
            Addressed::Executor(known) if known.gateway.is_some() => "subscribed",
            Addressed::Executor(_) => "not subscribed",
        }
    }
}

fn said(task: &str, state: TaskState, (source, sequence): (u64, u64)) -> TaskStatus {
    said_by_executor(task, state, UpdateId { source, sequence })
}

/// An executor that has its task.
fn with_task() -> Scenario {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    t.forget_done();
    t.subscribes(0, 0, &[], Vec::new());
    t.did(["link 100", "to executor 100: Registered", "to executor 100: Launch a"]);
    t
}

#[test]
fn who_calls_is_known_by_framework_and_executor() {
    let mut t = Scenario::registered();
    assert_eq!(t.addressed("F", "E"), "no framework");
    t.launch(custom_task("a", "E"));
    t.launch(command_task("c"));
    assert_eq!(t.addressed("F", "other"), "no executor");
    assert_eq!(t.addressed("F", "c"), "native", "it is of the agent's own making");
    assert_eq!(t.addressed("F", "E"), "not subscribed");
    t.subscribes(0, 0, &[], Vec::new());
    assert_eq!(t.addressed("F", "E"), "subscribed");
    t.launch(custom_task("n", "N"));
    t.executor_registers(2);
    assert_eq!(t.addressed("F", "N"), "native", "it speaks our protocol");
}

/// What goes out on a stream arrives, or the stream ends.
#[test]
fn a_launch_is_not_said_again_on_a_stream() {
    let mut t = with_task();
    t.pass(Duration::from_secs(600));
    assert!(t.take_done().iter().all(|line| !line.contains("Launch")), "{:?}", t.take_done());
}

#[test]
fn ids_of_updates_are_in_no_order_and_the_same_one_is_no_news() {
    let mut t = with_task();
    for (state, id) in
        [(TaskState::Starting, (7, 9)), (TaskState::Running, (7, 3)), (TaskState::Finished, (7, 1))]
    {
        t.gateway_says(0, "a", state, id);
        assert!(t.take_done().contains(&"to executor 100: Acknowledge a".to_owned()));
        t.gateway_says(0, "a", state, id);
        t.did(["to executor 100: Acknowledge a"]);
        assert_eq!(t.sent.as_ref().map(|sent| sent.state), Some(state));
        t.acknowledge();
    }
    assert_eq!(t.agent.tasks().count(), 0);
}

#[test]
fn one_that_has_had_nothing_to_do_is_shut_down() {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    t.kill("a");
    t.forget_done();
    t.subscribes(0, 0, &[], Vec::new());
    let done = t.take_done();
    assert!(done.contains(&"to executor 100: Shutdown".to_owned()), "{done:?}");
    assert!(done.contains(&"dismiss 100".to_owned()), "{done:?}");
}

#[test]
fn whoever_subscribes_last_speaks_for_it() {
    let mut t = with_task();
    t.subscribes(0, 1, &["a"], Vec::new());
    t.did(["unlink 100", "dismiss 100", "link 101", "to executor 101: Registered"]);
    t.gateway_says(0, "a", TaskState::Running, (1, 1));
    t.did([]);
    t.gateway_says(1, "a", TaskState::Running, (1, 1));
    t.did(["to executor 101: Acknowledge a", "update a Running"]);
}

#[test]
fn what_it_was_told_of_and_does_not_have_is_dropped() {
    let mut t = with_task();
    t.subscribes(0, 1, &[], Vec::new());
    let sent = t.sent.clone().unwrap();
    assert_eq!((sent.state, sent.reason), (TaskState::Dropped, Some(Reason::AgentRestarted)));
}

#[test]
fn exec_07_what_was_not_acknowledged_comes_back_with_a_subscription() {
    let mut t = with_task();
    t.launch(custom_task("b", "E"));
    t.gateway_says(0, "a", TaskState::Running, (5, 5));
    t.acknowledge();
    t.dies();
    t.executor_is_found(0);
    t.forget_done();
    let news = vec![
        said("a", TaskState::Running, (5, 5)),
        said("a", TaskState::Finished, (4, 4)),
        said("x", TaskState::Finished, (3, 3)),
    ];
    t.subscribes(0, 1, &["x", "stray"], news);
    let done = t.take_done();
    let acknowledged = done.iter().filter(|line| *line == "to executor 101: Acknowledge a").count();
    assert_eq!(acknowledged, 2, "{done:?}");
    // Noted, and not known to it: it begins now. What it has and should not have, it is to end.
    assert!(done.contains(&"to executor 101: Launch b".to_owned()), "{done:?}");
    assert!(done.iter().any(|line| line.starts_with("to executor 101: Kill stray")), "{done:?}");
    assert!(!done.iter().any(|line| line.contains("Kill x")), "it has ended: {done:?}");
    assert!(!t.agent.is_recovering());
}

#[test]
fn its_stream_ends_with_it() {
    let mut t = with_task();
    t.executor_exits(0, Exit::Code(1));
    let done = t.take_done();
    assert!(done.contains(&"dismiss 100".to_owned()), "{done:?}");
    assert_eq!(t.agent.used(), Resources::none());
}
