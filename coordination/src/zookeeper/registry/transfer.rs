//! Takes the whole registry out of an ensemble, and puts one in. Who imports takes no seat, which every client of Mesos would
//! take for a master. It begins a reign, so that nobody who led before can write any more, and writes the node `cluster`, of
//! which every candidate checks that it is as it was read before it raises the epoch: so none leads before all is there.

use std::collections::BTreeMap;

use zookeeper_client::{Acls, Client, CreateMode, Error, MultiWriteError};

use super::write::{Writing, read_error};
use super::{StoreError, Work, ZooKeeperStore};
use crate::election::Reign;
use crate::export::{Export, Portable, epoch_above_all};
use crate::store::{Change, in_batches};
use crate::zookeeper::errors::words;
use crate::zookeeper::layout::{ClusterRecord, EpochRecord, Nodes, WrittenRecord, decode, encode};
use crate::zookeeper::logic::Answer;
use crate::zookeeper::member;
use crate::zookeeper::shell::{Elected, Session};

/// A registry that is written while it is read is read again, so many times.
const READS_MAX: usize = 10;

/// Who raised the epoch, if no master did.
const IMPORT: &str = "import";

impl Portable for ZooKeeperStore {
    fn export(&mut self) -> Result<Export, StoreError> {
        let work = Work::on(&self.zookeeper);
        self.wait(async move { work.export().await })?
    }

    fn import(&mut self, export: &Export) -> Result<Reign, StoreError> {
        let (work, export) = (Work::on(&self.zookeeper), export.clone());
        self.wait(async move { work.import(&export).await })?
    }
}

impl Work {
    async fn export(&self) -> Result<Export, StoreError> {
        for _ in 0..READS_MAX {
            let nodes = self.find().await?;
            let client = self.client(None).await?;
            let cluster = self.cluster(&client, &nodes).await?;
            let written = nodes.written();
            let before = self.read_record::<WrittenRecord>(&client, &nodes, &written).await?;
            let epoch = self.read_record::<EpochRecord>(&client, &nodes, &nodes.epoch()).await?;
            let (records, _) = self.load(&nodes, None).await?;
            let after = self.read_record::<WrittenRecord>(&client, &nodes, &written).await?;
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
    pub(super) async fn cluster(
        &self,
        client: &Client,
        nodes: &Nodes,
    ) -> Result<Option<ClusterRecord>, StoreError> {
        let place = nodes.cluster();
        match self.answer(client, ("read", &place), client.get_data(&place)).await {
            Ok((data, _)) => match self.context.understand_cluster(nodes, &data) {
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
        let nodes = self.find().await?;
        let session = self.session().ok_or_else(|| self.lost())?;
        let client = &session.client;
        // If this is all that it comes to, no master takes what is empty for whole.
        self.make(client, &nodes).await?;
        let mark = self.begins_alone(client, &nodes).await?;
        let outcome = self.import_alone(&session, nodes, export).await;
        // It goes with the session anyway.
        let _ = self.answer(client, ("delete", &mark), client.delete(&mark, None)).await;
        outcome
    }

    /// Makes what is missing of a registry; if anything is, it is not whole.
    pub(super) async fn make(&self, client: &Client, nodes: &Nodes) -> Result<(), StoreError> {
        let made = async { Ok::<_, Error>(self.context.make_nodes(client, nodes, true).await) };
        let made = self.answer(client, ("make", &nodes.path), made).await;
        let made = made.map_err(|error| self.failed_at("make", &nodes.path, &error))?;
        made.map_err(|answer| refused(said(answer)))
    }

    /// Makes the node that says that an import or a move is under way. There can be one.
    pub(super) async fn begins_alone(
        &self,
        client: &Client,
        nodes: &Nodes,
    ) -> Result<String, StoreError> {
        let options = CreateMode::Ephemeral.with_acls(Acls::new(&self.context.layout.own));
        let path = nodes.import();
        match self.answer(client, ("make", &path), client.create(&path, b"", &options)).await {
            Ok(_) => Ok(path),
            Err(Error::NodeExists) => Err(refused(format!(
                "another import or move of {} is under way (node {path} is there): wait for its end; the node of one \
                 that was killed goes within {} s",
                self.place(),
                client.session_timeout().as_secs(),
            ))),
            Err(error) => Err(self.failed_at("make", &path, &error)),
        }
    }

    async fn import_alone(
        &self,
        session: &Session,
        nodes: Nodes,
        export: &Export,
    ) -> Result<Reign, StoreError> {
        let client = &session.client;
        let elected = self.begin(client, nodes, export, session.generation).await?;
        self.replace(&export.records, elected.clone()).await?;
        self.finish(client, &elected).await?;
        Ok(elected.reign)
    }

    /// Raises the epoch and says that the registry is not whole. The epoch is read before the seats: a master that stands
    /// after they were read raises it too, and of two who raise it from the same version one does.
    async fn begin(
        &self,
        client: &Client,
        nodes: Nodes,
        export: &Export,
        generation: u64,
    ) -> Result<Elected, StoreError> {
        let (path, place) = (nodes.epoch(), nodes.cluster());
        // A server that lags behind would show what was so.
        let synced = self.answer(client, ("read", &place), client.sync(&place)).await;
        synced.map_err(|error| self.failed_at("read", &place, &error))?;
        let there = self.answer(client, ("read", &place), client.get_data(&place)).await;
        let (there, _) = there.map_err(|error| self.failed_at("read", &place, &error))?;
        self.context.understand_cluster(&nodes, &there).map_err(refused)?;
        let read = self.answer(client, ("read", &path), client.get_data(&path)).await;
        let (data, stat) = read.map_err(|error| self.failed_at("read", &path, &error))?;
        self.nobody_stands(client).await?;
        let here = decode::<EpochRecord>(&data).ok().map(|record| record.epoch);
        let epoch = epoch_above_all(here, export.epoch)?;
        let record = EpochRecord { epoch, by: IMPORT.to_owned() };
        let partly = ClusterRecord::of_masters(export.cluster.clone(), true);
        let mut writer = client.new_multi_writer();
        let built = writer
            .add_set_data(&path, &encode(&record), Some(stat.version))
            .and_then(|()| writer.add_check_version(&nodes.import(), -1))
            .and_then(|()| writer.add_set_data(&place, &encode(&partly), None))
            .and_then(|()| {
                // It may be what was damaged, and nobody else writes it from now on.
                writer.add_set_data(&nodes.written(), &encode(&WrittenRecord::default()), None)
            });
        built.map_err(|error| self.failed_at("write", &path, &error))?;
        let raised = self.answer(client, ("write", &path), writer.commit()).await;
        raised.map_err(|error| self.outdone(&path, error))?;
        let reign = Reign { cluster: export.cluster.clone(), epoch };
        let (by, version) = (IMPORT.to_owned(), stat.version.wrapping_add(1));
        Ok(Elected { reign, nodes, by, generation, version })
    }

    pub(super) async fn nobody_stands(&self, client: &Client) -> Result<(), StoreError> {
        let path = &self.context.layout.path;
        let names = self.answer(client, ("list", path), client.list_children(path)).await;
        let names = names.map_err(|error| self.failed_at("list", path, &error))?;
        match names.iter().find(|name| member::seat(name).is_some()) {
            None => Ok(()),
            Some(name) => Err(refused(format!(
                "masters use {} (node {name} is there): stop all of them first",
                self.place()
            ))),
        }
    }

    /// Says that the registry is whole, if nobody has raised the epoch since.
    async fn finish(&self, client: &Client, elected: &Elected) -> Result<(), StoreError> {
        let nodes = &elected.nodes;
        let place = nodes.cluster();
        let whole = ClusterRecord::of_masters(elected.reign.cluster.clone(), false);
        let mut writer = client.new_multi_writer();
        let built = writer
            .add_check_version(&nodes.epoch(), elected.version)
            .and_then(|()| writer.add_set_data(&place, &encode(&whole), None));
        built.map_err(|error| self.failed_at("write", &place, &error))?;
        let done = self.answer(client, ("write", &place), writer.commit()).await;
        done.map_err(|error| self.outdone(&place, error))?;
        Ok(())
    }

    fn outdone(&self, path: &str, error: MultiWriteError) -> StoreError {
        if let MultiWriteError::OperationFailed { index: 0, source: Error::BadVersion } = error {
            return refused(format!(
                "a master or another import has begun at {} meanwhile: stop all masters and import again",
                self.place()
            ));
        }
        self.failed_at("write", path, &error.into())
    }

    /// Deletes what is not among these records and writes what is. Damaged records are just overwritten.
    pub(super) async fn replace(
        &self,
        records: &BTreeMap<String, Vec<u8>>,
        elected: Elected,
    ) -> Result<(), StoreError> {
        let client = self.client(Some(elected.generation)).await?;
        let known = self.list(&client, &elected.nodes).await?;
        let gone = known.keys.iter().filter(|key| !records.contains_key(*key));
        let gone = gone.map(|key| Change::Delete { key: key.clone() });
        let put = |(key, value): (&String, &Vec<u8>)| Change::Put {
            key: key.clone(),
            value: value.clone(),
        };
        let changes: Vec<_> = gone.chain(records.iter().map(put)).collect();
        let batches = in_batches(changes, Change::bytes);
        super::batch::check_sizes(&batches)?;
        let (_, outcome) = self.write(Writing::new(elected, None, known, &batches)).await;
        outcome
    }

    pub(super) fn failed_at(&self, what: &str, path: &str, error: &Error) -> StoreError {
        refused(words(&self.context.settings.url, what, path, error))
    }
}

pub(super) fn refused(reason: String) -> StoreError {
    StoreError::Refused { reason }
}

pub(super) fn said(answer: Answer) -> String {
    if let Answer::Refused(words) | Answer::Unknown(words) = answer {
        return words;
    }
    "the path of the registry was removed just now".to_owned()
}
