//! Takes the whole registry out of an ensemble, and puts one in. Who imports takes a seat, so that no master can lead before it
//! is whole, and begins a reign, so that nobody who led before can write any more.

use zookeeper_client::{Acls, Client, CreateMode, Error};

use super::write::{Writing, read_error};
use super::{StoreError, Work, ZooKeeperStore};
use crate::election::Reign;
use crate::export::{Export, Portable, epoch_above_all};
use crate::store::{Change, in_batches};
use crate::zookeeper::errors::words;
use crate::zookeeper::layout::{ClusterRecord, EpochRecord, FORM, WrittenRecord, decode, encode};
use crate::zookeeper::logic::Answer;
use crate::zookeeper::member;
use crate::zookeeper::shell::Elected;

/// A registry that is written while it is read is read again, so many times.
const READS_MAX: usize = 10;

/// Who raised the epoch, if no master did.
const IMPORT: &str = "import";

impl Portable for ZooKeeperStore {
    fn export(&mut self) -> Result<Export, StoreError> {
        let work = self.work();
        self.wait(async move { work.export().await })?
    }

    fn import(&mut self, export: &Export) -> Result<Reign, StoreError> {
        let (work, export) = (self.work(), export.clone());
        self.wait(async move { work.import(&export).await })?
    }
}

impl Work {
    async fn export(&self) -> Result<Export, StoreError> {
        let layout = &self.context.layout;
        for _ in 0..READS_MAX {
            let client = self.client(None).await?;
            let before = self.read_record::<WrittenRecord>(&client, &layout.written()).await?;
            let cluster = self.cluster(&client).await?;
            let epoch = self.read_record::<EpochRecord>(&client, &layout.epoch()).await?;
            let (records, _) = self.load(None).await?;
            let after = self.read_record::<WrittenRecord>(&client, &layout.written()).await?;
            if let (Some(cluster), Some((epoch, _))) = (cluster, epoch)
                && before.is_some()
                && before == after
            {
                return Ok(Export { cluster: cluster.cluster, epoch: epoch.epoch, records });
            }
        }
        let reason =
            "it was written all the while it was read; try again, or with the masters stopped";
        Err(read_error(self, reason.to_owned()))
    }

    /// Whose registry it is, if it may be read and is whole.
    async fn cluster(&self, client: &Client) -> Result<Option<ClusterRecord>, StoreError> {
        let place = self.context.layout.cluster();
        match client.get_data(&place).await {
            Ok((data, _)) => match self.context.understand_cluster(&place, &data) {
                Ok(record) if record.importing => Err(refused(format!(
                    "an import into {} was interrupted; import again",
                    self.place()
                ))),
                Ok(record) => Ok(Some(record)),
                Err(reason) => Err(refused(reason)),
            },
            Err(Error::NoNode) => Err(refused(format!("{} holds no registry", self.place()))),
            Err(_) => Ok(None),
        }
    }

    async fn import(&self, export: &Export) -> Result<Reign, StoreError> {
        self.client(None).await?;
        let session = self.told.session.borrow().clone().ok_or_else(|| self.lost())?;
        let client = &session.client;
        let made = self.context.make_nodes(client).await;
        made.map_err(|answer| refused(said(answer)))?;
        let place = self.context.layout.cluster();
        let there = client
            .get_data(&place)
            .await
            .map_err(|error| self.failed_at("read", &place, &error))?;
        self.context.understand_cluster(&place, &there.0).map_err(refused)?;
        let seat = self.take_seat(client).await?;
        let elected = self.begin(client, export, session.generation).await?;
        let reign = elected.reign.clone();
        self.replace(export, elected).await?;
        let cluster = export.cluster.clone();
        let whole = ClusterRecord { cluster, form: FORM, ..Default::default() };
        let done = client.set_data(&place, &encode(&whole), None).await;
        done.map_err(|error| self.failed_at("write", &place, &error))?;
        // It goes with the session anyway.
        let _ = client.delete(&seat, None).await;
        Ok(reign)
    }

    /// The lowest seat, for as long as the import takes. Somebody else's means that masters run.
    async fn take_seat(&self, client: &Client) -> Result<String, StoreError> {
        let layout = &self.context.layout;
        let options = CreateMode::EphemeralSequential.with_acls(Acls::new(&layout.open));
        let path = layout.seat(&format!("{IMPORT}_"));
        let made = client.create(&path, b"", &options).await;
        let (_, sequence) = made.map_err(|error| self.failed_at("make", &path, &error))?;
        let seat = format!("{path}{sequence}");
        let names = client.list_children(&layout.path).await;
        let names = names.map_err(|error| self.failed_at("list", &layout.path, &error))?;
        let own = u64::try_from(sequence.into_i64()).unwrap_or_default();
        let before = |name: &&String| member::seat(name).is_some_and(|(_, number)| number < own);
        if let Some(name) = names.iter().find(before) {
            let reason = format!(
                "masters use {} (node {name} is there): stop all of them before an import",
                self.place()
            );
            let _ = client.delete(&seat, None).await;
            return Err(refused(reason));
        }
        Ok(seat)
    }

    /// Raises the epoch and says that the registry is not whole.
    async fn begin(
        &self,
        client: &Client,
        export: &Export,
        generation: u64,
    ) -> Result<Elected, StoreError> {
        let layout = &self.context.layout;
        let path = layout.epoch();
        let read = client.get_data(&path).await;
        let (data, stat) = read.map_err(|error| self.failed_at("read", &path, &error))?;
        let here = decode::<EpochRecord>(&data).ok().map(|record| record.epoch);
        let epoch = epoch_above_all(here, export.epoch);
        let record = EpochRecord { epoch, by: IMPORT.to_owned() };
        let cluster = export.cluster.clone();
        let partly = ClusterRecord { cluster, form: FORM, importing: true, ..Default::default() };
        let mut writer = client.new_multi_writer();
        let built = writer
            .add_set_data(&path, &encode(&record), Some(stat.version))
            .and_then(|()| writer.add_set_data(&layout.cluster(), &encode(&partly), None))
            .and_then(|()| {
                // It may be what was damaged, and nobody else writes it from now on.
                writer.add_set_data(&layout.written(), &encode(&WrittenRecord::default()), None)
            });
        built.map_err(|error| self.failed_at("write", &path, &error))?;
        let raised = writer.commit().await;
        raised.map_err(|error| self.failed_at("write", &path, &error.into()))?;
        let reign = Reign { cluster: export.cluster.clone(), epoch };
        Ok(Elected {
            reign,
            by: IMPORT.to_owned(),
            generation,
            version: stat.version.wrapping_add(1),
        })
    }

    /// Deletes what is not in the export and writes what is. Damaged records are just overwritten.
    async fn replace(&self, export: &Export, elected: Elected) -> Result<(), StoreError> {
        let client = self.client(Some(elected.generation)).await?;
        let known = self.list(&client).await?;
        let gone = known.keys.iter().filter(|key| !export.records.contains_key(*key));
        let gone = gone.map(|key| Change::Delete { key: key.clone() });
        let put = |(key, value): (&String, &Vec<u8>)| Change::Put {
            key: key.clone(),
            value: value.clone(),
        };
        let changes: Vec<_> = gone.chain(export.records.iter().map(put)).collect();
        let batches = in_batches(changes, Change::bytes);
        super::batch::check_sizes(&batches)?;
        let (_, outcome) = self.write(Writing::new(elected, None, known, &batches)).await;
        outcome
    }

    fn failed_at(&self, what: &str, path: &str, error: &Error) -> StoreError {
        refused(words(&self.context.settings.url, what, path, error))
    }
}

fn refused(reason: String) -> StoreError {
    StoreError::Refused { reason }
}

fn said(answer: Answer) -> String {
    if let Answer::Refused(words) | Answer::Unknown(words) = answer {
        return words;
    }
    "the path of the registry was removed just now".to_owned()
}
