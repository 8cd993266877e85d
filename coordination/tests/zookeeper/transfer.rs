//! The registry as one file: taken out of an ensemble and put in again.

use coordination::export::{Export, Portable};
use coordination::record::seal;
use coordination::store::{Change, Store};
use coordination::zookeeper::{Settings, ZooKeeper};

use zookeeper_client::{Acls, CreateMode};

use crate::stage::{Member, Stranger, ensemble, eventually, path, settings};

fn put(key: &str, value: &str) -> Change {
    Change::Put { key: key.into(), value: value.as_bytes().to_vec() }
}

/// Who imports into a path, or exports from it.
fn tool(url: &str, cluster: &str) -> coordination::zookeeper::ZooKeeperStore {
    let cluster = Some(cluster.to_owned());
    let settings = Settings { new_cluster: cluster.clone().unwrap(), cluster, ..settings(url) };
    ZooKeeper::start(settings).unwrap().store()
}

/// How often something was made or deleted directly below a path.
fn children_made(stranger: &Stranger, path: &str) -> i32 {
    stranger.does(stranger.client.check_stat(path)).unwrap().unwrap().cversion
}

#[test]
fn a_registry_is_exported_while_its_master_leads_and_imported_into_another_path() {
    let ensemble = ensemble();
    let mut member = Member::new(&ensemble.url(&path("from")), "m");
    let (mut store, reign) = member.leads();
    store.write(reign.epoch, &[put("agents/1", "a"), put("x", "")]).unwrap();
    let export = member.zookeeper.store().export().unwrap();
    assert_eq!((&*export.cluster, export.epoch, export.records.len()), ("c1", 1, 2));
    member.is_leading();
    let mut file = Vec::new();
    export.write(&mut file).unwrap();
    let export = Export::read(&mut file.as_slice()).unwrap();

    let (to, stranger) = (path("to"), Stranger::new(&ensemble.hosts()));
    let url = ensemble.url(&to);
    let imported = tool(&url, "c1").import(&export).unwrap();
    assert!(imported.epoch > 1000, "above reigns since the export: {}", imported.epoch);
    let mut other = Member::new(&url, "other");
    let (mut store, reign) = other.leads();
    assert_eq!((reign.cluster.as_str(), reign.epoch), ("c1", imported.epoch + 1));
    assert_eq!(store.load().unwrap(), export.records);
    store.write(reign.epoch, &[put("agents/2", "b"), put("x", "c")]).unwrap();
    let mut importer = tool(&url, "c1");
    let error = importer.import(&export).unwrap_err();
    assert!(error.to_string().contains("stop all of them"), "{error}");
    other.leaves();
    let epoch = importer.import(&export).unwrap().epoch;
    assert!(epoch > reign.epoch + 1000, "the path may have been rewound: {epoch}");
    assert_eq!(importer.load().unwrap(), export.records, "what was written since is gone");
    let seats_ever = children_made(&stranger, &to);
    importer.import(&export).unwrap();
    assert_eq!(children_made(&stranger, &to), seats_ever, "nobody could take it for a master");
    let foreign = Export { cluster: "c9".into(), ..export };
    let error = tool(&url, "c9").import(&foreign).unwrap_err();
    assert!(error.to_string().contains("cluster c1"), "{error}");
}

#[test]
fn an_import_mends_a_damaged_epoch_and_one_that_was_interrupted_is_noticed() {
    let ensemble = ensemble();
    let (path, stranger) = (path("mended"), Stranger::new(&ensemble.hosts()));
    let url = ensemble.url(&path);
    let mut member = Member::new(&url, "m");
    let (mut store, reign) = member.leads();
    store.write(reign.epoch, &[put("a", "1")]).unwrap();
    let export = member.zookeeper.store().export().unwrap();
    member.leaves();
    stranger.writes(&format!("{path}/registry/epoch"), b"?");
    stranger.writes(&format!("{path}/registry/written"), b"?");
    let mut importer = tool(&url, "c1");
    assert!(importer.export().is_err());
    let reign = importer.import(&export).unwrap();
    assert!(reign.epoch > 1000, "above all that may have been: {}", reign.epoch);
    let (_, later) = Member::new(&url, "later").leads();
    assert_eq!(later.epoch, reign.epoch + 1);

    stranger.writes(&format!("{path}/registry/cluster"), &seal(IMPORTING));
    let words = Member::new(&url, "early").stands().ends_refused();
    assert!(words.contains("import again"), "{words}");
    let error = importer.export().unwrap_err();
    assert!(error.to_string().contains("import again"), "{error}");
    importer.import(&export).unwrap();
    let (mut store, _) = Member::new(&url, "last").leads();
    assert_eq!(store.load().unwrap(), export.records);
}

#[test]
fn an_import_that_stops_before_it_begins_leaves_nothing_that_a_master_takes_for_whole() {
    let ensemble = ensemble();
    let url = ensemble.url(&path("stopped"));
    let export = Export { cluster: "c1".into(), epoch: u64::MAX, records: [].into() };
    let error = tool(&url, "c1").import(&export).unwrap_err();
    assert!(error.to_string().contains("is damaged; import another"), "{error}");
    let words = Member::new(&url, "early").stands().ends_refused();
    assert!(words.contains("was interrupted; import again"), "{words}");
    tool(&url, "c1").import(&Export { epoch: 7, ..export }).unwrap();
    Member::new(&url, "last").leads();
}

/// Cluster c1, form 1, not whole.
const IMPORTING: &[u8] = b"\x0a\x02c1\x10\x01\x18\x01";

#[test]
fn a_candidate_that_waited_since_before_an_import_does_not_lead_what_is_not_whole() {
    let ensemble = ensemble();
    let (path, stranger) = (path("waited"), Stranger::new(&ensemble.hosts()));
    let url = ensemble.url(&path);
    let (mut first, mut second) = (Member::new(&url, "first"), Member::new(&url, "second"));
    first.leads();
    let waits = second.stands();
    eventually("two have a node", || stranger.seats(&path).len() == 2);
    let cluster = format!("{path}/registry/cluster");
    let whole = stranger.reads(&cluster);
    stranger.writes(&cluster, &seal(IMPORTING));
    first.leaves();
    let words = waits.ends_refused();
    assert!(words.contains("was interrupted; import again"), "{words}");

    // One that is over is no reason not to lead: it is only read again.
    stranger.writes(&cluster, &whole);
    let (mut third, mut fourth) = (Member::new(&url, "third"), Member::new(&url, "fourth"));
    third.leads();
    let waits = fourth.stands();
    eventually("two have a node", || stranger.seats(&path).len() == 2);
    stranger.writes(&cluster, &seal(IMPORTING));
    stranger.writes(&cluster, &whole);
    third.leaves();
    waits.leads();
}

#[test]
fn while_an_import_is_under_way_another_one_and_masters_are_refused_in_words() {
    let ensemble = ensemble();
    let (path, stranger) = (path("importing"), Stranger::new(&ensemble.hosts()));
    let url = ensemble.url(&path);
    let mut member = Member::new(&url, "m");
    member.leads();
    let mut importer = tool(&url, "c1");
    let export = importer.export().unwrap();
    member.leaves();
    let import = format!("{path}/registry/import");
    let options = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
    stranger.does(stranger.client.create(&import, b"", &options)).unwrap();
    stranger.writes(&format!("{path}/registry/cluster"), &seal(IMPORTING));
    let words = Member::new(&url, "early").stands().ends_refused();
    assert!(words.contains("is under way; start this master when it is over"), "{words}");
    let error = importer.import(&export).unwrap_err();
    assert!(error.to_string().contains("another import"), "{error}");
    stranger.does(stranger.client.delete(&import, None)).unwrap();
    importer.import(&export).unwrap();
    importer.import(&export).unwrap();
    Member::new(&url, "last").leads();
}
