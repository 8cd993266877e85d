//! Which agents are worth an offer: what schedulers say of attributes, made ready to be asked of agent after agent. A demand's
//! own constraints are asked in the same way.

mod condition;
mod pattern;

use protocol::offer::Constraint;
use protocol::resources::Attribute;
use protocol::wishes::{AttributeConstraint, FaultDomain, OfferConstraints, Predicate, Selector};
use serde::{Deserialize, Serialize};

use condition::Condition;

/// How much one list of constraints may be. Two are named as Mesos's flags are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Alternatives for one role.
    pub groups_max: usize,
    /// Constraints of one group.
    pub per_group_max: usize,
    /// Constraints of all groups together.
    pub constraints_max: usize,
    /// Regular expressions among them.
    pub regexes_max: usize,
    /// Bytes of a name, a text or a regular expression.
    pub text_bytes_max: usize,
    /// The memory that RE2 would need for one regular expression, in bytes.
    pub offer_constraints_re2_max_mem: usize,
    /// The instructions that RE2 would make of one.
    pub offer_constraints_re2_max_program_size: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            groups_max: 128,
            per_group_max: 256,
            constraints_max: 1024,
            regexes_max: 128,
            text_bytes_max: 1024,
            offer_constraints_re2_max_mem: 4096,
            offer_constraints_re2_max_program_size: 100,
        }
    }
}

impl Bounds {
    /// For what was found to be within bounds before.
    const fn none() -> Self {
        Self {
            groups_max: usize::MAX,
            per_group_max: usize::MAX,
            constraints_max: usize::MAX,
            regexes_max: usize::MAX,
            text_bytes_max: usize::MAX,
            offer_constraints_re2_max_mem: usize::MAX,
            offer_constraints_re2_max_program_size: usize::MAX,
        }
    }
}

/// Why constraints cannot be gone by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConstraints {
    /// More than are looked at for every agent.
    #[error(
        "{what} has {has}, more than {max}; say the same with fewer, by a regular expression for instance"
    )]
    TooMany {
        /// Of what.
        what: &'static str,
        /// So many.
        has: usize,
        /// The limit.
        max: usize,
    },
    /// It would hold everywhere, which is not likely to be meant.
    #[error("group {0} of the offer constraints is empty; leave it out, or say what must hold")]
    EmptyGroup(usize),
    /// Of no attribute.
    #[error("a constraint names no attribute")]
    NoName,
    /// A name, a text or a regular expression.
    #[error("{what} of a constraint has {bytes} bytes, more than {max}")]
    TooLong {
        /// What.
        what: &'static str,
        /// So long.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Nothing that matches anything.
    #[error("the constraint's regular expression '{regex}' cannot be used: {why}")]
    Regex {
        /// As it was written.
        regex: String,
        /// In words.
        why: String,
    },
    /// It would take too much room or time.
    #[error(
        "the constraint's regular expression '{regex}' is too complex; make it shorter, or raise the master's \
         --offer_constraints_re2_max_program_size and --offer_constraints_re2_max_mem"
    )]
    TooComplex {
        /// As it was written.
        regex: String,
    },
}

/// All of an agent that constraints can be about.
#[derive(Clone, Copy, Debug)]
pub struct Whereabouts<'a> {
    /// The name of its machine.
    pub hostname: &'a str,
    /// What its operator says of it.
    pub attributes: &'a [Attribute],
    /// Where the machine is, if that is said.
    pub domain: Option<&'a FaultDomain>,
}

/// Constraints, ready to use. They travel and are kept as they were written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Source", into = "Source")]
pub struct Constraints {
    source: Source,
    /// Alternatives; none: every agent will do.
    groups: Vec<Vec<Condition>>,
}

/// As they were written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Source {
    Offers(OfferConstraints),
    Demand(Vec<Constraint>),
}

impl Constraints {
    /// None: they hold everywhere.
    pub const fn none() -> Self {
        Self { source: Source::Demand(Vec::new()), groups: Vec::new() }
    }

    /// Instead of some that cannot be gone by: they hold nowhere.
    pub fn nowhere() -> Self {
        let never =
            AttributeConstraint { selector: Selector::Hostname, predicate: Predicate::NotExists };
        let source = Source::Offers(OfferConstraints { groups: vec![vec![never]] });
        Self { source, groups: vec![vec![Condition::never()]] }
    }

    /// Whether every agent will do.
    pub fn are_none(&self) -> bool {
        self.groups.is_empty()
    }

    /// Those of a role, which the master has found good before.
    pub fn compile(source: &OfferConstraints) -> Result<Self, BadConstraints> {
        Self::compile_within(source, &Bounds::none())
    }

    /// Those of a role, if they are no more than they may be.
    pub fn compile_within(
        source: &OfferConstraints,
        bounds: &Bounds,
    ) -> Result<Self, BadConstraints> {
        at_most("the list of groups of offer constraints", source.groups.len(), bounds.groups_max)?;
        let mut all = 0;
        let mut groups = Vec::with_capacity(source.groups.len());
        for (n, group) in source.groups.iter().enumerate() {
            if group.is_empty() {
                return Err(BadConstraints::EmptyGroup(n + 1));
            }
            at_most("a group of offer constraints", group.len(), bounds.per_group_max)?;
            all += group.len();
            at_most("the offer constraints of a role together", all, bounds.constraints_max)?;
            let conditions = group.iter().map(|one| Condition::of_attribute(one, bounds));
            groups.push(conditions.collect::<Result<Vec<_>, _>>()?);
        }
        let regexes = groups.iter().flatten().filter(|one| one.has_pattern()).count();
        at_most("the list of regular expressions", regexes, bounds.regexes_max)?;
        Ok(Self { source: Source::Offers(source.clone()), groups })
    }

    /// Those of a demand, which the master has found good before. [`Constraint::Ports`] is not about a place, but about what
    /// is free there: see [`ports_each`].
    pub fn compile_demand(source: &[Constraint]) -> Result<Self, BadConstraints> {
        Self::compile_demand_within(source, &Bounds::none())
    }

    /// Those of a demand, if they are no more than they may be.
    pub fn compile_demand_within(
        source: &[Constraint],
        bounds: &Bounds,
    ) -> Result<Self, BadConstraints> {
        at_most("a demand's list of constraints", source.len(), bounds.per_group_max)?;
        let conditions =
            source.iter().filter_map(|one| Condition::of_demand(one, bounds).transpose());
        let conditions = conditions.collect::<Result<Vec<_>, _>>()?;
        let regexes = conditions.iter().filter(|one| one.has_pattern()).count();
        at_most("the list of regular expressions", regexes, bounds.regexes_max)?;
        let groups = if conditions.is_empty() { Vec::new() } else { vec![conditions] };
        Ok(Self { source: Source::Demand(source.to_vec()), groups })
    }

    /// Whether an agent will do.
    pub fn holds(&self, place: &Whereabouts) -> bool {
        let all = |group: &Vec<Condition>| group.iter().all(|one| one.holds(place));
        self.groups.is_empty() || self.groups.iter().any(all)
    }

    /// All that must hold, in words; nothing, if there are none.
    pub fn named(&self) -> String {
        match &self.source {
            Source::Offers(offers) => {
                let groups = offers.groups.iter().map(|group| in_words(group.iter()));
                groups.collect::<Vec<_>>().join(", or ")
            }
            // Ports are no place.
            Source::Demand(constraints) => {
                in_words(constraints.iter().filter(|one| !matches!(one, Constraint::Ports { .. })))
            }
        }
    }

    /// Why an agent will not do: the first constraint that does not hold, of the group of which the fewest do not.
    pub fn first_unmet(&self, place: &Whereabouts) -> Option<String> {
        if self.holds(place) {
            return None;
        }
        let unmet = |group: &Vec<Condition>| group.iter().filter(|one| !one.holds(place)).count();
        let nearest = self.groups.iter().min_by_key(|group| unmet(group))?;
        let first = nearest.iter().find(|one| !one.holds(place))?.words(place);
        match self.groups.len() - 1 {
            0 => Some(first),
            1 => Some(format!("{first}, and the other alternative does not hold either")),
            others => {
                Some(format!("{first}, and none of the {others} other alternatives holds either"))
            }
        }
    }
}

impl TryFrom<Source> for Constraints {
    type Error = BadConstraints;

    fn try_from(source: Source) -> Result<Self, BadConstraints> {
        match source {
            Source::Offers(source) => Self::compile(&source),
            Source::Demand(source) => Self::compile_demand(&source),
        }
    }
}

impl From<Constraints> for Source {
    fn from(compiled: Constraints) -> Self {
        compiled.source
    }
}

impl PartialEq for Constraints {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Constraints {}

/// How many ports one task needs beside those it names.
pub fn ports_each(constraints: &[Constraint]) -> u64 {
    let each = |constraint: &Constraint| match constraint {
        Constraint::Ports { each } => u64::from(*each),
        Constraint::Is { .. } | Constraint::IsNot { .. } | Constraint::Attribute(_) => 0,
    };
    constraints.iter().map(each).sum()
}

fn in_words(constraints: impl Iterator<Item = impl ToString>) -> String {
    constraints.map(|one| one.to_string()).collect::<Vec<_>>().join(" and ")
}

fn at_most(what: &'static str, has: usize, max: usize) -> Result<(), BadConstraints> {
    if has > max { Err(BadConstraints::TooMany { what, has, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
