//! Nodes that hold what they should not: said with the path and what to do, and never taken for something else.

use coordination::record::seal;
use coordination::store::{Change, Store, StoreError};
use coordination::zookeeper::{Office, Settings};

use crate::stage::{Member, Stranger, ensemble, path, settings};

#[test]
fn a_record_with_flipped_bits_is_named() {
    let ensemble = ensemble();
    let (path, stranger) = (path("damaged"), Stranger::new(&ensemble.hosts()));
    let mut member = Member::new(&ensemble.url(&path), "m");
    let (mut store, reign) = member.leads();
    let change = Change::Put { key: "agents/1".into(), value: b"who was admitted".to_vec() };
    store.write(reign.epoch, &[change]).unwrap();
    let root = format!("{path}/registry/records");
    // The server that a stranger asks may be a little behind.
    let first_of = |parent: &str| {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            if let Some(child) = stranger.children(parent).first() {
                return format!("{parent}/{child}");
            }
            assert!(std::time::Instant::now() < until, "{parent} has children");
        }
    };
    let node = first_of(&first_of(&root));
    let whole = stranger.reads(&node);
    for damage in [&whole[..whole.len() - 1], b"", b"garbage that is long enough"] {
        stranger.writes(&node, damage);
        let error = store.load().unwrap_err();
        assert!(
            matches!(&error, StoreError::Damaged { key, .. } if key == "agents/1"),
            "{error:?}"
        );
        assert!(error.to_string().contains(&node), "{error}");
    }
    stranger.writes(&node, &whole);
    store.load().unwrap();
}

#[test]
fn a_damaged_epoch_is_no_reason_to_begin_at_one() {
    let ensemble = ensemble();
    let (path, stranger) = (path("epoch"), Stranger::new(&ensemble.hosts()));
    let url = ensemble.url(&path);
    Member::new(&url, "first").leads();
    let epoch = format!("{path}/registry/epoch");
    let whole = stranger.reads(&epoch);
    stranger.writes(&epoch, b"17");
    let mut member = Member::new(&url, "m");
    let words = member.stands().ends_refused();
    assert!(words.contains(&epoch) && words.contains("import"), "{words}");
    stranger.writes(&epoch, &whole);
    assert_eq!(member.leads().1.epoch, 2);
}

#[test]
fn a_registry_of_a_later_version_is_left_alone() {
    let ensemble = ensemble();
    let (path, stranger) = (path("later"), Stranger::new(&ensemble.hosts()));
    let url = ensemble.url(&path);
    Member::new(&url, "first").leads();
    // Cluster c1, form 7.
    stranger.writes(&format!("{path}/registry/cluster"), &seal(b"\x0a\x02c1\x10\x07"));
    let words = Member::new(&url, "m").stands().ends_refused();
    assert!(words.contains("later version") && words.contains(&path), "{words}");
    stranger.writes(&format!("{path}/registry/cluster"), b"{\"some\":\"other program\"}");
    let words = Member::new(&url, "m").stands().ends_refused();
    assert!(words.contains("another program") && words.contains(&path), "{words}");
}

#[test]
fn a_master_of_another_cluster_is_refused_and_the_first_leads_on() {
    let ensemble = ensemble();
    let url = ensemble.url(&path("clusters"));
    let mut first = Member::new(&url, "first");
    let (mut store, reign) = first.leads();
    let other = Settings { cluster: Some("c2".into()), ..settings(&url) };
    let words = Member::with(other, "other").stands().ends_refused();
    assert!(words.contains("cluster c1") && words.contains("cluster c2"), "{words}");
    let same = Settings { cluster: Some("c1".into()), new_cluster: "c3".into(), ..settings(&url) };
    let mut same = Member::with(same, "same");
    let waits = same.stands();
    same.finds("first-1");
    assert!(waits.waits());
    store.write(reign.epoch, &[]).unwrap();
    first.leaves();
    assert_eq!(waits.leads().1.cluster, "c1");
}

#[test]
fn a_path_is_for_the_masters_of_one_cluster_or_the_schedulers_of_one_framework() {
    let ensemble = ensemble();
    let (masters, schedulers) = (ensemble.url(&path("masters")), ensemble.url(&path("kafka")));
    let scheduler = |url: &str, framework: &str, name| {
        let office = Office::Scheduler(framework.into());
        Member::with(Settings { office, ..settings(url) }, name)
    };
    let mut kafka = scheduler(&schedulers, "kafka", "first");
    kafka.leads();
    kafka.finds("first-1");
    let words = Member::new(&schedulers, "m").stands().ends_refused();
    assert!(words.contains("framework kafka; masters need a path of their own"), "{words}");
    let words = scheduler(&schedulers, "spark", "other").stands().ends_refused();
    assert!(words.contains("framework kafka; the schedulers of framework spark"), "{words}");
    Member::new(&masters, "m").leads();
    let words = scheduler(&masters, "kafka", "other").stands().ends_refused();
    assert!(words.contains("cluster c1; the schedulers of framework kafka"), "{words}");
    // A second candidate of the same framework waits for the first to go.
    let mut standby = scheduler(&schedulers, "kafka", "second");
    let waits = standby.stands();
    kafka.leaves();
    assert_eq!(waits.leads().1.epoch, 2);
}
