//! The protobuf encoding, where prost's own is not what Mesos's clients expect: reading insists on
//! required fields at every depth, and writing leaves out none of them.
//!
//! Unknown fields are skipped. Messages within one another are read down to a depth of 100, and no more memory is taken than a
//! message of that many bytes may need.

mod budget;
mod cursor;
mod parts;
mod put;

use prost::{Message, Name};

pub use budget::TooHeavy;
pub use parts::Parts;

pub(crate) use budget::Budget;
pub(crate) use cursor::{Cursor, Met, Raw};
pub(crate) use put::{close, open, put_bytes, put_double, put_number};

use crate::schema::{Field, Kind, Label, MessageType, message_of};
use cursor::Malformed;

/// As deep as messages may be within the outermost: what prost reads.
const DEPTH_MAX: usize = 100;

/// Why bytes are not the message that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// They are no message, or one that is too deep.
    #[error("not a protobuf message: {0}")]
    Malformed(String),
    /// They are few, and would take much memory.
    #[error(transparent)]
    TooHeavy(#[from] TooHeavy),
    /// It lacks what it must have: paths to fields, separated by commas.
    #[error("Missing required fields: {0}")]
    Missing(String),
}

/// A message of its bytes.
///
/// # Errors
///
/// If they are no message of this type, or required fields are missing at any depth.
pub fn read<M: Message + Name + Default>(bytes: &[u8]) -> Result<M, ReadError> {
    let of = message_of::<M>();
    let mut walk = Walk { complete: true, budget: Budget::of(bytes.len()), depth: DEPTH_MAX };
    walk.message(of, bytes)?;
    let message = M::decode(bytes).map_err(|why| ReadError::Malformed(why.to_string()))?;
    let missing = if walk.complete { Vec::new() } else { missing(of, bytes) };
    if missing.is_empty() { Ok(message) } else { Err(ReadError::Missing(missing.join(", "))) }
}

/// A message's bytes. Prost leaves out the value of a map's entry when it is nothing but defaults, though
/// it may have required fields, without which other readers refuse the whole; here it is put in.
pub fn write<M: Message + Name>(message: &M) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    let of = message_of::<M>();
    let mut walk = Walk { complete: true, budget: Budget::of(usize::MAX), depth: DEPTH_MAX };
    if walk.message(of, &bytes).is_ok() && walk.complete {
        return bytes;
    }
    let mut out = Vec::with_capacity(2 * bytes.len());
    complete(of, &bytes, &mut out);
    out
}

/// Copies a message with the values that are left out of its maps.
fn complete(message: &'static MessageType, bytes: &[u8], out: &mut Vec<u8>) {
    let (mut cursor, mut seen) = (Cursor::new(bytes), 0u64);
    while let Some(met) = cursor.next().expect("prost wrote these bytes") {
        let place = message.place_of_number(met.number).expect("prost knows no other fields");
        let field = &message.fields()[place];
        seen |= 1 << place;
        let (Some(inner), Raw::Bytes(value)) = (field.message(), met.raw) else {
            out.extend_from_slice(&bytes[met.start..cursor.at()]);
            continue;
        };
        let start = open(field, out);
        complete(inner, value, out);
        close(start, out);
    }
    if message.is_map_entry()
        && seen & 0b10 == 0
        && let [_, value] = message.fields()
        && let Some(inner) = value.message()
    {
        put_bytes(value, inner.least(), out);
    }
}

/// Paths to the required fields that bytes, which are a message, do not have. Those of an outer
/// message come before those of the messages in it, as Mesos lists them.
pub(crate) fn missing(message: &'static MessageType, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    list(message, bytes, "", &mut found);
    found
}

/// One look at all messages within one, before they are made.
struct Walk {
    /// Whether all is there that must be. `false` is also said of a message that comes in several pieces,
    /// which may complete one another: those are rare, and [`list`] looks closer.
    complete: bool,
    budget: Budget,
    /// How many more messages may be within this one.
    depth: usize,
}

impl Walk {
    fn message(&mut self, message: &'static MessageType, bytes: &[u8]) -> Result<(), ReadError> {
        let (mut seen, mut cursor) = (0u64, Cursor::new(bytes));
        while let Some(met) = cursor.next()? {
            let Some(place) = message.place_of_number(met.number) else { continue };
            let (field, bit) = (&message.fields()[place], 1 << place);
            if let (Some(inner), Raw::Bytes(bytes)) = (field.message(), met.raw) {
                if field.label() == Label::Repeated {
                    self.budget.spend(inner)?;
                } else {
                    self.complete &= seen & bit == 0;
                }
                self.depth = self.depth.checked_sub(1).ok_or_else(too_deep)?;
                self.message(inner, bytes)?;
                self.depth += 1;
            }
            seen = if is_known(field, &met) { seen | bit } else { seen & !bit };
        }
        self.complete &= seen & message.required() == message.required();
        self.complete &= !message.is_map_entry() || seen == 0b11;
        Ok(())
    }
}

fn too_deep() -> ReadError {
    ReadError::Malformed(format!("messages are nested deeper than {DEPTH_MAX} levels"))
}

impl From<Malformed> for ReadError {
    fn from(_: Malformed) -> Self {
        Self::Malformed("it is cut off, or has a field that is none".into())
    }
}

/// A number that an enum does not have is as good as none: old readers of it see nothing.
fn is_known(field: &Field, met: &Met<'_>) -> bool {
    match (field.enumeration(), met.raw) {
        (Some(list), Raw::Varint(number)) => list.name_of(enum_number(number)).is_some(),
        (Some(_) | None, _) => true,
    }
}

/// Enums are numbers of 32 bits, and longer when they are negative.
#[expect(clippy::cast_possible_truncation, reason = "protobuf cuts them off, too")]
pub(crate) fn enum_number(varint: u64) -> i32 {
    varint as i32
}

fn list(message: &'static MessageType, bytes: &[u8], path: &str, found: &mut Vec<String>) {
    let (mut seen, mut inner) = (0u64, Vec::new());
    let mut cursor = Cursor::new(bytes);
    while let Ok(Some(met)) = cursor.next() {
        let Some(place) = message.place_of_number(met.number) else { continue };
        let field = &message.fields()[place];
        if let (Kind::Message(_), Raw::Bytes(bytes)) = (field.kind(), met.raw) {
            inner.push((met.number, field, bytes));
        }
        seen = if is_known(field, &met) { seen | 1 << place } else { seen & !(1 << place) };
    }
    let absent = |place: &usize| message.required() & !seen & (1 << place) != 0;
    let absent = (0..message.fields().len()).filter(absent);
    found.extend(absent.map(|place| format!("{path}{}", message.fields()[place].name())));
    if let [_, value] = message.fields()
        && message.is_map_entry()
        && inner.is_empty()
    {
        inner.push((value.number(), value, &[]));
    }
    inner.sort_by_key(|(number, ..)| *number); // those of one number stay in their order
    for pieces in inner.chunk_by(|one, next| one.0 == next.0) {
        let field = pieces[0].1;
        let Some(message) = field.message() else { continue };
        if field.label() == Label::Repeated {
            for (at, (.., bytes)) in pieces.iter().enumerate() {
                list(message, bytes, &format!("{path}{}[{at}].", field.name()), found);
            }
        } else {
            let whole: Vec<&[u8]> = pieces.iter().map(|(.., bytes)| *bytes).collect();
            list(message, &whole.concat(), &format!("{path}{}.", field.name()), found);
        }
    }
}
