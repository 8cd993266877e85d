//! Values of one's own in messages, task data and statuses, in the same form as all else on the wire. Both sides must be
//! built from the same types; change them only by appending variants.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most bytes of one value.
pub const BYTES_MAX: usize = 4 << 20;

/// Why a value could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypedError {
    /// It is too large to be sent in one piece.
    #[error("write a {of}: more than {BYTES_MAX} bytes")]
    TooLarge {
        /// The type.
        of: &'static str,
    },
    /// The bytes are not of the type.
    #[error("read {bytes} bytes as a {of}")]
    NotOne {
        /// The type.
        of: &'static str,
        /// How many there were.
        bytes: usize,
    },
}

/// Writes a value.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, TypedError> {
    let of = std::any::type_name::<T>();
    libactor::wire::encode(value, BYTES_MAX).map_err(|_| TypedError::TooLarge { of })
}

/// Reads a value; bytes that are left over are an error.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, TypedError> {
    let of = std::any::type_name::<T>();
    libactor::wire::decode(bytes).map_err(|_| TypedError::NotOne { of, bytes: bytes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_and_what_is_none_is_refused() {
        let value = ("words".to_owned(), 7u64);
        let mut bytes = encode(&value).unwrap();
        assert_eq!(decode::<(String, u64)>(&bytes), Ok(value));
        bytes.push(0);
        assert!(matches!(decode::<(String, u64)>(&bytes), Err(TypedError::NotOne { .. })));
        assert!(matches!(encode(&vec![0u8; BYTES_MAX]), Err(TypedError::TooLarge { .. })));
    }
}
