//! `airside registry export|import|move`: a cluster's memory as one file, and where an ensemble has it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use coordination::export::{BadExport, Export, Portable};
use coordination::store::StoreError;
use coordination::zookeeper::url::Url;
use coordination::zookeeper::{Moved, Settings, ZooKeeper, ZooKeeperStore};

use crate::arguments::{MoveArguments, RegistryArguments, RegistryCommand, RegistryPlace};
use crate::output;

/// How long an ensemble may take to answer.
const CONNECTED_WITHIN: Duration = Duration::from_secs(20);

/// Why a registry was not moved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Start(#[from] master::StartError),
    #[error("{0} is no work directory of a master")]
    NoWorkDir(PathBuf),
    #[error("the registry at {0} is empty: no master ever led from there")]
    Empty(String),
    #[error("failed to write the export {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("failed to read the export {path}")]
    Open { path: PathBuf, source: io::Error },
    #[error("{path} cannot be imported")]
    Bad { path: PathBuf, source: BadExport },
}

pub(crate) fn registry(command: &RegistryCommand) -> Result<(), RegistryError> {
    match command {
        RegistryCommand::Export(arguments) => export(arguments),
        RegistryCommand::Import(arguments) => import(arguments),
        RegistryCommand::Move(MoveArguments { zk }) => move_registry(zk),
    }
}

fn export(arguments: &RegistryArguments) -> Result<(), RegistryError> {
    let RegistryArguments { place, file } = arguments;
    if let Some(folder) = place.work_dir.as_deref().filter(|folder| !folder.is_dir()) {
        return Err(RegistryError::NoWorkDir(folder.to_owned()));
    }
    let export = open(place, None)?.export()?;
    if export.epoch == 0 {
        return Err(RegistryError::Empty(shown(place)));
    }
    write(&export, file).map_err(|source| RegistryError::Write { path: file.clone(), source })?;
    let Export { cluster, epoch, records } = &export;
    output::print(&format!(
        "{} records of cluster {cluster}, at epoch {epoch}, are in {}\n",
        records.len(),
        file.display()
    ));
    Ok(())
}

fn import(arguments: &RegistryArguments) -> Result<(), RegistryError> {
    let RegistryArguments { place, file } = arguments;
    let opened = File::open(file);
    let opened = opened.map_err(|source| RegistryError::Open { path: file.clone(), source })?;
    let export = Export::read(&mut BufReader::new(opened))
        .map_err(|source| RegistryError::Bad { path: file.clone(), source })?;
    let reign = open(place, Some(&export.cluster))?.import(&export)?;
    output::print(&format!(
        "{} records of cluster {} are in {}; the next master begins epoch {}\n",
        export.records.len(),
        reign.cluster,
        shown(place),
        reign.epoch + 1,
    ));
    Ok(())
}

fn move_registry(url: &Url) -> Result<(), RegistryError> {
    let Moved { cluster, to, records } = connect(url, None)?.move_registry()?;
    output::print(&match records {
        Some(records) => {
            format!("{records} records of cluster {cluster} are below {to} of {url} now\n")
        }
        None => format!("the registry of cluster {cluster} is below {to} of {url} already\n"),
    });
    Ok(())
}

fn connect(url: &Url, cluster: Option<&str>) -> Result<ZooKeeperStore, RegistryError> {
    let cluster = cluster.map(str::to_owned);
    let new_cluster = cluster.clone().unwrap_or_default();
    let settings = Settings { cluster, new_cluster, ..Settings::of(url.clone()) };
    let zookeeper = ZooKeeper::start(settings)?;
    zookeeper.wait_until_connected(CONNECTED_WITHIN)?;
    Ok(zookeeper.store())
}

fn open(place: &RegistryPlace, cluster: Option<&str>) -> Result<Box<dyn Portable>, RegistryError> {
    if let Some(url) = &place.zk {
        return Ok(Box::new(connect(url, cluster)?));
    }
    let folder = place.work_dir.as_deref().unwrap_or(Path::new("."));
    Ok(Box::new(master::local_store(folder)?))
}

/// Where it is, without a password.
fn shown(place: &RegistryPlace) -> String {
    let folder = || place.work_dir.as_deref().map(|folder| folder.display().to_string());
    let url = place.zk.as_ref().map(ToString::to_string);
    url.or_else(folder).unwrap_or_default()
}

/// An export that is already there is replaced once the new one is whole and on the disk.
fn write(export: &Export, path: &Path) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let mut file = BufWriter::new(File::create(&partial)?);
    export.write(&mut file)?;
    file.flush()?;
    file.get_ref().sync_all()?;
    fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use coordination::election::{Candidate, Elector};
    use coordination::store::{Change, Store};

    use super::*;

    fn of(folder: &Path, file: &Path) -> RegistryArguments {
        let place = RegistryPlace { zk: None, work_dir: Some(folder.to_owned()) };
        RegistryArguments { place, file: file.to_owned() }
    }

    #[test]
    fn a_registry_moves_to_another_work_directory_and_reigns_go_on_above() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let file = folder.path().join("export");
        let error = export(&of(&from, &file)).unwrap_err();
        assert!(matches!(error, RegistryError::NoWorkDir(_)), "{error}");
        let mut store = master::local_store(&from).unwrap();
        let here = Candidate::at("h:1");
        let reign = store.stand(&here).unwrap();
        let change = Change::Put { key: "agents/1".into(), value: b"who".to_vec() };
        store.write(1, &[change]).unwrap();
        let error = export(&of(&from, &file)).unwrap_err();
        assert!(error.to_string().contains("in use"), "a master runs: {error}");
        drop(store);
        export(&of(&from, &file)).unwrap();
        import(&of(&to, &file)).unwrap();
        let mut store = master::local_store(&to).unwrap();
        let later = store.stand(&here).unwrap();
        assert_eq!(later.cluster, reign.cluster);
        assert!(later.epoch > reign.epoch + 1000, "above reigns since the export: {}", later.epoch);
        assert_eq!(store.load().unwrap()["agents/1"], b"who");
        drop(store);
        fs::write(&file, b"something else altogether").unwrap();
        let error = import(&of(&to, &file)).unwrap_err();
        assert!(output::chain(&error).contains("damaged"), "{error}");
    }

    #[test]
    fn a_registry_where_nobody_ever_led_is_not_exported() {
        let folder = tempfile::tempdir().unwrap();
        let error = export(&of(folder.path(), &folder.path().join("export"))).unwrap_err();
        assert!(matches!(error, RegistryError::Empty(_)), "{error}");
    }
}
