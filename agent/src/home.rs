//! What an agent keeps in its work directory so that executors find its next life and are known there: its address, what
//! the secrets that it lends come from, and a folder for each executor in which is written down how what it ran has ended.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use containerizer::inside;
use containerizer::records::{self, Ended};
use containerizer::remove::remove_tree;
use images::Digest;
use libactor::Lender;
use protocol::ids::ContainerId;

use crate::checkpoint::CheckpointError;
use crate::logic::Checkpoint;

/// What the secrets that the node of an agent lends come from: the same in each life, so that executors reach the next.
pub fn lender(work_dir: &Path) -> Result<Lender, CheckpointError> {
    let path = work_dir.join("agent.lender");
    std::fs::create_dir_all(work_dir)
        .map_err(|source| CheckpointError::Make { path: work_dir.to_owned(), source })?;
    match std::fs::read(&path).map(TryInto::try_into) {
        Ok(Ok(root)) => return Ok(Lender::kept(root)),
        // With another one all executors of the former life would be kept out.
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(CheckpointError::Read { path, source });
        }
        Ok(Err(_)) | Err(_) => {}
    }
    let unwritable = |source| CheckpointError::Write { path: work_dir.to_owned(), source };
    let lender = Lender::new().map_err(|error| unwritable(io::Error::other(error.to_string())))?;
    put(&path, lender.reveal(), 0o600).map_err(unwritable)?;
    Ok(lender)
}

/// Whole or not at all.
fn put(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = path.with_extension("new");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

/// Where executors look, and where they write.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    work_dir: PathBuf,
}

impl Home {
    pub(crate) fn at(work_dir: &Path) -> Self {
        Self { work_dir: work_dir.to_owned() }
    }

    /// Where executors that lost the agent read where it is now; also those of other users.
    pub(crate) fn address_file(&self) -> PathBuf {
        self.work_dir.join("agent.address")
    }

    pub(crate) fn say_address(&self, address: SocketAddr) -> Result<(), CheckpointError> {
        put(&self.address_file(), format!("{address}\n").as_bytes(), 0o644)
            .map_err(|source| CheckpointError::Write { path: self.work_dir.clone(), source })
    }

    /// For the agent's own user alone: what is in it is believed.
    pub(crate) fn records(&self, container: &ContainerId) -> PathBuf {
        self.work_dir.join("containers").join(container.as_str())
    }

    pub(crate) fn make_records(&self, container: &ContainerId) -> io::Result<PathBuf> {
        let path = self.records(container);
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(path)
    }

    pub(crate) fn ended(&self, container: &ContainerId) -> Option<Ended> {
        records::read(&self.records(container))
    }

    /// A life that dies right after it noted an executor's end leaves what that wrote down.
    pub(crate) fn drop_records_but(&self, known: &Checkpoint) {
        let folders = self.work_dir.join("containers").read_dir().into_iter().flatten().flatten();
        let names = folders.filter_map(|folder| folder.file_name().into_string().ok());
        for container in names.map(ContainerId::new) {
            if !known.executors.contains_key(&container) {
                self.drop_records(&container);
            }
        }
    }

    /// With what is left of its container; but nothing that is mounted somewhere.
    pub(crate) fn drop_records(&self, container: &ContainerId) {
        let records = self.records(container);
        let removed = inside::clear(&records)
            .and_then(|()| remove_tree(&records).map_err(|error| error.to_string()));
        if let Err(why) = removed {
            tracing::warn!(%container, %why, "could not remove an executor's records");
        }
    }

    /// The layers of images that containers use, whichever life of the agent started them.
    pub(crate) fn layers_in_use(&self) -> BTreeSet<Digest> {
        let folders = self.work_dir.join("containers").read_dir().into_iter().flatten().flatten();
        let layers = folders.flat_map(|folder| inside::layers(&folder.path()));
        layers.filter_map(|layer| layer.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn records_of_executors_that_are_not_known_any_more_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        home.drop_records_but(&Checkpoint::default());
        let (known, ended) = (ContainerId::new("known"), ContainerId::new("ended"));
        for container in [&known, &ended] {
            home.make_records(container).unwrap();
        }
        let mut checkpoint = Checkpoint::default();
        checkpoint.apply(crate::logic::Record::ExecutorStarting(known.clone()));
        home.drop_records_but(&checkpoint);
        assert!(home.records(&known).exists() && !home.records(&ended).exists());
    }

    #[test]
    fn what_secrets_come_from_is_kept_and_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let work_dir = dir.path().join("agent");
        let first = *lender(&work_dir).unwrap().reveal();
        assert_eq!(*lender(&work_dir).unwrap().reveal(), first);
        let mode = std::fs::metadata(work_dir.join("agent.lender")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // A torn one is made anew.
        std::fs::write(work_dir.join("agent.lender"), b"torn").unwrap();
        assert_ne!(*lender(&work_dir).unwrap().reveal(), first);
        // One that cannot be read may be whole.
        std::fs::remove_file(work_dir.join("agent.lender")).unwrap();
        std::fs::create_dir(work_dir.join("agent.lender")).unwrap();
        assert!(matches!(lender(&work_dir), Err(CheckpointError::Read { .. })));
    }
}
