//! The schema as tables: every message with its fields, every enum with its values, made once from
//! [`crate::DESCRIPTORS`]. The encodings walk these tables, so none of them has code for one message.
//!
//! Only what the schema uses is known here; a type that it does not use yet makes the tables fail to
//! build, in every test.

mod tables;

use std::cmp::Ordering;
use std::sync::OnceLock;

use prost::Message;
use prost_types::FileDescriptorSet;

use crate::wire::{put_bytes, put_double, put_number};

/// All messages and enums.
#[derive(Debug)]
pub struct Schema {
    messages: Vec<MessageType>,
    enums: Vec<EnumType>,
}

/// A message.
#[derive(Debug)]
pub struct MessageType {
    name: String,
    fields: Vec<Field>,
    /// For each number the place of its field, counted from 1.
    by_number: Vec<u8>,
    /// The names of the fields once more, close together: they are looked through for every key.
    names: Vec<Box<str>>,
    /// One bit for each required field, by place.
    required: u64,
    /// One bit for each field that JSON writes though it is not set.
    written_unset: u64,
    map_entry: bool,
    /// About how many bytes of memory one takes, apart from what it keeps on the heap.
    weight: usize,
    /// The wire bytes of a message that has only what it must have, each with its default.
    least: OnceLock<Vec<u8>>,
}

/// A field of a message.
#[derive(Debug)]
pub struct Field {
    name: String,
    number: u32,
    label: Label,
    kind: Kind,
    default: Option<String>,
    deprecated: bool,
    /// Whether its message is kept on the heap.
    boxed: bool,
    oneof: Option<u8>,
    /// What comes before its values on the wire.
    tag: Tag,
    /// `"name":`, as it stands in JSON.
    key: String,
    /// What JSON says where the field is not set; `None` says nothing.
    unset_json: Option<String>,
}

/// A number and a wire type, as they stand on the wire.
#[derive(Clone, Copy, Debug)]
struct Tag {
    bytes: [u8; 2],
    length: u8,
}

/// How often a field may stand in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Once or not at all.
    Optional,
    /// Exactly once.
    Required,
    /// As often as one likes. Maps are repeated messages of a key and a value.
    Repeated,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A number of 32 bits with a sign.
    Int32,
    /// A number of 64 bits with a sign.
    Int64,
    /// A number of 32 bits without a sign.
    Uint32,
    /// A number of 64 bits without a sign.
    Uint64,
    /// A floating-point number.
    Double,
    /// Text.
    String,
    /// Bytes.
    Bytes,
    /// One of the names of an enum.
    Enum(EnumId),
    /// A message.
    Message(MessageId),
}

/// Which message of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageId(usize);

/// Which enum of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnumId(usize);

/// An enum.
#[derive(Debug)]
pub struct EnumType {
    name: String,
    /// In the order of the schema.
    values: Vec<(String, i32)>,
    /// As names are looked for.
    by_name: Vec<(String, i32)>,
}

/// The tables.
pub fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let set = FileDescriptorSet::decode(crate::DESCRIPTORS).expect("the build wrote them");
        tables::of(&set.file)
    })
}

/// The table of a type.
pub fn message_of<M: prost::Name>() -> &'static MessageType {
    let name = M::full_name();
    schema().message(&name).expect("types and tables are made from the same files")
}

impl Schema {
    /// By full name, such as `mesos.v1.scheduler.Call`.
    pub fn message(&self, full_name: &str) -> Option<&MessageType> {
        let found = self.messages.binary_search_by(|message| order(&message.name, full_name));
        found.ok().map(|at| &self.messages[at])
    }

    /// By full name, such as `mesos.v1.TaskState`.
    pub fn enumeration(&self, full_name: &str) -> Option<&EnumType> {
        let found = self.enums.binary_search_by(|list| order(&list.name, full_name));
        found.ok().map(|at| &self.enums[at])
    }

    /// All messages, those with short names first. Entries of maps are messages, too.
    pub fn messages(&self) -> impl Iterator<Item = &MessageType> {
        self.messages.iter()
    }

    /// All enums, those with short names first.
    pub fn enumerations(&self) -> impl Iterator<Item = &EnumType> {
        self.enums.iter()
    }
}

impl MessageType {
    /// Its full name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// In the order in which the schema declares them.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Whether it is an entry of a map: a key and a value.
    pub fn is_map_entry(&self) -> bool {
        self.map_entry
    }

    /// By name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.place_of(name, 0).map(|place| &self.fields[place])
    }

    /// Where among the fields one is, looked for from a guess on: writers mostly keep the order, and
    /// most names differ in their lengths.
    pub(crate) fn place_of(&self, name: &str, guess: usize) -> Option<usize> {
        let (before, behind) = self.names.split_at(guess.min(self.names.len()));
        let among = |names: &[Box<str>]| names.iter().position(|one| **one == *name);
        among(behind).map(|at| before.len() + at).or_else(|| among(before))
    }

    /// Where among the fields the one of a number is.
    pub(crate) fn place_of_number(&self, number: u32) -> Option<usize> {
        let place = *self.by_number.get(usize::try_from(number).ok()?)?;
        usize::from(place).checked_sub(1)
    }

    /// About how many bytes of memory one takes, apart from what it keeps on the heap.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// The wire bytes of a message that has only what it must have, each being its default or nothing.
    pub(crate) fn least(&self) -> &[u8] {
        self.least.get_or_init(|| {
            let mut out = Vec::new();
            let required = self.fields.iter().filter(|field| field.label == Label::Required);
            required.for_each(|field| put_least(field, &mut out));
            out
        })
    }

    /// One bit for each field that JSON writes though it is not set, by place.
    pub(crate) fn written_unset(&self) -> u64 {
        self.written_unset
    }

    /// One bit for each required field, by place.
    pub(crate) fn required(&self) -> u64 {
        self.required
    }
}

impl Field {
    /// Its name, which is its key in JSON.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number on the wire.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// How often it may be there.
    pub fn label(&self) -> Label {
        self.label
    }

    /// What it holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the schema says it is when it is not set, as the schema writes it.
    pub fn default(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// Whether it is there only for those who knew it.
    pub fn is_deprecated(&self) -> bool {
        self.deprecated
    }

    /// Which of its message's groups it is in, of which only one field is set.
    pub fn oneof(&self) -> Option<u8> {
        self.oneof
    }

    /// The message that it holds, if it holds messages.
    pub fn message(&self) -> Option<&'static MessageType> {
        let Kind::Message(id) = self.kind else { return None };
        Some(&schema().messages[id.0])
    }

    /// The enum that it is of, if it is.
    pub fn enumeration(&self) -> Option<&'static EnumType> {
        let Kind::Enum(id) = self.kind else { return None };
        Some(&schema().enums[id.0])
    }

    /// The key and the value of its entries, if it is a map.
    pub fn map_entry(&self) -> Option<(&'static Field, &'static Field)> {
        let entry = self.message().filter(|message| message.map_entry)?;
        let [key, value] = entry.fields() else { return None };
        Some((key, value))
    }

    /// What comes before its values on the wire.
    pub(crate) fn tag(&self) -> &[u8] {
        &self.tag.bytes[..usize::from(self.tag.length)]
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn unset_json(&self) -> Option<&str> {
        self.unset_json.as_deref()
    }
}

impl EnumType {
    /// Its full name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names and numbers, in the order of the schema.
    pub fn values(&self) -> &[(String, i32)] {
        &self.values
    }

    /// The number of a name.
    pub fn number_of(&self, name: &str) -> Option<i32> {
        let found = self.by_name.binary_search_by(|value| order(&value.0, name));
        found.ok().map(|at| self.by_name[at].1)
    }

    /// The first name of a number.
    pub fn name_of(&self, number: i32) -> Option<&str> {
        self.values.iter().find(|value| value.1 == number).map(|value| value.0.as_str())
    }
}

/// The order in which names are looked for: lengths are compared faster than names, of which most begin
/// alike.
fn order(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// What prost makes of a required field that nobody has set. Numbers are zero: the one default that a
/// required field has, a port, is in no map.
fn put_least(field: &Field, out: &mut Vec<u8>) {
    match field.kind {
        Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 => {
            put_number(field, 0, out);
        }
        Kind::Double => put_double(field, 0.0, out),
        Kind::String | Kind::Bytes => put_bytes(field, &[], out),
        Kind::Enum(_) => {
            let first = field.enumeration().map_or(0, |list| list.values[0].1);
            put_number(field, i64::from(first).cast_unsigned(), out);
        }
        Kind::Message(_) => {
            put_bytes(field, field.message().map_or(&[], MessageType::least), out);
        }
    }
}
