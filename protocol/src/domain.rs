//! Fault domains as operators write them, in the v1 API's JSON, and as the v1 API has them.

use std::str::FromStr;

use api::v1;
use serde::Deserialize;

use crate::wishes::FaultDomain;

/// The most bytes of the name of a region or a zone.
pub const NAME_BYTES_MAX: usize = 255;

/// How one is written; for errors.
const EXAMPLE: &str =
    r#"{"fault_domain":{"region":{"name":"eu"},"zone":{"name":"eu-1"}}}, with names of your own"#;

/// What is no fault domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDomain {
    /// Not the JSON that is expected.
    #[error("this is no fault domain in JSON ({0}): write {EXAMPLE}")]
    Json(String),
    /// Nothing is said of region and zone.
    #[error("it names no fault domain: write {EXAMPLE}")]
    Missing,
    /// A name of nothing.
    #[error("the name of its {0} is empty: write {EXAMPLE}")]
    Empty(&'static str),
    /// A name that is too long.
    #[error("the name of its {of} has {has} bytes, and {NAME_BYTES_MAX} at most are allowed")]
    TooLong {
        /// Region or zone.
        of: &'static str,
        /// How many bytes.
        has: usize,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonDomain {
    fault_domain: Option<JsonFaultDomain>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonFaultDomain {
    region: JsonName,
    zone: JsonName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonName {
    name: String,
}

/// Of Mesos's JSON. What nobody here knows in it is refused: a slip would put a machine where it is not.
impl FromStr for FaultDomain {
    type Err = BadDomain;

    fn from_str(text: &str) -> Result<Self, BadDomain> {
        let json: Result<JsonDomain, _> = serde_json::from_str(text);
        let json = json.map_err(|error| BadDomain::Json(error.to_string()))?;
        let JsonFaultDomain { region, zone } = json.fault_domain.ok_or(BadDomain::Missing)?;
        let domain = Self { region: region.name, zone: zone.name };
        domain.check()?;
        Ok(domain)
    }
}

impl FaultDomain {
    /// Whether its names are any; peers may send what they like.
    pub fn check(&self) -> Result<(), BadDomain> {
        for (of, name) in [("region", &self.region), ("zone", &self.zone)] {
            match name.len() {
                0 => return Err(BadDomain::Empty(of)),
                1..=NAME_BYTES_MAX => (),
                has => return Err(BadDomain::TooLong { of, has }),
            }
        }
        Ok(())
    }

    /// As the v1 API has it.
    pub fn to_v1(&self) -> v1::DomainInfo {
        let region = v1::domain_info::fault_domain::RegionInfo { name: self.region.clone() };
        let zone = v1::domain_info::fault_domain::ZoneInfo { name: self.zone.clone() };
        v1::DomainInfo { fault_domain: Some(v1::domain_info::FaultDomain { region, zone }) }
    }

    /// Of what the v1 API has.
    pub fn from_v1(domain: v1::DomainInfo) -> Result<Self, BadDomain> {
        let v1::domain_info::FaultDomain { region, zone } =
            domain.fault_domain.ok_or(BadDomain::Missing)?;
        let domain = Self { region: region.name, zone: zone.name };
        domain.check()?;
        Ok(domain)
    }
}

/// For people: the zone within its region.
impl std::fmt::Display for FaultDomain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.region, self.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_read_as_mesos_writes_it_and_survives_the_v1_form() {
        let text = r#"{ "fault_domain": {"region": {"name": "eu"}, "zone": {"name": "eu-1"}} }"#;
        let domain: FaultDomain = text.parse().expect("a domain");
        assert_eq!(domain, FaultDomain { region: "eu".into(), zone: "eu-1".into() });
        assert_eq!(domain.to_string(), "eu/eu-1");
        assert_eq!(FaultDomain::from_v1(domain.to_v1()), Ok(domain));
    }

    #[test]
    fn what_is_no_domain_is_refused_with_what_to_write() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        let of = |region: &str, zone: &str| {
            format!(
                r#"{{"fault_domain":{{"region":{{"name":"{region}"}},"zone":{{"name":"{zone}"}}}}}}"#
            )
        };
        assert!(of(&long[1..], &long[1..]).parse::<FaultDomain>().is_ok(), "as long as it may be");
        for (text, words) in [
            ("eu", "this is no fault domain in JSON (expected value at line 1 column 1): write {"),
            ("{}", "it names no fault domain: write {\"fault_domain\""),
            (r#"{"fault_domain":{"region":{"name":"eu"}}}"#, "missing field `zone`"),
            (r#"{"fault_domain":{"region":"eu","zone":"1"}}"#, "invalid type: string \"eu\""),
            (r#"{"region":{"name":"eu"},"zone":{"name":"1"}}"#, "unknown field `region`"),
            (&of("", "1"), "the name of its region is empty"),
            (&of("eu", ""), "the name of its zone is empty"),
            (&of("eu", &long), "its zone has 256 bytes, and 255 at most"),
        ] {
            let bad = text.parse::<FaultDomain>().expect_err(text).to_string();
            assert!(bad.contains(words), "{text}: {bad}");
        }
        assert_eq!(FaultDomain::from_v1(v1::DomainInfo::default()), Err(BadDomain::Missing));
    }
}
