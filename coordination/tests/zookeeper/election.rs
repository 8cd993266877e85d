//! Who leads, among members that come, go and are cut off.

use coordination::detect::detector;
use coordination::election::{Candidate, Detector};
use coordination::store::{Change, Store};
use coordination::zookeeper::url::Url;
use coordination::zookeeper::{Settings, ZooKeeper};
use zookeeper_client::{Acls, CreateMode};

use crate::stage::{Gate, Member, Stranger, ensemble, eventually, hears, path, settings};

fn put(key: &str) -> Vec<Change> {
    vec![Change::Put { key: key.into(), value: b"x".to_vec() }]
}

#[test]
fn ha_01_each_candidate_has_an_ephemeral_node_and_the_lowest_leads_until_it_goes() {
    let ensemble = ensemble();
    let (path, stranger) = (path("contend"), Stranger::new(&ensemble.hosts()));
    let url = ensemble.url(&path);
    let mut first = Member::new(&url, "first");
    let (_, reign) = first.leads();
    assert_eq!((reign.cluster.as_str(), reign.epoch), ("c1", 1));
    let (mut second, mut third) = (Member::new(&url, "second"), Member::new(&url, "third"));
    let second_stands = second.stands();
    eventually("two have a node", || stranger.seats(&path).len() == 2);
    let third_stands = third.stands();
    eventually("three have a node", || stranger.seats(&path).len() == 3);
    let seats = stranger.seats(&path);
    for (name, id) in seats.iter().zip(["first-1", "second-1", "third-1"]) {
        let number = name.strip_prefix("json.info_").unwrap();
        assert!(number.len() == 10 && number.bytes().all(|digit| digit.is_ascii_digit()));
        let node = format!("{path}/{name}");
        let (data, stat) = stranger.does(stranger.client.get_data(&node)).unwrap();
        assert_ne!(stat.ephemeral_owner, 0, "it goes with its session");
        let info: serde_json::Value = serde_json::from_slice(&data).unwrap();
        assert_eq!(info["id"], id);
    }
    assert!(second_stands.waits() && third_stands.waits());

    first.leaves();
    let (_, reign) = second_stands.leads();
    assert_eq!(reign.epoch, 2);
    assert!(third_stands.waits());
    third.finds("second-1");
    second.leaves();
    assert_eq!(third_stands.leads().1.epoch, 3);
    let others = stranger.children(&path);
    let ours = others.iter().filter(|name| !name.starts_with("json.info_"));
    assert_eq!(ours.collect::<Vec<_>>(), ["registry"], "nothing else could be taken for a master");
}

#[test]
fn ha_02_the_lowest_number_leads_whatever_its_label_and_all_three_forms_are_read() {
    let ensemble = ensemble();
    let (path, stranger) = (path("labels"), Stranger::new(&ensemble.hosts()));
    let settings = Settings::of(Url::parse(&ensemble.url(&path)).unwrap());
    let detector = ZooKeeper::start(settings).unwrap();
    let (leader, trouble) = (detector.leader(), detector.trouble());
    let open = CreateMode::Persistent.with_acls(Acls::anyone_all());
    stranger.does(stranger.client.create(&path, b"", &open)).unwrap();
    let name = |address: &'static str| {
        let is = move |found: &Option<Candidate>| {
            found.as_ref().is_some_and(|found| found.address == address)
        };
        hears(&leader, address, is);
    };
    let make = |name: &str, data: &[u8]| {
        let node = format!("{path}/{name}");
        let options = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
        stranger.does(stranger.client.create(&node, data, &options)).unwrap();
    };
    make("json.info_0000000009", br#"{"id":"a","ip":16777226,"port":9}"#);
    name("10.0.0.1:9");
    // MasterInfo in protobuf: id, ip and port.
    make("info_0000000008", b"\x0a\x01b\x10\x8a\x80\x80\x08\x18\x08");
    name("10.0.0.1:8");
    make("0000000007", b"master@10.0.0.1:7");
    name("10.0.0.1:7");
    make("log_replicas", b"");
    make("json.info_0000000006", b"{}");
    hears(&leader, "nobody, since the lowest is garbage", |found| found.is_none());
    stranger.does(stranger.client.delete(&format!("{path}/json.info_0000000006"), None)).unwrap();
    name("10.0.0.1:7");
    for name in ["0000000007", "info_0000000008", "json.info_0000000009"] {
        stranger.does(stranger.client.delete(&format!("{path}/{name}"), None)).unwrap();
    }
    hears(&leader, "nobody, since nobody stands", |found| found.is_none());
    // Nobody leads, and that is all there is to say as soon as what nobody can read is gone.
    make("json.info_0000000005", b"{}");
    hears(&trouble, "why", |why| why.as_ref().is_some_and(|why| why.contains("nobody can read")));
    stranger.does(stranger.client.delete(&format!("{path}/json.info_0000000005"), None)).unwrap();
    hears(&trouble, "nothing is wrong", |why| why.is_none());
}

#[test]
fn ha_05_a_file_says_where_the_masters_are_elected_and_an_address_is_the_only_one_there_is() {
    let ensemble = ensemble();
    let url = ensemble.url(&path("file"));
    let mut member = Member::new(&url, "m");
    member.leads();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zk");
    std::fs::write(&file, format!("{url}\n")).unwrap();
    for text in [url.clone(), format!("file://{}", file.display())] {
        let elected = detector(&text).unwrap();
        let is =
            |leader: &Option<Candidate>| leader.as_ref().is_some_and(|leader| leader.id == "m-1");
        hears(&elected.leader(), "the leader", is);
    }
    let fixed = detector("127.0.0.1:5050").unwrap();
    assert_eq!(fixed.leader().borrow().as_ref().unwrap().address, "127.0.0.1:5050");
    std::fs::write(&file, "zk://nowhere").unwrap();
    let error = detector(&format!("file://{}", file.display())).unwrap_err();
    assert!(error.to_string().contains("no path of its own"), "{error}");
}

#[test]
fn a_leader_whose_node_is_deleted_is_deposed_and_leads_again_in_a_later_reign() {
    let ensemble = ensemble();
    let (path, stranger) = (path("deleted"), Stranger::new(&ensemble.hosts()));
    let mut member = Member::new(&ensemble.url(&path), "m");
    let (mut store, reign) = member.leads();
    let node = format!("{path}/{}", stranger.seats(&path)[0]);
    stranger.does(stranger.client.delete(&node, None)).unwrap();
    assert_eq!(member.is_deposed(), "its node was deleted");
    let (mut again, later) = member.leads();
    assert!(later.epoch > reign.epoch);
    let error = store.write(reign.epoch, &put("a")).unwrap_err();
    assert!(error.to_string().contains("epoch 2 has begun"), "{error}");
    again.write(later.epoch, &put("b")).unwrap();
    assert_eq!(again.load().unwrap().into_keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_waiting_candidate_whose_node_is_deleted_takes_another() {
    let ensemble = ensemble();
    let (path, stranger) = (path("deleted-waiting"), Stranger::new(&ensemble.hosts()));
    let url = ensemble.url(&path);
    let (mut first, mut second) = (Member::new(&url, "first"), Member::new(&url, "second"));
    first.leads();
    let waits = second.stands();
    eventually("two have a node", || stranger.seats(&path).len() == 2);
    let seats = stranger.seats(&path);
    let node = format!("{path}/{}", seats[1]);
    stranger.does(stranger.client.delete(&node, None)).unwrap();
    eventually("it has another node", || {
        let now = stranger.seats(&path);
        now.len() == 2 && now[0] == seats[0] && now[1] > seats[1]
    });
    first.leaves();
    waits.leads();
}

#[test]
fn a_leader_that_is_cut_off_briefly_is_suspended_and_leads_on() {
    let ensemble = ensemble();
    let gate = Gate::before(&ensemble);
    let mut member = Member::new(&gate.url(&path("blip")), "m");
    let (mut store, reign) = member.leads();
    gate.shut();
    member.is_suspended();
    gate.open();
    member.is_leading();
    store.write(reign.epoch, &put("a")).unwrap();
}

#[test]
fn a_leader_that_is_cut_off_steps_down_before_another_leads_and_stands_again() {
    let ensemble = ensemble();
    let (path, stranger) = (path("cut-off"), Stranger::new(&ensemble.hosts()));
    let gate = Gate::before(&ensemble);
    let mut first = Member::new(&gate.url(&path), "first");
    let mut second = Member::new(&ensemble.url(&path), "second");
    let (mut store, reign) = first.leads();
    let second_stands = second.stands();
    eventually("two have a node", || stranger.seats(&path).len() == 2);
    gate.shut();
    first.is_suspended();
    let why = first.is_deposed();
    assert!(why.contains("half of the session time-out"), "{why}");
    assert!(second_stands.waits(), "the session of the first still lives");
    let (_, later) = second_stands.leads();
    assert_eq!(later.epoch, reign.epoch + 1);
    // Cut off it cannot even try; and when it can, it is too late.
    gate.open();
    let error = store.write(reign.epoch, &put("a")).unwrap_err();
    assert!(error.to_string().contains("not this process's to write"), "{error}");
    let first_stands = first.stands();
    eventually("it has a node again", || stranger.seats(&path).len() == 2);
    first.finds("second-1");
    second.leaves();
    assert_eq!(first_stands.leads().1.epoch, later.epoch + 1);
}

#[test]
fn a_waiting_candidate_that_is_cut_off_for_long_finds_its_way_back() {
    let ensemble = ensemble();
    let (path, stranger) = (path("cut-off-waiting"), Stranger::new(&ensemble.hosts()));
    let gate = Gate::before(&ensemble);
    let mut first = Member::new(&ensemble.url(&path), "first");
    let mut second = Member::new(&gate.url(&path), "second");
    first.leads();
    let waits = second.stands();
    eventually("two have a node", || stranger.seats(&path).len() == 2);
    let before = stranger.seats(&path);
    gate.shut();
    eventually("its session expired", || stranger.seats(&path).len() == 1);
    hears(&second.zookeeper.leader(), "nobody is known to lead", |leader| leader.is_none());
    gate.open();
    eventually("it has a node again", || stranger.seats(&path).len() == 2);
    assert_ne!(stranger.seats(&path), before);
    second.finds("first-1");
    first.leaves();
    waits.leads();
}

#[test]
fn a_session_that_is_kept_alive_and_not_answered_is_given_up_for_another() {
    let ensemble = ensemble();
    let (path, gate) = (path("mute"), Gate::before(&ensemble));
    let looks = ZooKeeper::start(settings(&gate.url(&path))).unwrap();
    let (mut first, mut second) =
        (Member::new(&ensemble.url(&path), "first"), Member::new(&ensemble.url(&path), "second"));
    first.leads();
    let waits = second.stands();
    let is = |id: &'static str| {
        move |leader: &Option<Candidate>| leader.as_ref().is_some_and(|leader| leader.id == id)
    };
    hears(&looks.leader(), "the first leads", is("first-1"));
    gate.is_mute(true);
    first.leaves();
    waits.leads();
    // It hears that something has changed, and of what it asks then it hears nothing.
    hears(&looks.leader(), "it gives up", |leader| leader.is_none());
    let trouble = hears(&looks.trouble(), "why", |trouble| trouble.is_some());
    assert!(trouble.as_ref().unwrap().contains("have not answered it for 12 s"), "{trouble:?}");
    gate.is_mute(false);
    hears(&looks.leader(), "the second leads", is("second-1"));
}
