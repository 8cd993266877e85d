//! The words of these stories: the ensemble, members of an election, a gate between a member and the ensemble, and a plain
//! client that sees what anybody would see.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{
    Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use coordination::election::{Candidate, Detector, Elector, Reign, Standing};
use coordination::store::StoreError;
use coordination::zookeeper::url::Url;
use coordination::zookeeper::{Settings, ZooKeeper, ZooKeeperStore};
use ensemble::Ensemble;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use zookeeper_client::Client;

/// Nothing that is waited for takes longer, on a machine that does ten other things.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Of the members.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(4);

fn shared() -> &'static RwLock<Ensemble> {
    static SHARED: OnceLock<RwLock<Ensemble>> = OnceLock::new();
    SHARED.get_or_init(|| RwLock::new(Ensemble::start(3).expect("ZooKeeper starts")))
}

/// The ensemble, as it is.
pub(crate) fn ensemble() -> RwLockReadGuard<'static, Ensemble> {
    shared().read().unwrap_or_else(PoisonError::into_inner)
}

/// The ensemble for oneself; all servers serve. Whoever had it before may have failed in the middle.
pub(crate) fn ensemble_alone() -> RwLockWriteGuard<'static, Ensemble> {
    let mut ensemble = shared().write().unwrap_or_else(PoisonError::into_inner);
    for number in 1..=3 {
        ensemble.thaw(number);
    }
    for number in 1..=3 {
        if ensemble.wait_until_serving(number).is_err() {
            ensemble.start_server(number).expect("a server starts");
        }
    }
    ensemble
}

/// A path that no other test has.
pub(crate) fn path(name: &str) -> String {
    static PATHS: AtomicUsize = AtomicUsize::new(0);
    format!("/{name}-{}", PATHS.fetch_add(1, Ordering::Relaxed))
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !so() {
        assert!(Instant::now() < until, "not within {DEADLINE:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Waits for a value.
#[track_caller]
pub(crate) fn hears<T: Clone + std::fmt::Debug>(
    receiver: &watch::Receiver<T>,
    what: &str,
    is: impl Fn(&T) -> bool,
) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        let value = receiver.borrow().clone();
        if is(&value) {
            return value;
        }
        assert!(Instant::now() < until, "not within {DEADLINE:?}: {what}; it is {value:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A process that can stand for election.
pub(crate) struct Member {
    pub(crate) zookeeper: ZooKeeper,
    pub(crate) standing: watch::Receiver<Standing>,
    name: &'static str,
    stood: usize,
}

/// A candidacy under way.
pub(crate) struct Candidacy(JoinHandle<(ZooKeeperStore, Result<Reign, StoreError>)>);

impl Member {
    pub(crate) fn new(url: &str, name: &'static str) -> Self {
        Self::with(settings(url), name)
    }

    pub(crate) fn with(settings: Settings, name: &'static str) -> Self {
        let zookeeper = ZooKeeper::start(settings).unwrap();
        let standing = zookeeper.store().standing();
        Self { zookeeper, standing, name, stood: 0 }
    }

    /// Stands, under another id each time.
    pub(crate) fn stands(&mut self) -> Candidacy {
        self.stood += 1;
        let candidate = candidate(&format!("{}-{}", self.name, self.stood));
        let mut store = self.zookeeper.store();
        Candidacy(std::thread::spawn(move || {
            let outcome = store.stand(&candidate);
            (store, outcome)
        }))
    }

    /// Its process ends as it should.
    pub(crate) fn leaves(self) {
        self.zookeeper.close();
    }

    /// Stands until it leads.
    #[track_caller]
    pub(crate) fn leads(&mut self) -> (ZooKeeperStore, Reign) {
        self.stands().leads()
    }

    #[track_caller]
    pub(crate) fn is_suspended(&self) {
        hears(&self.standing, "it is suspended", |standing| *standing == Standing::Suspended);
    }

    #[track_caller]
    pub(crate) fn is_leading(&self) {
        hears(&self.standing, "it leads", |standing| *standing == Standing::Leads);
    }

    #[track_caller]
    pub(crate) fn is_deposed(&self) -> String {
        let deposed = |standing: &Standing| matches!(standing, Standing::Deposed(_));
        match hears(&self.standing, "it is deposed", deposed) {
            Standing::Deposed(why) => why,
            Standing::Leads | Standing::Suspended => unreachable!(),
        }
    }

    /// Waits until it takes this candidate for the leader.
    #[track_caller]
    pub(crate) fn finds(&self, id: &str) -> Candidate {
        let is = |leader: &Option<Candidate>| leader.as_ref().is_some_and(|leader| leader.id == id);
        hears(&self.zookeeper.leader(), &format!("{id} leads"), is).unwrap()
    }
}

impl Candidacy {
    pub(crate) fn waits(&self) -> bool {
        !self.0.is_finished()
    }

    #[track_caller]
    pub(crate) fn ends(self) -> (ZooKeeperStore, Result<Reign, StoreError>) {
        eventually("a candidacy ends", || self.0.is_finished());
        self.0.join().unwrap()
    }

    #[track_caller]
    pub(crate) fn leads(self) -> (ZooKeeperStore, Reign) {
        let (store, outcome) = self.ends();
        (store, outcome.unwrap())
    }

    #[track_caller]
    pub(crate) fn ends_refused(self) -> String {
        let (_, outcome) = self.ends();
        outcome.unwrap_err().to_string()
    }
}

pub(crate) fn settings(url: &str) -> Settings {
    let url = Url::parse(url).unwrap();
    Settings { session_timeout: SESSION_TIMEOUT, new_cluster: "c1".into(), ..Settings::of(url) }
}

pub(crate) fn candidate(id: &str) -> Candidate {
    let hostname = format!("{id}.example");
    let address = "127.0.0.1:5050".into();
    Candidate { id: id.into(), address, hostname, version: "1.12.0".into() }
}

/// Anybody with a client.
pub(crate) struct Stranger {
    pub(crate) client: Client,
    runtime: Handle,
    /// Its thread ends with this.
    _running: oneshot::Sender<()>,
}

impl Stranger {
    pub(crate) fn new(hosts: &str) -> Self {
        Self::with(hosts, None)
    }

    pub(crate) fn with(hosts: &str, credentials: Option<&str>) -> Self {
        let running = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let runtime = running.handle().clone();
        let (running_until, ended) = oneshot::channel();
        std::thread::spawn(move || running.block_on(ended));
        let mut connector = Client::connector().with_session_timeout(Duration::from_secs(20));
        if let Some(credentials) = credentials {
            connector = connector.with_auth("digest", credentials.as_bytes());
        }
        let client = runtime.block_on(connector.connect(hosts)).unwrap();
        Self { client, runtime, _running: running_until }
    }

    pub(crate) fn does<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(DEADLINE, what).await.unwrap() })
    }

    /// Its server may be behind the one by which somebody else has just written.
    fn catches_up(&self) {
        self.does(self.client.sync("/")).unwrap();
    }

    pub(crate) fn children(&self, path: &str) -> Vec<String> {
        self.catches_up();
        let mut names = self.does(self.client.list_children(path)).unwrap_or_default();
        names.sort();
        names
    }

    pub(crate) fn reads(&self, path: &str) -> Vec<u8> {
        self.catches_up();
        self.does(self.client.get_data(path)).unwrap().0
    }

    pub(crate) fn writes(&self, path: &str, data: &[u8]) {
        self.does(self.client.set_data(path, data, None)).unwrap();
    }

    /// The nodes of masters.
    pub(crate) fn seats(&self, path: &str) -> Vec<String> {
        let names = self.children(path).into_iter();
        names.filter(|name| name.starts_with("json.info_")).collect()
    }
}

/// Between one member and the ensemble: a forwarder that can be shut.
pub(crate) struct Gate {
    addresses: Vec<SocketAddr>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    shut: AtomicBool,
    /// Answers are kept back while this is set.
    holds: Mutex<bool>,
    let_go: Condvar,
    /// After so many more answers to requests all are kept back.
    until_held: AtomicUsize,
    /// Answers to requests are thrown away while this is set; those to heartbeats are not.
    mute: AtomicBool,
    /// So many were.
    lost: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
}

impl Gate {
    /// Before all servers.
    pub(crate) fn before(ensemble: &Ensemble) -> Self {
        let until_held = AtomicUsize::new(usize::MAX);
        let state = Arc::new(State { until_held, ..State::default() });
        let open = |number| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let (server, state) = (ensemble.address(number), Arc::clone(&state));
            std::thread::spawn(move || forward_all(&listener, server, &state));
            address
        };
        let addresses = (1..=ensemble.size()).map(open).collect();
        Self { addresses, state }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let hosts: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        format!("zk://{}{path}", hosts.join(","))
    }

    /// Breaks all connections and lets no other one through.
    pub(crate) fn shut(&self) {
        self.state.shut.store(true, Ordering::SeqCst);
        self.break_connections();
    }

    pub(crate) fn open(&self) {
        self.state.until_held.store(usize::MAX, Ordering::SeqCst);
        *self.state.holds.lock().unwrap() = false;
        self.state.let_go.notify_all();
        self.state.shut.store(false, Ordering::SeqCst);
    }

    /// What the servers say is kept back from now on; what they hear is not.
    pub(crate) fn hold_answers(&self) {
        *self.state.holds.lock().unwrap() = true;
    }

    /// What the servers say is kept back as soon as they have answered so many requests.
    pub(crate) fn holds_after(&self, answers: usize) {
        self.state.until_held.store(answers, Ordering::SeqCst);
    }

    /// So many requests were answered until now, if no other was ever to be held.
    pub(crate) fn answered(&self) -> usize {
        usize::MAX - self.state.until_held.load(Ordering::SeqCst)
    }

    pub(crate) fn is_holding(&self) -> bool {
        *self.state.holds.lock().unwrap()
    }

    /// Sessions live from now on, and no request is answered; or the other way round.
    pub(crate) fn is_mute(&self, mute: bool) {
        self.state.mute.store(mute, Ordering::SeqCst);
    }

    /// So many answers were thrown away until now.
    pub(crate) fn lost(&self) -> usize {
        self.state.lost.load(Ordering::SeqCst)
    }

    /// Breaks all connections, with what was kept back; others may come.
    pub(crate) fn break_connections(&self) {
        for stream in self.state.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        *self.state.holds.lock().unwrap() = false;
        self.state.let_go.notify_all();
    }
}

fn forward_all(listener: &TcpListener, server: SocketAddr, state: &Arc<State>) {
    for client in listener.incoming().map_while(Result::ok) {
        let Ok(server) = TcpStream::connect(server) else { continue };
        let pair = || Ok::<_, std::io::Error>((client.try_clone()?, server.try_clone()?));
        let (Ok(there), Ok(back), Ok(both)) = (pair(), pair(), pair()) else { continue };
        let mut streams = state.streams.lock().unwrap();
        if state.shut.load(Ordering::SeqCst) {
            continue;
        }
        streams.extend([both.0, both.1]);
        drop(streams);
        std::thread::spawn(move || forward(there.0, there.1));
        let state = Arc::clone(state);
        std::thread::spawn(move || forward_answers(back.1, back.0, &state));
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    // It ends with either.
    let _ = std::io::copy(&mut from, &mut to);
    end(&from, &to);
}

fn end(from: &TcpStream, to: &TcpStream) {
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Each is its length and then so many bytes, of which the first four are the request's number. What is no answer to a
/// request, as to a heartbeat, has none above zero.
fn forward_answers(mut from: TcpStream, mut to: TcpStream, state: &State) {
    let mut length = [0; 4];
    while from.read_exact(&mut length).is_ok() {
        let mut answer = length.to_vec();
        answer.resize(4 + usize::try_from(u32::from_be_bytes(length)).unwrap(), 0);
        if from.read_exact(&mut answer[4..]).is_err() {
            break;
        }
        let number = i32::from_be_bytes(answer[4..8].try_into().unwrap());
        let mut holds = state.holds.lock().unwrap();
        let one_less = |left: usize| left.checked_sub(1);
        if number > 0 {
            let order = Ordering::SeqCst;
            *holds |= state.until_held.fetch_update(order, order, one_less).is_err();
        }
        drop(state.let_go.wait_while(holds, |holds| *holds).unwrap());
        let is_lost = number > 0 && state.mute.load(Ordering::SeqCst);
        if is_lost {
            state.lost.fetch_add(1, Ordering::SeqCst);
        } else if to.write_all(&answer).is_err() {
            break;
        }
    }
    end(&from, &to);
}
