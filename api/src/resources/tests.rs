//! The three forms, made into one another, and what is refused in which words.

use std::slice::from_ref;

use super::*;
use crate::v1::resource::disk_info::source::{Mount, Path, Type as SourceType};
use crate::v1::resource::disk_info::{Persistence, Source};
use crate::v1::resource::{DiskInfo, SharedInfo};
use crate::v1::value::{Range, Ranges, Scalar, Set, Type as ValueType};
use crate::v1::{Label, Labels};

fn cpus(value: f64) -> Resource {
    let name = "cpus".to_owned();
    Resource { name, r#type: 0, scalar: Some(Scalar { value }), ..Resource::default() }
}

/// With `role` and `reservation`.
fn older(role: Option<&str>, reservation: Option<ReservationInfo>) -> Resource {
    let mut resource = cpus(1.0);
    set_older(&mut resource, role.map(str::to_owned), reservation);
    resource
}

fn labels(keys: &[&str]) -> Option<Labels> {
    let label = |key: &&str| Label { key: (*key).to_owned(), value: Some("v".into()) };
    Some(Labels { labels: keys.iter().map(label).collect() })
}

/// As the older form has it.
fn by(principal: &str) -> ReservationInfo {
    ReservationInfo { principal: Some(principal.into()), ..ReservationInfo::default() }
}

fn step(made: Type, role: &str, principal: Option<&str>) -> ReservationInfo {
    ReservationInfo {
        r#type: Some(made.into()),
        role: Some(role.into()),
        principal: principal.map(str::to_owned),
        ..ReservationInfo::default()
    }
}

fn stacked(stack: &[ReservationInfo]) -> Resource {
    Resource { reservations: stack.to_vec(), ..cpus(1.0) }
}

fn with_older(mut resource: Resource, older: &Resource) -> Resource {
    let role = (!role_is_unset(older)).then(|| role_of(older).to_owned());
    set_older(&mut resource, role, older.reservation.clone());
    resource
}

#[track_caller]
fn refused(resource: &Resource, text: &str) {
    assert_eq!(validate(resource).expect_err(text).to_string(), text);
    let (mut upgraded, mut all) = (resource.clone(), [cpus(1.0), resource.clone()]);
    upgrade(&mut upgraded).expect_err(text);
    upgrade_all(&mut all).expect_err(text);
    assert_eq!((&upgraded, &all[1]), (resource, resource), "it is as it was");
}

/// Older form, stack and endpoint form of the same.
fn forms() -> Vec<[Resource; 3]> {
    let statically = step(Type::Static, "eng", None);
    let mut dynamically = step(Type::Dynamic, "eng", Some("ops"));
    dynamically.labels = labels(&["a", "b"]);
    let info = ReservationInfo { labels: labels(&["a", "b"]), ..by("ops") };
    let nobodys = older(Some("*"), None);
    let olders = [nobodys, older(Some("eng"), None), older(Some("eng"), Some(info))];
    let stacks = [stacked(&[]), stacked(&[statically]), stacked(&[dynamically])];
    let both = olders
        .iter()
        .zip(stacks)
        .map(|(older, stack)| [older.clone(), stack.clone(), with_older(stack, older)]);
    both.collect()
}

#[test]
fn rsv_05_every_form_is_made_a_stack_at_the_door() {
    for [older, stack, endpoint] in forms() {
        for form in [&older, &stack, &endpoint] {
            let mut upgraded = form.clone();
            upgrade(&mut upgraded).expect("valid");
            assert_eq!(upgraded, stack, "of {form:?}");
        }
    }
    let mut bare = older(None, None);
    upgrade(&mut bare).expect("valid");
    assert_eq!(bare, stacked(&[]));
}

#[test]
fn rsv_05_a_stack_of_one_is_made_the_older_form_and_that_of_endpoints() {
    for [older, stack, endpoint] in forms() {
        let (mut down, mut shown) = (stack.clone(), stack.clone());
        downgrade(&mut down).expect("not refined");
        to_endpoint(&mut shown);
        assert_eq!((&down, &shown), (&older, &endpoint));
        downgrade(&mut down).expect("again");
        to_endpoint(&mut shown);
        assert_eq!((down, shown), (older, endpoint), "they stay what they are");
    }
}

#[test]
fn rsv_05_a_refined_reservation_has_no_older_form() {
    let stack = [step(Type::Static, "eng", None), step(Type::Dynamic, "eng/web", Some("ops"))];
    let refined = stacked(&stack);
    let (mut down, mut shown, mut up) = (refined.clone(), refined.clone(), refined.clone());
    assert_eq!(downgrade(&mut down), Err(Refined("cpus".into())));
    to_endpoint(&mut shown);
    upgrade(&mut up).expect("valid");
    assert_eq!([&down, &shown, &up], [&refined; 3]);
    let mut all = [stacked(&[]), refined];
    let before = all.clone();
    assert_eq!(downgrade_all(&mut all), Err(Refined("cpus".into())));
    assert_eq!(all, before);
}

#[test]
fn allocation_is_said_filled_in_and_left_out() {
    let info = |role: &str| Some(AllocationInfo { role: Some(role.into()) });
    let mut all = [cpus(1.0), Resource { allocation_info: info("web"), ..cpus(1.0) }, cpus(1.0)];
    all[2].allocation_info = Some(AllocationInfo::default());
    allocate_rest(&mut all, "eng");
    let said = all.each_ref().map(|resource| resource.allocation_info.clone());
    assert_eq!(said, [info("eng"), info("web"), info("eng")]);
    allocate(&mut all, "ops");
    assert!(all.iter().all(|resource| resource.allocation_info == info("ops")));
    unallocate(&mut all);
    assert_eq!(all, [cpus(1.0), cpus(1.0), cpus(1.0)]);
}

#[test]
fn values_are_refused_in_the_words_of_mesos() {
    refused(&Resource { name: String::new(), ..cpus(1.0) }, "Empty resource name");
    refused(&Resource { r#type: 77, ..cpus(1.0) }, "Invalid resource type");
    refused(&Resource { r#type: ValueType::Text.into(), ..cpus(1.0) }, "Unsupported resource type");
    refused(&Resource { scalar: None, ..cpus(1.0) }, "Invalid scalar resource");
    refused(&Resource { set: Some(Set::default()), ..cpus(1.0) }, "Invalid scalar resource");
    refused(&Resource { r#type: 1, ..cpus(1.0) }, "Invalid ranges resource");
    refused(&Resource { r#type: 2, ..cpus(1.0) }, "Invalid set resource");
    for nothing in [-1.0, 0.0004, -0.0001] {
        refused(&cpus(nothing), "Invalid scalar resource: value <= 0");
    }
    for endless in [f64::NAN, f64::INFINITY] {
        let said = validate(&cpus(endless)).expect_err("no amount").to_string();
        assert_eq!(said, "Invalid scalar resource: value is not a finite number");
    }
    for some in [0.0, -0.0, 0.0005, 0.001, 1e9] {
        assert_eq!(validate(&cpus(some)), Ok(()), "{some}");
    }
    let ports = |ranges: &[(u64, u64)]| {
        let range = ranges.iter().map(|(begin, end)| Range { begin: *begin, end: *end }).collect();
        Resource { r#type: 1, scalar: None, ranges: Some(Ranges { range }), ..cpus(1.0) }
    };
    refused(&ports(&[(1, 2), (5, 4)]), "Invalid ranges resource: begin > end");
    refused(&ports(&[(1, 5), (9, 9), (5, 6)]), "Invalid ranges resource: overlapping ranges");
    refused(&ports(&[(5, 6), (1, 5)]), "Invalid ranges resource: overlapping ranges");
    assert_eq!(validate(&ports(&[(6, 7), (1, 5)])), Ok(()));
    assert_eq!(validate(&ports(&[])), Ok(()));
    let words = |words: &[&str]| {
        let item = words.iter().map(|word| (*word).to_owned()).collect();
        Resource { r#type: 2, scalar: None, set: Some(Set { item }), ..cpus(1.0) }
    };
    refused(&words(&["a", "b", "a"]), "Invalid set resource: duplicated elements");
    assert_eq!(validate(&words(&["a", "b"])), Ok(()));
}

#[test]
fn disks_are_refused_in_the_words_of_mesos() {
    let of = |r#type: SourceType| Source { r#type: r#type.into(), ..Source::default() };
    let disk = |source: Source| {
        let disk = Some(DiskInfo { source: Some(source), ..DiskInfo::default() }.into());
        Resource { name: "disk".into(), disk, ..cpus(1.0) }
    };
    let elsewhere = Resource { disk: Some(DiskInfo::default().into()), ..cpus(1.0) };
    refused(&elsewhere, "DiskInfo should not be set for cpus resource");
    let (mount, path) = (Some(Mount::default()), Some(Path::default()));
    let raw = Source { mount: mount.clone(), ..of(SourceType::Raw) };
    refused(&disk(raw), "Mount should not be set for RAW disk source");
    let block = Source { path: path.clone(), ..of(SourceType::Block) };
    refused(&disk(block), "Path should not be set for BLOCK disk source");
    refused(&disk(of(SourceType::Unknown)), "Unsupported 'DiskInfo.Source.Type' in 'UNKNOWN'");
    for kind in [SourceType::Path, SourceType::Mount, SourceType::Block, SourceType::Raw] {
        assert_eq!(validate(&disk(of(kind))), Ok(()));
    }
    let shared = |resource| Resource { shared: Some(SharedInfo {}), ..resource };
    refused(&shared(cpus(1.0)), "Resource cpus cannot be shared");
    refused(&shared(disk(of(SourceType::Path))), "Only persistent volumes can be shared");
    let persistence = Some(Persistence { id: "v".into(), principal: None });
    let volume = DiskInfo { persistence, ..DiskInfo::default() };
    let volume = Resource { name: "disk".into(), disk: Some(volume.into()), ..cpus(1.0) };
    assert_eq!(validate(&shared(volume)), Ok(()));
}

#[test]
fn rsv_05_the_older_form_is_refused_in_the_words_of_mesos() {
    refused(&older(Some("a//b"), None), "Role 'a//b' cannot contain two adjacent slashes");
    let everybody = "Invalid reservation: role \"*\" cannot be dynamically reserved";
    refused(&older(Some("*"), Some(by("ops"))), everybody);
    refused(&older(None, Some(by("ops"))), everybody);
    for (newer, field) in [
        (ReservationInfo { r#type: Some(2), ..by("ops") }, "type"),
        (ReservationInfo { role: Some("eng".into()), ..by("ops") }, "role"),
    ] {
        let text = format!(
            "'Resource.ReservationInfo.{field}' must not be set for the 'Resource.reservation' field"
        );
        refused(&older(Some("eng"), Some(newer)), &text);
    }
}

#[test]
fn stacks_are_refused_in_the_words_of_mesos() {
    let eng = step(Type::Dynamic, "eng", None);
    let missing =
        |what| format!("Invalid reservation: 'Resource.ReservationInfo.{what}' field must be set.");
    refused(&stacked(&[ReservationInfo { r#type: None, ..eng.clone() }]), &missing("type"));
    refused(&stacked(&[ReservationInfo { r#type: Some(9), ..eng.clone() }]), &missing("type"));
    refused(&stacked(&[ReservationInfo { role: None, ..eng.clone() }]), &missing("role"));
    let everybody = "Invalid reservation: role \"*\" cannot be reserved";
    refused(&stacked(&[step(Type::Static, "*", None)]), everybody);
    refused(&stacked(&[step(Type::Static, "a/", None)]), "Role 'a/' cannot end with a slash");
    let unknown = "Unsupported 'Resource.ReservationInfo.Type'";
    refused(&stacked(&[step(Type::Unknown, "eng", None)]), unknown);
    let within = stacked(&[eng.clone(), step(Type::Static, "eng/a", None)]);
    refused(&within, "Invalid refined reservation: A refined reservation cannot be STATIC");
    for other in ["eng", "web", "engine"] {
        let text =
            format!("Invalid refined reservation: role '{other}' is not a refinement of 'eng'");
        refused(&stacked(&[eng.clone(), step(Type::Dynamic, other, None)]), &text);
    }
}

#[test]
fn rsv_05_the_two_forms_must_say_the_same() {
    let both = |stack: &[ReservationInfo], older: &Resource| with_older(stacked(stack), older);
    let statically = step(Type::Static, "eng", None);
    let dynamically = step(Type::Dynamic, "eng", Some("ops"));
    let format = "Invalid resource format: ";
    let roles =
        "'Resource.role' field with 'web' does not match the role 'eng' in 'Resource.reservations'";
    refused(&both(from_ref(&statically), &older(Some("web"), None)), &format!("{format}{roles}"));
    let beside_static = "'Resource.reservation' must not be set if the single reservation in 'Resource.reservations' is STATIC";
    let beside = older(Some("eng"), Some(by("ops")));
    refused(&both(from_ref(&statically), &beside), &format!("{format}{beside_static}"));
    let half = "'Resource.role' and 'Resource.reservation' must either be both set or both not set if the single reservation in 'Resource.reservations' is DYNAMIC";
    for part in [older(Some("eng"), None), older(None, Some(by("ops")))] {
        refused(&both(from_ref(&dynamically), &part), &format!("{format}{half}"));
    }
    let principals = "'Resource.reservation.principal' field with 'me' does not match the principal 'ops' in 'Resource.reservations'";
    let mine = older(Some("eng"), Some(by("me")));
    refused(&both(from_ref(&dynamically), &mine), &format!("{format}{principals}"));
    let labelled = ReservationInfo { labels: labels(&["a", "b"]), ..dynamically.clone() };
    let info = |keys: &[&str]| ReservationInfo { labels: labels(keys), ..by("ops") };
    let text = "'Resource.reservation.labels' field with '{a: v}' does not match the labels '{a: v, b: v}' in 'Resource.reservations'";
    let other = older(Some("eng"), Some(info(&["a"])));
    refused(&both(from_ref(&labelled), &other), &format!("{format}{text}"));
    let turned = older(Some("eng"), Some(info(&["b", "a"])));
    assert_eq!(validate(&both(&[labelled], &turned)), Ok(()), "in whatever order");
    let stack = [dynamically, step(Type::Dynamic, "eng/a", None)];
    for (what, beside) in
        [("role", older(Some("eng"), None)), ("reservation", older(None, Some(by("ops"))))]
    {
        let text = format!(
            "{format}'Resource.{what}' must not be set if there is more than one reservation in 'Resource.reservations'"
        );
        refused(&both(&stack, &beside), &text);
    }
    assert_eq!(validate(&both(&[statically], &older(Some("eng"), None))), Ok(()));
}
