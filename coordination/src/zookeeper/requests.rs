//! Performs the election's requests with a client.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;

use zookeeper_client::{
    Acls, Client, CreateMode, Error, MultiWriteError, MultiWriteResult, OneshotWatcher,
};

use super::errors::{answer, is_definite, words};
use super::layout::{ClusterRecord, EpochRecord, FORM, Layout, WrittenRecord, decode, encode};
use super::logic::detection::Found;
use super::logic::{Answer, Request, Seat};
use super::member;
use super::{Office, Settings};
use crate::election::Candidate;

/// What requests need beside a client.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) settings: Settings,
    pub(super) layout: Layout,
    /// As it was read; another cluster's path is refused before anything else.
    pub(super) whose: Mutex<Option<Whose>>,
}

/// What is known of a path whose registry is whole.
#[derive(Clone, Debug)]
pub(super) struct Whose {
    pub(super) cluster: String,
    /// Of the node that says so: another one after an import has begun.
    version: i32,
}

/// An answer, and what to watch if it was a survey.
pub(super) type Answered = (Answer, Option<OneshotWatcher>);

impl Context {
    pub(super) async fn perform(
        &self,
        client: &Client,
        request: Request,
        candidate: &Candidate,
    ) -> Answered {
        let answer = match request {
            Request::Survey => return self.survey(client).await,
            Request::Prepare => self.prepare(client).await.unwrap_or_else(|refusal| refusal),
            Request::Create { id: _ } => self.create(client, candidate).await,
            Request::Delete { name } => self.delete(client, &name).await,
            Request::ReadEpoch => self.read_epoch(client).await,
            Request::Raise { seat, by, to, version } => {
                self.raise(client, &seat, EpochRecord { epoch: to, by }, version).await
            }
        };
        (answer, None)
    }

    fn answer(&self, what: &str, path: &str, error: &Error) -> Answer {
        answer(&self.settings.url, what, path, error)
    }

    /// Makes the path and its parents, and what is ours below it.
    async fn prepare(&self, client: &Client) -> Result<Answer, Answer> {
        self.is_not_begun_anew(client).await?;
        self.make_nodes(client, false).await?;
        self.read_cluster(client, &self.layout.cluster()).await
    }

    /// A cluster that there is already would be without its agents and frameworks in a registry that is made now.
    async fn is_not_begun_anew(&self, client: &Client) -> Result<(), Answer> {
        let Some(cluster) = &self.settings.cluster else { return Ok(()) };
        let place = self.layout.cluster();
        let synced = client.sync(&place).await;
        synced.map_err(|error| self.answer("look for", &place, &error))?;
        let there = client.check_stat(&place).await;
        match there.map_err(|error| self.answer("look for", &place, &error))? {
            Some(_) => Ok(()),
            None => Err(Answer::Refused(format!(
                "there is no registry at {} of {}, and this master belongs to cluster {cluster}; if this is the right \
                 path, import the newest export of that cluster's registry, and if the master is to belong to a new \
                 cluster, give it another work directory",
                self.layout.root(),
                self.settings.url,
            ))),
        }
    }

    pub(super) async fn make_nodes(&self, client: &Client, importing: bool) -> Result<(), Answer> {
        let path = &self.layout.path;
        let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        for end in ends.chain([path.len()]) {
            self.ensure(client, &path[..end], b"", &self.layout.open).await?;
        }
        for folder in [self.layout.root(), self.layout.registry()] {
            self.ensure(client, &folder, b"", &self.layout.own).await?;
        }
        let framework = match &self.settings.office {
            Office::Master => String::new(),
            Office::Scheduler(framework) => framework.clone(),
        };
        let cluster = self.settings.new_cluster.clone();
        let cluster = ClusterRecord { cluster, form: FORM, importing, framework };
        let place = self.layout.cluster();
        self.ensure(client, &place, &encode(&cluster), &self.layout.own).await?;
        let epoch = encode(&EpochRecord::default());
        self.ensure(client, &self.layout.epoch(), &epoch, &self.layout.own).await?;
        let written = encode(&WrittenRecord::default());
        self.ensure(client, &self.layout.written(), &written, &self.layout.own).await
    }

    /// Makes a node unless it is there. Whoever may not make one may still use it.
    async fn ensure(
        &self,
        client: &Client,
        path: &str,
        data: &[u8],
        acls: &[zookeeper_client::Acl],
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

    async fn read_cluster(&self, client: &Client, place: &str) -> Result<Answer, Answer> {
        let read = client.get_data(place).await;
        let (data, stat) = read.map_err(|error| self.answer("read", place, &error))?;
        let record = self.understand_cluster(place, &data).map_err(Answer::Refused)?;
        if record.importing {
            return Err(self.not_whole(client).await);
        }
        let whose = Whose { cluster: record.cluster, version: stat.version };
        *self.whose.lock().expect("nobody panics with it") = Some(whose);
        Ok(Answer::Prepared)
    }

    async fn not_whole(&self, client: &Client) -> Answer {
        let import = self.layout.import();
        let how = match client.check_stat(&import).await {
            Ok(Some(_)) => "is under way; start this master when it is over",
            Ok(None) => "was interrupted; import again",
            Err(error) => return self.answer("look for", &import, &error),
        };
        let (root, url) = (self.layout.root(), &self.settings.url);
        Answer::Refused(format!("an import into the registry at {root} of {url} {how}"))
    }

    /// Whose path it is, if it is one that we may use.
    pub(super) fn understand_cluster(
        &self,
        place: &str,
        data: &[u8],
    ) -> Result<ClusterRecord, String> {
        let url = &self.settings.url;
        let record = decode::<ClusterRecord>(data).map_err(|error| {
            let afterwards = match self.settings.office {
                Office::Master => "import the newest export of the registry",
                Office::Scheduler(_) => "start as a new framework",
            };
            format!(
                "{place} of {url} is not what Airside would write ({error}); if another program uses this path, \
                 choose another one, else remove {} and {afterwards}",
                self.layout.root(),
            )
        })?;
        if record.form > FORM {
            return Err(format!(
                "the registry at {} of {url} was written by a later version (its form is {}, and this version \
                 knows {FORM}); start that version or a later one",
                self.layout.root(),
                record.form,
            ));
        }
        self.check_office(&record)?;
        match &self.settings.cluster {
            Some(known) if *known != record.cluster => Err(format!(
                "{} of {url} is the registry of cluster {}, and this master belongs to cluster {known}; give each \
                 cluster a path of its own, or this master another work directory; a registry moves by `airside \
                 registry export` and `import`",
                self.layout.root(),
                record.cluster,
            )),
            Some(_) | None => Ok(record),
        }
    }

    /// A path is the election of one cluster's masters, or of one framework's schedulers.
    fn check_office(&self, record: &ClusterRecord) -> Result<(), String> {
        let (root, url) = (self.layout.root(), &self.settings.url);
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

    async fn survey(&self, client: &Client) -> Answered {
        let path = &self.layout.path;
        // Or a server that lags behind would show what was so.
        if let Err(error) = client.sync(path).await {
            return (self.answer("read", path, &error), None);
        }
        let (names, watcher) = match client.list_and_watch_children(path).await {
            Ok(listed) => listed,
            Err(Error::NoNode) => return (Answer::Missing, None),
            Err(error) => return (self.answer("list the nodes below", path, &error), None),
        };
        let mut seats = Vec::new();
        for name in names {
            let Some((label, sequence)) = member::seat(&name) else { continue };
            let (owner, id) = match client.get_data(&self.layout.seat(&name)).await {
                Ok((data, stat)) => {
                    let ours = label == self.settings.office.label();
                    let id = ours.then(|| self.settings.office.read(label, &data).ok()).flatten();
                    (stat.ephemeral_owner, id.map(|candidate| candidate.id))
                }
                // It vanished, or is not for us to read: then it is not ours.
                Err(error) if is_definite(&error) => (0, None),
                Err(error) => return (Answer::Unknown(error.to_string()), None),
            };
            seats.push(Seat { name, sequence, owner, id });
        }
        (Answer::Surveyed(seats), Some(watcher))
    }

    async fn create(&self, client: &Client, candidate: &Candidate) -> Answer {
        let office = &self.settings.office;
        let data = match office {
            Office::Master => office.write(candidate, ip_of(&candidate.address).await),
            Office::Scheduler(_) => office.write(candidate, Ipv4Addr::UNSPECIFIED),
        };
        let options = CreateMode::EphemeralSequential.with_acls(Acls::new(&self.layout.open));
        let path = self.layout.seat(&format!("{}_", office.label()));
        match client.create(&path, &data, &options).await {
            Ok(_) => Answer::Done,
            Err(Error::NoNode) => Answer::Missing,
            Err(error) => self.answer("make", &path, &error),
        }
    }

    async fn delete(&self, client: &Client, name: &str) -> Answer {
        let path = self.layout.seat(name);
        match client.delete(&path, None).await {
            Ok(()) | Err(Error::NoNode) => Answer::Done,
            Err(error) => self.answer("delete", &path, &error),
        }
    }

    async fn read_epoch(&self, client: &Client) -> Answer {
        let path = self.layout.epoch();
        let (data, stat) = match client.get_data(&path).await {
            Ok(read) => read,
            Err(Error::NoNode) => return Answer::Missing,
            Err(error) => return self.answer("read", &path, &error),
        };
        match decode::<EpochRecord>(&data) {
            Ok(record) => {
                Answer::Epoch { number: record.epoch, version: stat.version, by: record.by }
            }
            Err(error) => Answer::Refused(self.damaged(&path, &error.to_string())),
        }
    }

    pub(super) fn damaged(&self, path: &str, error: &str) -> String {
        let url = &self.settings.url;
        let advice = match self.settings.office {
            Office::Master => {
                "import the newest export of the registry, which raises the epoch above all that ever were"
                    .to_owned()
            }
            Office::Scheduler(_) => {
                format!("stop all schedulers and remove {} to start as a new framework", self.layout.root())
            }
        };
        format!(
            "{path} of {url} is damaged ({error}), so nobody knows which reign comes next; {advice}"
        )
    }

    async fn raise(
        &self,
        client: &Client,
        seat: &str,
        record: EpochRecord,
        version: i32,
    ) -> Answer {
        let path = self.layout.epoch();
        let whose = self.whose.lock().expect("nobody panics with it").clone();
        let Some(Whose { version: whole, .. }) = whose else { return Answer::Missing };
        let mut writer = client.new_multi_writer();
        let seat = self.layout.seat(seat);
        let built = writer
            .add_check_version(&self.layout.cluster(), whole)
            .and_then(|()| writer.add_check_version(&seat, -1))
            .and_then(|()| writer.add_set_data(&path, &encode(&record), Some(version)));
        if let Err(error) = built {
            return self.answer("write", &path, &error);
        }
        match writer.commit().await {
            Ok(results) => match results.into_iter().nth(2) {
                Some(MultiWriteResult::SetData { stat }) => {
                    Answer::Raised { version: stat.version }
                }
                Some(_) | None => {
                    Answer::Unknown("the servers' answer says something else".to_owned())
                }
            },
            // An import has begun since it was read, and is perhaps not over.
            Err(MultiWriteError::OperationFailed {
                index: 0,
                source: Error::NoNode | Error::BadVersion,
            }) => Answer::Missing,
            Err(MultiWriteError::OperationFailed {
                source: Error::NoNode | Error::BadVersion,
                ..
            }) => Answer::Conflict,
            Err(error) => self.answer("write", &path, &error.into()),
        }
    }

    /// The lowest seat, whatever its label.
    pub(super) async fn look(&self, client: &Client) -> (Found, Option<OneshotWatcher>) {
        let path = &self.layout.path;
        let (names, watcher) = match client.list_and_watch_children(path).await {
            Ok((names, watcher)) => (names, watcher),
            Err(Error::NoNode) => return self.look_for_path(client).await,
            Err(error) => return (self.not_found("list the nodes below", path, &error), None),
        };
        let seats = names.iter().filter_map(|name| Some((member::seat(name)?, name)));
        let Some(((label, _), name)) = seats.min_by_key(|((_, sequence), _)| *sequence) else {
            return (Found::Nobody, Some(watcher));
        };
        let place = self.layout.seat(name);
        let found = match client.get_data(&place).await {
            Ok((data, _)) => match self.settings.office.read(label, &data) {
                Ok(candidate) => Found::Leader(candidate),
                Err(error) => Found::Garbage(format!(
                    "{place} of {} comes first in the election, but nobody can read it: {error}; who made it \
                     should remove it",
                    self.settings.url
                )),
            },
            Err(Error::NoNode) => Found::Vanished,
            Err(error) => self.not_found("read", &place, &error),
        };
        (found, Some(watcher))
    }

    /// Nobody ever stood. Somebody will make the path.
    async fn look_for_path(&self, client: &Client) -> (Found, Option<OneshotWatcher>) {
        let path = &self.layout.path;
        match client.check_and_watch_stat(path).await {
            Ok((None, watcher)) => (Found::Nobody, Some(watcher)),
            Ok((Some(_), _)) => (Found::Vanished, None),
            Err(error) => (self.not_found("look for", path, &error), None),
        }
    }

    fn not_found(&self, what: &str, path: &str, error: &Error) -> Found {
        if is_definite(error) {
            Found::Refused(words(&self.settings.url, what, path, error))
        } else {
            Found::Unknown
        }
    }
}

/// Clients of Mesos want a number. A name is resolved; what has no address of IPv4 gets zeroes.
async fn ip_of(address: &str) -> Ipv4Addr {
    let host = member::host_and_port(address).map_or(address, |(host, _)| host);
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => return ip,
        Ok(IpAddr::V6(_)) => return Ipv4Addr::UNSPECIFIED,
        Err(_) => {}
    }
    let resolved = tokio::net::lookup_host((host, 0)).await;
    let v4 = |ip| match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    };
    let mut resolved = resolved.into_iter().flatten().map(|socket| socket.ip());
    resolved.find_map(v4).unwrap_or(Ipv4Addr::UNSPECIFIED)
}
