//! What every listening process has in common: its log, its node, its one line on stdout when it is ready, its end.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use libactor::{Node, NodeConfig, StartError};
use protocol::PROTOCOL_VERSION;
use tracing_subscriber::EnvFilter;

use crate::arguments::{ListenArguments, NodeArguments};
use crate::cluster::{FileError, create_dir, read_secret};
use crate::ending;
use crate::node::{self, WayError};
use crate::output;

/// How often `airside node --ask` asks.
const ASKS: u32 = 5;

/// A process that cannot serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("'{filter}' is no filter for --log; try info, debug or warn,master=debug")]
    Log { filter: String, source: tracing_subscriber::filter::ParseError },
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
}

/// Logs to stderr, what `filter` lets through.
pub(crate) fn log_to_stderr(filter: &str) -> Result<(), ServeError> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|source| ServeError::Log { filter: filter.into(), source })?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    Ok(())
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
    Ok(NodeConfig {
        listen: Some(SocketAddr::new(listen.ip, port)),
        advertise: advertised(listen, port),
        secret,
        work_dir: work_dir.map(PathBuf::from),
        version: PROTOCOL_VERSION,
        ..NodeConfig::default()
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

/// Says where the process is, waits until it is to end, and ends it with `before`, then the node.
pub(crate) async fn until_asked(
    node: Node,
    actor: &str,
    end_with_stdin: bool,
    before: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    if let Some(address) = node.advertised() {
        output::print(&format!("{actor}@{address}\n"));
    }
    let asked = ending::asked(end_with_stdin).await.map_err(ServeError::Signals);
    before.await;
    node.shutdown().await;
    asked
}

/// `airside node`.
pub(crate) async fn node(arguments: NodeArguments) -> Result<(), ServeError> {
    let mut config = config(&arguments.listen, arguments.port, arguments.work_dir.as_deref())?;
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
    let node = start(config, arguments.listen.or_any_port).await?;
    node::host(&node, &arguments.actors)?;
    until_asked(node, "node", arguments.listen.end_with_stdin, async {}).await
}
