//! The master's logic takes all agents back, beside a floor: the same messages decoded, their tasks put into a map by id.
//! What the master's helpers do with it, on threads of their own, has rows without a goal.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use libactor::{Clock, Principal, wire};
use master::config::Config;
use master::logic::allocator::{Allocator, BookEntry, Event as AllocatorEvent};
use master::logic::{Effect, Event, Master};
use master::view::View;
use protocol::agent::{AgentInfo, AgentToMaster};
use protocol::change::Change;
use protocol::ids::{AgentId, FrameworkId, MasterId, TaskId};
use protocol::operator::ClusterView;
use protocol::task::TaskReport;
use tests::swarm;

use crate::messages::Messages;
use measure::{Measured, Row};

pub(crate) const AGENTS: u64 = 20_000;
pub(crate) const TASKS: u64 = 10;
const ROUNDS: usize = 9;

pub(crate) const FLOOR: &str = "decode and index";

/// What the floor has in the end.
#[derive(Default)]
struct Index {
    agents: HashMap<AgentId, AgentInfo>,
    tasks: HashMap<(FrameworkId, TaskId), TaskReport>,
}

fn decode(bytes: &[u8]) -> AgentToMaster {
    wire::decode(bytes).expect("it was encoded here")
}

/// How long the floor takes.
pub(crate) fn floor(messages: &Messages) -> Duration {
    let started = Instant::now();
    let mut index = Index::default();
    for (_, bytes) in &messages.all {
        if let AgentToMaster::Reregister { agent, info, tasks, .. } = decode(bytes) {
            index.agents.insert(agent, info);
            for report in tasks {
                let key = (report.framework.clone(), report.spec.task.clone());
                index.tasks.insert(key, report);
            }
        }
    }
    let took = started.elapsed();
    black_box(index);
    took
}

fn new_master(messages: &Messages, clock: Clock) -> Master {
    let identity = MasterId::new("second");
    let mut master = Master::new(Config::default(), identity, messages.registry.clone());
    master.step(clock.read().into(), Event::Started);
    master
}

/// How long the master takes, what comes of it included.
fn ours(messages: &Messages) -> Duration {
    let clock = Clock::start();
    let mut master = new_master(messages, clock);
    let started = Instant::now();
    for (number, bytes) in &messages.all {
        let event = returns(*number, bytes);
        black_box(master.step(clock.read().into(), event));
    }
    let took = started.elapsed();
    black_box(master);
    took
}

fn returns(number: u64, bytes: &[u8]) -> Event {
    let (from, principal) = (swarm::invented(number), Principal::Cluster);
    Event::FromAgent { from, principal, message: decode(bytes) }
}

/// What the view and the allocator need for what the master tells them.
fn helpers(messages: &Messages) -> (Duration, Duration) {
    let clock = Clock::start();
    let identity = MasterId::new("second");
    let mut master = Master::new(Config::default(), identity.clone(), messages.registry.clone());
    let (mut changes, mut entries) = (Vec::<Change>::new(), Vec::<Vec<BookEntry>>::new());
    let steps = messages.all.iter().map(|(number, bytes)| returns(*number, bytes));
    for event in std::iter::once(Event::Started).chain(steps) {
        let step = master.step(clock.read().into(), event);
        changes.extend(step.changes);
        for effect in step.effects {
            if let Effect::TellAllocator(told) = effect {
                entries.push(told);
            }
        }
    }
    let cluster = ClusterView {
        cluster: messages.registry.cluster.clone(),
        master: identity,
        epoch: 2,
        version: String::new(),
        change: 0,
        recovering: false,
    };
    let mut view = View::new(cluster, Config::default().ended_tasks_max);
    let started = Instant::now();
    changes.into_iter().for_each(|change| view.apply(change));
    let of_view = started.elapsed();
    let mut allocator = Allocator::new(Config::default().allocator, 1);
    let started = Instant::now();
    for told in entries {
        black_box(allocator.step(clock.read().into(), AllocatorEvent::Book(told)));
    }
    let of_allocator = started.elapsed();
    black_box((view, allocator));
    (of_view, of_allocator)
}

pub(crate) fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

pub(crate) fn run() -> Measured {
    let messages = Messages::of(AGENTS, TASKS);
    let mut least = [Duration::MAX; 4];
    for _ in 0..ROUNDS {
        let (view, allocator) = helpers(&messages);
        let round = [floor(&messages), ours(&messages), view, allocator];
        for (least, took) in least.iter_mut().zip(round) {
            *least = took.min(*least);
        }
    }
    let [floor, ours, view, allocator] = least.map(milliseconds);
    Ok(vec![
        Row { peer: Some((FLOOR, floor)), ..Row::of("reregister_in_process", ours, "ms") },
        Row { peer: Some((FLOOR, floor)), ..Row::of("view_takes_them", view, "ms") },
        Row { peer: Some((FLOOR, floor)), ..Row::of("allocator_takes_them", allocator, "ms") },
    ])
}
