//! What the agents of a random cluster have beside what is anybody's, what their operators say of them, and where they are.

use protocol::agent::{AgentAddress, AgentInfo};
use protocol::resources::{
    Attribute, Disk, DiskKind, DiskSource, Kind, Milli, Ranges, Reservation, ReservationMade,
    Resource, Resources, Terms, Value,
};
use protocol::wishes::FaultDomain;

use crate::chance::Chance;
use crate::process::Seat;
use crate::world::World;

/// The attribute that all agents have.
pub(crate) const RACK: &str = "rack";
/// What it says of one of them at least, of which everybody may have something: all work can be done there.
pub(crate) const FIRST_RACK: &str = "r1";
/// What it may say.
pub(crate) const RACKS: [&str; 3] = [FIRST_RACK, "r2", "r3"];
/// So the name of a machine begins that is in another region than the masters.
const FAR: &str = "host-far-";
/// Roles for which something may be reserved.
const OWNERS: [&str; 3] = ["web", "eng", "eng/batch"];
/// So many of a thousand agents have something that is reserved for a role.
const WITH_RESERVATION: u64 = 250;

/// What a simulated agent says of itself.
pub(crate) fn agent_info(hostname: &str, resources: Resources) -> AgentInfo {
    AgentInfo {
        at: AgentAddress { hostname: hostname.to_owned(), listens: format!("{hostname}:5051") }
            .into(),
        resources,
        attributes: Vec::new(),
        version: "simulated".to_owned(),
        boot: "boot".to_owned(),
    }
}

/// Where the machine of this name is: every other one says so, each in a zone of its own, near the masters or far.
pub(crate) fn domain_of(hostname: &str) -> Option<FaultDomain> {
    if let Some(number) = hostname.strip_prefix(FAR) {
        return Some(FaultDomain {
            region: "elsewhere".to_owned(),
            zone: format!("zone-{number}"),
        });
    }
    let number: u64 = hostname.strip_prefix("host-")?.parse().ok()?;
    let zone = format!("zone-{number}");
    number.is_multiple_of(2).then_some(FaultDomain { region: "region".to_owned(), zone })
}

/// All agents get what sets one apart from another.
pub(crate) fn furnish(world: &mut World, chance: &mut Chance) {
    let agents = world.processes.values_mut().filter_map(|process| match &mut process.seat {
        Seat::Agent { config, .. } => Some(config),
        Seat::Master | Seat::Executor { .. } | Seat::Framework(_) => None,
    });
    for (n, config) in (1..).zip(agents) {
        let is_first = n == 1;
        if !is_first && chance.in_thousand(150) {
            config.info = agent_info(&format!("{FAR}{n}"), config.info.resources.clone());
            config.domain = domain_of(&config.info.at.hostname);
        }
        let rack = if is_first { FIRST_RACK } else { RACKS[chance.index(RACKS.len())] };
        config.info.attributes = vec![attribute(rack)];
        add_particular(&mut config.info.resources, chance);
    }
}

/// An agent that starts anew with other resources may be in another rack, and have something else that is particular.
pub(crate) fn refurnish(info: &mut AgentInfo, chance: &mut Chance) {
    if chance.in_thousand(300) {
        info.resources = info.resources.filter(|resource| resource.kind == Kind::Unreserved);
        add_particular(&mut info.resources, chance);
    }
    let stays = info.attributes == [attribute(FIRST_RACK)];
    if !stays && chance.in_thousand(300) {
        info.attributes = vec![attribute(RACKS[chance.index(RACKS.len())])];
    }
}

fn attribute(rack: &str) -> Attribute {
    Attribute { name: RACK.to_owned(), value: rack.to_owned() }
}

/// Beside what is anybody's: that is enough for every task.
fn add_particular(resources: &mut Resources, chance: &mut Chance) {
    let mut add = |name: &str, kind: &Kind, value| {
        resources.add_one(Resource { name: name.into(), kind: kind.clone(), value });
    };
    let tenths = |tenths: u64| Value::Scalar(Milli(i64::try_from(tenths * 100).unwrap_or(0)));
    if chance.in_thousand(WITH_RESERVATION) {
        let kind = reserved(chance);
        add("cpus", &kind, tenths(chance.between(1, 30)));
        if chance.in_thousand(800) {
            add("mem", &kind, tenths(10 * chance.between(32, 512)));
        }
        if chance.in_thousand(200) {
            add("ports", &kind, Value::Ranges(Ranges::new([(32_000, 32_009)])));
        }
    }
    if chance.in_thousand(80) {
        let source = DiskSource {
            kind: DiskKind::Mount,
            root: Some("/mnt/disk".to_owned()),
            id: None,
            vendor: None,
            profile: None,
            metadata: Vec::new(),
        };
        let disk = Some(Disk { source: Some(source), volume: None });
        let kind = Kind::of(Terms { disk, ..Terms::default() });
        add("disk", &kind, tenths(10 * chance.between(1, 1000)));
    }
    if chance.in_thousand(80) {
        let kind = Kind::of(Terms { revocable: true, ..Terms::default() });
        add("cpus", &kind, tenths(chance.between(1, 20)));
    }
}

/// For one of [`OWNERS`]; now and then within a reservation for one above it.
fn reserved(chance: &mut Chance) -> Kind {
    let kind = |role: &str| Kind::reserved(role.parse().expect("a role"));
    if !chance.in_thousand(200) {
        return kind(OWNERS[chance.index(OWNERS.len())]);
    }
    kind("eng").with(|terms| {
        let role = "eng/batch".parse().expect("a role");
        // Within another one none is made when the agent starts.
        let made = ReservationMade::Dynamic;
        terms.reservations.push(Reservation { role, made, principal: None, labels: Vec::new() });
    })
}
