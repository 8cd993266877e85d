//! Elections without masters: candidates that only write numbers, from seeds.

use super::*;
use crate::queue::Queue;

/// How long after all is healed one must lead, beside a session's time-out.
const MORE: Duration = Duration::from_secs(2);

struct World {
    elections: Elections<u64>,
    queue: Queue<Due>,
    chance: Chance,
    candidates: Vec<u32>,
    finders: Vec<u32>,
    /// In the registry.
    registry: Vec<u64>,
    /// Acknowledged to whoever wrote it.
    acknowledged: Vec<u64>,
    numbers: u64,
    reigns: u32,
    wrong: Option<(&'static str, String)>,
    lines: Vec<String>,
}

enum Due {
    Elections(Happening<u64>),
    Write(u32, u64),
    Start(u32),
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let timeout = chance.millis(4_000, 12_000);
        let elections = Elections::new(chance.split(), timeout);
        let candidates: Vec<u32> = (1..=u32::try_from(chance.between(1, 4)).unwrap()).collect();
        let finders: Vec<u32> = (11..=u32::try_from(chance.between(11, 13)).unwrap()).collect();
        let mut world = Self {
            elections,
            queue: Queue::default(),
            chance,
            candidates,
            finders,
            registry: Vec::new(),
            acknowledged: Vec::new(),
            numbers: 0,
            reigns: 0,
            wrong: None,
            lines: Vec::new(),
        };
        for process in world.candidates.clone() {
            world.queue.at(world.chance.millis(0, 2_000), Due::Start(process));
        }
        for process in world.finders.clone() {
            world.elections.look(Duration::ZERO, process);
        }
        world
    }

    fn run_until(&mut self, until: Duration) {
        loop {
            for (at, happening) in self.elections.take_due() {
                self.queue.at(at, Due::Elections(happening));
            }
            let Some(due) = self.queue.pop_until(until) else {
                return self.queue.rest_until(until);
            };
            let now = self.queue.now();
            match due {
                Due::Elections(happening) => {
                    for brought in self.elections.happen(now, happening) {
                        self.bring(brought);
                    }
                }
                Due::Write(process, epoch) => self.write(process, epoch),
                Due::Start(process) if !self.elections.is_up(process) => {
                    self.elections.stand(now, process);
                }
                Due::Start(_) => (),
            }
        }
    }

    fn write(&mut self, process: u32, epoch: u64) {
        if self.elections.reigning().iter().any(|(p, e, _)| (*p, *e) == (process, epoch)) {
            self.numbers += 1;
            self.elections.write(self.queue.now(), process, self.numbers);
        }
    }

    fn bring(&mut self, brought: Brought<u64>) {
        self.lines.push(format!("{:?} {brought:?}", self.queue.now()));
        match brought {
            Brought::Leads { process, epoch, .. } => {
                self.reigns += 1;
                self.queue.after(Duration::from_millis(5), Due::Write(process, epoch));
            }
            Brought::Applied(number) => self.registry.push(number),
            Brought::Wrote { process, epoch, what } => {
                self.acknowledged.push(what);
                let after = self.chance.millis(0, 400);
                self.queue.after(after, Due::Write(process, epoch));
            }
            Brought::Wrong(property, words) => {
                self.wrong.get_or_insert((property, words));
            }
            Brought::Suspends(_) | Brought::Resumes(_) => (),
            Brought::Deposed(..) | Brought::Finds { .. } => (),
        }
    }

    fn go_wrong(&mut self) {
        let (now, span) = (self.queue.now(), self.chance.millis(200, 60_000));
        let all: Vec<u32> = [&self.candidates[..], &self.finders[..]].concat();
        let any = *self.chance.one_of(&all).unwrap();
        let leader = self.elections.reigning().first().map_or(any, |(process, ..)| *process);
        let process = if self.chance.in_thousand(600) { leader } else { any };
        match self.chance.below(13) {
            0 if self.candidates.contains(&process) => {
                self.elections.end(process);
                let after = self.chance.millis(200, 8_000);
                self.queue.after(after, Due::Start(process));
            }
            0 | 1 => self.elections.freeze(process, now + span),
            2 => self.elections.mute(process, now + span),
            3 => self.elections.deafen(process, now + span),
            4 => {
                self.elections.mute(process, now + span);
                self.elections.deafen(process, now + span);
            }
            5 => self.elections.go_away(now + span),
            6 => self.elections.slow_down(now + span),
            7 => {
                for brought in self.elections.break_connection(now, process) {
                    self.bring(brought);
                }
            }
            8 => self.elections.end_session(now, process),
            9 => self.elections.raise_by_hand(),
            10 => {
                let written = self.chance.in_thousand(500);
                self.elections.lose_answer(written);
            }
            11 => {
                self.elections.freeze(process, now + span);
                self.elections.forgets_time(process, span);
            }
            _ => {
                self.elections.deafen(leader, now + span / 10);
                self.elections.delete_lowest(now);
            }
        }
    }

    fn all_are_there(&self) -> bool {
        let now = self.queue.now();
        let there = |process: &u32| self.elections.frozen_until(*process).is_some_and(|u| u <= now);
        self.candidates.iter().chain(&self.finders).all(there)
    }

    /// Trouble, then healing: what was wrong, if anything.
    fn live(&mut self) -> Option<(&'static str, String)> {
        for _ in 0..self.chance.between(0, 20) {
            let next = self.queue.now() + self.chance.millis(10, 15_000);
            self.run_until(next);
            self.go_wrong();
        }
        self.elections.heal(self.queue.now());
        while !self.all_are_there() {
            self.run_until(self.queue.now() + HELD);
        }
        let deadline = self.queue.now() + self.elections.timeout() + MORE;
        while self.elections.unsettled().is_some() && self.queue.now() < deadline {
            self.run_until(self.queue.now() + HELD);
        }
        if let (None, Some(words)) = (&self.wrong, self.elections.unsettled()) {
            self.wrong = Some(("one leads in time", words));
        }
        self.wrong.take()
    }
}

#[test]
fn elections_keep_their_promises_whatever_goes_wrong() {
    let (mut reigns, mut written) = (0, 0);
    for seed in 1..=300 {
        let mut world = World::new(seed);
        let wrong = world.live();
        assert_eq!(wrong, None, "seed {seed}:\n{}", world.lines.join("\n"));
        let lost = world.acknowledged.iter().find(|number| !world.registry.contains(number));
        assert_eq!(lost, None, "seed {seed}");
        reigns += world.reigns;
        written += world.registry.len();
    }
    assert!(reigns > 600 && written > 10_000, "{reigns} reigns wrote {written} batches");
}

#[test]
fn a_seed_gives_the_same_election_again() {
    let lines = |seed| {
        let mut world = World::new(seed);
        world.live();
        world.lines
    };
    assert_eq!(lines(3), lines(3));
    assert_ne!(lines(3), lines(4));
}
