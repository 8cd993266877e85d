//! The handshake on a socket: moves the bytes of `session`, within a time, and says in words why there is no connection.

use std::io;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::Node;
use crate::metrics::RefusalKind;
use crate::session::{self, Greeting, HandshakeRefusal, Hello, Peer, Proof, Verdict};
use crate::wire::{self, MAGIC, MAX_HELLO};

/// How long a peer has to read why there is no connection.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a connection did not come to be.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoConnection {
    #[error("look up {0}: {1}")]
    LookUp(String, io::Error),
    #[error("connect: {0}")]
    Connect(io::Error),
    #[error("{0}")]
    Refused(#[from] HandshakeRefusal),
    #[error("the connection ended during the handshake: {0}")]
    Io(#[from] io::Error),
    #[error("no handshake within {0:?}")]
    Silent(Duration),
    #[error("more than {0} connections")]
    TooMany(usize),
    #[error("draw random bytes: {0}")]
    Random(getrandom::Error),
}

impl NoConnection {
    pub(super) fn kind(&self) -> RefusalKind {
        match self {
            Self::LookUp(..) | Self::Connect(_) | Self::Random(_) => RefusalKind::Dial,
            Self::Silent(_) => RefusalKind::Silent,
            Self::TooMany(_) => RefusalKind::TooMany,
            Self::Io(_) => RefusalKind::Garbled,
            Self::Refused(HandshakeRefusal::Version { .. }) => RefusalKind::Version,
            Self::Refused(
                HandshakeRefusal::SecretMissing(_) | HandshakeRefusal::SecretWrong(_),
            ) => RefusalKind::Secret,
            Self::Refused(HandshakeRefusal::ByPeer(_)) => RefusalKind::ByPeer,
            Self::Refused(HandshakeRefusal::NotOurs) => RefusalKind::NotOurs,
            Self::Refused(HandshakeRefusal::Garbled(_)) => RefusalKind::Garbled,
        }
    }
}

impl Node {
    fn hello(&self) -> Result<Hello, NoConnection> {
        let config = &self.0.config;
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(NoConnection::Random)?;
        Ok(Hello {
            oldest: config.oldest_version,
            newest: config.version,
            node: self.0.life.node,
            incarnation: self.0.life.incarnation,
            advertise: self.0.advertise,
            secret: config.secret.is_some(),
            window: config.limits.window,
            nonce,
            lent: config.secret.as_ref().is_some_and(|secret| secret.lent_to().is_some()),
        })
    }

    pub(super) async fn greet_as_dialler(
        &self,
        stream: &mut TcpStream,
    ) -> Result<Peer, NoConnection> {
        let mine = self.hello()?;
        let mut first = MAGIC.to_vec();
        first.extend(framed(&mine)?);
        stream.write_all(&first).await?;
        hear_magic(stream).await?;
        let greeting: Greeting = hear(stream).await?;
        let (proof, peer) = session::dialler_hears(&mine, self.0.config.secret.as_ref(), greeting);
        if let Some(proof) = proof {
            stream.write_all(&framed(&proof)?).await?;
        }
        let peer = peer?;
        match hear(stream).await? {
            Verdict::Welcome => Ok(peer),
            Verdict::Refused(why) => Err(HandshakeRefusal::ByPeer(why).into()),
        }
    }

    /// Who is refused hears why, whatever it said or did not say.
    pub(super) async fn greet_as_listener(
        &self,
        stream: &mut TcpStream,
    ) -> Result<Peer, NoConnection> {
        let limit = self.0.config.timing.handshake;
        let until = Instant::now() + limit;
        let late = |_| NoConnection::Silent(limit);
        let mine = self.hello()?;
        let heard = timeout_at(until, hear_hello(stream)).await.map_err(late).flatten();
        let theirs = match heard {
            Ok(theirs) => theirs,
            Err(error) => {
                say_refused(stream, &error).await;
                return Err(error);
            }
        };
        let lent = theirs.lent.then(|| self.0.lender.lend(theirs.node));
        let secret = self.0.config.secret.as_ref().map(|own| lent.as_ref().unwrap_or(own));
        let (greeting, sofar) = session::listener_greets(&mine, secret, &theirs);
        stream.write_all(&[&MAGIC[..], &framed(&greeting)?].concat()).await?;
        sofar?;
        let heard = timeout_at(until, hear(stream)).await.map_err(late).flatten();
        let proof: Proof = match heard {
            Ok(proof) => proof,
            Err(error) => {
                let _ = stream.write_all(&framed(&Verdict::Refused(error.to_string()))?).await;
                return Err(error);
            }
        };
        let (verdict, peer) = session::listener_judges(&mine, secret, &theirs, proof);
        if let Some(verdict) = verdict {
            stream.write_all(&framed(&verdict)?).await?;
        }
        Ok(peer?)
    }
}

/// Tells who dialled why it is not greeted. A word that cannot be sent does not matter any more.
pub(super) async fn say_refused(stream: &mut TcpStream, why: &NoConnection) {
    if let Ok(words) = framed(&Greeting::Refused(why.to_string())) {
        let _ = stream.write_all(&[&MAGIC[..], &words].concat()).await;
    }
}

/// Ends a connection so that the last words arrive: the peer reads them, then closes. What it has sent is read too, or the
/// system would reset the connection, and some throw away words that were not read yet.
pub(super) async fn let_read(mut stream: TcpStream) {
    let reading = async {
        let _ = stream.shutdown().await;
        while matches!(stream.read(&mut [0; 256]).await, Ok(1..)) {}
    };
    let _ = timeout(LAST_WORDS, reading).await;
}

/// A handshake's message: two bytes of length, then the value.
fn framed<T: Serialize>(value: &T) -> Result<Vec<u8>, HandshakeRefusal> {
    let bytes = wire::encode(value, MAX_HELLO)?;
    let length = u16::try_from(bytes.len()).expect("a hello is at most 1 KiB");
    let mut out = length.to_le_bytes().to_vec();
    out.extend(bytes);
    Ok(out)
}

async fn hear<T: DeserializeOwned>(stream: &mut TcpStream) -> Result<T, NoConnection> {
    let length = usize::from(stream.read_u16_le().await?);
    if length > MAX_HELLO {
        return Err(
            HandshakeRefusal::Garbled(wire::WireError::TooLarge { limit: MAX_HELLO }).into()
        );
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(wire::decode(&bytes).map_err(HandshakeRefusal::Garbled)?)
}

async fn hear_magic(stream: &mut TcpStream) -> Result<(), NoConnection> {
    let mut magic = [0; MAGIC.len()];
    stream.read_exact(&mut magic).await?;
    if magic == MAGIC { Ok(()) } else { Err(HandshakeRefusal::NotOurs.into()) }
}

async fn hear_hello(stream: &mut TcpStream) -> Result<Hello, NoConnection> {
    hear_magic(stream).await?;
    hear(stream).await
}
