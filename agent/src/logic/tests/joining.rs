//! Registration, loss, fencing and leaving.

use super::*;

pub(super) fn known(epoch: u64) -> Checkpoint {
    Checkpoint {
        member: Some((AgentId::new("S1"), ClusterId::new("C"))),
        epoch,
        ..Default::default()
    }
}

fn of_other_cluster(epoch: u64) -> Checkpoint {
    let member = Some((AgentId::new("S1"), ClusterId::new("other")));
    Checkpoint { member, ..known(epoch) }
}

#[test]
fn a_new_agent_counts_as_a_member_only_once_that_is_written_down() {
    let mut t = Scenario::new(|_| (), Checkpoint::default());
    t.step(Event::Started);
    t.did(["write Registering", "contact: Register"]);
    t.hold = true;
    t.register_with(1, 1);
    t.did(["link 1", "write Joined"]);
    assert_eq!((t.agent.id(), t.agent.master()), (None, None));
    t.launch(command_task("early"));
    t.did([]);
    t.release();
    t.did(["write ExecutorLaunching", "start executor early", "write ExecutorStarted"]);
    assert_eq!(t.agent.id().map(AgentId::as_str), Some("S1"));
}

/// Its master may admit it and be heard by nobody: the next life is to be known for the same agent.
#[test]
fn the_name_of_an_attempt_to_join_is_written_down_before_it_is_said() {
    let mut t = Scenario::new(|_| (), Checkpoint::default());
    t.hold = true;
    t.step(Event::Started);
    t.did(["write Registering"]);
    t.pass(Duration::from_secs(10));
    t.did([]);
    t.release();
    t.did(["contact: Register"]);
    let nonce = t.nonce;
    assert!(nonce.is_some());
    let mut next = Scenario::new(|_| (), Checkpoint { nonce, ..Checkpoint::default() });
    next.step(Event::Started);
    next.did(["contact: Register"]);
    assert_eq!(next.nonce, nonce);

    let mut t = Scenario::new(|_| (), Checkpoint::default());
    t.hold = true;
    t.step(Event::Started);
    t.forget_done();
    t.fail_held();
    t.did([
        "stop: the agent cannot write its checkpoint: disk full; make room in its --work_dir or choose another one",
    ]);
}

#[test]
fn a_membership_that_cannot_be_written_ends_the_agent() {
    let mut t = Scenario::new(|_| (), Checkpoint::default());
    t.step(Event::Started);
    t.hold = true;
    t.register_with(1, 1);
    t.forget_done();
    t.fail_held();
    t.did(["stop: the agent cannot write its checkpoint: disk full; make room in its --work_dir or choose another one"]);
}

#[test]
fn an_agent_that_has_an_id_says_so_with_its_epoch() {
    let mut t = Scenario::new(|_| (), known(4));
    t.step(Event::Started);
    t.did(["contact: MayReturn"]);
    t.lets_return(1, 4);
    let Some(AgentToMaster::Reregister { agent, epoch, .. }) = &t.reregistered else {
        panic!("{:?}", t.reregistered)
    };
    assert_eq!((agent.as_str(), *epoch), ("S1", 4));
    t.forget_done();
    // The same epoch and id are on disk already.
    t.register_with(1, 4);
    t.did(["link 1"]);
    assert_eq!(t.agent.master(), Some(master(1)));
}

#[test]
fn a_deposed_master_is_refused_whatever_it_says() {
    let mut t = Scenario::new(|_| (), known(4));
    t.step(Event::Started);
    t.register_with(2, 5);
    t.forget_done();
    t.register_with(1, 4);
    t.did(["to master: EpochRefused"]);
    t.launch(command_task("t"));
    t.did(["to master: EpochRefused"]);
    assert_eq!((t.agent.master(), t.agent.epoch()), (Some(master(2)), 5));
}

#[test]
fn a_deposed_master_is_refused_while_its_successor_is_written_down() {
    let mut t = Scenario::new(|_| (), known(4));
    t.step(Event::Started);
    t.hold = true;
    t.register_with(2, 5);
    t.forget_done();
    let (framework, task) = (framework().framework, TaskId::new("t"));
    t.hear(1, MasterToAgent::Kill { epoch: 4, framework, task, grace: None });
    t.did(["to master: EpochRefused"]);
    t.release();
    assert_eq!((t.agent.master(), t.agent.epoch()), (Some(master(2)), 5));
}

#[test]
fn a_deposed_master_is_refused_though_its_successor_was_lost_before_it_was_written_down() {
    let mut t = Scenario::new(|_| (), known(4));
    t.step(Event::Started);
    t.hold = true;
    t.register_with(2, 5);
    t.step(Event::Down { pid: master(2), words: "it died".into() });
    t.release();
    t.forget_done();
    t.register_with(1, 4);
    t.did(["to master: EpochRefused"]);
    assert_eq!(t.agent.master(), None);
    // Of that reign it hears when its master is another's: then, too, the earlier one is over.
    t.register_with(3, 6);
    t.register_with(9, 7);
    t.forget_done();
    t.register_with(3, 6);
    t.did(["to master: EpochRefused"]);
}

#[test]
fn a_stranger_of_the_same_epoch_is_not_obeyed() {
    let mut t = Scenario::registered();
    let (framework, task, role) = (framework(), command_task("t"), Role::everybody());
    t.hear(9, MasterToAgent::Launch { epoch: 1, framework, task, role });
    t.did([]);
}

#[test]
fn a_refused_agent_ends_with_the_words() {
    let mut t = Scenario::new(|_| (), known(1));
    t.step(Event::Started);
    t.forget_done();
    t.refuse(1, 1, "C", "it was removed");
    t.did(["stop: the master refused this agent: it was removed"]);
}

#[test]
fn an_agent_of_another_cluster_does_not_mix_them_whatever_epochs_they_count() {
    for epoch in [1, 2, 9] {
        let mut t = Scenario::new(|_| (), of_other_cluster(epoch));
        t.step(Event::Started);
        t.forget_done();
        t.register_with(1, 2);
        t.did([
            "stop: this agent belongs to cluster other, but the master leads cluster C; give the agent another --work_dir to join that one",
        ]);
        let mut t = Scenario::new(|_| (), of_other_cluster(epoch));
        t.step(Event::Started);
        t.forget_done();
        t.refuse(1, 2, "C", "you belong elsewhere");
        t.did(["stop: the master refused this agent: you belong elsewhere"]);
    }
}

#[test]
fn a_refusal_of_a_former_reign_of_the_same_cluster_is_not_heard() {
    let mut t = Scenario::new(|_| (), known(4));
    t.step(Event::Started);
    t.forget_done();
    t.refuse(1, 3, "C", "it was removed");
    t.did(["to master: EpochRefused"]);
}

#[test]
fn a_registered_agent_is_not_taken_over_by_whoever_says_registered() {
    let mut t = Scenario::registered();
    t.with_running("t");
    // Of the same reign there is one master.
    t.register_with(9, 1);
    t.did([]);
    // Another cluster's, whatever it counts.
    t.register_by(9, 7, "other");
    t.refuse(9, 7, "other", "go away");
    t.did([]);
    assert_eq!((t.agent.master(), t.agent.epoch()), (Some(master(1)), 1));
    // A later reign is believed when it answers by the name.
    t.register_with(9, 2);
    t.did(["unlink 1"]);
    assert_eq!(t.agent.master(), None);
    t.pass(Duration::from_millis(250));
    t.did(["contact: MayReturn"]);
    t.register_with(9, 2);
    t.did(["link 1", "write Joined"]);
    assert_eq!((t.agent.master(), t.agent.epoch()), (Some(master(9)), 2));
    assert_eq!(t.agent.tasks().count(), 1);
}

#[test]
fn while_a_registration_is_written_only_a_later_reign_replaces_it() {
    let mut t = Scenario::new(|_| (), Checkpoint::default());
    t.step(Event::Started);
    t.hold = true;
    t.register_with(1, 2);
    t.forget_done();
    t.register_with(9, 2);
    t.register_with(9, 1);
    t.register_by(9, 7, "other");
    t.did([]);
    t.register_with(9, 3);
    t.did(["unlink 1", "link 1", "write Joined"]);
    t.release();
    assert_eq!((t.agent.master(), t.agent.epoch()), (Some(master(9)), 3));
}

#[test]
fn agent_03_pings_are_answered_and_without_any_for_the_masters_time_the_agent_registers_again() {
    let mut t = Scenario::registered();
    for sequence in 0..10 {
        t.pass(Duration::from_secs(1));
        t.hear(1, MasterToAgent::Ping { epoch: 1, sequence });
        t.did(["to master: Pong"]);
    }
    t.pass(Duration::from_millis(5100));
    t.did(["unlink 1"]);
    assert_eq!(t.agent.master(), None);
    t.pass(Duration::from_millis(250));
    t.did(["contact: MayReturn"]);
}

#[test]
fn a_lost_master_is_contacted_again_within_the_first_gap_and_tasks_run_on() {
    let mut t = Scenario::registered();
    t.role = "batch".parse().unwrap();
    t.with_running("t");
    t.lose_master();
    t.did([]);
    t.pass(Duration::from_millis(250));
    t.did(["contact: MayReturn"]);
    t.lets_return(2, 1);
    t.did(["to master: Reregister"]);
    let Some(AgentToMaster::Reregister { tasks, executors, frameworks, .. }) = &t.reregistered
    else {
        panic!("{:?}", t.reregistered)
    };
    assert_eq!((tasks.len(), executors.len(), frameworks.len()), (1, 1, 1));
    // A later master books them as they were launched.
    assert_eq!((&tasks[0].role, &executors[0].role), (&t.role, &t.role));
    assert_eq!(tasks[0].state, TaskState::Running);
    t.register_with(2, 2);
    t.did(["link 1", "write Joined"]);
    assert_eq!(t.agent.tasks().count(), 1);
}

#[test]
fn executors_of_an_agent_that_did_not_outlive_itself_have_ended_before_it_registers() {
    let mut checkpoint = known(1);
    for id in ["c1", "c2"] {
        checkpoint.apply(Record::ExecutorStarting(ContainerId::new(id)));
    }
    let mut t = Scenario::new(|_| (), checkpoint.clone());
    t.step(Event::Started);
    t.did(["end old c1", "end old c2"]);
    t.step(Event::OldExecutorEnded(ContainerId::new("c2")));
    t.pass(Duration::from_secs(30));
    t.did(["write ExecutorEnded"]);
    t.step(Event::OldExecutorEnded(ContainerId::new("c1")));
    t.did(["write ExecutorEnded", "contact: MayReturn"]);

    let mut t = Scenario::new(|_| (), checkpoint);
    t.step(Event::Started);
    t.forget_done();
    t.pass(Duration::from_secs(63));
    t.did([
        "stop: 2 executors of this agent's former life do not end even when killed; end them by hand, then start the agent again",
    ]);
}

#[test]
fn an_agent_that_leaves_ends_its_executors_tells_of_it_and_forgets_its_id() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.step(Event::Leave);
    t.did(["to executor 100: Shutdown"]);
    t.launch(command_task("late"));
    t.did(["update late Dropped"]);
    t.executor_says(0, "t", TaskState::Killed);
    t.did(["to executor 100: Acknowledge t", "update t Failed"]);
    assert_eq!(t.sent.as_ref().unwrap().reason, Some(Reason::AgentRemoved));
    t.acknowledge();
    t.executor_exits(0, Exit::Code(0));
    t.did(["unlink 100", "write ExecutorEnded", "to master: ExecutorEnded"]);
    // Nobody acknowledges the end of "late".
    t.pass(Duration::from_secs(2));
    t.did([
        "update late Dropped",
        "to master: Unregister",
        "write Left",
        "stop: the agent was ended by its operator",
    ]);
}

#[test]
fn a_checkpoint_survives_as_its_fewest_records() {
    let mut checkpoint = known(3);
    checkpoint.apply(Record::ExecutorStarting(ContainerId::new("c1")));
    let process = ProcessIdentity { process: 5, started: 6, boot: "b".into() };
    let container = ContainerId::new("c2");
    checkpoint.apply(Record::ExecutorStarted { container, process });
    let mut again = Checkpoint::default();
    checkpoint.records().into_iter().for_each(|record| again.apply(record));
    assert_eq!(again, checkpoint);
    again.apply(Record::ExecutorEnded(ContainerId::new("c1")));
    again.apply(Record::Left);
    assert_eq!((&again.member, again.epoch, again.executors.len()), (&None, 0, 1));
    again.apply(Record::Registering { nonce: 4 });
    let mut same = Checkpoint::default();
    again.records().into_iter().for_each(|record| same.apply(record));
    assert_eq!(same, again);
    let (agent, cluster) = (AgentId::new("S2"), ClusterId::new("C"));
    same.apply(Record::Joined { agent, cluster, epoch: 1 });
    assert_eq!(same.nonce, None);
}

#[test]
fn agent_02_what_a_returning_agent_tells_is_all_that_it_has() {
    let mut t = Scenario::registered();
    t.with_running("runs");
    t.launch(command_task("pending"));
    t.with_running("ended");
    t.executor_says(2, "ended", TaskState::Finished);
    t.lose_master();
    t.pass(Duration::from_secs(1));
    t.lets_return(2, 2);
    let Some(AgentToMaster::Reregister {
        agent,
        cluster,
        tasks,
        executors,
        frameworks,
        info,
        epoch,
    }) = t.reregistered.clone()
    else {
        panic!("{:?}", t.reregistered)
    };
    assert_eq!((agent.as_str(), cluster.as_str()), ("S1", "C"));
    let told = tasks.iter().map(|task| {
        let waits = task.unacknowledged.as_ref().map(|news| news.state);
        (task.spec.task.as_str(), task.state, waits)
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("ended", TaskState::Finished, Some(TaskState::Finished)),
            ("pending", TaskState::Staging, None),
            ("runs", TaskState::Running, None),
        ]
    );
    let mut names: Vec<&str> = executors.iter().map(|e| e.spec.executor.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ended", "pending", "runs"]);
    assert_eq!(frameworks, [framework()]);
    assert_eq!((info.resources, epoch), (t.agent.total().clone(), 1));
}

#[test]
fn agent_04_an_agent_that_its_master_has_lost_registers_again() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.hear(9, MasterToAgent::RegisterAgain { epoch: 1 });
    t.did([]);
    t.hear(1, MasterToAgent::RegisterAgain { epoch: 1 });
    t.did(["unlink 1"]);
    t.pass(Duration::from_millis(250));
    t.did(["contact: MayReturn"]);
    assert_eq!(t.agent.tasks().count(), 1);
}

#[test]
fn sum_04_without_a_leader_tasks_run_on_and_their_news_waits() {
    let mut t = Scenario::new(|_| (), Checkpoint::default());
    t.step(Event::MasterDetected(Some("a:5050".into())));
    t.step(Event::Started);
    t.register_with(1, 1);
    t.with_running("t");
    t.forget_done();
    t.step(Event::MasterDetected(None));
    t.did(["unlink 1"]);
    t.executor_says(0, "t", TaskState::Finished);
    t.pass(Duration::from_secs(3600));
    assert!(!t.done.iter().any(|line| line.starts_with("contact") || line.starts_with("update")));
    t.forget_done();
    t.step(Event::MasterDetected(Some("b:5050".into())));
    t.pass(Duration::from_millis(250));
    t.did(["contact: MayReturn"]);
    t.register_with(2, 2);
    let done = std::mem::take(&mut t.done);
    assert!(done.contains(&"update t Finished".to_owned()), "{done:?}");
    // The same again changes nothing; another one is followed.
    t.step(Event::MasterDetected(Some("b:5050".into())));
    assert_eq!(t.agent.master(), Some(master(2)));
    t.step(Event::MasterDetected(Some("c:5050".into())));
    assert_eq!(t.agent.master(), None);
}

#[test]
fn part_09_an_agent_that_was_removed_ends_its_tasks_and_then_itself() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.lose_master();
    t.pass(Duration::from_secs(1));
    t.forget_done();
    let (reason, cluster) = ("it was removed".to_owned(), ClusterId::new("C"));
    t.hear(2, MasterToAgent::Shutdown { epoch: 1, reason, cluster });
    t.did(["to executor 100: Shutdown"]);
    // What an older agent would obey comes on top.
    t.refuse(2, 1, "C", "it was removed");
    t.executor_says(0, "t", TaskState::Killed);
    t.executor_exits(0, Exit::Code(0));
    t.did([
        "to executor 100: Acknowledge t",
        "unlink 100",
        "write ExecutorEnded",
        "stop: the master refused this agent: it was removed",
    ]);
}
