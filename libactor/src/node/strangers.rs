//! Who has connected and not yet said what it is: told apart by the first byte, counted, and turned away where there is no room.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::greet::{self, LAST_WORDS, NoConnection};
use super::{Node, lock};
use crate::http;
use crate::metrics::RefusalKind;

/// So many are told at once that there is no room for them, and no more than there may be connections. Others are closed
/// without a word: who has no room must not spend it on that.
const TURNED_AWAY_MAX: usize = 1024;

/// The part of all connections that may be handed over for long.
const GUESTS: usize = 4;

/// Connections that are not peers.
#[derive(Default)]
pub(super) struct Strangers {
    /// Those that have not said what they are, or want a page.
    here: Arc<AtomicUsize>,
    /// Those that are told to go.
    turned_away: Arc<AtomicUsize>,
    /// Those that were handed over and are served for as long as they like.
    guests: Arc<AtomicUsize>,
}

/// One more connection that is no peer's, until this is dropped: whoever takes them holds one for each, so that there are no more
/// of both than there may be connections.
pub struct Stranger {
    count: Arc<AtomicUsize>,
    /// How many there were besides.
    others: usize,
}

impl Stranger {
    /// One that has a place.
    pub(crate) fn of(node: &Node) -> Self {
        Self::counted(&node.0.strangers.here)
    }

    fn counted(count: &Arc<AtomicUsize>) -> Self {
        Self { others: count.fetch_add(1, Relaxed), count: Arc::clone(count) }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Relaxed);
    }
}

/// Whether a connection that begins with this byte is one of actors.
fn is_ours(first: u8) -> bool {
    first >= 0x80
}

impl Node {
    /// Counts a connection that was handed over, for as long as it is served. `None`: there are as many as may be, a quarter of all
    /// connections, so that peers find room.
    pub fn guest(&self) -> Option<Stranger> {
        let guest = Stranger::counted(&self.0.strangers.guests);
        (guest.others < self.0.config.limits.connections / GUESTS).then_some(guest)
    }

    /// Looks at the first byte: ours, or somebody else's.
    pub(super) async fn look(self, mut stream: TcpStream, from: SocketAddr, stranger: Stranger) {
        let config = &self.0.config;
        let (limit, most) = (config.timing.handshake, config.limits.connections);
        if lock(&self.0.peers).count() + stranger.others >= most {
            drop(stranger);
            return self.no_room(stream, from, most).await;
        }
        let mut first = [0];
        match timeout(limit, stream.peek(&mut first)).await {
            Err(_) => self.turn_away(stream, from, &NoConnection::Silent(limit)).await,
            Ok(Err(_) | Ok(0)) => self.refuse(from, RefusalKind::Silent, "it left without a word"),
            Ok(Ok(_)) if is_ours(first[0]) => match self.greet_as_listener(&mut stream).await {
                Err(error) => {
                    self.refuse(from, error.kind(), &error.to_string());
                    greet::let_read(stream).await;
                }
                Ok(peer) => {
                    drop(stranger);
                    let conn = self.new_conn(None);
                    conn.leads_to(from);
                    lock(&self.0.peers).insert(&conn);
                    self.settled(&conn, peer);
                    self.lead(&conn, stream, BytesMut::new()).await;
                }
            },
            Ok(Ok(_)) => match &self.0.config.foreign {
                Some(foreign) => {
                    foreign(self.clone(), stream, from);
                    // Who takes it counts it from here on, if it is to count.
                    drop(stranger);
                }
                None => {
                    let why = "this port serves actors only";
                    self.refuse(from, RefusalKind::NotOurs, why);
                    say(stream, "400 Bad Request", why).await;
                }
            },
        }
    }

    /// One too many: told so in its own language, as far as it says soon which that is.
    async fn no_room(&self, stream: TcpStream, from: SocketAddr, most: usize) {
        let why = NoConnection::TooMany(most);
        let turned_away = Stranger::counted(&self.0.strangers.turned_away);
        if turned_away.others >= most.min(TURNED_AWAY_MAX) {
            return self.refuse(from, why.kind(), &why.to_string());
        }
        let mut first = [0];
        match timeout(LAST_WORDS, stream.peek(&mut first)).await {
            Ok(Ok(1..)) if !is_ours(first[0]) => {
                self.refuse(from, why.kind(), &why.to_string());
                say(stream, "503 Service Unavailable", &why.to_string()).await;
            }
            Ok(Ok(_) | Err(_)) | Err(_) => self.turn_away(stream, from, &why).await,
        }
    }

    /// No handshake with this one, and why: counted, and told in the words of the handshake.
    async fn turn_away(&self, mut stream: TcpStream, from: SocketAddr, why: &NoConnection) {
        self.refuse(from, why.kind(), &why.to_string());
        greet::say_refused(&mut stream, why).await;
        greet::let_read(stream).await;
    }
}

/// Tells who speaks HTTP.
async fn say(mut stream: TcpStream, status: &str, why: &str) {
    let words = http::response(status, http::TEXT, &format!("{why}\n"));
    let _ = stream.write_all(words.as_bytes()).await;
    greet::let_read(stream).await;
}
