//! Reading protobuf: required fields at every depth, whatever else the bytes are.

use std::fmt::Debug;

use api::v1::{self, scheduler};
use api::wire::{ReadError, read, write};

#[track_caller]
fn missing<M: prost::Name + Default + Debug>(bytes: &[u8], paths: &str) {
    let refused = read::<M>(bytes).expect_err(paths);
    assert_eq!(refused, ReadError::Missing(paths.to_owned()));
    assert_eq!(refused.to_string(), format!("Missing required fields: {paths}"));
}

#[test]
fn two_bytes_are_a_whole_subscription_to_the_masters_events() {
    let call: v1::master::Call = read(&[0x08, 0x12]).unwrap();
    assert_eq!(call.r#type(), v1::master::call::Type::Subscribe);
}

#[test]
fn a_required_field_is_missed_at_every_depth() {
    missing::<v1::TaskId>(b"", "value");
    assert_eq!(read(b"\x0a\x00"), Ok(v1::TaskId { value: String::new() }), "empty is there");
    missing::<v1::TaskInfo>(b"\x0a\x01n\x12\x00", "agent_id, task_id.value");
    // Two offers, of which the second has no id.
    missing::<scheduler::call::Decline>(b"\x0a\x03\x0a\x01o\x0a\x00", "offer_ids[1].value");
}

#[test]
fn the_value_of_a_maps_entry_must_be_whole() {
    // Of limits an entry with a key and a value without its number; then one without a value.
    missing::<v1::quota::QuotaConfig>(
        b"\x0a\x01r\x1a\x05\x0a\x01c\x12\x00",
        "limits[0].value.value",
    );
    missing::<v1::quota::QuotaConfig>(b"\x0a\x01r\x1a\x03\x0a\x01c", "limits[0].value.value");
}

#[test]
fn a_limit_of_zero_is_written_with_its_number() {
    let mut config = v1::quota::QuotaConfig { role: "r".into(), ..Default::default() };
    config.limits.insert("c".into(), v1::value::Scalar { value: 0.0 });
    let limit = b"\x1a\x0e\x0a\x01c\x12\x09\x09\0\0\0\0\0\0\0\0";
    let bytes = [&b"\x0a\x01r"[..], limit].concat();
    assert_eq!(write(&config), bytes);
    assert_eq!(read(&bytes), Ok(config.clone()));
    let within = v1::master::call::UpdateQuota { force: None, quota_configs: vec![config] };
    assert_eq!(read(&write(&within)), Ok(within));
    let id = v1::TaskId { value: "t".into() };
    assert_eq!(write(&id), b"\x0a\x01t");
}

#[test]
fn pieces_of_a_message_complete_one_another() {
    // task_id, once without and once with its value, and so the other way round.
    let name = &b"\x0a\x01n\x1a\x03\x0a\x01a"[..];
    for pieces in [&b"\x12\x00\x12\x03\x0a\x01t"[..], b"\x12\x03\x0a\x01t\x12\x00"] {
        let task: v1::TaskInfo = read(&[name, pieces].concat()).unwrap();
        assert_eq!(task.task_id.value, "t");
    }
    missing::<v1::TaskInfo>(&[name, b"\x12\x00\x12\x00"].concat(), "task_id.value");
}

#[test]
fn a_required_enum_of_tomorrow_is_missing() {
    missing::<v1::Resource>(b"\x0a\x01c\x10\x4d", "type");
    missing::<v1::Resource>(b"\x0a\x01c\x10\x01\x10\x4d", "type"); // the last one counts
    let call: scheduler::Call = read(b"\x10\x4d").unwrap();
    assert_eq!(call.r#type, Some(77), "an optional one is kept, and has no name");
}

#[test]
fn unknown_fields_are_skipped() {
    // Numbers, eight bytes, some bytes, a group with a group in it, four bytes.
    let unknown = b"\xc0\x3e\x01\xc1\x3e12345678\xc2\x3e\x02hi\xc3\x3e\xcb\x3e\x08\x01\xcc\x3e\xc4\x3e\xc5\x3e1234";
    let id: v1::TaskId = read(&[&unknown[..], b"\x0a\x01t", unknown].concat()).unwrap();
    assert_eq!(id.value, "t");
}

#[test]
fn what_is_no_message_is_refused() {
    let deep = b"\x12".repeat(10_000);
    let wrong: [&[u8]; 7] =
        [b"\x0a", b"\x0a\x05t", b"\x08\x01", b"\x0a\x01\xff", b"\x00", &[0xff; 20], &deep];
    for bytes in wrong {
        let refused = read::<v1::ContainerId>(bytes).unwrap_err();
        assert!(matches!(refused, ReadError::Malformed(_)), "{bytes:?}: {refused}");
    }
}

#[test]
fn a_hundred_messages_within_one_another_are_read_and_not_many_more() {
    let nested = |levels: usize| {
        (0..levels).fold(b"\x0a\x01c".to_vec(), |inner, _| {
            let mut outer = b"\x0a\x01c\x12".to_vec();
            prost::encoding::encode_varint(inner.len() as u64, &mut outer);
            outer.extend(inner);
            outer
        })
    };
    assert!(read::<v1::ContainerId>(&nested(99)).is_ok());
    let refused = read::<v1::ContainerId>(&nested(200)).unwrap_err();
    assert!(matches!(refused, ReadError::Malformed(_)), "{refused}");
    assert!(read::<v1::ContainerId>(&nested(10_000)).is_err());
}

#[test]
fn a_long_list_of_messages_that_say_nothing_is_refused_before_it_takes_memory() {
    let plugin = |count: usize| {
        let bytes = [&b"\x0a\x01t\x12\x01n"[..], &b"\x1a\0".repeat(count)].concat();
        read::<v1::CsiPluginInfo>(&bytes).map(|plugin| plugin.containers.len())
    };
    assert!(matches!(plugin(1_000_000), Err(ReadError::TooHeavy(_))));
    assert_eq!(plugin(1_000), Ok(1_000));
    // The least that makes sense, as often as one likes: operations that unreserve nothing.
    let unreserve = b"\x12\x04\x08\x05\x2a\0".repeat(1_000_000);
    let accept: Result<scheduler::call::Accept, _> = read(&unreserve);
    assert_eq!(accept.map(|accept| accept.operations.len()), Ok(1_000_000));
}
