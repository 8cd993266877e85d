//! Peers that speak an older version than their master.

use std::time::Duration;

use libactor::Node;
use master::MasterConfig;
use master::config::Config;
use protocol::PROTOCOL_VERSION;
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::framework::{
    Capability, FrameworkInfo, FrameworkToMaster, MasterToFramework, Operation,
};
use protocol::ids::{ExecutorId, Role};
use protocol::task::{TaskReport, TaskState};

use crate::side::{Side, todays};
use crate::{
    agent_info, framework_info, launched, master_in, offered, register, registered, subscribe,
    subscribed, task, updated,
};

/// News with a reason that came with version 2: who speaks version 1 hears what is true in the answer to a subscription.
#[tokio::test]
async fn a_scheduler_of_version_1_hears_of_tasks_that_come_back_with_their_agent() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(todays()).await.unwrap();
    let agent_reregister_timeout = Duration::from_millis(50);
    let logic = Config { agent_reregister_timeout, ..Config::default() };
    let store = master::local_store(folder.path()).unwrap();
    let running = master::start(&node, MasterConfig { logic }, store).unwrap();
    let name = format!("master@{}", node.address().unwrap()).parse().unwrap();
    let mut agent = Side::<MasterToAgent>::of_version(PROTOCOL_VERSION, &name).await;
    agent.say(register());
    let (agent_id, _) = agent.hears(registered).await;
    let mut scheduler = Side::<MasterToFramework>::of_version(1, &name).await;
    let (framework, offer) = subscribe(&mut scheduler, None).await;
    scheduler.say(FrameworkToMaster::Accept {
        offers: vec![offer],
        operations: vec![Operation::Launch(vec![task("t")])],
        refuse_for: Duration::ZERO,
    });
    agent.hears(launched).await;
    agent.node.shutdown().await;
    while scheduler.hears(updated).await.state != TaskState::Unreachable {}
    let report = TaskReport {
        framework,
        spec: task("t").into(),
        agent: agent_id.clone(),
        executor: ExecutorId::new("t"),
        state: TaskState::Running,
        unacknowledged: None,
        role: Role::everybody(),
    };
    let agent = Side::<MasterToAgent>::of_version(PROTOCOL_VERSION, &name).await;
    agent.say(AgentToMaster::Reregister {
        agent: agent_id,
        info: agent_info(),
        tasks: vec![report],
        executors: Vec::new(),
        frameworks: Vec::new(),
        epoch: running.cluster().epoch,
        cluster: running.cluster().cluster.clone(),
    });
    let (_, tasks) = scheduler.hears(subscribed).await;
    assert_eq!(tasks.iter().map(|task| task.state).collect::<Vec<_>>(), [TaskState::Running]);
    running.stop();
    running.ended().await;
    for side in [agent.node, scheduler.node, node] {
        side.shutdown().await;
    }
}

/// A capability that came with version 2 is between the scheduler and the master.
#[tokio::test]
async fn a_framework_with_a_new_capability_runs_its_tasks_on_an_agent_of_version_1() {
    let folder = tempfile::tempdir().unwrap();
    let (node, _running, name) = master_in(folder.path()).await;
    let mut agent = Side::<MasterToAgent>::of_version(1, &name).await;
    agent.say(register());
    agent.hears(registered).await;
    let mut scheduler = Side::<MasterToFramework>::new(&name).await;
    let capabilities = vec![Capability::PartitionAware, Capability::RegionAware];
    let info = FrameworkInfo { capabilities, ..framework_info() };
    let demand = Vec::new();
    scheduler.say(FrameworkToMaster::Subscribe { nonce: 9, framework: None, info, demand });
    let offer = scheduler.hears(offered).await;
    scheduler.say(FrameworkToMaster::Accept {
        offers: vec![offer],
        operations: vec![Operation::Launch(vec![task("t")])],
        refuse_for: Duration::ZERO,
    });
    let told = agent.hears(|message| {
        if let MasterToAgent::Launch { framework, task, .. } = message {
            Some((framework.capabilities.clone(), task.clone()))
        } else {
            None
        }
    });
    assert_eq!(told.await, (vec![Capability::PartitionAware], task("t")));
    for side in [agent.node, scheduler.node, node] {
        side.shutdown().await;
    }
}
