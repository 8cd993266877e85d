//! One sample of each variant. Each `place_…` is exhaustive: a new variant stops the build here.

mod frameworks;
mod operators;
mod why;

use std::time::Duration;

use api::v1;
use protocol::agent::*;
use protocol::carried::Carried;
use protocol::executor::*;
use protocol::framework::*;
use protocol::ids::*;
use protocol::offer::*;
use protocol::resources::*;
use protocol::task::*;
use protocol::time::WallTime;
use protocol::wishes::FaultDomain;

pub(crate) use frameworks::*;
pub(crate) use operators::*;
pub(crate) use why::*;

pub(crate) fn framework() -> FrameworkId {
    FrameworkId::new("c-0001")
}

pub(crate) fn agent() -> AgentId {
    AgentId::new("c-S1")
}

pub(crate) fn executor() -> ExecutorId {
    ExecutorId::new("x")
}

pub(crate) fn task() -> TaskId {
    TaskId::new("t")
}

pub(crate) fn container() -> ContainerId {
    ContainerId::new("k")
}

pub(crate) fn update() -> UpdateId {
    UpdateId { source: 7, sequence: 1 }
}

pub(crate) fn resources() -> Resources {
    let mut all =
        Resources::cpus_mem(0.5, 64.0).with_ranges("ports", Ranges::new([(31000, 31001)]));
    all.add(&"disks:{a,b}".parse().expect("a set"));
    all
}

pub(crate) fn info() -> AgentInfo {
    AgentInfo {
        at: AgentAddress { hostname: "h".into(), listens: "h:5051".into() }.into(),
        resources: resources(),
        attributes: vec![Attribute { name: "rack".into(), value: "r1".into() }],
        version: "0.1.0".into(),
        boot: "b".into(),
    }
}

pub(crate) fn framework_info() -> FrameworkInfo {
    FrameworkInfo {
        framework: framework(),
        name: "f".into(),
        user: "root".into(),
        roles: vec![Role::everybody()],
        failover_timeout: Duration::from_secs(60),
        hostname: "h".into(),
        capabilities: vec![Capability::PartitionAware, Capability::StatesDemand],
        carried: Carried::default(),
    }
}

pub(crate) fn command() -> CommandSpec {
    CommandSpec {
        value: "true".into(),
        shell: true,
        arguments: vec!["a".into()],
        environment: vec![("K".into(), "V".into())],
        user: Some("nobody".into()),
        carried: Carried::new(&v1::CommandInfo {
            value: Some("true".into()),
            ..Default::default()
        }),
    }
}

pub(crate) fn executor_spec() -> ExecutorSpec {
    ExecutorSpec {
        executor: executor(),
        name: "n".into(),
        command: command(),
        resources: Resources::cpus_mem(0.1, 32.0),
        shutdown_grace: Some(Duration::from_secs(5)),
    }
}

pub(crate) fn spec() -> TaskSpec {
    TaskSpec {
        task: task(),
        name: "n".into(),
        resources: resources(),
        run: Run::Executor { executor: executor_spec(), data: vec![1, 2] },
        kill_grace: None,
        carried: Carried::default(),
    }
}

pub(crate) fn status() -> TaskStatus {
    TaskStatus {
        framework: framework(),
        task: task(),
        agent: Some(agent()),
        executor: Some(executor()),
        state: TaskState::Failed,
        source: Source::Executor,
        reason: Some(Reason::CommandExecutorFailed),
        message: "m".into(),
        exit: Some(Exit::Code(3)),
        isolation: Some(Isolation::ProcessGroup),
        process: Some(42),
        data: vec![9],
        at: WallTime(5),
        update: Some(update()),
        carried: Carried::default(),
    }
}

pub(crate) fn report() -> TaskReport {
    TaskReport {
        framework: framework(),
        spec: TaskSpec { run: Run::Command(command()), ..spec() }.into(),
        agent: agent(),
        executor: executor(),
        state: TaskState::Running,
        unacknowledged: Some(status().into()),
        role: Role::everybody(),
    }
}

pub(crate) fn offer() -> Offer {
    Offer {
        offer: OfferId::new("m-O1"),
        framework: framework(),
        agent: agent(),
        at: info().at,
        role: Role::everybody(),
        resources: resources(),
        attributes: info().attributes,
        executors: vec![executor()],
    }
}

pub(crate) fn domain() -> FaultDomain {
    FaultDomain { region: "eu".into(), zone: "eu-1".into() }
}

pub(crate) fn agent_to_master() -> Vec<AgentToMaster> {
    let executors = vec![ExecutorReport {
        framework: framework(),
        spec: executor_spec(),
        container: container(),
        role: Role::everybody(),
    }];
    let domain = domain();
    vec![
        AgentToMaster::Register { nonce: 1, info: info() },
        AgentToMaster::Reregister {
            agent: agent(),
            info: info(),
            tasks: vec![report()],
            executors: executors.clone(),
            frameworks: vec![framework_info()],
            epoch: 2,
            cluster: ClusterId::new("c"),
        },
        AgentToMaster::Pong { sequence: 3 },
        AgentToMaster::Updated { status: status(), latest: TaskState::Finished },
        AgentToMaster::ExecutorEnded {
            framework: framework(),
            executor: executor(),
            container: container(),
            exit: Some(Exit::Signal(9)),
        },
        AgentToMaster::FromExecutor { framework: framework(), executor: executor(), data: vec![1] },
        AgentToMaster::EpochRefused { epoch: 1, seen: 2 },
        AgentToMaster::Unregister,
        AgentToMaster::MayReturn {
            agent: agent(),
            cluster: ClusterId::new("c"),
            epoch: 2,
            tasks: 3,
        },
        AgentToMaster::RegisterAt { domain: domain.clone(), nonce: 1, info: info() },
        AgentToMaster::ReregisterAt {
            domain,
            agent: agent(),
            info: info(),
            tasks: vec![report()],
            executors,
            frameworks: vec![framework_info()],
            epoch: 2,
            cluster: ClusterId::new("c"),
        },
    ]
}

pub(crate) fn place_agent_to_master(message: &AgentToMaster) -> usize {
    match message {
        AgentToMaster::Register { .. } => 0,
        AgentToMaster::Reregister { .. } => 1,
        AgentToMaster::Pong { .. } => 2,
        AgentToMaster::Updated { .. } => 3,
        AgentToMaster::ExecutorEnded { .. } => 4,
        AgentToMaster::FromExecutor { .. } => 5,
        AgentToMaster::EpochRefused { .. } => 6,
        AgentToMaster::Unregister => 7,
        AgentToMaster::MayReturn { .. } => 8,
        AgentToMaster::RegisterAt { .. } => 9,
        AgentToMaster::ReregisterAt { .. } => 10,
    }
}

pub(crate) fn master_to_agent() -> Vec<MasterToAgent> {
    let epoch = 2;
    let framework = framework();
    vec![
        MasterToAgent::Registered {
            epoch,
            agent: agent(),
            cluster: ClusterId::new("c"),
            master: MasterId::new("m"),
            ping_every: Duration::from_secs(15),
            silent_after: Duration::from_secs(75),
        },
        MasterToAgent::Refused { epoch, reason: "r".into(), cluster: ClusterId::new("c") },
        MasterToAgent::Ping { epoch, sequence: 1 },
        MasterToAgent::Launch {
            epoch,
            framework: framework_info(),
            task: spec(),
            role: Role::everybody(),
        },
        MasterToAgent::Kill {
            epoch,
            framework: framework.clone(),
            task: task(),
            grace: Some(Duration::from_secs(1)),
        },
        MasterToAgent::Acknowledge {
            epoch,
            framework: framework.clone(),
            task: task(),
            update: update(),
        },
        MasterToAgent::ToExecutor {
            epoch,
            framework: framework.clone(),
            executor: executor(),
            data: vec![1],
        },
        MasterToAgent::ShutdownExecutor {
            epoch,
            framework: framework.clone(),
            executor: executor(),
        },
        MasterToAgent::ShutdownFramework { epoch, framework: framework.clone() },
        MasterToAgent::Reconcile { epoch, tasks: vec![(framework, task())] },
        MasterToAgent::ReturnNow { epoch, cluster: ClusterId::new("c") },
        MasterToAgent::ReturnLater {
            epoch,
            cluster: ClusterId::new("c"),
            after: Duration::from_secs(5),
        },
        MasterToAgent::RegisterAgain { epoch },
        MasterToAgent::Shutdown { epoch, reason: "r".into(), cluster: ClusterId::new("c") },
        MasterToAgent::FrameworkUpdated { epoch, framework: framework_info() },
        MasterToAgent::LaunchInRunning {
            epoch,
            framework: framework_info(),
            task: spec(),
            role: Role::everybody(),
        },
    ]
}

pub(crate) fn place_master_to_agent(message: &MasterToAgent) -> usize {
    match message {
        MasterToAgent::Registered { .. } => 0,
        MasterToAgent::Refused { .. } => 1,
        MasterToAgent::Ping { .. } => 2,
        MasterToAgent::Launch { .. } => 3,
        MasterToAgent::Kill { .. } => 4,
        MasterToAgent::Acknowledge { .. } => 5,
        MasterToAgent::ToExecutor { .. } => 6,
        MasterToAgent::ShutdownExecutor { .. } => 7,
        MasterToAgent::ShutdownFramework { .. } => 8,
        MasterToAgent::Reconcile { .. } => 9,
        MasterToAgent::ReturnNow { .. } => 10,
        MasterToAgent::ReturnLater { .. } => 11,
        MasterToAgent::RegisterAgain { .. } => 12,
        MasterToAgent::Shutdown { .. } => 13,
        MasterToAgent::FrameworkUpdated { .. } => 14,
        MasterToAgent::LaunchInRunning { .. } => 15,
    }
}

pub(crate) fn executor_to_agent() -> Vec<ExecutorToAgent> {
    vec![
        ExecutorToAgent::Register {
            framework: framework(),
            executor: executor(),
            container: container(),
            token: Token::new("s"),
        },
        ExecutorToAgent::Updated(status()),
        ExecutorToAgent::ToScheduler(vec![1]),
        ExecutorToAgent::Reregister {
            framework: framework(),
            executor: executor(),
            container: container(),
            token: "token".into(),
            tasks: vec![TaskHeld { task: task(), state: TaskState::Running }],
            unacknowledged: vec![status()],
        },
    ]
}

pub(crate) fn place_executor_to_agent(message: &ExecutorToAgent) -> usize {
    match message {
        ExecutorToAgent::Register { .. } => 0,
        ExecutorToAgent::Updated(_) => 1,
        ExecutorToAgent::ToScheduler(_) => 2,
        ExecutorToAgent::Reregister { .. } => 3,
    }
}

pub(crate) fn agent_to_executor() -> Vec<AgentToExecutor> {
    vec![
        AgentToExecutor::Registered {
            agent: agent(),
            framework: framework_info(),
            shutdown_grace: Duration::from_secs(5),
        },
        AgentToExecutor::Launch(spec()),
        AgentToExecutor::Kill { task: task(), grace: Duration::from_secs(3) },
        AgentToExecutor::Acknowledge { task: task(), update: update() },
        AgentToExecutor::FromScheduler(vec![1]),
        AgentToExecutor::Shutdown,
        AgentToExecutor::Reregistered { agent: agent(), shutdown_grace: Duration::from_secs(5) },
    ]
}

pub(crate) fn place_agent_to_executor(message: &AgentToExecutor) -> usize {
    match message {
        AgentToExecutor::Registered { .. } => 0,
        AgentToExecutor::Launch(_) => 1,
        AgentToExecutor::Kill { .. } => 2,
        AgentToExecutor::Acknowledge { .. } => 3,
        AgentToExecutor::FromScheduler(_) => 4,
        AgentToExecutor::Shutdown => 5,
        AgentToExecutor::Reregistered { .. } => 6,
    }
}
