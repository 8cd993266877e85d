//! Finds the registry of a path, or makes it, and says whether it is one that we may use: the first thing that is done in each
//! session in which somebody stands.

use std::sync::atomic::Ordering;

use zookeeper_client::{Acl, Acls, Client, CreateMode, Error, MultiWriteError};

use super::Office;
use super::layout::{ClusterRecord, EpochRecord, FORM, Nodes, WrittenRecord, decode, encode};
use super::logic::Answer;
use super::logic::root::{Root, Seen};
use super::requests::{Context, Whose};

impl Context {
    /// Makes the path and its parents, and what is ours below it.
    pub(super) async fn prepare(&self, client: &Client) -> Result<Answer, Answer> {
        let nodes = self.find_nodes(client).await?;
        self.is_not_begun_anew(client, &nodes).await?;
        self.make_nodes(client, &nodes, false).await?;
        self.read_cluster(client, &nodes).await?;
        self.warns_of_airside(client, &nodes).await?;
        Ok(Answer::Prepared)
    }

    /// Where the registry is, or is to be made.
    pub(super) async fn find_nodes(&self, client: &Client) -> Result<Nodes, Answer> {
        let (airside, registry) = self.see_both(client).await?;
        let root = match &self.settings.office {
            Office::Master => Root::of_masters(airside, registry),
            Office::Scheduler(_) => Root::of_framework(registry),
        };
        Ok(self.layout.nodes(root))
    }

    /// In this order: what a move makes whole after the first was read has ended the first before.
    pub(super) async fn see_both(&self, client: &Client) -> Result<(Seen, Seen), Answer> {
        let path = &self.layout.path;
        // Or a server that lags behind would show what was so.
        let synced = client.sync(path).await;
        synced.map_err(|error| self.answer("read", path, &error))?;
        let airside = self.see(client, Root::Airside).await?;
        Ok((airside, self.see(client, Root::Registry).await?))
    }

    async fn see(&self, client: &Client, root: Root) -> Result<Seen, Answer> {
        let place = self.layout.nodes(root).cluster();
        match client.get_data(&place).await {
            Ok((data, _)) => {
                let importing = decode::<ClusterRecord>(&data).is_ok_and(|record| record.importing);
                Ok(if importing { Seen::Partial } else { Seen::Whole })
            }
            Err(Error::NoNode) => Ok(Seen::Absent),
            Err(error) => Err(self.answer("read", &place, &error)),
        }
    }

    /// A cluster that there is already would be without its agents and frameworks in a registry that is made now.
    async fn is_not_begun_anew(&self, client: &Client, nodes: &Nodes) -> Result<(), Answer> {
        let Some(cluster) = &self.settings.cluster else { return Ok(()) };
        let place = nodes.cluster();
        let synced = client.sync(&place).await;
        synced.map_err(|error| self.answer("look for", &place, &error))?;
        let there = client.check_stat(&place).await;
        match there.map_err(|error| self.answer("look for", &place, &error))? {
            Some(_) => Ok(()),
            None => Err(Answer::Refused(format!(
                "there is no registry at {} of {}, and this master belongs to cluster {cluster}; if this is the right \
                 path, import the newest export of that cluster's registry, and if the master is to belong to a new \
                 cluster, give it another work directory",
                nodes.path, self.settings.url,
            ))),
        }
    }

    pub(super) async fn make_nodes(
        &self,
        client: &Client,
        nodes: &Nodes,
        importing: bool,
    ) -> Result<(), Answer> {
        let framework = match &self.settings.office {
            Office::Master => String::new(),
            Office::Scheduler(framework) => framework.clone(),
        };
        let is_older = nodes.root == Root::Airside && framework.is_empty();
        if !is_older {
            let path = &self.layout.path;
            let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
            for end in ends.chain([path.len()]) {
                self.ensure(client, &path[..end], b"", &self.layout.open).await?;
            }
            let cluster = self.settings.new_cluster.clone();
            let cluster = ClusterRecord { cluster, form: FORM, importing, framework };
            self.ensure(client, &nodes.path, b"", &self.layout.own).await?;
            self.ensure(client, &nodes.cluster(), &encode(&cluster), &self.layout.own).await?;
        }
        let (epoch, written) = (EpochRecord::default(), WrittenRecord::default());
        self.ensure_beside_cluster(client, nodes, &nodes.records(), b"").await?;
        self.ensure_beside_cluster(client, nodes, &nodes.epoch(), &encode(&epoch)).await?;
        self.ensure_beside_cluster(client, nodes, &nodes.written(), &encode(&written)).await
    }

    /// Makes a node unless it is there. Whoever may not make one may still use it.
    async fn ensure(
        &self,
        client: &Client,
        path: &str,
        data: &[u8],
        acls: &[Acl],
    ) -> Result<(), Answer> {
        let there = client.check_stat(path).await;
        match there.map_err(|error| self.answer("look for", path, &error))? {
            Some(_) => Ok(()),
            None => {
                let options = CreateMode::Persistent.with_acls(Acls::new(acls));
                match client.create(path, data, &options).await {
                    Ok(_) | Err(Error::NodeExists) => Ok(()),
                    Err(error) => Err(self.answer("make", path, &error)),
                }
            }
        }
    }

    /// The same with what belongs to a registry, if that is still there: one that was moved is not begun again.
    async fn ensure_beside_cluster(
        &self,
        client: &Client,
        nodes: &Nodes,
        path: &str,
        data: &[u8],
    ) -> Result<(), Answer> {
        let there = client.check_stat(path).await;
        if there.map_err(|error| self.answer("look for", path, &error))?.is_some() {
            return Ok(());
        }
        let options = CreateMode::Persistent.with_acls(Acls::new(&self.layout.own));
        let mut writer = client.new_multi_writer();
        let built = writer
            .add_check_version(&nodes.cluster(), -1)
            .and_then(|()| writer.add_create(path, data, &options));
        built.map_err(|error| self.answer("make", path, &error))?;
        match writer.commit().await {
            Ok(_) => Ok(()),
            Err(MultiWriteError::OperationFailed { index: 0, source: Error::NoNode }) => {
                Err(Answer::Missing)
            }
            Err(MultiWriteError::OperationFailed { source: Error::NodeExists, .. }) => Ok(()),
            Err(error) => Err(self.answer("make", path, &error.into())),
        }
    }

    async fn read_cluster(&self, client: &Client, nodes: &Nodes) -> Result<(), Answer> {
        let place = nodes.cluster();
        let (data, stat) = match client.get_data(&place).await {
            Ok(read) => read,
            // It was moved just now.
            Err(Error::NoNode) => return Err(Answer::Missing),
            Err(error) => return Err(self.answer("read", &place, &error)),
        };
        let record = self.understand_cluster(nodes, &data).map_err(Answer::Refused)?;
        if record.importing {
            return Err(self.not_whole(client, nodes).await);
        }
        let nodes = nodes.clone();
        let whose = Whose { cluster: record.cluster, version: stat.version, nodes };
        *self.whose.lock().expect("nobody panics with it") = Some(whose);
        Ok(())
    }

    /// Some clients of Mesos take the node for the leading master.
    async fn warns_of_airside(&self, client: &Client, nodes: &Nodes) -> Result<(), Answer> {
        if self.settings.office != Office::Master || self.warned.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (url, airside) = (&self.settings.url, self.layout.nodes(Root::Airside).path);
        let there = client.check_stat(&airside).await;
        let there = there.map_err(|error| self.answer("look for", &airside, &error))?;
        let why = match (nodes.root, there) {
            (Root::Registry, None) => return Ok(()),
            (Root::Registry, Some(_)) => "holds no registry of this cluster any more",
            (Root::Airside, _) => "holds the registry of this cluster",
        };
        self.warned.store(true, Ordering::Relaxed);
        tracing::warn!(
            "{airside} of {url} {why}; clients of Mesos such as pymesos take this node for the leading master, and find \
             none: once no master of an older version is used any more, stop all masters and run \
             `airside registry move --zk {url}`"
        );
        Ok(())
    }

    async fn not_whole(&self, client: &Client, nodes: &Nodes) -> Answer {
        let import = nodes.import();
        let how = match client.check_stat(&import).await {
            Ok(Some(_)) => "is under way; start this master when it is over",
            Ok(None) => "was interrupted; import again",
            Err(error) => return self.answer("look for", &import, &error),
        };
        let (root, url) = (&nodes.path, &self.settings.url);
        Answer::Refused(format!("an import into the registry at {root} of {url} {how}"))
    }

    /// Whose path it is, if it is one that we may use.
    pub(super) fn understand_cluster(
        &self,
        nodes: &Nodes,
        data: &[u8],
    ) -> Result<ClusterRecord, String> {
        let (root, url) = (&nodes.path, &self.settings.url);
        let record = decode::<ClusterRecord>(data).map_err(|error| {
            let afterwards = match self.settings.office {
                Office::Master => "import the newest export of the registry",
                Office::Scheduler(_) => "start as a new framework",
            };
            format!(
                "{} of {url} is not what Airside would write ({error}); if another program uses this path, \
                 choose another one, else remove {root} and {afterwards}",
                nodes.cluster(),
            )
        })?;
        if record.form > FORM {
            return Err(format!(
                "the registry at {root} of {url} was written by a later version (its form is {}, and this version \
                 knows {FORM}); start that version or a later one",
                record.form,
            ));
        }
        self.check_office(nodes, &record)?;
        match &self.settings.cluster {
            Some(known) if *known != record.cluster => Err(format!(
                "{root} of {url} is the registry of cluster {}, and this master belongs to cluster {known}; give each \
                 cluster a path of its own, or this master another work directory; a registry moves by `airside \
                 registry export` and `import`",
                record.cluster,
            )),
            Some(_) | None => Ok(record),
        }
    }

    /// A path is the election of one cluster's masters, or of one framework's schedulers.
    fn check_office(&self, nodes: &Nodes, record: &ClusterRecord) -> Result<(), String> {
        let (root, url) = (&nodes.path, &self.settings.url);
        let ClusterRecord { cluster, framework, .. } = record;
        let holds = match framework.as_str() {
            "" => format!("the registry of cluster {cluster}"),
            framework => format!("the state of framework {framework}"),
        };
        match &self.settings.office {
            Office::Master if framework.is_empty() => Ok(()),
            Office::Scheduler(ours) if ours == framework => Ok(()),
            Office::Master => {
                Err(format!("{root} of {url} holds {holds}; masters need a path of their own"))
            }
            Office::Scheduler(ours) => Err(format!(
                "{root} of {url} holds {holds}; the schedulers of framework {ours} need a path of their own"
            )),
        }
    }
}
