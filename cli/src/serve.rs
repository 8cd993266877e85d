//! What every listening process has in common: its log, its node, its one line on stdout when it is ready, its end.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use agent::AgentConfig;
use agent::logic::End;
use coordination::detect::{BadMaster, detector};
use coordination::election::Detector;
use gateway::{Daemon, Files, Logging, Numbers, Parts, Realms};
use libactor::http::{self, Figures};
use libactor::{Node, NodeConfig, StartError};
use master::http::Gateways;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use protocol::PROTOCOL_VERSION;
use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{
    AgentArguments, ListenArguments, MasterArguments, NoRealms, NodeArguments, Told, Unused,
};
use crate::cluster::{FileError, create_dir, read_secret};
use crate::discovery::NoAddress;
use crate::ending;
use crate::log::Log;
use crate::node::{self, WayError};
use crate::output;
use crate::reign::Throne;

/// How often `airside node --ask` asks.
const ASKS: u32 = 5;

/// A process that cannot serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Realms(#[from] NoRealms),
    #[error(transparent)]
    NoAddress(#[from] NoAddress),
    #[error(
        "LIBPROCESS_SSL_ENABLED is set, and nothing here is encrypted: unset it if the network between all nodes is trusted, or put them behind something that encrypts"
    )]
    NoTls,
    #[error("{0}")]
    Containers(String),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{address} is taken; end what listens there, or choose another port with --port")]
    PortTaken { address: SocketAddr },
    #[error("cannot start this node")]
    Start(#[source] StartError),
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Spawn(#[from] libactor::SpawnError),
    #[error(transparent)]
    Way(#[from] WayError),
    #[error(transparent)]
    Master(#[from] BadMaster),
    #[error("cannot find this program's own file, which executors are started from")]
    Program(#[source] io::Error),
    #[error(transparent)]
    Agent(#[from] agent::StartError),
    #[error("cannot read --fetcher-ca-file {path}")]
    Authorities { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Socket(#[from] gateway::BadSocket),
    #[error("{0}")]
    AgentEnded(End),
    #[error(
        "told a second time to end, the agent did not wait until it had left the cluster: what has not ended runs on, and an agent that is started with the same --work-dir finds it"
    )]
    LeftAtOnce,
    #[error(transparent)]
    MasterStart(#[from] master::StartError),
    #[error("{0}")]
    MasterEnded(master::End),
    #[error(
        "{0}: the registry is older than what agents have seen of this cluster, and going on could lose their tasks; bring its newest export back with `airside registry import`, which raises the epoch above all that agents have seen; if there is none that is newer, export this registry and import that"
    )]
    Outseen(master::End),
    #[error("cannot start a thread to stand for election")]
    Thread(#[source] io::Error),
    #[error("the thread that stands for election is gone")]
    ElectionBroken,
}

/// Where a node listens, and how it is found.
pub(crate) fn config(
    listen: &ListenArguments,
    port: u16,
    work_dir: Option<&Path>,
) -> Result<NodeConfig, ServeError> {
    let secret = listen.cluster_secret_file.as_deref().map(read_secret).transpose()?;
    if secret.is_none() && !listen.ip.is_loopback() {
        tracing::warn!(
            ip = %listen.ip,
            "listening beyond this machine without a secret: whoever reaches this port may run anything; give all nodes one file with --cluster-secret-file"
        );
    }
    if listen.ip.is_unspecified() && listen.advertise_ip.is_none() {
        tracing::warn!(
            ip = %listen.ip,
            "others are told an address that is none of a machine's; say with --advertise-ip where this node is reached"
        );
    }
    unheard_environment()?;
    Ok(NodeConfig {
        listen: Some(SocketAddr::new(listen.ip, port)),
        advertise: advertised(listen, port),
        secret,
        work_dir: work_dir.map(PathBuf::from),
        version: PROTOCOL_VERSION,
        threads: listen.num_worker_threads.map_or(0, usize::from),
        foreign: Some(http::pages(output::json(&version(None)), |_, _| None)),
        ..NodeConfig::default()
    })
}

/// Variables of Mesos's library that mean nothing here; whoever believes that a node encrypts must hear that it does not.
fn unheard_environment() -> Result<(), ServeError> {
    const NOTHING: [(&str, &str); 4] = [
        ("LIBPROCESS_IP", "--ip"),
        ("LIBPROCESS_PORT", "--port"),
        ("LIBPROCESS_ADVERTISE_IP", "--advertise-ip"),
        ("LIBPROCESS_ADVERTISE_PORT", "--advertise-port"),
    ];
    if let Some(value) = std::env::var_os("LIBPROCESS_SSL_ENABLED")
        && !["", "0", "false"].iter().any(|off| value == *off)
    {
        return Err(ServeError::NoTls);
    }
    for (name, flag) in NOTHING {
        if std::env::var_os(name).is_some_and(|value| value != "0") {
            tracing::warn!("{name} changes nothing; say it with {flag}");
        }
    }
    Ok(())
}

/// What `/version` answers.
pub(crate) fn version(hostname: Option<&str>) -> Map<String, Value> {
    let seconds: u64 = env!("AIRSIDE_BUILD_TIME").parse().unwrap_or_default();
    let all = [
        ("version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("build_date", Value::from(env!("AIRSIDE_BUILD_DATE"))),
        ("build_time", Value::from(seconds as f64)),
        ("build_user", Value::from(env!("AIRSIDE_BUILD_USER"))),
        ("protocol", Value::from(PROTOCOL_VERSION)),
    ];
    // What is not said is left out.
    let hostname = hostname.map(|hostname| ("hostname", Value::from(hostname)));
    all.into_iter().chain(hostname).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What a daemon's pages show.
fn daemon(
    hostname: Option<&str>,
    (component, figures, numbers): (&str, &Figures, &Numbers),
    realms: Realms,
    told: Told,
    log: Option<Log>,
) -> Daemon {
    for Unused { name, value, why } in &told.unused {
        if let Some(why) = why {
            tracing::warn!("--{name}={value} changes nothing: {why}");
        }
    }
    let files = Files::default();
    if let Some(file) = log.as_ref().and_then(|log| log.file.clone()) {
        files.attach(&format!("/{component}/log"), file);
    }
    Daemon::new(Parts {
        version: version(hostname),
        flags: told.flags,
        figures: figures.clone(),
        numbers: numbers.clone(),
        uptime: if component == master::MASTER {
            "master/uptime_secs"
        } else {
            "slave/uptime_secs"
        },
        realms,
        // Without a log there is nothing to set.
        logging: log.map_or_else(|| Logging::new(|_| ()), |log| log.logging),
        files,
    })
}

/// A node that listens everywhere has to be told how it is found; else it says the address it listens on.
fn advertised(listen: &ListenArguments, port: u16) -> Option<SocketAddr> {
    if listen.advertise_ip.is_none() && listen.advertise_port.is_none() {
        return None;
    }
    let ip: IpAddr = listen.advertise_ip.unwrap_or(listen.ip);
    Some(SocketAddr::new(ip, listen.advertise_port.unwrap_or(port)))
}

/// Starts the node; a taken port is no error when any will do.
pub(crate) async fn start(mut config: NodeConfig, or_any_port: bool) -> Result<Node, ServeError> {
    if let Some(work_dir) = &config.work_dir {
        create_dir(work_dir)?;
    }
    loop {
        match Node::start(config.clone()).await {
            Ok(node) => return Ok(node),
            Err(StartError::Listen { address, source })
                if source.kind() == io::ErrorKind::AddrInUse =>
            {
                if !or_any_port || address.port() == 0 {
                    return Err(ServeError::PortTaken { address });
                }
                config.listen = Some(SocketAddr::new(address.ip(), 0));
            }
            Err(error) => return Err(ServeError::Start(error)),
        }
    }
}

/// Says where the process is, on stdout: whoever started it waits for this line.
pub(crate) fn say_ready(node: &Node, actor: &str) {
    if let Some(address) = node.advertised() {
        output::print(&format!("{actor}@{address}\n"));
    }
}

/// Takes what the system allows: each connection is an open file. Returns what was allowed before, for the programs that this
/// process starts, if it is less.
fn open_more_files() -> Option<u64> {
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            tracing::warn!(%error, "cannot read how many files this process may open");
            return None;
        }
    };
    if soft == hard {
        return None;
    }
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => Some(soft),
        Err(error) => {
            tracing::warn!(%error, soft, hard, "cannot open more files than at the start");
            None
        }
    }
}

/// `airside master`.
pub(crate) async fn master(
    arguments: MasterArguments,
    told: Told,
    log: Option<Log>,
) -> Result<(), ServeError> {
    open_more_files();
    let listen = &arguments.listen.clone().discovered()?;
    let mut config = config(listen, arguments.port, Some(&arguments.work_dir))?;
    let hostname = arguments.hostname.clone();
    let (figures, numbers) = (Figures::default(), Numbers::of(master::COUNTED));
    let realms = arguments.authentication.realms()?;
    let realms = if config.secret.is_some() { realms.closed() } else { realms };
    let counted = (master::MASTER, &figures, &numbers);
    let daemon = daemon(hostname.as_deref(), counted, realms, told, log);
    let gateways = Gateways::new(daemon, hostname.as_deref())
        .with_listeners(arguments.max_operator_event_stream_subscribers);
    config.foreign = Some(master::http::foreign(&gateways));
    let node = start(config, listen.or_any_port).await?;
    let asked = ending::asked(listen.end_with_stdin);
    let config = arguments.config();
    let held = match arguments.zk {
        None => {
            let store = Arc::new(Mutex::new(master::local_store(&arguments.work_dir)?));
            let (node, led_from) = (node.clone(), None);
            gateways.are_on(&node, None);
            let throne =
                Throne { node, hostname, store, config, zookeeper: None, led_from, gateways };
            throne.hold(&figures, &numbers, asked).await
        }
        Some(url) => {
            let cluster = master::cluster_of(&arguments.work_dir)?;
            let zookeeper = master::zookeeper(url, arguments.zk_session_timeout, cluster)?;
            let store = zookeeper.store();
            let (node, led_from) = (node.clone(), Some(arguments.work_dir));
            let elects = Some(zookeeper.clone());
            gateways.are_on(&node, Some(zookeeper.leader()));
            let throne =
                Throne { node, hostname, store, config, zookeeper: elects, led_from, gateways };
            let held = throne.hold(&figures, &numbers, asked).await;
            // The next leader need not wait until the session has run out.
            let _ = tokio::task::spawn_blocking(move || zookeeper.close()).await;
            held
        }
    };
    node.shutdown().await;
    held
}

/// `airside agent`.
pub(crate) async fn agent(
    arguments: AgentArguments,
    told: Told,
    log: Option<Log>,
) -> Result<(), ServeError> {
    let open_files = open_more_files();
    let realms = arguments.authentication.realms()?;
    let listen = &arguments.listen.clone().discovered()?;
    let mut config = config(listen, arguments.port, Some(&arguments.work_dir))?;
    create_dir(&arguments.work_dir)?;
    // Executors that outlive this process are to reach the next.
    config.lender = Some(agent::lender(&arguments.work_dir).map_err(agent::StartError::from)?);
    let (figures, numbers) = (Figures::default(), Numbers::of(agent::COUNTED));
    let realms = if config.secret.is_some() { realms.closed() } else { realms };
    let counted = ("slave", &figures, &numbers);
    let daemon = daemon(arguments.hostname.as_deref(), counted, realms, told, log);
    agent::http::attach_sandboxes(daemon.files(), &arguments.work_dir);
    let gateways = agent::http::Gateways::new(daemon);
    config.foreign = Some(agent::http::foreign(&gateways));
    let ends_with_stdin = listen.end_with_stdin;
    let node = start(config, listen.or_any_port).await?;
    gateways.are_on(&node);
    let settings = settings(arguments, &node, open_files)?;
    if let Some(path) = &settings.executors_socket {
        agent::http::listen_for_executors(&gateways, &node, path)?;
    }
    let running = Arc::new(agent::start(&node, settings)?);
    gateways.stand_before(&running);
    is_counted(&running, &figures, &numbers);
    let mut unregister = signal(SignalKind::user_defined1()).map_err(ServeError::Signals)?;
    let mut stop = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let asked = ending::asked(ends_with_stdin);
    say_ready(&node, agent::ACTOR);
    let end = tokio::select! {
        biased;
        end = running.ended() => end,
        // How supervisors end what they start anew. It is as if the process had died, for which all is prepared.
        _ = stop.recv() => {
            tracing::info!("asked to stop, by SIGTERM; tasks run on, and the next life of this agent finds them");
            return Ok(());
        }
        _ = unregister.recv() => {
            tracing::info!("asked to leave the cluster for good, by SIGUSR1");
            leave(&running).await?
        }
        asked = asked => {
            asked.map_err(ServeError::Signals)?;
            leave(&running).await?
        }
    };
    node.shutdown().await;
    let well = matches!(end, End::Left | End::CleanedUp);
    if well { Ok(()) } else { Err(ServeError::AgentEnded(end)) }
}

/// What an agent is, by what it was told.
fn settings(
    arguments: AgentArguments,
    node: &Node,
    open_files: Option<u64>,
) -> Result<AgentConfig, ServeError> {
    let master = detector(&arguments.master)?;
    let program = std::env::current_exe().map_err(ServeError::Program)?;
    let fetcher = arguments
        .fetcher
        .config(program.clone().into(), &arguments.work_dir)
        .map_err(|(path, source)| ServeError::Authorities { path, source })?;
    let authorities = arguments.fetcher.authorities();
    let containers = arguments.isolation.containers(&arguments.work_dir, authorities);
    let containers = containers.map_err(ServeError::Containers)?;
    let executor = vec![program.into_os_string(), "executor".into()];
    let by_address = arguments.hostname.is_none() && !arguments.hostname_lookup;
    let address = node.advertised().filter(|_| by_address);
    let socket = arguments.http_executor_domain_sockets.then(|| {
        let own = || std::path::absolute(&arguments.work_dir).unwrap_or(arguments.work_dir.clone());
        arguments.domain_socket_location.unwrap_or_else(|| own().join("agent.sock"))
    });
    let hostname = address.map(|address| address.ip().to_string()).or(arguments.hostname);
    Ok(AgentConfig {
        resources: arguments.resources,
        default_role: arguments.default_role,
        attributes: arguments.attributes,
        domain: arguments.domain,
        hostname,
        adopts_orphans: true,
        executor_reregistration_timeout: Some(arguments.executor_reregistration_timeout),
        recovery_timeout: Some(arguments.recovery_timeout),
        executor_registration_timeout: Some(arguments.executor_registration_timeout),
        max_completed_executors_per_framework: Some(
            arguments.max_completed_executors_per_framework,
        ),
        executor_shutdown_grace_period: Some(arguments.executor_shutdown_grace_period),
        executors_socket: socket,
        groups: arguments.isolation.groups(),
        disk: arguments.isolation.disk(),
        logger: arguments.logger.logger(),
        containers,
        executor_environment: arguments
            .executor_environment_variables
            .map(|all| all.0)
            .unwrap_or_default(),
        open_files,
        recover: arguments.recover.into(),
        reconfiguration_policy: arguments.reconfiguration_policy.into(),
        strict: arguments.strict,
        sandboxes: arguments.sandboxes.limits(),
        fetcher,
        ..AgentConfig::new(master, arguments.work_dir, executor)
    })
}

/// What an agent counts is shown from now on.
fn is_counted(running: &Arc<agent::Running>, figures: &Figures, numbers: &Numbers) {
    let counted = Arc::clone(running);
    figures.come_from(move || {
        let counted = Arc::clone(&counted);
        async move { counted.metrics().await }
    });
    let counted = Arc::clone(running);
    numbers.come_from(move || {
        let counted = Arc::clone(&counted);
        async move { counted.numbers().await }
    });
}

/// Waits until the agent has left, unless a second signal says that this takes too long. A terminal that closes says so more than
/// once, by its shell and by the kernel: that is no second word.
async fn leave(running: &agent::Running) -> Result<End, ServeError> {
    running.leave();
    // Those that come from now on.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    tokio::select! {
        biased;
        end = running.ended() => Ok(end),
        _ = interrupt.recv() => Err(ServeError::LeftAtOnce),
        _ = terminate.recv() => Err(ServeError::LeftAtOnce),
    }
}

/// `airside node`.
pub(crate) async fn node(arguments: NodeArguments) -> Result<(), ServeError> {
    let listen = arguments.listen.discovered()?;
    let mut config = config(&listen, arguments.port, arguments.work_dir.as_deref())?;
    if let [to, way @ ..] = &arguments.ask[..] {
        config.listen = None;
        let node = start(config, false).await?;
        for n in 1..=ASKS {
            let took = node::ask(&node, to, way).await?;
            output::print(&format!("{n}  {} ms\n", took.as_micros() as f64 / 1000.0));
        }
        node.shutdown().await;
        return Ok(());
    }
    let node = start(config, listen.or_any_port).await?;
    node::host(&node, &arguments.actors)?;
    say_ready(&node, "node");
    let asked = ending::asked(listen.end_with_stdin).await;
    node.shutdown().await;
    asked.map_err(ServeError::Signals)
}
