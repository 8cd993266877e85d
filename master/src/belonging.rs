//! To which cluster a work directory belongs whose master has its registry elsewhere: it is noted in a file, so that a master with
//! another cluster's URL says so instead of leading strangers.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::start::{REGISTRY_FILE, StartError, local_store};

/// Below the work directory: the cluster's id, and nothing else.
const FILE: &str = "cluster";

/// The cluster that a master led from this directory, if one did, with its registry in ZooKeeper or here.
pub fn cluster_of(work_dir: &Path) -> Result<Option<String>, StartError> {
    let path = work_dir.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => return Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(path, error)),
        Err(_) => {}
    }
    if work_dir.join(REGISTRY_FILE).exists() {
        return Ok(local_store(work_dir)?.led().map(|reign| reign.cluster));
    }
    Ok(None)
}

/// Notes it, durably, before the reign does anything.
pub fn belongs_to(work_dir: &Path, cluster: &str) -> Result<(), StartError> {
    let path = work_dir.join(FILE);
    if fs::read_to_string(&path).is_ok_and(|text| text.trim() == cluster) {
        return Ok(());
    }
    let beside = path.with_extension("new");
    let write = || {
        let mut file = File::create(&beside)?;
        writeln!(file, "{cluster}")?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(work_dir)?.sync_all()
    };
    write().map_err(|source| failed(path.clone(), source))
}

fn failed(path: PathBuf, source: io::Error) -> StartError {
    StartError::Belonging { path, source }
}

#[cfg(test)]
mod tests {
    use coordination::election::{Candidate, Elector};

    use super::*;

    #[test]
    fn a_work_directory_belongs_to_the_cluster_that_was_led_from_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(cluster_of(folder.path()).unwrap(), None);
        let mut store = local_store(folder.path()).unwrap();
        drop(local_store(&folder.path().join("other")).unwrap());
        assert_eq!(cluster_of(&folder.path().join("other")).unwrap(), None, "nobody led there");
        let led = store.stand(&Candidate::at("h:1")).unwrap().cluster;
        drop(store);
        assert_eq!(cluster_of(folder.path()).unwrap(), Some(led));
        for cluster in ["c1", "c1", "c2"] {
            belongs_to(folder.path(), cluster).unwrap();
            assert_eq!(cluster_of(folder.path()).unwrap().as_deref(), Some(cluster));
        }
    }
}
