//! One seed, from its first random number to its verdict: a cluster, a time in which things go wrong, a time in which
//! everybody has to come to agree.

use std::time::Duration;

use api::v1;
use coordination::zookeeper::logic::bugs::Bugs;
use master::config::{Config, RateLimit};
use protocol::carried::Carried;
use protocol::framework::{Capability, FrameworkInfo};
use protocol::ids::FrameworkId;
use protocol::resources::{Milli, Ranges, Resources};

use crate::bugs::Bug;
use crate::chance::Chance;
use crate::elections::Elections;
use crate::healing::Healing;
use crate::machines::{agent_info, domain_of, furnish};
use crate::office::Office;
use crate::process::{FrameworkSeat, Seat};
use crate::schedulers::{Scripted, ScriptedMaker, settings};
use crate::truth::Violation;
use crate::world::{Due, Setup, World};

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which.
    pub seed: u64,
    /// The first thing that was wrong.
    pub violation: Option<Violation>,
    /// Of the transcript: the same seed gives the same, byte for byte.
    pub hash: u64,
    /// Steps that were taken.
    pub steps: u64,
    /// How often a property was looked at.
    pub checks: u64,
    /// Processes of tasks that ran.
    pub tasks: u64,
    /// Messages sent between processes.
    pub messages: u64,
    /// How much time passed in the simulation.
    pub time: Duration,
    /// How long it took to come right again.
    pub healing: Healing,
    /// The flow of what went wrong, if it was asked for.
    pub flow: Vec<String>,
}

/// What of a run is told in its [`Outcome::flow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing, which is fastest.
    Nothing,
    /// What led to a violation, if there is one.
    Violation,
    /// All that happened.
    Everything,
}

/// Runs one seed, with a mistake or without. With `flow`, what led to a violation is told.
pub fn run(seed: u64, bug: Option<Bug>, flow: bool) -> Outcome {
    let told = if flow { Told::Violation } else { Told::Nothing };
    run_with(seed, bug, told, true)
}

/// The same; only with `drops` may tells find their connection full, as if peers did not read.
pub fn run_with(seed: u64, bug: Option<Bug>, told: Told, drops: bool) -> Outcome {
    let mut chance = Chance::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let master = master_config(&mut chance, bug);
    let keep = told != Told::Nothing;
    let busy = if chance.in_thousand(400) { 500 } else { 40 };
    let setup = Setup { seed, rough: true, master, bug, busy, drops, keep };
    let mut world = World::new(setup);
    // Of its own: what happens to clusters without an ensemble does not depend on those that have one.
    let mut apart = Chance::new(seed.wrapping_mul(0x9fb2_1c65_1e98_df25));
    populate(&mut world, &mut chance, &mut apart, bug);
    let mut aside = Chance::new(seed.wrapping_mul(0xd6e8_feb8_6659_fd93));
    let mut orders = Chance::new(seed.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    act_for_several(&mut world, &mut orders);
    let mut particular = Chance::new(seed.wrapping_mul(0x94d0_49bb_1331_11eb));
    furnish(&mut world, &mut particular);
    give_capabilities(&mut world, &mut particular);
    add_stand_ins(&mut world, &mut aside);
    let trouble = Duration::from_secs(chance.between(20, 300));
    world.plan_faults(&mut chance, trouble);
    world.plan_election_faults(&mut apart, trouble);
    world.plan_setbacks(&mut aside, trouble);
    world.plan_silence(&mut aside, trouble);
    world.plan_orders(&mut orders, trouble);
    if world.run_until(trouble) {
        world.heal_all();
        world.come_to_rest();
    }
    world.check_messages();
    outcome(&world, seed, told)
}

/// The most characters of a line of the flow.
const LINE_MAX: usize = 700;

impl World {
    /// A line as people want it: processes by their names, and no longer than can be read.
    pub(crate) fn shortened(&self, line: &str) -> String {
        let (before, after) =
            ("Pid { life: Life { node: ", ", incarnation: 1, actor: 1 }, via: None }");
        let mut parts = line.split(before);
        let mut short = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let named = part.split_once(after).and_then(|(node, rest)| {
                let process =
                    node.parse::<u64>().ok().and_then(|node| u32::try_from(node / 100_000).ok())?;
                Some((&self.processes.get(&process)?.name, rest))
            });
            match named {
                Some((name, rest)) => {
                    short.push_str(name);
                    short.push_str(rest);
                }
                None => {
                    short.push_str(before);
                    short.push_str(part);
                }
            }
        }
        if let Some((at, _)) = short.char_indices().nth(LINE_MAX) {
            short.truncate(at);
            short.push_str(" …");
        }
        short
    }
}

fn outcome(world: &World, seed: u64, told: Told) -> Outcome {
    let lines = match (told, &world.violation) {
        (Told::Everything, _) => world.transcript.about(&[], usize::MAX),
        (Told::Violation, Some(violation)) => world.transcript.about(&violation.subjects, 600),
        (Told::Violation | Told::Nothing, _) => Vec::new(),
    };
    let flow = lines.into_iter().map(|line| world.shortened(&line.to_string())).collect();
    Outcome {
        seed,
        violation: world.violation.clone(),
        hash: world.transcript.hash(),
        steps: world.steps,
        checks: world.truth.checks,
        tasks: world.truth.tasks_run,
        messages: world.network.accounts().sent,
        time: world.queue.now(),
        healing: world.healing,
        flow,
    }
}

/// Short time-outs mostly, so that much happens; Mesos's own sometimes.
fn master_config(chance: &mut Chance, bug: Option<Bug>) -> Config {
    let mut config = Config::default();
    if chance.in_thousand(800) {
        config.ping_every = chance.millis(1_000, 10_000);
        config.ping_misses_max = u32::try_from(chance.between(2, 5)).expect("at most five");
        config.agent_reregister_timeout = chance.millis(15_000, 120_000);
        config.offer_lease = chance.millis(16_000, 120_000);
        config.contest_timeout = chance.millis(2_000, 6_000);
    }
    if chance.in_thousand(700) {
        let count = u32::try_from(chance.between(1, 2)).expect("at most two");
        let within = chance.millis(20_000, 120_000);
        config.agent_removal_rate_limit = Some(RateLimit { count, within });
    }
    if chance.in_thousand(300) {
        let percent = u8::try_from(chance.between(0, 60)).expect("at most sixty");
        config.recovery_agent_removal_percent_max = percent;
    }
    if chance.in_thousand(700) {
        config.returns_at_once_max = chance.index(3) + 1;
        config.returning_tasks_at_once_max = chance.index(6) + 1;
    }
    if let Some(Bug::Master(bug)) = bug {
        config.bugs = master::logic::bugs::Bugs::only([bug]);
        config.allocator.bugs = master::logic::bugs::Bugs::only([bug]);
    }
    config.located(domain_of("host-0"))
}

fn populate(world: &mut World, chance: &mut Chance, apart: &mut Chance, bug: Option<Bug>) {
    let host = world.add_host();
    let master = world.add_process("master".to_owned(), host, true, Seat::Master);
    world.queue.at(Duration::ZERO, Due::Start(master));
    world.leader = master;
    if apart.in_thousand(WITH_ENSEMBLE) {
        add_ensemble(world, apart);
    }
    for n in 1..=chance.between(1, 4) {
        add_agent(world, chance, n, bug);
    }
    for n in 1..=chance.between(1, 3) {
        add_framework(world, chance, n, bug);
    }
}

/// So many of a thousand clusters have an ensemble, and more than one master mostly.
const WITH_ENSEMBLE: u64 = 500;

fn add_ensemble(world: &mut World, chance: &mut Chance) {
    let timeout = chance.millis(4_000, 12_000);
    let bugs = election_bugs(world.setup.bug);
    world.elections = Some(Elections::new(chance.split(), timeout).with_bugs(bugs));
    for n in 2..=chance.between(1, 3) {
        let host = world.add_host();
        let master = world.add_process(format!("master-{n}"), host, true, Seat::Master);
        world.queue.at(chance.millis(0, 3_000), Due::Start(master));
    }
}

fn election_bugs(bug: Option<Bug>) -> Bugs {
    match bug {
        Some(Bug::Coordination(bug)) => Bugs::only([bug]),
        Some(Bug::Master(_) | Bug::Agent(_) | Bug::Sdk(_) | Bug::Executor(_)) | None => {
            Bugs::default()
        }
    }
}

/// So many of a thousand clusters have a framework that elects one of its schedulers.
const WITH_STAND_INS: u64 = 300;

/// The first framework gets one or two processes more, and an ensemble of its own where they elect one of them.
fn add_stand_ins(world: &mut World, chance: &mut Chance) {
    let frameworks = world.processes.iter().filter(|(_, p)| matches!(p.seat, Seat::Framework(_)));
    let first = frameworks.map(|(number, _)| *number).next();
    let Some(first) = first.filter(|_| chance.in_thousand(WITH_STAND_INS)) else {
        return;
    };
    let timeout = chance.millis(4_000, 10_000);
    let bugs = election_bugs(world.setup.bug);
    let elections = Elections::new(chance.split(), timeout).with_bugs(bugs);
    let Some(seat) = world.framework_seat(first) else {
        return;
    };
    // As the SDK asks for.
    seat.info.failover_timeout = seat.info.failover_timeout.max(2 * timeout);
    let mut office = Office::new(elections, seat.bug);
    office.posts.insert(first, Default::default());
    let mut last = first;
    for n in 2..=chance.between(2, 3) {
        let Some(heir) = world.framework_seat(last).map(|seat| seat.heir()) else {
            return;
        };
        let name = format!("{}-{n}", world.name_of(first));
        let host = world.add_host();
        last = world.add_process(name, host, true, Seat::Framework(Box::new(heir)));
        world.queue.at(chance.millis(0, 5_000), Due::Start(last));
        office.posts.insert(last, Default::default());
        world.truth.families.insert(last, first);
    }
    world.truth.families.insert(first, first);
    world.office = Some(office);
}

fn frameworks(world: &mut World) -> impl Iterator<Item = &mut FrameworkSeat> {
    world.processes.values_mut().filter_map(|process| match &mut process.seat {
        Seat::Framework(seat) => Some(&mut **seat),
        Seat::Master | Seat::Agent { .. } | Seat::Executor { .. } => None,
    })
}

/// Some frameworks can deal with what others cannot.
fn give_capabilities(world: &mut World, chance: &mut Chance) {
    for seat in frameworks(world) {
        for (capability, times) in [
            (Capability::RegionAware, 300),
            (Capability::RevocableResources, 200),
            (Capability::ReservationRefinement, 300),
        ] {
            if chance.in_thousand(times) {
                seat.info.capabilities.push(capability);
            }
        }
    }
}

/// Some frameworks act for another role beside their own.
fn act_for_several(world: &mut World, chance: &mut Chance) {
    for seat in frameworks(world) {
        let more = ["web", "eng", "*"][chance.index(3)].parse().expect("a role");
        if chance.in_thousand(400) && !seat.info.roles.contains(&more) {
            seat.info.roles.push(more);
        }
    }
}

fn add_agent(world: &mut World, chance: &mut Chance, n: u64, bug: Option<Bug>) {
    let cpus = i64::try_from(chance.between(2, 4)).expect("at most four");
    let resources = Resources::none()
        .with_scalar("cpus", Milli::whole(cpus))
        .with_scalar("mem", Milli::whole(1024))
        .with_ranges("ports", Ranges::new([(31_000, 31_100)]));
    let hostname = format!("host-{n}");
    let mut config = agent::logic::Config::new(agent_info(&hostname, resources));
    config.domain = domain_of(&hostname);
    config.contact_backoff_min = chance.millis(10, 1_000);
    config.executor_registration_timeout = chance.millis(10_000, 60_000);
    if let Some(Bug::Agent(bug)) = bug {
        config.bugs.insert(bug);
    }
    let seat = Seat::agent(config);
    let host = world.add_host();
    let number = world.add_process(format!("agent-{n}"), host, true, seat);
    let at = chance.millis(0, 3_000);
    world.queue.at(at, Due::Start(number));
}

fn add_framework(world: &mut World, chance: &mut Chance, n: u64, bug: Option<Bug>) {
    let mut capabilities = Vec::new();
    if chance.in_thousand(700) {
        capabilities.push(Capability::PartitionAware);
    }
    if chance.in_thousand(700) {
        capabilities.push(Capability::StatesDemand);
    }
    let states_demand = capabilities.contains(&Capability::StatesDemand);
    let mut info = framework_info(&format!("framework-{n}"), capabilities);
    let role = ["*", "web", "eng/batch"][chance.index(3)];
    info.roles = vec![role.parse().expect("a role")];
    let patience = if chance.in_thousand(200) { chance.between(20, 120) } else { 7 * 24 * 3600 };
    info.failover_timeout = Duration::from_secs(patience);
    let may_tear_down = chance.in_thousand(300);
    let seat = FrameworkSeat {
        info,
        settings: settings(chance),
        bug: match bug {
            Some(Bug::Sdk(bug)) => Some(bug),
            Some(Bug::Master(_) | Bug::Agent(_) | Bug::Executor(_) | Bug::Coordination(_)) => None,
            None => None,
        },
        careless: chance.in_thousand(600),
        make: Box::new(ScriptedMaker {
            first: Scripted::new(chance.split(), may_tear_down, states_demand),
            lives: 0,
            process: format!("f{n}"),
        }),
        remembered: None,
        stored: Default::default(),
        file: Vec::new(),
        outcome: None,
    };
    let host = world.add_host();
    let seat = Seat::Framework(Box::new(seat));
    let number = world.add_process(format!("framework-{n}"), host, true, seat);
    let at = chance.millis(0, 5_000);
    world.queue.at(at, Due::Start(number));
}

/// What a simulated framework says of itself.
pub(crate) fn framework_info(name: &str, capabilities: Vec<Capability>) -> FrameworkInfo {
    FrameworkInfo {
        framework: FrameworkId::new("unset"),
        name: name.to_owned(),
        user: "nobody".to_owned(),
        roles: vec!["*".parse().expect("everybody's role")],
        failover_timeout: Duration::from_secs(7 * 24 * 3600),
        hostname: "simulated".to_owned(),
        capabilities,
        carried: Carried::<v1::FrameworkInfo>::default(),
    }
}
