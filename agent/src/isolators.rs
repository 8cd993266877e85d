//! The isolators of an agent's containers: those that its settings name, and behind them those of whoever uses this crate.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use containerizer::cgroups::logic::controller::Controller;
use containerizer::cgroups::{CgroupError, Hierarchies, hierarchies};
use containerizer::container::ContainerName;
use containerizer::disk::DiskUsage;
use containerizer::inside;
use containerizer::isolator::{ContainerPath, Isolator, Isolators, Known};
use containerizer::limits::ControlGroups;
use containerizer::limits::logic::Held;
use protocol::ids::ContainerId;

use crate::config::{AgentConfig, GroupSettings, StartError};

/// Those of the agent that lives in this folder.
pub(crate) fn open(config: &AgentConfig, work_dir: &Path) -> Result<Isolators, StartError> {
    let groups = config.groups.as_ref().map(|settings| groups(settings, work_dir));
    let groups = groups.transpose().map_err(StartError::Groups)?;
    let groups = groups.map(|groups| Arc::new(groups) as Arc<dyn Isolator>);
    let disk = config.disk.map(DiskUsage::start).transpose().map_err(StartError::Disk)?;
    let disk = disk.map(|disk| Arc::new(disk) as Arc<dyn Isolator>);
    let own = config.isolators.iter().cloned();
    Ok(Isolators::new(groups.into_iter().chain(disk).chain(own).collect()))
}

/// A life begins with these containers. Those that isolators know beside them are what a crash left.
pub(crate) fn recover(isolators: &Isolators, known: &[Known]) -> Result<(), StartError> {
    for left in isolators.recover(known).map_err(StartError::Isolators)? {
        tracing::warn!(container = %left, "ends what a crash left of a container");
        let undone = isolators.kill(&left).map(|()| isolators.clean_up(&left));
        for why in undone.unwrap_or_else(|why| vec![why]) {
            tracing::warn!(container = %left, %why, "the next life of this agent tries again");
        }
    }
    Ok(())
}

/// What is written into a container is in these: its sandbox, and where what it writes into its root lies beside the layers of its image.
pub(crate) fn folders(sandbox: &Path, records: &Path) -> [PathBuf; 2] {
    [sandbox.to_owned(), inside::written(records)]
}

/// As isolators know an executor's container.
pub(crate) fn id(container: &ContainerId) -> Result<ContainerPath, String> {
    ContainerName::new(container.as_str()).map(ContainerPath::of_executor)
}

fn groups(settings: &GroupSettings, work_dir: &Path) -> Result<ControlGroups, CgroupError> {
    let GroupSettings { root, isolators, hard_cpu } = settings;
    let wanted = [
        (isolators.cpu, Controller::Cpu),
        (isolators.memory, Controller::Memory),
        // All of a container are ended at once.
        (true, Controller::Freezer),
    ];
    let controllers: BTreeSet<_> =
        wanted.into_iter().filter(|(is, _)| *is).map(|(_, one)| one).collect();
    let place = crc32c::crc32c(work_dir.as_os_str().as_encoded_bytes());
    let settings = hierarchies::Settings {
        root: root.clone(),
        agent: format!("agent-{place:08x}"),
        below_own: false,
        controllers,
    };
    let hierarchies = Hierarchies::open(&hierarchies::look()?, &settings)?;
    let held = Held { cpu: isolators.cpu, memory: isolators.memory, hard_cpu: *hard_cpu };
    ControlGroups::held(&hierarchies, held)
}
