//! What an agent's operator may say otherwise at its next start. By default anything: tasks keep what they hold, and the master
//! hears what there is by now. Who wants to be warned says so with Mesos's policies.

use protocol::agent::AgentInfo;
use protocol::resources::{Attribute, Resources};
use protocol::wishes::FaultDomain;
use serde::{Deserialize, Serialize};

/// Which differences to its former life an agent starts with. Where it listens may always differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReconfigurationPolicy {
    /// Any.
    #[default]
    Any,
    /// Resources, attributes and a domain may be added, and nothing taken away.
    Additive,
    /// None.
    Equal,
}

impl ReconfigurationPolicy {
    /// What is different although it may not be; for people.
    pub(super) fn forbids(self, before: &AgentInfo, now: &AgentInfo) -> Option<String> {
        if self == Self::Any {
            return None;
        }
        let (was, is) = (&before.at.hostname, &now.at.hostname);
        if was != is {
            return Some(format!("its hostname was {was} and is {is}"));
        }
        self.resources(&before.resources, &now.resources)
            .or_else(|| self.attributes(&before.attributes, &now.attributes))
    }

    /// The same of where it is: that may be said for the first time, but it does not move.
    pub(super) fn forbids_place(
        self,
        before: Option<&FaultDomain>,
        now: Option<&FaultDomain>,
    ) -> Option<String> {
        match (self, before, now) {
            (Self::Any, _, _) | (_, None, None) => None,
            (Self::Additive, None, Some(_)) => None,
            (Self::Equal, None, Some(now)) => Some(format!("its domain {now} is new")),
            (_, Some(before), None) => Some(format!("its domain {before} is gone")),
            (_, Some(before), Some(now)) => {
                (before != now).then(|| format!("its domain was {before} and is {now}"))
            }
        }
    }

    fn resources(self, before: &Resources, now: &Resources) -> Option<String> {
        let fits = match self {
            Self::Any => true,
            Self::Additive => now.contains(before),
            Self::Equal => now == before,
        };
        (!fits).then(|| format!("its resources were {before} and are {now}"))
    }

    fn attributes(self, before: &[Attribute], now: &[Attribute]) -> Option<String> {
        let lacking = |from: &[Attribute], to: &[Attribute]| {
            from.iter().find(|attribute| !to.contains(attribute)).cloned()
        };
        if let Some(Attribute { name, value }) = lacking(before, now) {
            return Some(match now.iter().find(|attribute| attribute.name == name) {
                Some(other) => {
                    format!("its attribute {name} was {value} and is {}", other.value)
                }
                None => format!("its attribute {name}:{value} is gone"),
            });
        }
        let added = lacking(now, before).filter(|_| self == Self::Equal);
        added.map(|Attribute { name, value }| format!("its attribute {name}:{value} is new"))
    }
}
