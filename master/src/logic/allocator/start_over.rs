//! An allocator that missed entries: its book becomes what the master's is. Of its own it keeps only the proposals that still
//! count, since the master does not know for which demand they were made.

use std::collections::BTreeMap;

use protocol::time::Instant;

use super::messages::WholeBook;
use super::{Allocator, Open};

impl Allocator {
    /// Refusals are forgotten: among what was dropped may have been that they are. Demand for which offers were accepted counts
    /// anew until it is stated again; what is offered too much is declined.
    pub(super) fn start_over(&mut self, now: Instant, book: WholeBook) {
        let (offered, heard) = (&book.offered, book.heard);
        let counts = |number: &u64| *number > heard || offered.contains(number);
        let open = std::mem::take(&mut self.open).into_iter().filter(|(number, _)| counts(number));
        let generation = |open: &Open| self.agents.get(&open.agent).map(|place| place.generation);
        let open: BTreeMap<u64, (Open, Option<u64>)> =
            open.map(|(number, open)| (number, (open.clone(), generation(&open)))).collect();
        *self = Self {
            numbered: self.numbered,
            run_is_due: self.run_is_due,
            served: self.served.take(),
            ..Self::new(self.config.clone())
        };
        book.agents.into_iter().for_each(|entry| self.enter(now, entry));
        for (number, (open, generation)) in open {
            self.hold_again(number, open, generation);
        }
        book.frameworks.into_iter().for_each(|entry| self.enter(now, entry));
    }

    /// Unless its agent has been away: then the master gave it up as well, or will return it.
    fn hold_again(&mut self, number: u64, open: Open, generation: Option<u64>) {
        let Some(place) = self.agents.get_mut(&open.agent) else { return };
        if generation != Some(place.generation) {
            return;
        }
        place.free = place.free.checked_sub(&open.resources).unwrap_or_default();
        let key = (open.framework.clone(), open.role.clone());
        place.held.entry(key).or_default().add(&open.resources);
        place.open.insert(number);
        self.sorter.allocate(&open.role, &open.framework, &open.resources);
        self.frameworks.entry(open.framework.clone()).or_default().open.insert(number);
        self.look_at(&open.agent.clone());
        self.open.insert(number, open);
    }
}
