//! What is decided about control groups, and how the kernel's words are read: values in, values out.

pub mod controller;
pub mod devices;
pub mod found;
pub mod janitor;
pub mod limits;
pub mod path;
pub mod program;
pub mod usage;
pub mod writes;
