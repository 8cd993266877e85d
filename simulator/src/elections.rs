//! The processes around an ensemble: candidates, each with the real election's logic and a registrar, and those who look for
//! the leader, each with the real detection's. Requests and answers take their time, are held up and get lost, connections
//! break, processes stand still and sessions end while somebody still believes in them. As the network it says what is to
//! happen later ([`Elections::take_due`]) and brings what comes of it ([`Elections::happen`]).

mod candidate;
mod faults;
mod finder;
mod servers;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use coordination::zookeeper::logic::bugs::Bugs;
use coordination::zookeeper::logic::detection::{self, Found};
use coordination::zookeeper::logic::{self, Answer, Number};
use coordination::zookeeper::model::{Ask, Ensemble, Told};

use crate::chance::Chance;
use candidate::Standing;
use finder::Finding;

/// How often servers and clients look at who was heard of.
const TICK: Duration = Duration::from_millis(250);
/// What is held up is tried again after so long.
const HELD: Duration = Duration::from_millis(100);

/// An epoch is one reign's, and whose reign begins has raised it.
pub(crate) const ONE_LEADER: &str = "one leader per epoch, from the lowest seat";
/// Nobody leads again before it was asked whether they may.
pub(crate) const RESUMES: &str = "nobody leads again before it is known that they do";
/// What the store acknowledged is in it.
pub(crate) const KEPT: &str =
    "nothing acknowledged by the store is lost, and nothing is written twice";
/// Whose reign is over writes nothing.
pub(crate) const FENCED: &str = "every write belongs to the reign that made it";

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tag {
    Election(Number),
    Detection(Number),
    /// Of the reign with this epoch.
    Write(u64),
}

/// What is to happen later.
#[derive(Clone, Debug)]
pub enum Happening<W> {
    /// Servers and clients look at who was heard of.
    Tick,
    /// An ask comes to the servers.
    Arrive(Asked<W>),
    /// An answer comes to a process.
    Answer(Answered),
    /// A watch fired.
    Watch {
        /// Whose.
        who: Who,
        /// By which it comes.
        connection: u64,
    },
    /// A timer of the logic runs down.
    Timer(Who, Number),
    /// A reign has read its registry.
    Begin(Who, u64),
    /// A process wants to lead (again).
    Stand(Who),
}

/// One life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    process: u32,
    life: u32,
}

/// An ask on its way.
#[derive(Clone, Debug)]
pub struct Asked<W> {
    who: Who,
    connection: u64,
    session: i64,
    tag: Tag,
    ask: Ask<W>,
}

/// An answer on its way.
#[derive(Clone, Debug)]
pub struct Answered {
    who: Who,
    /// `None`: of no server's, since there was no connection.
    connection: Option<u64>,
    tag: Tag,
    told: Told,
}

/// What comes of a happening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought<W> {
    /// A reign begins.
    Leads {
        /// Whose.
        process: u32,
        /// Of the candidate: another one for each reign.
        id: String,
        /// Its number.
        epoch: u64,
    },
    /// Nobody can say whether it leads.
    Suspends(u32),
    /// It still leads.
    Resumes(u32),
    /// Its reign is over.
    Deposed(u32, String),
    /// It has found whoever leads now, or that nobody does.
    Finds {
        /// Who.
        process: u32,
        /// Whom: the process and the candidate, in words.
        leader: Option<String>,
        /// Whether that is another than it found last.
        is_other: bool,
    },
    /// A batch is in the registry now.
    Applied(W),
    /// Who leads is told that its batch is in the registry.
    Wrote {
        /// Who.
        process: u32,
        /// In which reign.
        epoch: u64,
        /// What.
        what: W,
    },
    /// Something that must be true is not.
    Wrong(&'static str, String),
}

/// A process with a session, or about to have one.
#[derive(Debug)]
struct Member<W> {
    who: Who,
    up: bool,
    session: Option<i64>,
    /// By which it talks to the servers, if it believes that it does.
    connection: Option<u64>,
    heard: Duration,
    /// Nothing from it reaches the servers until then.
    mute_until: Duration,
    /// Nothing from the servers reaches it until then.
    deaf_until: Duration,
    /// It stands still until then.
    frozen_until: Duration,
    /// When the newest ask and answer arrive: the next ones come later.
    to_servers: Duration,
    from_servers: Duration,
    unanswered: BTreeSet<Tag>,
    role: Role<W>,
}

#[derive(Debug)]
enum Role<W> {
    Candidate(Box<Standing<W>>),
    Finder(Box<Finding>),
}

/// An ensemble and all who talk to it.
#[derive(Debug)]
pub struct Elections<W> {
    chance: Chance,
    ensemble: Ensemble,
    members: BTreeMap<u32, Member<W>>,
    due: Vec<(Duration, Happening<W>)>,
    connections: u64,
    is_away: bool,
    away_until: Duration,
    slow_until: Duration,
    /// Somebody has raised the epoch, and who leads need not know.
    raised_by_hand: bool,
    /// Nobody hears what becomes of the next batch, which is written or not.
    lose_answer: Option<bool>,
    /// Epochs that somebody began to reign in.
    begun: BTreeSet<u64>,
    /// Candidates that ever reigned.
    reigned: BTreeSet<String>,
    bugs: Bugs,
    /// Batches that are in the registry, by candidate and number.
    applied: BTreeSet<(String, u64)>,
}

impl<W: Clone> Elections<W> {
    /// An ensemble that nobody talks to yet.
    pub fn new(chance: Chance, timeout: Duration) -> Self {
        Self {
            chance,
            ensemble: Ensemble::new(timeout),
            members: BTreeMap::new(),
            due: vec![(Duration::ZERO, Happening::Tick)],
            connections: 0,
            is_away: false,
            away_until: Duration::ZERO,
            slow_until: Duration::ZERO,
            raised_by_hand: false,
            lose_answer: None,
            begun: BTreeSet::new(),
            reigned: BTreeSet::new(),
            bugs: Bugs::default(),
            applied: BTreeSet::new(),
        }
    }

    /// With mistakes switched on.
    #[must_use]
    pub fn with_bugs(self, bugs: Bugs) -> Self {
        Self { bugs, ..self }
    }

    /// How long a session lasts without being heard of.
    pub fn timeout(&self) -> Duration {
        self.ensemble.timeout()
    }

    /// What is to happen since this was last asked, and when.
    pub fn take_due(&mut self) -> Vec<(Duration, Happening<W>)> {
        std::mem::take(&mut self.due)
    }

    /// A process starts that wants to lead.
    pub fn stand(&mut self, now: Duration, process: u32) {
        let who = self.enter(now, process, Role::Candidate(Box::new(Standing::new(&self.bugs))));
        self.due.push((now, Happening::Stand(who)));
    }

    /// A process starts that wants to know who leads.
    pub fn look(&mut self, now: Duration, process: u32) {
        self.enter(now, process, Role::Finder(Box::new(Finding::new(&self.bugs))));
    }

    fn enter(&mut self, now: Duration, process: u32, role: Role<W>) -> Who {
        let earlier = self.members.get(&process);
        let who = Who { process, life: earlier.map_or(1, |member| member.who.life + 1) };
        let cut = earlier.map_or((now, now), |member| (member.mute_until, member.deaf_until));
        let member = Member {
            who,
            up: true,
            session: None,
            connection: None,
            heard: now,
            mute_until: cut.0,
            deaf_until: cut.1,
            frozen_until: Duration::ZERO,
            to_servers: now,
            from_servers: now,
            unanswered: BTreeSet::new(),
            role,
        };
        self.members.insert(process, member);
        who
    }

    /// A process is dead. Its session lives on for a while.
    pub fn end(&mut self, process: u32) {
        if let Some(member) = self.members.get_mut(&process) {
            member.up = false;
        }
    }

    /// A process ends by itself, and its session with it if the servers hear of that.
    pub fn close(&mut self, now: Duration, process: u32) {
        let Some(member) = self.members.get_mut(&process) else {
            return;
        };
        member.up = false;
        let is_heard = member.connection.is_some() && member.mute_until <= now && !self.is_away;
        if let Some(session) = member.session.filter(|_| is_heard) {
            self.ensemble.end(session);
            self.tell_watchers(now);
        }
    }

    /// Whether a process has a connection with the servers, as far as it can know.
    pub fn is_connected(&self, process: u32) -> bool {
        self.members.get(&process).is_some_and(|member| member.connection.is_some())
    }

    /// Whether a process is there.
    pub fn is_up(&self, process: u32) -> bool {
        self.members.get(&process).is_some_and(|member| member.up)
    }

    /// Something is due. Returns what it brings, in order.
    pub fn happen(&mut self, now: Duration, happening: Happening<W>) -> Vec<Brought<W>> {
        let mut brought = Vec::new();
        let who = match &happening {
            Happening::Tick => return self.tick(now),
            Happening::Arrive(_) => None,
            Happening::Answer(answered) => Some(answered.who),
            Happening::Watch { who, .. }
            | Happening::Timer(who, _)
            | Happening::Begin(who, _)
            | Happening::Stand(who) => Some(*who),
        };
        let Some(who) = who else {
            if let Happening::Arrive(asked) = happening {
                self.arrive(now, asked, &mut brought);
            }
            return brought;
        };
        let Some(mut member) = self.members.remove(&who.process) else {
            return brought;
        };
        if member.up && member.who == who {
            if member.frozen_until > now {
                self.due.push((member.frozen_until, happening));
            } else {
                self.come(now, &mut member, happening, &mut brought);
            }
        }
        self.members.insert(who.process, member);
        brought
    }

    /// Something comes to a process.
    fn come(
        &mut self,
        now: Duration,
        member: &mut Member<W>,
        happening: Happening<W>,
        brought: &mut Vec<Brought<W>>,
    ) {
        match happening {
            Happening::Tick | Happening::Arrive(_) => (),
            Happening::Answer(answered) => self.answer(now, member, answered, brought),
            Happening::Watch { who, connection } => {
                if member.connection == Some(connection) && member.deaf_until > now {
                    let again = Happening::Watch { who, connection };
                    self.due.push((now + HELD, again));
                } else if member.connection == Some(connection) {
                    self.elect(now, member, logic::Event::SeatsChanged, brought);
                    self.detect(now, member, detection::Event::SeatsChanged, brought);
                }
            }
            Happening::Timer(_, number) => {
                self.elect(now, member, logic::Event::Timer(number), brought);
                self.detect(now, member, detection::Event::Timer(number), brought);
            }
            Happening::Begin(_, epoch) => self.begin(now, member, epoch, brought),
            Happening::Stand(_) => self.stand_again(now, member, brought),
        }
    }

    fn answer(
        &mut self,
        now: Duration,
        member: &mut Member<W>,
        answered: Answered,
        brought: &mut Vec<Brought<W>>,
    ) {
        if answered.connection.is_some() {
            if answered.connection != member.connection {
                return;
            }
            if member.deaf_until > now {
                return self.due.push((now + HELD, Happening::Answer(answered)));
            }
            member.heard = now;
        }
        if member.unanswered.remove(&answered.tag) {
            self.is_told(now, member, answered.tag, answered.told, brought);
        }
    }

    fn is_told(
        &mut self,
        now: Duration,
        member: &mut Member<W>,
        tag: Tag,
        told: Told,
        brought: &mut Vec<Brought<W>>,
    ) {
        match (tag, told) {
            (Tag::Election(number), Told::Elected(answer)) => {
                self.elect(now, member, logic::Event::Answered(number, answer), brought);
            }
            (Tag::Election(number), _) => {
                let answer = Answer::Unknown("the connection was lost".to_owned());
                self.elect(now, member, logic::Event::Answered(number, answer), brought);
            }
            (Tag::Detection(number), Told::Found(found)) => {
                self.detect(now, member, detection::Event::Found(number, found), brought);
            }
            (Tag::Detection(number), _) => {
                let event = detection::Event::Found(number, Found::Unknown);
                self.detect(now, member, event, brought);
            }
            (Tag::Write(epoch), told) => self.on_write(now, member, epoch, told, brought),
        }
    }

    /// An ask sets out.
    fn ask(&mut self, now: Duration, member: &mut Member<W>, tag: Tag, ask: Ask<W>) {
        let who = member.who;
        member.unanswered.insert(tag);
        let (Some(connection), Some(session)) = (member.connection, member.session) else {
            let answered = Answered { who, connection: None, tag, told: Told::Unknown };
            return self.due.push((now, Happening::Answer(answered)));
        };
        let at = (now + self.delay(now)).max(member.to_servers + Duration::from_nanos(1));
        member.to_servers = at;
        let asked = Asked { who, connection, session, tag, ask };
        self.due.push((at, Happening::Arrive(asked)));
    }
}

#[cfg(test)]
mod tests;
