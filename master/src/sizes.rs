//! About how many bytes things have in a message. What may be much is told in parts, each of which fits into one.

use protocol::agent::AgentInfo;
use protocol::offer::Offer;
use protocol::resources::{Attribute, Resources, Value};
use serde::{Deserialize, Serialize};

/// Of an entry or a status: its ids, numbers and short words.
pub(crate) const OF_THE_REST: usize = 256;

/// Of one resource or range: its name and numbers.
pub(crate) const OF_A_RESOURCE: usize = 64;
/// Before each word, its length.
pub(crate) const OF_A_WORD: usize = 8;

pub(crate) fn of_resources(resources: &Resources) -> usize {
    let of_value = |value: &Value| match value {
        Value::Scalar(_) => 0,
        Value::Ranges(ranges) => OF_A_RESOURCE * ranges.iter().count(),
        Value::Set(names) => names.iter().map(|name| OF_A_WORD + name.len()).sum(),
    };
    resources.iter().map(|one| OF_A_RESOURCE + of_value(&one.value)).sum()
}

pub(crate) fn of_attributes(attributes: &[Attribute]) -> usize {
    attributes.iter().map(|one| OF_A_RESOURCE + one.name.len() + one.value.len()).sum()
}

/// What is the same in all offers of an agent: counted once, when the agent describes itself.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct OfAgent {
    /// Of its whole resources.
    total: usize,
    /// Of its address and attributes, and of the ids.
    rest: usize,
}

impl OfAgent {
    pub(crate) fn new(info: &AgentInfo) -> Self {
        let at = info.at.hostname.len() + info.at.listens.len();
        let rest = OF_THE_REST + at + of_attributes(&info.attributes);
        Self { total: of_resources(&info.resources), rest }
    }

    /// One of its offers; `total` are its whole resources, of which most offers are.
    pub(crate) fn of_offer(&self, total: &Resources, offer: &Offer) -> usize {
        let resources = match offer.resources.is_same(total) {
            true => self.total,
            false => of_resources(&offer.resources),
        };
        let executors = offer.executors.iter().map(|executor| OF_A_WORD + executor.as_str().len());
        self.rest + resources + executors.sum::<usize>()
    }
}
