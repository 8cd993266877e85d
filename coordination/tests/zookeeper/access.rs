//! Credentials: who may read who leads, and nobody else may do anything.

use coordination::store::{Change, Store};
use coordination::zookeeper::ZooKeeper;

use crate::stage::{Member, Stranger, ensemble, path, settings};

/// `scheme:id permissions` of each line of a list.
fn access(stranger: &Stranger, path: &str) -> Vec<String> {
    let (list, _) = stranger.does(stranger.client.get_acl(path)).unwrap();
    let line = |acl: &zookeeper_client::Acl| {
        format!("{}:{} {}", acl.scheme(), acl.id().split(':').next().unwrap(), acl.permission())
    };
    list.iter().map(line).collect()
}

fn with_credentials(hosts: &str, credentials: &str, path: &str) -> String {
    format!("zk://{credentials}@{hosts}{path}")
}

#[test]
fn with_credentials_all_may_read_who_leads_and_only_the_creator_may_do_more() {
    let ensemble = ensemble();
    let (path, hosts) = (path("digest"), ensemble.hosts());
    let url = with_credentials(&hosts, "jake:s3cret", &path);
    let mut member = Member::new(&url, "m");
    let (mut store, reign) = member.leads();
    let change = Change::Put { key: "a".into(), value: b"x".to_vec() };
    store.write(reign.epoch, &[change]).unwrap();

    let creator = Stranger::with(&hosts, Some("jake:s3cret"));
    let seat = format!("{path}/{}", creator.seats(&path)[0]);
    for open in [&path, &seat] {
        assert_eq!(access(&creator, open), ["world:anyone READ", "digest:jake ALL"], "{open}");
    }
    for own in ["", "/records", "/epoch", "/cluster"] {
        let own = format!("{path}/registry{own}");
        assert_eq!(access(&creator, &own), ["digest:jake ALL"], "{own}");
    }

    // Who has none finds the leader and can do nothing about it.
    let mut other = Member::new(&ensemble.url(&path), "other");
    other.finds("m-1");
    let words = other.stands().ends_refused();
    assert!(words.contains("zk://user:password@") && words.contains(&path), "{words}");
    let wrong = with_credentials(&hosts, "jake:wrong", &path);
    let words = Member::new(&wrong, "wrong").stands().ends_refused();
    assert!(words.contains("other credentials") && words.contains(&path), "{words}");
    assert!(!words.contains("wrong"), "no password is shown: {words}");
    let mut second = Member::new(&url, "second");
    let waits = second.stands();
    second.finds("m-1");
    member.leaves();
    assert_eq!(waits.leads().1.epoch, reign.epoch + 1);
}

#[test]
fn without_credentials_everybody_may_do_everything() {
    let ensemble = ensemble();
    let path = path("open");
    let mut member = Member::new(&ensemble.url(&format!("{path}/deep/er")), "m");
    member.leads();
    let stranger = Stranger::new(&ensemble.hosts());
    let deep = format!("{path}/deep/er");
    let seat = format!("{deep}/{}", stranger.seats(&deep)[0]);
    for place in
        [path.clone(), format!("{path}/deep"), deep.clone(), seat, format!("{deep}/registry/epoch")]
    {
        assert_eq!(access(&stranger, &place), ["world:anyone ALL"], "{place}");
    }
}

#[test]
fn a_path_that_was_used_for_a_while_is_removed_with_all_below_it_and_nothing_beside() {
    let ensemble = ensemble();
    let (path, stranger) = (path("for-a-while"), Stranger::new(&ensemble.hosts()));
    let beside = format!("{path}-beside");
    Member::new(&ensemble.url(&beside), "beside").leads();
    let zookeeper = ZooKeeper::start(settings(&ensemble.url(&path))).unwrap();
    assert!(!zookeeper.is_there().unwrap());
    let mut member = Member::new(&ensemble.url(&path), "m");
    let (mut store, reign) = member.leads();
    let change = Change::Put { key: "a".into(), value: b"x".to_vec() };
    store.write(reign.epoch, &[change]).unwrap();
    member.leaves();
    assert!(zookeeper.is_there().unwrap());
    zookeeper.remove().unwrap();
    assert!(!zookeeper.is_there().unwrap());
    zookeeper.remove().unwrap();
    assert!(!stranger.children(&beside).is_empty());
}
