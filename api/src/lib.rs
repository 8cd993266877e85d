//! The public v1 vocabulary as Rust types.
