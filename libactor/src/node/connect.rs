//! Connections: made by dialling or listening, and led until they end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::greet::NoConnection;
use super::links::lost;
use super::strangers::Stranger;
use super::{Node, lock};
use crate::config::Limits;
use crate::conn::{self, Bounds, Conn};
use crate::control::{Control, DropReason};
use crate::error::{AskError, StartError, TellError};
use crate::flow;
use crate::message::DownReason;
use crate::metrics::{CutKind, RefusalKind};
use crate::pid::Life;
use crate::session::Peer;

/// Between a peer's silence being noticed and believed.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Takes the port now, so that who starts the node learns at once whether it is free.
pub(super) fn bind(address: SocketAddr) -> Result<(std::net::TcpListener, SocketAddr), StartError> {
    let listen = || {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            None,
        )?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(1024)?;
        socket.set_nonblocking(true)?;
        let listener = std::net::TcpListener::from(socket);
        let real = listener.local_addr()?;
        Ok((listener, real))
    };
    listen().map_err(|source| StartError::Listen { address, source })
}

impl Node {
    fn bounds(&self) -> Bounds {
        let config = &self.0.config;
        let limits = config.limits;
        Bounds {
            message: limits.message,
            buffer: limits.buffer,
            window: limits.window,
            version: config.version,
        }
    }

    pub(super) fn new_conn(&self, dialled: Option<String>) -> Arc<Conn> {
        let id = self.0.next_conn.fetch_add(1, Relaxed);
        Arc::new(Conn::new(id, self.0.life, dialled, self.bounds()))
    }

    /// The connection to a place: the one that stands or is being made, or a new attempt.
    pub(super) fn connection(&self, at: &str) -> Arc<Conn> {
        let conn = {
            let mut peers = lock(&self.0.peers);
            if let Some(conn) = peers.dialled(at).filter(|conn| !conn.is_closed()) {
                return conn;
            }
            let conn = self.new_conn(Some(at.to_owned()));
            peers.insert(&conn);
            conn
        };
        let (node, dialled) = (self.clone(), Arc::clone(&conn));
        if !self.0.threads.next().spawn(async move { node.dial(dialled).await }) {
            conn.close("the node has shut down");
            self.ended(&conn);
        }
        conn
    }

    async fn dial(self, conn: Arc<Conn>) {
        let at = conn.dialled.clone().unwrap_or_default();
        match self.try_dial(&conn, &at).await {
            Ok((stream, sofar)) => self.lead(&conn, stream, sofar).await,
            Err(error) => {
                self.0.counters.refused(error.kind());
                tracing::warn!(%at, %error, "no connection");
                conn.close(&format!("{at}: {error}"));
                self.ended(&conn);
            }
        }
    }

    async fn try_dial(&self, conn: &Conn, at: &str) -> Result<(TcpStream, BytesMut), NoConnection> {
        let timing = self.0.config.timing;
        let connect = async {
            let addresses = tokio::net::lookup_host(at)
                .await
                .map_err(|error| NoConnection::LookUp(at.to_owned(), error))?;
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for address in addresses {
                match TcpStream::connect(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                }
            }
            Err(NoConnection::Connect(last))
        };
        let mut stream = timeout(timing.dial, connect)
            .await
            .map_err(|_| NoConnection::Silent(timing.dial))??;
        let address = stream.peer_addr()?;
        let peer = timeout(timing.handshake, self.greet_as_dialler(&mut stream))
            .await
            .map_err(|_| NoConnection::Silent(timing.handshake))??;
        let _ = conn.way.set(peer.advertise.unwrap_or(address));
        conn.leads_to(address);
        self.settled(conn, peer);
        Ok((stream, BytesMut::new()))
    }

    /// The peer is known: from now on it is found by its node.
    pub(super) fn settled(&self, conn: &Conn, peer: Peer) {
        let (node, speaks) = (peer.node, peer.version);
        tracing::info!(peer = %conn.peer_name(), node = format!("{node:016x}"), version = peer.version, "connected");
        let _ = conn.peer.set(peer);
        let too_new = conn.settle(speaks);
        self.0.counters.dropped(DropReason::TooNew, too_new.messages);
        for (ask, needs) in too_new.asks {
            self.fail_ask(ask, TellError::TooNew { needs, speaks }.into());
        }
        self.0.counters.opened.fetch_add(1, Relaxed);
        conn.heard.store(flow::now_ms(), Relaxed);
        lock(&self.0.peers).established(conn, node);
    }

    pub(super) fn listen(&self, listener: std::net::TcpListener) -> Result<(), StartError> {
        let node = self.clone();
        self.0.accepting.store(true, Relaxed);
        let running = self.0.threads.next().spawn(async move {
            match TcpListener::from_std(listener) {
                Ok(listener) => node.accept(listener).await,
                Err(error) => tracing::error!(%error, "the listener cannot run"),
            }
            node.0.accepting.store(false, Relaxed);
        });
        if running {
            Ok(())
        } else {
            Err(StartError::Threads(io::Error::other("a thread ended at once")))
        }
    }

    async fn accept(&self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.0.stop.notified() => return,
            };
            match accepted {
                Ok((stream, from)) => {
                    let (node, stranger) = (self.clone(), Stranger::of(self));
                    self.0.threads.next().spawn(async move {
                        node.look(stream, from, stranger).await;
                    });
                }
                Err(error) => {
                    // No file descriptors left, above all: what is open goes on, and some will close.
                    if self.0.counters.accept_errors.fetch_add(1, Relaxed).is_power_of_two() {
                        tracing::warn!(%error, "no connection accepted; trying again");
                    }
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    pub(crate) fn refuse(&self, from: SocketAddr, kind: RefusalKind, why: &str) {
        self.0.counters.refused(kind);
        tracing::warn!(%from, reason = kind.word(), why, "a connection is refused");
    }

    /// Leads a connection until it ends.
    pub(super) async fn lead(&self, conn: &Arc<Conn>, stream: TcpStream, sofar: BytesMut) {
        let tuned = tune(&stream, &self.0.config.limits);
        if let Err(error) = tuned {
            tracing::debug!(%error, "socket options");
        }
        let (from, to) = stream.into_split();
        // Tasks of their own: what is read does not have to look at them first.
        let writer = Arc::clone(conn);
        let mut writing = actix_rt::spawn(async move { conn::write_loop(&writer, to).await });
        let mut heartbeats = self.beat(conn);
        let mut written = false;
        let why = tokio::select! {
            biased;
            end = conn::read_loop(self, conn, from, sofar) => {
                if let Some(kind) = end.blames() {
                    let _ = conn.cut_for.set(kind);
                }
                end.to_string()
            }
            end = &mut writing => {
                written = true;
                match end {
                    Ok(Ok(())) => "closed".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                }
            }
            why = &mut heartbeats => why.unwrap_or_else(|error| error.to_string()),
        };
        drop(heartbeats);
        if !conn.is_closed() {
            conn.control(
                Life::NOBODY,
                0,
                &Control::Goodbye { why: why.clone(), received: conn.received() },
            );
        }
        conn.close(&why);
        if !written && timeout(Duration::from_secs(1), &mut writing).await.is_err() {
            writing.abort();
        }
        conn.let_go();
        self.ended(conn);
    }

    /// Begins the heartbeats of a connection. They go on until what is returned is dropped; it comes when the connection
    /// has to go. Their timer is not one of the thread on which the connection is read: see `asks.rs`.
    fn beat(&self, conn: &Arc<Conn>) -> oneshot::Receiver<String> {
        let (mut end, ended) = oneshot::channel();
        let (node, conn) = (self.clone(), Arc::clone(conn));
        self.0.threads.beside(async move {
            let why = tokio::select! {
                why = node.heartbeats(&conn) => why,
                () = end.closed() => return,
            };
            let _ = end.send(why);
        });
        ended
    }

    /// Says what was received and which actors work, and watches the peer. Returns why the connection has to go, once it is
    /// booked what for.
    async fn heartbeats(&self, conn: &Conn) -> String {
        let timing = self.0.config.timing;
        let silence = u64::try_from(timing.silence.as_millis()).unwrap_or(u64::MAX);
        let patience = u64::try_from(timing.full.as_millis()).unwrap_or(u64::MAX);
        let (mut written, mut full_since) = (0, None);
        loop {
            sleep(timing.heartbeat).await;
            conn.control(Life::NOBODY, 0, &Control::Heartbeat { received: conn.received() });
            conn.show_progress(|life| Some(self.actor(life.actor)?.meta.handled()));
            let silent = || flow::now_ms().saturating_sub(conn.heard.load(Relaxed)) > silence;
            if silent() {
                // If it was this process that slept, the reader gets its turn first.
                sleep(LOOK_AGAIN).await;
            }
            let now = flow::now_ms();
            if silent() {
                let _ = conn.cut_for.set(CutKind::Silent);
                return format!("the peer has been silent for {:?}", timing.silence);
            }
            let (full, sofar) = conn.fullness();
            if !full || sofar != written {
                (written, full_since) = (sofar, None);
            }
            if full && now.saturating_sub(*full_since.get_or_insert(now)) > patience {
                let _ = conn.cut_for.set(CutKind::Full);
                return format!("the peer has not read for {:?}", timing.full);
            }
            if let Some(Life { actor, .. }) = conn.stuck_since(now.saturating_sub(patience)) {
                let _ = conn.cut_for.set(CutKind::Full);
                return format!("the peer's actor {actor} has taken nothing for {:?}", timing.full);
            }
        }
    }

    /// Books the end of a connection: counts, links, asks, and those who talked through it.
    pub(super) fn ended(&self, conn: &Arc<Conn>) {
        let why = conn.reason().unwrap_or_else(|| "closed".to_owned());
        let counters = &self.0.counters;
        // Booked before the loss: who waits for that finds both.
        if let Some(kind) = conn.cut_for.get() {
            counters.cut(*kind);
            tracing::warn!(peer = %conn.peer_name(), reason = kind.word(), why, "a peer is cut");
        }
        let partners = {
            let mut peers = lock(&self.0.peers);
            let partners = peers.remove(conn);
            let stood = conn.peer.get().is_some();
            let reason = if stood { DropReason::ConnectionLost } else { DropReason::Unreachable };
            counters.dropped(reason, conn.discard());
            counters.accepted.fetch_add(conn.accepted(), Relaxed);
            counters
                .handed
                .fetch_add(conn.handed.iter().map(|count| count.load(Relaxed)).sum(), Relaxed);
            counters.received.fetch_add(conn.received().iter().sum(), Relaxed);
            counters.entered.fetch_add(conn.entered.load(Relaxed), Relaxed);
            counters.confirmed.fetch_add(conn.confirmed(), Relaxed);
            counters.unconfirmed.fetch_add(conn.unconfirmed(), Relaxed);
            counters.lost.fetch_add(u64::from(stood), Relaxed);
            partners
        };
        if let Some(peer) = conn.peer.get() {
            tracing::info!(peer = %conn.peer_name(), why, "disconnected");
            for partner in partners {
                let lost = Control::PeerLost { node: peer.node, incarnation: peer.incarnation };
                partner.control(Life::NOBODY, 0, &lost);
            }
        }
        self.links_of_lost(conn, &why);
        let error = match lost(conn, &why) {
            DownReason::Unreachable(why) => AskError::Unreachable(why),
            reason @ (DownReason::ConnectionLost
            | DownReason::Stopped
            | DownReason::NoSuchActor) => AskError::Down(reason),
        };
        self.fail_pending(conn, &error, |_| true);
    }

    pub(super) fn close_all(&self, why: &str) {
        let conns: Vec<_> = lock(&self.0.peers).all().cloned().collect();
        for conn in conns {
            conn.control(
                Life::NOBODY,
                0,
                &Control::Goodbye { why: why.to_owned(), received: conn.received() },
            );
            conn.close(why);
        }
    }
}

fn tune(stream: &TcpStream, limits: &Limits) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    socket.set_send_buffer_size(limits.send_buffer)?;
    socket.set_recv_buffer_size(limits.receive_buffer)
}
