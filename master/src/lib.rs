//! The master of a cluster: who is there, who gets what, and what became of it.
//!
//! Reading order: [`logic`] is the index of all that a master reacts to; below it one file for each peer and each book.
//! [`logic::allocator`] proposes, the master decides; [`logic::registry`] is what survives.

pub mod config;
pub mod logic;
pub mod records;
