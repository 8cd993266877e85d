//! An allocator that missed entries: its book becomes what the master's is. Of its own it keeps only the proposals that still
//! count, since the master does not know for which demand they were made.

use protocol::ids::{AgentId, FrameworkId, Role};
use protocol::offer::Demand;
use protocol::time::Instant;

use super::messages::{BookEntry, WholeBook};
use super::{Allocator, Open};

/// A proposal as it was, by names.
struct Kept {
    number: u64,
    agent: AgentId,
    generation: u64,
    framework: FrameworkId,
    role: Role,
    open: Open,
    promised: Vec<Demand>,
}

impl Allocator {
    /// Refusals are forgotten: among what was dropped may have been that they are. Demand for which offers were accepted counts
    /// anew until it is stated again; what is offered too much is declined.
    pub(super) fn start_over(&mut self, now: Instant, book: WholeBook) {
        let (offered, heard) = (&book.offered, book.heard);
        let counts =
            self.open.iter().filter(|(number, _)| *number > heard || offered.contains(number));
        let kept: Vec<Kept> =
            counts.filter_map(|(number, open)| self.by_names(number, open.clone())).collect();
        let seed = self.chance.draw();
        *self = Self {
            numbered: self.numbered,
            run_is_due: self.run_is_due,
            runs: self.runs,
            ..Self::new(self.config.clone(), seed)
        };
        self.enter(now, BookEntry::Shares(book.shares));
        self.enter(now, BookEntry::Awaiting(book.awaiting));
        book.agents.into_iter().for_each(|entry| self.enter(now, entry));
        for Kept { number, agent, generation, framework, role, open, promised } in kept {
            // If its agent has been away, the master gave it up as well, or will return it.
            let at = self.agents.get(&agent).copied();
            let same = |at: &u32| self.places[*at as usize].generation == generation;
            if let Some(at) = at.filter(same) {
                let client = self.client_of(&framework, &role);
                self.hold_again(number, Open { at, client, ..open }, &promised);
            }
        }
        book.frameworks.into_iter().for_each(|entry| self.enter(now, entry));
    }

    fn by_names(&self, number: u64, open: Open) -> Option<Kept> {
        let place = self.places.get(open.at as usize)?;
        let client = self.client(open.client)?;
        Some(Kept {
            number,
            agent: place.agent.clone(),
            generation: place.generation,
            framework: client.framework.clone(),
            role: client.role.clone(),
            promised: client.promising.get(&number).cloned().unwrap_or_default(),
            open,
        })
    }
}
