//! Frameworks as they introduce themselves by the v1 API.

use std::collections::BTreeMap;

use ::api::v1;
use ::api::v1::framework_info::capability::Type;

use super::constraints;
use crate::carried::{BadCarried, Carried};
use crate::framework::{Capability, FrameworkInfo};
use crate::ids::{BadId, BadRole, FrameworkId, Role};
use crate::quantities::Quantities;
use crate::resources::Milli;
use crate::wishes::RoleWishes;

/// Why a framework's description makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFramework {
    /// A role that may not be.
    #[error("FrameworkInfo has an invalid role: {0}")]
    Role(#[from] BadRole),
    /// An id that may not be.
    #[error("FrameworkInfo has an invalid id: {0}")]
    Id(#[from] BadId),
    /// The one role is not for those that can have several.
    #[error(
        "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable; use 'FrameworkInfo.roles'"
    )]
    OneRole,
    /// Several roles are only for those that can have them.
    #[error(
        "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable; use 'FrameworkInfo.role'"
    )]
    ManyRoles,
    /// No span of time.
    #[error("the framework failover_timeout of {0} is invalid")]
    FailoverTimeout(String),
    /// Constraints that say nothing that could be true or false.
    #[error("Offer constraints are not valid: {0}")]
    Constraint(&'static str),
    /// Something is said of a role that is none of its own.
    #[error("{what} name role '{role}', which is none of the framework's roles")]
    NotItsRole {
        /// What names it.
        what: &'static str,
        /// The role.
        role: String,
    },
}

/// The capabilities that are decided on; the others only travel.
const DECIDED: [(Type, Capability); 6] = [
    (Type::PartitionAware, Capability::PartitionAware),
    (Type::RevocableResources, Capability::RevocableResources),
    (Type::SharedResources, Capability::SharedResources),
    (Type::GpuResources, Capability::GpuResources),
    (Type::ReservationRefinement, Capability::ReservationRefinement),
    (Type::RegionAware, Capability::RegionAware),
];

impl FrameworkInfo {
    /// Of a v1 message, which is carried.
    #[expect(deprecated, reason = "the older form of roles is read")]
    pub fn from_v1(info: &v1::FrameworkInfo) -> Result<Self, BadFramework> {
        let has = |capability: Type| has(info, capability);
        let roles = match (has(Type::MultiRole), &info.role) {
            (true, Some(_)) => return Err(BadFramework::OneRole),
            (true, None) => info.roles.iter().map(|role| role.parse()).collect::<Result<_, _>>()?,
            (false, _) if !info.roles.is_empty() => return Err(BadFramework::ManyRoles),
            (false, role) => vec![role.as_deref().unwrap_or("*").parse()?],
        };
        let timeout = info.failover_timeout();
        let failover_timeout = super::seconds(timeout)
            .ok_or_else(|| BadFramework::FailoverTimeout(timeout.to_string()))?;
        let id = info.id.as_ref().filter(|id| !id.value.is_empty());
        let decided = DECIDED.iter().filter(|(theirs, _)| has(*theirs));
        Ok(Self {
            framework: match id {
                Some(id) => id.value.parse()?,
                None => FrameworkId::new(""),
            },
            name: info.name.clone(),
            user: info.user.clone(),
            roles,
            failover_timeout,
            hostname: info.hostname.clone().unwrap_or_default(),
            capabilities: decided.map(|(_, ours)| *ours).collect(),
            carried: Carried::new(info),
        })
    }

    /// As a v1 message: as it came, with what the cluster knows better.
    #[expect(deprecated, reason = "the older form of roles is written")]
    pub fn to_v1(&self) -> Result<v1::FrameworkInfo, BadCarried> {
        let mut info = self.carried.decode()?;
        let native = self.carried.as_bytes().is_empty();
        info.id = Some(v1::FrameworkId { value: self.framework.to_string() });
        info.name.clone_from(&self.name);
        info.user.clone_from(&self.user);
        info.failover_timeout = Some(self.failover_timeout.as_secs_f64());
        info.hostname = Some(self.hostname.clone()).filter(|name| !name.is_empty());
        if native {
            let all = DECIDED.iter().filter(|(_, ours)| self.capabilities.contains(ours));
            let all = all.map(|(theirs, _)| *theirs);
            let all = all.chain([Type::MultiRole, Type::TaskKillingState]);
            info.capabilities = all
                .map(|one| v1::framework_info::Capability { r#type: Some(one.into()) })
                .collect();
            info.checkpoint = Some(true);
        }
        match has(&info, Type::MultiRole) {
            true => info.roles = self.roles.iter().map(Role::to_string).collect(),
            false => info.role = self.roles.first().map(Role::to_string),
        }
        Ok(info)
    }

    /// Whether a framework of the v1 API can do this, of what only travels too.
    pub fn says(&self, capability: Type) -> bool {
        self.carried.decode().is_ok_and(|info| has(&info, capability))
    }
}

fn has(info: &v1::FrameworkInfo, capability: Type) -> bool {
    info.capabilities.iter().any(|one| one.r#type() == capability)
}

/// What is wished for each of a framework's roles: which of them want no offers, what an offer must be like, and what it must have
/// at least.
pub fn wishes_from_v1(
    framework: &FrameworkInfo,
    info: &v1::FrameworkInfo,
    suppressed: &[String],
    constraints: Option<&v1::scheduler::OfferConstraints>,
) -> Result<Vec<RoleWishes>, BadFramework> {
    let mut wishes: BTreeMap<&str, RoleWishes> =
        framework.roles.iter().map(|role| (role.as_str(), RoleWishes::of(role.clone()))).collect();
    let bad = |what, role: &str| BadFramework::NotItsRole { what, role: role.to_owned() };
    for role in suppressed {
        let wish = wishes.get_mut(role.as_str());
        wish.ok_or_else(|| bad("Suppressed roles", role))?.suppressed = true;
    }
    for (role, filters) in &info.offer_filters {
        let wish = wishes.get_mut(role.as_str()).ok_or_else(|| bad("Offer filters", role))?;
        let least = filters.min_allocatable_resources.as_ref();
        wish.allocatable = least.map(|least| {
            let of_one = |one: &v1::offer_filters::ResourceQuantities| {
                let amounts = one.quantities.iter();
                amounts.fold(Quantities::none(), |all, (name, amount)| {
                    all.with(name, Milli::from_f64(amount.value))
                })
            };
            least.quantities.iter().map(of_one).collect()
        });
    }
    for (role, groups) in constraints.into_iter().flat_map(|all| &all.role_constraints) {
        let wish = wishes.get_mut(role.as_str()).ok_or_else(|| bad("Offer constraints", role))?;
        wish.constraints = constraints::from_v1(groups)?;
    }
    Ok(wishes.into_values().collect())
}
