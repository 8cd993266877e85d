//! Stories: what people see, told with real processes of the real binary.

mod bad_input;
mod deaths;
mod demo;
mod first_hour;
mod nodes;
mod tasks;
