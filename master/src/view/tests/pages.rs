//! Lists are read page by page, and each entry is on one page.

use std::sync::Arc;

use protocol::operator::{DomainsView, TaskView};
use protocol::task::{CommandSpec, Run};
use protocol::wishes::FaultDomain;

use super::*;

/// The entries of a page by name, the question for the next one if there is one, and its answer as it travels.
fn page(view: &View, list: List) -> (Vec<String>, Option<List>) {
    let answer = view.answer(list);
    let bytes = libactor::wire::encode(&answer, 64 << 20);
    assert!(bytes.is_ok_and(|bytes| bytes.len() < 16 << 20), "a page is a small message");
    let task = |t: &TaskView| format!("{}/{}", t.report.framework, t.report.spec.task);
    let names = match &answer {
        ReadAnswer::Tasks(tasks) | ReadAnswer::SomeTasks(tasks) => tasks.iter().map(task).collect(),
        ReadAnswer::Agents(agents) | ReadAnswer::SomeAgents(agents) => {
            agents.iter().map(|agent| agent.agent.to_string()).collect()
        }
        ReadAnswer::Frameworks(all) | ReadAnswer::SomeFrameworks(all) => {
            all.iter().map(|framework| framework.info.framework.to_string()).collect()
        }
        ReadAnswer::Roles(roles) | ReadAnswer::SomeRoles(roles) => {
            roles.iter().map(|role| role.role.to_string()).collect()
        }
        ReadAnswer::Domains(view) | ReadAnswer::SomeDomains(view) => {
            view.agents.iter().map(|(agent, _)| agent.to_string()).collect()
        }
        ReadAnswer::Offers(offers) | ReadAnswer::SomeOffers(offers) => {
            offers.iter().map(|offer| offer.offer.to_string()).collect()
        }
        ReadAnswer::Cluster(_) | ReadAnswer::Behind(_) | ReadAnswer::Refused(_) => {
            panic!("no list")
        }
    };
    let next = match answer {
        ReadAnswer::SomeTasks(tasks) => tasks.last().map(|last| {
            let report = &last.report;
            let (framework, task) = (report.framework.clone(), report.spec.task.clone());
            List::TasksBehind { framework, task }
        }),
        ReadAnswer::SomeAgents(agents) => {
            agents.last().map(|last| List::AgentsBehind(last.agent.clone()))
        }
        ReadAnswer::SomeFrameworks(frameworks) => {
            frameworks.last().map(|last| List::FrameworksBehind(last.info.framework.clone()))
        }
        ReadAnswer::Tasks(_) | ReadAnswer::Agents(_) | ReadAnswer::Frameworks(_) => None,
        ReadAnswer::SomeRoles(roles) => {
            roles.last().map(|last| List::RolesBehind(last.role.clone()))
        }
        ReadAnswer::SomeDomains(view) => {
            view.agents.last().map(|(last, _)| List::DomainsBehind(last.clone()))
        }
        ReadAnswer::SomeOffers(offers) => {
            offers.last().map(|last| List::OffersBehind(last.offer.clone()))
        }
        ReadAnswer::Domains(_) | ReadAnswer::Offers(_) => None,
        ReadAnswer::Cluster(_) | ReadAnswer::Behind(_) => None,
        ReadAnswer::Roles(_) | ReadAnswer::Refused(_) => None,
    };
    (names, next)
}

/// All entries as a reader pages through them, and on how many pages.
fn paged(view: &View, list: List) -> (Vec<String>, usize) {
    let (mut names, mut pages, mut next) = (Vec::new(), 0, Some(list));
    while let Some(list) = next.take() {
        pages += 1;
        let (more, behind) = page(view, list);
        names.extend(more);
        next = behind;
    }
    (names, pages)
}

#[track_caller]
fn each_is_there_once(names: &[String]) {
    assert!(names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn many_tasks_are_read_page_by_page_and_each_is_there_once() {
    let mut view = view();
    for n in 0..3 {
        let info = FrameworkInfo { framework: id(n), ..framework() };
        tell(&mut view, What::Framework { info: info.into(), state: FrameworkState::Active });
    }
    assert_eq!(paged(&view, List::Tasks), (vec![], 1));
    for n in 0..9_000 {
        let one = TaskReport {
            framework: id(n % 3),
            ..report(1, &format!("t{n:05}"), TaskState::Running)
        };
        tell(&mut view, What::Task(one.into()));
    }
    let (names, pages) = paged(&view, List::Tasks);
    assert_eq!((names.len(), pages), (9_000, 2));
    each_is_there_once(&names);
    // And a few that are large.
    for n in 0..9 {
        let mut large = report(1, &format!("large{n}"), TaskState::Running);
        large.framework = id(1);
        Arc::make_mut(&mut large.spec).run =
            Run::Command(CommandSpec { value: "x".repeat(1 << 20), ..Default::default() });
        tell(&mut view, What::Task(large.into()));
    }
    let (names, pages) = paged(&view, List::Tasks);
    assert_eq!(names.len(), 9_009);
    assert!((4..=6).contains(&pages), "{pages}");
}

#[test]
fn many_agents_and_frameworks_are_read_page_by_page_too() {
    let mut view = view();
    assert_eq!(paged(&view, List::Agents), (vec![], 1));
    assert_eq!(paged(&view, List::Frameworks), (vec![], 1));
    for n in 0..9_000 {
        let (agent, info) = (AgentId::new(format!("c-S{n:05}")), agent_info(1));
        tell(&mut view, What::Agent { agent, info: info.into(), state: AgentState::Active });
        let info = FrameworkInfo { framework: id(n), ..framework() };
        tell(&mut view, What::Framework { info: info.into(), state: FrameworkState::Active });
    }
    for list in [List::Agents, List::Frameworks] {
        let (names, pages) = paged(&view, list);
        assert_eq!((names.len(), pages), (9_000, 2));
        each_is_there_once(&names);
    }
    // What is large has a page of its own.
    for n in 0..3 {
        let mut info = FrameworkInfo { framework: id(n), ..framework() };
        info.name = "x".repeat(3 << 20);
        tell(&mut view, What::Framework { info: info.into(), state: FrameworkState::Active });
    }
    let (names, pages) = paged(&view, List::Frameworks);
    assert_eq!((names.len(), pages), (9_000, 5));
    for n in 0..3 {
        let mut info = agent_info(1);
        info.resources = format!("images:{{{}}}", "x".repeat(3 << 20)).parse().unwrap();
        let agent = AgentId::new(format!("c-S{n:05}"));
        tell(&mut view, What::Agent { agent, info: info.into(), state: AgentState::Active });
    }
    let (names, pages) = paged(&view, List::Agents);
    assert_eq!((names.len(), pages), (9_000, 5));
}

#[test]
fn thousands_of_offers_are_read_page_by_page() {
    let mut view = filled();
    for n in 0..9_000 {
        let offer = OfferId::new(format!("m-O{n}"));
        let resources = Resources::cpus_mem(1.0, 64.0);
        let offer = Offer::plain(offer, id(0), agent_id(1), resources);
        tell(&mut view, What::OfferMade(offer.into()));
    }
    let (names, pages) = paged(&view, List::Offers);
    assert_eq!((names.len(), pages), (9_000, 2));
    each_is_there_once(&names);
}

#[test]
fn thousands_of_roles_are_read_page_by_page() {
    let mut view = view();
    let two = Weight::try_from(2.0).unwrap();
    let role = |n: usize| format!("r{n:05}/x").parse().unwrap();
    tell(&mut view, What::Weights((0..6_000).map(|n| (role(n), two)).collect()));
    let (names, pages) = paged(&view, List::Roles);
    assert_eq!((names.len(), pages), (12_000, 3), "with those above them");
    each_is_there_once(&names);
}

#[test]
fn fd_01_readers_learn_page_by_page_where_the_master_and_each_agent_is() {
    let at = |zone: usize| FaultDomain { region: "eu".into(), zone: format!("z{zone:0200}") };
    let mut view = view().located(Some(at(0)));
    let whole = |master, agents| ReadAnswer::Domains(DomainsView { master, agents });
    assert_eq!(view.answer(List::Domains), whole(Some(at(0)), Vec::new()));
    let id = |n: usize| AgentId::new(format!("c-S{n:05}"));
    for n in 0..9_000 {
        let (agent, info) = (id(n), agent_info(1));
        tell(&mut view, What::Agent { agent, info: info.into(), state: AgentState::Active });
        if n % 3 > 0 {
            tell(&mut view, What::AgentDomain { agent: id(n), domain: at(n % 3) });
        }
    }
    let (names, pages) = paged(&view, List::Domains);
    assert_eq!((names.len(), pages), (6_000, 2));
    each_is_there_once(&names);
    let behind = view.answer(List::DomainsBehind(id(8_997)));
    assert_eq!(behind, whole(Some(at(0)), vec![(id(8_998), at(1)), (id(8_999), at(2))]));
    // It moves, and then says no more where it is.
    let again =
        || What::Agent { agent: id(8_999), info: agent_info(1).into(), state: AgentState::Active };
    tell(&mut view, again());
    tell(&mut view, What::AgentDomain { agent: id(8_999), domain: at(7) });
    let behind = view.answer(List::DomainsBehind(id(8_998)));
    assert_eq!(behind, whole(Some(at(0)), vec![(id(8_999), at(7))]));
    tell(&mut view, again());
    let behind = view.answer(List::DomainsBehind(id(8_998)));
    assert_eq!(behind, whole(Some(at(0)), Vec::new()));
}
