//! The bytes of one sample of every variant that crosses the wire, as a snapshot. A line of the snapshot that changes or
//! moves is a breach of the append-only rule: make a new variant instead. New lines are added by running with
//! `INSTA_UPDATE=always` once, after the sample and its place in the exhaustive match are written.

mod another_codec;
mod samples;
mod smaller;

use std::fmt::Write;
use std::time::Duration;

use libactor::Message;
use libactor::wire::{decode, encode};
use protocol::agent::{AgentInfo, AgentToMaster, MasterToAgent};
use protocol::change::{Change, What};
use protocol::executor::AgentToExecutor;
use protocol::framework::{
    Capability, FrameworkInfo, FrameworkToMaster, MasterToFramework, Operation,
};
use protocol::ids::{ClusterId, Role};
use protocol::offer::{Demand, Offer};
use protocol::operator::{ReadAnswer, TaskView};
use protocol::resources::{Kind, Resource, Resources};
use protocol::task::{TaskReport, TaskSpec, TaskStatus};

/// Samples of one enum in the order of its variants, and the place of each by an exhaustive match.
fn table<M: Message + PartialEq + std::fmt::Debug>(
    samples: Vec<M>,
    place: fn(&M) -> usize,
) -> String {
    let mut lines = String::new();
    for (expected, sample) in samples.iter().enumerate() {
        assert_eq!(place(sample), expected, "samples stand in the order of the variants");
        let bytes = encode(sample, 1 << 20).expect("a sample encodes");
        assert_eq!(&decode::<M>(&bytes).expect("a sample decodes"), sample);
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a string");
            hex
        });
        writeln!(lines, "{} {} {hex}", M::NAME, sample.label()).expect("writing to a string");
    }
    lines
}

#[test]
fn every_released_variant_keeps_its_bytes() {
    let mut all = String::new();
    all += &table(samples::agent_to_master(), samples::place_agent_to_master);
    all += &table(samples::master_to_agent(), samples::place_master_to_agent);
    all += &table(samples::framework_to_master(), samples::place_framework_to_master);
    all += &table(samples::master_to_framework(), samples::place_master_to_framework);
    all += &table(samples::executor_to_agent(), samples::place_executor_to_agent);
    all += &table(samples::agent_to_executor(), samples::place_agent_to_executor);
    all += &table(samples::reads(), samples::place_read);
    all += &table(samples::read_answers(), samples::place_read_answer);
    all += &table(samples::kill_answers(), samples::place_kill_answer);
    all += &table(samples::sandbox_answers(), samples::place_sandbox_answer);
    all += &table(vec![samples::kill_task()], |_| 0);
    all += &table(vec![samples::read_sandbox()], |_| 0);
    all += &table(vec![protocol::operator::ReadExecutors], |_| 0);
    all += &table(vec![samples::executors_answer()], |_| 0);
    all += &table(vec![protocol::operator::ReadMoment], |_| 0);
    all += &table(vec![samples::moment()], |_| 0);
    all += &table(vec![samples::demand_of_ports()], |_| 0);
    all += &table(vec![samples::set_quotas()], |_| 0);
    all += &table(vec![samples::set_weights()], |_| 0);
    all += &table(vec![samples::teardown()], |_| 0);
    all += &table(vec![samples::mark_agent_gone()], |_| 0);
    all += &table(samples::set_answers(), samples::place_set_answer);
    all += &table(vec![samples::ask_why()], |_| 0);
    all += &table(samples::why_answers(), samples::place_why_answer);
    all += &table(vec![samples::ask_why_demand()], |_| 0);
    insta::assert_snapshot!(all);
}

/// The bytes that a recording of payloads keeps of each message.
fn kept<M: Message>(samples: Vec<M>) -> Vec<Vec<u8>> {
    let public = |sample: M| sample.without_secrets().unwrap_or(sample);
    samples.into_iter().map(|sample| encode(&public(sample), 1 << 20).expect("it fits")).collect()
}

#[test]
fn no_token_and_no_environment_is_in_what_a_recording_keeps() {
    let all = [
        kept(samples::agent_to_master()),
        kept(samples::master_to_agent()),
        kept(samples::framework_to_master()),
        kept(samples::master_to_framework()),
        kept(samples::executor_to_agent()),
        kept(samples::agent_to_executor()),
    ];
    let has = |part: &[u8]| {
        let of_messages = all.iter().flatten();
        of_messages.filter(|bytes| bytes.windows(part.len()).any(|its| its == part)).count()
    };
    let variable = |value: &str| encode(&("K", value), 100).expect("it fits");
    assert_eq!(has(&variable("V")), 0);
    assert!(has(&variable("(hidden)")) >= 4, "the names are there");
    let token = encode(&(samples::container(), "s"), 100).expect("it fits");
    assert_eq!(has(&token), 0);
}

#[test]
fn news_with_a_reason_that_version_1_does_not_know_is_not_sent_to_it() {
    use protocol::task::Reason;
    for sample in samples::master_to_framework() {
        // Who is told that it was updated has said so in words of version 2.
        let answers_newer = matches!(sample, MasterToFramework::FrameworkUpdated { .. });
        let offers = matches!(sample, MasterToFramework::OffersAt { .. });
        let since = if offers || answers_newer { 2 } else { 1 };
        assert_eq!(sample.since(), since, "{}", sample.label());
        let older = sample.clone().in_older_words();
        assert_eq!(older.map(|words| words.since()), offers.then_some(1));
        if let MasterToFramework::Updated(mut status) = sample {
            status.reason = Some(Reason::AgentReregistered);
            assert_eq!(MasterToFramework::Updated(status.clone()).since(), 2);
            status.reason = Some(Reason::ContainerLimitationMemory);
            let latest = status.state;
            let newer = AgentToMaster::Updated { status: status.clone(), latest };
            assert_eq!(newer.since(), 2);
            let Some(AgentToMaster::Updated { status: older, .. }) = newer.in_older_words() else {
                panic!("a master of version 1 is told that it ended");
            };
            let reason = Some(Reason::CommandExecutorFailed);
            assert_eq!(older, TaskStatus { reason, ..status });
        }
    }
}

/// The samples of a message, and how they are with other resources in them.
fn with_kind(kind: &Kind) -> (Offer, TaskSpec, AgentInfo) {
    let particular: Resources = samples::resources()
        .iter()
        .map(|entry| Resource { kind: kind.clone(), ..entry.clone() })
        .collect();
    (
        Offer { resources: particular.clone(), ..samples::offer() },
        TaskSpec { resources: particular.clone(), ..samples::spec() },
        AgentInfo { resources: particular, ..samples::info() },
    )
}

#[test]
fn what_holds_terms_that_version_1_does_not_know_is_not_sent_to_it() {
    let framework = samples::framework_info();
    let role = Role::everybody();
    for (kind, since) in [(Kind::Unreserved, 1), (smaller::kinds()[1].clone(), 2)] {
        let (offer, task, agent) = with_kind(&kind);
        let report = TaskReport { spec: task.clone().into(), ..samples::report() };
        let demand = Demand { each: offer.resources.clone(), count: 1, constraints: Vec::new() };
        let says = [
            AgentToMaster::Register { nonce: 1, info: agent.clone() }.since(),
            AgentToMaster::Reregister {
                agent: samples::agent(),
                info: samples::info(),
                tasks: vec![report.clone()],
                executors: Vec::new(),
                frameworks: Vec::new(),
                epoch: 1,
                cluster: ClusterId::new("c"),
            }
            .since(),
            MasterToAgent::Launch {
                epoch: 1,
                framework: framework.clone(),
                task: task.clone(),
                role: role.clone(),
            }
            .since(),
            MasterToFramework::Offers(vec![offer.clone().into()]).since(),
            MasterToFramework::Deltas(vec![Change {
                number: 1,
                what: What::Task(report.clone().into()),
            }])
            .since(),
            FrameworkToMaster::Demand(vec![demand]).since(),
            FrameworkToMaster::Accept {
                offers: Vec::new(),
                operations: vec![Operation::Launch(vec![samples::spec(), task.clone()])],
                refuse_for: Duration::ZERO,
            }
            .since(),
            AgentToExecutor::Launch(task).since(),
            ReadAnswer::Tasks(vec![TaskView { report, statuses: Vec::new() }]).since(),
        ];
        assert_eq!(says, [since; 9], "{kind:?}");
    }
}

#[test]
fn who_speaks_version_1_hears_of_no_capabilities_that_it_does_not_know() {
    let of = |capabilities: &[Capability]| FrameworkInfo {
        capabilities: capabilities.to_vec(),
        ..samples::framework_info()
    };
    let old = of(&[Capability::PartitionAware]);
    let able = of(&[Capability::GpuResources, Capability::PartitionAware, Capability::RegionAware]);
    let launch = |framework| MasterToAgent::Launch {
        epoch: 1,
        framework,
        task: samples::spec(),
        role: Role::everybody(),
    };
    let registered = |framework| AgentToExecutor::Registered {
        agent: samples::agent(),
        framework,
        shutdown_grace: Duration::ZERO,
    };
    let back = |framework| AgentToMaster::Reregister {
        agent: samples::agent(),
        info: samples::info(),
        tasks: Vec::new(),
        executors: Vec::new(),
        frameworks: vec![old.clone(), framework],
        epoch: 1,
        cluster: ClusterId::new("c"),
    };
    let since = [launch(able.clone()).since(), registered(able.clone()).since()];
    assert_eq!((since, back(able.clone()).since()), ([2, 2], 2));
    assert_eq!(launch(able.clone()).in_older_words(), Some(launch(old.clone())));
    assert_eq!(registered(able.clone()).in_older_words(), Some(registered(old.clone())));
    assert_eq!(back(able.clone()).in_older_words(), Some(back(old.clone())));
    // That its executor is to be there already cannot be said to it.
    let in_running = |framework| MasterToAgent::LaunchInRunning {
        epoch: 1,
        framework,
        task: samples::spec(),
        role: Role::everybody(),
    };
    assert_eq!(in_running(able).in_older_words(), Some(launch(old.clone())));
    assert_eq!(in_running(old.clone()).in_older_words(), Some(launch(old.clone())));
    // Where nothing is to be left out there are no other words.
    assert_eq!(launch(old.clone()).in_older_words(), None);
    assert_eq!(registered(old.clone()).in_older_words(), None);
    assert_eq!(back(old.clone()).in_older_words(), None);
}
