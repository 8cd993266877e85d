//! Samples of what schedulers and the master say, changes among them.

use protocol::change::*;
use protocol::quantities::Quantities;
use protocol::wishes::*;

use super::*;

pub(crate) fn framework_to_master() -> Vec<FrameworkToMaster> {
    let demand = Demand {
        each: Resources::cpus_mem(0.5, 64.0),
        count: 2,
        constraints: vec![
            Constraint::Is { attribute: "rack".into(), value: "r1".into() },
            Constraint::IsNot { attribute: "rack".into(), value: "r2".into() },
        ],
    };
    let offers = vec![OfferId::new("m-O1")];
    vec![
        FrameworkToMaster::Subscribe {
            nonce: 1,
            framework: Some(framework()),
            info: framework_info(),
            demand: vec![demand.clone()],
        },
        FrameworkToMaster::Accept {
            offers: offers.clone(),
            operations: vec![Operation::Launch(vec![spec()])],
            refuse_for: Duration::from_secs(5),
        },
        FrameworkToMaster::Decline { offers, refuse_for: Duration::from_secs(5) },
        FrameworkToMaster::Demand(vec![demand]),
        FrameworkToMaster::Revive,
        FrameworkToMaster::Suppress,
        FrameworkToMaster::Kill { task: task(), agent: Some(agent()), grace: None },
        FrameworkToMaster::Acknowledge { agent: agent(), task: task(), update: update() },
        FrameworkToMaster::Reconcile(vec![(task(), None)]),
        FrameworkToMaster::ToExecutor { agent: agent(), executor: executor(), data: vec![1] },
        FrameworkToMaster::ShutdownExecutor { agent: agent(), executor: executor() },
        FrameworkToMaster::Teardown,
        FrameworkToMaster::SubscribeWith {
            nonce: 1,
            framework: Some(framework()),
            info: framework_info(),
            wishes: vec![wishes()],
        },
        FrameworkToMaster::Wishes(vec![wishes()]),
        FrameworkToMaster::ReviveRoles(vec![Role::everybody()]),
        FrameworkToMaster::SuppressRoles(vec![Role::everybody()]),
        FrameworkToMaster::UpdateFramework {
            number: 3,
            info: framework_info(),
            wishes: vec![wishes()],
        },
    ]
}

pub(crate) fn wishes() -> RoleWishes {
    let text = || "r1".to_owned();
    let predicates = [
        (Selector::Attribute("rack".into()), Predicate::TextEquals(text())),
        (Selector::Hostname, Predicate::TextNotEquals(text())),
        (Selector::Region, Predicate::TextMatches(text())),
        (Selector::Zone, Predicate::TextNotMatches(text())),
        (Selector::Zone, Predicate::Exists),
        (Selector::Zone, Predicate::NotExists),
    ];
    let group: Vec<AttributeConstraint> =
        predicates.map(|(selector, predicate)| AttributeConstraint { selector, predicate }).into();
    RoleWishes {
        role: "eng/web".parse().expect("a role"),
        suppressed: true,
        demand: vec![Demand {
            each: Resources::cpus_mem(0.5, 64.0),
            count: 2,
            constraints: vec![Constraint::Attribute(group[0].clone())],
        }],
        constraints: OfferConstraints { groups: vec![group] },
        allocatable: Some(vec![Quantities::none().with("cpus", Milli(10))]),
    }
}

pub(crate) fn place_framework_to_master(message: &FrameworkToMaster) -> usize {
    match message {
        FrameworkToMaster::Subscribe { .. } => 0,
        FrameworkToMaster::Accept { .. } => 1,
        FrameworkToMaster::Decline { .. } => 2,
        FrameworkToMaster::Demand(_) => 3,
        FrameworkToMaster::Revive => 4,
        FrameworkToMaster::Suppress => 5,
        FrameworkToMaster::Kill { .. } => 6,
        FrameworkToMaster::Acknowledge { .. } => 7,
        FrameworkToMaster::Reconcile(_) => 8,
        FrameworkToMaster::ToExecutor { .. } => 9,
        FrameworkToMaster::ShutdownExecutor { .. } => 10,
        FrameworkToMaster::Teardown => 11,
        FrameworkToMaster::SubscribeWith { .. } => 12,
        FrameworkToMaster::Wishes(_) => 13,
        FrameworkToMaster::ReviveRoles(_) => 14,
        FrameworkToMaster::SuppressRoles(_) => 15,
        FrameworkToMaster::UpdateFramework { .. } => 16,
    }
}

/// One change of each kind that was there when deltas were released, in the order of `What`; later ones stay within a master.
fn changes() -> Vec<Change> {
    let all = vec![
        What::Agent { agent: agent(), info: info().into(), state: AgentState::Active },
        What::AgentState { agent: agent(), state: AgentState::Unreachable },
        What::AgentBook { agent: agent(), used: resources(), offered: Resources::none() },
        What::Framework { info: framework_info().into(), state: FrameworkState::Active },
        What::FrameworkState { framework: framework(), state: FrameworkState::Disconnected },
        What::OfferMade(offer().into()),
        What::OfferEnded(OfferId::new("m-O1")),
        What::Task(report().into()),
        What::TaskStatus(status().into()),
        What::TaskForgotten { framework: framework(), task: task(), state: TaskState::Finished },
    ];
    all.into_iter()
        .enumerate()
        .map(|(place, what)| {
            assert_eq!(place_what(&what), place);
            Change { number: place as u64 + 1, what }
        })
        .collect()
}

fn place_what(what: &What) -> usize {
    match what {
        What::Agent { .. } => 0,
        What::AgentState { .. } => 1,
        What::AgentBook { .. } => 2,
        What::Framework { .. } => 3,
        What::FrameworkState { .. } => 4,
        What::OfferMade(_) => 5,
        What::OfferEnded(_) => 6,
        What::Task(_) => 7,
        What::TaskStatus(_) => 8,
        What::TaskForgotten { .. } => 9,
        What::AgentNews { .. } => 10,
        What::Quotas(_) => 11,
        What::Weights(_) => 12,
        What::ExecutorBooked { .. } => 13,
        What::ExecutorUnbooked { .. } => 14,
        What::AgentDomain { .. } => 15,
        What::OfferLeased { .. } => 16,
        What::OfferConstraints { .. } => 17,
    }
}

pub(crate) fn master_to_framework() -> Vec<MasterToFramework> {
    vec![
        MasterToFramework::Subscribed {
            epoch: 2,
            framework: framework(),
            master: MasterId::new("m"),
            tasks: vec![report()],
            change: 4,
        },
        MasterToFramework::Refused { reason: "r".into() },
        MasterToFramework::FailedOver,
        MasterToFramework::Offers(vec![offer().into()]),
        MasterToFramework::Rescinded(vec![OfferId::new("m-O1")]),
        MasterToFramework::Updated(status()),
        MasterToFramework::Deltas(changes()),
        MasterToFramework::FromExecutor { agent: agent(), executor: executor(), data: vec![1] },
        MasterToFramework::ExecutorEnded { agent: agent(), executor: executor(), exit: None },
        MasterToFramework::AgentLost(agent()),
        MasterToFramework::TornDown,
        MasterToFramework::Error { reason: "r".into() },
        MasterToFramework::Unmet(vec![Unmet {
            demand: Demand { each: resources(), count: 1, constraints: Vec::new() },
            why: "w".into(),
        }]),
        MasterToFramework::OffersAt {
            offers: vec![offer().into()],
            domains: [(agent(), domain())].into(),
        },
        MasterToFramework::FrameworkUpdated { number: 3, refused: Some("w".into()) },
    ]
}

pub(crate) fn place_master_to_framework(message: &MasterToFramework) -> usize {
    match message {
        MasterToFramework::Subscribed { .. } => 0,
        MasterToFramework::Refused { .. } => 1,
        MasterToFramework::FailedOver => 2,
        MasterToFramework::Offers(_) => 3,
        MasterToFramework::Rescinded(_) => 4,
        MasterToFramework::Updated(_) => 5,
        MasterToFramework::Deltas(_) => 6,
        MasterToFramework::FromExecutor { .. } => 7,
        MasterToFramework::ExecutorEnded { .. } => 8,
        MasterToFramework::AgentLost(_) => 9,
        MasterToFramework::TornDown => 10,
        MasterToFramework::Error { .. } => 11,
        MasterToFramework::Unmet(_) => 12,
        MasterToFramework::OffersAt { .. } => 13,
        MasterToFramework::FrameworkUpdated { .. } => 14,
    }
}

pub(crate) fn demand_of_ports() -> FrameworkToMaster {
    let each = Resources::cpus_mem(0.5, 64.0);
    let constraints = vec![Constraint::Ports { each: 3 }];
    FrameworkToMaster::Demand(vec![Demand { each, count: 1, constraints }])
}
