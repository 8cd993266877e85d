//! What a framework says of agents by the v1 API: offers come only of those that meet it.

use std::collections::BTreeMap;

use ::api::v1::scheduler as v1;
use ::api::v1::scheduler::attribute_constraint::selector::PseudoattributeType;
use ::api::v1::scheduler::attribute_constraint::{predicate, selector};
use ::api::v1::scheduler::offer_constraints::RoleConstraints;
use ::api::v1::scheduler::offer_constraints::role_constraints::Group;

use super::BadFramework;
use crate::ids::Role;
use crate::wishes::{AttributeConstraint, OfferConstraints, Predicate, Selector};

/// As it is said in a call; the other way round [`wishes_from_v1`](super::wishes_from_v1).
pub fn constraints_to_v1(roles: &BTreeMap<Role, OfferConstraints>) -> v1::OfferConstraints {
    let group = |group: &Vec<AttributeConstraint>| Group {
        attribute_constraints: group.iter().map(constraint_to_v1).collect(),
    };
    let of_role = |(role, all): (&Role, &OfferConstraints)| {
        let groups = all.groups.iter().map(group).collect();
        (role.to_string(), RoleConstraints { groups })
    };
    v1::OfferConstraints { role_constraints: roles.iter().map(of_role).collect() }
}

fn constraint_to_v1(one: &AttributeConstraint) -> v1::AttributeConstraint {
    use ::api::v1::scheduler::attribute_constraint::predicate::{
        Exists, NotExists, TextEquals, TextMatches, TextNotEquals, TextNotMatches,
    };
    use predicate::Predicate as Said;
    let pseudo = |which: PseudoattributeType| selector::Selector::PseudoattributeType(which.into());
    let of = match &one.selector {
        Selector::Attribute(name) => selector::Selector::AttributeName(name.clone()),
        Selector::Hostname => pseudo(PseudoattributeType::Hostname),
        Selector::Region => pseudo(PseudoattributeType::Region),
        Selector::Zone => pseudo(PseudoattributeType::Zone),
    };
    let value = |text: &String| text.clone();
    let said = match &one.predicate {
        Predicate::Exists => Said::Exists(Exists {}),
        Predicate::NotExists => Said::NotExists(NotExists {}),
        Predicate::TextEquals(text) => Said::TextEquals(TextEquals { value: value(text) }),
        Predicate::TextNotEquals(text) => Said::TextNotEquals(TextNotEquals { value: value(text) }),
        Predicate::TextMatches(text) => Said::TextMatches(TextMatches { regex: value(text) }),
        Predicate::TextNotMatches(text) => {
            Said::TextNotMatches(TextNotMatches { regex: value(text) })
        }
    };
    v1::AttributeConstraint {
        selector: v1::attribute_constraint::Selector { selector: Some(of) },
        predicate: v1::attribute_constraint::Predicate { predicate: Some(said) },
    }
}

/// The constraints of one role.
pub(super) fn from_v1(role: &RoleConstraints) -> Result<OfferConstraints, BadFramework> {
    let group = |group: &Group| {
        group.attribute_constraints.iter().map(constraint).collect::<Result<Vec<_>, _>>()
    };
    Ok(OfferConstraints { groups: role.groups.iter().map(group).collect::<Result<_, _>>()? })
}

fn constraint(one: &v1::AttributeConstraint) -> Result<AttributeConstraint, BadFramework> {
    let selector = match &one.selector.selector {
        None => {
            return Err(BadFramework::Constraint(
                "Exactly one of 'AttributeConstraint::Selector::name' and 'AttributeConstraint::Selector::pseudoattribute_type' must be set",
            ));
        }
        Some(selector::Selector::AttributeName(name)) => Selector::Attribute(name.clone()),
        Some(selector::Selector::PseudoattributeType(number)) => {
            match PseudoattributeType::try_from(*number) {
                Ok(PseudoattributeType::Hostname) => Selector::Hostname,
                Ok(PseudoattributeType::Region) => Selector::Region,
                Ok(PseudoattributeType::Zone) => Selector::Zone,
                Ok(PseudoattributeType::Unknown) | Err(_) => {
                    return Err(BadFramework::Constraint("Unknown pseudoattribute type"));
                }
            }
        }
    };
    let predicate = match &one.predicate.predicate {
        None => return Err(BadFramework::Constraint("Unknown predicate type")),
        Some(predicate::Predicate::Exists(_)) => Predicate::Exists,
        Some(predicate::Predicate::NotExists(_)) => Predicate::NotExists,
        Some(predicate::Predicate::TextEquals(text)) => Predicate::TextEquals(text.value.clone()),
        Some(predicate::Predicate::TextNotEquals(text)) => {
            Predicate::TextNotEquals(text.value.clone())
        }
        Some(predicate::Predicate::TextMatches(text)) => Predicate::TextMatches(text.regex.clone()),
        Some(predicate::Predicate::TextNotMatches(text)) => {
            Predicate::TextNotMatches(text.regex.clone())
        }
    };
    Ok(AttributeConstraint { selector, predicate })
}
