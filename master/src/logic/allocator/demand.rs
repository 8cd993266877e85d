//! What a framework needs: everything that is free, or, if it states its demand, pieces in which so many tasks fit.

use protocol::offer::Demand;
use protocol::resources::{Milli, Resource, Resources, Value};
use serde::{Deserialize, Serialize};

use crate::logic::constraints::{Constraints, Whereabouts, ports_each};

/// The name of the resource that ports are.
const PORTS: &str = "ports";

/// A framework's needs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) enum Needs {
    /// It takes whatever is offered.
    #[default]
    Everything,
    /// It states its demand.
    Stated(Vec<Need>),
}

/// One standing demand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Need {
    demand: Demand,
    /// Those of the demand.
    constraints: Constraints,
    /// For so many of its tasks resources are proposed, offered, or accepted since the demand was stated.
    promised: u32,
}

impl Need {
    /// The master has found its constraints good.
    fn new(demand: Demand) -> Self {
        let constraints = Constraints::compile_demand(&demand.constraints);
        let constraints = constraints.unwrap_or_else(|_| Constraints::nowhere());
        Self { demand, constraints, promised: 0 }
    }

    fn outstanding(&self) -> u32 {
        self.demand.count.saturating_sub(self.promised)
    }

    fn is_for(&self, demand: &Demand) -> bool {
        self.demand.each == demand.each && self.demand.constraints == demand.constraints
    }
}

impl Needs {
    pub(super) fn new(states_demand: bool) -> Self {
        if states_demand { Self::Stated(Vec::new()) } else { Self::Everything }
    }

    pub(super) fn are_everything(&self) -> bool {
        matches!(self, Self::Everything)
    }

    pub(super) fn wants_offers(&self) -> bool {
        match self {
            Self::Everything => true,
            Self::Stated(needs) => needs.iter().any(|need| need.outstanding() > 0),
        }
    }

    /// Whether it states several, so that some can be met without the others.
    pub(super) fn are_several(&self) -> bool {
        match self {
            Self::Everything => false,
            Self::Stated(needs) => needs.len() > 1,
        }
    }

    /// Whether it states something, all of which is promised.
    pub(super) fn are_under_way(&self) -> bool {
        match self {
            Self::Everything => false,
            Self::Stated(needs) => {
                let mut wanted = needs.iter().filter(|need| need.demand.count > 0).peekable();
                wanted.peek().is_some() && wanted.all(|need| need.outstanding() == 0)
            }
        }
    }

    /// Replaces the demand, but for what is under way. Whether something is wanted that was not wanted before, and whether
    /// more of something is.
    pub(super) fn restate(&mut self, demand: Vec<Demand>, under_way: &[Demand]) -> (bool, bool) {
        let Self::Stated(needs) = self else { return (false, false) };
        let before = needs.clone();
        let news = demand.iter().any(|one| !needs.iter().any(|need| need.is_for(one)));
        *needs = Vec::with_capacity(demand.len());
        for one in demand {
            // Of equal ones nobody could say for which of them something was promised.
            match needs.iter_mut().find(|need| need.is_for(&one)) {
                Some(need) => need.demand.count = need.demand.count.saturating_add(one.count),
                None => needs.push(Need::new(one)),
            }
        }
        self.promise(under_way);
        let Self::Stated(needs) = self else { return (false, false) };
        let more = needs.iter().any(|need| {
            let same = before.iter().find(|before| before.is_for(&need.demand));
            need.outstanding() > same.map_or(0, Need::outstanding)
        });
        (news, more)
    }

    /// One that is all that is wanted.
    pub(super) fn of(demand: Demand) -> Self {
        Self::Stated(vec![Need::new(demand)])
    }

    /// Each that waits, with what is outstanding of it, and how many of it are under way.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (Demand, u32)> {
        let needs = match self {
            Self::Everything => &[][..],
            Self::Stated(needs) => needs,
        };
        let waits = needs.iter().filter(|need| need.outstanding() > 0);
        waits.map(|need| {
            (Demand { count: need.outstanding(), ..need.demand.clone() }, need.promised)
        })
    }

    /// The first that is stated, and its constraints.
    pub(super) fn first(&self) -> Option<(&Demand, &Constraints)> {
        match self {
            Self::Everything => None,
            Self::Stated(needs) => needs.first().map(|need| (&need.demand, &need.constraints)),
        }
    }

    /// Whether some need that waits, or a framework that takes everything, allows an agent.
    pub(super) fn any_allows(&self, place: &Whereabouts<'_>) -> bool {
        match self {
            Self::Everything => true,
            Self::Stated(needs) => {
                needs.iter().any(|need| need.outstanding() > 0 && need.constraints.holds(place))
            }
        }
    }

    /// Whether one task of some need asks for no more of any scalar than `most` says of its name.
    pub(super) fn any_within(&self, most: impl Fn(&str) -> i64) -> bool {
        let Self::Stated(needs) = self else { return true };
        let within = |resource: &Resource| {
            resource.amount().is_none_or(|amount| amount.0 <= most(&resource.name))
        };
        let mut waits = needs.iter().filter(|need| need.outstanding() > 0);
        waits.any(|need| need.demand.each.iter().all(within))
    }

    pub(super) fn promise(&mut self, promised: &[Demand]) {
        let Self::Stated(needs) = self else { return };
        for one in promised {
            if let Some(need) = needs.iter_mut().find(|need| need.is_for(one)) {
                need.promised = need.promised.saturating_add(one.count);
            }
        }
    }

    pub(super) fn take_back(&mut self, promised: &[Demand]) {
        let Self::Stated(needs) = self else { return };
        for one in promised {
            if let Some(need) = needs.iter_mut().find(|need| need.is_for(one)) {
                need.promised = need.promised.saturating_sub(one.count);
            }
        }
    }

    /// What of it is to be offered at this place, and for which demands.
    pub(super) fn fit(
        &self,
        free: &Resources,
        place: &Whereabouts<'_>,
    ) -> Option<(Resources, Vec<Demand>)> {
        let needs = match self {
            Self::Everything => return Some((free.clone(), Vec::new())),
            Self::Stated(needs) => needs,
        };
        let mut left = free.clone();
        let mut piece = Resources::none();
        let mut promised = Vec::new();
        for need in needs.iter().filter(|need| need.outstanding() > 0) {
            if !need.constraints.holds(place) {
                continue;
            }
            let ports = ports_each(&need.demand.constraints);
            let with_ports = left.ranges(PORTS).count().checked_div(ports).unwrap_or(u64::MAX);
            let count = times(&need.demand.each, &left).min(need.outstanding());
            let count = count.min(u32::try_from(with_ports).unwrap_or(u32::MAX));
            let Some((count, found)) = most_found(&left, &need.demand.each, count, ports) else {
                continue;
            };
            let Some(rest) = left.checked_sub(&found) else { continue };
            left = rest;
            piece.add(&found);
            promised.push(Demand { count, ..need.demand.clone() });
        }
        (!piece.is_empty()).then_some((piece, promised))
    }
}

/// As many tasks as there is something for, at most `count`, and that: what is reserved first. The sums that `count` comes from may
/// be more than fits, since some is used as a whole, and some only by who asks for it.
fn most_found(
    left: &Resources,
    each: &Resources,
    count: u32,
    ports: u64,
) -> Option<(u32, Resources)> {
    let mut found = None;
    let (mut fits, mut too_many) = (0, count.checked_add(1)?);
    let mut next = count;
    while next > fits {
        match found_for(left, each, next, ports) {
            Some(some) => (found, fits) = (Some((next, some)), next),
            None => too_many = next,
        }
        next = fits + (too_many - fits) / 2;
    }
    found
}

fn found_for(left: &Resources, each: &Resources, count: u32, ports: u64) -> Option<Resources> {
    let mut all = multiplied(each, count);
    // Certain ports that each task names are no longer free for those that name none.
    let free = left.ranges(PORTS).minus(&all.ranges(PORTS));
    let ports = free.take(ports * u64::from(count))?;
    if !ports.is_empty() {
        all.add(&Resources::none().with_ranges(PORTS, ports));
    }
    let found = if left.is_plain() { Some(all) } else { left.find(&all) };
    found.filter(|found| left.contains(found))
}

/// What of `promised` is not covered by what was used, which shrinks by what it covers. Both without kinds: what was needed may
/// have been taken of what was reserved.
pub(super) fn not_covered(promised: &[Demand], used: &mut Resources) -> Vec<Demand> {
    let mut unused = Vec::new();
    for demand in promised {
        let each = demand.each.flattened();
        let covered = times(&each, used).min(demand.count);
        if let Some(rest) = used.checked_sub(&multiplied(&each, covered)) {
            *used = rest;
        }
        if covered < demand.count {
            unused.push(Demand { count: demand.count - covered, ..demand.clone() });
        }
    }
    unused
}

/// How often `each` fits; numbered resources, such as certain ports, only once.
fn times(each: &Resources, free: &Resources) -> u32 {
    if each.is_empty() || (!free.contains(each) && free.find(each).is_none()) {
        return 0;
    }
    let fits = |resource: &Resource| match resource.amount() {
        // Each copy is one that is there.
        Some(_) if resource.kind.is_whole() || resource.kind.is_shared() => {
            i64::try_from(free.len()).unwrap_or(i64::MAX)
        }
        Some(Milli(amount)) => free.scalar(&resource.name).0 / amount.max(1),
        None => 1,
    };
    let count = each.iter().map(fits).min().unwrap_or(0);
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}

fn multiplied(each: &Resources, count: u32) -> Resources {
    let mut all = Resources::none();
    if count == 0 {
        return all;
    }
    for resource in each.iter() {
        match resource.amount() {
            Some(_) if resource.kind.is_whole() || resource.kind.is_shared() => {
                (0..count).for_each(|_| all.add_one(resource.clone()));
            }
            Some(Milli(amount)) => {
                let value = Value::Scalar(Milli(amount.saturating_mul(i64::from(count))));
                all.add_one(Resource { value, ..resource.clone() });
            }
            None => all.add_one(resource.clone()),
        }
    }
    all
}
