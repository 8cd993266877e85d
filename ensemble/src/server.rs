//! One server, and the keeper that ends all of them when their holder is gone.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::EnsembleError;
use crate::certificates::Certificates;
use crate::package::{CLASS_PATH, JAVA};

/// A tick of ZooKeeper in milliseconds; session time-outs are allowed from two of them on.
const TICK: u32 = 200;

/// What the virtual machine is told: little memory, a quick start, and no waiting for the disk (a killed process loses
/// nothing by that; only a machine does, and this one stays).
const OPTIONS: [&str; 11] = [
    "-Xmx192m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dzookeeper.forceSync=no",
    "-Dzookeeper.admin.enableServer=false",
    "-Dzookeeper.4lw.commands.whitelist=*",
    "-Dzookeeper.skipACL=no",
    // Servers that have long been without a majority ask one another ever more seldom, up to once a minute.
    "-Dzookeeper.fastleader.maxNotificationInterval=1000",
    "-Dzookeeper.cnxTimeout=1000",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Djava.net.preferIPv4Stack=true",
];

const MAIN: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";

/// How much of the end of a log is shown.
const SAID_BYTES: usize = 4000;

/// What a server listens on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) ip: Ipv4Addr,
    pub(crate) clients: u16,
    pub(crate) followers: u16,
    pub(crate) elections: u16,
    pub(crate) clients_with_tls: u16,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) number: usize,
    pub(crate) ports: Ports,
    pub(crate) address: SocketAddr,
    pub(crate) log: PathBuf,
    folder: PathBuf,
    process: Option<Child>,
}

impl Server {
    /// Writes its files.
    pub(crate) fn new(
        above: &Path,
        number: usize,
        peers: &[Ports],
        certificates: Option<&Certificates>,
    ) -> Result<Self, EnsembleError> {
        let folder = above.join(number.to_string());
        let data = folder.join("data");
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| EnsembleError::File { path, source }
        };
        fs::create_dir_all(&data).map_err(file(&data))?;
        let own_number = data.join("myid");
        fs::write(&own_number, number.to_string()).map_err(file(&own_number))?;
        let configuration = folder.join("zoo.cfg");
        let ports = peers[number - 1];
        let mut lines = settings(&data, ports, peers);
        if let Some(certificates) = certificates {
            lines.extend(settings_of_tls(ports.clients_with_tls, certificates));
        }
        fs::write(&configuration, lines.join("\n") + "\n").map_err(file(&configuration))?;
        Ok(Self {
            number,
            ports,
            address: (ports.ip, ports.clients).into(),
            log: folder.join("log"),
            folder,
            process: None,
        })
    }

    pub(crate) fn start(&mut self) -> Result<(), EnsembleError> {
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.and_then(|log| Ok((log.try_clone()?, log)));
        let file = |source| EnsembleError::File { path: self.log.clone(), source };
        let (out, errors) = log.map_err(file)?;
        let mut command = Command::new(JAVA);
        command.args(OPTIONS).arg("-cp").arg(CLASS_PATH).arg(MAIN);
        command.arg(self.folder.join("zoo.cfg")).current_dir(&self.folder);
        // A group of its own: what interrupts us at a terminal does not interrupt it.
        command.process_group(0).stdin(Stdio::null()).stdout(out).stderr(errors);
        let process = command.spawn().map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                return EnsembleError::NotInstalled { missing: JAVA.into() };
            }
            EnsembleError::Start { program: JAVA.into(), source }
        })?;
        let path = self.folder.join("pid");
        let written = fs::write(&path, process.id().to_string());
        self.process = Some(process);
        written.map_err(|source| EnsembleError::File { path, source })
    }

    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// How it ended, if it did by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.try_wait().ok().flatten()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            // It was not waited for: the number is still its own, even if it ended.
            let number = i32::try_from(process.id()).expect("process ids fit");
            let _ = signal::kill(Pid::from_raw(number), signal);
        }
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Before its number can be another's, the keeper must not know it any more.
            let _ = fs::remove_file(self.folder.join("pid"));
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// The end of its log.
    pub(crate) fn said(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let from = log.len().saturating_sub(SAID_BYTES);
        String::from_utf8_lossy(&log[from..]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn settings(data: &Path, own: Ports, peers: &[Ports]) -> Vec<String> {
    let ip = own.ip;
    let mut lines = vec![
        format!("tickTime={TICK}"),
        "initLimit=50".into(),
        "syncLimit=10".into(),
        format!("minSessionTimeout={}", 2 * TICK),
        "maxSessionTimeout=60000".into(),
        "maxClientCnxns=0".into(),
        format!("dataDir={}", data.display()),
        format!("clientPortAddress={ip}"),
        format!("clientPort={}", own.clients),
    ];
    if peers.len() > 1 {
        let line = |(index, ports): (usize, &Ports)| {
            format!("server.{}={ip}:{}:{}", index + 1, ports.followers, ports.elections)
        };
        lines.extend(peers.iter().enumerate().map(line));
    }
    lines
}

fn settings_of_tls(client: u16, certificates: &Certificates) -> [String; 8] {
    [
        "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory".into(),
        "secureClientPortAddress=127.0.0.1".into(),
        format!("secureClientPort={client}"),
        format!("ssl.keyStore.location={}", certificates.server.display()),
        "ssl.keyStore.type=PEM".into(),
        format!("ssl.trustStore.location={}", certificates.ca.display()),
        "ssl.trustStore.type=PEM".into(),
        "ssl.clientAuth=need".into(),
    ]
}

/// A process that outlives its maker by a moment: when the maker is gone, it kills the servers and removes their folders. A
/// destructor is not enough, since values in statics have none and a killed process runs none.
#[derive(Debug)]
pub(crate) struct Keeper {
    folder: PathBuf,
    process: Child,
    /// Its end is what the process waits for.
    lifeline: Option<ChildStdin>,
}

const KEEPER: &str = r#"
read _
for file in "$0"/*/pid; do test -f "$file" && kill -KILL "$(cat "$file")"; done
rm -rf "$0"
"#;

impl Keeper {
    pub(crate) fn new() -> Result<Self, EnsembleError> {
        let made = tempfile::Builder::new().prefix("ensemble-").tempdir();
        let path = std::env::temp_dir();
        let folder = made.map_err(|source| EnsembleError::File { path, source })?.keep();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER]).arg(&folder).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().map_err(|source| {
            let _ = fs::remove_dir(&folder);
            EnsembleError::Start { program: "/bin/sh".into(), source }
        })?;
        let lifeline = process.stdin.take();
        Ok(Self { folder, process, lifeline })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.lifeline.take();
        let _ = self.process.wait();
    }
}
