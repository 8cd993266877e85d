//! Samples of why something does not start.

use protocol::quantities::Quantities;
use protocol::why::{AskWhy, AskWhyDemand, Cause, OfferWhy, Quiet, RoleWhy, WantWhy, WhyAnswer};

use super::*;

pub(crate) fn ask_why() -> AskWhy {
    AskWhy { framework: framework() }
}

pub(crate) fn ask_why_demand() -> AskWhyDemand {
    let demand = Demand { each: resources(), count: 1, constraints: Vec::new() };
    AskWhyDemand { framework: framework(), role: Some(Role::everybody()), demand }
}

/// One of each; the build stops at one that is missing.
pub(crate) fn causes() -> Vec<Cause> {
    let known = |cause: &Cause| match cause {
        Cause::Fits | Cause::Refused { .. } | Cause::Limit { .. } | Cause::Guaranteed { .. } => (),
        Cause::Offered { .. } | Cause::Inactive | Cause::TooLittle { .. } => (),
        Cause::BelowLeast { .. } | Cause::Reserved { .. } | Cause::TooSmall { .. } => (),
        Cause::Constraint { .. } | Cause::Lacks(_) | Cause::NeverEnough { .. } => (),
    };
    let (cpus, role) = (|| "cpus".to_owned(), Role::everybody);
    let causes = vec![
        Cause::Fits,
        Cause::Refused { for_another: Duration::from_secs(5) },
        Cause::Limit { role: role(), resource: cpus(), limit: Milli(2), consumed: Milli(1) },
        Cause::Guaranteed { to: vec![role()], resource: cpus(), kept: Milli(2), free: Milli(3) },
        Cause::Offered { to: framework(), held_for: Duration::from_secs(7) },
        Cause::Inactive,
        Cause::TooLittle {
            resource: cpus(),
            wants: "2".into(),
            free: "1".into(),
            total: "4".into(),
        },
        Cause::BelowLeast {
            free: Resources::none(),
            least: vec![Quantities::none().with("mem", Milli(1))].into(),
        },
        Cause::Reserved { role: role(), resource: cpus() },
        Cause::TooSmall { resource: cpus(), wants: "2".into(), total: "1".into() },
        Cause::Constraint { constraint: "c".into() },
        Cause::Lacks(Capability::GpuResources),
        Cause::NeverEnough {
            total: Resources::none(),
            least: vec![Quantities::none().with("mem", Milli(1))].into(),
        },
    ];
    causes.iter().for_each(known);
    causes
}

pub(crate) fn why_answers() -> Vec<WhyAnswer> {
    let demand = Demand { each: resources(), count: 1, constraints: Vec::new() };
    let want = WantWhy {
        demand: Some(demand),
        promised: 1,
        causes: vec![(Cause::Inactive, 1)],
        agents: vec![(agent(), "h".into(), Cause::Inactive)],
        of: 1,
    };
    let role = |quiet, wants| RoleWhy {
        role: Role::everybody(),
        share: 10,
        quiet,
        holds: Resources::none(),
        wants,
        wants_of: 1,
        offers: vec![OfferWhy {
            agent: agent(),
            hostname: "h".into(),
            resources: Resources::none(),
            held_for: Duration::from_secs(1),
        }],
        offers_of: 1,
    };
    let roles = vec![
        role(None, vec![want]),
        role(Some(Quiet::Absent), Vec::new()),
        role(Some(Quiet::Suppressed), Vec::new()),
        role(Some(Quiet::NoDemand), Vec::new()),
        role(Some(Quiet::UnderWay), Vec::new()),
    ];
    vec![WhyAnswer::Because(roles), WhyAnswer::Unknown, WhyAnswer::Refused("r".into())]
}

pub(crate) fn place_why_answer(answer: &WhyAnswer) -> usize {
    match answer {
        WhyAnswer::Because(_) => 0,
        WhyAnswer::Unknown => 1,
        WhyAnswer::Refused(_) => 2,
    }
}
