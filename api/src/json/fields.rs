//! From JSON values to the wire bytes of fields, led by the tables of the schema.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::DEPTH_MAX;
use super::numbers::{self, Number};
use crate::schema::{Field, Kind, Label, MessageType};
use crate::wire::{Budget, close, open, put_bytes, put_double, put_number};

/// Standard base64, with or without the padding at its end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What is an error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// Required fields that are missing, and keys that come twice, too.
    WholeAndClear,
    /// Only what cannot be read.
    AsFarAsItGoes,
}

/// The wire bytes so far, and what they may still become.
pub(super) struct Out {
    pub(super) bytes: Vec<u8>,
    budget: Budget,
}

impl Out {
    /// For a text of so many bytes.
    pub(super) fn of(text_bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(text_bytes), budget: Budget::of(text_bytes) }
    }
}

/// The message that a whole text is.
pub(super) struct TopMessage<'o> {
    pub(super) message: &'static MessageType,
    pub(super) out: &'o mut Out,
    pub(super) strictness: Strictness,
}

/// Any value, which is only checked for syntax and depth.
pub(super) struct Skip {
    /// How many levels of arrays and objects it may have.
    pub(super) depth: usize,
}

/// One value of a field, or all of them.
struct FieldValue<'o> {
    field: &'static Field,
    out: &'o mut Out,
    depth: usize,
    strictness: Strictness,
}

/// A key of a message; `None` is one that it does not know.
struct Key {
    message: &'static MessageType,
    /// Where its field is, if keys are in order.
    guess: usize,
}

// --- messages

impl<'de> DeserializeSeed<'de> for TopMessage<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TopMessage<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Self { message, out, strictness } = self;
        read_message(message, map, out, DEPTH_MAX - 1, strictness)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Err(E::custom("Expecting a JSON object"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Err(E::custom("Expecting a JSON object"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Err(E::custom("Expecting a JSON object"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Err(E::custom("Expecting a JSON object"))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::custom("Expecting a JSON object"))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Err(E::custom("Expecting a JSON object"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom("Expecting a JSON object"))
    }
}

fn read_message<'de, A: MapAccess<'de>>(
    message: &'static MessageType,
    mut map: A,
    out: &mut Out,
    depth: usize,
    strictness: Strictness,
) -> Result<(), A::Error> {
    let clear = strictness == Strictness::WholeAndClear;
    let (mut met, mut set, mut groups, mut guess) = (0u64, 0u64, 0u64, 0);
    while let Some(place) = map.next_key_seed(Key { message, guess })? {
        let Some(place) = place else {
            map.next_value_seed(Skip { depth })?;
            continue;
        };
        let (field, bit) = (&message.fields()[place], 1u64 << place);
        let group = field.oneof().map_or(0, |group| 1 << group);
        if clear && (met & bit != 0 || groups & group != 0) {
            return Err(A::Error::custom("the last of equal keys wins"));
        }
        let before = out.bytes.len();
        map.next_value_seed(FieldValue { field, out, depth, strictness })?;
        met |= bit;
        groups |= group;
        set |= if out.bytes.len() > before { bit } else { 0 };
        guess = place + 1;
    }
    let whole = set & message.required() == message.required();
    if clear && !whole { Err(A::Error::custom("a required field is missing")) } else { Ok(()) }
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.message.place_of(key, self.guess))
    }
}

// --- values

impl<'de> DeserializeSeed<'de> for FieldValue<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FieldValue<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of field '{}'", self.field.name())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(()) // null is a field that is not set
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        if self.field.kind() == Kind::Bool {
            put_number(self.field, u64::from(value), &mut self.out.bytes);
            return Ok(());
        }
        Err(unexpected("boolean", self.field))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        put(self.field, Number::Whole(value), self.out)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        put(self.field, Number::from(value), self.out)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        put(self.field, Number::Float(value), self.out)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        put_text(self.field, text, self.out)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { field, out, depth, strictness } = self;
        if field.label() != Label::Repeated {
            return Err(unexpected("array", field));
        }
        let Some(depth) = depth.checked_sub(1) else { return Err(too_deep()) };
        while list.next_element_seed(FieldValue { field, out, depth, strictness })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { field, out, depth, strictness } = self;
        let Some(message) = field.message() else { return Err(unexpected("object", field)) };
        let Some(depth) = depth.checked_sub(1) else { return Err(too_deep()) };
        if field.label() == Label::Repeated {
            out.budget.spend(message).map_err(A::Error::custom)?;
        }
        let Some((key, value)) = field.map_entry() else {
            let start = open(field, &mut out.bytes);
            read_message(message, map, out, depth, strictness)?;
            close(start, &mut out.bytes);
            return Ok(());
        };
        while let Some(text) = map.next_key::<String>()? {
            let start = open(field, &mut out.bytes);
            put_text(key, &text, out)?;
            let before = out.bytes.len();
            map.next_value_seed(FieldValue { field: value, out, depth, strictness })?;
            if out.bytes.len() == before && strictness == Strictness::WholeAndClear {
                return Err(A::Error::custom("an entry without a value may not be whole"));
            }
            close(start, &mut out.bytes);
        }
        Ok(())
    }
}

fn unexpected<E: Error>(what: &str, field: &Field) -> E {
    E::custom(format_args!("Not expecting a JSON {what} for field '{}'", field.name()))
}

fn too_deep<E: Error>() -> E {
    E::custom(format_args!("nested deeper than {DEPTH_MAX} levels"))
}

fn put<E: Error>(field: &Field, number: Number, out: &mut Out) -> Result<(), E> {
    match field.kind() {
        Kind::Double => put_double(field, number.as_f64(), &mut out.bytes),
        Kind::Int64 => put_number(field, number.as_i64().cast_unsigned(), &mut out.bytes),
        Kind::Uint64 => put_number(field, number.as_u64(), &mut out.bytes),
        Kind::Int32 => {
            put_number(field, i64::from(number.as_i32()).cast_unsigned(), &mut out.bytes)
        }
        Kind::Uint32 => put_number(field, u64::from(number.as_u32()), &mut out.bytes),
        Kind::Bool | Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Message(_) => {
            return Err(unexpected("number", field));
        }
    }
    Ok(())
}

fn put_text<E: Error>(field: &Field, text: &str, out: &mut Out) -> Result<(), E> {
    match field.kind() {
        Kind::String => put_bytes(field, text.as_bytes(), &mut out.bytes),
        Kind::Bytes => put_bytes(field, &bytes_of(field, text)?, &mut out.bytes),
        Kind::Enum(_) => {
            let number = field.enumeration().and_then(|list| list.number_of(text));
            match number {
                Some(number) => {
                    put_number(field, i64::from(number).cast_unsigned(), &mut out.bytes)
                }
                None if field.label() == Label::Required => {
                    return Err(E::custom(format_args!("Failed to find enum for '{text}'")));
                }
                None => (), // a name of the future
            }
        }
        Kind::Bool => {
            let value: bool = serde_json::from_str(text)
                .map_err(|why| unreadable(field, "boolean", text, &why))?;
            put_number(field, u64::from(value), &mut out.bytes);
        }
        Kind::Double | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 => {
            let number = numbers::parse(text, field.kind() == Kind::Double)
                .map_err(|why| unreadable(field, "number", text, &why))?;
            put(field, number, out)?;
        }
        Kind::Message(_) => return Err(unexpected("string", field)),
    }
    Ok(())
}

fn unreadable<E: Error>(field: &Field, what: &str, text: &str, why: &serde_json::Error) -> E {
    let name = field.name();
    E::custom(format_args!("Failed to parse '{text}' as a JSON {what} for field '{name}': {why}"))
}

/// White space may stand anywhere in base64, as some break it into lines.
fn bytes_of<E: Error>(field: &Field, text: &str) -> Result<Vec<u8>, E> {
    let white = |c: char| c.is_ascii_whitespace() || c == '\x0b';
    let decoded = if text.contains(white) {
        BASE64.decode(text.replace(white, ""))
    } else {
        BASE64.decode(text)
    };
    let name = field.name();
    decoded.map_err(|why| {
        E::custom(format_args!("Failed to base64 decode bytes field '{name}': {why}"))
    })
}

// --- what is skipped

impl<'de> DeserializeSeed<'de> for Skip {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some(depth) = self.depth.checked_sub(1) else { return Err(too_deep()) };
        while list.next_element_seed(Self { depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some(depth) = self.depth.checked_sub(1) else { return Err(too_deep()) };
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(Self { depth })?;
        }
        Ok(())
    }
}
