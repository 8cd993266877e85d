//! What schedulers are told in offers.

use std::sync::Arc;
use std::time::Duration;

use protocol::agent::{AgentInfo, AgentToMaster};
use protocol::framework::{FrameworkInfo, FrameworkToMaster};
use protocol::ids::FrameworkId;
use protocol::offer::Offer;
use protocol::resources::Attribute;

use super::offers::with_executor;
use super::scenario::{Scenario, agent_id, agent_info, agent_pid, framework_info, scheduler_pid};

fn joins(t: &mut Scenario, n: u64, info: AgentInfo) {
    t.agent_says(agent_pid(n, 1), AgentToMaster::Register { nonce: n, info });
}

fn subscribes(t: &mut Scenario, n: u64, roles: &[&str]) {
    let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
    let info = FrameworkInfo { roles, ..framework_info("web", &[]) };
    let (framework, demand) = (None, Vec::new());
    t.scheduler_says(n, FrameworkToMaster::Subscribe { nonce: n, framework, info, demand });
}

/// The offers of the newest message that a scheduler got with any.
fn newest(t: &Scenario, scheduler: u64) -> Vec<Arc<Offer>> {
    let told = t.offered.iter().rev().find(|(to, _)| *to == scheduler_pid(scheduler));
    told.expect("it was offered something").1.clone()
}

#[test]
fn offer_01_an_offer_says_whose_it_is_where_it_is_and_what_is_there() {
    let mut t = Scenario::new();
    let rack = Attribute { name: "rack".into(), value: "r1".into() };
    let info = AgentInfo { attributes: vec![rack.clone()], ..agent_info(1) };
    joins(&mut t, 1, info.clone());
    subscribes(&mut t, 1, &["eng/web"]);
    let offer = newest(&t, 1).remove(0);
    assert_eq!(offer.offer.as_str(), "m-O1", "the master's id and a number");
    assert_eq!((&offer.framework, &offer.agent), (&FrameworkId::new("c-0000"), &agent_id(1)));
    assert_eq!(offer.at, info.at, "hostname and address");
    assert_eq!((offer.role.as_str(), &offer.resources), ("eng/web", &info.resources));
    assert_eq!(offer.attributes, [rack]);
    assert!(offer.executors.is_empty());
    // Its own executor, once that runs there; those of others are not its business.
    let runs = |t: &mut Scenario, n: u64, id: &str| {
        let offer = t.offer_of(1);
        t.accepts(n, vec![offer], vec![with_executor(id, 1.0, 0.5)], Duration::ZERO);
    };
    runs(&mut t, 1, "a");
    let offer = newest(&t, 1).remove(0);
    assert_eq!(offer.offer.as_str(), "m-O2", "no id is used twice");
    assert_eq!(offer.executors.iter().map(|e| e.as_str()).collect::<Vec<_>>(), ["e"]);
    t.scheduler_says(1, FrameworkToMaster::Suppress);
    let (offers, refuse_for) = (vec![t.offer_of(1)], Duration::ZERO);
    t.scheduler_says(1, FrameworkToMaster::Decline { offers, refuse_for });
    subscribes(&mut t, 2, &["eng/web"]);
    assert!(newest(&t, 2)[0].executors.is_empty());
}

#[test]
fn alloc_11_offers_of_several_agents_are_one_message_with_one_of_each_agent_and_role() {
    let mut t = Scenario::new();
    (1..=3).for_each(|n| t.agent_joins(n));
    subscribes(&mut t, 1, &["web"]);
    let offers = newest(&t, 1);
    let agents = |offers: &[Arc<Offer>]| {
        let mut agents: Vec<_> = offers.iter().map(|o| (o.agent.clone(), o.role.clone())).collect();
        agents.sort();
        agents
    };
    let each: Vec<_> = (1..=3).map(|n| (agent_id(n), "web".parse().unwrap())).collect();
    assert_eq!(agents(&offers), each);
    assert_eq!(t.offered.len(), 1, "it is one message");
    // Under two roles it is one message as well.
    let mut t = Scenario::new();
    t.allocator_is_slow = true;
    (1..=4).for_each(|n| t.agent_joins(n));
    subscribes(&mut t, 1, &["web", "batch"]);
    t.propose();
    let offers = newest(&t, 1);
    assert_eq!((t.offered.len(), offers.len()), (1, 4));
    let mut once = agents(&offers);
    once.dedup();
    assert_eq!(once.len(), 4, "no agent and role twice");
}
