//! Three elections against a model of ZooKeeper: sessions that expire, requests and answers that are lost with a connection,
//! watches, an operator who deletes nodes. A history follows from its seed; properties are looked at after every step.

use std::collections::{BTreeSet, VecDeque};

use super::*;
use crate::zookeeper::model::{Ask, Ensemble, Told};

const MEMBERS: usize = 3;
/// In milliseconds.
const TIMEOUT: u64 = 10_000;
/// A broken connection is noticed within two fifths of the time-out.
const NOTICED_WITHIN: u64 = 4_000;

/// Numbers that follow from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// How a member is connected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Up,
    /// Broken at this time, and noticed at that.
    Broken(u64, u64),
    /// Noticed.
    Down(u64),
}

struct Member {
    election: Election,
    line: Line,
    /// As the ensemble knows it; gone when it expired.
    session: Option<i64>,
    /// How often it connected.
    connection: u64,
    requests: VecDeque<(Number, Request)>,
    heard: VecDeque<Event>,
    timers: Vec<(u64, Number)>,
    stood: usize,
    /// Its reign, and whether it may act.
    reign: Option<(u64, i32, bool)>,
}

struct World {
    seed: u64,
    chance: Chance,
    now: u64,
    ensemble: Ensemble,
    members: Vec<Member>,
    newest: u64,
    epochs: BTreeSet<u64>,
    /// Nobody deletes nodes: then two never act at once.
    strict: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let member = |_| Member {
            election: Election::default(),
            line: Line::Down(0),
            session: None,
            connection: 0,
            requests: VecDeque::new(),
            heard: VecDeque::new(),
            timers: Vec::new(),
            stood: 0,
            reign: None,
        };
        let members = (0..MEMBERS).map(member).collect();
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let strict = chance.one_in(2);
        let ensemble = Ensemble::new(Duration::from_millis(TIMEOUT));
        let epochs = BTreeSet::new();
        let mut world = Self { seed, chance, now: 0, ensemble, members, newest: 0, epochs, strict };
        for member in 0..MEMBERS {
            world.stand(member);
        }
        world
    }

    fn stand(&mut self, member: usize) {
        self.members[member].stood += 1;
        let id = format!("m{member}-{}", self.members[member].stood);
        self.happens(member, Event::Stand { id });
    }

    fn happens(&mut self, member: usize, event: Event) {
        let effects = self.members[member].election.step(event);
        let mut again = false;
        for effect in effects {
            let at = &mut self.members[member];
            match effect {
                Effect::Ask(number, request) => at.requests.push_back((number, request)),
                Effect::StartTimer(number, after) => {
                    let after = u64::try_from(after.as_millis()).unwrap();
                    at.timers.push((self.now + after, number));
                }
                Effect::Lead { epoch, version } => {
                    // Whoever lost its node may hear late that its reign began, when it is over already.
                    let grows = epoch > self.newest || !self.strict;
                    assert!(grows, "seed {}: epochs only grow", self.seed);
                    assert!(self.epochs.insert(epoch), "seed {}: one reign an epoch", self.seed);
                    self.newest = epoch;
                    at.reign = Some((epoch, version, true));
                }
                Effect::Suspend => at.reign.as_mut().unwrap().2 = false,
                Effect::Resume => at.reign.as_mut().unwrap().2 = true,
                Effect::Depose(_) => {
                    assert!(at.reign.take().is_some(), "seed {}: it reigned", self.seed);
                    again = true;
                }
                Effect::Fail(why) => panic!("seed {}: {why}", self.seed),
            }
        }
        if again {
            self.stand(member);
        }
    }

    /// The ensemble does what a member asks for.
    fn serve(&mut self, member: usize) {
        let Some((number, request)) = self.members[member].requests.pop_front() else { return };
        let answer = self.answer(member, request);
        self.members[member].heard.push_back(Event::Answered(number, answer));
    }

    fn answer(&mut self, member: usize, request: Request) -> Answer {
        let session = self.members[member].session.unwrap();
        let told = self.ensemble.perform(session, "", &Ask::<()>::Elect(request));
        self.seats_changed();
        assert_eq!(self.ensemble.take_wrong(), None, "seed {}", self.seed);
        let Told::Elected(answer) = told else { panic!("{told:?} answers no candidate") };
        answer
    }

    fn seats_changed(&mut self) {
        for session in self.ensemble.take_fired() {
            let member = self.members.iter_mut().find(|member| member.session == Some(session));
            member.unwrap().heard.push_back(Event::SeatsChanged);
        }
    }

    /// What was on its way may have arrived or not; no answer comes back.
    fn cut(&mut self, member: usize) {
        for _ in 0..self.chance.below(3) {
            self.serve(member);
        }
        let noticed = self.now + self.chance.below(NOTICED_WITHIN);
        self.members[member].line = Line::Broken(self.now, noticed);
    }

    fn notice(&mut self, member: usize, broken: u64) {
        let lost: Vec<_> = {
            let at = &mut self.members[member];
            at.line = Line::Down(broken);
            let answered = at.heard.drain(..).filter_map(|event| {
                if let Event::Answered(number, _) = event { Some(number) } else { None }
            });
            answered.chain(at.requests.drain(..).map(|(number, _)| number)).collect()
        };
        // The client tells of the loss and of each request in no certain order.
        let first = self.chance.one_in(2);
        if first {
            self.happens(member, Event::Disconnected);
        }
        for number in lost {
            self.happens(member, Event::Answered(number, Answer::Unknown("lost".into())));
        }
        if !first {
            self.happens(member, Event::Disconnected);
        }
    }

    fn connect(&mut self, member: usize) {
        let now = Duration::from_millis(self.now);
        let at = &mut self.members[member];
        at.connection += 1;
        let connection = at.connection;
        match at.session {
            Some(session) => assert!(self.ensemble.go_on(now, session, connection)),
            None => {
                at.requests.clear();
                self.happens(member, Event::Expired);
                let session = self.ensemble.open(now, connection);
                self.members[member].session = Some(session);
            }
        }
        self.members[member].line = Line::Up;
        let session = self.members[member].session.unwrap();
        self.happens(member, Event::Connected { session, timeout: Duration::from_millis(TIMEOUT) });
    }

    /// Time goes on; what is due happens.
    fn pass(&mut self, span: u64) {
        self.now += span;
        for member in 0..MEMBERS {
            let at = &mut self.members[member];
            let (due, later) = at.timers.drain(..).partition(|(due, _)| *due <= self.now);
            let due: Vec<(u64, Number)> = due;
            at.timers = later;
            if let Line::Broken(broken, noticed) = at.line
                && noticed <= self.now
            {
                self.notice(member, broken);
            }
            for (_, number) in due {
                self.happens(member, Event::Timer(number));
            }
        }
        self.expire();
    }

    /// Who is connected is heard of; whose connection broke was heard of until then.
    fn expire(&mut self) {
        let now = Duration::from_millis(self.now);
        for member in &self.members {
            if let (Line::Up, Some(session)) = (member.line, member.session) {
                assert!(self.ensemble.hears(now, session, member.connection));
            }
        }
        self.ensemble.expire(now);
        for member in &mut self.members {
            member.session = member.session.filter(|session| self.ensemble.has(*session));
        }
        self.seats_changed();
    }

    fn something_happens(&mut self) {
        let member = usize::try_from(self.chance.below(3)).unwrap();
        match (self.members[member].line, self.chance.below(20)) {
            (Line::Up, 0) => self.cut(member),
            (Line::Up, 1..10) => self.serve(member),
            (Line::Up, 10..19) => self.hear(member),
            (Line::Up, _) if !self.strict && self.chance.one_in(4) => {
                let index = usize::try_from(self.chance.below(3)).unwrap();
                let name = self.ensemble.seats().nth(index).map(|seat| seat.name.clone());
                if let Some(name) = name {
                    self.ensemble.delete(&name);
                    self.seats_changed();
                }
            }
            (Line::Down(_), 0..3) => self.connect(member),
            (Line::Up | Line::Broken(..) | Line::Down(_), _) => {
                let span = self.chance.below(700);
                self.pass(span);
            }
        }
        self.holds();
    }

    fn hear(&mut self, member: usize) {
        if let Some(event) = self.members[member].heard.pop_front() {
            self.happens(member, event);
        }
    }

    fn holds(&self) {
        let acting = self.members.iter().filter(|member| member.reign.is_some_and(|reign| reign.2));
        let fence = self.ensemble.epoch().version;
        let reigns: Vec<_> = acting.map(|member| member.reign.unwrap()).collect();
        let unfenced = reigns.iter().filter(|reign| reign.1 == fence).count();
        assert!(unfenced <= 1, "seed {}: two could write", self.seed);
        if self.strict {
            assert!(reigns.len() <= 1, "seed {}: two act at once: {reigns:?}", self.seed);
        }
    }

    /// Nothing goes wrong any more; all that is on its way arrives.
    fn heals(&mut self) {
        for _ in 0..400 {
            for member in 0..MEMBERS {
                if let Line::Down(_) = self.members[member].line {
                    self.connect(member);
                }
                for _ in 0..20 {
                    self.serve(member);
                    self.hear(member);
                }
            }
            self.pass(100);
            self.holds();
        }
    }

    fn one_leads(&self) {
        let seed = self.seed;
        let leading: Vec<_> = self.members.iter().filter(|member| member.reign.is_some()).collect();
        assert_eq!(leading.len(), 1, "seed {seed}: one leads");
        let reign = leading[0].reign.unwrap();
        assert!(
            reign.2 && reign.1 == self.ensemble.epoch().version,
            "seed {seed}: and may write: {reign:?}"
        );
        assert_eq!(self.ensemble.seats().count(), MEMBERS, "seed {seed}: each has one seat");
        let lowest = self.ensemble.seats().next().unwrap();
        assert_eq!(Some(lowest.owner), leading[0].session, "seed {seed}: the lowest leads");
    }
}

#[test]
fn one_leads_whatever_happened_and_never_do_two_write() {
    for seed in 0..1_000 {
        let mut world = World::new(seed);
        for _ in 0..2 {
            for _ in 0..600 {
                world.something_happens();
            }
            world.heals();
            world.one_leads();
        }
    }
}
