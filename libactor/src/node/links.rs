//! Links: who hears of whose end, exactly once, whichever way the news comes first.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::watchers::{HERE, Watchers};
use super::{Node, lock};
use crate::conn::Conn;
use crate::control::Control;
use crate::message::{Down, DownReason};
use crate::pid::{Life, Pid};

type Deliver = Box<dyn FnOnce(Down) + Send>;

/// A link that an actor of this node holds.
struct Held {
    pid: Pid,
    /// The connection it goes through; `None` for a local pid.
    conn: Option<u64>,
    deliver: Deliver,
}

#[derive(Default)]
pub(super) struct Links {
    /// By watcher, then by the one it watches.
    held: HashMap<Life, HashMap<Life, Held>>,
    watchers: Watchers,
}

impl Links {
    fn take(&mut self, watcher: Life, target: Life) -> Option<Held> {
        let of_watcher = self.held.get_mut(&watcher)?;
        let held = of_watcher.remove(&target);
        if of_watcher.is_empty() {
            self.held.remove(&watcher);
        }
        held
    }

    /// The connection through which a link goes, if there is that link and it goes through one.
    fn through(&self, watcher: Life, target: Life) -> Option<Option<u64>> {
        Some(self.held.get(&watcher)?.get(&target)?.conn)
    }

    fn take_where(&mut self, lost: impl Fn(&Life, &Held) -> bool) -> Vec<Held> {
        let mut taken = Vec::new();
        self.held.retain(|_, links| {
            taken.extend(links.extract_if(|target, held| lost(target, held)).map(|(_, held)| held));
            !links.is_empty()
        });
        taken
    }
}

fn tell(held: Held, reason: DownReason) {
    (held.deliver)(Down { pid: held.pid, reason });
}

impl Node {
    /// An actor of this node watches `pid`; `deliver` brings the one `Down`.
    pub(crate) fn link(&self, watcher: Life, pid: Pid, deliver: Deliver) {
        let target = pid.life;
        let route = if self.is_here(target) { Ok(None) } else { self.route(&pid).map(Some) };
        let conn = route.as_ref().ok().and_then(Option::as_ref).map(|conn| conn.id);
        {
            let mut links = lock(&self.0.links);
            let of_watcher = links.held.entry(watcher).or_default();
            if of_watcher.contains_key(&target) {
                return;
            }
            of_watcher.insert(target, Held { pid, conn, deliver });
            if route.as_ref().is_ok_and(Option::is_none) {
                links.watchers.insert(target, (watcher, HERE), usize::MAX);
            }
        }
        match route {
            Ok(None) if self.lives(target) => (),
            Ok(None) => self.down(watcher, target, DownReason::NoSuchActor),
            Ok(Some(conn)) => {
                conn.control(target, 0, &Control::Link { watcher, target });
                // It may have ended in between: then whoever booked its end did not see this link.
                if let Some(why) = conn.reason() {
                    self.down(watcher, target, lost(&conn, &why));
                }
            }
            Err(why) => self.down(watcher, target, DownReason::Unreachable(why.to_string())),
        }
    }

    pub(crate) fn unlink(&self, watcher: Life, target: Life) {
        let held = {
            let mut links = lock(&self.0.links);
            links.watchers.remove(target, watcher);
            links.take(watcher, target)
        };
        self.unlink_remote(watcher, target, held);
    }

    fn unlink_remote(&self, watcher: Life, target: Life, held: Option<Held>) {
        if let Some(id) = held.and_then(|held| held.conn)
            && let Some(conn) = lock(&self.0.peers).by_id(id)
        {
            conn.control(target, 0, &Control::Unlink { watcher, target });
        }
    }

    /// The end of `target` for one watcher of this node.
    pub(super) fn down(&self, watcher: Life, target: Life, reason: DownReason) {
        let held = {
            let mut links = lock(&self.0.links);
            links.watchers.remove(target, watcher);
            links.take(watcher, target)
        };
        if let Some(held) = held {
            tell(held, reason);
        }
    }

    /// A peer says that `target` has ended. Whether it may: it is the one through which this link goes, and speaks for
    /// the target's node or says that there is no way beyond itself.
    pub(super) fn hear_down(
        &self,
        (conn, origin): (&Conn, Life),
        watcher: Life,
        target: Life,
        reason: DownReason,
    ) -> bool {
        let Some(through) = lock(&self.0.links).through(watcher, target) else {
            // Unlinked, or heard already.
            return true;
        };
        let may = (origin == conn.node() || origin == Life { actor: 0, ..target })
            && through.is_some_and(|through| self.is_way(through, conn));
        if may {
            self.down(watcher, target, reason);
        }
        may
    }

    /// A peer's actor watches one of ours.
    pub(super) fn watched(&self, conn: &Arc<Conn>, watcher: Life, target: Life) {
        let gone = |reason| conn.control(watcher, 0, &Control::Down { watcher, target, reason });
        if !self.is_here(target) {
            return gone(DownReason::NoSuchActor);
        }
        let most = self.0.config.limits.links;
        if !lock(&self.0.links).watchers.insert(target, (watcher, conn.id), most) {
            if self.0.counters.links_refused.fetch_add(1, Relaxed).is_power_of_two() {
                tracing::warn!(peer = %conn.peer_name(), most, "no more links over one connection");
            }
            let why = format!("its node takes no more than {most} links over one connection");
            return gone(DownReason::Unreachable(why));
        }
        if !self.lives(target) {
            lock(&self.0.links).watchers.remove(target, watcher);
            gone(DownReason::NoSuchActor);
        }
    }

    pub(super) fn unwatched(&self, watcher: Life, target: Life) {
        lock(&self.0.links).watchers.remove(target, watcher);
    }

    /// An actor of this node has ended: its watchers hear of it, its own links go.
    pub(super) fn links_of_ended(&self, ended: Life) {
        let (watchers, held) = {
            let mut links = lock(&self.0.links);
            (links.watchers.take(ended), links.held.remove(&ended).unwrap_or_default())
        };
        for (watcher, through) in watchers {
            if through == HERE {
                self.down(watcher, ended, DownReason::Stopped);
            } else if let Some(conn) = lock(&self.0.peers).by_id(through) {
                conn.control(
                    watcher,
                    0,
                    &Control::Down { watcher, target: ended, reason: DownReason::Stopped },
                );
            }
        }
        for (target, held) in held {
            lock(&self.0.links).watchers.remove(target, ended);
            self.unlink_remote(ended, target, Some(held));
        }
    }

    /// A connection has ended: all that went through it is down.
    pub(super) fn links_of_lost(&self, conn: &Conn, why: &str) {
        let taken = {
            let mut links = lock(&self.0.links);
            links.watchers.lose(conn.id, |_| true);
            links.take_where(|_, held| held.conn == Some(conn.id))
        };
        for held in taken {
            tell(held, lost(conn, why));
        }
    }

    /// A relay has lost one of the nodes behind it.
    pub(super) fn links_behind(&self, conn: &Conn, node: u64, incarnation: u64) {
        let behind = |life: &Life| life.node == node && life.incarnation == incarnation;
        let taken = {
            let mut links = lock(&self.0.links);
            links.watchers.lose(conn.id, |watcher| behind(&watcher));
            links.take_where(|target, held| held.conn == Some(conn.id) && behind(target))
        };
        for held in taken {
            tell(held, DownReason::ConnectionLost);
        }
    }
}

/// What the loss of a connection means to those who used it.
pub(super) fn lost(conn: &Conn, why: &str) -> DownReason {
    if conn.peer.get().is_some() {
        DownReason::ConnectionLost
    } else {
        DownReason::Unreachable(why.to_owned())
    }
}
