//! How an agent asks for a master: how often, how long it waits when it is told to, and what it does when it is called.

use super::joining::known;
use super::*;

#[test]
fn agent_01_a_new_agent_asks_after_a_second_and_then_every_two_however_long_nobody_answers() {
    let mut t = Scenario::new(|_| (), Checkpoint::default());
    t.step(Event::Started);
    t.did(["write Registering", "contact: Register"]);
    let mut gaps = Vec::new();
    while gaps.len() < 200 {
        let start = t.now.steady;
        while std::mem::take(&mut t.done).is_empty() {
            t.pass(Duration::from_millis(100));
        }
        gaps.push(t.now.steady.since(start));
    }
    for (n, gap) in gaps.iter().enumerate() {
        let whole = Duration::from_secs(if n == 0 { 1 } else { 2 });
        let slack = Duration::from_millis(200);
        assert!(*gap + slack >= whole / 2 && *gap <= whole + slack, "{gaps:?}");
    }
    // Or agents that lose their master together would return together.
    assert!(gaps[6..].iter().any(|gap| *gap != gaps[6]), "{gaps:?}");
}

#[test]
fn an_agent_that_has_to_wait_asks_again_when_it_was_told_to_and_is_called_before() {
    let mut t = Scenario::new(|_| (), known(1));
    t.step(Event::Started);
    t.did(["contact: MayReturn"]);
    let (cluster, after) = (ClusterId::new("C"), Duration::from_secs(10));
    t.hear(1, MasterToAgent::ReturnLater { epoch: 2, cluster, after });
    t.pass(Duration::from_secs(9));
    t.did([]);
    t.pass(Duration::from_secs(11));
    assert_eq!(t.done.first().map(String::as_str), Some("contact: MayReturn"));
    t.forget_done();
    t.lets_return(1, 2);
    t.did(["to master: Reregister"]);
    // Another cluster's master does not call it, nor a deposed one.
    let cluster = ClusterId::new("C");
    t.hear(9, MasterToAgent::ReturnNow { epoch: 0, cluster });
    t.did(["to master: EpochRefused"]);
}

/// It is being written down, and so are many others.
#[test]
fn a_new_agent_that_has_to_wait_asks_again_when_it_was_told_to() {
    let mut t = Scenario::new(|_| (), Checkpoint::default());
    t.step(Event::Started);
    let (cluster, after) = (ClusterId::new("C"), Duration::from_secs(10));
    t.hear(1, MasterToAgent::ReturnLater { epoch: 2, cluster, after });
    t.forget_done();
    t.pass(Duration::from_secs(9));
    t.did([]);
    t.pass(Duration::from_secs(11));
    assert_eq!(t.done.first().map(String::as_str), Some("contact: Register"));
    t.register_with(1, 2);
    assert_eq!(t.agent.master(), Some(master(1)));
}

#[test]
fn a_master_that_answers_no_question_is_told_all_now_and_then() {
    let mut t = Scenario::new(|_| (), known(1));
    t.step(Event::Started);
    t.pass(Duration::from_secs(600));
    let done = t.take_done();
    let all = (0..done.len()).filter(|n| done[*n] == "contact: Reregister").collect::<Vec<_>>();
    assert_eq!(all[..6], [8, 16, 32, 64, 128, 192]);
    assert!(done.iter().all(|line| line.starts_with("contact: ")), "{done:?}");
}

/// Of a member that cannot reach who leads: a question costs next to nothing, and tasks wait for the answer.
#[test]
fn a_member_asks_every_two_seconds_however_long_nobody_answers() {
    let mut t = Scenario::new(|_| (), known(1));
    t.step(Event::Started);
    for _ in 0..200 {
        t.forget_done();
        t.pass(Duration::from_secs(2));
        assert!(!t.done.is_empty());
    }
}

#[test]
fn agent_01_an_unanswered_registration_is_told_again_after_a_second_doubling_to_a_minute_by_chance()
{
    let mut t = Scenario::new(|_| (), known(1));
    t.step(Event::Started);
    let mut gaps = Vec::new();
    for _ in 0..8 {
        t.lets_return(1, 1);
        t.forget_done();
        let start = t.now.steady;
        while !t.done.contains(&"contact: MayReturn".to_owned()) {
            t.pass(Duration::from_millis(100));
        }
        gaps.push(t.now.steady.since(start));
    }
    for (n, gap) in gaps.iter().enumerate() {
        let whole = Duration::from_secs(1 << n).min(Duration::from_secs(60));
        let slack = Duration::from_millis(200);
        assert!(*gap + slack >= whole / 2 && *gap <= whole + slack, "{gaps:?}");
    }
}

/// Its questions were held up on their way, and are answered together.
#[test]
fn an_agent_that_is_called_many_times_at_once_tells_all_once_and_asks_again_soon() {
    let mut t = Scenario::new(|_| (), known(1));
    t.step(Event::Started);
    t.forget_done();
    (0..5).for_each(|_| t.lets_return(1, 1));
    t.did(["to master: Reregister"]);
    t.pass(Duration::from_secs(1));
    assert_eq!(t.done.first().map(String::as_str), Some("contact: MayReturn"));
}

/// Its place in line would stay taken while the master waits for it.
#[test]
fn an_agent_that_is_called_and_is_back_already_says_that_it_is_there() {
    let mut t = Scenario::new(|_| (), known(1));
    t.step(Event::Started);
    t.hold = true;
    t.register_with(1, 2);
    t.forget_done();
    t.lets_return(1, 2);
    t.did(["to master: Pong"]);
    t.release();
    assert_eq!(t.agent.master(), Some(master(1)));
    t.forget_done();
    t.lets_return(1, 2);
    t.did(["to master: Pong"]);
    t.lets_return(9, 2);
    t.did([]);
    assert_eq!(t.agent.master(), Some(master(1)));
}
