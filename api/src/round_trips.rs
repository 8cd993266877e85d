//! Random messages of all kinds that travel, there and back in both encodings, and hostile bytes for
//! both readers.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use prost::{Message, Name};

use crate::schema::{Label, message_of, schema};
use crate::{json, samples, v1, wire};

/// What a test does with one type.
trait Check {
    fn on<M: Message + Name + Default + Debug + PartialEq>(&self);
}

/// All that travels by itself, and what is often looked at alone.
fn every_type(check: &impl Check) {
    check.on::<v1::scheduler::Call>();
    check.on::<v1::scheduler::Event>();
    check.on::<v1::scheduler::Response>();
    check.on::<v1::executor::Call>();
    check.on::<v1::executor::Event>();
    check.on::<v1::master::Call>();
    check.on::<v1::master::Response>();
    check.on::<v1::master::Event>();
    check.on::<v1::agent::Call>();
    check.on::<v1::agent::Response>();
    check.on::<v1::agent::ProcessIo>();
    check.on::<v1::resource_provider::Call>();
    check.on::<v1::resource_provider::Event>();
    check.on::<v1::quota::QuotaConfig>();
    check.on::<v1::quota::QuotaRequest>();
    check.on::<v1::quota::QuotaStatus>();
    check.on::<v1::maintenance::Schedule>();
    check.on::<v1::maintenance::ClusterStatus>();
    check.on::<v1::Resource>();
    check.on::<v1::FrameworkInfo>();
    check.on::<v1::ExecutorInfo>();
    check.on::<v1::TaskInfo>();
    check.on::<v1::TaskGroupInfo>();
    check.on::<v1::TaskStatus>();
    check.on::<v1::Task>();
    check.on::<v1::Offer>();
    check.on::<v1::AgentInfo>();
    check.on::<v1::MasterInfo>();
    check.on::<v1::Volume>();
    check.on::<v1::ContainerInfo>();
    check.on::<v1::ResourceStatistics>();
    check.on::<v1::OfferFilters>();
}

/// So many messages of each type.
fn cases() -> Config {
    Config { cases: 200, failure_persistence: None, ..Config::default() }
}

fn words() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(any::<u64>(), 0..400)
}

fn made<M: Name + Default>(words: &[u64]) -> (Vec<u8>, M) {
    let bytes = samples::random(&M::full_name(), words).expect("a message of the schema");
    let message = M::decode(bytes.as_slice()).expect("made by the schema");
    (bytes, message)
}

/// What is wrong with a property of random input, if anything.
#[track_caller]
fn holds<S: Strategy>(
    name: &str,
    input: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let result = TestRunner::new(cases()).run(&input, property);
    result.unwrap_or_else(|why| panic!("{name}: {why}"));
}

struct ThereAndBack;

impl Check for ThereAndBack {
    fn on<M: Message + Name + Default + Debug + PartialEq>(&self) {
        holds(M::NAME, words(), |words| {
            let (bytes, message) = made::<M>(&words);
            let read: M = wire::read(&bytes).map_err(|why| TestCaseError::fail(why.to_string()))?;
            prop_assert_eq!(&read, &message, "of its bytes");
            let again = wire::read(&wire::write(&message));
            prop_assert_eq!(again.as_ref(), Ok(&message), "of the bytes that we write");
            let text = json::write(&message);
            let read: M = json::read(text.as_bytes())
                .map_err(|why| TestCaseError::fail(format!("{why}: {text}")))?;
            prop_assert_eq!(&read, &message, "of {}", text);
            prop_assert_eq!(json::write(&read), text, "as JSON again");
            Ok(())
        });
    }
}

#[test]
fn messages_come_back_from_both_encodings() {
    every_type(&ThereAndBack);
}

struct AnyBytes;

impl Check for AnyBytes {
    fn on<M: Message + Name + Default + Debug + PartialEq>(&self) {
        let bytes = prop::collection::vec(any::<u8>(), 0..200);
        holds(M::NAME, bytes, |bytes| {
            accepted_bytes::<M>(&bytes)?;
            accepted_text::<M>(&bytes)
        });
    }
}

#[test]
fn any_bytes_are_refused_or_read() {
    every_type(&AnyBytes);
}

struct Mutations;

/// What is changed in something valid: where, and to what. `None` cuts it off.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, Option<u8>)>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(&b"{}[]\",:\\0159-.eEu nt"[..]),];
    prop::collection::vec((any::<prop::sample::Index>(), prop::option::weighted(0.9, byte)), 1..4)
}

fn mutated(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, Option<u8>)]) -> Vec<u8> {
    for (at, change) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = at.index(bytes.len());
        match change {
            Some(byte) => bytes[at] = *byte,
            None => bytes.truncate(at),
        }
    }
    bytes
}

impl Check for Mutations {
    fn on<M: Message + Name + Default + Debug + PartialEq>(&self) {
        holds(M::NAME, (words(), changes()), |(words, changes)| {
            let (bytes, message) = made::<M>(&words);
            accepted_bytes::<M>(&mutated(bytes, &changes))?;
            accepted_text::<M>(&mutated(json::write(&message).into_bytes(), &changes))
        });
    }
}

#[test]
fn damaged_messages_are_refused_or_read() {
    every_type(&Mutations);
}

/// What is accepted is written and read again the same.
fn accepted_bytes<M: Name + Default + Debug + PartialEq>(
    bytes: &[u8],
) -> Result<(), TestCaseError> {
    let Ok(message) = wire::read::<M>(bytes) else { return Ok(()) };
    let again = wire::read::<M>(&wire::write(&message));
    let same = again.as_ref().is_ok_and(|again| json::write(again) == json::write(&message));
    prop_assert!(same, "{again:?} is not {message:?}"); // as texts: NaN is not equal to itself
    Ok(())
}

fn accepted_text<M: Name + Default + Debug + PartialEq>(text: &[u8]) -> Result<(), TestCaseError> {
    let Ok(message) = json::read::<M>(text) else { return Ok(()) };
    let written = json::write(&message);
    if written.contains("nfinity") {
        return Ok(()); // it is written as Mesos writes it, which nobody reads
    }
    let again = json::read::<M>(written.as_bytes());
    let same = again
        .as_ref()
        .is_ok_and(|again| json::write(again) == written || has_wide_number(&written));
    prop_assert!(same, "{again:?} is not {message:?}");
    Ok(())
}

/// Whether there is a number that JSON reads as a double, which has fewer digits. Only a negative number
/// where there must be none becomes one.
fn has_wide_number(text: &str) -> bool {
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|text| text.parse().ok());
    numbers.into_iter().any(|number: u64| i64::try_from(number).is_err())
}

struct Minimal;

impl Check for Minimal {
    fn on<M: Message + Name + Default + Debug + PartialEq>(&self) {
        let name = M::full_name();
        let least = samples::minimal(&name).expect("a message of the schema");
        let read: M =
            json::read(least.to_string().as_bytes()).unwrap_or_else(|why| panic!("{why}"));
        let bytes = wire::write(&read);
        assert_eq!(wire::read::<M>(&bytes), Ok(read));
        for field in samples::fields(&name).expect("a message of the schema") {
            let mut without = least.clone();
            without.as_object_mut().unwrap().remove(field.name);
            let required = field.label == Label::Required;
            let refused = json::read::<M>(without.to_string().as_bytes()).is_err();
            assert_eq!(refused, required, "{name} without {}", field.name);
            let mut wrong = least.clone();
            wrong[field.name] = samples::of_wrong_type(&field);
            let refused = json::read::<M>(wrong.to_string().as_bytes());
            assert!(refused.is_err(), "{wrong}");
        }
    }
}

#[test]
fn the_least_message_needs_every_field_that_it_has() {
    every_type(&Minimal);
    assert_eq!(samples::minimal("mesos.v1.Nothing"), None);
    assert_eq!(samples::fields("mesos.v1.Nothing"), None);
    assert_eq!(samples::random("mesos.v1.Nothing", &[]), None);
}

#[test]
fn the_least_of_every_call_is_read() {
    fn read<M: Name + Default>(types: usize) {
        let calls = samples::calls(&M::full_name());
        assert_eq!(calls.len(), types, "{}", M::full_name());
        for (name, call) in calls {
            assert_eq!(call["type"], name);
            json::read::<M>(call.to_string().as_bytes())
                .unwrap_or_else(|why| panic!("{why}: {call}"));
        }
    }
    read::<v1::scheduler::Call>(17);
    read::<v1::executor::Call>(4);
    read::<v1::master::Call>(39);
    read::<v1::agent::Call>(32);
    let kill = samples::calls("mesos.v1.scheduler.Call").into_iter().find(|call| call.0 == "KILL");
    assert_eq!(kill.unwrap().1["kill"]["task_id"]["value"], "taskid");
    assert!(samples::calls("mesos.v1.TaskID").is_empty() && samples::calls("none").is_empty());
}

#[test]
fn random_messages_have_all_their_fields_in_turn() {
    let message = message_of::<v1::scheduler::Call>();
    let mut met = std::collections::BTreeSet::new();
    for seed in 0..200u64 {
        let words: Vec<u64> = (0..400)
            .map(|at| (seed * 400 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20)
            .collect();
        let (bytes, _) = made::<v1::scheduler::Call>(&words);
        let mut cursor = wire::Cursor::new(&bytes);
        while let Some(field) = cursor.next().expect("made by the schema") {
            met.insert(field.number);
        }
    }
    assert_eq!(met.len(), message.fields().len(), "{met:?}");
}

#[test]
fn the_tables_know_all_messages_by_name() {
    let names: Vec<&str> = schema().messages().map(|message| message.name()).collect();
    assert!(names.len() > 350);
    for name in names {
        assert_eq!(schema().message(name).map(|message| message.name()), Some(name));
    }
    let status = schema().enumeration("mesos.v1.TaskState").expect("an enum of the schema");
    assert_eq!(status.number_of("TASK_LOST"), Some(v1::TaskState::TaskLost as i32));
    assert_eq!(status.name_of(1000), None);
}
