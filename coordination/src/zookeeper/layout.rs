//! What is ours below the election's path, and what its nodes hold. Nothing of ours directly below that path ends in `_` and
//! digits or is a number, or every client of Mesos would take it for a master; and it comes behind `json.info_` in the alphabet,
//! since some clients take what comes first for the leading one.
//!
//! ```text
//! <path>/registry/cluster                 whose registry this is, and of which form
//! <path>/registry/epoch                   the newest reign
//! <path>/registry/written                 how many batches the reign has written that wrote last
//! <path>/registry/import                  there while an import or a move is under way, by the session of who does it
//! <path>/registry/records/<shard>/<key>   one record each; 256 shards, so that no list of children grows too long
//! ```
//!
//! All nodes but `import`, which is empty, hold records: length, checksum, bytes. The state of a framework, and the registry of a
//! cluster that is older than this, is below `<path>/airside` instead, with its records in `airside/registry`.

use prost::Message;
use zookeeper_client::{Acl, AuthId, Permission};

use super::logic::root::Root;
use super::url::Url;
use crate::record::{BadRecord, seal, unseal};

/// The form that is described above. A later one has a higher number.
pub(super) const FORM: u32 = 1;

/// How many shards there are.
pub(super) const SHARDS: u32 = 256;

/// What `cluster` holds.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct ClusterRecord {
    #[prost(string, tag = "1")]
    pub(super) cluster: String,
    #[prost(uint32, tag = "2")]
    pub(super) form: u32,
    /// While an import is under way, the registry is not whole.
    #[prost(bool, tag = "3")]
    pub(super) importing: bool,
    /// If it is no cluster's registry, but the state of a framework: its name.
    #[prost(string, tag = "4")]
    pub(super) framework: String,
}

impl ClusterRecord {
    /// Of a cluster's registry.
    pub(super) fn of_masters(cluster: String, importing: bool) -> Self {
        Self { cluster, form: FORM, importing, framework: String::new() }
    }
}

/// What `epoch` holds. Only the beginning of a reign changes it, so its version is the fence: each batch of the registry checks
/// that it is still the one that its reign left.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct EpochRecord {
    #[prost(uint64, tag = "1")]
    pub(super) epoch: u64,
    /// The candidate that raised it.
    #[prost(string, tag = "2")]
    pub(super) by: String,
}

/// What `written` holds. Each batch writes it, at the version that the batch before left: so they are in order, and after a
/// lost connection it says how many arrived.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct WrittenRecord {
    #[prost(uint64, tag = "1")]
    pub(super) epoch: u64,
    #[prost(string, tag = "2")]
    pub(super) by: String,
    /// Batches of this reign so far.
    #[prost(uint64, tag = "3")]
    pub(super) batches: u64,
}

/// Why a node of ours cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadNode {
    #[error(transparent)]
    Record(#[from] BadRecord),
    #[error("its bytes are whole, but not what a later or this version would write: {0}")]
    Content(String),
}

/// The bytes of a node.
pub(super) fn encode(message: &impl Message) -> Vec<u8> {
    seal(&message.encode_to_vec())
}

/// What the bytes of a node mean.
pub(super) fn decode<M: Message + Default>(data: &[u8]) -> Result<M, BadNode> {
    M::decode(unseal(data)?).map_err(|error| BadNode::Content(error.to_string()))
}

/// The paths of one cluster, and who may do what there.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The election's.
    pub(super) path: String,
    /// Of the path and of seats: all may read who leads.
    pub(super) open: Vec<Acl>,
    /// Of what is below: with credentials nobody else's business.
    pub(super) own: Vec<Acl>,
}

impl Layout {
    pub(super) fn new(url: &Url) -> Self {
        let anyone = |permission| Acl::new(permission, AuthId::anyone());
        let (open, own) = match url.credentials() {
            None => (vec![anyone(Permission::ALL)], vec![anyone(Permission::ALL)]),
            Some(_) => {
                let creator = Acl::new(Permission::ALL, AuthId::authed());
                (vec![anyone(Permission::READ), creator.clone()], vec![creator])
            }
        };
        Self { path: url.path().to_owned(), open, own }
    }

    pub(super) fn seat(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// What a registry is made of that is there.
    pub(super) fn nodes(&self, root: Root) -> Nodes {
        Nodes { root, path: format!("{}/{}", self.path, root.name()) }
    }
}

/// The paths of one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Nodes {
    pub(super) root: Root,
    /// Of the node that all others are below.
    pub(super) path: String,
}

impl Nodes {
    pub(super) fn cluster(&self) -> String {
        format!("{}/cluster", self.path)
    }

    pub(super) fn epoch(&self) -> String {
        format!("{}/epoch", self.path)
    }

    pub(super) fn written(&self) -> String {
        format!("{}/written", self.path)
    }

    pub(super) fn import(&self) -> String {
        format!("{}/import", self.path)
    }

    pub(super) fn records(&self) -> String {
        let name = match self.root {
            Root::Registry => "records",
            Root::Airside => "registry",
        };
        format!("{}/{name}", self.path)
    }

    pub(super) fn shard(&self, shard: u32) -> String {
        format!("{}/{shard:02x}", self.records())
    }

    pub(super) fn record(&self, key: &str) -> String {
        format!("{}/{}", self.shard(shard_of(key)), name_of(key))
    }
}

/// Where a key's record is.
pub(super) fn shard_of(key: &str) -> u32 {
    crc32c::crc32c(key.as_bytes()) % SHARDS
}

/// A key as the name of a node: what ZooKeeper might not take is written as `%` and two hexadecimal digits.
pub(super) fn name_of(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 8);
    for (index, byte) in key.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if plain || (byte == b'.' && index > 0) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name
}

/// The key that a node's name says; `None` if no key of ours has this name.
pub(super) fn key_of(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok().filter(|key| name_of(key) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_name_that_zookeeper_takes_and_that_says_the_key() {
        for key in [
            "agents/5f-1",
            "a",
            ".",
            "..",
            "a.b",
            "%",
            "a%2fb",
            "Ü b\u{1}\u{7f}",
            "_1",
            "frameworks/x_1",
        ] {
            let name = name_of(key);
            assert!(!name.contains('/') && name != "." && name != "..", "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
            assert_eq!(key_of(&name).as_deref(), Some(key));
        }
        for name in ["a/b", "%", "%2", "%zz", "%61", "ü", ".a", "%ff"] {
            assert_eq!(key_of(name), None, "{name}");
        }
    }

    #[test]
    fn nothing_of_ours_below_the_path_could_be_taken_for_a_master() {
        let url = Url::parse("zk://h:1/mesos").unwrap();
        for root in [Root::Registry, Root::Airside] {
            let nodes = Layout::new(&url).nodes(root);
            let name = nodes.path.strip_prefix("/mesos/").unwrap();
            assert_eq!(super::super::member::seat(name), None);
            assert!(!name.contains('/'));
            let below = [nodes.cluster(), nodes.epoch(), nodes.written(), nodes.import()];
            let below = below.into_iter().chain([nodes.records(), nodes.record("agents/1")]);
            for path in below {
                assert!(path.starts_with(&format!("{}/", nodes.path)), "{path}");
            }
        }
    }

    #[test]
    fn a_registry_comes_behind_masters_of_every_form_in_the_alphabet() {
        let first = |name: &str| Root::Registry.name() > name;
        assert!(["json.info_9999999999", "info_9999999999", "9999999999"].into_iter().all(first));
    }

    #[test]
    fn nodes_of_ours_tell_damage() {
        let record = EpochRecord { epoch: 7, by: "m".into() };
        let data = encode(&record);
        assert_eq!(decode::<EpochRecord>(&data), Ok(record));
        assert!(decode::<EpochRecord>(&data[1..]).is_err());
        assert!(decode::<EpochRecord>(b"").is_err());
        assert!(matches!(decode::<EpochRecord>(&seal(b"\xff")), Err(BadNode::Content(_))));
    }
}
