//! After all is put right: one leads, all come back to it, and all come to agree, each within a bounded time.

use std::time::Duration;

use sdk::logic::Phase;

use crate::elections::Elections;
use crate::network::SILENCE;
use crate::process::{Body, Process, Seat};
use crate::properties::{BACK, LEADER};
use crate::schedulers::Scripted;
use crate::world::{World, pid_of};

/// What may be added to a time-out, each time. Once everybody is there and goes on, one leads and all know it within a session's.
/// Once one leads, all are back within the longer one of a session's and a connection's, [`SILENCE`]: what connection is dead is
/// noticed within that, what was dialled in vain is given up after half of it; then all ask again, at least every two seconds, and
/// whoever has to wait in line is called, or asks again within two if that was lost. Once all are back, nobody knows anything
/// that others do not within the same: a launch without any word of it is in doubt after half of that, what is in doubt is asked
/// about every two seconds, what could not be told is told again after one. See `docs/adr/0011-how-soon-all-is-known-again.md`.
const BESIDE: Duration = Duration::from_secs(2);
/// Who stands still goes on within so long, and who is dead starts sooner.
const ALL_THERE_WITHIN: Duration = Duration::from_secs(200);
/// How long after that all have to agree, with nothing left to do.
const AGREE_WITHIN: Duration = Duration::from_secs(900);
/// How often it is looked whether they do.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The same, of what takes longer.
const LOOK_AT_ALL_EVERY: Duration = Duration::from_secs(5);
/// For how long after that nothing may change.
const REST: Duration = Duration::from_secs(20);

/// How long it took to come right again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Healing {
    /// Since everybody was there: until one led, and all knew.
    pub led: Duration,
    /// Since then: until all were with it, but for schedulers that are elected themselves.
    pub back: Duration,
    /// Since then: until those were.
    pub followed: Duration,
    /// Since then: until nobody knew anything that others did not.
    pub truth: Duration,
    /// Since then: until all agreed, and had nothing left to do.
    pub agreed: Duration,
}

impl World {
    /// All is healed: everything has to come right now.
    pub(crate) fn come_to_rest(&mut self) {
        self.wait_for_all();
        let there = self.queue.now();
        if !self.come_to_lead() {
            return;
        }
        let led = self.queue.now();
        self.healing.led = led - there;
        let session = self.elections.as_ref().map_or(SILENCE, Elections::timeout);
        let longest = session.max(SILENCE);
        let Some(elected) = self.come_back(led, longest + BESIDE) else {
            return;
        };
        self.healing.back = self.queue.now() - led;
        if !self.elected_come_back(elected + longest + BESIDE) {
            return;
        }
        let back = self.queue.now();
        self.healing.followed = back - led - self.healing.back;
        if !self.come_to_truth(back + longest + BESIDE) {
            return;
        }
        let known = self.queue.now();
        self.healing.truth = known - back;
        if self.come_to_agree(known + AGREE_WITHIN) {
            self.healing.agreed = self.queue.now() - known;
        }
    }

    /// Who stands still goes on, who is dead starts.
    fn wait_for_all(&mut self) {
        let patience = self.queue.now() + ALL_THERE_WITHIN;
        while self.somebody_is_missing() && self.queue.now() < patience {
            if !self.run_until(self.queue.now() + LOOK_EVERY) {
                return;
            }
        }
    }

    fn somebody_is_missing(&self) -> bool {
        self.processes.iter().any(|(number, process)| match &process.seat {
            Seat::Executor { .. } => false,
            Seat::Master => {
                self.is_missing(*number, process) || self.is_left_over(*number, process)
            }
            Seat::Agent { .. } | Seat::Framework(_) => self.is_missing(*number, process),
        })
    }

    fn is_missing(&self, number: u32, process: &Process) -> bool {
        let now = self.queue.now();
        if self.is_over(number) {
            return false;
        }
        if let Some(office) = self.office.as_ref().filter(|_| self.stands_by(number)) {
            return office.elections.frozen_until(number).is_none_or(|until| until > now);
        }
        match &self.elections {
            Some(elections) => elections.frozen_until(number).is_none_or(|until| until > now),
            None => !process.is_up() || process.frozen > Some(now),
        }
    }

    /// Without an ensemble, a master that still has to find out that another leads.
    fn is_left_over(&self, number: u32, process: &Process) -> bool {
        self.elections.is_none() && number != self.leader && process.is_up()
    }

    /// Whether one leads in time once everybody is there, and all know who.
    pub(crate) fn come_to_lead(&mut self) -> bool {
        self.wait_for_all();
        let Some(timeout) = self.elections.as_ref().map(|elections| elections.timeout()) else {
            return true;
        };
        let deadline = self.queue.now() + timeout + BESIDE;
        loop {
            let open = self.elections.as_ref().and_then(|elections| elections.unsettled());
            let Some(words) = open else {
                return true;
            };
            if self.queue.now() >= deadline {
                let who = self.name_of(self.leader).to_owned();
                self.violate(LEADER, words, vec![who]);
                return false;
            }
            if !self.run_until(self.queue.now() + LOOK_EVERY) {
                return false;
            }
        }
    }

    /// Whether all agents, and all schedulers that need not be elected, are with who leads in time since `led`; meanwhile one
    /// has to lead of those that are. Returns since when one does.
    fn come_back(&mut self, led: Duration, within: Duration) -> Option<Duration> {
        let elected_by = self.led_by(led);
        let (mut elected, mut reign, mut since) = (None, self.present_life(self.leader), led);
        loop {
            // A reign to which too many agents had not returned when all was healed ends; all come back to the next one.
            let present = self.present_life(self.leader);
            let is_up = self.processes[&self.leader].is_up();
            if (!is_up || present != reign) && self.queue.now() < led + within {
                (since, reign) = (self.queue.now(), present);
            }
            elected = elected.or_else(|| self.check_led(elected_by));
            let away = self.who_is_away(false);
            if let (None, Some(elected)) = (&away, elected) {
                return Some(elected);
            }
            if let Some((name, words)) = away
                && self.queue.now() >= since + within
            {
                self.violate(BACK, words, vec![name]);
            }
            if !self.run_until(self.queue.now() + LOOK_EVERY) {
                return None;
            }
        }
    }

    /// Whether whoever leads the schedulers that are elected is with the leader in time, as all others are.
    fn elected_come_back(&mut self, deadline: Duration) -> bool {
        while let Some((name, words)) = self.who_is_away(true) {
            if self.queue.now() >= deadline {
                self.violate(BACK, words, vec![name]);
                return false;
            }
            if !self.run_until(self.queue.now() + LOOK_EVERY) {
                return false;
            }
        }
        true
    }

    /// Whether there is a moment in time at which all say the same, while tasks come and go.
    fn come_to_truth(&mut self, deadline: Duration) -> bool {
        while let Some(words) = self.disagreement() {
            if self.queue.now() >= deadline {
                self.violate_agreement(words);
                return false;
            }
            if !self.run_until(self.queue.now() + LOOK_EVERY) {
                return false;
            }
        }
        true
    }

    /// An agent or a scheduler that is not with who leads; of schedulers that are elected only `if_elected`.
    fn who_is_away(&self, if_elected: bool) -> Option<(String, String)> {
        let leader = pid_of(self.present_life(self.leader));
        let (_, process) = self.processes.iter().find(|(number, process)| {
            let with = match (&process.seat, &process.body) {
                (Seat::Executor { .. } | Seat::Master, _) => return false,
                (Seat::Agent { .. }, Some(Body::Agent(body))) => body.agent.master(),
                (Seat::Framework(_), Some(Body::Framework(body))) => {
                    match body.framework.driver().phase() {
                        Phase::Subscribed { master } => Some(*master),
                        Phase::Idle | Phase::Subscribing { .. } => None,
                        Phase::Remembering { .. } | Phase::Ended => None,
                    }
                }
                (Seat::Agent { .. } | Seat::Framework(_), _) => None,
            };
            let waits = self.stands_by(**number) && !(if_elected && process.is_up());
            with != Some(leader) && !self.is_over(**number) && !waits
        })?;
        let words = format!("{} is not with {}", process.name, self.name_of(self.leader));
        Some((process.name.clone(), words))
    }

    /// Until all agree and have nothing left to do, then for a while on.
    fn come_to_agree(&mut self, deadline: Duration) -> bool {
        let mut open = self.disagreement().or_else(|| self.work_left());
        while let Some(words) = open {
            if self.queue.now() >= deadline {
                self.violate_agreement(words);
                return false;
            }
            if !self.run_until(self.queue.now() + LOOK_AT_ALL_EVERY) {
                return false;
            }
            open = self.disagreement().or_else(|| self.work_left());
        }
        let written = self.registry.clone();
        if !self.run_until(self.queue.now() + REST) {
            return false;
        }
        if self.registry != written {
            // A time-out of minutes has come to its end: a framework without a scheduler is removed, say. All agree anew.
            if self.queue.now() < deadline {
                return self.come_to_agree(deadline);
            }
            self.violate_agreement("the registry is written again and again".to_owned());
            return false;
        }
        if let Some(words) = self.disagreement() {
            self.violate_agreement(format!("at rest: {words}"));
            return false;
        }
        true
    }

    /// What scripted schedulers have not done yet, and what still runs of those that are gone.
    fn work_left(&self) -> Option<String> {
        let agents = self.processes.keys().filter_map(|number| self.agent_in(*number));
        let mut live = agents.flat_map(|agent| agent.tasks()).filter(|(.., state)| !state.is_end());
        if let Some((_, task, state)) = live.next() {
            return Some(format!("{task} is {state:?}"));
        }
        for (number, process) in &self.processes {
            if self.is_over(*number) {
                continue;
            }
            if let Some(scheduler) = self.scheduler_in::<Scripted>(*number)
                && !scheduler.is_done()
            {
                return Some(format!("{} has not done {}", process.name, scheduler.left()));
            }
        }
        None
    }
}
