//! A registry comes back from its records as it was, and records from elsewhere are errors with their key.

use protocol::quantities::{Limits, Quantities};
use protocol::quota::{Quota, Shares, Weight};

use super::*;
use crate::logic::registry::REMOVED_FRAMEWORKS_MAX;

fn info() -> AgentInfo {
    AgentInfo {
        at: AgentAddress { hostname: "h".into(), listens: "h:5051".into() }.into(),
        resources: Resources::cpus_mem(1.5, 512.0)
            .with_ranges("ports", Ranges::new([(1, 2), (7, 9)])),
        attributes: vec![Attribute { name: "rack".into(), value: "r1".into() }],
        version: "0.1.0".into(),
        boot: "b".into(),
    }
}

fn domain() -> FaultDomain {
    FaultDomain { region: "eu".into(), zone: "1".into() }
}

fn framework(n: usize) -> FrameworkInfo {
    FrameworkInfo {
        framework: FrameworkId::new(format!("c-{n:05}")),
        name: "web".into(),
        user: "nobody".into(),
        roles: vec![Role::everybody(), "eng/web".parse().unwrap()],
        failover_timeout: Duration::new(604_800, 5),
        hostname: "here".into(),
        capabilities: vec![Capability::PartitionAware, Capability::StatesDemand],
        carried: Carried::from_bytes(vec![10, 0]),
    }
}

fn role(text: &str) -> Role {
    text.parse().unwrap()
}

fn quota() -> Quota {
    let guarantees = Quantities::none().with("cpus", Milli(500));
    Quota { guarantees, limits: Limits::none().with("gpus", Milli(0)).with("cpus", Milli(1000)) }
}

fn weight(number: f64) -> Weight {
    Weight::try_from(number).unwrap()
}

fn enter(records: &mut BTreeMap<String, Vec<u8>>, changes: Vec<Change>) {
    for change in changes {
        match change {
            Change::Put { key, value } => drop(records.insert(key, value)),
            Change::Delete { key } => drop(records.remove(&key)),
        }
    }
}

#[test]
fn after_every_operation_the_records_are_the_registry() {
    let agent = |n: u64| AgentId::new(format!("c-S{n}"));
    let admit = |n| RegistryOperation::AdmitAgent {
        agent: agent(n),
        number: n + 1,
        nonce: n,
        info: info(),
        domain: (n == 1).then(domain),
    };
    let admit_framework = |n: usize| RegistryOperation::AdmitFramework {
        number: Some(7),
        nonce: 3,
        info: framework(n),
    };
    let mut operations = vec![
        admit(0),
        admit(1),
        RegistryOperation::MarkUnreachable { agent: agent(0), at: WallTime(5) },
        RegistryOperation::MarkUnreachable { agent: agent(1), at: WallTime(6) },
        RegistryOperation::MarkReachable { agent: agent(0), info: info(), domain: Some(domain()) },
        admit(2),
        RegistryOperation::RemoveAgent { agent: agent(2), at: WallTime(7), by_operator: true },
        admit(3),
        RegistryOperation::RemoveAgent { agent: agent(3), at: WallTime(8), by_operator: false },
        RegistryOperation::Prune { unreachable: vec![agent(1)], gone: vec![agent(2)] },
        admit_framework(1),
        RegistryOperation::SetQuotas(BTreeMap::from([
            (role("eng"), quota()),
            (role("a"), quota()),
        ])),
        RegistryOperation::SetWeights(BTreeMap::from([(role("eng/web"), weight(0.25))])),
        RegistryOperation::SetQuotas(BTreeMap::from([(role("a"), Quota::default())])),
        RegistryOperation::SetWeights(BTreeMap::from([
            (role("eng/web"), Weight::ONE),
            (role("*"), weight(3.0)),
        ])),
    ];
    // Their ids fall, so that the first of them is none of the oldest.
    for n in (0..REMOVED_FRAMEWORKS_MAX + 2).rev() {
        operations.push(RegistryOperation::RemoveFramework { framework: framework(n).framework });
    }
    operations.push(admit_framework(99_999));
    let mut registry = Registry::new(ClusterId::new("c"), 4);
    let mut records = BTreeMap::new();
    let last = operations.len() - 1;
    for (n, operation) in operations.iter().enumerate() {
        enter(&mut records, apply(&mut registry, operation));
        if n < 20 || n == last {
            assert_eq!(read(ClusterId::new("c"), 4, &records).unwrap(), registry);
        }
    }
    assert_eq!(registry.removed.len(), REMOVED_FRAMEWORKS_MAX);
    for (n, is_remembered) in [(0, true), (1, true), (REMOVED_FRAMEWORKS_MAX + 1, false)] {
        let id = framework(n).framework;
        assert_eq!(registry.removed.contains_key(&id), is_remembered, "{id}");
    }
    let of_roles = records.keys().filter(|k| k.starts_with(QUOTA) || k.starts_with(WEIGHT));
    let of_roles: Vec<_> = of_roles.collect();
    assert_eq!(of_roles, ["quota/eng", "weight/*"], "what says nothing has no record");
}

#[test]
fn records_that_are_not_understood_are_errors_with_their_key() {
    let read_one = |key: &str, value: Vec<u8>| {
        let records = BTreeMap::from([(key.to_owned(), value)]);
        read(ClusterId::new("c"), 1, &records).unwrap_err().to_string()
    };
    assert!(read_one("agent/x", vec![255]).contains("agent/x"));
    assert!(read_one("later/x", vec![]).contains("later/x"));
    assert!(read_one("quota/a//b", vec![]).contains("role 'a//b' has an empty part"));
    assert!(read_one("weight/x", vec![]).contains("weight/x"), "a weight of nothing");
    let mut shares = Shares::default();
    shares.quotas.insert(role("x"), quota());
    let Change::Put { value, .. } = shares::quota_change(&shares, &role("x")) else { panic!() };
    let at = value.iter().position(|byte| *byte == 0xf4).expect("500 thousandths");
    let below = [&value[..at], &[255; 9], &[1], &value[at + 2..]].concat();
    let below = [&[10, 17], &below[2..]].concat();
    assert!(read_one("quota/x", below).contains("cpus below zero"));
    let later = FrameworkRecord { capabilities: vec![77], ..FrameworkRecord::default() };
    assert!(read_one("framework/f", later.encode_to_vec()).contains("capability 77"));
    let below = ResourceRecord { name: "cpus".into(), thousandths: Some(-1), ..Default::default() };
    let agent = AgentRecord { resources: vec![below], ..AgentRecord::default() };
    assert!(read_one("agent/x", agent.encode_to_vec()).contains("below zero"));
}

#[test]
fn a_registry_of_a_later_version_is_refused_in_words_whatever_else_is_in_it() {
    let numbers = NumbersRecord { agents_made: 3, frameworks_made: 1, format: FORMAT + 1 };
    let records = BTreeMap::from([
        (NUMBERS.to_owned(), numbers.encode_to_vec()),
        ("agent/x".to_owned(), vec![255]),
    ]);
    assert_eq!(
        read(ClusterId::new("c"), 1, &records).unwrap_err().to_string(),
        "the registry was written by a later version of this program, in format 2, and this one knows format 1: start a master of that version, or a later one"
    );
    // The first version did not say which it was.
    let numbers = NumbersRecord { format: 0, ..numbers };
    let records = BTreeMap::from([(NUMBERS.to_owned(), numbers.encode_to_vec())]);
    assert_eq!(read(ClusterId::new("c"), 1, &records).unwrap().agents_made, 3);
}

/// An agent with everything that a record of one can hold, but for what is particular.
fn plain() -> AgentEntry {
    let mut info = info();
    info.resources.add(&"disks:{a,b}".parse().unwrap());
    AgentEntry { info, domain: None, nonce: 7, unreachable: Some(WallTime(5)) }
}

fn reserved() -> AgentEntry {
    let mut agent = plain();
    let json = r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":2},"role":"eng"},
        {"name":"disk","type":"SCALAR","scalar":{"value":64},
         "reservations":[{"type":"STATIC","role":"eng"},
                         {"type":"DYNAMIC","role":"eng/web","principal":"p","labels":{"labels":[{"key":"k"}]}}],
         "disk":{"source":{"type":"MOUNT","mount":{"root":"/m"},"id":"i","vendor":"v","profile":"f"},
                 "persistence":{"id":"d","principal":"p"},"volume":{"mode":"RO","container_path":"c"}},
         "shared":{}},
        {"name":"mem","type":"SCALAR","scalar":{"value":0.001},"revocable":{}}]"#;
    agent.info.resources.add(&Resources::from_json(json).unwrap());
    agent
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const PLAIN: &str = "0a01681206683a353035311a090a046370757310dc0b1a0d0a056469736b732201612201621a090a036d656d10\
    80a01f1a0d0a05706f7274731a0401020709220a0a047261636b120272312a05302e312e303201623907000000\
    000000004005";
/// Behind the former: three messages of the v1 API.
const PARTICULAR: &str = "4a1c0a046370757310001a090900000000000000406a071a03656e6720014a590a046469736b10001a09090000\
    0000000050403a220a060a016412017012050a016318021a1108021a040a022f6d2201693201663a017652006a\
    071a03656e6720016a150a017012050a030a016b1a07656e672f77656220024a140a036d656d10001a0909fca9\
    f1d24d62503f4a00";

#[test]
fn the_record_of_an_agent_keeps_its_bytes_and_what_is_particular_follows_them() {
    let record = |entry: &AgentEntry| AgentRecord::from(entry).encode_to_vec();
    assert_eq!(hex(&record(&plain())), PLAIN);
    assert_eq!(hex(&record(&reserved())), format!("{PLAIN}{PARTICULAR}"));
    let placed = AgentEntry { domain: Some(domain()), ..plain() };
    let behind = "520d0a0b0a040a0265751203 0a0131".replace(' ', "");
    assert_eq!(hex(&record(&placed)), format!("{PLAIN}{behind}"));
    for entry in [plain(), reserved(), placed] {
        let read = AgentRecord::decode(&*record(&entry)).unwrap();
        assert_eq!(agent_entry(read, "agent/x").unwrap(), entry);
    }
    let bad = v1::Resource { name: "cpus".into(), r#type: 9, ..v1::Resource::default() };
    let later = AgentRecord { particular: vec![bad], ..AgentRecord::default() };
    assert!(agent_entry(later, "agent/x").unwrap_err().to_string().contains("agent/x has 'cpus'"));
    let later = AgentRecord { domain: Some(v1::DomainInfo::default()), ..AgentRecord::default() };
    let words = agent_entry(later, "agent/x").unwrap_err().to_string();
    assert!(words.contains("agent/x has it names no fault domain"), "{words}");
}

#[test]
fn an_older_version_reads_nothing_reserved_as_if_it_were_anybodys() {
    /// The fields of version 1.
    #[derive(Clone, PartialEq, Message)]
    struct Older {
        #[prost(message, repeated, tag = "3")]
        resources: Vec<ResourceRecord>,
    }
    let read =
        |entry: &AgentEntry| Older::decode(&*AgentRecord::from(entry).encode_to_vec()).unwrap();
    assert_eq!(read(&reserved()), read(&plain()));
}
