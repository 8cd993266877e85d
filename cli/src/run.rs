//! `airside run`: one command as a task, narrated.

mod narration;
mod scheduler;
