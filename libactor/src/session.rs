//! The handshake of one connection, as values: who says what, what is checked. Pure; the caller moves the bytes.
//!
//! ```text
//! dialler  -> MAGIC, Hello
//! listener -> MAGIC, Greeting::Hello { hello, proof } | Greeting::Refused
//! dialler  -> Proof::Proof                            | Proof::Refused
//! listener -> Verdict::Welcome                        | Verdict::Refused
//! ```

use std::net::SocketAddr;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::message::Principal;
pub use crate::secret::{Lender, Secret, ShortSecret};
use crate::wire::{self, MAX_HELLO, WireError};

/// What each side says first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Oldest version of the messages it understands.
    pub oldest: u32,
    /// Newest version of the messages it understands.
    pub newest: u32,
    /// Its node.
    pub node: u64,
    /// Which life of it.
    pub incarnation: u64,
    /// Where others reach it, if it listens.
    pub advertise: Option<SocketAddr>,
    /// Whether it has a secret and demands the same of its peer.
    pub secret: bool,
    /// Messages of one actor to another, on one lane, that may be unhandled: the smaller of both counts.
    pub window: u32,
    /// Fresh random bytes for the peer's proof.
    pub nonce: [u8; 32],
    /// Whether its secret is one that the peer lent to this node, by its number.
    pub lent: bool,
}

/// The listener's first word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Greeting {
    /// And its proof, if it has a secret.
    Hello(Hello, Option<[u8; 32]>),
    /// No connection, and why.
    Refused(String),
}

/// The dialler's second word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// Its proof, if it has a secret.
    Proof(Option<[u8; 32]>),
    /// No connection, and why.
    Refused(String),
}

/// The listener's last word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Frames follow.
    Welcome,
    /// No connection, and why.
    Refused(String),
}

/// What the handshake settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other node.
    pub node: u64,
    /// Which life of it.
    pub incarnation: u64,
    /// Where it listens, if it does.
    pub advertise: Option<SocketAddr>,
    /// The smaller of both newest versions.
    pub version: u32,
    /// The smaller of both windows of credit, at least 1.
    pub window: u32,
    /// Who it proved to be.
    pub principal: Principal,
}

/// Why there is no connection. Both sides hear the words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeRefusal {
    /// No version that both understand.
    #[error("no common version: one side speaks {ours:?}, the other {theirs:?}")]
    Version {
        /// Oldest and newest of this side.
        ours: (u32, u32),
        /// Oldest and newest of the peer.
        theirs: (u32, u32),
    },
    /// One side has a secret, the other none.
    #[error("{0} has no cluster secret, the other side demands it")]
    SecretMissing(&'static str),
    /// The proof does not fit.
    #[error("{0} has another cluster secret")]
    SecretWrong(&'static str),
    /// The peer refused, in its words.
    #[error("the peer refused: {0}")]
    ByPeer(String),
    /// The peer does not speak this protocol.
    #[error("the peer's first bytes are not those of an actor connection")]
    NotOurs,
    /// What it said cannot be read.
    #[error("the handshake cannot be read: {0}")]
    Garbled(#[from] WireError),
}

const DIALLER: &str = "the dialling side";
const LISTENER: &str = "the listening side";

fn prove(secret: &Secret, role: &str, dialler: &Hello, listener: &Hello) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.reveal()).expect("HMAC takes keys of any length");
    mac.update(role.as_bytes());
    for hello in [dialler, listener] {
        let bytes = wire::encode(hello, MAX_HELLO).expect("a hello is small");
        mac.update(&bytes);
    }
    mac
}

fn proof_of(
    secret: Option<&Secret>,
    role: &str,
    dialler: &Hello,
    listener: &Hello,
) -> Option<[u8; 32]> {
    secret.map(|secret| prove(secret, role, dialler, listener).finalize().into_bytes().into())
}

fn settle(
    mine: &Hello,
    theirs: &Hello,
    their_role: &'static str,
    my_role: &'static str,
) -> Result<u32, HandshakeRefusal> {
    let version = mine.newest.min(theirs.newest);
    if version < mine.oldest || version < theirs.oldest {
        let (ours, theirs) = ((mine.oldest, mine.newest), (theirs.oldest, theirs.newest));
        return Err(HandshakeRefusal::Version { ours, theirs });
    }
    match (mine.secret, theirs.secret) {
        (true, false) => Err(HandshakeRefusal::SecretMissing(their_role)),
        (false, true) => Err(HandshakeRefusal::SecretMissing(my_role)),
        (true, true) | (false, false) => Ok(version),
    }
}

fn check(
    secret: Option<&Secret>,
    proof: Option<[u8; 32]>,
    role: &'static str,
    dialler: &Hello,
    listener: &Hello,
) -> Result<Principal, HandshakeRefusal> {
    let Some(secret) = secret else {
        return Ok(Principal::Anonymous);
    };
    let proof = proof.ok_or(HandshakeRefusal::SecretMissing(role))?;
    // Compared in constant time.
    let right = prove(secret, role, dialler, listener).verify_slice(&proof).is_ok();
    if right { Ok(Principal::Cluster) } else { Err(HandshakeRefusal::SecretWrong(role)) }
}

fn peer(mine: &Hello, hello: &Hello, version: u32, principal: Principal) -> Peer {
    let window = mine.window.min(hello.window).max(1);
    Peer {
        node: hello.node,
        incarnation: hello.incarnation,
        // Nobody else is to be led to it, nor to whom it names.
        advertise: hello.advertise.filter(|_| principal != Principal::Lent),
        version,
        window,
        principal,
    }
}

/// The dialler hears the greeting: what it answers, and who the peer is if all is well so far.
pub fn dialler_hears(
    mine: &Hello,
    secret: Option<&Secret>,
    greeting: Greeting,
) -> (Option<Proof>, Result<Peer, HandshakeRefusal>) {
    let (theirs, proof) = match greeting {
        Greeting::Hello(hello, proof) => (hello, proof),
        Greeting::Refused(why) => return (None, Err(HandshakeRefusal::ByPeer(why))),
    };
    let settled = settle(mine, &theirs, LISTENER, DIALLER).and_then(|version| {
        Ok(peer(mine, &theirs, version, check(secret, proof, LISTENER, mine, &theirs)?))
    });
    let answer = match &settled {
        Ok(_) => Proof::Proof(proof_of(secret, DIALLER, mine, &theirs)),
        Err(refusal) => Proof::Refused(refusal.to_string()),
    };
    (Some(answer), settled)
}

/// The listener hears the first hello.
pub fn listener_greets(
    mine: &Hello,
    secret: Option<&Secret>,
    theirs: &Hello,
) -> (Greeting, Result<(), HandshakeRefusal>) {
    match settle(mine, theirs, DIALLER, LISTENER) {
        Ok(_) => (Greeting::Hello(mine.clone(), proof_of(secret, LISTENER, theirs, mine)), Ok(())),
        Err(refusal) => (Greeting::Refused(refusal.to_string()), Err(refusal)),
    }
}

/// The listener hears the proof: its verdict.
pub fn listener_judges(
    mine: &Hello,
    secret: Option<&Secret>,
    theirs: &Hello,
    proof: Proof,
) -> (Option<Verdict>, Result<Peer, HandshakeRefusal>) {
    let proof = match proof {
        Proof::Proof(proof) => proof,
        Proof::Refused(why) => return (None, Err(HandshakeRefusal::ByPeer(why))),
    };
    let settled = settle(mine, theirs, DIALLER, LISTENER).and_then(|version| {
        let proven = check(secret, proof, DIALLER, theirs, mine)?;
        let lent = theirs.lent && proven == Principal::Cluster;
        let principal = if lent { Principal::Lent } else { proven };
        Ok(peer(mine, theirs, version, principal))
    });
    let verdict = match &settled {
        Ok(_) => Verdict::Welcome,
        Err(refusal) => Verdict::Refused(refusal.to_string()),
    };
    (Some(verdict), settled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Lender;

    fn hello(node: u64, secret: Option<&Secret>) -> Hello {
        let nonce = [u8::try_from(node).unwrap(); 32];
        Hello {
            oldest: 1,
            newest: 2,
            node,
            incarnation: 9,
            advertise: None,
            secret: secret.is_some(),
            window: 4096,
            nonce,
            lent: secret.is_some_and(|secret| secret.lent_to().is_some()),
        }
    }

    /// Both ends' outcomes.
    fn shake(
        d: Option<&Secret>,
        l: Option<&Secret>,
        change: fn(&mut Hello),
    ) -> [Result<Peer, HandshakeRefusal>; 2] {
        let (mut dialler, listener) = (hello(1, d), hello(2, l));
        change(&mut dialler);
        let (greeting, sofar) = listener_greets(&listener, l, &dialler);
        let (proof, mut dialled) = dialler_hears(&dialler, d, greeting);
        let listened = match (sofar, proof) {
            (Err(refusal), _) => Err(refusal),
            (Ok(()), None) => panic!("the dialler says nothing to a greeting"),
            (Ok(()), Some(proof)) => {
                let (verdict, listened) = listener_judges(&listener, l, &dialler, proof);
                if let Some(Verdict::Refused(why)) = verdict {
                    dialled = Err(HandshakeRefusal::ByPeer(why));
                }
                listened
            }
        };
        [dialled, listened]
    }

    #[test]
    fn the_older_of_two_versions_is_settled() {
        let [d, l] = shake(None, None, |hello| hello.newest = 1);
        assert_eq!((d.unwrap().version, l.unwrap().version), (1, 1));
    }

    #[test]
    fn those_who_share_a_secret_are_the_cluster() {
        let secret = Secret::new(b"0123456789abcdef\n").unwrap();
        for side in shake(Some(&secret), Some(&secret), |_| ()) {
            assert_eq!(side.unwrap().principal, Principal::Cluster);
        }
        for side in shake(None, None, |_| ()) {
            assert_eq!(side.unwrap().principal, Principal::Anonymous);
        }
    }

    #[test]
    fn both_sides_are_told_why_there_is_no_connection() {
        let (a, b) =
            (Secret::new(b"0123456789abcdef").unwrap(), Secret::new(b"fedcba9876543210").unwrap());
        let said = |sides: [Result<Peer, HandshakeRefusal>; 2], word: &str| {
            for side in sides {
                let words = side.unwrap_err().to_string();
                assert!(words.contains(word), "{words}");
            }
        };
        said(shake(Some(&a), Some(&b), |_| ()), "another cluster secret");
        said(shake(None, Some(&b), |_| ()), "the dialling side has no cluster secret");
        said(shake(Some(&a), None, |_| ()), "the listening side has no cluster secret");
        said(shake(None, None, |hello| (hello.oldest, hello.newest) = (7, 9)), "no common version");
    }

    #[test]
    fn a_claim_to_have_the_secret_is_not_enough() {
        let secret = Secret::new(b"0123456789abcdef").unwrap();
        let (dialler, listener) = (hello(1, Some(&secret)), hello(2, Some(&secret)));
        for (proof, word) in
            [(None, "no cluster secret"), (Some([0; 32]), "another cluster secret")]
        {
            let (verdict, listened) =
                listener_judges(&listener, Some(&secret), &dialler, Proof::Proof(proof));
            assert!(matches!(verdict, Some(Verdict::Refused(why)) if why.contains(word)));
            assert!(listened.is_err());
        }
        // A listener's own proof, sent back to it, proves nothing.
        let reflected = proof_of(Some(&secret), LISTENER, &dialler, &listener);
        assert!(
            listener_judges(&listener, Some(&secret), &dialler, Proof::Proof(reflected)).1.is_err()
        );
    }

    #[test]
    fn a_lent_secret_is_its_nodes_with_its_lender() {
        let (lender, other) = (Lender::new().unwrap(), Lender::new().unwrap());
        let lent = lender.lend(1);
        let [dialled, listened] = shake(Some(&lent), Some(&lender.lend(1)), |_| ());
        assert_eq!(dialled.unwrap().principal, Principal::Cluster);
        assert_eq!(listened.unwrap().principal, Principal::Lent);
        // With another node, or under another number.
        for theirs in [other.lend(1), lender.lend(3)] {
            for side in shake(Some(&lent), Some(&theirs), |_| ()) {
                assert!(side.unwrap_err().to_string().contains("another cluster secret"));
            }
        }
        // A place that it names is not believed.
        let advertise = |hello: &mut Hello| hello.advertise = Some(([10, 0, 0, 1], 5050).into());
        let [_, listened] = shake(Some(&lent), Some(&lender.lend(1)), advertise);
        assert_eq!(listened.unwrap().advertise, None);
    }
}
