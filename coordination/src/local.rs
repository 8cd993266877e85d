//! One master, one file: election is opening it, which only one process can.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use tokio::sync::watch;

use crate::election::{Candidate, Detector, Elector, Reign, Standing};
use crate::export::{Export, Portable, epoch_above_all};
use crate::record::{seal, unseal};
use crate::store::{Change, RECORD_BYTES_MAX, Store, StoreError};

const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
const REIGN: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("reign");
const CLUSTER: &str = "cluster";
const EPOCH: &str = "epoch";

/// The embedded store. It is also the elector: who has it open leads.
#[derive(Debug)]
pub struct LocalStore {
    database: Database,
    path: PathBuf,
    reign: Reign,
    standing: watch::Sender<Standing>,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl LocalStore {
    /// Opens the store in this file, or makes it; `cluster` is the id of a cluster that is new, and is not used otherwise.
    pub fn open(path: &Path, cluster: &str) -> Result<Self, StoreError> {
        let place = || path.display().to_string();
        let database = Database::create(path).map_err(|error| {
            if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
                return StoreError::InUse { place: place() };
            }
            StoreError::Open { place: place(), source: error.into() }
        })?;
        let mut store = Self {
            database,
            path: path.to_owned(),
            reign: Reign { cluster: String::new(), epoch: 0 },
            standing: watch::Sender::new(Standing::Leads),
        };
        store.reign = store.remembered(cluster)?;
        Ok(store)
    }

    /// The newest reign.
    pub fn reign(&self) -> &Reign {
        &self.reign
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn read_error(&self, source: impl Into<Cause>) -> StoreError {
        StoreError::Read { place: self.place(), source: source.into() }
    }

    fn write_error(&self, records: usize, source: impl Into<Cause>) -> StoreError {
        let source: Cause = source.into();
        let source = format!("{source}; make room on its disk or fix its rights, then start again");
        StoreError::Write { place: self.place(), records, source: source.into() }
    }

    /// What the file says of the last reign; writes the cluster's id if it is new.
    fn remembered(&self, new_cluster: &str) -> Result<Reign, StoreError> {
        let known = self.reign_word(CLUSTER)?;
        let cluster = match known {
            Some(cluster) => cluster,
            None => {
                self.write_reign(CLUSTER, new_cluster)?;
                new_cluster.to_owned()
            }
        };
        let epoch = self.reign_word(EPOCH)?.map_or(Ok(0), |word| word.parse());
        let epoch = epoch.map_err(|source| self.read_error(source))?;
        Ok(Reign { cluster, epoch })
    }

    fn reign_word(&self, key: &str) -> Result<Option<String>, StoreError> {
        let read = || -> Result<Option<Vec<u8>>, Cause> {
            let reading = self.database.begin_read()?;
            match reading.open_table(REIGN) {
                Ok(table) => Ok(table.get(key)?.map(|value| value.value().to_vec())),
                Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        let Some(record) = read().map_err(|source| self.read_error(source))? else {
            return Ok(None);
        };
        let bytes = unseal(&record).map_err(|source| StoreError::Damaged {
            place: self.place(),
            key: key.to_owned(),
            source,
        })?;
        let word = String::from_utf8(bytes.to_vec()).map_err(|source| self.read_error(source))?;
        Ok(Some(word))
    }

    fn write_reign(&self, key: &str, word: &str) -> Result<(), StoreError> {
        let write = || -> Result<(), Cause> {
            let writing = self.database.begin_write()?;
            writing.open_table(REIGN)?.insert(key, &*seal(word.as_bytes()))?;
            writing.commit()?;
            Ok(())
        };
        write().map_err(|source| self.write_error(1, source))
    }
}

impl LocalStore {
    /// The newest reign; `None` if there was none yet.
    pub fn led(&self) -> Option<Reign> {
        (self.reign.epoch > 0).then(|| self.reign.clone())
    }
}

impl Elector for LocalStore {
    type Error = StoreError;

    /// Raises the epoch, durably. Nobody else can have the file open.
    fn stand(&mut self, _: &Candidate) -> Result<Reign, StoreError> {
        let epoch = self.reign.epoch + 1;
        self.write_reign(EPOCH, &epoch.to_string())?;
        self.reign.epoch = epoch;
        Ok(self.reign.clone())
    }

    /// Who has the file open leads for as long.
    fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }
}

impl Store for LocalStore {
    fn load(&mut self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let read = || -> Result<Vec<(String, Vec<u8>)>, Cause> {
            let reading = self.database.begin_read()?;
            let table = match reading.open_table(RECORDS) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let mut records = Vec::new();
            for entry in table.iter()? {
                let (key, value) = entry?;
                records.push((key.value().to_owned(), value.value().to_vec()));
            }
            Ok(records)
        };
        let records = read().map_err(|source| self.read_error(source))?;
        let open = |(key, record): (String, Vec<u8>)| match unseal(&record) {
            Ok(bytes) => Ok((key, bytes.to_vec())),
            Err(source) => Err(StoreError::Damaged { place: self.place(), key, source }),
        };
        records.into_iter().map(open).collect()
    }

    fn write(&mut self, epoch: u64, changes: &[Change]) -> Result<(), StoreError> {
        if epoch != self.reign.epoch {
            let newest = self.reign.epoch;
            return Err(StoreError::Fenced { place: self.place(), epoch, newest });
        }
        for change in changes {
            if let Change::Put { key, value } = change
                && value.len() > RECORD_BYTES_MAX
            {
                return Err(StoreError::TooLarge { key: key.clone(), bytes: value.len() });
            }
        }
        let write = || -> Result<(), Cause> {
            let writing = self.database.begin_write()?;
            {
                let mut table = writing.open_table(RECORDS)?;
                for change in changes {
                    match change {
                        Change::Put { key, value } => {
                            table.insert(&**key, &*seal(value))?;
                        }
                        Change::Delete { key } => {
                            table.remove(&**key)?;
                        }
                    }
                }
            }
            writing.commit()?;
            Ok(())
        };
        write().map_err(|source| self.write_error(changes.len(), source))
    }
}

impl Portable for LocalStore {
    fn export(&mut self) -> Result<Export, StoreError> {
        let Reign { cluster, epoch } = self.reign.clone();
        Ok(Export { cluster, epoch, records: self.load()? })
    }

    /// In one transaction: it is there as a whole or not at all.
    fn import(&mut self, export: &Export) -> Result<Reign, StoreError> {
        if export.cluster != self.reign.cluster && !self.load()?.is_empty() {
            return Err(StoreError::Refused {
                reason: format!(
                    "the store {} is that of cluster {}, and the export is of cluster {}; import it into another \
                     work directory",
                    self.place(),
                    self.reign.cluster,
                    export.cluster,
                ),
            });
        }
        let epoch = epoch_above_all(Some(self.reign.epoch), export.epoch)?;
        let write = || -> Result<(), Cause> {
            let writing = self.database.begin_write()?;
            writing.delete_table(RECORDS)?;
            {
                let mut table = writing.open_table(RECORDS)?;
                for (key, value) in &export.records {
                    table.insert(&**key, &*seal(value))?;
                }
                let mut table = writing.open_table(REIGN)?;
                table.insert(CLUSTER, &*seal(export.cluster.as_bytes()))?;
                table.insert(EPOCH, &*seal(epoch.to_string().as_bytes()))?;
            }
            writing.commit()?;
            Ok(())
        };
        write().map_err(|source| self.write_error(export.records.len(), source))?;
        self.reign = Reign { cluster: export.cluster.clone(), epoch };
        Ok(self.reign.clone())
    }
}

/// Finds the only master there is.
#[derive(Clone, Debug)]
pub struct FixedDetector(watch::Sender<Option<Candidate>>);

impl FixedDetector {
    /// The master is there.
    pub fn new(master: Candidate) -> Self {
        Self(watch::Sender::new(Some(master)))
    }
}

impl Detector for FixedDetector {
    fn leader(&self) -> watch::Receiver<Option<Candidate>> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Candidate {
        Candidate::at("127.0.0.1:5050")
    }

    fn put(key: &str, value: &[u8]) -> Change {
        Change::Put { key: key.into(), value: value.to_vec() }
    }

    #[test]
    fn an_import_replaces_everything_and_its_epoch_is_above_all() {
        let folder = tempfile::tempdir().unwrap();
        let mut from = LocalStore::open(&folder.path().join("from"), "c1").unwrap();
        for _ in 0..4 {
            from.stand(&here()).unwrap();
        }
        from.write(4, &[put("a", b"1"), put("b", b"2")]).unwrap();
        let export = from.export().unwrap();
        let path = folder.path().join("to");
        let mut to = LocalStore::open(&path, "c2").unwrap();
        let first = to.import(&export).unwrap();
        assert_eq!(first.cluster, "c1");
        for _ in 0..9 {
            from.stand(&here()).unwrap();
        }
        assert!(first.epoch > from.reign().epoch, "and above reigns since the export");
        let reign = to.stand(&here()).unwrap();
        assert_eq!(reign.epoch, first.epoch + 1);
        to.write(reign.epoch, &[put("c", b"3")]).unwrap();
        let second = to.import(&export).unwrap();
        assert!(second.epoch > reign.epoch);
        drop(to);
        let mut to = LocalStore::open(&path, "c3").unwrap();
        assert_eq!(to.load().unwrap(), export.records);
        let epoch = second.epoch + 1;
        assert_eq!(to.stand(&here()).unwrap(), Reign { cluster: "c1".into(), epoch });
        let mut other = LocalStore::open(&folder.path().join("other"), "c9").unwrap();
        other.stand(&here()).unwrap();
        other.write(1, &[put("a", b"1")]).unwrap();
        let error = other.import(&export).unwrap_err();
        assert!(error.to_string().contains("cluster c9"), "{error}");
    }

    #[test]
    fn reg_05_what_is_written_is_there_in_the_next_reign_and_epochs_only_grow() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.redb");
        let mut store = LocalStore::open(&path, "first").unwrap();
        assert_eq!(store.load().unwrap(), BTreeMap::new());
        assert_eq!(store.stand(&here()).unwrap(), Reign { cluster: "first".into(), epoch: 1 });
        store.write(1, &[put("agent/1", b"x"), put("agent/2", b"y")]).unwrap();
        store.write(1, &[Change::Delete { key: "agent/1".into() }, put("agent/3", b"z")]).unwrap();
        drop(store);
        let mut store = LocalStore::open(&path, "second").unwrap();
        assert_eq!(store.stand(&here()).unwrap(), Reign { cluster: "first".into(), epoch: 2 });
        let keys: Vec<_> = store.load().unwrap().into_keys().collect();
        assert_eq!(keys, ["agent/2", "agent/3"]);
    }

    #[test]
    fn reg_05_a_write_of_another_epoch_is_refused_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = LocalStore::open(&folder.path().join("r"), "c").unwrap();
        store.stand(&here()).unwrap();
        store.stand(&here()).unwrap();
        let error = store.write(1, &[put("a", b"x")]).unwrap_err();
        assert!(error.to_string().contains("epoch 2 has begun"), "{error}");
        assert!(store.load().unwrap().is_empty());
    }

    #[test]
    fn a_store_that_is_in_use_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        let _held = LocalStore::open(&path, "c").unwrap();
        let error = LocalStore::open(&path, "c").unwrap_err();
        assert!(error.to_string().contains("in use by another process"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_store_or_cannot_be_made_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        std::fs::write(&path, b"hello, this is not a database").unwrap();
        let error = LocalStore::open(&path, "c").unwrap_err();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        let missing = folder.path().join("no/such/folder/r");
        assert!(LocalStore::open(&missing, "c").is_err());
    }

    #[test]
    fn a_record_that_is_too_large_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = LocalStore::open(&folder.path().join("r"), "c").unwrap();
        store.stand(&here()).unwrap();
        let large = vec![0; RECORD_BYTES_MAX + 1];
        let error = store.write(1, &[put("a", b"x"), put("b", &large)]).unwrap_err();
        assert!(matches!(error, StoreError::TooLarge { .. }));
        assert!(store.load().unwrap().is_empty());
    }

    #[test]
    fn ha_05_the_only_master_leads_as_soon_as_it_stands_and_is_found_where_it_is_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        let mut store = LocalStore::open(&path, "c").unwrap();
        assert_eq!(store.led(), None);
        let reign = store.stand(&here()).unwrap();
        assert_eq!((store.led(), reign.epoch), (Some(reign), 1));
        assert_eq!(*store.standing().borrow(), Standing::Leads);
        // Nobody else can stand beside it.
        assert!(matches!(LocalStore::open(&path, "c"), Err(StoreError::InUse { .. })));
        let detector = FixedDetector::new(here());
        assert_eq!(*detector.leader().borrow(), Some(here()));
    }
}
