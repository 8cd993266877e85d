//! The part of a scheduler's process that stands for election and keeps the state: what elections bring, done to the world,
//! as the SDK's `election` and its actor do it.

use std::time::Duration;

use sdk::logic::{Event as FrameworkEvent, Outcome};
use sdk::state::Stored;

use crate::elections::{Brought, Happening};
use crate::network::Life;
use crate::office::{Keep, Kept, Next, Office};
use crate::process::{Body, StateWrite};
use crate::said::Event;
use crate::world::{Due, World};

/// Before a scheduler that was deposed stands again.
const AGAIN: Duration = Duration::from_secs(1);

impl World {
    /// Whether this process is one of several schedulers of its framework.
    pub(crate) fn stands_by(&self, process: u32) -> bool {
        self.office.as_ref().is_some_and(|office| office.posts.contains_key(&process))
    }

    /// Something happens between a scheduler's process and the ensemble.
    pub(crate) fn on_office(&mut self, happening: Happening<Kept>) {
        let now = self.queue.now();
        if let Some(office) = &mut self.office {
            let brought = office.elections.happen(now, happening);
            self.bring_from_office(brought);
        }
    }

    pub(crate) fn bring_from_office(&mut self, brought: Vec<Brought<Kept>>) {
        for brought in brought {
            match brought {
                Brought::Leads { process, id, epoch } => {
                    self.note(process, format_args!("is elected as {id} in epoch {epoch}"));
                    self.takes_over(process);
                }
                Brought::Suspends(process) => {
                    self.hear_standing(process, FrameworkEvent::Suspended)
                }
                Brought::Resumes(process) => {
                    self.hear_standing(process, FrameworkEvent::Resumed);
                    self.keep_on(process);
                }
                Brought::Deposed(process, why) => self.scheduler_deposed(process, why),
                Brought::Applied(kept) => {
                    self.truth.checks += 1;
                    if let Some(office) = &mut self.office {
                        office.apply(kept);
                    }
                }
                Brought::Wrote { process, what, .. } => {
                    if let Some(post) = self.post(process) {
                        post.wrote();
                    }
                    self.is_kept(process, what.what);
                    self.keep_on(process);
                }
                Brought::Finds { .. } => (),
                Brought::Wrong(property, words) => self.violate(property, words, Vec::new()),
            }
        }
    }

    fn post(&mut self, process: u32) -> Option<&mut crate::office::Post> {
        self.office.as_mut()?.posts.get_mut(&process)
    }

    fn hear_standing(&mut self, process: u32, event: FrameworkEvent) {
        self.step(self.present_life(process), Event::Framework(event));
    }

    /// A scheduler's process starts, and stands for election.
    pub(crate) fn start_standing(&mut self, process: u32) {
        let now = self.queue.now();
        if let Some(office) = self.office.as_mut().filter(|o| !o.elections.is_up(process)) {
            office.stands(process);
            office.elections.stand(now, process);
            self.note(process, "stands for election");
        }
    }

    fn takes_over(&mut self, process: u32) {
        match self.office.as_mut().map(|office| office.takes_over(process)) {
            Some(Ok(Some(stored))) => self.begin_to_lead(process, stored),
            Some(Ok(None)) => self.keep_on(process),
            Some(Err(_)) => {
                self.note(process, "ends: its framework was torn down while it stood by");
                self.closes(process, &Outcome::TornDown);
            }
            None => (),
        }
    }

    fn begin_to_lead(&mut self, process: u32, stored: Stored) {
        self.check_takes_over(process, &stored);
        if let Some(seat) = self.framework_seat(process) {
            (seat.remembered, seat.stored) = (stored.framework, stored.entries);
        }
        let leads = self.office.as_ref().is_some_and(|office| office.elections.leads(process));
        let standing = if leads { FrameworkEvent::Resumed } else { FrameworkEvent::Suspended };
        self.begin_framework(process, Some(standing));
    }

    fn scheduler_deposed(&mut self, process: u32, why: String) {
        self.note(process, format_args!("is deposed: {why}"));
        let Some(post) = self.post(process) else {
            return;
        };
        post.give_up();
        // Who has not begun stands again, as the same process.
        if post.closing.is_some() {
            self.close_if_done(process);
        } else if self.processes[&process].is_up() {
            self.hear_standing(process, FrameworkEvent::Deposed(why));
        }
    }

    /// A scheduler that was elected has something to keep.
    pub(crate) fn keep(&mut self, life: Life, what: Keep) {
        if let Some(post) = self.post(life.process) {
            post.keep(what);
        }
        // Not within the step that wants it.
        self.queue.after(Duration::ZERO, Due::Keep(life));
    }

    /// What is next to be kept.
    pub(crate) fn keep_on(&mut self, process: u32) {
        let now = self.queue.now();
        loop {
            let Some(office) = &mut self.office else {
                return;
            };
            match office.next(process) {
                Next::Nothing => return self.close_if_done(process),
                Next::Write(kept) => return office.elections.write(now, process, kept),
                Next::Done(kept) => self.is_kept(process, kept.what),
            }
        }
    }

    /// It is in the ensemble, or needs not be.
    fn is_kept(&mut self, process: u32, what: Keep) {
        let life = self.present_life(process);
        let write = match what {
            Keep::Clear(Some(stored)) => return self.begin_to_lead(process, stored),
            Keep::Clear(None) | Keep::Forget => return,
            Keep::Write(write) => write,
        };
        let event = match write {
            StateWrite::Remember(framework) => {
                if let Some(seat) = self.framework_seat(process) {
                    seat.remembered = Some(framework.clone());
                }
                FrameworkEvent::Remembered(framework)
            }
            StateWrite::Store { number, .. } => {
                let process = self.processes.get_mut(&process).expect("it has something to keep");
                if let Some(Body::Framework(body)) = &mut process.body {
                    body.stored = number;
                }
                FrameworkEvent::Stored(number)
            }
        };
        self.step(life, Event::Framework(event));
    }

    /// The scheduler of a process that leads has ended: what it wanted to keep is kept before the process ends or stands
    /// again.
    pub(crate) fn closes(&mut self, process: u32, outcome: &Outcome) {
        let again = match outcome {
            Outcome::Deposed(_) | Outcome::FailedOver => true,
            Outcome::Stopped | Outcome::TornDown | Outcome::Refused(_) => false,
        };
        self.processes.get_mut(&process).expect("it ends").supervised = again;
        if let Some(post) = self.post(process) {
            post.closing = Some(again);
        }
        self.queue.after(Duration::ZERO, Due::Keep(self.present_life(process)));
    }

    fn close_if_done(&mut self, process: u32) {
        let now = self.queue.now();
        let Some(post) = self.post(process).filter(|post| post.is_idle()) else {
            return;
        };
        let Some(again) = post.closing.take() else {
            return;
        };
        if let Some(office) = &mut self.office {
            office.elections.close(now, process);
        }
        if again {
            self.queue.after(AGAIN, Due::Start(process));
        }
    }

    /// A scheduler's process is killed, whether it leads or not; it comes back, unless it was about to end for good.
    pub(crate) fn stand_by_dies(&mut self, process: u32) {
        let is_up = |office: &&mut Office| office.elections.is_up(process);
        let Some(office) = self.office.as_mut().filter(is_up) else {
            return;
        };
        office.elections.end(process);
        if let Some(post) = office.posts.get_mut(&process) {
            post.give_up();
            post.closing = None;
        }
        if self.processes[&process].supervised {
            let after = self.chance.millis(200, 20_000);
            self.queue.after(after, Due::Start(process));
        }
    }
}
