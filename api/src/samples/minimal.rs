//! The least that is a message, and what is not.

use serde_json::{Map, Value, json};

use super::{SampleField, Shape};
use crate::schema::{Field, Kind, Label, MessageType, schema};

/// The fields of a message in the order of the schema; `None` if there is no message of this full
/// name.
pub fn fields(full_name: &str) -> Option<Vec<SampleField>> {
    let sample = |field: &'static Field| SampleField {
        name: field.name(),
        label: field.label(),
        shape: shape(field),
        is_deprecated: field.is_deprecated(),
    };
    Some(schema().message(full_name)?.fields().iter().map(sample).collect())
}

/// The JSON object of a message with its required fields only, and theirs, with values that a reader
/// may take seriously; `None` if there is no message of this full name.
pub fn minimal(full_name: &str) -> Option<Value> {
    schema().message(full_name).map(minimal_message)
}

/// The least of each kind of a message that has a `type`, by its name: with that type, and with the field
/// of that name if there is one. Empty if there is no such message.
pub fn calls(full_name: &str) -> Vec<(&'static str, Value)> {
    let Some(message) = schema().message(full_name) else { return Vec::new() };
    let Some(types) = message.field("type").and_then(Field::enumeration) else { return Vec::new() };
    let known = types.values().iter().filter(|(name, _)| name != "UNKNOWN");
    let call = |(name, _): &'static (String, i32)| {
        let mut call = minimal_message(message);
        call["type"] = json!(name);
        if let Some(field) = message.field(&name.to_lowercase()) {
            call[field.name()] = minimal_value(message, field);
        }
        (name.as_str(), call)
    };
    known.map(call).collect()
}

/// A JSON value that a field must refuse.
pub fn of_wrong_type(field: &SampleField) -> Value {
    match field.shape {
        Shape::Bool | Shape::String | Shape::Bytes | Shape::Enum(_) => json!(5),
        Shape::Integer | Shape::Double => json!(true),
        Shape::Message(_) | Shape::Map => json!("text"),
    }
}

fn shape(field: &'static Field) -> Shape {
    if field.map_entry().is_some() {
        return Shape::Map;
    }
    match field.kind() {
        Kind::Bool => Shape::Bool,
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 => Shape::Integer,
        Kind::Double => Shape::Double,
        Kind::String => Shape::String,
        Kind::Bytes => Shape::Bytes,
        Kind::Enum(_) => Shape::Enum(field.enumeration().expect("it is of one").name()),
        Kind::Message(_) => Shape::Message(field.message().expect("it holds one").name()),
    }
}

fn minimal_message(message: &'static MessageType) -> Value {
    let required = message.fields().iter().filter(|field| field.label() == Label::Required);
    let all: Map<String, Value> =
        required.map(|field| (field.name().to_owned(), minimal_value(message, field))).collect();
    Value::Object(all)
}

fn minimal_value(message: &MessageType, field: &'static Field) -> Value {
    match field.kind() {
        Kind::Bool => json!(true),
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 => json!(1),
        Kind::Double => json!(1.0),
        Kind::String => json!(text(message, field)),
        Kind::Bytes => json!("AAECAwQFBgcICQoLDA0ODw=="), // as long as a uuid
        Kind::Enum(_) => {
            let values = field.enumeration().expect("it is of one").values();
            let named = values.iter().find(|(name, _)| !name.contains("UNKNOWN"));
            json!(named.unwrap_or(&values[0]).0)
        }
        Kind::Message(_) => minimal_message(field.message().expect("it holds one")),
    }
}

/// Ids are told apart by what they are of.
fn text(message: &MessageType, field: &Field) -> String {
    let of = message.name().rsplit('.').next().unwrap_or_default();
    match field.name() {
        "value" => of.to_lowercase(),
        "role" | "user" | "hostname" | "path" => field.name().to_owned(),
        other => format!("a-{}", other.replace('_', "-")),
    }
}
