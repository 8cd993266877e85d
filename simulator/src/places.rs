//! What simulated schedulers say of the agents that they want, and whether that holds of one: judged here by its words alone, to
//! compare with what is offered.

use protocol::offer::Constraint;
use protocol::quantities::Quantities;
use protocol::resources::{Attribute, Milli};
use protocol::wishes::{AttributeConstraint, FaultDomain, OfferConstraints, Predicate, Selector};

use crate::chance::Chance;
use crate::machines::{FIRST_RACK, RACK, RACKS};

/// An agent, as far as that matters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) hostname: &'a str,
    pub(crate) attributes: &'a [Attribute],
    pub(crate) domain: Option<&'a FaultDomain>,
}

/// What a framework wishes for one of its roles, beside how much. It holds of the agents of the first rack that are near and say of
/// no region, and it leaves enough for every task.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoleWish {
    pub(crate) constraints: OfferConstraints,
    pub(crate) least: Option<Vec<Quantities>>,
}

impl Place<'_> {
    fn said(&self, selector: &Selector) -> Option<&str> {
        match selector {
            Selector::Attribute(name) => {
                let named = self.attributes.iter().find(|attribute| attribute.name == *name);
                named.map(|attribute| attribute.value.as_str())
            }
            Selector::Hostname => Some(self.hostname),
            Selector::Region => self.domain.map(|domain| domain.region.as_str()),
            Selector::Zone => self.domain.map(|domain| domain.zone.as_str()),
        }
    }

    fn meets(&self, constraint: &AttributeConstraint) -> bool {
        let said = self.said(&constraint.selector);
        match &constraint.predicate {
            Predicate::Exists => said.is_some(),
            Predicate::NotExists => said.is_none(),
            Predicate::TextEquals(wanted) => said == Some(wanted),
            Predicate::TextNotEquals(unwanted) => said != Some(unwanted),
            // No simulated scheduler states any.
            Predicate::TextMatches(_) | Predicate::TextNotMatches(_) => true,
        }
    }

    /// Whether all constraints of one group hold, if there are groups.
    pub(crate) fn is_for(&self, constraints: &OfferConstraints) -> bool {
        let groups = &constraints.groups;
        let holds = |group: &Vec<AttributeConstraint>| group.iter().all(|one| self.meets(one));
        groups.is_empty() || groups.iter().any(holds)
    }

    /// Whether a demand's constraints hold, as far as they are about places.
    pub(crate) fn will_do(&self, constraints: &[Constraint]) -> bool {
        let selector = |name: &String| match name.as_str() {
            "hostname" => Selector::Hostname,
            _ => Selector::Attribute(name.clone()),
        };
        constraints.iter().all(|constraint| match constraint {
            Constraint::Is { attribute, value } => self.said(&selector(attribute)) == Some(value),
            Constraint::IsNot { attribute, value } => {
                self.said(&selector(attribute)) != Some(value)
            }
            Constraint::Ports { .. } => true,
            Constraint::Attribute(constraint) => self.meets(constraint),
        })
    }
}

fn rack(predicate: Predicate) -> AttributeConstraint {
    AttributeConstraint { selector: Selector::Attribute(RACK.to_owned()), predicate }
}

/// Of about one demand in ten something.
pub(crate) fn demanded(chance: &mut Chance) -> Vec<Constraint> {
    if !chance.in_thousand(100) {
        return Vec::new();
    }
    let (attribute, first) = (RACK.to_owned(), FIRST_RACK.to_owned());
    vec![match chance.below(5) {
        0 => Constraint::Is { attribute, value: first },
        1 => Constraint::IsNot { attribute, value: RACKS[2].to_owned() },
        2 => Constraint::Attribute(rack(Predicate::TextEquals(first))),
        3 => Constraint::IsNot { attribute: "hostname".to_owned(), value: "host-2".to_owned() },
        _ => Constraint::Ports { each: 2 },
    }]
}

impl RoleWish {
    /// Of about one role in four. Who states its demand has to be content with the least of that.
    pub(crate) fn by(chance: &mut Chance, states_demand: bool) -> Self {
        let mut wish = Self::default();
        if chance.in_thousand(250) {
            let first = || FIRST_RACK.to_owned();
            let elsewhere = AttributeConstraint {
                selector: Selector::Zone,
                predicate: Predicate::TextEquals("zone-2".to_owned()),
            };
            wish.constraints.groups = match chance.below(5) {
                0 => vec![vec![rack(Predicate::TextEquals(first()))]],
                1 => vec![vec![
                    rack(Predicate::Exists),
                    rack(Predicate::TextNotEquals(RACKS[1].to_owned())),
                ]],
                2 => vec![vec![elsewhere], vec![rack(Predicate::TextEquals(first()))]],
                3 => vec![vec![AttributeConstraint {
                    selector: Selector::Region,
                    predicate: Predicate::NotExists,
                }]],
                _ => vec![
                    vec![rack(Predicate::NotExists)],
                    vec![rack(Predicate::TextNotEquals(RACKS[2].to_owned()))],
                ],
            };
        }
        if chance.in_thousand(250) {
            let least = |cpus, mem| {
                Quantities::none().with("cpus", Milli(cpus)).with("mem", Milli::whole(mem))
            };
            wish.least = Some(match chance.below(3) {
                0 => Vec::new(),
                1 => vec![least(100, 64)],
                _ if states_demand => {
                    vec![Quantities::none().with("tapes", Milli(1)), least(100, 32)]
                }
                _ => vec![least(1_600, 96), least(400, 640)],
            });
        }
        wish
    }
}
