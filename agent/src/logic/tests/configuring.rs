//! Agents that are started again in another way than before.

use std::sync::Arc;

use protocol::resources::parse_attributes;
use protocol::wishes::FaultDomain;

use super::*;

/// AGENT-10: what is configured may be less than what runs; that keeps its grant.
#[test]
fn agent_10_what_runs_keeps_what_it_holds_when_there_is_less_by_now() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.dies_and(|config| config.info.resources = Resources::cpus_mem(0.5, 2000.0));
    assert_eq!(t.agent.total(), &Resources::cpus_mem(1.0, 2000.0));
    assert_eq!(t.agent.used(), Resources::cpus_mem(1.0, 100.0));
}

/// The master was told that it is there, and offers it again when it is free (seed 2196).
#[test]
fn what_was_more_than_is_configured_can_be_had_again_once_it_is_free() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.dies_and(|config| config.info.resources = Resources::cpus_mem(0.5, 2000.0));
    t.executor_is_found(0);
    t.executor_is_back(0, &[("t", TaskState::Running)], vec![]);
    t.lets_return(1, 1);
    t.register_with(1, 1);
    t.executor_says(0, "t", TaskState::Finished);
    t.acknowledge();
    t.executor_exits(0, Exit::Code(0));
    t.forget_done();
    t.launch(command_task("u"));
    assert!(t.take_done().iter().all(|line| !line.contains("update u")), "it is taken");
    assert_eq!(t.started.len(), 2);
}

fn says(t: &mut Scenario, resources: Resources, attributes: &str) {
    t.dies_and(|config| {
        config.info.resources = resources;
        config.info.attributes = parse_attributes(attributes).unwrap();
    });
}

/// Any difference is accepted with its tasks running, and the master hears of it.
#[test]
fn agent_10_resources_attributes_and_port_change_and_tasks_run_on() {
    let mut t = Scenario::registered();
    t.with_running("t");
    let more = Resources::cpus_mem(8.0, 500.0);
    t.dies_and(|config| {
        config.info.resources = more.clone();
        config.info.attributes = parse_attributes("rack:b").unwrap();
        Arc::make_mut(&mut config.info.at).listens = "127.0.0.1:6000".into();
        Arc::make_mut(&mut config.info.at).hostname = "elsewhere".into();
    });
    t.executor_is_found(0);
    t.executor_is_back(0, &[("t", TaskState::Running)], vec![]);
    t.lets_return(1, 1);
    let Some(AgentToMaster::Reregister { agent, info, tasks, .. }) = t.reregistered.clone() else {
        panic!("{:?}", t.reregistered)
    };
    assert_eq!((agent.as_str(), tasks.len(), &info.resources), ("S1", 1, &more));
    assert_eq!(info.attributes, parse_attributes("rack:b").unwrap());
    assert_eq!(info.at.listens, "127.0.0.1:6000");
}

/// Resources, attributes and addresses by a generator of its own, so that every telling has the same.
fn anything(chance: &mut Chance, info: &mut AgentInfo) {
    let mut below = |bound| chance.below(bound);
    if below(2) == 0 {
        let amount = |of: u64| f64::from(u32::try_from(of).unwrap());
        let (cpus, mem) = (amount(1 + below(80)) / 10.0, amount(1 + below(4_000)));
        info.resources = Resources::cpus_mem(cpus, mem);
        if below(2) == 0 {
            let first = below(40_000);
            let ports = format!("ports:[{first}-{}];disk:{}", first + below(1_000), 1 + below(9));
            info.resources.add(&ports.parse().unwrap());
        }
    }
    if below(2) == 0 {
        let some = (0..below(4)).map(|n| {
            format!("{}:{}", ["rack", "zone", "os", "gpu"][usize::try_from(n).unwrap()], below(5))
        });
        info.attributes = parse_attributes(&some.collect::<Vec<_>>().join(";")).unwrap();
    }
    if below(2) == 0 {
        Arc::make_mut(&mut info.at).listens = format!("127.0.0.1:{}", 1_024 + below(60_000));
    }
    if below(4) == 0 {
        Arc::make_mut(&mut info.at).hostname = format!("host-{}", below(5));
    }
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// Whatever it is started with next, and whatever that was before: it starts, and what runs runs on.
#[test]
fn agent_10_an_agent_starts_with_anything_again_and_again_and_loses_no_task() {
    for seed in 1..=200 {
        let mut chance = Chance(seed);
        let mut t = Scenario::registered();
        t.with_running("t");
        for life in 1..=5 {
            let mut info = t.agent.config.info.clone();
            anything(&mut chance, &mut info);
            t.dies_and(|config| config.info = info.clone());
            t.did(["find t"]);
            if chance.below(3) == 0 {
                // It is started in yet another way before its executor is back.
                continue;
            }
            t.executor_is_found(0);
            t.executor_is_back(0, &[("t", TaskState::Running)], vec![]);
            t.lets_return(1, 1);
            let Some(AgentToMaster::Reregister { agent, info: said, tasks, .. }) =
                t.reregistered.take()
            else {
                panic!("seed {seed}, life {life}: {:?}", t.done)
            };
            let tasks: Vec<_> =
                tasks.iter().map(|task| (task.spec.task.as_str(), task.state)).collect();
            assert_eq!((agent.as_str(), &tasks[..]), ("S1", &[("t", TaskState::Running)][..]));
            // It says what it was started with, and beside that what the task holds.
            assert!(said.resources.contains(&info.resources), "seed {seed}, life {life}: {said:?}");
            assert_eq!((said.attributes, said.at), (info.attributes, info.at));
            t.register_with(1, 1);
            assert_eq!(t.agent.used(), Resources::cpus_mem(1.0, 100.0));
        }
    }
}

#[test]
fn agent_10_additive_lets_resources_and_attributes_grow_and_says_what_may_not_be() {
    let mut t = Scenario::registered_with(|config| {
        config.info.attributes = parse_attributes("rack:a").unwrap();
        config.reconfiguration_policy = ReconfigurationPolicy::Additive;
    });
    let advice = "; start it as before, allow the difference with --reconfiguration-policy=any, or begin anew with --recover=cleanup";
    let more = Resources::cpus_mem(5.0, 1000.0);
    says(&mut t, more.clone(), "rack:a;zone:1");
    t.did(["contact: MayReturn"]);
    for (resources, attributes, words) in [
        (
            Resources::cpus_mem(4.0, 1000.0),
            "rack:a;zone:1",
            "its resources were cpus:5;mem:1000 and are cpus:4;mem:1000",
        ),
        (more.clone(), "rack:b;zone:1", "its attribute rack was a and is b"),
        (more.clone(), "zone:1", "its attribute rack:a is gone"),
    ] {
        says(&mut t, resources, attributes);
        t.did([&format!("stop: the agent is not as it was: {words}{advice}")]);
    }
    // What was refused changed nothing.
    says(&mut t, more, "rack:a;zone:1");
    t.did(["contact: MayReturn"]);
}

#[test]
fn agent_10_equal_lets_nothing_change_but_the_port() {
    let mut t = Scenario::registered_with(|config| {
        config.info.attributes = parse_attributes("rack:a").unwrap();
        config.reconfiguration_policy = ReconfigurationPolicy::Equal;
    });
    t.dies_and(|config| Arc::make_mut(&mut config.info.at).listens = "127.0.0.1:6000".into());
    t.did(["contact: MayReturn"]);
    let same = Resources::cpus_mem(4.0, 1000.0);
    for (resources, attributes, words) in [
        (Resources::cpus_mem(5.0, 1000.0), "rack:a", "its resources were"),
        (same, "rack:a;zone:1", "its attribute zone:1 is new"),
    ] {
        says(&mut t, resources, attributes);
        let done = t.take_done();
        assert!(done.len() == 1 && done[0].contains(words), "{done:?}");
    }
    t.dies_and(|config| Arc::make_mut(&mut config.info.at).hostname = "elsewhere".into());
    let done = t.take_done();
    assert!(done[0].contains("its hostname was here and is elsewhere"), "{done:?}");
    // As advised: whoever begins anew is compared with nobody.
    t.dies_and(|config| config.recover = Recover::Cleanup);
    t.did(["write Left", &format!("stop: {}", End::CleanedUp)]);
}

#[test]
fn agent_07_cleaning_up_kills_all_and_the_next_life_is_another_agent() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.launch(custom_task("a", "E"));
    t.executor_registers(1);
    t.dies_and(|config| config.recover = Recover::Cleanup);
    let old: Vec<ContainerId> = t.started.iter().map(|start| start.container.clone()).collect();
    let mut ends = t.take_done();
    let mut expected = [format!("end old {}", old[0]), format!("end old {}", old[1])];
    ends.sort();
    expected.sort();
    assert_eq!(ends, expected);
    t.step(Event::OldExecutorEnded(old[0].clone()));
    t.did(["write ExecutorEnded"]);
    t.step(Event::OldExecutorEnded(old[1].clone()));
    let end = End::CleanedUp.to_string();
    t.did(["write ExecutorEnded", "write Left", &format!("stop: {end}")]);
    t.dies_and(|config| config.recover = Recover::Reconnect);
    assert_eq!((t.agent.id(), t.agent.tasks().count(), t.agent.executors().count()), (None, 0, 0));
    t.did(["write Registering", "contact: Register"]);
}

fn at(text: &str) -> Option<FaultDomain> {
    let (region, zone) = text.split_once('/')?;
    Some(FaultDomain { region: region.into(), zone: zone.into() })
}

/// It is started at each of these places in turn, and either comes back there or says why not.
fn moves(policy: ReconfigurationPolicy, places: &[&str]) -> Vec<String> {
    let mut t = Scenario::registered_with(|config| config.reconfiguration_policy = policy);
    let mut said = Vec::new();
    for place in places {
        t.dies_and(|config| config.domain = at(place));
        let done = t.take_done().pop().expect("it does something");
        if done != "contact: MayReturn" {
            said.push(done.split(&[':', ';'][..]).nth(2).expect("why").trim().to_owned());
            continue;
        }
        t.lets_return(1, 1);
        said.push(match t.reregistered.take() {
            Some(AgentToMaster::Reregister { .. }) => "nowhere".into(),
            Some(AgentToMaster::ReregisterAt { domain, agent, .. }) => format!("{agent} {domain}"),
            other => panic!("{other:?}"),
        });
        t.register_with(1, 1);
    }
    said
}

/// AGENT-10, FD-01: where it is it says with all that it says, and it says it again in its next life.
#[test]
fn agent_10_fd_01_a_domain_changes_as_the_policy_says() {
    use ReconfigurationPolicy::{Additive, Any, Equal};
    let places = ["", "eu/1", "eu/1", "eu/2", ""];
    assert_eq!(moves(Any, &places), ["nowhere", "S1 eu/1", "S1 eu/1", "S1 eu/2", "nowhere"]);
    let (moved, gone) = ("its domain was eu/1 and is eu/2", "its domain eu/1 is gone");
    assert_eq!(moves(Additive, &places), ["nowhere", "S1 eu/1", "S1 eu/1", moved, gone]);
    let new = "its domain eu/1 is new";
    assert_eq!(moves(Equal, &places), ["nowhere", new, new, "its domain eu/2 is new", "nowhere"]);
}

#[test]
fn fd_01_that_a_master_is_too_old_for_an_agent_that_says_where_it_is_is_said_once() {
    let told = |place: &str| -> Vec<String> {
        let mut t = Scenario::new(|config| config.domain = at(place), Checkpoint::default());
        t.step(Event::Started);
        let twice = [Event::MasterIsOlder, Event::MasterIsOlder];
        let effects = twice.map(|event| t.agent.step(t.now, event).effects).concat();
        let words = effects.into_iter().map(|effect| match effect {
            Effect::Note(notice) => notice.to_string(),
            other => format!("{other:?}"),
        });
        words.collect()
    };
    let said = told("eu/1");
    assert!(said.len() == 1 && said[0].contains("as this one does, in eu/1"), "{said:?}");
    assert!(told("").is_empty());
}

#[test]
fn fd_01_an_agent_that_joins_says_where_it_is() {
    let mut t = Scenario::new(|config| config.domain = at("eu/1"), Checkpoint::default());
    t.step(Event::Started);
    t.did(["write Registering", "contact: RegisterAt"]);
    assert_eq!(t.disk.domain, at("eu/1"), "its next life knows it");
}
