//! Reads all records, many at once.

use std::collections::BTreeMap;

use zookeeper_client::{Client, Error};

use super::batch::Known;
use super::{StoreError, Work};
use crate::record::unseal;
use crate::zookeeper::errors::{is_definite, words};
use crate::zookeeper::layout::{Nodes, SHARDS, key_of};

/// How many records are asked for before the first answer is waited for.
const ON_THE_WAY: usize = 2000;

/// All records, and which nodes there are.
pub(super) type Loaded = (BTreeMap<String, Vec<u8>>, Known);

/// Why it must be read once more, or why it cannot be.
enum Interrupted {
    /// The connection was lost, or something changed meanwhile.
    Again,
    Failed(StoreError),
}

impl Work {
    /// Reads until it was read without interruption.
    pub(super) async fn load(
        &self,
        nodes: &Nodes,
        generation: Option<u64>,
    ) -> Result<Loaded, StoreError> {
        loop {
            let client = self.client(generation).await?;
            match self.read_all(&client, nodes).await {
                Ok(loaded) => return Ok(loaded),
                Err(Interrupted::Failed(error)) => return Err(error),
                Err(Interrupted::Again) => {
                    tokio::time::sleep(crate::zookeeper::logic::RETRY).await;
                }
            }
        }
    }

    /// Which records there are.
    pub(super) async fn list(&self, client: &Client, nodes: &Nodes) -> Result<Known, StoreError> {
        match self.list_all(client, nodes).await {
            Ok(known) => Ok(known),
            Err(Interrupted::Failed(error)) => Err(error),
            Err(Interrupted::Again) => Err(self.lost()),
        }
    }

    async fn list_all(&self, client: &Client, nodes: &Nodes) -> Result<Known, Interrupted> {
        let registry = nodes.records();
        // Who reads without a reign may be talking to a server that lags behind.
        let synced = self.answer(client, ("read", &registry), client.sync(&registry)).await;
        synced.map_err(|error| self.interrupted("read", &registry, &error))?;
        let mut known = Known::default();
        let paths: Vec<_> = (0..SHARDS).map(|shard| nodes.shard(shard)).collect();
        let lists: Vec<_> = paths.iter().map(|path| client.list_children(path)).collect();
        for ((shard, path), list) in (0..).zip(&paths).zip(lists) {
            let names = match self.answer(client, ("list the records below", path), list).await {
                Ok(names) => names,
                Err(Error::NoNode) => continue,
                Err(error) => {
                    return Err(self.interrupted("list the records below", path, &error));
                }
            };
            known.shards.insert(shard);
            for name in names {
                let key = key_of(&name)
                    .ok_or_else(|| Interrupted::Failed(self.garbage(&format!("{path}/{name}"))))?;
                known.keys.insert(key);
            }
        }
        Ok(known)
    }

    async fn read_all(&self, client: &Client, nodes: &Nodes) -> Result<Loaded, Interrupted> {
        let known = self.list_all(client, nodes).await?;
        let keys: Vec<_> = known.keys.iter().collect();
        let mut records = BTreeMap::new();
        for chunk in keys.chunks(ON_THE_WAY) {
            let paths: Vec<_> = chunk.iter().map(|key| nodes.record(key)).collect();
            let reads: Vec<_> = paths.iter().map(|path| client.get_data(path)).collect();
            for ((key, path), read) in chunk.iter().zip(&paths).zip(reads) {
                let value = match self.answer(client, ("read", path), read).await {
                    Ok((data, _)) => self.open(key, path, &data).map_err(Interrupted::Failed)?,
                    Err(error) => return Err(self.interrupted("read", path, &error)),
                };
                records.insert((*key).clone(), value);
            }
        }
        Ok((records, known))
    }

    fn open(&self, key: &str, path: &str, data: &[u8]) -> Result<Vec<u8>, StoreError> {
        let value = unseal(data).map_err(|source| StoreError::Damaged {
            place: format!("{} ({path})", self.place()),
            key: key.to_owned(),
            source,
        })?;
        Ok(value.to_vec())
    }

    fn garbage(&self, path: &str) -> StoreError {
        let source = format!(
            "{path} is no record of Airside: its name is no key; remove it, if nothing else needs it"
        );
        StoreError::Read { place: self.place(), source: source.into() }
    }

    fn interrupted(&self, what: &str, path: &str, error: &Error) -> Interrupted {
        // A record that was there a moment ago: a former leader's last batch, perhaps.
        if matches!(error, Error::NoNode) || !is_definite(error) {
            return Interrupted::Again;
        }
        let source = words(&self.context.settings.url, what, path, error);
        Interrupted::Failed(StoreError::Read { place: self.place(), source: source.into() })
    }
}
