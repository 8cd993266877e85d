//! What is fetched from where, and what is kept for how long. Pure.

pub mod cache;
pub mod plan;

pub use plan::{Fetch, Plain, Source, Unpack};
