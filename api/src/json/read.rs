//! Messages of JSON texts.
//!
//! A text is read twice at most. At first as it streams, straight into wire bytes: what clients send is
//! good. When anything is wrong, or a key stands twice, it is read again into a tree of values, where
//! the last of equal keys has won and keys are in order, and which then says what is wrong: so an error
//! of syntax wins over one of shape wherever it stands, as in Mesos.

use prost::{Message, Name};
use serde::de::DeserializeSeed;
use serde_json::de::StrRead;
use serde_json::{Deserializer, Value};

use super::DEPTH_MAX;
use super::fields::{Out, Skip, Strictness, TopMessage};
use crate::schema::{MessageType, message_of};
use crate::wire;

/// Bytes of a text of which a tree is made to say what is wrong: a tree may be forty times as large as its text.
const CLOSELY_MAX: usize = 2 << 20;

/// Why a text is not the message that was asked for. Texts are those of Mesos, which says `Call` of
/// whatever it reads calls from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is no JSON: not UTF-8, too deep, followed by more, a number out of range.
    #[error("Failed to parse body into JSON: {0}")]
    Syntax(String),
    /// It is JSON, but not of this message.
    #[error("Failed to convert JSON into {message} protobuf: {why}")]
    Shape {
        /// The short name of the message.
        message: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// A message of its JSON text.
///
/// # Errors
///
/// If it is no JSON, or not that of this message: see [`ReadError`].
pub fn read<M: Message + Name + Default>(text: &[u8]) -> Result<M, ReadError> {
    let text = std::str::from_utf8(text).map_err(|why| ReadError::Syntax(why.to_string()))?;
    let shape = |why: String| ReadError::Shape { message: M::NAME, why };
    let message = message_of::<M>();
    let bytes = match read_fast(message, text) {
        Some(bytes) => bytes,
        None => read_closely(message, text, shape)?,
    };
    M::decode(bytes.as_slice()).map_err(|why| shape(why.to_string()))
}

/// The message's bytes, unless something is wrong or unclear.
fn read_fast(message: &'static MessageType, text: &str) -> Option<Vec<u8>> {
    let mut out = Out::of(text.len());
    let mut source = deserializer(text);
    let seed = TopMessage { message, out: &mut out, strictness: Strictness::WholeAndClear };
    seed.deserialize(&mut source).ok()?;
    source.end().ok()?;
    Some(out.bytes)
}

fn read_closely(
    message: &'static MessageType,
    text: &str,
    shape: impl Fn(String) -> ReadError,
) -> Result<Vec<u8>, ReadError> {
    if text.len() > CLOSELY_MAX {
        return Err(shape(format!(
            "something is wrong with this text of {} bytes, and one of more than {CLOSELY_MAX} is not looked at closely",
            text.len()
        )));
    }
    let value = parse(text).map_err(|why| ReadError::Syntax(why.to_string()))?;
    let mut out = Out::of(text.len());
    let seed = TopMessage { message, out: &mut out, strictness: Strictness::AsFarAsItGoes };
    seed.deserialize(&value).map_err(|why| shape(why.to_string()))?;
    let missing = wire::missing(message, &out.bytes);
    if missing.is_empty() {
        return Ok(out.bytes);
    }
    Err(shape(format!("Missing required fields: {}", missing.join(", "))))
}

/// The tree of a text, which is looked over first: a deep one would overflow the stack.
fn parse(text: &str) -> serde_json::Result<Value> {
    let mut source = deserializer(text);
    Skip { depth: DEPTH_MAX }.deserialize(&mut source)?;
    source.end()?;
    serde::Deserialize::deserialize(&mut deserializer(text))
}

/// Without serde's own limit of depth: ours is counted as Mesos counts.
fn deserializer(text: &str) -> Deserializer<StrRead<'_>> {
    let mut source = Deserializer::from_str(text);
    source.disable_recursion_limit();
    source
}
