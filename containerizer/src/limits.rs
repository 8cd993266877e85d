//! The isolator of control groups: a container's group is made with its limits before it starts, its init is put into it while
//! it waits, and it is removed once the container is gone.

use std::time::Duration;

use nix::unistd::Pid;

use crate::cgroups::logic::limits::Limits;
use crate::cgroups::logic::path::GroupPath;
use crate::cgroups::{CgroupError, Group, Hierarchies};
use crate::container::{Container, ContainerName};
use crate::isolation::Isolator;
use crate::launcher::Handed;
use crate::runtime::Folder;

/// After that a group whose processes were killed is left to be tried again.
const REMOVE_TIME_MAX: Duration = Duration::from_secs(5);

/// Of one container.
#[derive(Debug)]
pub struct Limited {
    hierarchies: Hierarchies,
    path: GroupPath,
    limits: Limits,
    group: Option<Group>,
    /// Its init begins in it: there is nothing to be put in.
    begun_in: bool,
}

impl Limited {
    /// With these limits. What is found of a container is cleaned up with any.
    ///
    /// # Errors
    /// The name cannot be a group's.
    pub fn new(
        hierarchies: &Hierarchies,
        name: &ContainerName,
        limits: Limits,
    ) -> Result<Self, String> {
        let path = GroupPath::top(name.as_str()).map_err(|error| error.to_string())?;
        let hierarchies = hierarchies.clone();
        Ok(Self { hierarchies, path, limits, group: None, begun_in: false })
    }

    fn found(&self) -> Result<Option<Group>, String> {
        match self.hierarchies.group(&self.path) {
            Ok(group) => Ok(Some(group)),
            Err(CgroupError::Gone(_)) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Isolator for Limited {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn prepare(&mut self, _folder: &Folder, _container: &mut Container) -> Result<(), String> {
        let made = self.hierarchies.create(&self.path, &self.limits);
        self.group = Some(made.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn hand(&mut self, handed: &mut Handed) -> Result<(), String> {
        let Some(group) = &self.group else { return Ok(()) };
        handed.group = group.folder_for_clone().map_err(|error| error.to_string())?;
        self.begun_in = handed.group.is_some();
        Ok(())
    }

    fn isolate(&mut self, process: Pid) -> Result<(), String> {
        match &self.group {
            Some(group) if !self.begun_in => {
                group.attach(process).map_err(|error| error.to_string())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn kill(&mut self, _folder: &Folder) -> Result<(), String> {
        // What was started by this process is gone with its init, unless somebody else was put into the group.
        match (&self.group, self.found()?) {
            (None, Some(group)) => group.kill().map_err(|error| error.to_string()),
            (Some(_), _) | (None, None) => Ok(()),
        }
    }

    fn clean_up(&mut self, _folder: &Folder) -> Result<(), String> {
        match self.found()? {
            Some(group) => group.destroy(REMOVE_TIME_MAX).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }
}
