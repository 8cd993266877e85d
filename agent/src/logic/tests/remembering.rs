//! What those who look see of what has ended: how much of it, for how long, and under which executor.

use super::*;

impl Scenario {
    /// A command task that ran and ended; its framework knows of that only if it `acknowledges`.
    fn with_ended(&mut self, task: &str, acknowledges: bool) -> usize {
        let n = self.with_running(task);
        self.executor_says(n, task, TaskState::Finished);
        if acknowledges {
            self.acknowledge();
        }
        self.executor_exits(n, Exit::Code(0));
        n
    }
}

/// The executors that have ended, each with its tasks.
fn ended(framework: &FrameworkSeen) -> Vec<(&str, Vec<(&str, Stage)>)> {
    let all = framework.ended.iter().map(|executor| {
        assert_eq!(executor.life, Life::Ended);
        let tasks = executor.tasks.iter().map(|task| (task.report.spec.task.as_str(), task.stage));
        (executor.spec.executor.as_str(), tasks.collect())
    });
    all.collect()
}

#[test]
fn agent_24_of_each_framework_as_many_ended_executors_are_remembered_as_the_flag_says() {
    let mut t = Scenario::registered_with(|config| {
        assert_eq!(config.past_executors_max, 150, "unless it is set");
        config.past_executors_max = 2;
    });
    t.with_running("stays");
    for task in ["a", "b", "c"] {
        t.with_ended(task, true);
    }
    let books = t.agent.books();
    let completed = |task| (task, vec![(task, Stage::Completed)]);
    assert_eq!(ended(&books.frameworks[0]), [completed("b"), completed("c")]);
    let living: Vec<_> =
        books.frameworks[0].executors.iter().map(|one| &one.spec.executor).collect();
    assert_eq!(living, [&ExecutorId::new("stays")]);
}

#[test]
fn an_end_that_nobody_acknowledged_is_shown_in_the_next_life_of_its_agent() {
    let mut t = Scenario::registered();
    let n = t.with_ended("t", false);
    t.launch(custom_task("u", "e"));
    t.executor_registers(n + 1);
    t.executor_says(n + 1, "u", TaskState::Finished);
    t.executor_exits(n + 1, Exit::Code(0));
    t.dies();
    let books = t.agent.books();
    let terminated = |executor, task| (executor, vec![(task, Stage::Terminated)]);
    let mut shown = ended(&books.frameworks[0]);
    shown.sort_by_key(|(executor, _)| *executor);
    assert_eq!(shown, [terminated("e", "u"), terminated("t", "t")]);
    for executor in &books.frameworks[0].ended {
        let started = t.started.iter().find(|start| start.spec.executor == executor.spec.executor);
        let started = started.unwrap();
        assert_eq!((&executor.container, &executor.spec), (&started.container, &started.spec));
        assert_eq!(executor.is_for_command, executor.spec.executor.as_str() == "t");
    }
}

#[test]
fn an_end_that_nobody_acknowledged_is_shown_though_no_executor_is_remembered() {
    let mut t = Scenario::registered_with(|config| config.past_executors_max = 0);
    t.with_ended("t", false);
    let books = t.agent.books();
    assert_eq!(ended(&books.frameworks[0]), [("t", vec![("t", Stage::Terminated)])]);
    t.acknowledge();
    let books = t.agent.books();
    assert!(books.frameworks.is_empty() && books.gone.is_empty(), "{books:?}");
}

#[test]
fn who_asks_about_a_task_of_a_framework_that_has_left_changes_nothing_of_what_is_remembered() {
    let mut t = Scenario::registered();
    t.with_ended("t", true);
    let before = t.agent.books();
    assert_eq!((before.gone.len(), before.gone[0].info.user.as_str()), (1, "ann"));
    let shown = |t: &Scenario| {
        let books = t.agent.books();
        assert!(books.frameworks.is_empty(), "nothing of it is here: {:?}", books.frameworks);
        assert_eq!(books.gone.len(), 1);
        assert_eq!(books.gone[0].info, before.gone[0].info);
        assert_eq!(ended(&books.gone[0]), ended(&before.gone[0]));
    };
    let asks = |t: &mut Scenario, framework: &str| {
        let tasks = vec![(FrameworkId::new(framework), TaskId::new("lost"))];
        t.forget_done();
        t.hear(1, MasterToAgent::Reconcile { epoch: 1, tasks });
        t.did(["update lost Dropped"]);
    };
    for framework in ["F", "never here"] {
        asks(&mut t, framework);
        shown(&t);
        t.acknowledge();
        shown(&t);
    }
    asks(&mut t, "F");
    t.lose_master();
    assert_eq!(t.agent.tasks().count(), 0, "the next master asks itself");
    shown(&t);
}

#[test]
fn a_question_about_a_task_hides_nothing_of_a_framework_that_is_here() {
    let mut t = Scenario::registered();
    let n = t.with_running("t");
    t.kill("lost");
    t.executor_says(n, "t", TaskState::Finished);
    t.acknowledge();
    t.executor_exits(n, Exit::Code(0));
    // Only the question is left.
    let books = t.agent.books();
    assert_eq!(ended(&books.frameworks[0]), [("t", vec![("t", Stage::Completed)])]);
    assert!(books.gone.is_empty());
    t.lose_master();
    let books = t.agent.books();
    assert!(books.frameworks.is_empty());
    assert_eq!((books.gone.len(), books.gone[0].info.user.as_str()), (1, "ann"));
}

#[test]
fn what_an_executor_wrote_for_its_scheduler_is_in_no_copy_of_the_books() {
    let mut t = Scenario::registered();
    t.launch(custom_task("t", "e"));
    t.launch(custom_task("u", "other"));
    t.executor_registers(0);
    let mut status = t.status(0, "t", TaskState::Running, 1);
    status.data = vec![0; 10];
    t.step(Event::FromExecutor { from: executor(0), message: ExecutorToAgent::Updated(status) });
    let books = t.agent.books();
    let executors = &books.frameworks[0].executors;
    let mut names: Vec<_> = executors.iter().map(|one| one.spec.executor.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["e", "other"]);
    let running = executors.iter().flat_map(|one| &one.tasks);
    let running: Vec<_> = running.filter(|task| task.stage == Stage::Launched).collect();
    assert_eq!((running.len(), running[0].report.state), (1, TaskState::Running));
    assert_eq!(running[0].report.unacknowledged, None);
    let last = running[0].statuses.last().unwrap();
    assert_eq!((last.state, last.data.len()), (TaskState::Running, 0));
}
