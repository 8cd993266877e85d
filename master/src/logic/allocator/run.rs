//! A run: agents at which something changed are offered to who comes next, first to roles that have less than they are guaranteed,
//! then to everybody.

use std::ops::Range;

use protocol::offer::Demand;
use protocol::resources::Resources;
use protocol::time::Instant;

use super::examine::{Hindrance, Piece};
use super::messages::{Proposal, Proposals};
use super::quota::Bound;
use super::walk::Walk;
use super::{Allocator, Open};

/// Of so many hungry clients at least one that is not ruled out is soon found by going through them in order; of fewer, it is
/// cheaper to put those in order that are not ruled out.
const FEW: usize = 8;

/// So many agents are not in a processor's cache.
const MANY: usize = 512;
/// Of so many, those that lie side by side in memory are looked at one after the other.
const BLOCK: usize = 16;

/// Room is made for so many proposals to one client at most before they come.
const EACH: usize = 64;

/// The agents of a run, in an order that is drawn as it is needed. Of few, each is drawn; of many, blocks of them are.
struct Drawn {
    agents: Vec<u32>,
    /// Those that are still to be drawn.
    blocks: Vec<u32>,
    /// What is left of the one that was drawn.
    block: Range<usize>,
}

impl Allocator {
    pub(super) fn run(&mut self, now: Instant) -> Vec<Proposals> {
        self.rank_clients();
        self.tree.refresh();
        self.lift_bounds();
        let mut agents = std::mem::take(&mut self.changed);
        for at in &agents {
            if let Some(place) = self.places.get_mut(*at as usize) {
                place.changed = false;
            }
        }
        if std::mem::take(&mut self.everywhere) {
            agents = self.worth.iter().collect();
        }
        let mut proposals = Vec::new();
        if self.tree.anybody_hungry() {
            self.open.reserve(agents.len());
        }
        self.looks = agents.len();
        self.runs += 1;
        let first = self.numbered + 1;
        if !self.tree.wanting.is_empty() {
            let mut drawn = Drawn::of(agents.clone());
            while let Some(at) = drawn.next(self).filter(|_| !self.tree.wanting.is_empty()) {
                self.serve(now, at, true, first, &mut proposals);
            }
        }
        let mut drawn = Drawn::of(agents);
        while let Some(at) = drawn.next(self).filter(|_| self.tree.anybody_hungry()) {
            self.serve(now, at, false, first, &mut proposals);
        }
        proposals
    }

    /// Proposes what is free on an agent to one client after the other.
    fn serve(
        &mut self,
        now: Instant,
        at: u32,
        guaranteed: bool,
        first: u64,
        proposals: &mut Vec<Proposals>,
    ) {
        match self.places.get_mut(at as usize).filter(|_| self.worth.has(at)) {
            Some(place) => place.note(&self.stale),
            None => return,
        }
        // Whoever is held back leaves the order that is being gone through, so that is done in the end.
        let mut bounds = Vec::new();
        self.serve_in_turn(now, at, guaranteed, (first, proposals), &mut bounds);
        for (client, bound) in bounds {
            self.hold_back(client, bound);
        }
    }

    fn serve_in_turn(
        &mut self,
        now: Instant,
        at: u32,
        guaranteed: bool,
        (first, proposals): (u64, &mut Vec<Proposals>),
        bounds: &mut Vec<(u32, (Bound, usize))>,
    ) {
        let mut line = Line::Front;
        let mut served = Vec::new();
        while let Some(number) = self.next_in(&mut line, at, guaranteed) {
            let (Some(place), Some(client)) = (self.places.get(at as usize), self.client(number))
            else {
                return;
            };
            if place.is_ruled_out(number) || served.contains(&number) {
                continue;
            }
            match self.examine(now, place, number, client, guaranteed) {
                Ok(piece) => {
                    // More may be for it once something is released elsewhere.
                    if piece.is_cut {
                        self.bounded.insert(number);
                    }
                    self.hold(now, at, number, piece, first, proposals);
                    if !self.worth.has(at) {
                        return;
                    }
                    served.push(number);
                    // Shares have changed; whoever is passed again is known.
                    line = Line::Start;
                }
                // Another bound may let it.
                Err(_) if guaranteed => (),
                Err(hindrance) => {
                    self.places[at as usize].rule_out(number);
                    match hindrance {
                        Hindrance::Bound(bound, scalar) => bounds.push((number, (bound, scalar))),
                        // More may break through when quota lets more through.
                        Hindrance::Refused { is_cut: true, .. } => {
                            self.bounded.insert(number);
                        }
                        Hindrance::Refused { is_cut: false, .. } => (),
                        Hindrance::Lacks(_) | Hindrance::Constraint => (),
                        Hindrance::Nothing | Hindrance::TooLittle | Hindrance::NoFit => (),
                    }
                }
            }
        }
    }

    /// The next client that may be served on an agent.
    fn next_in(&self, line: &mut Line, at: u32, guaranteed: bool) -> Option<u32> {
        if let Line::Front = line {
            let first = self.tree.first(guaranteed);
            *line = Line::Start;
            if first.is_some() {
                return first;
            }
        }
        if let Line::Start = line {
            let ruled_out = self.places[at as usize].ruled_out();
            let hungry = self.tree.hungry();
            let most = self.tree.hungry_count() / FEW + 1;
            let few = hungry.count_without(ruled_out, most);
            *line = if few == 0 {
                Line::Listed(Vec::new().into_iter())
            } else if few < most && !guaranteed {
                let mut listed: Vec<u32> = hungry.without(ruled_out).collect();
                listed.sort_by_cached_key(|client| self.tree.keys_of(*client));
                Line::Listed(listed.into_iter())
            } else {
                Line::Walk(Walk::new(&self.tree, guaranteed))
            };
        }
        match line {
            Line::Front | Line::Start => None,
            Line::Listed(listed) => listed.next(),
            Line::Walk(walk) => walk.next(&self.tree),
        }
    }

    fn hold(
        &mut self,
        now: Instant,
        at: u32,
        number: u32,
        piece: Piece,
        first: u64,
        proposals: &mut Vec<Proposals>,
    ) {
        let Piece { part, promised, is_cut: _ } = piece;
        let place = &mut self.places[at as usize];
        let resources = match part {
            None => {
                place.is_enough = false;
                // It is plain, or it would not be whole.
                let all = std::mem::take(&mut place.free_all);
                let resources = std::mem::take(&mut place.free);
                self.tree.allocate(number, &all, None);
                self.tree.guarantees.available.sub(&all);
                self.worth.remove(at);
                resources
            }
            Some(part) => {
                let free = place.free.checked_sub(&part).expect("what was found is free");
                self.allocate(number, &part);
                self.set_free(at, free);
                part
            }
        };
        self.note_held(at, number, &resources);
        if self.places[at as usize].on_less_free(&self.fickle) {
            self.look_at(at);
        }
        let place = &mut self.places[at as usize];
        // A role that got what it lacked may get more in the same run: it is one offer all the same.
        let earlier = place
            .open
            .iter()
            .rev()
            .take_while(|number| **number >= first)
            .find(|open| self.open.get(**open).is_some_and(|open| open.client == number));
        if let Some(earlier) = earlier.copied() {
            return self.add_to(earlier, &resources, &promised, proposals);
        }
        self.numbered += 1;
        place.open.push(self.numbered);
        let proposal = Proposal {
            number: self.numbered,
            agent: place.agent.clone(),
            slot: place.slot,
            generation: place.generation,
            resources: resources.clone(),
        };
        self.proposals_to(number, proposals).push(proposal);
        self.note_open(number, self.numbered, &promised);
        let open = Open { at, client: number, resources, since: now };
        self.open.insert(self.numbered, open);
    }

    /// Those of this run, which are told together.
    fn proposals_to<'p>(
        &mut self,
        number: u32,
        proposals: &'p mut Vec<Proposals>,
    ) -> &'p mut Vec<Proposal> {
        let client = self.clients[number as usize].as_mut().expect("something is held for it");
        if client.proposed.0 != self.runs {
            client.proposed = (self.runs, proposals.len());
            let (framework, role) = (client.framework.clone(), client.role.clone());
            // About as many as there are for each.
            let each = self.looks / self.tree.hungry_count().max(1) + 1;
            proposals.push(Proposals { framework, role, all: Vec::with_capacity(each.min(EACH)) });
        }
        &mut proposals[client.proposed.1].all
    }

    fn add_to(
        &mut self,
        earlier: u64,
        resources: &Resources,
        promised: &[Demand],
        proposals: &mut Vec<Proposals>,
    ) {
        let Some(open) = self.open.get_mut(earlier) else { return };
        open.resources.add(resources);
        let client = open.client;
        let proposed = self.proposals_to(client, proposals).iter_mut();
        if let Some(proposal) = proposed.rev().find(|proposal| proposal.number == earlier) {
            proposal.resources.add(resources);
        }
        self.promise(client, earlier, promised);
    }
}

/// Who is asked next on one agent.
enum Line {
    /// Whoever comes first of all, who in most runs takes it.
    Front,
    /// Nobody was asked since shares changed.
    Start,
    /// These, in order.
    Listed(std::vec::IntoIter<u32>),
    /// All of them, in order.
    Walk(Walk),
}

impl Drawn {
    fn of(agents: Vec<u32>) -> Self {
        let blocks = if agents.len() < MANY { 0 } else { agents.len().div_ceil(BLOCK) };
        Self { agents, blocks: (0..super::number(blocks)).collect(), block: 0..0 }
    }

    fn next(&mut self, allocator: &mut Allocator) -> Option<u32> {
        if self.agents.len() < MANY {
            return drawn(&mut self.agents, allocator);
        }
        if self.block.is_empty() {
            let first = drawn(&mut self.blocks, allocator)? as usize * BLOCK;
            self.block = first..(first + BLOCK).min(self.agents.len());
        }
        self.block.next().map(|at| self.agents[at])
    }
}

fn drawn(of: &mut Vec<u32>, allocator: &mut Allocator) -> Option<u32> {
    (!of.is_empty()).then(|| of.swap_remove(allocator.chance.below(of.len())))
}
