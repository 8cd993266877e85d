//! An executor as its author writes it, and its process.

pub mod logic;
