//! A real ZooKeeper ensemble of one or three servers on this machine, from Debian's `zookeeper` package: for tests, and for a
//! demonstration on a machine that has no ensemble. Its servers can be killed, frozen and started again by number. It is
//! gone with its value, and also with the process that holds it, however that ends.

#![warn(missing_docs)]

mod certificates;
mod package;
mod ports;
mod server;
mod words;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

pub use certificates::Certificates;
use server::{Keeper, Ports, Server};
use words::Mode;

/// How long a server may take until it serves: a Java virtual machine on a busy machine, an election, another one.
const SERVES_WITHIN: Duration = Duration::from_secs(60);

/// How long the port of a server has to answer one question.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Between two looks at a server that does not serve yet.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Ports may be taken between our look and the server's: then all begins anew.
const ATTEMPTS: usize = 3;

/// Why there is no ensemble.
#[derive(Debug, thiserror::Error)]
pub enum EnsembleError {
    /// The package is not installed.
    #[error(
        "ZooKeeper is not installed here: {missing} is missing; on Debian, `apt-get install zookeeper` brings it"
    )]
    NotInstalled {
        /// What was looked for.
        missing: String,
    },
    /// A folder or a file of a server cannot be made.
    #[error("failed to make {path} for a ZooKeeper server")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No certificates could be made for it.
    #[error("failed to make certificates for ZooKeeper servers")]
    Certificates {
        /// Why.
        source: rcgen::Error,
    },
    /// No free port was found.
    #[error("failed to find free ports for ZooKeeper servers")]
    NoPorts,
    /// A program cannot be started.
    #[error("failed to start {program}")]
    Start {
        /// Which one.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A server ended although it should run.
    #[error("ZooKeeper server {number} ended ({status}); the end of what it said:\n{said}")]
    Ended {
        /// Which one.
        number: usize,
        /// How.
        status: std::process::ExitStatus,
        /// The last lines of its log.
        said: String,
    },
    /// A server does not serve.
    #[error("ZooKeeper server {number} does not serve after {} s; the end of what it said:\n{said}", .waited.as_secs())]
    Silent {
        /// Which one.
        number: usize,
        /// So long it was waited for.
        waited: Duration,
        /// The last lines of its log.
        said: String,
    },
}

/// Servers that run. They are numbered from 1.
#[derive(Debug)]
pub struct Ensemble {
    servers: Vec<Server>,
    certificates: Option<Certificates>,
    // In this order: it ends what is left of the servers and removes their folders.
    _keeper: Keeper,
}

impl Ensemble {
    /// Starts so many servers (an odd number) and waits until all serve.
    pub fn start(size: usize) -> Result<Self, EnsembleError> {
        Self::start_at(Ipv4Addr::LOCALHOST, size)
    }

    /// The same, at another address of this machine.
    pub fn start_at(ip: Ipv4Addr, size: usize) -> Result<Self, EnsembleError> {
        Self::start_somewhere(ip, size, false)
    }

    /// The same; clients must speak TLS and show a certificate at [`Ensemble::hosts_with_tls`].
    pub fn start_with_tls(size: usize) -> Result<Self, EnsembleError> {
        Self::start_somewhere(Ipv4Addr::LOCALHOST, size, true)
    }

    fn start_somewhere(ip: Ipv4Addr, size: usize, with_tls: bool) -> Result<Self, EnsembleError> {
        package::check()?;
        let mut attempt = 1;
        loop {
            match Self::start_once(ip, size, with_tls) {
                Err(EnsembleError::Ended { said, .. })
                    if attempt < ATTEMPTS && said.contains("Address already in use") =>
                {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    fn start_once(ip: Ipv4Addr, size: usize, with_tls: bool) -> Result<Self, EnsembleError> {
        let keeper = Keeper::new()?;
        let certificates = with_tls.then(|| Certificates::make(keeper.folder())).transpose()?;
        let found = ports::free(ip, 4 * size)?;
        let ports = |each: &[u16]| Ports {
            ip,
            clients: each[0],
            followers: each[1],
            elections: each[2],
            clients_with_tls: each[3],
        };
        let peers: Vec<_> = found.chunks(4).map(ports).collect();
        let servers = (1..=size)
            .map(|number| Server::new(keeper.folder(), number, &peers, certificates.as_ref()));
        let servers = servers.collect::<Result<_, _>>()?;
        let mut ensemble = Self { servers, certificates, _keeper: keeper };
        for server in &mut ensemble.servers {
            server.start()?;
        }
        for number in 1..=size {
            ensemble.wait_until_serving(number)?;
        }
        Ok(ensemble)
    }

    /// How many servers there are, running or not.
    pub fn size(&self) -> usize {
        self.servers.len()
    }

    /// Where all of them are, as clients want to know it: `127.0.0.1:21001,127.0.0.1:21004`.
    pub fn hosts(&self) -> String {
        let hosts: Vec<_> = self.servers.iter().map(|server| server.address.to_string()).collect();
        hosts.join(",")
    }

    /// Where all of them speak TLS, and with which certificates, if they do.
    pub fn hosts_with_tls(&self) -> Option<(String, &Certificates)> {
        let port = |server: &Server| format!("127.0.0.1:{}", server.ports.clients_with_tls);
        let hosts: Vec<_> = self.servers.iter().map(port).collect();
        Some((hosts.join(","), self.certificates.as_ref()?))
    }

    /// A URL of a path of this ensemble, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("zk://{}{path}", self.hosts())
    }

    /// Where one server is.
    pub fn address(&self, number: usize) -> SocketAddr {
        self.server(number).address
    }

    /// The log of one server.
    pub fn log(&self, number: usize) -> &Path {
        &self.server(number).log
    }

    /// Which server leads the others. `None` while none does; one alone leads. A frozen one does not say.
    pub fn leader(&self) -> Option<usize> {
        let leads = |server: &&Server| {
            let mode = words::mode(server.address, ANSWERS_WITHIN);
            server.runs() && matches!(mode, Some(Mode::Leads | Mode::Alone))
        };
        self.servers.iter().find(leads).map(|server| server.number)
    }

    /// Kills one server as a loss of power would. Nothing if it does not run.
    pub fn kill(&mut self, number: usize) {
        self.server_mut(number).kill();
    }

    /// Freezes one server: its connections stay and nothing answers.
    pub fn freeze(&self, number: usize) {
        self.server(number).signal(Signal::SIGSTOP);
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self, number: usize) {
        self.server(number).signal(Signal::SIGCONT);
    }

    /// Starts a server that was killed, with what its disk has, and does not wait.
    pub fn start_server(&mut self, number: usize) -> Result<(), EnsembleError> {
        let server = self.server_mut(number);
        server.kill();
        server.start()
    }

    /// Kills a server and starts it again; waits until it serves, which needs a majority of servers.
    pub fn restart(&mut self, number: usize) -> Result<(), EnsembleError> {
        self.start_server(number)?;
        self.wait_until_serving(number)
    }

    /// Waits until a server serves clients.
    pub fn wait_until_serving(&mut self, number: usize) -> Result<(), EnsembleError> {
        let server = self.server_mut(number);
        let until = Instant::now() + SERVES_WITHIN;
        loop {
            if words::mode(server.address, ANSWERS_WITHIN).is_some() {
                return Ok(());
            }
            if let Some(status) = server.ended() {
                return Err(EnsembleError::Ended { number, status, said: server.said() });
            }
            if Instant::now() > until {
                let said = server.said();
                return Err(EnsembleError::Silent { number, waited: SERVES_WITHIN, said });
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    }

    fn server(&self, number: usize) -> &Server {
        assert!((1..=self.size()).contains(&number), "there is no ZooKeeper server {number}");
        &self.servers[number - 1]
    }

    fn server_mut(&mut self, number: usize) -> &mut Server {
        assert!((1..=self.size()).contains(&number), "there is no ZooKeeper server {number}");
        &mut self.servers[number - 1]
    }
}
