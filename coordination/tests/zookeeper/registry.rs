//! What is written, read, fenced, and found out when nobody said whether it was written.

use std::collections::BTreeMap;
use std::time::Instant;

use coordination::store::{Change, Store, StoreError};
use zookeeper_client::CreateMode;

use crate::stage::{Gate, Member, Stranger, ensemble, eventually, path};

fn put(key: &str, value: &str) -> Change {
    Change::Put { key: key.into(), value: value.as_bytes().to_vec() }
}

fn delete(key: &str) -> Change {
    Change::Delete { key: key.into() }
}

fn text(records: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let line =
        |(key, value): (&String, &Vec<u8>)| format!("{key}={}", String::from_utf8_lossy(value));
    records.iter().map(line).collect()
}

#[test]
fn reg_05_what_is_written_is_there_in_the_next_reign_whoever_reigns() {
    let ensemble = ensemble();
    let url = ensemble.url(&path("registry"));
    let mut first = Member::new(&url, "first");
    let (mut store, reign) = first.leads();
    assert!(store.load().unwrap().is_empty());
    store.write(reign.epoch, &[put("agents/1", "a"), put("agents/2", "b"), put("x", "")]).unwrap();
    store.write(reign.epoch, &[delete("agents/1"), put("agents/2", "c"), delete("none")]).unwrap();
    assert_eq!(text(&store.load().unwrap()), ["agents/2=c", "x="]);
    first.leaves();
    let mut second = Member::new(&url, "second");
    let (mut store, reign) = second.leads();
    assert_eq!(text(&store.load().unwrap()), ["agents/2=c", "x="]);
    store.write(reign.epoch, &[put("agents/2", "d"), put("agents/1", "e")]).unwrap();
    assert_eq!(text(&store.load().unwrap()), ["agents/1=e", "agents/2=d", "x="]);
}

#[test]
fn a_write_without_a_reign_or_of_another_epoch_ends_refused() {
    let ensemble = ensemble();
    let mut member = Member::new(&ensemble.url(&path("refused")), "m");
    let mut idle = member.zookeeper.store();
    let error = idle.write(1, &[put("a", "")]).unwrap_err();
    assert!(matches!(error, StoreError::Lost { .. }), "{error}");
    let (mut store, reign) = member.leads();
    let error = store.write(reign.epoch + 1, &[put("a", "")]).unwrap_err();
    assert!(matches!(error, StoreError::Fenced { .. }), "{error}");
    assert!(store.load().unwrap().is_empty());
}

#[test]
fn reg_02_a_write_after_another_raised_the_epoch_is_refused_by_the_servers_and_ends_the_reign() {
    let ensemble = ensemble();
    let path = path("fenced");
    let mut member = Member::new(&ensemble.url(&path), "m");
    let (mut store, reign) = member.leads();
    store.write(reign.epoch, &[put("a", "1")]).unwrap();
    // Any change of the node is a later reign's, or an import's: the version is the fence.
    let stranger = Stranger::new(&ensemble.hosts());
    let epoch = format!("{path}/registry/epoch");
    let later = coordination::record::seal(b"\x08\x63\x12\x05other");
    stranger.writes(&epoch, &later);
    let batches = [vec![put("a", "2")], vec![put("b", "2")]];
    let stopped = store.write_all(reign.epoch, &batches).unwrap_err();
    assert_eq!(stopped.done, 0);
    assert!(stopped.error.to_string().contains("epoch 99 has begun"), "{}", stopped.error);
    assert!(member.is_deposed().contains("epoch 99 has begun"));
    let (mut store, reign) = member.leads();
    assert_eq!(reign.epoch, 100);
    assert_eq!(text(&store.load().unwrap()), ["a=1"], "nothing of the refused batches is there");
}

#[test]
fn batches_whose_outcome_nobody_told_are_written_once_and_in_order() {
    let ensemble = ensemble();
    let gate = Gate::before(&ensemble);
    let mut member = Member::new(&gate.url(&path("unknown")), "m");
    let (mut store, reign) = member.leads();
    store.load().unwrap();
    store.write(reign.epoch, &[put("last", "none")]).unwrap();
    let batch = |number: usize| {
        let large = "x".repeat(100 << 10);
        vec![
            put(&format!("record/{number:03}"), &large),
            put("last", &number.to_string()),
            delete(&format!("record/{:03}", number.wrapping_sub(10))),
        ]
    };
    let batches: Vec<_> = (0..100).map(batch).collect();
    gate.hold_answers();
    let writing = std::thread::spawn(move || {
        let outcome = store.write_all(reign.epoch, &batches);
        (store, outcome)
    });
    // The servers write while nobody hears them; then all connections break.
    let stranger = Stranger::new(&ensemble.hosts());
    let place = member.zookeeper.place();
    let root = place.rsplit_once('/').map(|(_, name)| format!("/{name}/registry/written")).unwrap();
    eventually("some batches have arrived", || {
        let stat = stranger.does(stranger.client.check_stat(&root)).unwrap();
        stat.is_some_and(|stat| stat.version > 5)
    });
    gate.break_connections();
    eventually("the write ends", || writing.is_finished());
    let (mut store, outcome) = writing.join().unwrap();
    outcome.unwrap();
    let records = store.load().unwrap();
    assert_eq!(records["last"], b"99");
    let left = records.keys().filter(|key| key.starts_with("record/")).count();
    assert_eq!(left, 10, "each batch was written, and none of them twice");
    store.write(reign.epoch, &[put("last", "100")]).unwrap();
}

#[test]
fn reg_05_of_two_that_write_at_once_nothing_of_the_older_reign_is_written_after_the_newer_began() {
    let ensemble = ensemble();
    let path = path("race");
    let (url, stranger) = (ensemble.url(&path), Stranger::new(&ensemble.hosts()));
    let (mut first, mut second) = (Member::new(&url, "first"), Member::new(&url, "second"));
    let (mut older, reign) = first.leads();
    let waits = second.stands();
    eventually("two have a node", || stranger.seats(&path).len() == 2);
    let batch =
        |number: usize| vec![put("last", &number.to_string()), put(&number.to_string(), "x")];
    let batches: Vec<_> = (0..20_000).map(batch).collect();
    let writing = std::thread::spawn(move || older.write_all(reign.epoch, &batches));
    let written = format!("{path}/registry/written");
    eventually("it writes", || {
        let stat = stranger.does(stranger.client.check_stat(&written)).unwrap();
        stat.is_some_and(|stat| stat.version > 50)
    });
    let node = format!("{path}/{}", stranger.seats(&path)[0]);
    stranger.does(stranger.client.delete(&node, None)).unwrap();
    let (mut newer, later) = waits.leads();
    let found = newer.load().unwrap();
    newer.write(later.epoch, &[put("newer", "here")]).unwrap();
    eventually("the older one has heard", || writing.is_finished());
    let stopped = writing.join().unwrap().unwrap_err();
    assert!(stopped.done < 20_000 && stopped.done < found.len(), "{stopped}");
    let mut now = newer.load().unwrap();
    assert_eq!(now.remove("newer").as_deref(), Some(&b"here"[..]));
    assert_eq!(now, found, "nothing was written behind the newer one's back");
    let last = found.len() - 2;
    assert_eq!(found["last"], last.to_string().as_bytes(), "what was written is a beginning");
}

#[test]
fn reg_05_a_batch_that_cannot_be_written_stops_those_behind_it() {
    let ensemble = ensemble();
    let path = path("stopped");
    let stranger = Stranger::new(&ensemble.hosts());
    let mut member = Member::new(&ensemble.url(&path), "m");
    let (mut store, reign) = member.leads();
    store.write(reign.epoch, &[put("a", "1")]).unwrap();
    let root = format!("{path}/registry/records");
    let shard = format!("{root}/{}", stranger.children(&root)[0]);
    stranger.does(stranger.client.delete(&format!("{shard}/a"), None)).unwrap();
    let batches = [vec![put("b", "1")], vec![put("a", "2")], vec![put("c", "3")]];
    let stopped = store.write_all(reign.epoch, &batches).unwrap_err();
    assert_eq!(stopped.done, 1);
    let words = format!("{:?}", stopped.error);
    assert!(words.contains("somebody else changes it"), "{words}");
    assert_eq!(text(&store.load().unwrap()), ["b=1"]);
    store.write(reign.epoch, &[put("a", "4")]).unwrap();
}

#[test]
fn what_no_server_would_take_is_refused_before_it_is_sent() {
    let ensemble = ensemble();
    let mut member = Member::new(&ensemble.url(&path("large")), "m");
    let (mut store, reign) = member.leads();
    let large = |key: &str, bytes| Change::Put { key: key.into(), value: vec![7; bytes] };
    let error = store.write(reign.epoch, &[put("a", ""), large("b", 2 << 20)]).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }));
    let many: Vec<_> = (0..8).map(|key| large(&key.to_string(), 200 << 10)).collect();
    let error = store.write(reign.epoch, &many).unwrap_err();
    assert!(matches!(error, StoreError::BatchTooLarge { .. }));
    assert!(store.load().unwrap().is_empty());
    store.write(reign.epoch, &[large("b", 256 << 10), large("c", 200 << 10)]).unwrap();
    member.is_leading();
}

#[test]
fn fifty_thousand_agents_are_written_and_read_at_once() {
    let ensemble = ensemble();
    let (path, stranger) = (path("many"), Stranger::new(&ensemble.hosts()));
    let mut member = Member::new(&ensemble.url(&path), "m");
    let (mut store, reign) = member.leads();
    let value = "v".repeat(200);
    let change = |number: usize| put(&format!("agents/5f3759df-{number}"), &value);
    let changes: Vec<_> = (0..50_000).map(change).collect();
    let batches: Vec<_> = changes.chunks(1000).map(<[_]>::to_vec).collect();
    let begin = Instant::now();
    store.write_all(reign.epoch, &batches).unwrap();
    let written = begin.elapsed();
    let records = store.load().unwrap();
    eprintln!("50,000 records: written in {written:?}, read in {:?}", begin.elapsed() - written);
    assert_eq!(records.len(), 50_000);
    let root = format!("{path}/registry/records");
    let shards = stranger.children(&root);
    assert_eq!(shards.len(), 256);
    let list: usize = stranger.children(&format!("{root}/00")).iter().map(String::len).sum();
    assert!(list < 64 << 10, "no list of children comes near 1 MB");
    let options = CreateMode::Persistent.with_acls(zookeeper_client::Acls::anyone_all());
    let foreign = format!("{root}/00/not%a-key");
    stranger.does(stranger.client.create(&foreign, b"", &options)).unwrap();
    let error = store.load().unwrap_err();
    assert!(format!("{error:?}").contains(&foreign), "{error:?}");
}
