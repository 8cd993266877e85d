//! What the gateways of a node know: whether its master leads, who leads else, and which schedulers have subscribed through them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use api::v1;
use coordination::election::Candidate;
use gateway::{Call, Daemon, Refused};
use libactor::{Clock, Node};
use protocol::change::FrameworkState;
use protocol::ids::FrameworkId;
use protocol::time::{Now, WallTime};
use tokio::sync::watch;

use super::operator::Subscribers;
use super::scheduler::Stream;
use crate::actors::view::FindFramework;
use crate::start::Running;
use crate::view::legacy::About;

/// Of masters that say none.
const PORT: u16 = 5050;

/// What all gateways of a master's process share. Made before its node, which is told later, as all else.
#[derive(Clone)]
pub struct Gateways(Arc<Shared>);

struct Shared {
    daemon: Daemon,
    hostname: Option<String>,
    /// The reign that lasts here.
    reign: Mutex<Option<Arc<Running>>>,
    /// The candidate whose reign was the last one that ended here.
    ended: Mutex<Option<String>>,
    /// Who leads, if masters are elected.
    leader: OnceLock<watch::Receiver<Option<Candidate>>>,
    streams: Mutex<BTreeMap<FrameworkId, Stream>>,
    /// Operators who listen to events.
    subscribers: Subscribers,
    /// When the process began.
    started: WallTime,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gateways {
    /// Of a master's daemon, on a machine that its operator calls so.
    pub fn new(daemon: Daemon, hostname: Option<&str>) -> Self {
        Self(Arc::new(Shared {
            daemon,
            hostname: hostname.map(str::to_owned),
            reign: Mutex::default(),
            ended: Mutex::default(),
            leader: OnceLock::new(),
            streams: Mutex::default(),
            subscribers: Subscribers::default(),
            started: Now::from(Clock::start().read()).wall,
        }))
    }

    /// So many operators may listen to events at once.
    #[must_use]
    pub fn with_listeners(self, most: usize) -> Self {
        self.0.subscribers.may_be(most);
        self
    }

    /// The node on which they are, and who says who leads, if anybody is elected.
    pub fn are_on(&self, node: &Node, leader: Option<watch::Receiver<Option<Candidate>>>) {
        self.0.daemon.is_on(node);
        if let Some(leader) = leader {
            // It is said once.
            let _ = self.0.leader.set(leader);
        }
    }

    /// A reign begins here, or is over, or about to be.
    pub fn leads(&self, reign: Option<Arc<Running>>) {
        let before = std::mem::replace(&mut *lock(&self.0.reign), reign);
        if let Some(before) = before {
            *lock(&self.0.ended) = Some(before.cluster().master.to_string());
        }
    }

    /// Whether it is this reign that is over, of which not everybody has heard yet.
    fn is_over(&self, leader: &Candidate) -> bool {
        let alone = self.0.leader.get().is_none();
        lock(&self.0.ended).as_ref().is_some_and(|ended| alone || *ended == leader.id)
    }

    /// The reign that lasts here.
    ///
    /// # Errors
    ///
    /// Where the leader is, or that there is none, or that it does not know its registry yet.
    pub(super) fn reign(&self, call: &Call) -> Result<Arc<Running>, Refused> {
        if let Some(running) = lock(&self.0.reign).clone() {
            return match running.leads() {
                true => Ok(running),
                false => Err(Refused::new(503, "No leader elected")),
            };
        }
        match self.leader() {
            // A master of Mesos ends with its reign. Clients stand that, and some give up if a call is answered by anything else.
            Some(leader) if self.is_here(&leader) && self.is_over(&leader) => {
                call.cut();
                Err(Refused::new(503, "No leader elected"))
            }
            Some(leader) if self.is_here(&leader) => {
                Err(Refused::new(503, "Master has not finished recovery"))
            }
            Some(leader) => {
                let query = call.request.query_string();
                let query = if query.is_empty() { String::new() } else { format!("?{query}") };
                Err(redirect(&leader, &format!("{}{query}", call.location)))
            }
            None => Err(Refused::new(503, "No leader elected")),
        }
    }

    /// Why a call is not taken, if its reign has not ended since it came: then its client hears of the end only.
    pub(super) fn unless_over(&self, reign: &Arc<Running>, call: &Call, why: Refused) -> Refused {
        if !lock(&self.0.reign).as_ref().is_some_and(|now| Arc::ptr_eq(now, reign)) {
            call.cut();
        }
        why
    }

    /// Whoever leads, as far as this node knows.
    fn leader(&self) -> Option<Candidate> {
        if let Some(elected) = self.0.leader.get() {
            return elected.borrow().clone();
        }
        // The only master there is leads, or is about to.
        let own = Candidate::at(&self.node()?.advertised()?.to_string());
        let hostname = self.0.hostname.clone().unwrap_or_else(|| own.hostname.clone());
        Some(Candidate { hostname, ..own })
    }

    fn is_here(&self, leader: &Candidate) -> bool {
        let own = self.node().and_then(Node::advertised);
        own.is_some_and(|own| own.to_string() == leader.address)
    }

    /// To the leader's first page, from wherever.
    pub(super) fn to_leader(&self) -> Refused {
        match self.leader() {
            Some(leader) => redirect(&leader, ""),
            None => Refused::new(503, "No leader elected"),
        }
    }

    pub(super) fn subscribers(&self) -> &Subscribers {
        &self.0.subscribers
    }

    pub(super) fn started(&self) -> WallTime {
        self.0.started
    }

    /// What the master says of itself beside its state.
    pub(super) fn about(&self, reign: &Running) -> About {
        let info = self.master_info(reign);
        About {
            version: self.daemon().program(),
            hostname: info.hostname.unwrap_or_default(),
            cluster: self.daemon().flags().get("cluster").cloned(),
            pid: info.pid.unwrap_or_default(),
            started: self.started(),
            elected: reign.elected(),
            port: u16::try_from(info.port).unwrap_or(PORT),
            flags: self.daemon().flags().clone(),
        }
    }

    /// The pages that every daemon has.
    pub(super) fn daemon(&self) -> &Daemon {
        &self.0.daemon
    }

    /// Once there is one: calls come only then.
    pub(super) fn node(&self) -> Option<&Node> {
        self.0.daemon.node()
    }

    pub(super) fn hostname(&self) -> Option<&str> {
        self.0.hostname.as_deref()
    }

    /// The master as schedulers are told of it.
    pub(super) fn master_info(&self, reign: &Running) -> v1::MasterInfo {
        let cluster = reign.cluster();
        let own = self.node().and_then(Node::advertised);
        let candidate = own.map(|own| Candidate::at(&own.to_string()));
        let hostname = self.hostname().map(str::to_owned);
        let hostname = hostname.or_else(|| candidate.map(|candidate| candidate.hostname));
        let ip = match own.map(|own| own.ip()) {
            // The bytes of the address in network order, read as a number of a machine that has the least byte first.
            Some(IpAddr::V4(ip)) => u32::from_le_bytes(ip.octets()),
            Some(IpAddr::V6(_)) | None => 0,
        };
        let port = own.map_or(PORT, |own| own.port());
        v1::MasterInfo {
            id: cluster.master.to_string(),
            ip,
            port: port.into(),
            pid: own.map(|own| format!("master@{own}")),
            hostname: hostname.clone(),
            version: Some(cluster.version.clone()),
            address: Some(v1::Address {
                hostname,
                ip: own.map(|own| own.ip().to_string()),
                port: port.into(),
            }),
            ..v1::MasterInfo::default()
        }
    }

    pub(super) fn streams(&self) -> MutexGuard<'_, BTreeMap<FrameworkId, Stream>> {
        lock(&self.0.streams)
    }
}

impl Running {
    /// Why a call is not taken that names a framework which has no stream here, from a client that proved to be this.
    pub(super) async fn why_not_subscribed(
        &self,
        framework: &FrameworkId,
        principal: Option<&str>,
    ) -> Refused {
        let found = self.view().ask(FindFramework(framework.clone())).await;
        let seen = match found.map(|found| found.0) {
            Ok(Some(seen)) if seen.state != FrameworkState::Removed => seen,
            Ok(_) => return Refused::new(400, "Framework cannot be found"),
            Err(error) => {
                let words = format!("the master's view does not answer: {error}");
                return Refused::new(503, words);
            }
        };
        if let Err(words) = same_principal(principal, seen.principal.as_deref()) {
            return Refused::new(400, words);
        }
        match seen.state {
            FrameworkState::Removed => Refused::new(400, "Framework cannot be found"),
            FrameworkState::Disconnected | FrameworkState::Recovered => {
                Refused::new(403, "Framework is not subscribed")
            }
            FrameworkState::Active | FrameworkState::Suppressed => {
                Refused::new(403, "Framework is not connected via HTTP")
            }
        }
    }
}

/// Whoever proved to be somebody speaks for frameworks of that principal alone. In Mesos's words.
pub(super) fn same_principal(proved: Option<&str>, framework: Option<&str>) -> Result<(), String> {
    let framework = framework.unwrap_or_default();
    match proved {
        Some(proved) if proved != framework => Err(format!(
            "Authenticated principal '{proved}' does not match principal '{framework}' set in `FrameworkInfo`"
        )),
        Some(_) | None => Ok(()),
    }
}

/// With no scheme: the client keeps its own.
fn redirect(leader: &Candidate, path: &str) -> Refused {
    let port =
        leader.address.rsplit_once(':').map_or(PORT.to_string(), |(_, port)| port.to_owned());
    // The address of IPv6 needs brackets in a URL.
    let bare = leader.hostname.contains(':') && !leader.hostname.starts_with('[');
    let host = if bare { format!("[{}]", leader.hostname) } else { leader.hostname.clone() };
    Refused::to(format!("//{host}:{port}{path}"))
}

#[cfg(test)]
mod tests {
    use actix_web::HttpResponse;

    use super::*;

    #[test]
    fn ha_04_a_redirection_names_the_leaders_machine_and_no_scheme() {
        for (hostname, location) in [
            ("leader.example", "//leader.example:5050/master/state?x=1"),
            ("::1", "//[::1]:5050/master/state?x=1"),
        ] {
            let leader = Candidate { hostname: hostname.into(), ..Candidate::at("10.0.0.1:5050") };
            let response = HttpResponse::from(redirect(&leader, "/master/state?x=1"));
            assert_eq!(response.status().as_u16(), 307);
            assert_eq!(response.headers().get("location").unwrap().to_str().unwrap(), location);
        }
    }
}
