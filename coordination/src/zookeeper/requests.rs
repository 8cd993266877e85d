//! Performs the election's requests with a client.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use zookeeper_client::{
    Acls, Client, CreateMode, Error, MultiWriteError, MultiWriteResult, OneshotWatcher,
};

use super::errors::{answer, is_definite, words};
use super::layout::{EpochRecord, Layout, Nodes, decode, encode};
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
    /// What an operator should do about the place of the registry is said once.
    pub(super) warned: AtomicBool,
}

/// What is known of a path whose registry is whole.
#[derive(Clone, Debug)]
pub(super) struct Whose {
    pub(super) cluster: String,
    /// Of the node that says so: another one after an import has begun.
    pub(super) version: i32,
    /// Where it is.
    pub(super) nodes: Nodes,
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

    pub(super) fn whose(&self) -> Option<Whose> {
        self.whose.lock().expect("nobody panics with it").clone()
    }

    pub(super) fn answer(&self, what: &str, path: &str, error: &Error) -> Answer {
        answer(&self.settings.url, what, path, error)
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
        let Some(Whose { nodes, .. }) = self.whose() else { return Answer::Missing };
        let path = nodes.epoch();
        let (data, stat) = match client.get_data(&path).await {
            Ok(read) => read,
            Err(Error::NoNode) => return Answer::Missing,
            Err(error) => return self.answer("read", &path, &error),
        };
        match decode::<EpochRecord>(&data) {
            Ok(record) => {
                Answer::Epoch { number: record.epoch, version: stat.version, by: record.by }
            }
            Err(error) => Answer::Refused(self.damaged(&nodes, &path, &error.to_string())),
        }
    }

    pub(super) fn damaged(&self, nodes: &Nodes, path: &str, error: &str) -> String {
        let url = &self.settings.url;
        let advice = match self.settings.office {
            Office::Master => {
                "import the newest export of the registry, which raises the epoch above all that ever were"
                    .to_owned()
            }
            Office::Scheduler(_) => {
                format!("stop all schedulers and remove {} to start as a new framework", nodes.path)
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
        let Some(Whose { version: whole, nodes, .. }) = self.whose() else {
            return Answer::Missing;
        };
        let path = nodes.epoch();
        let mut writer = client.new_multi_writer();
        let seat = self.layout.seat(seat);
        let built = writer
            .add_check_version(&nodes.cluster(), whole)
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
            // An import has begun since it was read, and is perhaps not over; or it was moved.
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
