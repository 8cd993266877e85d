//! The shell of a master's process: the master, the allocator beside it, and the registrar in front of the store.

use std::time::Duration;

use master::logic::allocator::{BookEntry, Effect as AllocatorEffect, Event as AllocatorEvent};
use master::logic::{Effect, Event as MasterEvent, Timer, Untold};

use crate::network::{Life, Sent};
use crate::process::MasterBody;
use crate::properties::Seen;
use crate::said::{Event, Said};
use crate::world::{Due, World};

/// Each so many messages to an allocator find it stuck, for so long.
const STUCK_EACH: u64 = 16;
const STUCK_FOR: Duration = Duration::from_millis(50);

impl World {
    /// Whether the process goes on.
    pub(crate) fn step_master(&mut self, life: Life, body: &mut MasterBody, event: Event) -> bool {
        if body.suspended && !matches!(event, Event::Allocator(_)) {
            body.waiting.push(event);
            return true;
        }
        let event = match event {
            Event::Master(event) => event,
            Event::Proposals(proposals) => {
                body.between -= 1;
                MasterEvent::Proposed(proposals)
            }
            Event::AllocatorHasRoom => {
                self.start_allocator_over(life, body);
                return true;
            }
            Event::Allocator(event) => {
                self.step_allocator(life, body, event);
                return true;
            }
            Event::WriteDone => match self.registry_written(life, body) {
                Ok(Some(event)) => event,
                Ok(None) => return true,
                Err(()) => return false,
            },
            Event::Agent(_) | Event::Executor(_) | Event::Custom(_) | Event::Author(..) => {
                return true;
            }
            Event::Framework(_) => return true,
        };
        let now = self.shown(life.process);
        let heard = event.clone();
        let step = body.master.step(now, event);
        self.note(life.process, format_args!("{heard:?} -> {:?}", step.effects));
        self.check_fates(life, body, &step.effects);
        self.check_changes(life, body, &step.changes);
        self.check_acts(life, body, &heard, &step.effects);
        if matches!(heard, MasterEvent::Started) {
            self.check_shares_kept(life, &step.effects);
        }
        if matches!(heard, MasterEvent::TimerFired(Timer::Leases)) {
            self.check_leases(life, body);
        }
        self.truth.checks += 1;
        let seen = Seen { config: &self.setup.master, now: now.steady, heard: &heard, step: &step };
        let (too_early, too_much) = (body.watch.see(seen), body.pace.see(seen));
        if let Some(words) = too_early {
            self.violate_patience(life, words);
        }
        if let Some(words) = too_much {
            self.violate_pace(life, words);
        }
        if let Some(words) = body.generations.see(&heard, &step) {
            self.violate_stale(life, words);
        }
        for (n, effect) in step.effects.into_iter().enumerate() {
            if self.dies_now(life, n) || !self.perform_for_master(life, body, effect) {
                return false;
            }
        }
        true
    }

    /// The store takes a write only in the reign that it belongs to. A master that cannot write ends.
    fn registry_written(
        &mut self,
        life: Life,
        body: &mut MasterBody,
    ) -> Result<Option<MasterEvent>, ()> {
        let Some(operation) = body.pending.done() else {
            return Ok(None);
        };
        if self.registry.epoch != body.master.epoch() {
            self.note(life.process, "cannot write: a later reign has begun");
            self.deposed(life.process);
            return Err(());
        }
        self.registry.apply(&operation);
        Ok(Some(MasterEvent::Written(operation)))
    }

    /// Whether the process goes on.
    fn perform_for_master(&mut self, life: Life, body: &mut MasterBody, effect: Effect) -> bool {
        let untold = effect.untold();
        match effect {
            Effect::TellAgent { to, message } => {
                self.check_may_command(life);
                self.check_agent_told(life, &message);
                let sent = self.tell(life, to, Said::MasterToAgent(message));
                self.untold(life, sent, untold);
            }
            Effect::TellFramework { to, message } => {
                self.check_framework_told(life, body.master.epoch(), &message);
                if let Some(words) = body.told.see(to, &message) {
                    self.violate_heir(life, words);
                }
                let sent = self.tell(life, to, Said::MasterToFramework(message));
                self.untold(life, sent, untold);
            }
            Effect::AnswerKill { .. } => (),
            Effect::AnswerSet { asked, answer } => self.hear_answer(asked, &answer),
            Effect::Link(pid) => self.link(life, pid),
            Effect::Unlink(pid) => self.unlink(life, pid),
            Effect::Write(operation) => {
                body.pending.write(operation);
                match &self.elections {
                    Some(_) => self.write_batch(life.process, body),
                    None => self.writes(life),
                }
            }
            Effect::TellAllocator(entries) => self.allocator_is_to_know(life, body, entries),
            Effect::StartTimer { timer, after } => {
                self.timer(life, after, Event::Master(MasterEvent::TimerFired(timer)));
            }
            Effect::StepDown { reason } | Effect::EndReign { reason } => {
                self.note(life.process, format_args!("steps down: {reason}"));
                self.deposed(life.process);
                self.steps_down(life.process);
                return false;
            }
        }
        true
    }

    /// Now and then the allocator does not keep up: what it was to be told is dropped, and it starts over.
    fn allocator_is_to_know(&mut self, life: Life, body: &mut MasterBody, told: Vec<BookEntry>) {
        body.allocator_told += 1;
        if body.allocator_is_stuck {
            return;
        }
        if !body.allocator_told.is_multiple_of(STUCK_EACH) {
            return self.tell_allocator(life, body, told);
        }
        body.between += 1;
        body.allocator_is_stuck = true;
        self.queue.at(self.queue.now() + STUCK_FOR, Due::Event(life, Event::AllocatorHasRoom));
    }

    fn start_allocator_over(&mut self, life: Life, body: &mut MasterBody) {
        body.between -= 1;
        body.allocator_is_stuck = false;
        let whole = BookEntry::StartOver(body.master.whole_book());
        self.tell_allocator(life, body, vec![whole]);
    }

    fn tell_allocator(&mut self, life: Life, body: &mut MasterBody, entries: Vec<BookEntry>) {
        body.between += 1;
        body.to_allocator = self.beside(body.to_allocator);
        let event = Event::Allocator(AllocatorEvent::Book(entries));
        self.queue.at(body.to_allocator, Due::Event(life, event));
    }

    fn step_allocator(&mut self, life: Life, body: &mut MasterBody, event: AllocatorEvent) {
        if matches!(event, AllocatorEvent::Book(_)) {
            body.between -= 1;
        }
        let now = self.shown(life.process);
        let heard = event.clone();
        let effects = body.allocator.step(now, event);
        self.note(life.process, format_args!("{heard:?} -> {effects:?}"));
        self.check_policy(life, body, &heard, &effects);
        for effect in effects {
            match effect {
                AllocatorEffect::Propose(proposals) => {
                    body.between += 1;
                    body.to_master = self.beside(body.to_master);
                    self.queue.at(body.to_master, Due::Event(life, Event::Proposals(proposals)));
                }
                AllocatorEffect::RunSoon => {
                    body.to_allocator = self.beside(body.to_allocator);
                    let run = Event::Allocator(AllocatorEvent::Run);
                    self.queue.at(body.to_allocator, Due::Event(life, run));
                }
                AllocatorEffect::SweepAfter(after) => {
                    self.timer(life, after, Event::Allocator(AllocatorEvent::Sweep));
                }
            }
        }
    }

    fn untold(&mut self, life: Life, sent: Sent, untold: Option<Untold>) {
        let remains = |untold: &Untold| match sent {
            Sent::Accepted => false,
            Sent::Unreachable => untold.is_owed_to_the_lost(),
            Sent::Full => true,
        };
        if let Some(untold) = untold.filter(remains) {
            self.soon(life, Event::Master(MasterEvent::Untold(untold)));
        }
    }

    /// When the next message between actors of one process arrives: after the last one.
    fn beside(&mut self, last: Duration) -> Duration {
        let busy = self.chance.in_thousand(self.setup.busy);
        let longest = Duration::from_millis(if busy { 2_000 } else { 5 });
        let after = self.chance.span(Duration::from_micros(1), longest);
        (self.queue.now() + after).max(last + Duration::from_nanos(1))
    }

    /// A later reign has begun: the process does not come back by itself, since its successor is there.
    fn deposed(&mut self, process: u32) {
        if process != self.leader {
            self.processes.get_mut(&process).expect("it takes a step").supervised = false;
        }
    }
}
