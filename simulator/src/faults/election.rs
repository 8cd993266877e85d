//! What goes wrong between masters and their ensemble.

use std::time::Duration;

use crate::chance::Chance;
use crate::faults::Fault;
use crate::process::Seat;
use crate::properties::LEADER;
use crate::world::{Due, World};

/// How long after all is healed one must lead and everybody know it, beside a session's time-out.
const LEADS_WITHIN: Duration = Duration::from_secs(2);
/// Who stands still comes back within a minute, who is dead sooner.
const ALL_BACK_WITHIN: Duration = Duration::from_secs(200);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Whoever leads is killed.
    KillLeader,
    /// Whoever leads stands still and does not know it.
    FreezeLeader(Duration),
    /// Nothing of this master (or whoever leads) reaches the ensemble, nothing of the ensemble it, or neither.
    Cut { master: Option<u32>, mute: bool, deaf: bool, span: Duration },
    /// Nothing of these agents and schedulers reaches the ensemble, nor the other way round.
    CutFinder(u32, Duration),
    /// Whoever leads sees neither the ensemble nor an agent.
    CutLeaderFromAll(Duration),
    /// No server answers.
    Away(Duration),
    /// All take their time.
    Slow(Duration),
    /// A connection to the ensemble breaks.
    Break(u32),
    /// Somebody deletes the node of whoever leads, who does not hear of it for so long.
    DeleteSeat(Duration),
}

impl World {
    /// Puts more trouble into the queue, if there is an ensemble.
    pub(crate) fn plan_election_faults(&mut self, chance: &mut Chance, until: Duration) {
        if self.elections.is_none() {
            return;
        }
        for _ in 0..chance.between(0, 8) {
            let at = chance.span(Duration::from_secs(1), until);
            if let Some(trouble) = self.choose_trouble(chance) {
                self.queue.at(at, Due::Fault(Fault::Election(trouble)));
            }
        }
    }

    fn choose_trouble(&self, chance: &mut Chance) -> Option<Trouble> {
        let masters = self.numbers(|seat| matches!(seat, Seat::Master));
        let others = self.numbers(|seat| matches!(seat, Seat::Agent { .. } | Seat::Framework(_)));
        let (one, other) = (*chance.one_of(&masters)?, *chance.one_of(&others)?);
        let (span, short) = (chance.millis(500, 60_000), chance.millis(100, 5_000));
        let master = chance.in_thousand(300).then_some(one);
        Some(match chance.below(13) {
            0 | 1 => Trouble::KillLeader,
            2 => Trouble::FreezeLeader(Duration::from_secs(60)),
            3 => Trouble::FreezeLeader(span),
            4 => Trouble::Cut { master, mute: true, deaf: true, span },
            5 => Trouble::Cut { master, mute: true, deaf: false, span },
            6 => Trouble::Cut { master, mute: false, deaf: true, span },
            7 => Trouble::CutFinder(other, span),
            8 => Trouble::CutLeaderFromAll(span),
            9 => Trouble::Away(span),
            10 => Trouble::Slow(span),
            11 => Trouble::Break(if chance.in_thousand(700) { one } else { other }),
            _ => Trouble::DeleteSeat(short),
        })
    }

    pub(super) fn election_goes_wrong(&mut self, trouble: Trouble) {
        let (now, leader) = (self.queue.now(), self.leader);
        match trouble {
            Trouble::KillLeader => return self.kill(leader, false),
            Trouble::FreezeLeader(span) => return self.freeze(leader, span),
            Trouble::CutLeaderFromAll(span) => self.cut_off_agents(span),
            Trouble::Cut { .. } | Trouble::CutFinder(..) | Trouble::Away(_) => (),
            Trouble::Slow(_) | Trouble::Break(_) | Trouble::DeleteSeat(_) => (),
        }
        let Some(elections) = &mut self.elections else {
            return;
        };
        match trouble {
            Trouble::KillLeader | Trouble::FreezeLeader(_) => (),
            Trouble::Cut { master, mute, deaf, span } => {
                let process = master.unwrap_or(leader);
                if mute {
                    elections.mute(process, now + span);
                }
                if deaf {
                    elections.deafen(process, now + span);
                }
            }
            Trouble::CutFinder(process, span) => {
                elections.mute(process, now + span);
                elections.deafen(process, now + span);
            }
            Trouble::CutLeaderFromAll(span) => {
                elections.mute(leader, now + span);
                elections.deafen(leader, now + span);
            }
            Trouble::Away(span) => elections.go_away(now + span),
            Trouble::Slow(span) => elections.slow_down(now + span),
            Trouble::Break(process) => {
                let brought = elections.break_connection(now, process);
                self.bring_from_election(brought);
            }
            Trouble::DeleteSeat(span) => {
                elections.deafen(leader, now + span);
                elections.delete_lowest(now);
            }
        }
    }

    /// All is healed: once everybody is there and goes on, one must lead within a bounded time, and all know who.
    pub(crate) fn come_to_lead(&mut self) {
        let Some(timeout) = self.elections.as_ref().map(|elections| elections.timeout()) else {
            return;
        };
        let patience = self.queue.now() + ALL_BACK_WITHIN;
        while self.somebody_is_missing() && self.queue.now() < patience {
            if !self.run_until(self.queue.now() + LOOK_EVERY) {
                return;
            }
        }
        let deadline = self.queue.now() + timeout + LEADS_WITHIN;
        loop {
            let open = self.elections.as_ref().and_then(|elections| elections.unsettled());
            let Some(words) = open else {
                return;
            };
            if self.queue.now() >= deadline {
                let who = self.name_of(self.leader).to_owned();
                return self.violate(LEADER, words, vec![who]);
            }
            if !self.run_until(self.queue.now() + LOOK_EVERY) {
                return;
            }
        }
    }

    fn somebody_is_missing(&self) -> bool {
        let now = self.queue.now();
        let Some(elections) = &self.elections else {
            return false;
        };
        self.processes.iter().any(|(number, process)| match &process.seat {
            Seat::Executor { .. } => false,
            Seat::Master | Seat::Agent { .. } | Seat::Framework(_) => {
                !self.is_over(*number)
                    && elections.frozen_until(*number).is_none_or(|until| until > now)
            }
        })
    }
}
