//! What may be said of roles. Every refusal is a variant of [`Refused`] and says what to do.

use std::collections::BTreeMap;

use protocol::ids::{BadRole, Role};
use protocol::operator::{Before, Refusal, RefusalKind};
use protocol::quantities::{Limits, Quantities};
use protocol::quota::{BadWeight, Quota, Shares, Weight};
use protocol::resources::Milli;

use super::sums::Sums;
use crate::config::Config;
use crate::logic::authorize::Unauthorized;

/// The most of any resource, as in Mesos.
const AMOUNT_MAX: Milli = Milli::whole(1_000_000_000_000);

/// The most megabytes of memory or disk, as in Mesos: an exabyte.
const MEGABYTES_MAX: Milli = Milli::whole(1 << 40);

/// Bytes of a resource's name.
const NAME_BYTES_MAX: usize = 128;

/// Settings that may wait for the registry; who asks more often than it can be written may ask again.
const WAITING_MAX: usize = 64;

/// About so many bytes are written at once, all or none of them: a batch of the registry, with room to spare.
const WRITE_BYTES_MAX: usize = 448 << 10;

/// What each record costs beside its key and its amounts, and each amount beside its name; no less than it may be.
const RECORD_BYTES: usize = 160;
const AMOUNT_BYTES: usize = 20;

/// Something that may not be said of roles.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Refused {
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    #[error("no role is named")]
    Nobody,
    #[error(
        "{has} roles are named, and {max} at most can be at once: name some of them in another call"
    )]
    TooManyAtOnce { has: usize, max: usize },
    #[error(
        "what is said of these roles is too long to be written at once: name some of them in another call"
    )]
    TooLong,
    #[error("many settings wait to be written: try again in a moment")]
    Busy,
    #[error("{has} roles would have {what}, and {max} at most can: end that of others first")]
    TooMany { what: &'static str, has: usize, max: usize },
    #[error(transparent)]
    Role(#[from] BadRole),
    #[error("role {0} is named twice")]
    Twice(Role),
    #[error("role '*' cannot have a quota: it is everybody's who names no other role")]
    Everybody,
    #[error(
        "role '{role}' cannot have a quota of its own: set that of '{top}', which holds for all roles below it together"
    )]
    Nested { role: Role, top: Role },
    #[error("the quota of {role} has {has} amounts of one kind, and {max} at most are kept")]
    TooManyAmounts { role: Role, has: usize, max: usize },
    #[error(
        "the quota of {0} names a resource with no name, a name of more than {NAME_BYTES_MAX} bytes, or with white space, ':' or ';' in it"
    )]
    Name(Role),
    #[error("the {kind} of {role} of {name} is {amount}, and must be from 0 to {max}")]
    Amount { role: Role, kind: &'static str, name: String, amount: Milli, max: Milli },
    #[error(
        "the guarantee of {role}, {name}:{guarantee}, is above its limit, {name}:{limit}: guarantee less or limit it less"
    )]
    AboveLimit { role: Role, name: String, guarantee: Milli, limit: Milli },
    #[error(
        "all guarantees together would be {name}:{guaranteed}, and the cluster has {name}:{has}: guarantee less, add agents, or force it"
    )]
    MoreThanCluster { name: String, guaranteed: Milli, has: Milli },
    #[error(
        "{role} has {name}:{consumed} in use or reserved, above the limit {name}:{limit}: end some of its tasks, limit it less, or force it"
    )]
    BelowUse { role: Role, name: String, consumed: Milli, limit: Milli },
    #[error("role {role}: {bad}")]
    Weight { role: Role, bad: BadWeight },
    #[error("Cannot set quota for role '{0}' which already has quota")]
    HasQuota(Role),
    #[error("Role '{0}' has no quota set")]
    HasNoQuota(Role),
}

impl Refused {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::Unauthorized(_) => RefusalKind::Unauthorized,
            Self::Busy => RefusalKind::Busy,
            Self::MoreThanCluster { .. } | Self::BelowUse { .. } => RefusalKind::Conflict,
            Self::HasNoQuota(_) => RefusalKind::NotFound,
            Self::Nobody | Self::TooManyAtOnce { .. } | Self::TooLong | Self::TooMany { .. } => {
                RefusalKind::Invalid
            }
            Self::Role(_) | Self::Twice(_) | Self::Everybody | Self::Nested { .. } => {
                RefusalKind::Invalid
            }
            Self::TooManyAmounts { .. } | Self::Name(_) | Self::Amount { .. } => {
                RefusalKind::Invalid
            }
            Self::AboveLimit { .. } | Self::Weight { .. } | Self::HasQuota(_) => {
                RefusalKind::Invalid
            }
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self { kind: refused.kind(), why: refused.to_string() }
    }
}

/// Whether these roles have what they must have, by what is written and what is under way.
pub(super) fn before<'r>(
    before: Before,
    mut roles: impl Iterator<Item = &'r Role>,
    wanted: &Shares,
) -> Result<(), Refused> {
    let wrong = match before {
        Before::Anything => None,
        Before::NoQuota => {
            roles.find(|role| wanted.quotas.contains_key(role)).cloned().map(Refused::HasQuota)
        }
        Before::Quota => {
            roles.find(|role| !wanted.quotas.contains_key(role)).cloned().map(Refused::HasNoQuota)
        }
    };
    wrong.map_or(Ok(()), Err)
}

/// Whether one more setting of so many roles may be looked at.
pub(super) fn room(waiting: usize, has: usize, config: &Config) -> Result<(), Refused> {
    let max = config.roles_per_call_max;
    match has {
        0 => Err(Refused::Nobody),
        _ if has > max => Err(Refused::TooManyAtOnce { has, max }),
        _ if waiting >= WAITING_MAX => Err(Refused::Busy),
        _ => Ok(()),
    }
}

/// Whether so many roles may have it.
pub(super) fn count(what: &'static str, has: usize, config: &Config) -> Result<(), Refused> {
    let max = config.shares_max;
    if has > max { Err(Refused::TooMany { what, has, max }) } else { Ok(()) }
}

/// Quota that is sound in itself, amounts of zero left out of guarantees.
pub(super) fn quotas(
    list: Vec<(Role, Quota)>,
    config: &Config,
) -> Result<BTreeMap<Role, Quota>, Refused> {
    let mut all = BTreeMap::new();
    let mut bytes = 0;
    for (role, quota) in list {
        let role = sound(&role)?;
        top_level(&role)?;
        let quota = sound_quota(&role, &quota, config)?;
        let names = quota.guarantees.iter().chain(quota.limits.iter()).map(|(name, _)| name);
        bytes += bytes_of(&role, names.map(|name| name.len()));
        if all.insert(role.clone(), quota).is_some() {
            return Err(Refused::Twice(role));
        }
    }
    if bytes > WRITE_BYTES_MAX { Err(Refused::TooLong) } else { Ok(all) }
}

/// Weights that are sound.
pub(super) fn weights(list: Vec<(Role, f64)>) -> Result<BTreeMap<Role, Weight>, Refused> {
    let mut all = BTreeMap::new();
    for (role, number) in list {
        let role = sound(&role)?;
        let weight =
            Weight::try_from(number).map_err(|bad| Refused::Weight { role: role.clone(), bad })?;
        if all.insert(role.clone(), weight).is_some() {
            return Err(Refused::Twice(role));
        }
    }
    if fit_one_write(all.keys()) { Ok(all) } else { Err(Refused::TooLong) }
}

/// Whether the weights of these roles can be written at once.
pub(crate) fn fit_one_write<'a>(roles: impl Iterator<Item = &'a Role>) -> bool {
    let bytes: usize = roles.map(|role| bytes_of(role, std::iter::empty())).sum();
    bytes <= WRITE_BYTES_MAX
}

/// No less than the record takes. Keys may need three bytes for each.
fn bytes_of(role: &Role, names: impl Iterator<Item = usize>) -> usize {
    let amounts: usize = names.map(|name| AMOUNT_BYTES + name).sum();
    RECORD_BYTES + 3 * role.as_str().len() + amounts
}

/// All guarantees together may not promise more than there is. What these roles are not guaranteed is not their fault.
pub(super) fn capacity(
    wanted: &Shares,
    named: &BTreeMap<Role, Quota>,
    has: &Quantities,
) -> Result<(), Refused> {
    let mut all = Quantities::none();
    wanted.quotas.values().for_each(|quota| all.add(&quota.guarantees));
    let promised = |name: &str| named.values().any(|quota| quota.guarantees.amount(name).0 > 0);
    let over = all.iter().find(|(name, amount)| *amount > has.amount(name) && promised(name));
    match over {
        Some((name, guaranteed)) => {
            let (has, name) = (has.amount(name), name.to_string());
            Err(Refused::MoreThanCluster { name, guaranteed, has })
        }
        None => Ok(()),
    }
}

/// What is in use already cannot be taken away by a limit.
pub(super) fn limits(named: &BTreeMap<Role, Quota>, sums: &Sums) -> Result<(), Refused> {
    for (role, quota) in named {
        let consumed = sums.get(role).map(super::sums::Held::consumed).unwrap_or_default();
        let over = quota.limits.iter().find(|(name, limit)| consumed.amount(name) > *limit);
        if let Some((name, limit)) = over {
            let (role, consumed) = (role.clone(), consumed.amount(name));
            return Err(Refused::BelowUse { role, name: name.to_string(), consumed, limit });
        }
    }
    Ok(())
}

/// What came as a message was not checked yet.
fn sound(role: &Role) -> Result<Role, BadRole> {
    role.as_str().parse()
}

fn top_level(role: &Role) -> Result<(), Refused> {
    if *role == Role::everybody() {
        return Err(Refused::Everybody);
    }
    match role.and_above().last().filter(|top| top != role) {
        Some(top) => Err(Refused::Nested { role: role.clone(), top }),
        None => Ok(()),
    }
}

fn sound_quota(role: &Role, quota: &Quota, config: &Config) -> Result<Quota, Refused> {
    let max = config.quantities_max;
    let has = quota.guarantees.iter().count().max(quota.limits.iter().count());
    if has > max {
        return Err(Refused::TooManyAmounts { role: role.clone(), has, max });
    }
    let mut sound = Quota::default();
    for (name, amount) in quota.guarantees.iter() {
        sound_amount(role, "guarantee", name, amount)?;
        sound.guarantees.add_one(name, amount);
    }
    for (name, limit) in quota.limits.iter() {
        sound_amount(role, "limit", name, limit)?;
        sound.limits = std::mem::replace(&mut sound.limits, Limits::none()).with(name, limit);
        let guarantee = sound.guarantees.amount(name);
        if guarantee > limit {
            let (role, name) = (role.clone(), name.to_string());
            return Err(Refused::AboveLimit { role, name, guarantee, limit });
        }
    }
    Ok(sound)
}

fn sound_amount(role: &Role, kind: &'static str, name: &str, amount: Milli) -> Result<(), Refused> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == ':' || c == ';';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(bad) {
        return Err(Refused::Name(role.clone()));
    }
    let max = if name == "mem" || name == "disk" { MEGABYTES_MAX } else { AMOUNT_MAX };
    if amount < Milli(0) || amount > max {
        let (role, name) = (role.clone(), name.to_owned());
        return Err(Refused::Amount { role, kind, name, amount, max });
    }
    Ok(())
}
