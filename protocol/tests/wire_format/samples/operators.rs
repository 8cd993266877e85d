//! Samples of the operators' questions and their answers.

use protocol::change::{AgentState, FrameworkState, Moment};
use protocol::operator::*;
use protocol::quantities::{Limits, Quantities};
use protocol::quota::{Quota, Weight};

use super::*;

pub(crate) fn moment() -> Moment {
    Moment { epoch: 2, change: 9 }
}

pub(crate) fn reads() -> Vec<Read> {
    let after = Read::After { moment: moment(), list: List::Tasks };
    let behind = Read::TasksBehind { framework: framework(), task: task() };
    let agents = Read::AgentsBehind(agent());
    let frameworks = Read::FrameworksBehind(framework());
    let lists = [Read::Cluster, Read::Agents, Read::Frameworks, Read::Tasks];
    let roles = [Read::Roles, Read::RolesBehind(role())];
    let domains = [Read::Domains, Read::DomainsBehind(agent())];
    let offers = [Read::Offers, Read::OffersBehind(OfferId::new("o"))];
    let behind = [after, behind, agents, frameworks];
    let all = lists.into_iter().chain(behind).chain(roles);
    all.chain(domains).chain(offers).collect()
}

pub(crate) fn place_read(read: &Read) -> usize {
    match read {
        Read::Cluster => 0,
        Read::Agents => 1,
        Read::Frameworks => 2,
        Read::Tasks => 3,
        Read::After { .. } => 4,
        Read::TasksBehind { .. } => 5,
        Read::AgentsBehind(_) => 6,
        Read::FrameworksBehind(_) => 7,
        Read::Roles => 8,
        Read::RolesBehind(_) => 9,
        Read::Domains => 10,
        Read::DomainsBehind(_) => 11,
        Read::Offers => 12,
        Read::OffersBehind(_) => 13,
    }
}

pub(crate) fn read_answers() -> Vec<ReadAnswer> {
    let none = Resources::none;
    let one_agent = AgentView {
        agent: agent(),
        info: info(),
        state: AgentState::Active,
        used: resources(),
        offered: none(),
    };
    let one_framework = FrameworkView {
        info: framework_info(),
        state: FrameworkState::Active,
        used: none(),
        offered: resources(),
        tasks: 1,
    };
    vec![
        ReadAnswer::Cluster(ClusterView {
            cluster: ClusterId::new("c"),
            master: MasterId::new("m"),
            epoch: 2,
            version: "0.1.0".into(),
            change: 9,
            recovering: false,
        }),
        ReadAnswer::Agents(vec![one_agent.clone()]),
        ReadAnswer::Frameworks(vec![one_framework.clone()]),
        ReadAnswer::Tasks(vec![TaskView { report: report(), statuses: vec![status().into()] }]),
        ReadAnswer::Behind(moment()),
        ReadAnswer::SomeTasks(vec![TaskView { report: report(), statuses: Vec::new() }]),
        ReadAnswer::SomeAgents(vec![one_agent]),
        ReadAnswer::SomeFrameworks(vec![one_framework]),
        ReadAnswer::Roles(vec![one_role()]),
        ReadAnswer::SomeRoles(vec![one_role()]),
        ReadAnswer::Refused("r".into()),
        ReadAnswer::Domains(domains_view()),
        ReadAnswer::SomeDomains(DomainsView { master: None, ..domains_view() }),
        ReadAnswer::Offers(vec![one_offer()]),
        ReadAnswer::SomeOffers(vec![OfferView { lasts_for: None, ..one_offer() }]),
    ]
}

pub(crate) fn place_read_answer(answer: &ReadAnswer) -> usize {
    match answer {
        ReadAnswer::Cluster(_) => 0,
        ReadAnswer::Agents(_) => 1,
        ReadAnswer::Frameworks(_) => 2,
        ReadAnswer::Tasks(_) => 3,
        ReadAnswer::Behind(_) => 4,
        ReadAnswer::SomeTasks(_) => 5,
        ReadAnswer::SomeAgents(_) => 6,
        ReadAnswer::SomeFrameworks(_) => 7,
        ReadAnswer::Roles(_) => 8,
        ReadAnswer::SomeRoles(_) => 9,
        ReadAnswer::Refused(_) => 10,
        ReadAnswer::Domains(_) => 11,
        ReadAnswer::SomeDomains(_) => 12,
        ReadAnswer::Offers(_) => 13,
        ReadAnswer::SomeOffers(_) => 14,
    }
}

fn domains_view() -> DomainsView {
    DomainsView { master: Some(domain()), agents: vec![(agent(), domain())] }
}

fn role() -> Role {
    "eng/web".parse().expect("a role")
}

pub(crate) fn quota() -> Quota {
    Quota {
        guarantees: Quantities::none().with("cpus", Milli(500)),
        limits: Limits::none().with("cpus", Milli::whole(2)).with("gpus", Milli(0)),
    }
}

pub(crate) fn weight() -> Weight {
    Weight::try_from(2.5).expect("a weight")
}

fn one_offer() -> OfferView {
    OfferView {
        offer: OfferId::new("m-O1"),
        framework: framework(),
        agent: agent(),
        hostname: "h".into(),
        role: role(),
        resources: resources(),
        held_for: Duration::from_millis(1),
        lasts_for: Some(Duration::from_secs(2)),
    }
}

fn one_role() -> RoleView {
    RoleView {
        role: role(),
        weight: weight(),
        quota: quota(),
        consumed: Quantities::none().with("cpus", Milli(1)),
        allocated: Quantities::none().with("cpus", Milli(2)),
        offered: Quantities::none().with("cpus", Milli(3)),
        reserved: Quantities::none().with("cpus", Milli(4)),
        frameworks: vec![framework()],
    }
}

pub(crate) fn set_quotas() -> SetQuotas {
    SetQuotas { quotas: vec![(role(), quota())], force: true, before: Before::NoQuota }
}

pub(crate) fn set_weights() -> SetWeights {
    SetWeights { weights: vec![(role(), 2.5)] }
}

pub(crate) fn teardown() -> Teardown {
    Teardown { framework: framework() }
}

pub(crate) fn mark_agent_gone() -> MarkAgentGone {
    MarkAgentGone { agent: agent() }
}

pub(crate) fn set_answers() -> Vec<SetAnswer> {
    let refusal = Refusal { kind: RefusalKind::Busy, why: "r".into() };
    vec![SetAnswer::Refused(refusal), SetAnswer::SetAt(moment())]
}

pub(crate) fn place_set_answer(answer: &SetAnswer) -> usize {
    match answer {
        SetAnswer::Refused(_) => 0,
        SetAnswer::SetAt(_) => 1,
    }
}

pub(crate) fn kill_task() -> KillTask {
    KillTask { framework: framework(), task: task() }
}

pub(crate) fn kill_answers() -> Vec<KillAnswer> {
    let at = KillAnswer::KillingAt(moment());
    vec![KillAnswer::Killing, KillAnswer::Refused("r".into()), at]
}

pub(crate) fn place_kill_answer(answer: &KillAnswer) -> usize {
    match answer {
        KillAnswer::Killing => 0,
        KillAnswer::Refused(_) => 1,
        KillAnswer::KillingAt(_) => 2,
    }
}

pub(crate) fn read_sandbox() -> ReadSandbox {
    ReadSandbox {
        framework: framework(),
        executor: executor(),
        container: Some(container()),
        file: "stdout".into(),
        offset: -10,
        length: 100,
    }
}

pub(crate) fn sandbox_answers() -> Vec<SandboxAnswer> {
    vec![
        SandboxAnswer::Part { offset: 0, data: vec![1], size: 1, ended: true },
        SandboxAnswer::Refused("r".into()),
    ]
}

pub(crate) fn place_sandbox_answer(answer: &SandboxAnswer) -> usize {
    match answer {
        SandboxAnswer::Part { .. } => 0,
        SandboxAnswer::Refused(_) => 1,
    }
}

pub(crate) fn executors_answer() -> ExecutorsAnswer {
    ExecutorsAnswer {
        agent: Some(agent()),
        executors: vec![ExecutorView {
            framework: framework(),
            executor: executor(),
            container: container(),
            process: 42,
            sandbox: "/s".into(),
        }],
    }
}
