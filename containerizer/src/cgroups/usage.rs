//! Reads what a container uses, and whether it ran out of memory, from the files of its group.

use nix::errno::Errno;

use super::error::CgroupError;
use super::files;
use super::group::{Group, failed_read};
use super::hierarchies::{Tree, folders};
use super::logic::controller::{Controller, Version};
use super::logic::path::NESTED;
use super::logic::usage::{OutOfMemory, SOURCES_V1, SOURCES_V2, Source, Usage};

impl Group {
    /// What it uses, with all that is nested in it. What this kernel does not count, or no controller of the agent's, is left
    /// out.
    pub fn usage(&self) -> Result<Usage, CgroupError> {
        let sources: &[Source] = match self.hierarchies.version() {
            Version::V1 => &SOURCES_V1,
            Version::V2 => &SOURCES_V2,
        };
        let mut usage = Usage::default();
        let (mut name, mut text) = (String::new(), String::new());
        let mut was_there = false;
        for (controller, file, read) in sources {
            let Some(tree) = self.hierarchies.tree(*controller) else {
                continue;
            };
            self.name(&mut name, file);
            match files::read_file(tree, &name, &mut text) {
                Ok(()) => {
                    read(&mut usage, &text);
                    was_there = true;
                }
                // Not in this kernel, or switched off in it.
                Err(Errno::ENOENT | Errno::EOPNOTSUPP) => {}
                Err(Errno::ENODEV) => return Err(CgroupError::Gone(self.path.clone())),
                Err(source) => return Err(failed_read(tree, &name, source)),
            }
        }
        if !was_there && !self.is_there() {
            return Err(CgroupError::Gone(self.path.clone()));
        }
        Ok(usage)
    }

    /// Whether it, or what is nested in it, ran out of memory since it was made. It remembers that after the end of all its
    /// processes, for an agent that was away.
    pub fn out_of_memory(&self) -> Result<OutOfMemory, CgroupError> {
        let tree = self.hierarchies.needed(Controller::Memory)?;
        match self.hierarchies.version() {
            Version::V1 => out_of_memory_v1(tree, self.path.as_str()),
            Version::V2 => {
                Ok(OutOfMemory::read_v2(&self.read(Controller::Memory, "memory.events")?.1))
            }
        }
    }
}

/// A kill for the limit of a group is counted where the killed process was, which may be a nested one.
fn out_of_memory_v1(tree: &Tree, folder: &str) -> Result<OutOfMemory, CgroupError> {
    let read = |file: &str| {
        let name = format!("{folder}/{file}");
        let mut text = String::new();
        let read = files::read_file(tree, &name, &mut text);
        read.map(|()| text).map_err(|source| failed_read(tree, &name, source))
    };
    let mut all = OutOfMemory::read_v1(&read("memory.oom_control")?, &read("memory.failcnt")?);
    for name in folders(&tree.path.join(folder).join(NESTED))? {
        match out_of_memory_v1(tree, &format!("{folder}/{NESTED}/{name}")) {
            Ok(nested) => all = all.and(nested),
            Err(CgroupError::Read { source: Errno::ENOENT | Errno::ENODEV, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}
