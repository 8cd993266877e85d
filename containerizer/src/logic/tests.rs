//! Lives in all orders of events: with steps that fail, with destruction at any moment, with a starter that dies at any moment
//! and another that finds what is left. A machine of the test's keeps what would really be there.

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

const ISOLATORS: usize = 3;

/// What would be on a machine.
#[derive(Debug, Default)]
struct Machine {
    phase: Option<Phase>,
    root: bool,
    prepared: Vec<usize>,
    alive: bool,
    released: bool,
    /// Steps that were asked for and have not said yet how they went.
    under_way: VecDeque<Effect>,
    told: Vec<Termination>,
    forgotten: bool,
    destroying: bool,
    /// The isolator that cleaned up last, of those that do it now.
    cleaned: Option<usize>,
}

impl Machine {
    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Checkpoint(phase) => self.phase = Some(phase),
                Effect::Release => {
                    assert!(self.alive || self.destroying, "a program that waits is let go");
                    self.released = true;
                }
                Effect::Abandon => self.destroying = true,
                Effect::Forget => {
                    assert!(self.is_bare(), "what is forgotten is nothing: {self:?}");
                    self.forgotten = true;
                }
                Effect::Tell(termination) => self.told.push(termination),
                Effect::Kill => {
                    self.destroying = true;
                    self.under_way.push_back(Effect::Kill);
                }
                step @ (Effect::Provision
                | Effect::Prepare(_)
                | Effect::Start
                | Effect::Isolate(_)
                | Effect::Fetch
                | Effect::CleanUp(_)
                | Effect::Deprovision) => {
                    assert!(self.under_way.is_empty(), "one step at a time");
                    assert!(self.phase.is_some(), "nothing is done before it is checkpointed");
                    self.under_way.push_back(step);
                }
            }
        }
    }

    /// Does the step that is under way: all of it, or half of it and then it fails.
    fn finish(&mut self, fails: bool) -> Option<Event> {
        let said = if fails { Err("it failed".to_owned()) } else { Ok(()) };
        Some(match self.under_way.pop_front()? {
            Effect::Provision => {
                self.root = true;
                Event::Provisioned(said)
            }
            Effect::Prepare(place) => {
                self.prepared.push(place);
                Event::Prepared(place, said)
            }
            Effect::Start => {
                self.alive = !fails;
                Event::Started(said)
            }
            Effect::Isolate(place) => Event::Isolated(place, said),
            Effect::Fetch => Event::Fetched(said),
            Effect::Kill => {
                self.alive &= fails;
                self.cleaned = None;
                Event::Killed(said)
            }
            Effect::CleanUp(place) => {
                assert!(!self.alive, "nothing is cleaned up under a process");
                let before = self.cleaned.replace(place);
                assert!(before.is_none_or(|before| place < before), "in reverse order");
                if !fails {
                    self.prepared.retain(|known| *known != place);
                }
                Event::CleanedUp(place, said)
            }
            Effect::Deprovision => {
                self.root &= fails;
                Event::Deprovisioned(said)
            }
            Effect::Checkpoint(_)
            | Effect::Release
            | Effect::Abandon
            | Effect::Forget
            | Effect::Tell(_) => return None,
        })
    }

    fn is_bare(&self) -> bool {
        !self.root && self.prepared.is_empty() && !self.alive
    }
}

/// What a test does next.
#[derive(Clone, Copy, Debug)]
enum Do {
    Finish {
        fails: bool,
    },
    Exit,
    Limit,
    Destroy,
    TryAgain,
    /// An event that belongs to nothing.
    Stray(u8),
    /// The starter dies; another finds what is left.
    Crash {
        wanted: bool,
    },
}

fn anything() -> impl Strategy<Value = Do> {
    prop_oneof![
        10 => Just(Do::Finish { fails: false }),
        2 => Just(Do::Finish { fails: true }),
        1 => Just(Do::Exit),
        1 => Just(Do::Limit),
        1 => Just(Do::Destroy),
        1 => Just(Do::TryAgain),
        1 => any::<u8>().prop_map(Do::Stray),
        1 => any::<bool>().prop_map(|wanted| Do::Crash { wanted }),
    ]
}

fn stray(number: u8) -> Event {
    let place = usize::from(number / 8) % (ISOLATORS + 1);
    match number % 8 {
        0 => Event::Launch,
        1 => Event::Prepared(place + 7, Ok(())),
        2 => Event::CleanedUp(place + 7, Ok(())),
        3 => Event::Isolated(place + 7, Err("stray".into())),
        4 => Event::Launch,
        5 => Event::CleanedUp(place + 9, Err("stray".into())),
        6 => Event::Prepared(place + 9, Err("stray".into())),
        _ => Event::Isolated(place + 9, Ok(())),
    }
}

fn limitation() -> Limitation {
    Limitation {
        reason: protocol::task::Reason::ContainerLimitation,
        resources: protocol::resources::Resources::none(),
        words: "it took too much".into(),
    }
}

struct World {
    life: Life,
    machine: Machine,
}

impl World {
    fn begun() -> Self {
        let mut world = Self { life: Life::new(ISOLATORS), machine: Machine::default() };
        world.hear(Event::Launch);
        world
    }

    fn hear(&mut self, event: Event) {
        let effects = self.life.step(event);
        self.machine.take(effects);
    }

    fn perform(&mut self, what: Do) {
        match what {
            Do::Finish { fails } => {
                if let Some(event) = self.machine.finish(fails) {
                    self.hear(event);
                }
            }
            Do::Exit if self.machine.alive => {
                self.machine.alive = false;
                self.hear(Event::Exited(Exit::Code(3)));
            }
            Do::Exit => {}
            Do::Limit => self.hear(Event::Limited(limitation())),
            Do::Destroy => self.hear(Event::Destroy),
            Do::TryAgain => self.hear(Event::TryAgain),
            Do::Stray(number) => {
                let before = self.life.clone();
                self.hear(stray(number));
                assert_eq!(before, self.life, "a stray event changes nothing");
            }
            Do::Crash { wanted } => self.crash(wanted),
        }
    }

    /// What was under way is done in part, or not at all: what is found is what was.
    fn crash(&mut self, wanted: bool) {
        if self.machine.forgotten {
            return;
        }
        self.machine.under_way.clear();
        // An init that was not let go ends with its starter.
        self.machine.alive &= self.machine.released;
        let (phase, alive) = (self.machine.phase, self.machine.alive);
        let (life, effects) = Life::found(ISOLATORS, Found { phase, alive, exit: None, wanted });
        self.life = life;
        self.machine.told.clear();
        self.machine.take(effects);
    }

    /// Nothing fails any more.
    fn settle(&mut self) {
        for _ in 0..100 {
            match self.machine.finish(false) {
                Some(event) => self.hear(event),
                None if !self.life.left().is_empty() => self.hear(Event::TryAgain),
                None => return,
            }
        }
        panic!("it never ends: {:?}", self.life);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn cont_01_in_all_orders_of_events_whatever_was_begun_is_undone_before_it_is_forgotten(
        script in proptest::collection::vec(anything(), 0..40),
    ) {
        let mut world = World::begun();
        script.into_iter().for_each(|what| world.perform(what));
        world.settle();
        world.hear(Event::Destroy);
        world.settle();
        prop_assert!(world.machine.forgotten, "{:?}", world.life);
        prop_assert!(world.machine.is_bare());
        prop_assert_eq!(world.life.phase(), None);
        prop_assert!(world.machine.told.len() <= 1);
    }
}

/// Steps taken until a life is in this phase.
fn until(phase: Phase) -> World {
    let mut world = World::begun();
    while world.life.phase() != Some(phase) {
        world.perform(Do::Finish { fails: false });
    }
    world
}

const PHASES: [Phase; 5] =
    [Phase::Provisioning, Phase::Preparing, Phase::Isolating, Phase::Fetching, Phase::Running];

#[test]
fn cont_01_phases_follow_one_another_as_in_mesos() {
    let mut world = World::begun();
    let mut seen = vec![world.life.phase().unwrap()];
    while let Some(event) = world.machine.finish(false) {
        world.hear(event);
        seen.extend(world.life.phase().filter(|phase| seen.last() != Some(phase)));
    }
    assert_eq!(seen, PHASES);
}

#[test]
fn cont_01_destroyed_in_each_phase_it_is_undone_in_reverse_order() {
    for phase in PHASES {
        let mut world = until(phase);
        let begun: BTreeSet<_> = world.machine.prepared.iter().copied().collect();
        world.hear(Event::Destroy);
        let mut undone = Vec::new();
        while let Some(event) = world.machine.finish(false) {
            if let Event::CleanedUp(place, _) = &event {
                undone.push(*place);
            }
            world.hear(event);
        }
        let mut reverse = undone.clone();
        reverse.sort_by(|a, b| b.cmp(a));
        assert_eq!(undone, reverse, "{phase:?}");
        assert!(begun.is_subset(&undone.into_iter().collect()), "{phase:?}");
        assert!(world.machine.forgotten && world.machine.told.len() == 1, "{phase:?}");
    }
}

#[test]
fn iso_27_a_limit_ends_it_in_each_phase_and_the_first_one_counts() {
    for phase in PHASES {
        let mut world = until(phase);
        world.hear(Event::Limited(limitation()));
        world.hear(Event::Limited(Limitation { words: "later".into(), ..limitation() }));
        world.settle();
        assert!(world.machine.forgotten && world.machine.is_bare(), "{phase:?}");
        let told = &world.machine.told[0];
        assert_eq!(told.limitation, Some(limitation()), "{phase:?}");
        assert_eq!(told.why.as_deref(), Some("it took too much"), "{phase:?}");
        assert_eq!(told.exit, (phase == Phase::Running).then_some(Exit::Unknown), "{phase:?}");
    }
    let mut world = until(Phase::Running);
    world.perform(Do::Exit);
    world.hear(Event::Limited(limitation()));
    world.settle();
    assert_eq!(world.machine.told[0].limitation, None, "it had ended by itself");
}

#[test]
fn cont_03_what_is_found_in_each_phase_runs_on_if_it_ran_and_else_is_undone() {
    for phase in PHASES {
        let mut world = until(phase);
        world.crash(true);
        world.settle();
        let runs_on = phase == Phase::Running;
        assert_eq!(world.life.phase(), runs_on.then_some(Phase::Running), "{phase:?}");
        assert_eq!(world.machine.alive, runs_on, "{phase:?}");
    }
    // Nobody asks for it: it is an orphan.
    let mut world = until(Phase::Running);
    world.crash(false);
    world.settle();
    assert!(world.machine.forgotten);
}

#[test]
fn what_cannot_be_undone_is_kept_and_tried_again() {
    let mut world = until(Phase::Running);
    world.hear(Event::Destroy);
    world.perform(Do::Finish { fails: false });
    world.perform(Do::Finish { fails: true });
    for _ in 0..ISOLATORS {
        world.perform(Do::Finish { fails: false });
    }
    assert_eq!(world.life.left(), ["it failed"]);
    assert!(!world.machine.forgotten && world.machine.told.len() == 1);
    world.hear(Event::TryAgain);
    world.settle();
    assert!(world.machine.forgotten && world.machine.told.len() == 1);
}
