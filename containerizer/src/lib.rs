//! What runs on a machine, from outside: programs that are started by another's hand, processes that are looked at, and
//! how one process sees that another is gone. For agents and executors alike; it knows nothing of offers and masters.

pub mod cgroups;
pub mod lifeline;
pub mod look;
pub mod records;
pub mod start;
pub mod watch;
