//! Servers that speak TLS, and want to know who speaks.

use coordination::election::Detector;
use coordination::store::{Change, Store};
use ensemble::Ensemble;

use crate::stage::{Member, hears};

/// Why nothing comes of a URL.
#[track_caller]
fn trouble(url: &str) -> String {
    let member = Member::new(url, "stranger");
    let trouble = member.zookeeper.trouble();
    let words = hears(&trouble, "an attempt fails", Option::is_some).unwrap();
    assert_eq!(*member.zookeeper.leader().borrow(), None);
    words
}

#[test]
fn a_registry_is_kept_over_tls_by_whom_the_servers_know_and_by_nobody_else() {
    let ensemble = Ensemble::start_with_tls(1).unwrap();
    let (hosts, files) = ensemble.hosts_with_tls().unwrap();
    let (ca, cert, key) = (files.ca.display(), files.cert.display(), files.key.display());
    let url = format!("zks://{hosts}/secure?ca={ca}&cert={cert}&key={key}");
    let mut member = Member::new(&url, "m");
    let (mut store, reign) = member.leads();
    store.write(reign.epoch, &[Change::Put { key: "a".into(), value: b"x".to_vec() }]).unwrap();
    assert_eq!(store.load().unwrap()["a"], b"x");
    Member::new(&url, "other").finds("m-1");

    let another = Ensemble::start_with_tls(1).unwrap();
    let (_, others) = another.hosts_with_tls().unwrap();
    for (what, words) in [
        (format!("?ca={ca}"), "do not trust us"),
        (format!("?ca={}&cert={cert}&key={key}", others.ca.display()), "are not whom we trust"),
        (format!("?ca={ca}&cert={key}&key={cert}"), "cannot be used for TLS"),
        (format!("?ca={ca}.none"), "failed to read"),
    ] {
        let said = trouble(&format!("zks://{hosts}/secure{what}"));
        assert!(said.contains(words), "{what}: {said}");
    }
    let said = trouble(&format!("zks://{}/secure?ca={ca}", ensemble.hosts()));
    assert!(said.contains("do not speak TLS"), "{said}");
}
