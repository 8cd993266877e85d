//! Random messages. Chance is an argument: words that a test makes as it likes.

use crate::schema::{Field, Kind, Label, MessageType, schema};
use crate::wire::{put_bytes, put_double, put_number};

/// Messages are no deeper than this, unless required ones are.
const DEPTH_MAX: usize = 4;

/// The wire bytes of a message with random fields, required ones always among them. The same words
/// make the same message; when they are used up, no more optional fields are set. `None` if there is no
/// message of this full name.
///
/// Numbers are finite, and such as JSON keeps. A field whose default JSON writes unasked is always set,
/// so that a message comes back from JSON the same. Of a group of which one field is set, one is.
pub fn random(full_name: &str, words: &[u64]) -> Option<Vec<u8>> {
    let mut chance = Chance { words: words.iter() };
    let mut out = Vec::new();
    chance.message(schema().message(full_name)?, 0, &mut out);
    Some(out)
}

struct Chance<'w> {
    words: std::slice::Iter<'w, u64>,
}

impl Chance<'_> {
    /// The next word; zeros after the last.
    fn next(&mut self) -> u64 {
        self.words.next().copied().unwrap_or(0)
    }

    fn message(&mut self, message: &'static MessageType, depth: usize, out: &mut Vec<u8>) {
        // Few fields of many, or a message of the third level would be as large as the words last.
        let odds = 2 + message.fields().len() as u64 / 8 + depth as u64;
        let mut groups = 0u64;
        for field in message.fields() {
            let group = field.oneof().map_or(0, |group| 1 << group);
            let wanted = self.next() % odds == 1 && groups & group == 0;
            let times = match field.label() {
                Label::Required => 1,
                Label::Optional if field.unset_json().is_some() => 1,
                _ if depth >= DEPTH_MAX || !wanted => 0,
                Label::Optional => 1,
                Label::Repeated => 1 + self.next() % 3,
            };
            if times > 0 {
                groups |= group;
            }
            for time in 0..times {
                self.field(field, time, depth, out);
            }
        }
    }

    /// The key of an entry counts: equal keys would be one entry.
    fn field(&mut self, field: &'static Field, time: u64, depth: usize, out: &mut Vec<u8>) {
        let Some((name, value)) = field.map_entry() else { return self.value(field, depth, out) };
        let mut entry = Vec::new();
        let key = format!("{}{time}", self.text());
        put_bytes(name, key.as_bytes(), &mut entry);
        self.value(value, depth + 1, &mut entry);
        put_bytes(field, &entry, out);
    }

    fn value(&mut self, field: &'static Field, depth: usize, out: &mut Vec<u8>) {
        match field.kind() {
            Kind::Bool => put_number(field, self.next() & 1, out),
            Kind::Int32 => {
                let number = self.half().cast_signed();
                put_number(field, i64::from(number).cast_unsigned(), out);
            }
            Kind::Uint32 => put_number(field, u64::from(self.half()), out),
            Kind::Int64 => put_number(field, self.whole(), out),
            // JSON has no larger ones that are exact.
            Kind::Uint64 => put_number(field, self.whole() >> 1, out),
            Kind::Double => put_double(field, self.double(), out),
            Kind::String => put_bytes(field, self.text().as_bytes(), out),
            Kind::Bytes => {
                let bytes = self.next().to_le_bytes();
                put_bytes(field, &bytes[..usize::from(bytes[0] % 8)], out);
            }
            Kind::Enum(_) => {
                let values = field.enumeration().expect("it is of one").values();
                let (_, number) = values[self.below(values.len())];
                put_number(field, i64::from(number).cast_unsigned(), out);
            }
            Kind::Message(_) => {
                let mut inner = Vec::new();
                self.message(field.message().expect("it holds one"), depth + 1, &mut inner);
                put_bytes(field, &inner, out);
            }
        }
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below what is one")
    }

    /// Small, large and extreme ones.
    fn whole(&mut self) -> u64 {
        let word = self.next();
        match word % 4 {
            0 => word % 100,
            1 => u64::MAX - word % 100,
            2 => (i64::MAX as u64).wrapping_add(word % 3),
            _ => self.next(),
        }
    }

    /// The lower half of one of those.
    fn half(&mut self) -> u32 {
        u32::try_from(self.whole() & u64::from(u32::MAX)).expect("so many bits are left")
    }

    fn double(&mut self) -> f64 {
        let word = self.next();
        let any = f64::from_bits(self.next());
        match word % 3 {
            0 => (word % 100_000) as f64 / 1000.0,
            1 if any.is_finite() => any,
            _ => word as f64,
        }
    }

    /// With all that has to be written in a special way.
    fn text(&mut self) -> String {
        const PIECES: [&str; 10] = [
            "a",
            "role/x",
            "\"",
            "\\",
            "\n\t\r\u{8}\u{c}",
            "\u{0}\u{1f}\u{7f}",
            "é",
            "日本",
            "😀",
            "/",
        ];
        let count = self.below(4);
        (0..count).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }
}
