//! Data that is carried but not decided on: the protobuf bytes of its v1 type, kept verbatim.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use prost::Message;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The encoded form of a `T`. Decoded once, where it is used, so that fields we do not know survive the journey.
pub struct Carried<T> {
    /// `None` if there are none: most have none, and a million of those need no memory.
    bytes: Option<Arc<[u8]>>,
    of: PhantomData<fn() -> T>,
}

/// The bytes of a [`Carried`] value are not a `T`.
#[derive(Debug, thiserror::Error)]
#[error("failed to decode {bytes} carried bytes as {of}")]
pub struct BadCarried {
    bytes: usize,
    of: &'static str,
    source: prost::DecodeError,
}

impl<T: Message + Default> Carried<T> {
    /// Encodes `value`.
    pub fn new(value: &T) -> Self {
        Self::from_bytes(value.encode_to_vec())
    }

    /// The value; an error if the bytes are no `T`.
    pub fn decode(&self) -> Result<T, BadCarried> {
        let of = std::any::type_name::<T>();
        let bytes = self.as_bytes();
        T::decode(bytes).map_err(|source| BadCarried { bytes: bytes.len(), of, source })
    }
}

impl<T> Carried<T> {
    /// Takes bytes as they came from outside.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        let bytes = (!bytes.is_empty()).then(|| bytes.into());
        Self { bytes, of: PhantomData }
    }

    /// The bytes as they came.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}

impl<T> Default for Carried<T> {
    fn default() -> Self {
        Self::from_bytes(Vec::new())
    }
}

impl<T> Clone for Carried<T> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), of: PhantomData }
    }
}

impl<T> PartialEq for Carried<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T> Eq for Carried<T> {}

impl<T> fmt::Debug for Carried<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.as_bytes().len())
    }
}

impl<T> Serialize for Carried<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_bytes())
    }
}

impl<'de, T> Deserialize<'de> for Carried<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<u8>::deserialize(deserializer).map(Self::from_bytes)
    }
}

#[cfg(test)]
mod tests {
    use api::v1;
    use libactor::wire;

    use super::*;

    /// What a later version may say: a field that this one has no name for, between two that it knows.
    fn with_an_unknown_field() -> Vec<u8> {
        let key = b"\x0a\x03key";
        let unknown = b"\xfa\x07\x05later"; // field 127, length-delimited
        let value = b"\x12\x05value";
        [&key[..], unknown, value].concat()
    }

    #[test]
    fn fields_that_nobody_here_knows_survive_the_journey() {
        let sent: Carried<v1::Label> = Carried::from_bytes(with_an_unknown_field());
        let on_the_wire = wire::encode(&sent, 1 << 10).expect("it is short");
        let arrived: Carried<v1::Label> = wire::decode(&on_the_wire).expect("it is whole");
        assert_eq!(arrived.as_bytes(), with_an_unknown_field());
        assert_eq!(wire::encode(&arrived, 1 << 10).expect("it is short"), on_the_wire);
        let label = arrived.decode().expect("what is not known is passed over");
        assert_eq!((label.key.as_str(), label.value.as_deref()), ("key", Some("value")));
        assert_ne!(Carried::new(&label), arrived, "made anew it would have lost the field");
    }
}
