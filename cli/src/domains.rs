//! Where masters and agents are: how operators say it on a command line, and how commands learn it from a master.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use agent::detect::{FILE, read_most};
use libactor::AskError;
use protocol::domain::BadDomain;
use protocol::ids::AgentId;
use protocol::operator::{Read, ReadAnswer};
use protocol::wishes::FaultDomain;
use serde::Serialize;

use crate::client::ClientError;
use crate::pages;

/// More than any domain in JSON needs.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// A text, or file, that names no domain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoDomain {
    #[error(transparent)]
    Text(#[from] BadDomain),
    #[error("read {path}: {why}; name a file with the domain in JSON, or write the JSON itself")]
    File { path: PathBuf, why: io::Error },
    #[error("{0} is longer than {FILE_BYTES_MAX} bytes; is it the right file?")]
    TooLong(PathBuf),
    #[error("{path}: {why}")]
    InFile { path: PathBuf, why: BadDomain },
}

/// A domain in Mesos's JSON, or what is in the file that `file:///path` names.
pub(crate) fn domain(text: &str) -> Result<FaultDomain, NoDomain> {
    let Some(path) = text.trim().strip_prefix(FILE) else {
        return Ok(text.parse()?);
    };
    let path = PathBuf::from(path);
    match read_most(&path, FILE_BYTES_MAX) {
        Err(why) => Err(NoDomain::File { path, why }),
        Ok(None) => Err(NoDomain::TooLong(path)),
        Ok(Some(content)) => content.parse().map_err(|why| NoDomain::InFile { path, why }),
    }
}

/// Where a master and its agents are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Domains {
    pub(crate) master: Option<FaultDomain>,
    pub(crate) agents: BTreeMap<AgentId, FaultDomain>,
}

/// A domain in JSON, with names of its own as all that is listed.
#[derive(Serialize)]
pub(crate) struct DomainJson {
    region: String,
    zone: String,
}

impl From<&FaultDomain> for DomainJson {
    fn from(domain: &FaultDomain) -> Self {
        Self { region: domain.region.clone(), zone: domain.zone.clone() }
    }
}

/// A master of an older version knows of no domains, and refuses the question.
pub(crate) async fn read_all(
    ask: impl AsyncFn(Read) -> Result<ReadAnswer, ClientError>,
) -> Result<Domains, ClientError> {
    let mut master = None;
    let show = |answer: &ReadAnswer| {
        if let ReadAnswer::Domains(view) | ReadAnswer::SomeDomains(view) = answer {
            master.clone_from(&view.master);
        }
    };
    match pages::read_with(ask, show).await {
        Err(ClientError::Master { why: AskError::Refused(_), .. }) => Ok(Domains::default()),
        agents => Ok(Domains { agents: agents?.into_iter().collect(), master }),
    }
}

#[cfg(test)]
mod tests {
    use protocol::operator::DomainsView;

    use super::*;

    const TEXT: &str = r#"{"fault_domain":{"region":{"name":"eu"},"zone":{"name":"1"}}}"#;

    fn eu(zone: &str) -> FaultDomain {
        FaultDomain { region: "eu".into(), zone: zone.into() }
    }

    #[test]
    fn a_domain_is_written_or_in_a_file_and_what_is_none_is_refused_in_words() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("domain.json");
        let written = |content: &str| {
            std::fs::write(&path, content).expect("a file");
            domain(&format!("file://{}", path.display())).map_err(|bad| bad.to_string())
        };
        assert_eq!(domain(TEXT).expect("a domain"), eu("1"));
        assert_eq!(written(&format!("{TEXT}\n")), Ok(eu("1")));
        let bad = written("{}").expect_err("nothing");
        assert!(bad.contains("domain.json: it names no fault domain: write {"), "{bad}");
        let bad = written(&" ".repeat(1 << 17)).expect_err("too much");
        assert!(bad.contains("is longer than 65536 bytes"), "{bad}");
        let bad = domain("file:///no/such/file").expect_err("no file").to_string();
        assert!(bad.contains("read /no/such/file: No such file"), "{bad}");
        let bad = domain("eu/1").expect_err("no JSON").to_string();
        assert!(bad.contains("this is no fault domain in JSON"), "{bad}");
    }

    #[tokio::test]
    async fn every_page_of_domains_is_read_and_an_older_master_knows_none() {
        let (a, b) = (AgentId::new("a"), AgentId::new("b"));
        let page = |agents: &[(AgentId, FaultDomain)]| DomainsView {
            master: Some(eu("0")),
            agents: agents.to_vec(),
        };
        let all = read_all(async |read| {
            Ok(if read == Read::Domains {
                ReadAnswer::SomeDomains(page(&[(a.clone(), eu("1"))]))
            } else if read == Read::DomainsBehind(a.clone()) {
                ReadAnswer::Domains(page(&[(b.clone(), eu("2"))]))
            } else {
                panic!("{read:?} is not what comes next")
            })
        });
        let all = all.await.expect("the master answers");
        let agents = [(a.clone(), eu("1")), (b.clone(), eu("2"))].into();
        assert_eq!(all, Domains { master: Some(eu("0")), agents });
        let stuck = async |_| Ok(ReadAnswer::SomeDomains(page(&[(a.clone(), eu("1"))])));
        assert!(matches!(read_all(stuck).await, Err(ClientError::Answer)));
        let refused = async |_| Ok(ReadAnswer::Refused("not you".into()));
        let read = read_all(refused).await;
        assert!(matches!(read, Err(ClientError::Refused(why)) if why == "not you"));
        let older = async |_| {
            let why = AskError::Refused("too new".into());
            Err(ClientError::Master { master: "h:1".into(), why })
        };
        assert_eq!(read_all(older).await.expect("it knows none"), Domains::default());
    }
}
