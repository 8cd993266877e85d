//! Counts how often memory became short for a container, at the three levels of version 1. Version 2 counts the time instead,
//! in [`super::logic::usage::Usage::pressure`].

use nix::errno::Errno;
use nix::sys::eventfd::EventFd;

use super::error::CgroupError;
use super::group::Group;
use super::logic::controller::Version;
use super::oom::event_of;

/// Counters of one container since they were made.
#[derive(Debug)]
pub struct PressureCounters {
    group: Group,
    events: [EventFd; 3],
    counts: MemoryPressure,
}

/// How often memory was short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryPressure {
    /// The kernel takes back what nobody used lately.
    pub low: u64,
    /// It writes to swap, and takes back what is in use.
    pub medium: u64,
    /// It is about to kill.
    pub critical: u64,
}

impl Group {
    /// Begins to count; `None` in version 2.
    pub fn count_pressure(&self) -> Result<Option<PressureCounters>, CgroupError> {
        let Version::V1 = self.hierarchies.version() else {
            return Ok(None);
        };
        let event = |level| event_of(self, "memory.pressure_level", level);
        let events = [event("low")?, event("medium")?, event("critical")?];
        let group = self.clone();
        Ok(Some(PressureCounters { group, events, counts: MemoryPressure::default() }))
    }
}

impl PressureCounters {
    /// All so far.
    pub fn counts(&mut self) -> Result<MemoryPressure, CgroupError> {
        let MemoryPressure { low, medium, critical } = &mut self.counts;
        for (event, count) in self.events.iter().zip([low, medium, critical]) {
            match event.read() {
                Ok(more) => *count = count.saturating_add(more),
                Err(Errno::EAGAIN) => {}
                Err(source) => return Err(self.group.failed_watch("memory", source.into())),
            }
        }
        Ok(self.counts)
    }
}
