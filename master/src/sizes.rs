//! About how many bytes things have in a message. What may be much is told in parts, each of which fits into one.

use protocol::offer::Offer;
use protocol::resources::{Attribute, Resources, Value};

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

pub(crate) fn of_offer(offer: &Offer) -> usize {
    let executors = offer.executors.iter().map(|executor| OF_A_WORD + executor.as_str().len());
    let at = offer.at.hostname.len() + offer.at.listens.len();
    OF_THE_REST
        + at
        + of_resources(&offer.resources)
        + of_attributes(&offer.attributes)
        + executors.sum::<usize>()
}
