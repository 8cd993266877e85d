//! Mesos's JSON mapping of messages, which is not protobuf's own: names of fields as the schema has
//! them, 64-bit numbers as numbers, defaults written out, and much forgiven when it is read.
//!
//! Both directions go through the wire format and the tables of [`crate::schema`]: no message has code
//! of its own here.

mod fields;
mod numbers;
mod read;
mod write;

pub use read::{ReadError, read};
pub use write::{write, write_into};

/// As deep as arrays and objects may be within one another; one more is a syntax error.
pub const DEPTH_MAX: usize = 200;
