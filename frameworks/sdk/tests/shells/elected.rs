//! Schedulers of which one is elected, with a real ZooKeeper server: who stands by takes over with all that was kept.

use std::sync::OnceLock;

use ensemble::Ensemble;
use sdk::{Election, ElectionError, Running};
use zookeeper_client::Client;

use super::*;

/// One server for all tests here.
fn zookeeper() -> &'static Ensemble {
    static SHARED: OnceLock<Ensemble> = OnceLock::new();
    SHARED.get_or_init(|| Ensemble::start(1).unwrap())
}

/// Does as it is told, and tells when a master has taken it.
struct Obeys {
    stored: BTreeMap<String, Vec<u8>>,
    subscribed: mpsc::UnboundedSender<FrameworkId>,
}

impl Scheduler for Obeys {
    fn started(&mut self, _: &mut Calls, stored: BTreeMap<String, Vec<u8>>) {
        self.stored = stored;
    }

    fn subscribed(&mut self, _: &mut Calls, framework: &FrameworkId) {
        // Most tests do not listen for ever.
        let _ = self.subscribed.send(framework.clone());
    }

    fn input(&mut self, calls: &mut Calls, data: &[u8]) {
        match data {
            b"stop" => calls.stop(),
            b"tear down" => calls.tear_down(),
            b"too much" => calls.store("large", vec![0; 1 << 20]),
            key => calls.store(String::from_utf8_lossy(key), vec![1]),
        }
    }
}

/// The schedulers of one framework, below a path of their own.
struct Schedulers {
    path: &'static str,
    master: String,
    _node: Node,
    hears: mpsc::UnboundedReceiver<String>,
    client: Client,
}

type Started = Result<Running<Obeys>, RunError>;

impl Schedulers {
    async fn of(path: &'static str) -> Self {
        let hosts = zookeeper().hosts();
        let client = Client::connect(&hosts).await.unwrap();
        let (_node, master, hears) = master(None).await;
        Self { path, master, _node, hears, client }
    }

    fn options(&self) -> Options {
        let url = zookeeper().url(self.path).parse().unwrap();
        let session_timeout = Duration::from_secs(4);
        let elect = Some(Election { session_timeout, ..Election::at(url) });
        Options { elect, ..Options::default() }
    }

    /// Starts one more; it may have to stand by.
    fn one(&self) -> (impl Future<Output = Started> + use<>, mpsc::UnboundedReceiver<FrameworkId>) {
        let (subscribed, hears) = mpsc::unbounded_channel();
        let (master, options) = (self.master.clone(), self.options());
        let scheduler = Obeys { stored: BTreeMap::new(), subscribed };
        let starts =
            async move { start_scheduler(&master, framework("f"), scheduler, options).await };
        (starts, hears)
    }

    /// Starts one that leads, and waits until a master has taken it.
    async fn leader(&self) -> Running<Obeys> {
        let (starts, mut hears) = self.one();
        let leads = async {
            let running = starts.await.unwrap();
            hears.recv().await.unwrap();
            running
        };
        tokio::time::timeout(PATIENCE, leads).await.unwrap()
    }

    /// Waits until so many stand for election, and names their nodes.
    async fn stand(&self, count: usize) -> Vec<String> {
        let stand = async {
            loop {
                let (mut nodes, _, watcher) =
                    self.client.get_and_watch_children(self.path).await.unwrap();
                nodes.retain(|node| node.starts_with("scheduler_"));
                nodes.sort();
                if nodes.len() == count {
                    return nodes;
                }
                watcher.changed().await;
            }
        };
        tokio::time::timeout(PATIENCE, stand).await.unwrap()
    }

    async fn subscriptions(&mut self, count: usize) -> Vec<String> {
        let mut lines = vec![];
        while lines.len() < count {
            let line = tokio::time::timeout(PATIENCE, self.hears.recv()).await.unwrap().unwrap();
            lines.extend(Some(line).filter(|line| line.starts_with("Subscribe")));
        }
        lines
    }
}

#[tokio::test]
async fn a_scheduler_with_nothing_on_its_disk_has_the_id_and_what_was_stored() {
    let mut schedulers = Schedulers::of("/resumes").await;
    let first = schedulers.leader().await;
    for said in ["a", "b", "stop"] {
        first.inputs().input(said.as_bytes().to_vec());
    }
    assert_eq!(first.ended().await.unwrap().0, Outcome::Stopped);
    let second = schedulers.leader().await;
    second.inputs().input(b"stop".to_vec());
    let (_, second) = second.ended().await.unwrap();
    let stored = ["a", "b"].map(|key| (key.to_owned(), vec![1]));
    assert_eq!(second.stored, BTreeMap::from(stored));
    assert_eq!(schedulers.subscriptions(2).await, ["Subscribe None", "Subscribe Some(F)"]);
}

#[tokio::test]
async fn who_stands_by_hears_nothing_until_the_leader_is_deposed_which_says_nothing_after() {
    let mut schedulers = Schedulers::of("/takes-over").await;
    let first = schedulers.leader().await;
    first.inputs().input(b"kept".to_vec());
    let (second, mut takes) = schedulers.one();
    let takes_over = async {
        let running = second.await.unwrap();
        takes.recv().await.unwrap();
        running
    };
    let deposed = async {
        let nodes = schedulers.stand(2).await;
        assert_eq!(schedulers.subscriptions(1).await, ["Subscribe None"]);
        // As an operator might, or the servers when a session is over.
        let path = format!("{}/{}", schedulers.path, nodes[0]);
        schedulers.client.delete(&path, None).await.unwrap();
        let (outcome, _) = first.ended().await.unwrap();
        assert!(matches!(&outcome, Outcome::Deposed(_)), "{outcome}");
        schedulers
    };
    let both = async { tokio::join!(takes_over, deposed) };
    let (second, mut schedulers) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    assert_eq!(schedulers.subscriptions(1).await, ["Subscribe Some(F)"]);
    second.inputs().input(b"stop".to_vec());
    assert_eq!(second.ended().await.unwrap().1.stored, BTreeMap::from([("kept".into(), vec![1])]));
}

#[tokio::test]
async fn a_framework_that_is_torn_down_leaves_nothing_to_who_stands_by_and_may_begin_anew() {
    let mut schedulers = Schedulers::of("/torn-down").await;
    let first = schedulers.leader().await;
    first.inputs().input(b"kept".to_vec());
    let (second, _) = schedulers.one();
    let torn_down = async {
        schedulers.stand(2).await;
        first.inputs().input(b"tear down".to_vec());
        first.ended().await.unwrap().0
    };
    let both = async { tokio::join!(torn_down, second) };
    let (outcome, second) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    assert_eq!(outcome, Outcome::TornDown);
    let error = second.map(|_| ()).unwrap_err();
    assert!(matches!(error, RunError::Election(ElectionError::TornDown)), "{error}");
    let third = schedulers.leader().await;
    third.inputs().input(b"stop".to_vec());
    assert_eq!(third.ended().await.unwrap().1.stored, BTreeMap::new());
    assert_eq!(schedulers.subscriptions(2).await, ["Subscribe None", "Subscribe None"]);
}

#[tokio::test]
async fn who_no_longer_waits_does_not_stand_any_more() {
    let schedulers = Schedulers::of("/gives-up").await;
    let first = schedulers.leader().await;
    let (second, _) = schedulers.one();
    tokio::select! {
        _ = second => panic!("another leads"),
        nodes = schedulers.stand(2) => assert_eq!(nodes.len(), 2),
    }
    schedulers.stand(1).await;
    first.inputs().input(b"stop".to_vec());
    first.ended().await.unwrap();
    schedulers.stand(0).await;
}

#[tokio::test]
async fn what_is_too_large_for_zookeeper_ends_the_scheduler_in_words() {
    let schedulers = Schedulers::of("/too-much").await;
    let first = schedulers.leader().await;
    first.inputs().input(b"too much".to_vec());
    let error = first.ended().await.map(|(outcome, _)| outcome).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("store large: its 1048576 bytes are more than"), "{cause}");
    schedulers.stand(0).await;
}

#[tokio::test]
async fn where_it_is_elected_is_refused_in_words_if_it_cannot_be() {
    let error = Options::default().elect("zk://jake:s3cret@h:1").unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("path") && !cause.contains("s3cret"), "{cause}");
    let both = Options::default().elect("zk://h:1/f").unwrap();
    let both = Options { state_dir: Some("/state".into()), ..both };
    let running = run_scheduler("h:1", framework("f"), Simple::of(&[]), both).await;
    let error = running.map(|(outcome, _)| outcome).unwrap_err();
    assert!(matches!(error, RunError::Election(ElectionError::TwoStates { .. })), "{error}");
}
