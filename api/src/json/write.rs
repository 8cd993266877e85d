//! JSON texts of messages, made of their wire bytes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost::{Message, Name};

use super::numbers;
use crate::schema::{Field, Kind, Label, MessageType, message_of};
use crate::wire::{Cursor, Raw, enum_number};

/// Why walking prost's own bytes cannot fail.
const PROST_WROTE: &str = "prost wrote these bytes";

/// A message as JSON: one line without spaces, fields in the order of the schema.
pub fn write<M: Message + Name>(message: &M) -> String {
    let mut out = Vec::new();
    write_into(message, &mut out);
    String::from_utf8(out).expect("all texts of a message are UTF-8")
}

/// A message as JSON, behind whatever is there already.
pub fn write_into<M: Message + Name>(message: &M, out: &mut Vec<u8>) {
    let bytes = message.encode_to_vec();
    out.reserve(2 * bytes.len());
    Writer { out, spans: Vec::new() }.message(message_of::<M>(), &bytes);
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    /// For each field of the messages that are being written where it is in its message's bytes; nothing
    /// for one that is not set. A stack, so that no message allocates.
    spans: Vec<(usize, usize)>,
}

impl Writer<'_> {
    fn message(&mut self, message: &MessageType, bytes: &[u8]) {
        let base = self.spans.len();
        let mut wanted = self.find_spans(message, bytes) | message.written_unset();
        self.out.push(b'{');
        let inside = self.out.len();
        while wanted != 0 {
            let place = wanted.trailing_zeros() as usize;
            wanted &= wanted - 1;
            let field = &message.fields()[place];
            let (start, end) = self.spans[base + place];
            let before = self.out.len();
            if before > inside {
                self.out.push(b',');
            }
            self.out.extend_from_slice(field.key().as_bytes());
            if !self.field(field, &bytes[start..end]) {
                match field.unset_json() {
                    Some(default) => self.out.extend_from_slice(default.as_bytes()),
                    None => self.out.truncate(before),
                }
            }
        }
        self.out.push(b'}');
        self.spans.truncate(base);
    }

    /// Which fields are there, one bit for each place. Prost writes all values of a field one after the
    /// other.
    fn find_spans(&mut self, message: &MessageType, bytes: &[u8]) -> u64 {
        let (base, mut found) = (self.spans.len(), 0u64);
        self.spans.resize(base + message.fields().len(), (0, 0));
        let mut cursor = Cursor::new(bytes);
        while let Some(met) = cursor.next().expect(PROST_WROTE) {
            let Some(place) = message.place_of_number(met.number) else { continue };
            let span = &mut self.spans[base + place];
            if found & (1 << place) == 0 {
                span.0 = met.start;
            }
            span.1 = cursor.at();
            found |= 1 << place;
        }
        found
    }

    /// Whether there was anything to write.
    fn field(&mut self, field: &Field, span: &[u8]) -> bool {
        let mut cursor = Cursor::new(span);
        if field.label() != Label::Repeated {
            let met = cursor.next().expect(PROST_WROTE);
            return met.is_some_and(|met| self.value(field, met.raw));
        }
        let entry = field.map_entry();
        self.out.push(if entry.is_some() { b'{' } else { b'[' });
        let inside = self.out.len();
        while let Some(met) = cursor.next().expect(PROST_WROTE) {
            let before = self.out.len();
            if before > inside {
                self.out.push(b',');
            }
            let written = match entry {
                Some((key, value)) => self.entry(key, value, met.raw),
                None => self.value(field, met.raw),
            };
            if !written {
                self.out.truncate(before);
            }
        }
        let some = self.out.len() > inside;
        self.out.push(if entry.is_some() { b'}' } else { b']' });
        some
    }

    /// Prost leaves out keys and values that are empty.
    fn entry(&mut self, key: &Field, value: &Field, entry: Raw<'_>) -> bool {
        let Raw::Bytes(entry) = entry else { return false };
        let (mut name, mut content) = (empty(key), empty(value));
        let mut cursor = Cursor::new(entry);
        while let Some(met) = cursor.next().expect(PROST_WROTE) {
            *(if met.number == key.number() { &mut name } else { &mut content }) = met.raw;
        }
        let is_text = key.kind() == Kind::String;
        if !is_text {
            self.out.push(b'"');
        }
        self.value(key, name);
        self.out.extend_from_slice(if is_text { b":" } else { b"\":" });
        self.value(value, content)
    }

    /// Whether there was anything to write: an enum's number without a name is nothing.
    fn value(&mut self, field: &Field, raw: Raw<'_>) -> bool {
        match (field.kind(), raw) {
            (Kind::Bool, Raw::Varint(value)) => {
                self.out.extend_from_slice(if value == 0 { b"false" } else { b"true" });
            }
            (Kind::Int32 | Kind::Int64, Raw::Varint(value)) => self.digits(value.cast_signed()),
            (Kind::Uint32 | Kind::Uint64, Raw::Varint(value)) => self.digits(value),
            (Kind::Double, Raw::Eight(bytes)) => {
                numbers::write(f64::from_le_bytes(bytes), self.out)
            }
            (Kind::String, Raw::Bytes(text)) => self.text(text),
            (Kind::Bytes, Raw::Bytes(bytes)) => {
                let text = BASE64_STANDARD.encode(bytes);
                self.text(text.as_bytes());
            }
            (Kind::Enum(_), Raw::Varint(number)) => {
                let list = field.enumeration();
                let Some(name) = list.and_then(|list| list.name_of(enum_number(number))) else {
                    return false;
                };
                self.text(name.as_bytes());
            }
            (Kind::Message(_), Raw::Bytes(bytes)) => {
                let Some(message) = field.message() else { return false };
                self.message(message, bytes);
            }
            (_, Raw::Varint(_) | Raw::Eight(_) | Raw::Bytes(_) | Raw::Unknown) => return false,
        }
        true
    }

    fn digits(&mut self, number: impl itoa::Integer) {
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// A text in quotes, with escapes as Mesos writes them.
    fn text(&mut self, text: &[u8]) {
        self.out.push(b'"');
        let mut rest = text;
        let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
        while let Some(at) = rest.iter().position(special) {
            self.out.extend_from_slice(&rest[..at]);
            match rest[at] {
                b'\x08' => self.out.extend_from_slice(b"\\b"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'\x0c' => self.out.extend_from_slice(b"\\f"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                quoted @ (b'"' | b'\\') => self.out.extend_from_slice(&[b'\\', quoted]),
                control => self.out.extend_from_slice(format!("\\u{control:04X}").as_bytes()),
            }
            rest = &rest[at + 1..];
        }
        self.out.extend_from_slice(rest);
        self.out.push(b'"');
    }
}

/// What prost means by a key or value that it has left out.
fn empty(field: &Field) -> Raw<'static> {
    match field.kind() {
        Kind::String | Kind::Bytes => Raw::Bytes(&[]),
        Kind::Message(_) => Raw::Bytes(field.message().map_or(&[], MessageType::least)),
        Kind::Double => Raw::Eight([0; 8]),
        Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Enum(_) => {
            Raw::Varint(0)
        }
    }
}
