//! Offers as v1 messages.

use ::api::v1;

use crate::agent::AgentAddress;
use crate::ids::{AgentId, ExecutorId, FrameworkId, OfferId};
use crate::offer::Offer;
use crate::resources::{Attribute, AttributeValue};
use crate::wishes::FaultDomain;

/// How much a framework understands of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Each resource says for which role it is offered: for frameworks that have several.
    pub multi_role: bool,
    /// Reservations as a list: for those that can refine them. Without it each has a role, and one reservation at most.
    pub refined: bool,
}

macro_rules! ids {
    ($($ours:ident $theirs:ident),*) => {$(
        impl $ours {
            /// As a v1 message.
            pub fn to_v1(&self) -> v1::$theirs {
                v1::$theirs { value: self.to_string() }
            }
        }
    )*};
}

ids! { AgentId AgentId, ExecutorId ExecutorId, FrameworkId FrameworkId, OfferId OfferId }

/// Where a machine is.
pub fn domain_to_v1(domain: &FaultDomain) -> v1::DomainInfo {
    use v1::domain_info::{FaultDomain, fault_domain};
    let region = fault_domain::RegionInfo { name: domain.region.clone() };
    let zone = fault_domain::ZoneInfo { name: domain.zone.clone() };
    v1::DomainInfo { fault_domain: Some(FaultDomain { region, zone }) }
}

impl Offer {
    /// As a v1 message, in the form that its framework understands.
    pub fn to_v1(&self, form: Form, domain: Option<&FaultDomain>) -> v1::Offer {
        let resources = match form.multi_role {
            true => self.resources.allocated_to(&self.role),
            false => self.resources.unallocated(),
        };
        let mut resources = resources.to_v1();
        if !form.refined {
            // What is refined is offered to nobody who could not understand it.
            resources.retain_mut(|one| ::api::resources::downgrade(one).is_ok());
        }
        let role = self.role.to_string();
        v1::Offer {
            id: self.offer.to_v1(),
            framework_id: self.framework.to_v1(),
            agent_id: self.agent.to_v1(),
            hostname: self.at.hostname.clone(),
            url: self.at.url(),
            domain: domain.map(domain_to_v1),
            resources,
            attributes: self.attributes.iter().map(Attribute::to_v1).collect(),
            executor_ids: self.executors.iter().map(ExecutorId::to_v1).collect(),
            unavailability: None,
            allocation_info: form
                .multi_role
                .then_some(v1::resource::AllocationInfo { role: Some(role) }),
        }
    }
}

impl AgentAddress {
    /// Where it listens, in parts; IPv6 without brackets.
    pub fn host_and_port(&self) -> Option<(&str, u16)> {
        let (host, port) = self.listens.rsplit_once(':')?;
        Some((host.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?))
    }

    /// Where its own pages are.
    pub fn url(&self) -> Option<v1::Url> {
        let (ip, port) = self.host_and_port()?;
        Some(v1::Url {
            scheme: "http".to_owned(),
            address: v1::Address {
                hostname: Some(self.hostname.clone()),
                ip: Some(ip.to_owned()),
                port: port.into(),
            },
            path: Some("/slave(1)".to_owned()),
            ..Default::default()
        })
    }
}

impl Attribute {
    /// As a v1 message, of the type that its text is taken for.
    pub fn to_v1(&self) -> v1::Attribute {
        use v1::value::{Range, Ranges, Scalar, Set, Text, Type};
        let plain = |r#type: Type| v1::Attribute {
            name: self.name.clone(),
            r#type: r#type.into(),
            ..Default::default()
        };
        match self.typed() {
            AttributeValue::Scalar(amount) => {
                let scalar = Some(Scalar { value: amount.as_f64() });
                v1::Attribute { scalar, ..plain(Type::Scalar) }
            }
            AttributeValue::Ranges(ranges) => {
                let range = ranges.iter().map(|(begin, end)| Range { begin, end }).collect();
                v1::Attribute { ranges: Some(Ranges { range }), ..plain(Type::Ranges) }
            }
            AttributeValue::Set(item) => {
                v1::Attribute { set: Some(Set { item }), ..plain(Type::Set) }
            }
            AttributeValue::Text(value) => {
                v1::Attribute { text: Some(Text { value }), ..plain(Type::Text) }
            }
        }
    }
}
