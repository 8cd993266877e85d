//! The golden bytes of what a master says to an agent, read by a codec that serde does not drive. These commands hold most of
//! what messages are made of: ids, times, resources, tasks and what only travels. The other conversations are written by the
//! same codec from the same types, and are not read twice.

use std::time::Duration;

use wincode::SchemaRead;

const GOLDEN: &str =
    include_str!("snapshots/wire_format__every_released_variant_keeps_its_bytes.snap");

#[derive(SchemaRead, Debug, PartialEq)]
enum Value {
    Scalar(i64),
    Ranges(Vec<(u64, u64)>),
    Set(Vec<String>),
}

#[derive(SchemaRead, Debug, PartialEq)]
enum Kind {
    Unreserved,
}

type Resources = Vec<(String, Kind, Value)>;

#[derive(SchemaRead, Debug, PartialEq)]
struct Command {
    value: String,
    shell: bool,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    user: Option<String>,
    carried: Vec<u8>,
}

#[derive(SchemaRead, Debug, PartialEq)]
struct Executor {
    executor: String,
    name: String,
    command: Command,
    resources: Resources,
    shutdown_grace: Option<Duration>,
}

#[derive(SchemaRead, Debug, PartialEq)]
enum Run {
    #[allow(dead_code, reason = "no sample runs a command; its place counts")]
    Command(Command),
    Executor {
        executor: Executor,
        data: Vec<u8>,
    },
}

#[derive(SchemaRead, Debug, PartialEq)]
struct Task {
    task: String,
    name: String,
    resources: Resources,
    run: Run,
    kill_grace: Option<Duration>,
    carried: Vec<u8>,
}

#[derive(SchemaRead, Debug, PartialEq)]
enum Capability {
    PartitionAware,
    StatesDemand,
}

#[derive(SchemaRead, Debug, PartialEq)]
struct Framework {
    framework: String,
    name: String,
    user: String,
    roles: Vec<String>,
    failover_timeout: Duration,
    hostname: String,
    capabilities: Vec<Capability>,
    carried: Vec<u8>,
}

/// Each begins with the epoch.
#[derive(SchemaRead, Debug, PartialEq)]
enum MasterToAgent {
    Registered(u64, String, String, String, Duration, Duration),
    Refused(u64, String, String),
    Ping(u64, u64),
    Launch(u64, Framework, Task, String),
    Kill(u64, String, String, Option<Duration>),
    Acknowledge(u64, String, String, (u64, u64)),
    ToExecutor(u64, String, String, Vec<u8>),
    ShutdownExecutor(u64, String, String),
    ShutdownFramework(u64, String),
    Reconcile(u64, Vec<(String, String)>),
    ReturnNow(u64, String),
    ReturnLater(u64, String, Duration),
    RegisterAgain(u64),
    Shutdown(u64, String, String),
    FrameworkUpdated(u64, Framework),
    LaunchInRunning(u64, Framework, Task, String),
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn scalar(name: &str, milli: i64) -> (String, Kind, Value) {
    (text(name), Kind::Unreserved, Value::Scalar(milli))
}

fn framework() -> Framework {
    Framework {
        framework: text("c-0001"),
        name: text("f"),
        user: text("root"),
        roles: vec![text("*")],
        failover_timeout: Duration::from_secs(60),
        hostname: text("h"),
        capabilities: vec![Capability::PartitionAware, Capability::StatesDemand],
        carried: Vec::new(),
    }
}

fn launched() -> Task {
    let command = Command {
        value: text("true"),
        shell: true,
        arguments: vec![text("a")],
        environment: vec![(text("K"), text("V"))],
        user: Some(text("nobody")),
        // Field 3 of its protobuf message, a text of four bytes.
        carried: b"\x1a\x04true".to_vec(),
    };
    let executor = Executor {
        executor: text("x"),
        name: text("n"),
        command,
        resources: vec![scalar("cpus", 100), scalar("mem", 32_000)],
        shutdown_grace: Some(Duration::from_secs(5)),
    };
    let disks = Value::Set(vec![text("a"), text("b")]);
    let ports = Value::Ranges(vec![(31_000, 31_001)]);
    Task {
        task: text("t"),
        name: text("n"),
        resources: vec![
            scalar("cpus", 500),
            (text("disks"), Kind::Unreserved, disks),
            scalar("mem", 64_000),
            (text("ports"), Kind::Unreserved, ports),
        ],
        run: Run::Executor { executor, data: vec![1, 2] },
        kill_grace: None,
        carried: Vec::new(),
    }
}

fn wanted() -> Vec<MasterToAgent> {
    use MasterToAgent as M;
    let (epoch, secs) = (2, Duration::from_secs);
    let [framework_id, task, executor] = ["c-0001", "t", "x"];
    vec![
        M::Registered(epoch, text("c-S1"), text("c"), text("m"), secs(15), secs(75)),
        M::Refused(epoch, text("r"), text("c")),
        M::Ping(epoch, 1),
        M::Launch(epoch, framework(), launched(), text("*")),
        M::Kill(epoch, text(framework_id), text(task), Some(secs(1))),
        M::Acknowledge(epoch, text(framework_id), text(task), (7, 1)),
        M::ToExecutor(epoch, text(framework_id), text(executor), vec![1]),
        M::ShutdownExecutor(epoch, text(framework_id), text(executor)),
        M::ShutdownFramework(epoch, text(framework_id)),
        M::Reconcile(epoch, vec![(text(framework_id), text(task))]),
        M::ReturnNow(epoch, text("c")),
        M::ReturnLater(epoch, text("c"), secs(5)),
        M::RegisterAgain(epoch),
        M::Shutdown(epoch, text("r"), text("c")),
        M::FrameworkUpdated(epoch, framework()),
        M::LaunchInRunning(epoch, framework(), launched(), text("*")),
    ]
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> =
        hex.chars().map(|digit| digit.to_digit(16).expect("hexadecimal")).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("two digits")).collect()
}

#[test]
fn another_codec_reads_what_a_master_says_to_an_agent() {
    let lines = GOLDEN.lines().filter(|line| line.starts_with("MasterToAgent "));
    let read: Vec<MasterToAgent> = lines
        .map(|line| {
            let (_, hex) = line.rsplit_once(' ').expect("a line ends in its bytes");
            wincode::deserialize_exact(&bytes(hex)).expect("it can be read")
        })
        .collect();
    assert_eq!(read, wanted());
}
