//! The shell of a scheduler: its state directory and its messages.

use protocol::framework::FrameworkToMaster;
use sdk::logic::{Effect, Event as FrameworkEvent, Outcome, Pid};

use crate::network::{Life, Sent};
use crate::office::Keep;
use crate::process::{FrameworkBody, Seat, StateWrite};
use crate::said::{Event, Said};
use crate::world::World;

impl World {
    /// Whether the process goes on.
    pub(crate) fn step_framework(
        &mut self,
        life: Life,
        body: &mut FrameworkBody,
        event: Event,
    ) -> bool {
        let event = match event {
            Event::Framework(event) => event,
            Event::WriteDone => match self.state_written(life, body) {
                Some(event) => event,
                None => return true,
            },
            Event::Master(_) | Event::Allocator(_) => return true,
            Event::Proposals(_) | Event::AllocatorHasRoom => return true,
            Event::Agent(_) | Event::Executor(_) | Event::Custom(_) | Event::Author(..) => {
                return true;
            }
        };
        let now = self.shown(life.process);
        let heard = event.clone();
        let step = body.framework.step(now, event);
        self.note(life.process, format_args!("{heard:?} -> {:?}", step.effects));
        self.check_told(life, body);
        self.see_launches(life, body);
        self.check_view(life, body);
        self.use_what_is_gone(life, body, &heard);
        let mut no_room = None;
        for (n, effect) in step.effects.into_iter().enumerate() {
            if self.dies_now(life, n) {
                return false;
            }
            match effect {
                Effect::TellMaster { to, message } => {
                    self.framework_tells(life, body, &mut no_room, (to, message));
                }
                Effect::Link(pid) => self.link(life, pid),
                Effect::Unlink(pid) => self.unlink(life, pid),
                Effect::Remember(framework) => {
                    self.write_state(life, body, StateWrite::Remember(framework));
                }
                Effect::Forget => self.forget_state(life),
                Effect::Warn(_) => (),
                Effect::Store { number, entries } => {
                    self.write_state(life, body, StateWrite::Store { number, entries });
                }
                Effect::StartTimer { timer, after } => {
                    self.timer(life, after, Event::Framework(FrameworkEvent::TimerFired(timer)));
                }
                Effect::End(outcome) => {
                    self.scheduler_ends(life, outcome);
                    return false;
                }
            }
        }
        match no_room {
            None => true,
            Some((to, messages)) => {
                let event = FrameworkEvent::NoRoom { to, messages };
                self.step_framework(life, body, Event::Framework(event))
            }
        }
    }

    /// As the real actor does: what finds no room, and what is said to the same master after it, is given back.
    fn framework_tells(
        &mut self,
        life: Life,
        body: &mut FrameworkBody,
        no_room: &mut Option<(Pid, Vec<FrameworkToMaster>)>,
        (to, mut message): (Option<Pid>, FrameworkToMaster),
    ) {
        if let Some((full, waiting)) = no_room
            && to == Some(*full)
        {
            return waiting.push(message);
        }
        self.check_may_speak(life, &message);
        let as_meant = message.clone();
        self.launch_again(life, body, &mut message);
        let said = Said::FrameworkToMaster(message);
        let sent = match to {
            Some(pid) => self.tell(life, pid, said),
            None => self.tell_leader(life, said),
        };
        match (sent, to) {
            (Sent::Full, Some(to)) => *no_room = Some((to, vec![as_meant])),
            (Sent::Accepted, _) => {
                self.check_launches(life, &as_meant);
                self.check_acknowledged(life, body, &as_meant);
            }
            (Sent::Full | Sent::Unreachable, _) => {
                self.soon(life, Event::Framework(FrameworkEvent::NotSent { to }));
            }
        }
    }

    fn write_state(&mut self, life: Life, body: &mut FrameworkBody, write: StateWrite) {
        if self.stands_by(life.process) {
            return self.keep(life, Keep::Write(write));
        }
        body.pending.write(write);
        self.writes(life);
    }

    fn state_written(&mut self, life: Life, body: &mut FrameworkBody) -> Option<FrameworkEvent> {
        let write = body.pending.done()?;
        if let Some(seat) = self.framework_seat(life.process) {
            seat.apply(&write);
        }
        if let StateWrite::Store { number, .. } = &write {
            body.stored = *number;
        }
        Some(match write {
            StateWrite::Remember(framework) => FrameworkEvent::Remembered(framework),
            StateWrite::Store { number, .. } => FrameworkEvent::Stored(number),
        })
    }

    pub(crate) fn framework_seat(
        &mut self,
        process: u32,
    ) -> Option<&mut crate::process::FrameworkSeat> {
        match &mut self.processes.get_mut(&process)?.seat {
            Seat::Framework(seat) => Some(seat),
            Seat::Master | Seat::Agent { .. } | Seat::Executor { .. } => None,
        }
    }

    fn forget_state(&mut self, life: Life) {
        if let Some(seat) = self.framework_seat(life.process) {
            seat.forget();
        }
        if self.stands_by(life.process) {
            self.keep(life, Keep::Forget);
        }
    }

    fn scheduler_ends(&mut self, life: Life, outcome: Outcome) {
        self.note(life.process, format_args!("ends: {outcome}"));
        self.check_scheduler_may_end(life, &outcome);
        if self.stands_by(life.process) {
            return self.closes(life.process, &outcome);
        }
        if let Some(seat) = self.framework_seat(life.process) {
            seat.outcome = Some(outcome);
        }
        let process = self.processes.get_mut(&life.process).expect("it takes a step");
        process.supervised = false;
    }
}
