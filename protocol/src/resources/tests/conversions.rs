//! Reserving, volumes, and the way back.

use super::*;

fn said(result: Result<impl std::fmt::Debug, BadConversion>) -> String {
    result.expect_err("it makes no sense").to_string()
}

#[test]
fn res_02_what_is_reserved_within_a_reservation_is_unreserved_one_step_at_a_time() {
    let total = parsed("cpus:4;mem:100");
    let outer = Conversion::reserve(&parsed("cpus:3"), &dynamic("eng")).expect("it can be");
    let once = outer.apply(&total).expect("it is there");
    assert_eq!(once.to_string(), "cpus:1;cpus(eng dynamic):3;mem:100");
    let part = parsed("cpus:1").push_reservation(&dynamic("eng"));
    let inner = Conversion::reserve(&part, &dynamic("eng/web")).expect("it is below");
    let twice = inner.apply(&once).expect("it is there");
    assert_eq!(
        twice.to_string(),
        "cpus:1;cpus(eng dynamic):2;cpus(eng dynamic, eng/web dynamic):1;mem:100"
    );
    let back = Conversion::unreserve(&inner.converted).expect("it is dynamic");
    assert_eq!(back.apply(&twice), Ok(once.clone()));
    assert_eq!(outer.undone().apply(&once), Ok(total));
    assert!(said(outer.apply(&parsed("cpus:2"))).contains("cpus:3 is not there: there is cpus:2"));
}

#[test]
fn res_02_reservations_that_make_no_sense_are_refused_in_words() {
    let cpus = parsed("cpus:1");
    let reserve =
        |resources: &Resources, one: &Reservation| said(Conversion::reserve(resources, one));
    let fixed = reservation("eng", ReservationMade::Static);
    assert!(reserve(&cpus, &fixed).contains("must be dynamic"));
    assert!(reserve(&cpus, &dynamic("*")).contains("'*' is everybody"));
    assert!(reserve(&Resources::none(), &dynamic("eng")).contains("no resources"));
    for not_below in ["ops", "eng", "engineers/a"] {
        let within = parsed("cpus(eng):1");
        assert!(
            reserve(&within, &dynamic(not_below)).contains("is no role below it"),
            "{not_below}"
        );
    }
    let revocable = with_kind("cpus:1", &Kind::of(Terms { revocable: true, ..Terms::default() }));
    assert!(reserve(&revocable, &dynamic("eng")).contains("cannot be reserved dynamically"));
    assert!(
        reserve(&all([disk(volume("v", false), 1)]), &dynamic("eng/a"))
            .contains("destroy it first")
    );
    assert!(said(Conversion::unreserve(&cpus)).contains("is not reserved dynamically"));
    assert!(
        said(Conversion::unreserve(&parsed("cpus(eng):1"))).contains("is not reserved dynamically")
    );
    let kept = all([disk(volume("v", false), 1)]);
    assert!(said(Conversion::unreserve(&kept)).contains("destroy it first"));
}

#[test]
fn res_02_a_volume_is_made_of_as_much_space_of_its_disk() {
    let space = with_kind(
        "disk:10",
        &Kind::of(Terms { reservations: vec![dynamic("eng")], ..Terms::default() }),
    );
    let create = Conversion::create_volumes(&all([disk(volume("v", false), 4)])).expect("a volume");
    let with = create.apply(&space).expect("there is space");
    assert_eq!(with.to_string(), "disk(eng dynamic):6;disk(eng dynamic) volume v at data:4");
    let destroy = Conversion::destroy_volumes(&create.converted).expect("a volume");
    assert_eq!(destroy, create.undone());
    assert_eq!(destroy.apply(&with), Ok(space.clone()));
    // A mount becomes a volume as a whole.
    let mut terms = volume("m", false);
    terms
        .disk
        .iter_mut()
        .for_each(|disk| disk.source = Some(source(DiskKind::Mount, Some("/m"), None)));
    let bare = Terms {
        reservations: vec![dynamic("eng")],
        ..on(source(DiskKind::Mount, Some("/m"), None))
    };
    let whole = all([disk(bare, 8)]);
    let part = Conversion::create_volumes(&all([disk(terms.clone(), 4)])).expect("a volume");
    assert!(said(part.apply(&whole)).contains("is not there"));
    let of_all = Conversion::create_volumes(&all([disk(terms, 8)])).expect("a volume");
    assert_eq!(of_all.undone().apply(&of_all.apply(&whole).expect("all of it")), Ok(whole));
    let nobodys = Terms { reservations: Vec::new(), ..volume("v", false) };
    assert!(
        said(Conversion::create_volumes(&all([disk(nobodys, 1)]))).contains("must be reserved")
    );
    assert!(said(Conversion::create_volumes(&space)).contains("is no volume"));
    let revocable = Terms {
        revocable: true,
        reservations: vec![reservation("eng", ReservationMade::Static)],
        ..volume("v", false)
    };
    assert!(
        said(Conversion::create_volumes(&all([disk(revocable, 1)])))
            .contains("cannot be on what may be taken back")
    );
}

#[test]
fn res_02_a_shared_volume_is_not_destroyed_while_others_use_it() {
    let space = with_kind(
        "disk:9",
        &Kind::of(Terms { reservations: vec![dynamic("eng")], ..Terms::default() }),
    );
    let create = Conversion::create_volumes(&all([disk(volume("s", true), 4)])).expect("a volume");
    let one = create.apply(&space).expect("there is space");
    let two = one.plus(&create.converted);
    let destroy = create.undone();
    assert!(said(destroy.apply(&two)).contains("is still in use by others"));
    assert_eq!(destroy.apply(&one), Ok(space));
}

proptest! {
    #[test]
    fn res_02_undoing_a_conversion_gives_back_what_was(total in some(), part in some()) {
        // What of it is there and can be reserved once more for a role below.
        let free = |entry: &Resource| entry.kind.volume().is_none() && !entry.kind.is_revocable();
        let wanted = total.minus(&total.minus(&part)).filter(free);
        let within = |entry: &Resource| match entry.kind.reserved_for() {
            Some(owner) => role("eng/web/deep").is_below(owner),
            None => true,
        };
        let wanted = wanted.filter(within);
        if let Ok(reserve) = Conversion::reserve(&wanted, &dynamic("eng/web/deep")) {
            let reserved = reserve.apply(&total).expect("it is a part");
            prop_assert_eq!(reserved.quantities(), total.quantities());
            prop_assert_eq!(reserved.reserved_to(&role("eng/web/deep")), reserve.converted.clone());
            prop_assert_eq!(&Conversion::unreserve(&reserve.converted).expect("dynamic"), &reserve.undone());
            prop_assert_eq!(reserve.undone().apply(&reserved), Ok(total));
        } else {
            prop_assert!(wanted.is_empty());
        }
    }

    #[test]
    fn res_02_volumes_come_and_go(total in some(), shared in any::<bool>(), units in 1i64..4) {
        let volumes = all([disk(volume("new", shared), units)]);
        let create = Conversion::create_volumes(&volumes).expect("a volume");
        let total = total.plus(&create.consumed);
        let with = create.apply(&total).expect("there is space");
        prop_assert_eq!(with.quantities(), total.quantities());
        prop_assert!(with.contains(&volumes));
        prop_assert_eq!(create.undone().apply(&with), Ok(total));
    }
}
