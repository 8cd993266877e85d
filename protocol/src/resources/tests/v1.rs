//! The messages of the v1 API: in each of their forms the same resources.

use api::v1;

use super::*;

fn cpus() -> v1::Resource {
    parsed("cpus:1").to_v1().remove(0)
}

fn info(role: Option<&str>, principal: &str) -> v1::resource::ReservationInfo {
    use v1::resource::reservation_info::Type;
    v1::resource::ReservationInfo {
        r#type: role.map(|_| Type::Dynamic.into()),
        role: role.map(str::to_owned),
        principal: Some(principal.into()),
        labels: None,
    }
}

fn older(role: &str, reservation: Option<v1::resource::ReservationInfo>) -> v1::Resource {
    let mut message = v1::Resource { reservation, ..cpus() };
    #[expect(deprecated, reason = "the older form is read, too")]
    {
        message.role = Some(role.into());
    }
    message
}

#[test]
fn res_01_the_older_form_of_a_reservation_is_the_same_resource() {
    let read = |message: &v1::Resource| Resource::from_v1(message).map(|read| read.to_string());
    assert_eq!(read(&older("*", None)).as_deref(), Ok("cpus:1"));
    assert_eq!(read(&older("eng", None)).as_deref(), Ok("cpus(eng):1"));
    let by = older("eng", Some(info(None, "ops")));
    assert_eq!(read(&by).as_deref(), Ok("cpus(eng dynamic by ops):1"));
    // Both forms, as endpoints show them.
    let both = v1::Resource { reservations: vec![info(Some("eng"), "ops")], ..by.clone() };
    assert_eq!(read(&both), read(&by));
    let differ = [
        v1::Resource { reservations: vec![info(Some("web"), "ops")], ..by.clone() },
        v1::Resource { reservations: vec![info(Some("eng"), "others")], ..by.clone() },
        v1::Resource { reservations: vec![info(Some("eng"), "ops")], ..older("eng", None) },
        v1::Resource {
            reservations: vec![info(Some("eng"), "ops"), info(Some("eng/a"), "ops")],
            ..by.clone()
        },
        older("eng", Some(info(Some("eng"), "ops"))),
    ];
    for message in &differ {
        let refused = Resource::from_v1(message);
        assert!(matches!(refused, Err(BadResource::Reservations { .. })), "{message:?}");
    }
    let everybody = older("*", Some(info(None, "ops")));
    assert!(
        read(&everybody)
            .is_err_and(|why| why.to_string().contains("\"*\" cannot be dynamically reserved"))
    );
}

#[test]
fn res_01_messages_that_make_no_sense_are_refused_in_words() {
    use v1::value::{Range, Ranges as V1Ranges, Scalar, Set};
    let said =
        |message: v1::Resource| Resource::from_v1(&message).expect_err("no resource").to_string();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e308, 1e12 + 1.0, 0.0004] {
        let scalar = Some(Scalar { value });
        assert!(
            said(v1::Resource { scalar, ..cpus() }).contains("must be a number from 0"),
            "{value}"
        );
    }
    let ports = |range: Vec<(u64, u64)>| {
        let range = range.into_iter().map(|(begin, end)| Range { begin, end }).collect();
        let ports = parsed("ports:[1-1]").to_v1().remove(0);
        v1::Resource { ranges: Some(V1Ranges { range }), ..ports }
    };
    assert!(said(ports(vec![(5, 1)])).contains("ends before it begins: 5-1"));
    assert!(said(ports(vec![(1, 5), (5, 6)])).contains("overlap"));
    assert!(said(ports((0..100_000).map(|n| (n, n)).collect())).contains("100000 ranges or names"));
    let set = parsed("disks:{a}").to_v1().remove(0);
    let item = vec!["a".to_owned(), "a".to_owned()];
    assert!(said(v1::Resource { set: Some(Set { item }), ..set }).contains("repeated"));
    assert!(said(v1::Resource { name: String::new(), ..cpus() }).contains("name"));
    assert!(said(v1::Resource { scalar: None, ..cpus() }).contains("has none"));
    assert!(said(v1::Resource { r#type: 77, ..cpus() }).contains("a type that is not known"));
    let id = Some(v1::ResourceProviderId { value: "p".into() });
    assert!(said(v1::Resource { provider_id: id, ..cpus() }).contains("a provider"));
    let shared = Some(v1::resource::SharedInfo {});
    assert!(said(v1::Resource { shared, ..cpus() }).contains("can be shared"));
    let disk = disk(on(source(DiskKind::Path, None, None)), 1).to_v1().disk;
    assert!(said(v1::Resource { disk, ..cpus() }).contains("the terms of a disk"));
    let many = vec![cpus(); 100_000];
    assert_eq!(Resources::from_v1(&many), Err(BadResource::TooMany(100_000)));
}

proptest! {
    #[test]
    fn res_01_messages_and_json_lose_nothing(all in some()) {
        let messages = all.to_v1();
        prop_assert_eq!(Resources::from_v1(&messages), Ok(all.clone()));
        prop_assert_eq!(Resources::from_json(&all.to_json()), Ok(all));
    }
}
