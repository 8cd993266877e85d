//! Where a registry is below its path, and its move from where older clusters have it.

use std::collections::BTreeMap;
use std::thread::JoinHandle;

use coordination::record::seal;
use coordination::store::{Change, Store, StoreError};
use coordination::zookeeper::{Moved, Settings, ZooKeeper};
use ensemble::Ensemble;
use zookeeper_client::{Acls, CreateMode};

use crate::stage::{Gate, Member, Stranger, ensemble, eventually, path, settings};

/// Cluster c1, form 1, whole, and no framework's.
const CLUSTER: &[u8] = b"\x0a\x02c1\x10\x01";

fn put(key: &str, value: &str) -> Change {
    Change::Put { key: key.into(), value: value.as_bytes().to_vec() }
}

/// Makes what an older version made first.
fn is_older(stranger: &Stranger, path: &str) {
    let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
    let make = |node: &str, data: &[u8]| {
        stranger.does(stranger.client.create(&format!("{path}{node}"), data, &options)).unwrap();
    };
    make("", b"");
    make("/airside", b"");
    make("/airside/registry", b"");
    make("/airside/cluster", &seal(CLUSTER));
}

/// What is below a path beside the seats of masters.
fn beside_seats(stranger: &Stranger, path: &str) -> Vec<String> {
    let names = stranger.children(path).into_iter();
    names.filter(|name| !name.starts_with("json.info_")).collect()
}

fn moves(url: &str) -> Result<Moved, StoreError> {
    ZooKeeper::start(Settings { new_cluster: String::new(), ..settings(url) })
        .unwrap()
        .store()
        .move_registry()
}

/// An older cluster with a few records, and which.
fn older(ensemble: &Ensemble, stranger: &Stranger, path: &str) -> BTreeMap<String, Vec<u8>> {
    is_older(stranger, path);
    let mut member = Member::new(&ensemble.url(path), "before");
    let (mut store, reign) = member.leads();
    store.write(reign.epoch, &[put("agents/1", "a"), put("agents/2", "b"), put("x", "")]).unwrap();
    let records = store.load().unwrap();
    assert_eq!(records.len(), 3);
    member.leaves();
    records
}

#[test]
fn a_new_cluster_has_its_registry_behind_the_nodes_of_masters_and_an_older_one_where_it_was() {
    let ensemble = ensemble();
    let (old, new, stranger) = (path("older"), path("newer"), Stranger::new(&ensemble.hosts()));
    older(&ensemble, &stranger, &old);
    let (mut goes_on, mut begins) =
        (Member::new(&ensemble.url(&old), "m"), Member::new(&ensemble.url(&new), "m"));
    let (mut store, reign) = goes_on.leads();
    assert_eq!((reign.cluster.as_str(), reign.epoch), ("c1", 2));
    store.write(reign.epoch, &[put("agents/3", "c")]).unwrap();
    assert_eq!(store.load().unwrap().len(), 4);
    assert_eq!(beside_seats(&stranger, &old), ["airside"]);
    begins.leads();
    assert_eq!(beside_seats(&stranger, &new), ["registry"]);
    // The first of all names, as clients look that know nothing of ours.
    assert!(stranger.children(&new)[0].starts_with("json.info_"));
    assert_eq!(stranger.children(&old)[0], "airside");
}

#[test]
fn a_registry_is_moved_with_all_its_records_once_nobody_stands_and_reigns_go_on_above() {
    let ensemble = ensemble();
    let (path, stranger) = (path("moved"), Stranger::new(&ensemble.hosts()));
    let url = ensemble.url(&path);
    let mut records = older(&ensemble, &stranger, &path);
    let mut member = Member::new(&url, "m");
    let (mut store, reign) = member.leads();
    let error = moves(&url).unwrap_err().to_string();
    assert!(error.contains("stop all of them first") && error.contains("json.info_"), "{error}");
    store.write(reign.epoch, &[put("agents/1", "later")]).unwrap();
    records.insert("agents/1".into(), b"later".to_vec());
    member.leaves();

    let to = format!("{path}/registry");
    let moved = Moved { cluster: "c1".into(), to, records: Some(3) };
    assert_eq!(moves(&url).unwrap(), moved);
    assert_eq!(beside_seats(&stranger, &path), ["registry"]);
    let mut member = Member::new(&url, "m");
    let (mut store, later) = member.leads();
    assert_eq!((later.cluster.as_str(), later.epoch), ("c1", reign.epoch + 1));
    assert_eq!(store.load().unwrap(), records);
    store.write(later.epoch, &[put("agents/9", "z")]).unwrap();
    // There is nothing more to be done, so masters are not in the way.
    assert_eq!(moves(&url).unwrap(), Moved { records: None, ..moved });
    assert_eq!(store.load().unwrap().len(), 4);
    member.is_leading();
}

/// Behind how many answers a move is stopped: each of those in which something changes hands, and some of the many by which it
/// only reads.
fn stops(ensemble: &Ensemble, stranger: &Stranger) -> Vec<usize> {
    let path = path("undisturbed");
    older(ensemble, stranger, &path);
    let gate = Gate::before(ensemble);
    moves(&gate.url(&path)).unwrap();
    let all = gate.answered();
    let last = all - 30;
    (0..24).step_by(3).chain((24..last).step_by(64)).chain(last..all).collect()
}

/// A move that is stopped behind so many answers: the tool, its outcome, and what stops it. Now and then one needs an answer less
/// than another; it may be over.
fn stopped(
    ensemble: &Ensemble,
    path: &str,
    answers: usize,
) -> (ZooKeeper, JoinHandle<Result<Moved, StoreError>>, Gate) {
    let gate = Gate::before(ensemble);
    gate.holds_after(answers);
    let mover = ZooKeeper::start(settings(&gate.url(path))).unwrap();
    let mut store = mover.store();
    let moving = std::thread::spawn(move || store.move_registry());
    eventually("it is stopped", || gate.is_holding() || moving.is_finished());
    (mover, moving, gate)
}

#[test]
fn a_move_that_ends_anywhere_leaves_one_whole_registry_and_is_done_by_doing_it_again() {
    let ensemble = ensemble();
    let stranger = Stranger::new(&ensemble.hosts());
    let (stops, mut ended) = (stops(&ensemble, &stranger), 0);
    for answers in stops.iter().copied() {
        let path = path(&format!("killed-after-{answers}"));
        let records = older(&ensemble, &stranger, &path);
        let (mover, moving, _gate) = stopped(&ensemble, &path, answers);
        // Whatever it has asked for is done; it hears of none of it, not even of the end of its session.
        std::thread::spawn(move || mover.close());
        let mut member = Member::new(&ensemble.url(&path), "during");
        let (mut store, reign) = member.leads();
        assert_eq!(reign.epoch, 2, "after {answers}");
        assert_eq!(store.load().unwrap(), records, "after {answers}");
        store.write(reign.epoch, &[put("since", "then")]).unwrap();
        member.leaves();
        eventually("the session of the first is over, and it moves", || {
            moves(&ensemble.url(&path)).is_ok()
        });
        assert_eq!(beside_seats(&stranger, &path), ["registry"], "after {answers}");
        let (mut store, reign) = Member::new(&ensemble.url(&path), "later").leads();
        assert_eq!((reign.epoch, store.load().unwrap().len()), (3, 4), "after {answers}");
        ended += usize::from(moving.join().unwrap().is_err());
    }
    assert!(ended + 5 > stops.len(), "{ended} of {} were stopped", stops.len());
}

#[test]
fn what_a_master_writes_during_a_move_is_never_lost() {
    let ensemble = ensemble();
    let stranger = Stranger::new(&ensemble.hosts());
    let mut outcomes = [0, 0];
    for answers in stops(&ensemble, &stranger) {
        let path = path(&format!("written-after-{answers}"));
        let mut records = older(&ensemble, &stranger, &path);
        let (_mover, moving, gate) = stopped(&ensemble, &path, answers);
        let mut member = Member::new(&ensemble.url(&path), "during");
        let (mut store, reign) = member.leads();
        store.write(reign.epoch, &[put("since", "then")]).unwrap();
        records.insert("since".into(), b"then".to_vec());
        gate.open();
        let moved = moving.join().unwrap();
        outcomes[usize::from(moved.is_ok())] += 1;
        store.write(reign.epoch, &[put("after", "that")]).unwrap();
        records.insert("after".into(), b"that".to_vec());
        member.leaves();
        let (mut store, later) = Member::new(&ensemble.url(&path), "later").leads();
        assert_eq!(later.epoch, reign.epoch + 1, "after {answers}: {moved:?}");
        assert_eq!(store.load().unwrap(), records, "after {answers}: {moved:?}");
    }
    assert!(outcomes.iter().all(|times| *times > 0), "refused and done: {outcomes:?}");
}

#[test]
fn what_is_not_one_whole_registry_is_not_moved_and_said_in_words() {
    let ensemble = ensemble();
    let (path, stranger) = (path("unmoved"), Stranger::new(&ensemble.hosts()));
    let url = ensemble.url(&path);
    let error = moves(&url).unwrap_err().to_string();
    assert!(error.contains("holds no registry"), "{error}");
    older(&ensemble, &stranger, &path);
    let cluster = format!("{path}/airside/cluster");
    stranger.writes(&cluster, &seal(&[CLUSTER, b"\x18\x01"].concat()));
    let error = moves(&url).unwrap_err().to_string();
    assert!(error.contains("import again before you move it"), "{error}");
    stranger.writes(&cluster, &seal(&[CLUSTER, b"\x22\x05kafka"].concat()));
    let error = moves(&url).unwrap_err().to_string();
    assert!(error.contains("framework kafka"), "{error}");
    stranger.writes(&cluster, &seal(CLUSTER));
    let import = format!("{path}/airside/import");
    let options = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
    stranger.does(stranger.client.create(&import, b"", &options)).unwrap();
    let error = moves(&url).unwrap_err().to_string();
    assert!(error.contains("another import or move"), "{error}");
    stranger.does(stranger.client.delete(&import, None)).unwrap();
    moves(&url).unwrap();

    // A master of an older version finds no registry where it looks, and makes one.
    let make = CreateMode::Persistent.with_acls(Acls::anyone_all());
    for (node, data) in
        [("/airside", Vec::new()), ("/airside/cluster", seal(b"\x0a\x02c9\x10\x01"))]
    {
        stranger.does(stranger.client.create(&format!("{path}{node}"), &data, &make)).unwrap();
    }
    let error = moves(&url).unwrap_err().to_string();
    assert!(error.contains("made afterwards by a master of an older version"), "{error}");
    let (mut store, reign) = Member::new(&url, "m").leads();
    assert_eq!(
        (&*reign.cluster, store.load().unwrap().len()),
        ("c1", 3),
        "it is not taken for ours"
    );
}
