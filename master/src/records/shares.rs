//! What operators say of roles, as records: `quota/<role>` and `weight/<role>`. A role that was given none has none. The `/` of
//! roles stand in keys as they are; each store sees to how it names its records.

use coordination::store::Change;
use prost::Message;
use protocol::ids::Role;
use protocol::quantities::{Limits, Quantities};
use protocol::quota::{Quota, Shares, Weight};
use protocol::resources::Milli;

use super::{BadRegistry, QUOTA, WEIGHT, put};

#[derive(Clone, PartialEq, Message)]
pub(super) struct QuotaRecord {
    #[prost(message, repeated, tag = "1")]
    guarantees: Vec<AmountRecord>,
    #[prost(message, repeated, tag = "2")]
    limits: Vec<AmountRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct AmountRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "2")]
    thousandths: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WeightRecord {
    #[prost(double, tag = "1")]
    weight: f64,
}

pub(super) fn quota_change(shares: &Shares, role: &Role) -> Change {
    let key = format!("{QUOTA}{role}");
    let amount = |(name, Milli(amount)): (&_, _)| AmountRecord {
        name: String::from(name),
        thousandths: amount,
    };
    match shares.quotas.get(role) {
        Some(quota) => {
            let guarantees = quota.guarantees.iter().map(|(n, m)| amount((&**n, m))).collect();
            let limits = quota.limits.iter().map(|(n, m)| amount((&**n, m))).collect();
            put(key, &QuotaRecord { guarantees, limits })
        }
        None => Change::Delete { key },
    }
}

pub(super) fn weight_change(shares: &Shares, role: &Role) -> Change {
    let key = format!("{WEIGHT}{role}");
    match shares.weights.get(role) {
        Some(weight) => put(key, &WeightRecord { weight: weight.as_f64() }),
        None => Change::Delete { key },
    }
}

pub(super) fn role(text: &str, key: &str) -> Result<Role, BadRegistry> {
    text.parse().map_err(|bad: protocol::ids::BadRole| meaning(key, bad.to_string()))
}

pub(super) fn quota(record: QuotaRecord, key: &str) -> Result<Quota, BadRegistry> {
    let below_zero = record.guarantees.iter().chain(&record.limits).find(|one| one.thousandths < 0);
    if let Some(one) = below_zero {
        return Err(meaning(key, format!("{} below zero", one.name)));
    }
    let guarantees = record
        .guarantees
        .iter()
        .fold(Quantities::none(), |all, one| all.with(&one.name, Milli(one.thousandths)));
    let limits = record
        .limits
        .iter()
        .fold(Limits::none(), |all, one| all.with(&one.name, Milli(one.thousandths)));
    Ok(Quota { guarantees, limits })
}

pub(super) fn weight(record: WeightRecord, key: &str) -> Result<Weight, BadRegistry> {
    Weight::try_from(record.weight).map_err(|bad| meaning(key, bad.to_string()))
}

fn meaning(key: &str, what: String) -> BadRegistry {
    BadRegistry::Meaning { key: key.to_owned(), what }
}
