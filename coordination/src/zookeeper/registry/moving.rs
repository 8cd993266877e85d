//! Moves a registry from `airside` to `registry` below the same path. Nobody may stand meanwhile; whoever does all the same keeps
//! it from being moved. All is copied to a registry that is not whole, and then one `multi` makes it whole and ends the other,
//! if the other's epoch, count and cluster are as they were before the first record was read. So at every moment there is one
//! registry, which has all that was ever written; and who is interrupted begins anew, or has only to clear away.

use prost::Message;
use zookeeper_client::{Client, Error, MultiWriteError, MultiWriteResult};

use super::transfer::{refused, said};
use super::write::read_error;
use super::{StoreError, Work, ZooKeeperStore};
use crate::election::Reign;
use crate::zookeeper::layout::{ClusterRecord, EpochRecord, Nodes, WrittenRecord, encode};
use crate::zookeeper::logic::root::{Hinders, Move, Root};
use crate::zookeeper::shell::{Elected, Session};

/// Who wrote the epoch, if no master did.
const MOVE: &str = "move";

/// How many records are deleted before the first answer is waited for.
const ON_THE_WAY: usize = 2000;

/// Where a registry is after a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Whose it is.
    pub cluster: String,
    /// The node that it is below.
    pub to: String,
    /// How many records it has; `None` if it was there before.
    pub records: Option<usize>,
}

/// What must not change while records are read: the versions of three nodes.
struct Before {
    cluster: i32,
    epoch: i32,
    written: i32,
}

impl ZooKeeperStore {
    /// Has a registry that was made by an older version where new clusters have theirs. No master may run.
    pub fn move_registry(&mut self) -> Result<Moved, StoreError> {
        let work = Work::on(&self.zookeeper);
        self.wait(async move { work.move_registry().await })?
    }
}

impl Work {
    async fn move_registry(&self) -> Result<Moved, StoreError> {
        // Servers that do not answer are given up for others here.
        self.find().await?;
        let session = self.session().ok_or_else(|| self.lost())?;
        let (client, layout) = (&session.client, &self.context.layout);
        let (from, to) = (layout.nodes(Root::Airside), layout.nodes(Root::Registry));
        let seen = async { Ok::<_, Error>(self.context.see_both(client).await) };
        let seen = self.answer(client, ("look for the registry below", &layout.path), seen).await;
        let seen = seen.map_err(|error| self.failed_at("look for", &from.path, &error))?;
        let (airside, registry) = seen.map_err(|answer| refused(said(answer)))?;
        let next = Move::next(airside, registry);
        let moved = match next.map_err(|hinders| refused(self.hindered(hinders)))? {
            Move::Copy => self.copy_alone(&session, &from, &to).await?,
            Move::ClearAway => {
                let (record, _) = self.understand(client, &to).await?;
                Moved { cluster: record.cluster, to: to.path.clone(), records: None }
            }
        };
        self.clear_away(client, &from).await.map_err(|error| {
            refused(format!(
                "the registry is at {} now, and what is left of {} could not be cleared away: {error}; move it again",
                to.path, from.path,
            ))
        })?;
        Ok(moved)
    }

    fn hindered(&self, hinders: Hinders) -> String {
        let path = |root| self.context.layout.nodes(root).path;
        let place = self.place();
        match hinders {
            Hinders::Nothing => format!("{place} holds no registry"),
            Hinders::Import(root) => format!(
                "an import into the registry at {} of {place} is under way or was interrupted; import again before you \
                 move it",
                path(root),
            ),
            Hinders::Two => format!(
                "{} of {place} is the registry of this cluster, and {} was made afterwards by a master of an older \
                 version: stop that master, and remove that node and all below it",
                path(Root::Registry),
                path(Root::Airside),
            ),
        }
    }

    async fn copy_alone(
        &self,
        session: &Session,
        from: &Nodes,
        to: &Nodes,
    ) -> Result<Moved, StoreError> {
        let client = &session.client;
        let mark = self.begins_alone(client, from).await?;
        let copied = self.copy(session, from, to).await;
        if copied.is_err() {
            // It goes with the session anyway.
            let _ = self.answer(client, ("delete", &mark), client.delete(&mark, None)).await;
        }
        copied
    }

    async fn copy(&self, session: &Session, from: &Nodes, to: &Nodes) -> Result<Moved, StoreError> {
        let client = &session.client;
        let (ClusterRecord { cluster, .. }, cluster_version) =
            self.understand(client, from).await?;
        // The epoch before the seats: a master that stands after they were read raises it.
        let (epoch, epoch_version) = self.needed::<EpochRecord>(client, from, from.epoch()).await?;
        self.nobody_stands(client).await?;
        let (_, written) = self.needed::<WrittenRecord>(client, from, from.written()).await?;
        let before = Before { cluster: cluster_version, epoch: epoch_version, written };
        let reign = Reign { cluster: cluster.clone(), epoch: epoch.epoch };
        let elected = self.begin_copy(session, reign, from, to).await?;
        let (records, _) = self.load(from, Some(session.generation)).await?;
        self.replace(&records, elected.clone()).await?;
        self.switch(client, from, &before, &elected).await?;
        Ok(Moved { cluster, to: to.path.clone(), records: Some(records.len()) })
    }

    /// Whose registry it is, if we may use it, and the version of the node that says so.
    async fn understand(
        &self,
        client: &Client,
        nodes: &Nodes,
    ) -> Result<(ClusterRecord, i32), StoreError> {
        let place = nodes.cluster();
        let read = self.answer(client, ("read", &place), client.get_data(&place)).await;
        let (data, stat) = read.map_err(|error| self.failed_at("read", &place, &error))?;
        let record = self.context.understand_cluster(nodes, &data).map_err(refused)?;
        Ok((record, stat.version))
    }

    async fn needed<M: Message + Default>(
        &self,
        client: &Client,
        nodes: &Nodes,
        path: String,
    ) -> Result<(M, i32), StoreError> {
        let read = self.read_record::<M>(client, nodes, &path).await?;
        read.ok_or_else(|| read_error(self, format!("nobody answered for {path}; move it again")))
    }

    /// Begins to write the copy, in whose place another one may have been begun.
    async fn begin_copy(
        &self,
        session: &Session,
        reign: Reign,
        from: &Nodes,
        to: &Nodes,
    ) -> Result<Elected, StoreError> {
        let client = &session.client;
        self.make(client, to).await?;
        let (path, place) = (to.epoch(), to.cluster());
        let record = EpochRecord { epoch: reign.epoch, by: MOVE.to_owned() };
        let partly = ClusterRecord::of_masters(reign.cluster.clone(), true);
        let mut writer = client.new_multi_writer();
        let built = writer
            .add_check_version(&from.import(), -1)
            .and_then(|()| writer.add_set_data(&path, &encode(&record), None))
            .and_then(|()| writer.add_set_data(&place, &encode(&partly), None))
            .and_then(|()| {
                writer.add_set_data(&to.written(), &encode(&WrittenRecord::default()), None)
            });
        built.map_err(|error| self.failed_at("write", &path, &error))?;
        let begun = self.answer(client, ("write", &path), writer.commit()).await;
        let begun = begun.map_err(|error| self.failed_at("write", &path, &error.into()))?;
        let Some(MultiWriteResult::SetData { stat }) = begun.into_iter().nth(1) else {
            return Err(refused(format!(
                "the servers' answer to a write of {path} says something else"
            )));
        };
        let (by, generation) = (MOVE.to_owned(), session.generation);
        Ok(Elected { reign, nodes: to.clone(), by, generation, version: stat.version })
    }

    /// Makes the copy whole and ends what it was made of, if that is as it was.
    async fn switch(
        &self,
        client: &Client,
        from: &Nodes,
        before: &Before,
        elected: &Elected,
    ) -> Result<(), StoreError> {
        let to = &elected.nodes;
        let place = to.cluster();
        let whole = ClusterRecord::of_masters(elected.reign.cluster.clone(), false);
        let mut writer = client.new_multi_writer();
        let built = writer
            .add_delete(&from.epoch(), Some(before.epoch))
            .and_then(|()| writer.add_delete(&from.written(), Some(before.written)))
            .and_then(|()| writer.add_delete(&from.cluster(), Some(before.cluster)))
            .and_then(|()| writer.add_check_version(&to.epoch(), elected.version))
            .and_then(|()| writer.add_set_data(&place, &encode(&whole), None));
        built.map_err(|error| self.failed_at("write", &place, &error))?;
        let done = self.answer(client, ("write", &place), writer.commit()).await;
        done.map_err(|error| match error {
            MultiWriteError::OperationFailed { source: Error::BadVersion | Error::NoNode, .. } => {
                refused(format!(
                    "a master has begun at {} meanwhile, or has written, so nothing was moved: stop all masters and \
                     move it again",
                    self.place()
                ))
            }
            MultiWriteError::OperationFailed { .. } | MultiWriteError::RequestFailed { .. } => {
                self.failed_at("write", &place, &error.into())
            }
        })?;
        Ok(())
    }

    /// Deletes what is left of a registry whose cluster's node is gone, and nothing that is not of a registry.
    async fn clear_away(&self, client: &Client, nodes: &Nodes) -> Result<(), StoreError> {
        let records = nodes.records();
        for shard in self.names_below(client, &records).await? {
            let shard = format!("{records}/{shard}");
            let names = self.names_below(client, &shard).await?;
            let paths: Vec<_> = names.iter().map(|name| format!("{shard}/{name}")).collect();
            for chunk in paths.chunks(ON_THE_WAY) {
                let deletes: Vec<_> = chunk.iter().map(|path| client.delete(path, None)).collect();
                for (path, delete) in chunk.iter().zip(deletes) {
                    self.deleted(client, path, delete).await?;
                }
            }
            self.deleted(client, &shard, client.delete(&shard, None)).await?;
        }
        // The mark last but one: until then nobody else moves it.
        let rest = [records, nodes.epoch(), nodes.written(), nodes.import(), nodes.path.clone()];
        for path in rest {
            self.deleted(client, &path, client.delete(&path, None)).await?;
        }
        Ok(())
    }

    async fn names_below(&self, client: &Client, path: &str) -> Result<Vec<String>, StoreError> {
        match self.answer(client, ("list", path), client.list_children(path)).await {
            Ok(names) => Ok(names),
            Err(Error::NoNode) => Ok(Vec::new()),
            Err(error) => Err(self.failed_at("list the nodes below", path, &error)),
        }
    }

    async fn deleted(
        &self,
        client: &Client,
        path: &str,
        delete: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), StoreError> {
        match self.answer(client, ("delete", path), delete).await {
            Ok(()) | Err(Error::NoNode) => Ok(()),
            Err(error) => Err(self.failed_at("delete", path, &error)),
        }
    }
}
