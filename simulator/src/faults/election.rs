//! What goes wrong between masters and their ensemble.

use std::time::Duration;

use crate::chance::Chance;
use crate::faults::Fault;
use crate::process::Seat;
use crate::world::{Due, World};

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Whoever leads is killed.
    KillLeader,
    /// Whoever leads stands still and does not know it.
    FreezeLeader(Duration),
    /// The machine of whoever leads is suspended.
    SuspendLeader(Duration),
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
    /// The servers end the session of a process.
    EndSession(u32),
    /// Somebody raises the epoch without an election, as an import does. The servers are started anew after so long, so that
    /// everybody looks.
    RaiseByHand(Duration),
    /// That was that.
    RestartServers,
    /// The next batch that arrives at the servers is written (or not), and nobody hears what became of it.
    LoseAnswer {
        /// Whether it is written.
        written: bool,
    },
}

impl World {
    /// Puts more trouble into the queue, if there is an ensemble.
    pub(crate) fn plan_election_faults(&mut self, chance: &mut Chance, until: Duration) {
        if self.elections.is_none() {
            return;
        }
        let agents = self.numbers(|seat| matches!(seat, Seat::Agent { .. }));
        for _ in 0..chance.between(0, 10) {
            let at = chance.span(Duration::from_secs(1), until);
            let Some(trouble) = self.choose_trouble(chance) else {
                continue;
            };
            self.queue.at(at, Due::Fault(Fault::Election(trouble)));
            let is_of_writes =
                matches!(trouble, Trouble::RaiseByHand(_) | Trouble::LoseAnswer { .. });
            // Something has to be written for it to matter.
            if let Some(agent) = chance.one_of(&agents).copied().filter(|_| is_of_writes) {
                self.queue.at(at, Due::Fault(Fault::Reconfigure(agent)));
            }
        }
    }

    fn choose_trouble(&self, chance: &mut Chance) -> Option<Trouble> {
        let masters = self.numbers(|seat| matches!(seat, Seat::Master));
        let others = self.numbers(|seat| matches!(seat, Seat::Agent { .. } | Seat::Framework(_)));
        let (one, other) = (*chance.one_of(&masters)?, *chance.one_of(&others)?);
        let (span, short) = (chance.millis(500, 60_000), chance.millis(100, 5_000));
        let master = chance.in_thousand(300).then_some(one);
        let master_or_other = if chance.in_thousand(700) { one } else { other };
        Some(match chance.below(20) {
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
            11 => Trouble::Break(master_or_other),
            12 | 13 => Trouble::DeleteSeat(short),
            14 | 15 => Trouble::RaiseByHand(chance.millis(1_000, 20_000)),
            16 => Trouble::SuspendLeader(chance.millis(1_000, 90_000)),
            17 => Trouble::EndSession(master_or_other),
            _ => Trouble::LoseAnswer { written: chance.in_thousand(500) },
        })
    }

    pub(super) fn election_goes_wrong(&mut self, trouble: Trouble) {
        let (now, leader) = (self.queue.now(), self.leader);
        match trouble {
            Trouble::KillLeader => return self.kill(leader, false),
            Trouble::FreezeLeader(span) => return self.freeze(leader, span),
            Trouble::SuspendLeader(span) => return self.suspend(leader, span),
            Trouble::CutLeaderFromAll(span) => self.cut_off_agents(leader, span),
            Trouble::RaiseByHand(span) => {
                let restart = Fault::Election(Trouble::RestartServers);
                self.queue.after(span, Due::Fault(restart));
            }
            Trouble::Cut { .. } | Trouble::CutFinder(..) | Trouble::Away(_) => (),
            Trouble::Slow(_) | Trouble::Break(_) | Trouble::DeleteSeat(_) => (),
            Trouble::RestartServers | Trouble::LoseAnswer { .. } => (),
            Trouble::EndSession(_) => (),
        }
        let Some(elections) = &mut self.elections else {
            return;
        };
        match trouble {
            Trouble::KillLeader | Trouble::FreezeLeader(_) | Trouble::SuspendLeader(_) => (),
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
            Trouble::EndSession(process) => elections.end_session(now, process),
            Trouble::RaiseByHand(_) => elections.raise_by_hand(),
            Trouble::RestartServers => elections.restart_servers(),
            Trouble::LoseAnswer { written } => elections.lose_answer(written),
            Trouble::DeleteSeat(span) => {
                elections.deafen(leader, now + span);
                elections.delete_lowest(now);
            }
        }
    }
}
