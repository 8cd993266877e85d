//! How a master's process goes from one reign to the next.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use coordination::election::{Candidate, Reign, Standing};
use coordination::local::LocalStore;
use coordination::store::Change;
use gateway::{Daemon, Files, Logging, Parts, Realms};
use libactor::{Name, NodeConfig};
use protocol::framework::FrameworkToMaster;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use super::*;

/// Elects whoever stands, and takes it back when the test says so.
#[derive(Clone)]
struct Elects {
    store: Arc<Mutex<LocalStore>>,
    standing: Arc<watch::Sender<Standing>>,
    /// So many reigns are over before their registry is read.
    too_short: Arc<Mutex<u32>>,
    /// What is waited for before the registry is read, if anything.
    first: Arc<Mutex<Option<std::sync::mpsc::Receiver<()>>>>,
    elected: mpsc::UnboundedSender<u64>,
}

impl Elector for Elects {
    type Error = StoreError;

    fn stand(&mut self, candidate: &Candidate) -> Result<Reign, StoreError> {
        let reign = self.store.stand(candidate)?;
        self.standing.send_replace(Standing::Leads);
        let _ = self.elected.send(reign.epoch);
        Ok(reign)
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }
}

impl Store for Elects {
    fn load(&mut self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let first = self.first.lock().unwrap().take();
        if let Some(first) = first {
            first.recv().unwrap();
        }
        let mut too_short = self.too_short.lock().unwrap();
        if *too_short > 0 {
            *too_short -= 1;
            let (place, reason) = ("zk://h/x".to_owned(), "nobody answered".to_owned());
            return Err(StoreError::Lost { place, reason });
        }
        self.store.load()
    }

    fn write(&mut self, epoch: u64, changes: &[Change]) -> Result<(), StoreError> {
        self.store.write(epoch, changes)
    }
}

fn daemon(numbers: &Numbers) -> Daemon {
    Daemon::new(Parts {
        version: serde_json::Map::new(),
        flags: BTreeMap::new(),
        figures: Figures::default(),
        numbers: numbers.clone(),
        uptime: "master/uptime_secs",
        realms: Realms::of("master"),
        logging: Logging::new(|_| ()),
        files: Files::default(),
    })
}

/// A throne, what elects whoever sits on it, and the epochs that begin. The folder lasts as long as the test.
async fn throne(
    too_short: u32,
    numbers: &Numbers,
) -> (Throne<Elects>, Elects, mpsc::UnboundedReceiver<u64>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(&folder.path().join("registry"), "c").unwrap();
    let (elected, epochs) = mpsc::unbounded_channel();
    let elects = Elects {
        store: Arc::new(Mutex::new(store)),
        standing: Arc::new(watch::Sender::new(Standing::Leads)),
        too_short: Arc::new(Mutex::new(too_short)),
        first: Arc::default(),
        elected,
    };
    let gateways = Gateways::new(daemon(numbers), None);
    let foreign = Some(master::http::foreign(&gateways));
    let throne = Throne {
        node: Node::start(NodeConfig { foreign, ..NodeConfig::loopback() }).await.unwrap(),
        hostname: None,
        store: elects.clone(),
        config: MasterConfig::default(),
        zookeeper: None,
        led_from: Some(folder.path().to_owned()),
        gateways,
    };
    (throne, elects, epochs, folder)
}

#[tokio::test]
async fn who_is_asked_to_end_in_the_moment_of_its_deposition_ends() {
    // It may be stopped before it hears that it was deposed: not each time.
    for _ in 0..10 {
        let (figures, numbers) = (Figures::default(), Numbers::default());
        let (throne, elects, _epochs, _folder) = throne(0, &numbers).await;
        let asked = async {
            // Its master and its view look how the reign goes.
            while elects.standing.receiver_count() < 2 {
                tokio::task::yield_now().await;
            }
            elects.standing.send_replace(Standing::Deposed("another leads".to_owned()));
            Ok(())
        };
        let held = throne.hold(&figures, &numbers, asked);
        tokio::time::timeout(Duration::from_secs(30), held).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn who_loses_its_reign_while_it_reads_the_registry_stands_again() {
    let (figures, numbers) = (Figures::default(), Numbers::default());
    let (throne, _elects, mut epochs, _folder) = throne(1, &numbers).await;
    let asked = async {
        assert_eq!((epochs.recv().await, epochs.recv().await), (Some(1), Some(2)));
        Ok(())
    };
    let held = throne.hold(&figures, &numbers, asked);
    tokio::time::timeout(Duration::from_secs(30), held).await.unwrap().unwrap();
}

/// What the node at an address answers, as it stands on the wire.
async fn ask(at: SocketAddr, request: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let length = body.len();
    let head = "Content-Type: application/json\r\nAccept: application/json\r\nConnection: close";
    let request = format!(
        "{request} HTTP/1.1\r\nHost: x\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[test]
fn ha_06_what_a_node_drops_while_a_master_is_there_is_not_said_to_have_come_before_it() {
    let first = Unheard::from(5);
    assert_eq!((first.by(5), first.by(8)), (0, 3));
    let reigns = first.master_comes(8);
    assert_eq!(reigns.by(100), 3);
    let without = reigns.master_goes(100);
    assert_eq!((without.by(100), without.by(104)), (3, 7));
    assert_eq!(without.master_comes(104).master_goes(200).by(201), 8);
}

#[tokio::test]
async fn ha_06_until_the_registry_is_read_calls_are_put_off_and_messages_dropped_and_counted() {
    let (figures, numbers) = (Figures::default(), Numbers::of(master::COUNTED));
    let (throne, elects, mut epochs, _folder) = throne(0, &numbers).await;
    let (read, first) = std::sync::mpsc::channel();
    *elects.first.lock().unwrap() = Some(first);
    let at = throne.node.address().unwrap();
    let leader = watch::Sender::new(Some(Candidate::at(&at.to_string())));
    throne.gateways.are_on(&throne.node, Some(leader.subscribe()));
    let health = r#"{"type":"GET_HEALTH"}"#;
    let asked = async {
        epochs.recv().await.unwrap();
        for path in ["/api/v1", "/api/v1/scheduler", "/master/api/v1/scheduler"] {
            let answer = ask(at, &format!("POST {path}"), health).await;
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            assert!(answer.ends_with("\r\n\r\nMaster has not finished recovery"), "{answer}");
        }
        let registry = ask(at, "GET /registrar(1)/registry", "").await;
        assert!(registry.starts_with("HTTP/1.1 200 "), "{registry}");
        assert!(registry.ends_with("\r\n\r\n{}"), "{registry}");
        let other = Node::start(NodeConfig::loopback()).await.unwrap();
        let name: Name = format!("{}@{at}", master::MASTER).parse().unwrap();
        for _ in 0..3 {
            other.tell(&name, FrameworkToMaster::Suppress).unwrap();
        }
        while !ask(at, "GET /metrics/snapshot", "").await.contains("\"master/dropped_messages\":3")
        {
        }
        read.send(()).unwrap();
        while !ask(at, "POST /api/v1", health).await.contains("\"healthy\":true") {}
        Ok(())
    };
    let held = throne.hold(&figures, &numbers, asked);
    tokio::time::timeout(Duration::from_secs(30), held).await.unwrap().unwrap();
}
