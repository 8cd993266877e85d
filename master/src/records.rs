//! The registry as durable records: which of them an operation changes, their protobuf form, and a registry read back.

mod shares;
pub(crate) mod shown;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use api::v1;
use coordination::store::Change;
use prost::Message;
use protocol::agent::{AgentAddress, AgentInfo};
use protocol::carried::Carried;
use protocol::framework::{Capability, FrameworkInfo};
use protocol::ids::{AgentId, ClusterId, FrameworkId, Role};
use protocol::resources::{
    Attribute, BadResource, Kind, Milli, Ranges, Resource, Resources, Value,
};
use protocol::time::WallTime;
use protocol::wishes::FaultDomain;

use crate::logic::registry::{AgentEntry, FrameworkEntry, Gone, Registry, RegistryOperation};

const NUMBERS: &str = "numbers";
const AGENT: &str = "agent/";
const FRAMEWORK: &str = "framework/";
const REMOVED: &str = "removed/";
const GONE: &str = "gone/";
const QUOTA: &str = "quota/";
const WEIGHT: &str = "weight/";

/// Of all these records. It grows when an older version would read them wrongly; a new field that it may overlook is none. What
/// is reserved or otherwise particular is in such a field: who overlooks it knows less of an agent than there is, and gives
/// nothing of it to the wrong framework. Nor is a new kind of record: an older version refuses a registry with one by its key, and
/// reads one without.
const FORMAT: u32 = 1;

/// A record that this program cannot understand.
#[derive(Debug, thiserror::Error)]
pub enum BadRegistry {
    /// Its bytes are no such message.
    #[error("failed to decode the registry's record {key}")]
    Decode {
        /// Its key.
        key: String,
        /// Why.
        source: prost::DecodeError,
    },
    /// It says something that makes no sense, or that only a later version knows.
    #[error("the registry's record {key} has {what}, which this version does not understand")]
    Meaning {
        /// Its key.
        key: String,
        /// What.
        what: String,
    },
    /// A later version wrote it.
    #[error(
        "the registry was written by a later version of this program, in format {format}, and this one knows format {FORMAT}: start a master of that version, or a later one"
    )]
    Later {
        /// As written.
        format: u32,
    },
    /// A key of no known kind.
    #[error(
        "the registry has a record {0}, of a kind that this version does not know: start a master of the version that wrote it, or a later one"
    )]
    Key(String),
}

#[derive(Clone, PartialEq, Message)]
struct NumbersRecord {
    #[prost(uint64, tag = "1")]
    agents_made: u64,
    #[prost(uint64, tag = "2")]
    frameworks_made: u64,
    /// See [`FORMAT`]. The first records did not say.
    #[prost(uint32, tag = "3")]
    format: u32,
}

/// Without a number it was written by a release that remembered no order.
#[derive(Clone, PartialEq, Message)]
struct RemovedRecord {
    #[prost(uint64, tag = "1")]
    order: u64,
}

#[derive(Clone, PartialEq, Message)]
struct GoneRecord {
    /// Nanoseconds since 1970.
    #[prost(uint64, tag = "1")]
    at: u64,
    #[prost(bool, tag = "2")]
    by_operator: bool,
}

#[derive(Clone, PartialEq, Message)]
struct AgentRecord {
    #[prost(string, tag = "1")]
    hostname: String,
    #[prost(string, tag = "2")]
    listens: String,
    #[prost(message, repeated, tag = "3")]
    resources: Vec<ResourceRecord>,
    #[prost(message, repeated, tag = "4")]
    attributes: Vec<AttributeRecord>,
    #[prost(string, tag = "5")]
    version: String,
    #[prost(string, tag = "6")]
    boot: String,
    #[prost(fixed64, tag = "7")]
    nonce: u64,
    /// Nanoseconds since 1970.
    #[prost(uint64, optional, tag = "8")]
    unreachable: Option<u64>,
    /// What is not unreserved.
    #[prost(message, repeated, tag = "9")]
    particular: Vec<v1::Resource>,
    #[prost(message, optional, tag = "10")]
    domain: Option<v1::DomainInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// Unreserved; what is not is in [`AgentRecord::particular`]. One of its values is set.
#[derive(Clone, PartialEq, Message)]
struct ResourceRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, optional, tag = "2")]
    thousandths: Option<i64>,
    /// First and last of each range in turn.
    #[prost(uint64, repeated, tag = "3")]
    ranges: Vec<u64>,
    #[prost(string, repeated, tag = "4")]
    set: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct FrameworkRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    user: String,
    #[prost(string, repeated, tag = "3")]
    roles: Vec<String>,
    #[prost(uint64, tag = "4")]
    failover_seconds: u64,
    #[prost(uint32, tag = "5")]
    failover_nanoseconds: u32,
    #[prost(string, tag = "6")]
    hostname: String,
    #[prost(uint32, repeated, tag = "7")]
    capabilities: Vec<u32>,
    #[prost(bytes = "vec", tag = "8")]
    carried: Vec<u8>,
    #[prost(fixed64, tag = "9")]
    nonce: u64,
}

/// Makes a change, and says which records it changes.
pub fn apply(registry: &mut Registry, operation: &RegistryOperation) -> Vec<Change> {
    let longest_removed = registry.longest_removed().cloned();
    registry.apply(operation);
    let numbers = NumbersRecord {
        agents_made: registry.agents_made,
        frameworks_made: registry.frameworks_made,
        format: FORMAT,
    };
    match operation {
        RegistryOperation::AdmitAgent { agent, .. } => {
            vec![put(NUMBERS.into(), &numbers), agent_change(registry, agent)]
        }
        RegistryOperation::MarkReachable { agent, .. }
        | RegistryOperation::MarkUnreachable { agent, .. } => vec![agent_change(registry, agent)],
        RegistryOperation::RemoveAgent { agent, .. } => {
            vec![agent_change(registry, agent), gone_change(registry, agent)]
        }
        RegistryOperation::Prune { unreachable, gone } => {
            let unreachable = unreachable.iter().map(|agent| agent_change(registry, agent));
            unreachable.chain(gone.iter().map(|agent| gone_change(registry, agent))).collect()
        }
        RegistryOperation::AdmitFramework { info, .. } => {
            vec![put(NUMBERS.into(), &numbers), framework_change(registry, &info.framework)]
        }
        RegistryOperation::RemoveFramework { framework } => {
            let key = format!("{REMOVED}{framework}");
            let order = registry.removed.get(framework).copied().unwrap_or_default();
            let removed = put(key, &RemovedRecord { order });
            let forgotten = longest_removed.filter(|id| !registry.removed.contains_key(id));
            let forgotten = forgotten.map(|id| Change::Delete { key: format!("{REMOVED}{id}") });
            let gone = framework_change(registry, framework);
            [removed, gone].into_iter().chain(forgotten).collect()
        }
        RegistryOperation::SetQuotas(quotas) => {
            quotas.keys().map(|role| shares::quota_change(&registry.shares, role)).collect()
        }
        RegistryOperation::SetWeights(weights) => {
            weights.keys().map(|role| shares::weight_change(&registry.shares, role)).collect()
        }
    }
}

fn put(key: String, record: &impl Message) -> Change {
    Change::Put { key, value: record.encode_to_vec() }
}

fn agent_change(registry: &Registry, agent: &AgentId) -> Change {
    let key = format!("{AGENT}{agent}");
    match registry.agents.get(agent) {
        Some(entry) => put(key, &AgentRecord::from(entry)),
        None => Change::Delete { key },
    }
}

fn gone_change(registry: &Registry, agent: &AgentId) -> Change {
    let key = format!("{GONE}{agent}");
    match registry.gone.get(agent) {
        Some(Gone { at: WallTime(at), by_operator }) => {
            put(key, &GoneRecord { at: *at, by_operator: *by_operator })
        }
        None => Change::Delete { key },
    }
}

fn framework_change(registry: &Registry, framework: &FrameworkId) -> Change {
    let key = format!("{FRAMEWORK}{framework}");
    match registry.frameworks.get(framework) {
        Some(entry) => put(key, &FrameworkRecord::from(entry)),
        None => Change::Delete { key },
    }
}

/// The registry that these records are.
pub fn read(
    cluster: ClusterId,
    epoch: u64,
    records: &BTreeMap<String, Vec<u8>>,
) -> Result<Registry, BadRegistry> {
    let mut registry = Registry::new(cluster, epoch);
    // Before all else: what a later version means by its records nobody knows here.
    if let Some(bytes) = records.get(NUMBERS) {
        let NumbersRecord { format, .. } = decode(NUMBERS, bytes)?;
        if format > FORMAT {
            return Err(BadRegistry::Later { format });
        }
    }
    for (key, bytes) in records {
        if key == NUMBERS {
            let numbers: NumbersRecord = decode(key, bytes)?;
            registry.agents_made = numbers.agents_made;
            registry.frameworks_made = numbers.frameworks_made;
        } else if let Some(id) = key.strip_prefix(AGENT) {
            let entry = agent_entry(decode(key, bytes)?, key)?;
            registry.agents.insert(AgentId::new(id), entry);
        } else if let Some(id) = key.strip_prefix(FRAMEWORK) {
            let id = FrameworkId::new(id);
            let entry = framework_entry(decode(key, bytes)?, key, &id)?;
            registry.frameworks.insert(id, entry);
        } else if let Some(id) = key.strip_prefix(GONE) {
            let GoneRecord { at, by_operator } = decode(key, bytes)?;
            registry.gone.insert(AgentId::new(id), Gone { at: WallTime(at), by_operator });
        } else if let Some(id) = key.strip_prefix(REMOVED) {
            let RemovedRecord { order } = decode(key, bytes)?;
            registry.removed.insert(FrameworkId::new(id), order);
        } else if let Some(role) = key.strip_prefix(QUOTA) {
            let quota = shares::quota(decode(key, bytes)?, key)?;
            registry.shares.quotas.insert(shares::role(role, key)?, quota);
        } else if let Some(role) = key.strip_prefix(WEIGHT) {
            let weight = shares::weight(decode(key, bytes)?, key)?;
            registry.shares.weights.insert(shares::role(role, key)?, weight);
        } else {
            return Err(BadRegistry::Key(key.clone()));
        }
    }
    Ok(registry)
}

fn decode<T: Message + Default>(key: &str, bytes: &[u8]) -> Result<T, BadRegistry> {
    T::decode(bytes).map_err(|source| BadRegistry::Decode { key: key.to_owned(), source })
}

impl From<&AgentEntry> for AgentRecord {
    fn from(entry: &AgentEntry) -> Self {
        let AgentInfo { at, resources, attributes, version, boot } = entry.info.clone();
        let attribute = |Attribute { name, value }| AttributeRecord { name, value };
        let (plain, particular): (Vec<&Resource>, Vec<&Resource>) =
            resources.iter().partition(|resource| resource.kind == Kind::Unreserved);
        Self {
            hostname: at.hostname.clone(),
            listens: at.listens.clone(),
            resources: plain.into_iter().map(ResourceRecord::from).collect(),
            particular: particular.into_iter().map(Resource::to_v1).collect(),
            attributes: attributes.into_iter().map(attribute).collect(),
            version,
            boot,
            nonce: entry.nonce,
            unreachable: entry.unreachable.map(|WallTime(at)| at),
            domain: entry.domain.as_ref().map(FaultDomain::to_v1),
        }
    }
}

impl From<&Resource> for ResourceRecord {
    fn from(Resource { name, kind: _, value }: &Resource) -> Self {
        let bare = Self { name: name.to_string(), ..Self::default() };
        match value {
            Value::Scalar(Milli(amount)) => Self { thousandths: Some(*amount), ..bare },
            Value::Ranges(ranges) => Self {
                ranges: ranges.iter().flat_map(|(first, last)| [first, last]).collect(),
                ..bare
            },
            Value::Set(names) => Self { set: names.clone(), ..bare },
        }
    }
}

fn agent_entry(record: AgentRecord, key: &str) -> Result<AgentEntry, BadRegistry> {
    let mut resources = Resources::none();
    for ResourceRecord { name, thousandths, ranges, set } in record.resources {
        let value = match thousandths {
            Some(amount) if amount < 0 => {
                let what = format!("{name} below zero");
                return Err(BadRegistry::Meaning { key: key.to_owned(), what });
            }
            Some(amount) => Value::Scalar(Milli(amount)),
            None if !set.is_empty() => Value::Set(set),
            None => {
                Value::Ranges(Ranges::new(ranges.chunks_exact(2).map(|pair| (pair[0], pair[1]))))
            }
        };
        resources.add_one(Resource { name: name.into(), kind: Kind::Unreserved, value });
    }
    for message in &record.particular {
        let resource = Resource::from_v1(message);
        let meaning =
            |bad: BadResource| BadRegistry::Meaning { key: key.to_owned(), what: bad.to_string() };
        resources.add_one(resource.map_err(meaning)?);
    }
    let domain = record.domain.map(FaultDomain::from_v1).transpose();
    let domain = domain
        .map_err(|bad| BadRegistry::Meaning { key: key.to_owned(), what: bad.to_string() })?;
    let attribute = |AttributeRecord { name, value }| Attribute { name, value };
    let info = AgentInfo {
        at: AgentAddress { hostname: record.hostname, listens: record.listens }.into(),
        resources,
        attributes: record.attributes.into_iter().map(attribute).collect(),
        version: record.version,
        boot: record.boot,
    };
    let unreachable = record.unreachable.map(WallTime);
    Ok(AgentEntry { info, domain, nonce: record.nonce, unreachable })
}

impl From<&FrameworkEntry> for FrameworkRecord {
    fn from(FrameworkEntry { info, nonce }: &FrameworkEntry) -> Self {
        Self {
            name: info.name.clone(),
            user: info.user.clone(),
            roles: info.roles.iter().map(ToString::to_string).collect(),
            failover_seconds: info.failover_timeout.as_secs(),
            failover_nanoseconds: info.failover_timeout.subsec_nanos(),
            hostname: info.hostname.clone(),
            capabilities: info
                .capabilities
                .iter()
                .map(|capability| number_of(*capability))
                .collect(),
            carried: info.carried.as_bytes().to_vec(),
            nonce: *nonce,
        }
    }
}

fn number_of(capability: Capability) -> u32 {
    match capability {
        Capability::PartitionAware => 1,
        Capability::StatesDemand => 2,
        Capability::RevocableResources => 3,
        Capability::SharedResources => 4,
        Capability::GpuResources => 5,
        Capability::ReservationRefinement => 6,
        Capability::RegionAware => 7,
        Capability::NamesItself => 8,
    }
}

fn framework_entry(
    record: FrameworkRecord,
    key: &str,
    id: &FrameworkId,
) -> Result<FrameworkEntry, BadRegistry> {
    let meaning = |what: String| BadRegistry::Meaning { key: key.to_owned(), what };
    let capability = |number: u32| match number {
        1 => Ok(Capability::PartitionAware),
        2 => Ok(Capability::StatesDemand),
        3 => Ok(Capability::RevocableResources),
        4 => Ok(Capability::SharedResources),
        5 => Ok(Capability::GpuResources),
        6 => Ok(Capability::ReservationRefinement),
        7 => Ok(Capability::RegionAware),
        8 => Ok(Capability::NamesItself),
        other => Err(meaning(format!("capability {other}"))),
    };
    let role = |text: String| Role::from_str(&text).map_err(|bad| meaning(bad.to_string()));
    let info = FrameworkInfo {
        framework: id.clone(),
        name: record.name,
        user: record.user,
        roles: record.roles.into_iter().map(role).collect::<Result<_, _>>()?,
        failover_timeout: Duration::new(record.failover_seconds, record.failover_nanoseconds),
        hostname: record.hostname,
        capabilities: record.capabilities.into_iter().map(capability).collect::<Result<_, _>>()?,
        carried: Carried::from_bytes(record.carried),
    };
    Ok(FrameworkEntry { info, nonce: record.nonce })
}

#[cfg(test)]
mod tests;
