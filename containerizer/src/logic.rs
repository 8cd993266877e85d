//! The life of a container, decided: what is done next, and how it is undone. Pure: events in, effects out; whoever performs
//! them says how it went by a named event. Every phase is checkpointed before anything of it is done, so that whoever finds the
//! checkpoint knows what there may be; destruction may be asked for in any, and undoes in reverse order what was begun.
//!
//! ```text
//! Provisioning -> Preparing -> Isolating -> Fetching -> Running
//!        \____________\____________\___________\__________\____-> Destroying -> gone
//! ```

use serde::{Deserialize, Serialize};

use crate::isolator::Limitation;
use crate::runtime::Exit;

/// How far a life has come; as Mesos has it. On disk: variants are only added, at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Its root is got ready.
    Provisioning,
    /// Isolators prepare, one after the other, and its init is started.
    Preparing,
    /// Its init waits; isolators take it in.
    Isolating,
    /// Files are fetched into it.
    Fetching,
    /// It was let go.
    Running,
    /// All of that is undone.
    Destroying,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It begins.
    Launch,
    /// [`Effect::Provision`] is done, or why not.
    Provisioned(Result<(), String>),
    /// [`Effect::Prepare`] of this isolator is.
    Prepared(usize, Result<(), String>),
    /// [`Effect::Start`] is.
    Started(Result<(), String>),
    /// [`Effect::Isolate`] by this isolator is.
    Isolated(usize, Result<(), String>),
    /// [`Effect::Fetch`] is.
    Fetched(Result<(), String>),
    /// Its init is gone, and with it all its processes; how its program ended.
    Exited(Exit),
    /// An isolator says that it went beyond a limit.
    Limited(Limitation),
    /// Somebody wants it gone.
    Destroy,
    /// [`Effect::Kill`] is done: no process of it is left, or why that cannot be said.
    Killed(Result<(), String>),
    /// [`Effect::CleanUp`] of this isolator is.
    CleanedUp(usize, Result<(), String>),
    /// [`Effect::Deprovision`] is.
    Deprovisioned(Result<(), String>),
    /// What could not be undone is to be tried again.
    TryAgain,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write down how far it is, before what follows.
    Checkpoint(Phase),
    /// Get its root ready.
    Provision,
    /// Have the isolator of this place prepare.
    Prepare(usize),
    /// Start its init, which waits, and write down which process it is.
    Start,
    /// Have the isolator take the waiting init in, and watch it from then on.
    Isolate(usize),
    /// Fetch its files.
    Fetch,
    /// Let the program go.
    Release,
    /// Give up what is under way; its event comes all the same.
    Abandon,
    /// End all its processes, if there are any.
    Kill,
    /// Have the isolator undo what it did, whether that was all or half of it or nothing.
    CleanUp(usize),
    /// Remove its root's upper layer.
    Deprovision,
    /// Remove what is written down of it.
    Forget,
    /// Say that it is over, and how.
    Tell(Termination),
}

/// How a life ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Termination {
    /// How its program did; `None`: it never ran.
    pub exit: Option<Exit>,
    /// Why it did not run, or not to its own end.
    pub why: Option<String>,
    /// The limit for which it was ended, if it was for one.
    pub limitation: Option<Limitation>,
    /// What could not be undone; then it is not forgotten.
    pub left: Vec<String>,
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    New,
    Provisioning,
    /// This isolator prepares; `None`: init is being started.
    Preparing(Option<usize>),
    /// This isolator takes it in.
    Isolating(usize),
    Fetching,
    Running,
    Destroying(Undoing),
    /// With what is left.
    Gone(Undone),
}

/// What is being undone.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Undoing {
    /// What was under way has not said yet how it went.
    Awaiting(Awaited),
    Killing,
    /// By this isolator; those before it are next.
    CleaningUp(usize),
    Deprovisioning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Provisioned,
    Prepared(usize),
    Started,
    Isolated(usize),
    Fetched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Undone {
    Forgotten,
    InPart,
}

/// One container's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    isolators: usize,
    state: State,
    /// Isolators that have begun to prepare.
    begun: usize,
    exit: Option<Exit>,
    why: Option<String>,
    limitation: Option<Limitation>,
    left: Vec<String>,
    told: bool,
}

/// What is found of a container whose starter is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// How far it had come; `None`: that cannot be read.
    pub phase: Option<Phase>,
    /// Whether its init still is.
    pub alive: bool,
    /// How its program ended, if that was written down.
    pub exit: Option<Exit>,
    /// Whether it is anybody's: one that nobody asks for any more is destroyed.
    pub wanted: bool,
}

impl Life {
    /// Of a container with so many isolators.
    pub fn new(isolators: usize) -> Self {
        Self {
            isolators,
            state: State::New,
            begun: 0,
            exit: None,
            why: None,
            limitation: None,
            left: Vec::new(),
            told: false,
        }
    }

    /// Of one that was found. It runs on if it ran and is wanted; all else is undone.
    pub fn found(isolators: usize, found: Found) -> (Self, Vec<Effect>) {
        let mut life = Self { begun: isolators, ..Self::new(isolators) };
        let ran = matches!(found.phase, Some(Phase::Running | Phase::Destroying));
        if found.phase == Some(Phase::Running) && found.alive && found.wanted {
            life.state = State::Running;
            return (life, Vec::new());
        }
        if ran {
            life.exit = Some(found.exit.unwrap_or(Exit::Unknown));
        }
        if !ran || found.alive {
            life.why = Some(match found.wanted {
                true => "its starter was gone before it ran".into(),
                false => "nobody asks for it any more".into(),
            });
        }
        let effects = life.kill();
        (life, effects)
    }

    /// How far it is; `None`: it has not begun, or is gone.
    pub fn phase(&self) -> Option<Phase> {
        match self.state {
            State::New | State::Gone(_) => None,
            State::Provisioning => Some(Phase::Provisioning),
            State::Preparing(_) => Some(Phase::Preparing),
            State::Isolating(_) => Some(Phase::Isolating),
            State::Fetching => Some(Phase::Fetching),
            State::Running => Some(Phase::Running),
            State::Destroying(_) => Some(Phase::Destroying),
        }
    }

    /// What follows. An event that belongs to nothing that is under way changes nothing.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Launch => self.on_launch(),
            Event::Provisioned(done) => self.on_done(Awaited::Provisioned, done),
            Event::Prepared(place, done) => self.on_done(Awaited::Prepared(place), done),
            Event::Started(done) => self.on_done(Awaited::Started, done),
            Event::Isolated(place, done) => self.on_done(Awaited::Isolated(place), done),
            Event::Fetched(done) => self.on_done(Awaited::Fetched, done),
            Event::Exited(exit) => self.on_exited(exit),
            Event::Limited(limitation) => self.on_limited(limitation),
            Event::Destroy => self.on_destroy(),
            Event::Killed(done) => self.on_killed(done),
            Event::CleanedUp(place, done) => self.on_cleaned_up(place, done),
            Event::Deprovisioned(done) => self.on_deprovisioned(done),
            Event::TryAgain => self.on_try_again(),
        }
    }

    fn on_launch(&mut self) -> Vec<Effect> {
        if self.state != State::New {
            return Vec::new();
        }
        self.state = State::Provisioning;
        vec![Effect::Checkpoint(Phase::Provisioning), Effect::Provision]
    }

    /// What is under way, if it is a step towards running.
    fn awaited(&self) -> Option<Awaited> {
        match self.state {
            State::Provisioning => Some(Awaited::Provisioned),
            State::Preparing(Some(place)) => Some(Awaited::Prepared(place)),
            State::Preparing(None) => Some(Awaited::Started),
            State::Isolating(place) => Some(Awaited::Isolated(place)),
            State::Fetching => Some(Awaited::Fetched),
            State::New | State::Running | State::Destroying(_) | State::Gone(_) => None,
        }
    }

    fn on_done(&mut self, what: Awaited, done: Result<(), String>) -> Vec<Effect> {
        if self.state == State::Destroying(Undoing::Awaiting(what)) {
            return self.kill();
        }
        if self.awaited() != Some(what) {
            return Vec::new();
        }
        match done {
            Ok(()) => self.go_on(what),
            Err(why) => {
                self.why.get_or_insert(why);
                self.kill()
            }
        }
    }

    fn go_on(&mut self, done: Awaited) -> Vec<Effect> {
        match done {
            Awaited::Provisioned => {
                let mut effects = vec![Effect::Checkpoint(Phase::Preparing)];
                effects.extend(self.prepare(0));
                effects
            }
            Awaited::Prepared(place) => self.prepare(place + 1),
            Awaited::Started => {
                let mut effects = vec![Effect::Checkpoint(Phase::Isolating)];
                effects.extend(self.isolate(0));
                effects
            }
            Awaited::Isolated(place) => self.isolate(place + 1),
            Awaited::Fetched => {
                self.state = State::Running;
                vec![Effect::Checkpoint(Phase::Running), Effect::Release]
            }
        }
    }

    fn prepare(&mut self, place: usize) -> Vec<Effect> {
        if place < self.isolators {
            self.begun = place + 1;
            self.state = State::Preparing(Some(place));
            vec![Effect::Prepare(place)]
        } else {
            self.state = State::Preparing(None);
            vec![Effect::Start]
        }
    }

    fn isolate(&mut self, place: usize) -> Vec<Effect> {
        if place < self.isolators {
            self.state = State::Isolating(place);
            vec![Effect::Isolate(place)]
        } else {
            self.state = State::Fetching;
            vec![Effect::Checkpoint(Phase::Fetching), Effect::Fetch]
        }
    }

    fn on_exited(&mut self, exit: Exit) -> Vec<Effect> {
        match &self.state {
            State::Running => {
                self.exit = Some(exit);
                self.kill()
            }
            // Before it was let go there is a step under way, which fails or is awaited; after, its end is what is wanted.
            State::Isolating(_) | State::Fetching | State::Preparing(_) => {
                self.why.get_or_insert_with(|| "its init ended before it was let go".into());
                self.abandon()
            }
            State::Destroying(_) => {
                if let Some(known) = &mut self.exit
                    && *known == Exit::Unknown
                {
                    *known = exit;
                }
                Vec::new()
            }
            State::New | State::Provisioning | State::Gone(_) => Vec::new(),
        }
    }

    /// The first limit counts; what is undone already ends for whatever it ends.
    fn on_limited(&mut self, limitation: Limitation) -> Vec<Effect> {
        if matches!(self.state, State::New | State::Destroying(_) | State::Gone(_)) {
            return Vec::new();
        }
        self.why.get_or_insert_with(|| limitation.words.clone());
        self.limitation = Some(limitation);
        self.on_destroy()
    }

    fn on_destroy(&mut self) -> Vec<Effect> {
        match &self.state {
            State::New => {
                self.state = State::Gone(Undone::Forgotten);
                self.why = Some("it was destroyed before it began".into());
                vec![Effect::Forget, Effect::Tell(self.termination())]
            }
            State::Running => {
                self.exit = Some(Exit::Unknown);
                self.why.get_or_insert_with(|| "it was destroyed".into());
                self.kill()
            }
            State::Provisioning | State::Preparing(_) | State::Isolating(_) | State::Fetching => {
                self.why.get_or_insert_with(|| "it was destroyed".into());
                self.abandon()
            }
            State::Destroying(_) | State::Gone(_) => Vec::new(),
        }
    }

    fn abandon(&mut self) -> Vec<Effect> {
        match self.awaited() {
            Some(awaited) => {
                self.state = State::Destroying(Undoing::Awaiting(awaited));
                vec![Effect::Checkpoint(Phase::Destroying), Effect::Abandon]
            }
            None => self.kill(),
        }
    }

    /// First of all: nothing is cleaned up under a process that still uses it.
    fn kill(&mut self) -> Vec<Effect> {
        let known = matches!(self.state, State::Destroying(_));
        self.state = State::Destroying(Undoing::Killing);
        let checkpoint = (!known).then_some(Effect::Checkpoint(Phase::Destroying));
        checkpoint.into_iter().chain([Effect::Kill]).collect()
    }

    fn on_killed(&mut self, done: Result<(), String>) -> Vec<Effect> {
        if self.state != State::Destroying(Undoing::Killing) {
            return Vec::new();
        }
        match done {
            Ok(()) => self.clean_up(self.begun),
            // What still runs uses the rest: nothing of it is taken away.
            Err(why) => {
                self.left = vec![why];
                self.end()
            }
        }
    }

    /// By the isolator before this place.
    fn clean_up(&mut self, place: usize) -> Vec<Effect> {
        match place.checked_sub(1) {
            Some(place) => {
                self.state = State::Destroying(Undoing::CleaningUp(place));
                vec![Effect::CleanUp(place)]
            }
            None => {
                self.state = State::Destroying(Undoing::Deprovisioning);
                vec![Effect::Deprovision]
            }
        }
    }

    fn on_cleaned_up(&mut self, place: usize, done: Result<(), String>) -> Vec<Effect> {
        if self.state != State::Destroying(Undoing::CleaningUp(place)) {
            return Vec::new();
        }
        self.left.extend(done.err());
        self.clean_up(place)
    }

    fn on_deprovisioned(&mut self, done: Result<(), String>) -> Vec<Effect> {
        if self.state != State::Destroying(Undoing::Deprovisioning) {
            return Vec::new();
        }
        self.left.extend(done.err());
        self.end()
    }

    /// What is left keeps it from being forgotten. Its end is told once.
    fn end(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.left.is_empty() {
            self.state = State::Gone(Undone::Forgotten);
            effects.push(Effect::Forget);
        } else {
            self.state = State::Gone(Undone::InPart);
        }
        if !std::mem::replace(&mut self.told, true) {
            effects.push(Effect::Tell(self.termination()));
        }
        effects
    }

    fn on_try_again(&mut self) -> Vec<Effect> {
        if self.state != State::Gone(Undone::InPart) {
            return Vec::new();
        }
        self.left.clear();
        self.kill()
    }

    fn termination(&self) -> Termination {
        let (why, limitation) = (self.why.clone(), self.limitation.clone());
        Termination { exit: self.exit, why, limitation, left: self.left.clone() }
    }

    /// What could not be undone so far.
    pub fn left(&self) -> &[String] {
        &self.left
    }
}

#[cfg(test)]
mod tests;
