//! Makes the tables of descriptors.

use std::sync::OnceLock;

use prost::encoding::encode_varint;
use prost_types::field_descriptor_proto::{Label as ProtoLabel, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

use super::{EnumId, EnumType, Field, Kind, Label, MessageId, MessageType, Schema, Tag, order};

/// Paths of the fields that the build keeps on the heap.
const BOXED: &str = include_str!("../../boxed.txt");

/// What a pointer takes, and the head of a list or a text.
const POINTER_BYTES: usize = 8;
const LIST_BYTES: usize = 24;

/// More fields than one message may have: what was seen of them is one machine word.
const FIELDS_MAX: usize = 64;

/// The largest number of a field: they index a table.
const NUMBER_MAX: u32 = 512;

/// The tables of some files.
pub(super) fn of(files: &[FileDescriptorProto]) -> Schema {
    let mut found = Found::default();
    for file in files {
        let outer = format!("{}.", file.package());
        found.add_enums(&outer, &file.enum_type);
        found.add_messages(&outer, &file.message_type);
    }
    found.messages.sort_by(|one, other| order(&one.0, &other.0));
    found.enums.sort_by(|one, other| order(&one.name, &other.name));
    let messages = found.messages.iter().map(|(name, message)| found.message(name, message));
    let mut messages: Vec<MessageType> = messages.collect();
    for at in 0..messages.len() {
        weigh(&mut messages, at, &mut Vec::new());
    }
    Schema { messages, enums: found.enums }
}

impl Tag {
    /// Numbers are below [`NUMBER_MAX`], so two bytes are enough.
    fn of(number: u32, kind: Kind) -> Self {
        let wire_type = match kind {
            Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 => 0,
            Kind::Enum(_) => 0,
            Kind::Double => 1,
            Kind::String | Kind::Bytes | Kind::Message(_) => 2,
        };
        let mut written = Vec::new();
        encode_varint(u64::from(number) << 3 | wire_type, &mut written);
        let mut bytes = [0; 2];
        bytes[..written.len()].copy_from_slice(&written);
        Self { bytes, length: if written.len() > 1 { 2 } else { 1 } }
    }
}

/// Descriptors while they are made into tables: names first, as fields refer to any of them.
#[derive(Default)]
struct Found<'a> {
    messages: Vec<(String, &'a DescriptorProto)>,
    enums: Vec<EnumType>,
}

impl<'a> Found<'a> {
    fn add_messages(&mut self, outer: &str, list: &'a [DescriptorProto]) {
        for message in list {
            let name = format!("{outer}{}", message.name());
            let within = format!("{name}.");
            self.messages.push((name, message));
            self.add_enums(&within, &message.enum_type);
            self.add_messages(&within, &message.nested_type);
        }
    }

    fn add_enums(&mut self, outer: &str, list: &[EnumDescriptorProto]) {
        for list in list {
            let value = |value: &prost_types::EnumValueDescriptorProto| {
                (value.name().to_owned(), value.number())
            };
            let values: Vec<_> = list.value.iter().map(value).collect();
            let mut by_name = values.clone();
            by_name.sort_by(|one, other| order(&one.0, &other.0));
            self.enums.push(EnumType { name: format!("{outer}{}", list.name()), values, by_name });
        }
    }

    fn message(&self, name: &str, message: &DescriptorProto) -> MessageType {
        let fields: Vec<Field> =
            message.field.iter().map(|field| self.field(name, field)).collect();
        assert!(fields.len() <= FIELDS_MAX, "{name} has too many fields for a word of bits");
        let place = |at: usize| u8::try_from(at).expect("no more than FIELDS_MAX");
        let numbers = fields.iter().map(|field| field.number).max().map_or(0, |most| most + 1);
        assert!(numbers <= NUMBER_MAX, "{name} has too large a number for a table");
        let mut by_number = vec![0; numbers as usize];
        let (mut required, mut written_unset) = (0, 0);
        for (at, field) in fields.iter().enumerate() {
            by_number[field.number as usize] = place(at + 1);
            required |= u64::from(field.label == Label::Required) << at;
            written_unset |= u64::from(field.unset_json.is_some()) << at;
        }
        let names = fields.iter().map(|field| field.name.clone().into_boxed_str()).collect();
        let map_entry = message.options.as_ref().is_some_and(|options| options.map_entry());
        MessageType {
            name: name.to_owned(),
            by_number,
            names,
            required,
            written_unset,
            map_entry,
            weight: 0,
            fields,
            least: OnceLock::new(),
        }
    }

    fn field(&self, message: &str, field: &FieldDescriptorProto) -> Field {
        let kind = self.kind(field);
        let options = field.options.as_ref();
        assert!(!options.is_some_and(|options| options.packed()), "no list is packed");
        let default = field.default_value.clone();
        let deprecated = options.is_some_and(|options| options.deprecated());
        let written = default.as_deref().filter(|_| !deprecated);
        let number = u32::try_from(field.number()).expect("protobuf has no negative numbers");
        Field {
            name: field.name().to_owned(),
            number,
            tag: Tag::of(number, kind),
            label: match field.label() {
                ProtoLabel::Optional => Label::Optional,
                ProtoLabel::Required => Label::Required,
                ProtoLabel::Repeated => Label::Repeated,
            },
            kind,
            deprecated,
            boxed: BOXED.lines().any(|path| path == format!(".{message}.{}", field.name())),
            oneof: field.oneof_index.map(|at| u8::try_from(at).expect("no more than fields")),
            key: format!("\"{}\":", field.name()),
            unset_json: written.map(|text| default_json(kind, text)),
            default,
        }
    }

    fn kind(&self, field: &FieldDescriptorProto) -> Kind {
        let name = field.type_name().trim_start_matches('.');
        match field.r#type() {
            Type::Bool => Kind::Bool,
            Type::Int32 => Kind::Int32,
            Type::Int64 => Kind::Int64,
            Type::Uint32 => Kind::Uint32,
            Type::Uint64 => Kind::Uint64,
            Type::Double => Kind::Double,
            Type::String => Kind::String,
            Type::Bytes => Kind::Bytes,
            Type::Enum => {
                let at = self.enums.binary_search_by(|list| order(&list.name, name));
                Kind::Enum(EnumId(at.expect("the compiler has seen the enum")))
            }
            Type::Message => {
                let at = self.messages.binary_search_by(|message| order(&message.0, name));
                Kind::Message(MessageId(at.expect("the compiler has seen the message")))
            }
            unused @ (Type::Float
            | Type::Fixed32
            | Type::Fixed64
            | Type::Sfixed32
            | Type::Sfixed64
            | Type::Sint32
            | Type::Sint64
            | Type::Group) => panic!("the schema has no {unused:?}: {}", field.name()),
        }
    }
}

/// About what a message takes in memory. One within itself is on the heap: `within` are those that are
/// being weighed.
fn weigh(messages: &mut [MessageType], at: usize, within: &mut Vec<usize>) -> usize {
    if messages[at].weight > 0 {
        return messages[at].weight;
    }
    within.push(at);
    let mut weight = 1;
    for place in 0..messages[at].fields.len() {
        let field = &messages[at].fields[place];
        weight += match field.kind {
            _ if field.label == Label::Repeated => LIST_BYTES,
            Kind::Bool => 1,
            Kind::Int32 | Kind::Uint32 | Kind::Enum(_) => 8,
            Kind::Int64 | Kind::Uint64 | Kind::Double => 16,
            Kind::String | Kind::Bytes => LIST_BYTES,
            Kind::Message(id) if field.boxed || within.contains(&id.0) => POINTER_BYTES,
            Kind::Message(id) => weigh(messages, id.0, within),
        };
    }
    within.pop();
    messages[at].weight = weight;
    weight
}

/// A default as JSON has it.
fn default_json(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 => text.to_owned(),
        Kind::Double => format!("{:?}", text.parse::<f64>().expect("the compiler has read it")),
        Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Message(_) => format!("{text:?}"),
    }
}
