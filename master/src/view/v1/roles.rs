//! Roles, their weights and their quota.

use ::api::v1;
use ::api::v1::master::response::{GetRoles, GetWeights};
use ::api::v1::quota::{QuotaConfig, QuotaInfo, QuotaStatus};
use protocol::ids::{FrameworkId, Role};
use protocol::operator::RoleView;
use protocol::quantities::Quantities;
use protocol::quota::Quota;
use protocol::resources::Milli;

use super::super::View;

fn scalar(amount: Milli) -> v1::value::Scalar {
    v1::value::Scalar { value: amount.as_f64() }
}

fn resources(amounts: &Quantities) -> Vec<v1::Resource> {
    let one = |(name, amount): (&std::sync::Arc<str>, Milli)| v1::Resource {
        name: name.to_string(),
        r#type: v1::value::Type::Scalar.into(),
        scalar: Some(scalar(amount)),
        ..Default::default()
    };
    amounts.iter().map(one).collect()
}

impl View {
    /// `GET_ROLES`: of each role what is allocated and offered.
    pub(crate) fn get_roles(&self) -> GetRoles {
        let role = |role: RoleView| {
            let mut held = role.allocated.clone();
            held.add(&role.offered);
            v1::Role {
                name: role.role.to_string(),
                weight: role.weight.as_f64(),
                frameworks: role.frameworks.iter().map(FrameworkId::to_v1).collect(),
                resources: resources(&held),
            }
        };
        GetRoles { roles: self.all_roles().into_iter().map(role).collect() }
    }

    /// `GET_WEIGHTS`: those that were set.
    pub(crate) fn get_weights(&self) -> GetWeights {
        let weights = self.shares.weights.iter();
        let info = |(role, weight): (&Role, &protocol::quota::Weight)| v1::WeightInfo {
            role: Some(role.to_string()),
            weight: weight.as_f64(),
        };
        GetWeights { weight_infos: weights.map(info).collect() }
    }

    /// `GET_QUOTA`, in both forms.
    #[expect(deprecated, reason = "the older form is written")]
    pub(crate) fn quota_status(&self) -> QuotaStatus {
        let quotas = || self.shares.quotas.iter();
        let info = |(role, quota): (&Role, &Quota)| QuotaInfo {
            role: Some(role.to_string()),
            principal: None,
            guarantee: resources(&quota.guarantees),
        };
        let infos = quotas().filter(|(_, quota)| !quota.guarantees.is_empty()).map(info).collect();
        QuotaStatus {
            infos,
            configs: quotas().map(|(role, quota)| config_to_v1(role, quota)).collect(),
        }
    }
}

/// What a role is guaranteed and may have at most.
pub(crate) fn config_to_v1(role: &Role, quota: &Quota) -> QuotaConfig {
    QuotaConfig {
        role: role.to_string(),
        guarantees: quota.guarantees.iter().map(|(n, a)| (n.to_string(), scalar(a))).collect(),
        limits: quota.limits.iter().map(|(n, a)| (n.to_string(), scalar(a))).collect(),
    }
}
