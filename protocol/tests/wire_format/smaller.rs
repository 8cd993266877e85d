//! Enums that messages hold: an older peer that meets a variant it does not know can read nothing of the message, so they are
//! kept as strictly as messages are.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};

use libactor::wire::encode;
use protocol::change::{AgentNews, AgentState, FrameworkState, GivenUp, What};
use protocol::framework::Capability;
use protocol::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role};
use protocol::operator::List;
use protocol::resources::{
    Disk, DiskKind, DiskSource, Kind, Milli, PersistentVolume, Ranges, Reservation,
    ReservationMade, Resources, Terms, Value,
};
use protocol::task::{Exit, Isolation, Reason, Source, TaskState};
use protocol::time::Instant;
use serde::Serialize;

use super::samples::{quota, weight};

/// All variants without fields of an enum; the build stops at one that is missing.
macro_rules! all {
    ($name:ident: $($variant:ident),* $(; $other:pat)?) => {{
        let known = |value: &$name| match value {
            $($name::$variant => (),)*
            $($other => (),)?
        };
        let variants = [$($name::$variant),*];
        variants.iter().for_each(known);
        lines(stringify!($name), &variants)
    }};
}

fn lines<T: Serialize + Debug>(name: &str, variants: &[T]) -> String {
    let mut lines = String::new();
    for variant in variants {
        write!(lines, "{name} {variant:?} ").expect("writing to a string");
        for byte in encode(variant, 1 << 10).expect("it encodes") {
            write!(lines, "{byte:02x}").expect("writing to a string");
        }
        lines.push('\n');
    }
    lines
}

/// How much there can be of a resource; the build stops at a kind of value that is missing.
fn values() -> String {
    let known = |value: &Value| match value {
        Value::Scalar(_) | Value::Ranges(_) | Value::Set(_) => (),
    };
    let values = [
        Value::Scalar(Milli(1500)),
        Value::Ranges(Ranges::new([(1, 2)])),
        Value::Set(vec!["a".to_owned()]),
    ];
    values.iter().for_each(known);
    lines("Value", &values)
}

/// Terms in which nothing is left out, and such in which nothing but a reservation is there.
pub(crate) fn kinds() -> [Kind; 2] {
    let labels = || vec![("k".to_owned(), Some("v".to_owned())), ("l".to_owned(), None)];
    let text = |text: &str| Some(text.to_owned());
    let reservation = |role: &str, made| Reservation {
        role: role.parse().expect("a role"),
        made,
        principal: text("p"),
        labels: labels(),
    };
    let source = DiskSource {
        kind: DiskKind::Mount,
        root: text("/m"),
        id: text("i"),
        vendor: text("v"),
        profile: text("f"),
        metadata: labels(),
    };
    let volume = PersistentVolume {
        id: "d".into(),
        principal: text("p"),
        container_path: "c".into(),
        read_only: true,
    };
    let all = Terms {
        reservations: vec![
            reservation("a", ReservationMade::Static),
            reservation("a/b", ReservationMade::Dynamic),
        ],
        disk: Some(Disk { source: Some(source), volume: Some(volume) }),
        revocable: true,
        shared: true,
        allocated_to: Some("a/b".parse().expect("a role")),
    };
    [Kind::of(all), Kind::reserved("a".parse().expect("a role"))]
}

/// Changes that came after deltas were released: they stay within a master.
fn later_changes() -> [What; 7] {
    let agent = AgentId::new("a");
    let (framework, executor) = (FrameworkId::new("f"), ExecutorId::new("x"));
    let (role, resources) = (Role::everybody(), Resources::cpus_mem(1.0, 0.0));
    let booked = What::ExecutorBooked {
        agent: agent.clone(),
        framework: framework.clone(),
        executor: executor.clone(),
        role: role.clone(),
        resources,
    };
    [
        What::Quotas(BTreeMap::from([(role.clone(), quota())])),
        What::Weights(BTreeMap::from([(role, weight())])),
        booked,
        What::ExecutorUnbooked { agent: agent.clone(), framework, executor },
        What::AgentDomain { agent, domain: crate::samples::domain() },
        What::OfferLeased {
            offer: crate::samples::offer().into(),
            since: Instant(1),
            ends: Some(Instant(2)),
        },
        What::OfferConstraints {
            framework: FrameworkId::new("f"),
            roles: BTreeMap::from([(Role::everybody(), crate::samples::wishes().constraints)]),
        },
    ]
}

#[test]
fn every_released_variant_that_a_message_holds_keeps_its_bytes() {
    let mut text = all!(TaskState: Staging, Starting, Running, Killing, Finished, Failed, Killed, Error, Lost, Dropped,
        Unreachable, Gone, GoneByOperator, Unknown);
    text += &all!(Source: Master, Agent, Executor);
    text += &all!(Reason: AgentDisconnected, AgentRemoved, AgentRestarted, AgentUnknown, CommandExecutorFailed,
        ContainerLaunchFailed, ExecutorRegistrationTimeout, ExecutorTerminated, ExecutorUnregistered, FrameworkRemoved,
        InvalidOffers, Reconciliation, ResourcesUnknown, TaskInvalid, TaskUnauthorized, TaskUnknown,
        TaskKilledDuringLaunch, MasterDisconnected, InvalidFrameworkId, AgentReregistered,
        ContainerLimitationMemory, ContainerLimitationDisk, ContainerLimitation, ContainerUpdateFailed);
    text += &all!(Isolation: ProcessGroup, ControlGroup, Container);
    text += &all!(Capability: PartitionAware, StatesDemand, RevocableResources, SharedResources, GpuResources,
        ReservationRefinement, RegionAware, NamesItself);
    text += &all!(AgentState: Active, Disconnected, Unreachable, Gone, Recovered);
    text += &all!(FrameworkState: Active, Suppressed, Disconnected, Recovered, Removed);
    text += &all!(Kind: Unreserved; Kind::Particular(_));
    text += &all!(ReservationMade: Static, Dynamic);
    text += &all!(DiskKind: Path, Mount, Block, Raw);
    text += &lines("Kind", &kinds());
    text += &all!(List: Cluster, Agents, Frameworks, Tasks;
        List::TasksBehind { .. } | List::AgentsBehind(_) | List::FrameworksBehind(_)
            | List::Roles | List::RolesBehind(_) | List::Domains | List::DomainsBehind(_)
            | List::Offers | List::OffersBehind(_));
    text += &lines("List", &[List::Roles]);
    text += &lines("List", &[List::Domains, List::DomainsBehind(AgentId::new("a"))]);
    text += &lines("List", &[List::Offers, List::OffersBehind(OfferId::new("o"))]);
    text += &lines("Cause", &crate::samples::causes());
    text += &lines("Exit", &[Exit::Code(1), Exit::Signal(9)]);
    text += &all!(GivenUp: Silent, NotBack, NotRecovered);
    text += &all!(AgentNews: Registered, Reregistered, UnreachableScheduled, UnreachableCanceled, Removed,
        DomainUnfit;
        AgentNews::Unreachable(_));
    let given_up = AgentNews::Unreachable(GivenUp::NotBack);
    text += &lines("AgentNews", &[given_up]);
    text += &lines("What", &[What::AgentNews { agent: AgentId::new("a"), news: given_up }]);
    text += &lines("What", &later_changes());
    text += &values();
    insta::assert_snapshot!(text);
}
