//! `/roles` and `/weights`.

use protocol::ids::FrameworkId;
use protocol::legacy::{Amounts, AtMost, Each, Written, written};
use protocol::operator::RoleView;
use protocol::quantities::Quantities;
use protocol::quota::Weight;
use serde::Serialize;

use super::super::View;

#[derive(Serialize)]
struct RoleJson<'v, F: Serialize> {
    name: &'v str,
    weight: f64,
    quota: QuotaJson<'v>,
    resources: AmountsOwned,
    allocated: Amounts<'v>,
    offered: Amounts<'v>,
    reserved: Amounts<'v>,
    frameworks: F,
}

#[derive(Serialize)]
struct QuotaJson<'v> {
    role: &'v str,
    guarantee: Amounts<'v>,
    limit: AtMost<'v>,
    consumed: Amounts<'v>,
}

struct AmountsOwned(Quantities);

impl Serialize for AmountsOwned {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Amounts(&self.0).serialize(serializer)
    }
}

fn role(role: &RoleView) -> impl Serialize + '_ {
    let mut held = role.allocated.clone();
    held.add(&role.offered);
    RoleJson {
        name: role.role.as_str(),
        weight: role.weight.as_f64(),
        quota: QuotaJson {
            role: role.role.as_str(),
            guarantee: Amounts(&role.quota.guarantees),
            limit: AtMost(&role.quota.limits),
            consumed: Amounts(&role.consumed),
        },
        resources: AmountsOwned(held),
        allocated: Amounts(&role.allocated),
        offered: Amounts(&role.offered),
        reserved: Amounts(&role.reserved),
        frameworks: Each(|| role.frameworks.iter().map(FrameworkId::as_str)),
    }
}

impl View {
    /// `/roles`.
    pub(crate) fn roles_page(&self) -> Written {
        #[derive(Serialize)]
        struct Roles<R: Serialize> {
            roles: R,
        }
        let all = self.all_roles();
        written(&Roles { roles: Each(|| all.iter().map(role)) })
    }

    /// `/weights`: those that were set.
    pub(crate) fn weights_page(&self) -> Written {
        #[derive(Serialize)]
        struct WeightJson<'v> {
            role: &'v str,
            weight: f64,
        }
        let weight = |(role, weight): (&'_ protocol::ids::Role, &Weight)| (role.clone(), *weight);
        let all: Vec<_> = self.shares.weights.iter().map(weight).collect();
        written(&Each(|| {
            let one = |(role, weight)| WeightJson { role, weight };
            all.iter().map(|(role, weight)| (role.as_str(), weight.as_f64())).map(one)
        }))
    }
}
