//! What goes wrong between the schedulers of one framework and the ensemble where one of them is elected.

use std::time::Duration;

use crate::chance::Chance;
use crate::faults::Fault;
use crate::world::{Due, World};

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setback {
    /// Whoever leads is killed.
    KillLeader,
    /// Whoever leads stands still and does not know it.
    FreezeLeader(Duration),
    /// The machine of whoever leads is suspended.
    SuspendLeader(Duration),
    /// Nothing of whoever leads reaches the ensemble, nothing of the ensemble it, or neither.
    Cut { mute: bool, deaf: bool, span: Duration },
    /// No server answers.
    Away(Duration),
    /// All take their time.
    Slow(Duration),
    /// The connection of whoever leads breaks.
    Break,
    /// Somebody deletes the node of whoever leads, who does not hear of it for so long.
    DeleteSeat(Duration),
    /// The servers end the session of whoever leads.
    EndSession,
    /// The next batch is written (or not), and nobody hears what became of it.
    LoseAnswer {
        /// Whether it is written.
        written: bool,
    },
}

impl World {
    /// Puts more trouble into the queue, if a framework elects its scheduler.
    pub(crate) fn plan_setbacks(&mut self, chance: &mut Chance, until: Duration) {
        if self.office.is_none() {
            return;
        }
        for _ in 0..chance.between(1, 8) {
            let at = chance.span(Duration::from_secs(2), until);
            let setback = choose(chance);
            self.queue.at(at, Due::Fault(Fault::Office(setback)));
        }
    }

    pub(super) fn office_goes_wrong(&mut self, setback: Setback) {
        let now = self.queue.now();
        let Some(office) = &mut self.office else {
            return;
        };
        // If nobody leads, whoever might next.
        let reigning = office.elections.reigning().first().map(|(process, ..)| *process);
        let Some(leader) = reigning.or_else(|| office.posts.keys().next().copied()) else {
            return;
        };
        let elections = &mut office.elections;
        match setback {
            Setback::KillLeader => self.kill(leader, false),
            Setback::FreezeLeader(span) => self.freeze(leader, span),
            Setback::SuspendLeader(span) => self.suspend(leader, span),
            Setback::Cut { mute, deaf, span } => {
                if mute {
                    elections.mute(leader, now + span);
                }
                if deaf {
                    elections.deafen(leader, now + span);
                }
            }
            Setback::Away(span) => elections.go_away(now + span),
            Setback::Slow(span) => elections.slow_down(now + span),
            Setback::Break => {
                let brought = elections.break_connection(now, leader);
                self.bring_from_office(brought);
            }
            Setback::DeleteSeat(span) => {
                elections.deafen(leader, now + span);
                elections.delete_lowest(now);
            }
            Setback::EndSession => elections.end_session(now, leader),
            Setback::LoseAnswer { written } => elections.lose_answer(written),
        }
    }
}

fn choose(chance: &mut Chance) -> Setback {
    let (span, short) = (chance.millis(500, 60_000), chance.millis(100, 5_000));
    match chance.below(16) {
        0..3 => Setback::KillLeader,
        3 | 4 => Setback::FreezeLeader(span),
        5 => Setback::SuspendLeader(span),
        6 | 7 => Setback::Cut { mute: true, deaf: true, span },
        8 => Setback::Cut { mute: true, deaf: false, span },
        9 => Setback::Cut { mute: false, deaf: true, span },
        10 => Setback::Away(span),
        11 => Setback::Slow(span),
        12 => Setback::Break,
        13 => Setback::DeleteSeat(short),
        14 => Setback::EndSession,
        _ => Setback::LoseAnswer { written: chance.in_thousand(500) },
    }
}
