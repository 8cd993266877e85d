//! The `airside` command.
fn main() {}
