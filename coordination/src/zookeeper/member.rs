//! A node below the election's path: its name, and the candidate in it, in the three forms that Mesos's masters have
//! written. Ours is `json.info_`, with every field that clients of Mesos read (`MasterInfo` as JSON). That of a scheduler is
//! `scheduler_`, which nobody takes for a master, and is there for people to read.

use std::net::{IpAddr, Ipv4Addr};

use prost::Message;
use serde::{Deserialize, Serialize};

use super::Office;
use crate::election::Candidate;

/// Before the number of a master's node of ours.
const LABEL: &str = "json.info";

/// Before that of a scheduler's.
const LABEL_SCHEDULER: &str = "scheduler";

/// An older form: `MasterInfo` in protobuf.
const LABEL_PROTOBUF: &str = "info";

/// Why the candidate in a node cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadMember {
    #[error("it has a label that nobody knows")]
    Label,
    #[error("it is not the JSON of a MasterInfo: {0}")]
    Json(String),
    #[error("it is not the protobuf of a MasterInfo: {0}")]
    Protobuf(String),
    #[error("it is no text of the form master@host:port")]
    Text,
    #[error("it is not what a scheduler would write: {0}")]
    Scheduler(String),
}

/// In the order of the alphabet, as Mesos writes them.
#[derive(Serialize, Deserialize)]
struct MasterInfo {
    #[serde(default)]
    address: Option<Address>,
    #[serde(default, skip_deserializing)]
    capabilities: Vec<Capability>,
    #[serde(default)]
    hostname: Option<String>,
    id: String,
    ip: u32,
    #[serde(default)]
    pid: Option<String>,
    port: u32,
    #[serde(default)]
    version: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Address {
    #[serde(default)]
    hostname: Option<String>,
    #[serde(default)]
    ip: Option<String>,
    port: i64,
}

/// Nobody reaches a scheduler by its node.
#[derive(Serialize, Deserialize)]
struct SchedulerInfo {
    hostname: String,
    id: String,
    version: String,
}

#[derive(Serialize)]
struct Capability {
    #[serde(rename = "type")]
    kind: &'static str,
}

/// What a master of ours can do that older ones of Mesos could not: agents may change what they give.
const CAPABILITIES: [&str; 1] = ["AGENT_UPDATE"];

/// The fields that we read.
#[derive(Message)]
struct MasterInfoMessage {
    #[prost(string, required, tag = "1")]
    id: String,
    #[prost(uint32, required, tag = "2")]
    ip: u32,
    #[prost(uint32, required, tag = "3")]
    port: u32,
    #[prost(string, optional, tag = "4")]
    pid: Option<String>,
    #[prost(string, optional, tag = "5")]
    hostname: Option<String>,
    #[prost(string, optional, tag = "6")]
    version: Option<String>,
    #[prost(message, optional, tag = "7")]
    address: Option<AddressMessage>,
}

#[derive(Message)]
struct AddressMessage {
    #[prost(string, optional, tag = "1")]
    hostname: Option<String>,
    #[prost(string, optional, tag = "2")]
    ip: Option<String>,
    #[prost(int32, required, tag = "3")]
    port: i32,
}

impl Office {
    /// Before the number of the node of a candidate for it.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Master => LABEL,
            Self::Scheduler(_) => LABEL_SCHEDULER,
        }
    }

    /// What a candidate for it writes into its node.
    pub(super) fn write(&self, candidate: &Candidate, ip: Ipv4Addr) -> Vec<u8> {
        match self {
            Self::Master => write(candidate, ip),
            Self::Scheduler(_) => {
                let Candidate { id, hostname, version, .. } = candidate.clone();
                serde_json::to_vec(&SchedulerInfo { hostname, id, version })
                    .expect("texts can be written as JSON")
            }
        }
    }

    /// The candidate in a node with this label.
    pub(super) fn read(&self, label: &str, data: &[u8]) -> Result<Candidate, BadMember> {
        match (self, label) {
            (Self::Master, label) => read(label, data),
            (Self::Scheduler(_), LABEL_SCHEDULER) => {
                let info = serde_json::from_slice::<SchedulerInfo>(data);
                let SchedulerInfo { hostname, id, version } =
                    info.map_err(|error| BadMember::Scheduler(error.to_string()))?;
                Ok(Candidate { id, address: String::new(), hostname, version })
            }
            (Self::Scheduler(_), _) => Err(BadMember::Label),
        }
    }
}

/// The label and the number of a node; `None` if it is not a seat. `log_replicas` is none, `info_0000000001` is one.
pub(super) fn seat(name: &str) -> Option<(&str, u64)> {
    let (label, number) = match name.rsplit_once('_') {
        Some((front, number)) => (front.split('_').next().unwrap_or(front), number),
        None => ("", name),
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return None;
    }
    Some((label, number.parse().ok()?))
}

/// What a master of ours writes. `ip` is that of its address, or what the address's name was resolved to.
fn write(candidate: &Candidate, ip: Ipv4Addr) -> Vec<u8> {
    let (host, port) = host_and_port(&candidate.address).unwrap_or((&candidate.address, 0));
    let shown = host.parse::<IpAddr>().map_or_else(|_| ip.to_string(), |ip| ip.to_string());
    let info = MasterInfo {
        address: Some(Address {
            hostname: Some(candidate.hostname.clone()),
            ip: Some(shown),
            port: port.into(),
        }),
        capabilities: CAPABILITIES.map(|kind| Capability { kind }).into(),
        hostname: Some(candidate.hostname.clone()),
        id: candidate.id.clone(),
        // The bytes of the address in network order, read as a number of a machine that has the least byte first.
        ip: u32::from_le_bytes(ip.octets()),
        pid: Some(format!("master@{}", candidate.address)),
        port: port.into(),
        version: Some(candidate.version.clone()),
    };
    serde_json::to_vec(&info).expect("texts and numbers can be written as JSON")
}

/// The master in a node with this label.
fn read(label: &str, data: &[u8]) -> Result<Candidate, BadMember> {
    match label {
        "" => read_text(data),
        LABEL_PROTOBUF => {
            let info = MasterInfoMessage::decode(data);
            let info = info.map_err(|error| BadMember::Protobuf(error.to_string()))?;
            let address = info.address.map(|address| Address {
                hostname: address.hostname,
                ip: address.ip,
                port: address.port.into(),
            });
            Ok(candidate(MasterInfo {
                address,
                capabilities: Vec::new(),
                hostname: info.hostname,
                id: info.id,
                ip: info.ip,
                pid: info.pid,
                port: info.port,
                version: info.version,
            }))
        }
        LABEL => {
            let info = serde_json::from_slice::<MasterInfo>(data);
            info.map(candidate).map_err(|error| BadMember::Json(error.to_string()))
        }
        _ => Err(BadMember::Label),
    }
}

/// Very old masters wrote where they are and nothing else.
fn read_text(data: &[u8]) -> Result<Candidate, BadMember> {
    let text = std::str::from_utf8(data).map_err(|_| BadMember::Text)?.trim();
    let address = text.strip_prefix("master@").ok_or(BadMember::Text)?;
    host_and_port(address).ok_or(BadMember::Text)?;
    Ok(Candidate::at(address))
}

fn candidate(info: MasterInfo) -> Candidate {
    let ip = Ipv4Addr::from(info.ip.to_le_bytes()).to_string();
    let of_address = info.address.and_then(|address| {
        let host = address.ip.or(address.hostname)?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        Some(format!("{host}:{}", address.port))
    });
    let of_pid = info.pid.as_deref().and_then(|pid| pid.split_once('@'));
    let address = match (of_pid, of_address) {
        (Some((_, address)), _) => address.to_owned(),
        (None, Some(address)) => address,
        (None, None) => format!("{ip}:{}", info.port),
    };
    let hostname = info.hostname.unwrap_or(ip);
    Candidate { id: info.id, address, hostname, version: info.version.unwrap_or_default() }
}

/// The two parts of `host:port`; brackets around a host are not part of it.
pub(super) fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty()).then_some((host, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Candidate {
        Candidate {
            id: "5f-1".into(),
            address: "10.0.0.1:5050".into(),
            hostname: "m1.example".into(),
            version: "0.1.0".into(),
        }
    }

    #[test]
    fn a_node_is_a_seat_if_its_last_part_is_a_number() {
        assert_eq!(seat("json.info_0000000012"), Some(("json.info", 12)));
        assert_eq!(seat("info_0000000012"), Some(("info", 12)));
        assert_eq!(seat("0000000012"), Some(("", 12)));
        assert_eq!(seat("a_b_7"), Some(("a", 7)));
        for name in ["log_replicas", "airside", "json.info_", "json.info_+1", "", "_", "info_-1"] {
            assert_eq!(seat(name), None, "{name}");
        }
    }

    #[test]
    fn what_we_write_has_every_field_in_the_order_of_mesos_on_one_line() {
        let text = String::from_utf8(write(&ours(), Ipv4Addr::new(10, 0, 0, 1))).unwrap();
        let expected = concat!(
            r#"{"address":{"hostname":"m1.example","ip":"10.0.0.1","port":5050},"#,
            r#""capabilities":[{"type":"AGENT_UPDATE"}],"hostname":"m1.example","id":"5f-1","#,
            r#""ip":16777226,"pid":"master@10.0.0.1:5050","port":5050,"version":"0.1.0"}"#,
        );
        assert_eq!(text, expected);
        assert_eq!(read(LABEL, text.as_bytes()), Ok(ours()));
    }

    #[test]
    fn all_three_forms_are_read() {
        let text = read("", b"master@10.0.0.1:5050\n").unwrap();
        assert_eq!(text.address, "10.0.0.1:5050");
        let message = MasterInfoMessage {
            id: "m".into(),
            ip: 16_777_226,
            port: 5050,
            pid: None,
            hostname: Some("m1".into()),
            version: None,
            address: None,
        };
        let old = read("info", &message.encode_to_vec()).unwrap();
        assert_eq!((&*old.address, &*old.hostname), ("10.0.0.1:5050", "m1"));
        let json = br#"{"id":"m","ip":16777226,"port":5050,"domain":{"x":1},"new":[2]}"#;
        assert_eq!(read("json.info", json).unwrap().address, "10.0.0.1:5050");
        let json = br#"{"id":"m","ip":1,"port":1,"address":{"ip":"::1","port":5050}}"#;
        assert_eq!(read("json.info", json).unwrap().address, "[::1]:5050");
    }

    #[test]
    fn nobody_takes_a_scheduler_for_a_master_nor_a_master_for_a_scheduler() {
        let office = Office::Scheduler("kafka".into());
        let scheduler = Candidate { address: String::new(), ..ours() };
        let data = office.write(&scheduler, Ipv4Addr::UNSPECIFIED);
        let name = format!("{}_0000000001", office.label());
        let (label, _) = seat(&name).unwrap();
        assert_eq!(office.read(label, &data), Ok(scheduler));
        assert_eq!(Office::Master.read(label, &data), Err(BadMember::Label));
        let master = Office::Master.write(&ours(), Ipv4Addr::UNSPECIFIED);
        assert_eq!(office.read(LABEL, &master), Err(BadMember::Label));
        assert!(matches!(office.read(label, b"{}"), Err(BadMember::Scheduler(_))));
    }

    #[test]
    fn garbage_is_refused_in_words() {
        assert!(matches!(read("json.info", b"{}"), Err(BadMember::Json(_))));
        assert!(matches!(read("json.info", b"\xff\x00"), Err(BadMember::Json(_))));
        assert!(matches!(read("info", b"\xff\xff"), Err(BadMember::Protobuf(_))));
        assert_eq!(read("", b"10.0.0.1:5050"), Err(BadMember::Text));
        assert_eq!(read("", b"master@:5050"), Err(BadMember::Text));
        assert_eq!(read("other", b""), Err(BadMember::Label));
    }
}
