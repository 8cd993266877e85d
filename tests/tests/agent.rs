//! Stories of one agent with real executors and real processes, told by a master that does what the story says.

#[path = "agent/endings.rs"]
mod endings;
#[path = "agent/running.rs"]
mod running;
#[path = "agent/stage.rs"]
mod stage;
