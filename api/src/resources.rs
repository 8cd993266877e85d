//! The three forms in which resources are written, and one made into another.
//!
//! | form | where | how it says for whom a resource is reserved |
//! |---|---|---|
//! | stack | inside, and to frameworks that can refine reservations | `reservations` |
//! | older | to all other frameworks | `role` (`*` when nobody's) and `reservation` |
//! | endpoint | to operators | both, unless a reservation is refined: then only `reservations` |
//!
//! Whatever comes in may have any form: [`upgrade`] makes it a stack at the door. What resources add up
//! to is no matter of messages: see `protocol`.

mod check;
mod roles;

use std::borrow::Cow;

pub use check::{BadResource, check_reservations, validate};
pub use roles::{BadRole, check_role, is_strictly_below};

use crate::v1::Resource;
use crate::v1::resource::reservation_info::Type;
use crate::v1::resource::{AllocationInfo, ReservationInfo};

/// A reservation within another cannot be said in the older form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' has a refined reservation, which only the form with `reservations` can say")]
pub struct Refined(
    /// The name of the resource.
    pub String,
);

/// Checks a resource in any form and makes it a stack.
///
/// # Errors
///
/// If it breaks a rule of [`validate`]; it is as it was then.
pub fn upgrade(resource: &mut Resource) -> Result<(), BadResource> {
    validate(resource)?;
    resource.reservations = stack_of(resource).into_owned();
    set_older(resource, None, None);
    Ok(())
}

/// Checks all and makes each a stack.
///
/// # Errors
///
/// If one of them breaks a rule of [`validate`]; all are as they were then.
pub fn upgrade_all(resources: &mut [Resource]) -> Result<(), BadResource> {
    resources.iter().try_for_each(validate)?;
    resources.iter_mut().try_for_each(upgrade)
}

/// The stack of a resource in any form, whose reservations are valid.
pub fn stack_of(resource: &Resource) -> Cow<'_, [ReservationInfo]> {
    let role = role_of(resource);
    if !resource.reservations.is_empty() || role == roles::EVERYBODY {
        return Cow::Borrowed(&resource.reservations);
    }
    let older = resource.reservation.as_ref();
    let made = if older.is_some() { Type::Dynamic } else { Type::Static };
    Cow::Owned(vec![ReservationInfo {
        r#type: Some(made.into()),
        role: Some(role.to_owned()),
        ..older.cloned().unwrap_or_default()
    }])
}

/// Makes the stack of a resource the older form.
///
/// # Errors
///
/// If it has a reservation within another; it is as it was then.
pub fn downgrade(resource: &mut Resource) -> Result<(), Refined> {
    if resource.reservations.len() > 1 {
        return Err(Refined(resource.name.clone()));
    }
    to_endpoint(resource);
    resource.reservations.clear();
    Ok(())
}

/// Makes the stack of each the older form.
///
/// # Errors
///
/// If one of them has a reservation within another; all are as they were then.
pub fn downgrade_all(resources: &mut [Resource]) -> Result<(), Refined> {
    if let Some(refined) = resources.iter().find(|resource| resource.reservations.len() > 1) {
        return Err(Refined(refined.name.clone()));
    }
    resources.iter_mut().try_for_each(downgrade)
}

/// Adds the older form to the stack of a resource, if that can say it.
pub fn to_endpoint(resource: &mut Resource) {
    let [only] = &resource.reservations[..] else {
        if resource.reservations.is_empty() && role_is_unset(resource) {
            set_older(resource, Some(roles::EVERYBODY.to_owned()), None);
        }
        return;
    };
    let older = (only.r#type() == Type::Dynamic).then(|| ReservationInfo {
        principal: only.principal.clone(),
        labels: only.labels.clone(),
        ..ReservationInfo::default()
    });
    let role = only.role().to_owned();
    set_older(resource, Some(role), older);
}

/// Says of each that it is used or offered under a role; whatever it said before is lost.
pub fn allocate(resources: &mut [Resource], role: &str) {
    for resource in resources {
        resource.allocation_info = Some(AllocationInfo { role: Some(role.to_owned()) });
    }
}

/// Says of each that does not say so yet that it is used or offered under a role.
pub fn allocate_rest(resources: &mut [Resource], role: &str) {
    for resource in resources {
        let info = resource.allocation_info.get_or_insert_default();
        info.role.get_or_insert_with(|| role.to_owned());
    }
}

/// Leaves out under which role each is used or offered.
pub fn unallocate(resources: &mut [Resource]) {
    for resource in resources {
        resource.allocation_info = None;
    }
}

#[expect(deprecated, reason = "the older form is written")]
fn set_older(resource: &mut Resource, role: Option<String>, reservation: Option<ReservationInfo>) {
    resource.role = role;
    resource.reservation = reservation;
}

#[expect(deprecated, reason = "the older form is read")]
fn role_is_unset(resource: &Resource) -> bool {
    resource.role.is_none()
}

/// The older form's role; everybody's, if it is not set.
fn role_of(resource: &Resource) -> &str {
    resource.role()
}

#[cfg(test)]
mod tests;
