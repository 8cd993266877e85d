//! The tables and the JSON, as they are printed.

use std::time::Duration;

use protocol::agent::{AgentAddress, AgentInfo};
use protocol::carried::Carried;
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role, TaskId};
use protocol::resources::Attribute;
use protocol::task::{CommandSpec, Isolation, Run, Source, TaskReport, TaskSpec};
use protocol::time::WallTime;
use protocol::wishes::FaultDomain;

use protocol::change::FrameworkState;
use protocol::operator::{FrameworkView, OfferView, RoleView};
use protocol::quantities::{Limits, Quantities};
use protocol::quota::{Quota, Weight};
use protocol::resources::Milli;

use super::frameworks::*;
use super::roles::*;
use super::*;
use crate::output::json;

pub(crate) fn agent() -> AgentView {
    AgentView {
        agent: AgentId::new("c-S0"),
        info: AgentInfo {
            at: AgentAddress { hostname: "host-1".into(), listens: "127.0.0.1:5051".into() }.into(),
            resources: "cpus:0.666;mem:2500.5;disk:9000;ports:[31000-31009]".parse().unwrap(),
            attributes: vec![Attribute { name: "rack".into(), value: "a".into() }],
            version: "0.1.0".into(),
            boot: "b".into(),
        },
        state: AgentState::Active,
        used: "cpus:0.1;mem:32".parse().unwrap(),
        offered: "cpus:0.5".parse().unwrap(),
    }
}

pub(crate) fn framework() -> FrameworkView {
    FrameworkView {
        info: FrameworkInfo {
            framework: FrameworkId::new("c-0000"),
            name: "wordcount".into(),
            user: "root".into(),
            roles: vec![Role::everybody(), "eng/web".parse().unwrap()],
            failover_timeout: Duration::from_secs(1),
            hostname: "host-1".into(),
            capabilities: vec![],
            carried: Carried::from_bytes(vec![]),
        },
        state: FrameworkState::Disconnected,
        used: "cpus:0.1;mem:32".parse().unwrap(),
        offered: Resources::none(),
        tasks: 1,
    }
}

pub(crate) fn status(state: TaskState, at_ms: u64) -> TaskStatus {
    TaskStatus {
        framework: FrameworkId::new("c-0000"),
        task: TaskId::new("count-1"),
        agent: Some(AgentId::new("c-S0")),
        executor: Some(ExecutorId::new("count-1")),
        state,
        source: Source::Executor,
        reason: None,
        message: "exited with status 3".into(),
        exit: Some(Exit::Code(3)),
        isolation: Some(Isolation::ProcessGroup),
        process: Some(77),
        data: vec![],
        at: WallTime(at_ms * 1_000_000),
        update: None,
        carried: Carried::from_bytes(vec![]),
    }
}

pub(crate) fn task() -> TaskView {
    TaskView {
        report: TaskReport {
            framework: FrameworkId::new("c-0000"),
            spec: TaskSpec {
                task: TaskId::new("count-1"),
                name: "sh".into(),
                resources: "cpus:0.1;mem:32".parse().unwrap(),
                run: Run::Command(CommandSpec::default()),
                kill_grace: None,
                carried: Carried::from_bytes(vec![]),
            }
            .into(),
            agent: AgentId::new("c-S0"),
            executor: ExecutorId::new("count-1"),
            state: TaskState::Failed,
            unacknowledged: None,
            role: Role::everybody(),
        },
        statuses: vec![status(TaskState::Failed, 1_700_000_000_000).into()],
    }
}

/// The one that is held for longer comes second.
fn offers() -> Vec<OfferView> {
    let offer = |id: &str, held, lasts: Option<u64>| OfferView {
        offer: OfferId::new(id),
        framework: FrameworkId::new("c-0000"),
        agent: AgentId::new("c-S0"),
        hostname: "host-1".into(),
        role: "eng/web".parse().unwrap(),
        resources: "cpus:0.5;mem:64".parse().unwrap(),
        held_for: Duration::from_millis(held),
        lasts_for: lasts.map(Duration::from_secs),
    };
    vec![offer("m-O2", 61_500, None), offer("m-O1", 7_265_000, Some(90_000))]
}

fn role() -> RoleView {
    let cpus = |units| Quantities::none().with("cpus", Milli(units));
    RoleView {
        role: "eng".parse().unwrap(),
        weight: Weight::try_from(2.5).unwrap(),
        quota: Quota {
            guarantees: cpus(500).with("mem", Milli::whole(64)),
            limits: Limits::none().with("gpus", Milli(0)),
        },
        consumed: cpus(1500),
        allocated: cpus(1000),
        offered: cpus(250),
        reserved: cpus(500),
        frameworks: vec![FrameworkId::new("c-0000")],
    }
}

fn bare_role() -> RoleView {
    let none = Quantities::none;
    RoleView {
        role: "eng/web".parse().unwrap(),
        weight: Weight::ONE,
        quota: Quota::default(),
        consumed: none(),
        allocated: none(),
        offered: none(),
        reserved: none(),
        frameworks: vec![],
    }
}

#[test]
fn roles_with_their_quota_and_weights_are_shown() {
    let all = [role(), bare_role()];
    insta::assert_snapshot!("roles_table", roles_table(&all, &[framework()]));
    insta::assert_snapshot!("roles_json", json(&all.each_ref().map(RoleJson::from)));
    insta::assert_snapshot!("quota_table", quota_table(&all));
    insta::assert_snapshot!("quota_json", json(&all.each_ref().map(QuotaJson::from)));
    insta::assert_snapshot!("weights_table", weights_table(&all));
    insta::assert_snapshot!("weights_json", json(&all.each_ref().map(WeightJson::from)));
}

#[test]
fn who_acts_for_a_role_is_named_but_not_all_of_many() {
    let ids = ["c-0000", "c-0001", "c-0002", "c-0003", "c-0004"].map(FrameworkId::new);
    let row = |of: &[FrameworkId]| {
        let role = RoleView { frameworks: of.to_vec(), ..bare_role() };
        let table = roles_table(&[role], &[framework()]);
        table.lines().next_back().unwrap_or_default().to_owned()
    };
    assert!(row(&ids).contains("  wordcount, c-0001, c-0002 and 2 more  "), "{}", row(&ids));
    assert!(row(&ids[..3]).contains("  wordcount, c-0001, c-0002  "), "{}", row(&ids[..3]));
}

#[test]
fn tables_say_what_there_is_and_what_is_used() {
    insta::assert_snapshot!("agents_table", agents_table(&[agent()], &Domains::default()));
    let (frameworks, held) = ([framework()], Held::of(Some(offers())));
    insta::assert_snapshot!("frameworks_table", frameworks_table(&frameworks, &held));
    insta::assert_snapshot!("offers_table", offers_table(&frameworks, &held));
    let unsaid = frameworks_table(&frameworks, &Held::of(None));
    assert!(unsaid.contains("  ?       -       -\n"), "an older master does not say: {unsaid}");
    insta::assert_snapshot!("tasks_table", tasks_table(&[task()]));
}

#[test]
fn json_has_all_of_it() {
    insta::assert_snapshot!("agents_json", json(&agents_json(&[agent()], &Domains::default())));
    let held = Held::of(Some(offers()));
    let framework = |each| json(&[FrameworkJson::of(&framework(), &held, each)]);
    insta::assert_snapshot!("frameworks_json", framework(false));
    insta::assert_snapshot!("offers_json", framework(true));
    insta::assert_snapshot!("tasks_json", json(&[TaskJson::from(&task())]));
}

#[test]
fn what_is_reserved_is_counted_with_what_is_not() {
    let all = "cpus:1;cpus(eng):2;ports:[1-2];ports(eng):[5-5];disks:{b};disks(eng):{a}";
    let json = serde_json::Value::Object(resources_json(&all.parse().unwrap()));
    assert_eq!(json.to_string(), r#"{"cpus":3.0,"disks":["a","b"],"ports":[[1,2],[5,5]]}"#);
}

#[test]
fn fd_01_where_agents_and_the_master_are_is_listed_if_it_is_known() {
    let at = |zone: &str| FaultDomain { region: "eu".into(), zone: zone.into() };
    let (here, other) = (agent(), AgentView { agent: AgentId::new("c-S1"), ..agent() });
    let agents = [(here.agent.clone(), at("eu-1"))].into();
    let domains = Domains { master: Some(at("eu-0")), agents };
    let all = [here, other];
    insta::assert_snapshot!("agents_at_table", agents_table(&all, &domains));
    insta::assert_snapshot!("agents_at_json", json(&agents_json(&all, &domains)));
}
