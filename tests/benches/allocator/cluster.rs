//! Master and allocator together: what is proposed is offered.

use std::hint::black_box;

use libactor::Principal;
use master::config::Config;
use master::logic::registry::Registry;
use master::logic::{Effect, Event, Master};
use protocol::agent::{AgentAddress, AgentInfo, AgentToMaster};
use protocol::framework::{FrameworkInfo, FrameworkToMaster};
use protocol::ids::{ClusterId, FrameworkId, MasterId};
use protocol::time::{Instant, Now};
use tests::swarm;

use crate::cycles::{self, resources, role};
use crate::minimal::{Minimal, least_of_both, timed};
use measure::{Measured, Row};

/// What a cycle leads to in the master: offers, messages, changes, with all its books.
pub(crate) fn offers(agents: usize, frameworks: usize, roles: usize, rounds: usize) -> Measured {
    let master = joined(agents, frameworks, roles);
    let mut full = cycles::cluster_of(&master);
    full.step(cycles::at(0), master::logic::allocator::Event::Started);
    let minimal = Minimal::new(agents, roles, frameworks);
    let (ours, floor) = least_of_both(
        rounds,
        || {
            let (mut master, mut allocator) = (master.clone(), full.clone());
            timed(|| {
                let proposals = cycles::run(&mut allocator);
                assert_eq!(
                    cycles::numbers(&proposals).len(),
                    agents,
                    "each agent is proposed to somebody"
                );
                black_box((master.step(now(), Event::Proposed(proposals)), master, allocator))
            })
        },
        || {
            let mut minimal = minimal.clone();
            timed(|| black_box(minimal.cycle_with_offers()))
        },
    );
    let micros = |span: std::time::Duration| span.as_secs_f64() * 1e6;
    Ok(vec![
        Row::of("cycle_offers", micros(ours), "us").beside("minimal with offers", micros(floor)),
    ])
}

fn now() -> Now {
    Now { steady: Instant(1_000_000_000), ..Now::default() }
}

/// A master with so many agents and schedulers, written and subscribed.
fn joined(agents: usize, frameworks: usize, roles: usize) -> Master {
    let registry = Registry::new(ClusterId::new("20261101-000000-c"), 1);
    let mut master = Master::new(Config::default(), MasterId::new("20261101-000000-m"), registry);
    let mut events = vec![Event::Started];
    let number = |n: usize| u64::try_from(n).expect("few");
    for n in 0..agents {
        let info = AgentInfo {
            at: AgentAddress { hostname: format!("host-{n}"), listens: format!("host-{n}:5051") }
                .into(),
            resources: resources(),
            attributes: Vec::new(),
            version: String::new(),
            boot: String::new(),
        };
        let message = AgentToMaster::Register { nonce: number(n), info };
        let (from, principal) = (swarm::invented(number(n) + 1), Principal::Cluster);
        events.push(Event::FromAgent { from, principal, message });
    }
    for n in 0..frameworks {
        let plain = FrameworkInfo::plain(FrameworkId::new(""));
        let info = FrameworkInfo { roles: vec![role(n % roles)], ..plain };
        let nonce = number(agents + n);
        let message =
            FrameworkToMaster::Subscribe { nonce, framework: None, info, demand: Vec::new() };
        let (from, principal) = (swarm::invented(nonce + 1), Principal::Cluster);
        events.push(Event::FromFramework { from, principal, message });
    }
    for event in events {
        let mut next = vec![event];
        while let Some(event) = next.pop() {
            for effect in master.step(now(), event).effects {
                if let Effect::Write(operation) = effect {
                    next.push(Event::Written(operation));
                }
            }
        }
    }
    master
}
