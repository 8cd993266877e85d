//! How fast the registry is written to an ensemble of three, beside the same records in raw pipelined `multi`s to the same
//! ensemble; and how long the next leader reads it.

use std::error::Error;
use std::time::{Duration, Instant};

use coordination::election::{Candidate, Elector};
use coordination::store::{Change, Store};
use coordination::zookeeper::url::Url;
use coordination::zookeeper::{Settings, ZooKeeper, ZooKeeperStore};
use ensemble::Ensemble;
use zookeeper_client::{Acls, Client, CreateMode};

use measure::{Measured, Row};

/// As many batches as the agents of a large cluster make when all of them join.
const BATCHES: usize = 500;

const RECORDS: usize = 100;

/// What one agent's record has.
const BYTES: usize = 400;

/// Of which the quickest counts; one more, which makes the records, does not.
const ROUNDS: usize = 7;

fn key(batch: usize, record: usize) -> String {
    format!("agents/0123456789ab-S{}", batch * RECORDS + record)
}

fn batches(fill: u8) -> Vec<Vec<Change>> {
    let put = |batch, record| Change::Put { key: key(batch, record), value: vec![fill; BYTES] };
    (0..BATCHES).map(|batch| (0..RECORDS).map(|record| put(batch, record)).collect()).collect()
}

/// Has won an election.
fn leader(ensemble: &Ensemble) -> Result<(ZooKeeper, ZooKeeperStore, u64), Box<dyn Error>> {
    let url: Url = ensemble.url("/ours").parse()?;
    let settings = Settings { new_cluster: "0123456789ab".to_owned(), ..Settings::of(url) };
    let zookeeper = ZooKeeper::start(settings)?;
    let mut store = zookeeper.store();
    let reign = store.stand(&Candidate::at("127.0.0.1:5050"))?;
    store.load()?;
    Ok((zookeeper, store, reign.epoch))
}

/// What any program would send that has no fence, no order to keep and no outcome to find out.
struct Raw {
    client: Client,
    made: bool,
}

impl Raw {
    async fn new(ensemble: &Ensemble) -> Result<Self, Box<dyn Error>> {
        let client = Client::connector().connect(&ensemble.hosts()).await?;
        let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
        client.create("/raw", b"", &options).await?;
        for batch in 0..BATCHES {
            client.create(&format!("/raw/{batch}"), b"", &options).await?;
        }
        Ok(Self { client, made: false })
    }

    async fn write(&mut self, fill: u8) -> Result<Duration, Box<dyn Error>> {
        let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
        let value = [fill; BYTES];
        let started = Instant::now();
        let mut on_the_way = Vec::new();
        for batch in 0..BATCHES {
            let mut writer = self.client.new_multi_writer();
            for record in 0..RECORDS {
                let path = format!("/raw/{batch}/{}", key(batch, record).replace('/', "%2F"));
                if self.made {
                    writer.add_set_data(&path, &value, None)?;
                } else {
                    writer.add_create(&path, &value, &options)?;
                }
            }
            on_the_way.push(writer.commit());
        }
        for answer in on_the_way {
            answer.await?;
        }
        self.made = true;
        Ok(started.elapsed())
    }
}

pub(crate) fn run() -> Measured {
    let ensemble = Ensemble::start(3)?;
    // Its thread lives on while ours are measured: a session is lost without a word now and then.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build()?;
    let mut raw = runtime.block_on(Raw::new(&ensemble))?;
    let (zookeeper, mut store, epoch) = leader(&ensemble)?;
    let (mut least_raw, mut least_ours) = (Duration::MAX, Duration::MAX);
    for round in 0..=ROUNDS {
        let fill = u8::try_from(round)?;
        let took_raw = runtime.block_on(raw.write(fill))?;
        let batches = batches(fill);
        let started = Instant::now();
        store.write_all(epoch, &batches)?;
        let took = started.elapsed();
        eprintln!("round {round}: raw {took_raw:.2?}, registry {took:.2?}");
        if round > 0 {
            (least_raw, least_ours) = (least_raw.min(took_raw), least_ours.min(took));
        }
    }
    zookeeper.close();
    let (zookeeper, mut store, _) = leader(&ensemble)?;
    let started = Instant::now();
    let records = store.load()?.len();
    let read = started.elapsed();
    zookeeper.close();
    if records != BATCHES * RECORDS {
        return Err(format!("{records} records were read").into());
    }
    let rate = |took: Duration| (BATCHES * RECORDS) as f64 / took.as_secs_f64();
    Ok(vec![
        Row {
            peer: Some(("raw multis", rate(least_raw))),
            ..Row::of("registry_writes", rate(least_ours), "1/s")
        },
        Row::of("registry_read_50000", read.as_secs_f64(), "s"),
    ])
}
