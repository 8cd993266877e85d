//! One field's bytes, led by its table.

use prost::encoding::encode_varint;

use crate::schema::{Field, Kind};

/// What comes before the value of a field.
pub(crate) fn put_tag(field: &Field, out: &mut Vec<u8>) {
    let wire_type = match field.kind() {
        Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Enum(_) => 0,
        Kind::Double => 1,
        Kind::String | Kind::Bytes | Kind::Message(_) => 2,
    };
    encode_varint(u64::from(field.number()) << 3 | wire_type, out);
}

/// A field that is a number, an enum's too.
pub(crate) fn put_number(field: &Field, number: u64, out: &mut Vec<u8>) {
    put_tag(field, out);
    encode_varint(number, out);
}

/// A field of eight bytes.
pub(crate) fn put_double(field: &Field, number: f64, out: &mut Vec<u8>) {
    put_tag(field, out);
    out.extend_from_slice(&number.to_le_bytes());
}

/// A field that is bytes, text or a message.
pub(crate) fn put_bytes(field: &Field, bytes: &[u8], out: &mut Vec<u8>) {
    put_tag(field, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Begins a message with one byte for its length; most are short.
pub(crate) fn open(field: &Field, out: &mut Vec<u8>) -> usize {
    put_tag(field, out);
    out.push(0);
    out.len()
}

/// Ends the message that begins at `start`: its length is known now. If it is long, it is moved.
pub(crate) fn close(start: usize, out: &mut Vec<u8>) {
    let length = out.len() - start;
    if let Ok(short @ 0..0x80) = u8::try_from(length) {
        out[start - 1] = short;
        return;
    }
    let mut prefix = Vec::with_capacity(10);
    encode_varint(length as u64, &mut prefix);
    out.splice(start - 1..start, prefix);
}
