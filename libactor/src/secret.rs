//! Secrets: the cluster's, and those that a node lends to others, each for one node that is to reach the lender and nobody
//! else. They come from one random root, so a lender remembers none of them.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// How a lent secret begins when it is written down; then follow its node and its key, in hexadecimal, between colons.
const LENT: &str = "lent";

/// What a node knows that it proves to others: the cluster's secret, or one that another node lent it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    bytes: Vec<u8>,
    lent_to: Option<u64>,
}

/// A secret that is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read the cluster's secret: it has {0} bytes, at least 16 are needed")]
pub struct ShortSecret(usize);

impl Secret {
    /// White space around it, such as a file's last newline, does not count.
    pub fn new(bytes: &[u8]) -> Result<Self, ShortSecret> {
        let trimmed = bytes.trim_ascii();
        if trimmed.len() < 16 {
            Err(ShortSecret(trimmed.len()))
        } else {
            Ok(Self { bytes: trimmed.to_vec(), lent_to: node_of(trimmed) })
        }
    }

    /// The secret itself, to hand it to the process that is to have it.
    pub fn reveal(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of the one node that may use it; `None`: the cluster's.
    pub(crate) fn lent_to(&self) -> Option<u64> {
        self.lent_to
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn node_of(bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?.strip_prefix(LENT)?.strip_prefix(':')?;
    let (node, key) = text.split_once(':')?;
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let right = (node.len(), key.len()) == (16, 64) && hex(node) && hex(key);
    right.then(|| u64::from_str_radix(node, 16).ok())?
}

/// What a node's lent secrets come from: another in each of its lives, unless it is kept from one to the next. Whoever has it
/// can speak for every node to which one was lent.
#[derive(Clone)]
pub struct Lender([u8; Lender::BYTES]);

impl Lender {
    /// Of what is kept.
    pub const BYTES: usize = 32;

    /// A new one.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut root = [0; Self::BYTES];
        getrandom::fill(&mut root).map(|()| Self(root))
    }

    /// One that was kept: what it lent, it still lends.
    pub fn kept(root: [u8; Self::BYTES]) -> Self {
        Self(root)
    }

    /// To be kept, where nobody else reads it.
    pub fn reveal(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The same each time.
    pub(crate) fn lend(&self, node: u64) -> Secret {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(LENT.as_bytes());
        mac.update(&node.to_le_bytes());
        let key: String =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Secret { bytes: format!("{LENT}:{node:016x}:{key}").into_bytes(), lent_to: Some(node) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_secrets_are_refused() {
        assert_eq!(Secret::new(b" short \n"), Err(ShortSecret(5)));
    }

    #[test]
    fn a_lent_secret_survives_being_written_down() {
        let lender = Lender::new().unwrap();
        let lent = lender.lend(7);
        assert_eq!(Secret::new(lent.reveal()).unwrap(), lent);
        assert_eq!((lent.lent_to(), lender.lend(7) == lent), (Some(7), true));
        assert_ne!(lender.lend(8), lent);
        assert_ne!(Lender::new().unwrap().lend(7), lent);
        assert_eq!(Secret::new(b"lent:7:0123456789abcdef").unwrap().lent_to(), None);
    }
}
