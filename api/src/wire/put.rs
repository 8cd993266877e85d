//! One field's bytes, led by its table.

use prost::encoding::{encode_varint, encoded_len_varint};

use crate::schema::Field;

/// A field that is a number, an enum's too.
pub(crate) fn put_number(field: &Field, number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(field.tag());
    encode_varint(number, out);
}

/// A field of eight bytes.
pub(crate) fn put_double(field: &Field, number: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(field.tag());
    out.extend_from_slice(&number.to_le_bytes());
}

/// A field that is bytes, text or a message.
pub(crate) fn put_bytes(field: &Field, bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(field.tag());
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Begins a message with one byte for its length; most are short.
pub(crate) fn open(field: &Field, out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(field.tag());
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
    let more = encoded_len_varint(length as u64) - 1;
    out.resize(out.len() + more, 0);
    out.copy_within(start..start + length, start + more);
    encode_varint(length as u64, &mut &mut out[start - 1..start + more]);
}
