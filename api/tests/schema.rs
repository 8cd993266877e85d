//! The schema against the tables of the public API: `fields.tsv` and `enums.tsv` beside this file
//! hold every field and enum value that clients know. The schema must have each of them exactly so,
//! and nothing else: a field of our own would one day collide with theirs.

use std::collections::{BTreeMap, BTreeSet};

use api::v1;
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet,
};

const FIELDS: &str = include_str!("fields.tsv");
const ENUMS: &str = include_str!("enums.tsv");

/// The rows of a table without its header, as a set of lines.
fn rows(table: &str) -> BTreeSet<String> {
    table.lines().skip(1).map(str::to_owned).collect()
}

fn files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(api::DESCRIPTORS).expect("the build wrote them");
    set.file.into_iter().filter(|file| file.package().starts_with("mesos.v1")).collect()
}

/// All messages of a file with the names that the tables use: `Outer.Inner`.
fn messages(file: &FileDescriptorProto) -> Vec<(String, &DescriptorProto)> {
    fn add<'a>(
        outer: &str,
        list: &'a [DescriptorProto],
        found: &mut Vec<(String, &'a DescriptorProto)>,
    ) {
        for message in list {
            let name = format!("{outer}{}", message.name());
            found.push((name.clone(), message));
            add(&format!("{name}."), &message.nested_type, found);
        }
    }
    let mut found = Vec::new();
    add("", &file.message_type, &mut found);
    found
}

fn type_of(field: &FieldDescriptorProto) -> String {
    if matches!(field.r#type(), Type::Message | Type::Enum) {
        return field.type_name().trim_start_matches('.').to_owned();
    }
    field.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase()
}

fn options_of(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    if message.options.as_ref().is_some_and(|options| options.map_entry()) {
        return "mapentry".into();
    }
    if let Some(index) = field.oneof_index {
        let index = usize::try_from(index).expect("an index is not negative");
        return format!("oneof={}", message.oneof_decl[index].name());
    }
    let deprecated = field.options.as_ref().is_some_and(|options| options.deprecated());
    if deprecated { "deprecated".into() } else { String::new() }
}

fn field_row(
    package: &str,
    name: &str,
    message: &DescriptorProto,
    field: &FieldDescriptorProto,
) -> String {
    let label = match field.label() {
        Label::Optional => "optional",
        Label::Required => "required",
        Label::Repeated => "repeated",
    };
    [
        package,
        name,
        &field.number().to_string(),
        label,
        &type_of(field),
        field.name(),
        field.default_value(),
        &options_of(message, field),
    ]
    .join("\t")
}

fn enum_rows(
    package: &str,
    outer: &str,
    list: &[EnumDescriptorProto],
    found: &mut BTreeSet<String>,
) {
    for list in list {
        for value in &list.value {
            let name = format!("{outer}{}", list.name());
            found.insert([package, &name, value.name(), &value.number().to_string()].join("\t"));
        }
    }
}

#[track_caller]
fn same(schema: &BTreeSet<String>, table: &BTreeSet<String>) {
    let missing: Vec<_> = table.difference(schema).collect();
    let extra: Vec<_> = schema.difference(table).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing {missing:#?}\nextra {extra:#?}");
}

#[test]
fn every_field_is_there_with_its_number_label_type_and_default() {
    let mut found = BTreeSet::new();
    for file in files() {
        for (name, message) in messages(&file) {
            for field in &message.field {
                found.insert(field_row(file.package(), &name, message, field));
            }
        }
    }
    let table = rows(FIELDS);
    assert!(table.len() > 1200, "the table is whole: {} rows", table.len());
    same(&found, &table);
}

#[test]
fn fields_stand_in_the_order_of_the_table() {
    let mut rows: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for row in FIELDS.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        rows.entry(format!("{}.{}", columns[0], columns[1])).or_default().push(columns[5]);
    }
    for (message, fields) in rows {
        let found = api::schema::schema().message(&message).expect("a message of the table");
        let found: Vec<&str> = found.fields().iter().map(|field| field.name()).collect();
        assert_eq!(found, fields, "JSON of {message} is written in this order");
    }
}

#[test]
fn every_enum_value_is_there_with_its_number() {
    let mut found = BTreeSet::new();
    for file in files() {
        enum_rows(file.package(), "", &file.enum_type, &mut found);
        for (name, message) in messages(&file) {
            enum_rows(file.package(), &format!("{name}."), &message.enum_type, &mut found);
        }
    }
    let table = rows(ENUMS);
    assert!(table.len() > 400, "the table is whole: {} rows", table.len());
    same(&found, &table);
}

#[test]
fn the_schema_is_the_second_version_of_protobuf() {
    for file in files() {
        assert!(matches!(file.syntax(), "" | "proto2"), "{} is {}", file.name(), file.syntax());
    }
}

#[test]
fn a_task_is_the_bytes_that_clients_send() {
    let task = v1::TaskInfo {
        name: "a".into(),
        task_id: v1::TaskId { value: "b".into() },
        agent_id: v1::AgentId { value: "c".into() },
        command: Some(v1::CommandInfo { value: Some("d".into()), ..Default::default() }),
        ..Default::default()
    };
    let bytes = task.encode_to_vec();
    assert_eq!(bytes, b"\x0a\x01a\x12\x03\x0a\x01b\x1a\x03\x0a\x01c\x3a\x03\x1a\x01d");
    assert_eq!(v1::TaskInfo::decode(bytes.as_slice()), Ok(task));
}

#[test]
fn defaults_are_those_of_the_schema() {
    assert!(v1::CommandInfo::default().shell(), "a command is a line for the shell unless it says");
    assert_eq!(v1::AgentInfo::default().port(), 5051);
    assert_eq!(v1::Filters::default().refuse_seconds(), 5.0);
    assert_eq!(v1::Image::default().cached, None, "an unset field stays unset on the wire");
}

#[test]
fn enums_keep_their_numbers_in_rust() {
    assert_eq!(v1::TaskState::TaskStarting as i32, 0);
    assert_eq!(v1::TaskState::TaskUnknown as i32, 13);
    assert_eq!(v1::task_status::Reason::try_from(34), Ok(v1::task_status::Reason::AgentDraining));
    assert_eq!(v1::TaskState::TaskLost.as_str_name(), "TASK_LOST");
}
