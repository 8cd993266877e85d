//! One candidate: the election's logic, and a registrar that writes one batch after the other, as the real ones do.

use std::time::Duration;

use coordination::zookeeper::logic::bugs::Bugs;
use coordination::zookeeper::logic::chain::{Chain, Count, Epoch};
use coordination::zookeeper::logic::{Effect, Election, Event};
use coordination::zookeeper::model::{Ask, Told, Write};

use super::{Brought, Elections, Happening, KEPT, Member, ONE_LEADER, RESUMES, Role, Tag, Who};

/// A process that wants to lead.
#[derive(Debug)]
pub(super) struct Standing<W> {
    election: Election,
    /// Of the candidate: another one for each reign.
    id: String,
    stood: u32,
    reign: Option<Reign<W>>,
    /// Since it last lost sight of the servers, the epoch was read and is its own.
    confirmed: bool,
}

/// One reign.
#[derive(Debug)]
struct Reign<W> {
    epoch: u64,
    chain: Chain,
    /// The registry is read, and the master decides.
    begun: bool,
    suspended: bool,
    /// How many batches are written, as far as the registrar knows.
    batches: u64,
    /// What is being written.
    writing: Option<W>,
}

impl<W> Standing<W> {
    pub(super) fn new(bugs: &Bugs) -> Self {
        Self {
            election: Election::default().with_bugs(bugs.clone()),
            id: String::new(),
            stood: 0,
            reign: None,
            confirmed: false,
        }
    }
}

impl<W: Clone> Elections<W> {
    /// A new candidacy, under an id that there never was.
    pub(super) fn stand_again(
        &mut self,
        now: Duration,
        member: &mut Member<W>,
        brought: &mut Vec<Brought<W>>,
    ) {
        let Who { process, life } = member.who;
        let Role::Candidate(standing) = &mut member.role else {
            return;
        };
        standing.stood += 1;
        standing.reign = None;
        let id = format!("m{process}-{life}-{}", standing.stood);
        standing.id.clone_from(&id);
        self.elect(now, member, Event::Stand { id }, brought);
    }

    /// Something happens to a candidate.
    pub(super) fn elect(
        &mut self,
        now: Duration,
        member: &mut Member<W>,
        event: Event,
        brought: &mut Vec<Brought<W>>,
    ) {
        let Role::Candidate(standing) = &mut member.role else {
            return;
        };
        if matches!(event, Event::Disconnected | Event::Expired) {
            standing.confirmed = false;
        }
        for effect in standing.election.step(event) {
            self.perform(now, member, effect, brought);
        }
    }

    fn perform(
        &mut self,
        now: Duration,
        member: &mut Member<W>,
        effect: Effect,
        brought: &mut Vec<Brought<W>>,
    ) {
        let who = member.who;
        let Role::Candidate(standing) = &mut member.role else {
            return;
        };
        match effect {
            Effect::Ask(number, request) => {
                self.ask(now, member, Tag::Election(number), Ask::Elect(request));
            }
            Effect::StartTimer(number, after) => {
                self.due.push((now + after, Happening::Timer(who, number)));
            }
            Effect::Lead { epoch, version } => self.lead(now, member, epoch, version, brought),
            Effect::Suspend => {
                if let Some(reign) = &mut standing.reign {
                    reign.suspended = true;
                    brought.push(Brought::Suspends(who.process));
                }
            }
            Effect::Resume => {
                let Some(reign) = &mut standing.reign else {
                    return;
                };
                reign.suspended = false;
                if !standing.confirmed {
                    let words = format!("{} leads again, and has not asked", standing.id);
                    brought.push(Brought::Wrong(RESUMES, words));
                }
                brought.push(Brought::Resumes(who.process));
            }
            Effect::Depose(why) => {
                standing.reign = None;
                brought.push(Brought::Deposed(who.process, why));
                self.stand_soon(now, who);
            }
            Effect::Fail(_) => self.stand_soon(now, who),
        }
    }

    fn stand_soon(&mut self, now: Duration, who: Who) {
        let after = self.chance.millis(1, 200);
        self.due.push((now + after, Happening::Stand(who)));
    }

    /// A reign that has ended by itself, while it still led. It stands again.
    pub fn step_down(&mut self, now: Duration, process: u32) {
        let Some(member) = self.members.get_mut(&process) else {
            return;
        };
        let who = member.who;
        if let Role::Candidate(standing) = &mut member.role {
            standing.reign = None;
            self.stand_soon(now, who);
        }
    }

    fn lead(
        &mut self,
        now: Duration,
        member: &mut Member<W>,
        epoch: u64,
        fence: i32,
        brought: &mut Vec<Brought<W>>,
    ) {
        let who = member.who;
        let Role::Candidate(standing) = &mut member.role else {
            return;
        };
        let by = self.ensemble.raised_by(epoch);
        if by != Some(&standing.id) {
            let words = format!("{} leads in epoch {epoch}, which {by:?} has raised", standing.id);
            brought.push(Brought::Wrong(ONE_LEADER, words));
        }
        if !self.begun.insert(epoch) {
            let words = format!("{} leads in epoch {epoch}, which was led in before", standing.id);
            brought.push(Brought::Wrong(ONE_LEADER, words));
        }
        if !self.reigned.insert(standing.id.clone()) {
            let words = format!("{} leads again in epoch {epoch}", standing.id);
            brought.push(Brought::Wrong(ONE_LEADER, words));
        }
        standing.confirmed = true;
        let chain = Chain::new(Epoch { number: epoch, version: fence, by: standing.id.clone() });
        let chain = chain.with_bugs(self.bugs.clone());
        let (begun, suspended, batches, writing) = (false, false, 0, None);
        standing.reign = Some(Reign { epoch, chain, begun, suspended, batches, writing });
        let at = now + self.delay(now);
        self.due.push((at, Happening::Begin(who, epoch)));
    }

    /// The registry is read, if it could be.
    pub(super) fn begin(
        &mut self,
        now: Duration,
        member: &mut Member<W>,
        epoch: u64,
        brought: &mut Vec<Brought<W>>,
    ) {
        let who = member.who;
        let is_reached =
            member.connection.is_some() && member.deaf_until.max(member.mute_until) <= now;
        let Role::Candidate(standing) = &mut member.role else {
            return;
        };
        let Some(reign) = standing.reign.as_mut().filter(|reign| reign.epoch == epoch) else {
            return;
        };
        if !is_reached || self.is_away || reign.suspended {
            return self.due.push((now + super::HELD, Happening::Begin(who, epoch)));
        }
        reign.begun = true;
        brought.push(Brought::Leads { process: who.process, id: standing.id.clone(), epoch });
    }

    /// The epoch was read by this process: whether it is its own.
    pub(super) fn see_confirmed(&mut self, who: Who, by: &str) {
        if let Some(member) = self.members.get_mut(&who.process).filter(|member| member.who == who)
            && let Role::Candidate(standing) = &mut member.role
        {
            standing.confirmed |= standing.id == by;
        }
    }

    /// Who leads writes a batch. One at a time is on its way.
    pub fn write(&mut self, now: Duration, process: u32, what: W) {
        let Some(mut member) = self.members.remove(&process) else {
            return;
        };
        if let Role::Candidate(standing) = &mut member.role
            && let Some(reign) = &mut standing.reign
        {
            assert!(reign.writing.is_none(), "one batch at a time");
            reign.writing = Some(what);
            self.write_on(now, &mut member);
        }
        self.members.insert(process, member);
    }

    /// Whatever is next for a batch that is not known to be written: to be sent, or to be looked for.
    pub(super) fn write_on(&mut self, now: Duration, member: &mut Member<W>) {
        let Role::Candidate(standing) = &mut member.role else {
            return;
        };
        let Some(reign) = &standing.reign else {
            return;
        };
        let tag = Tag::Write(reign.epoch);
        if member.connection.is_none() || member.unanswered.contains(&tag) {
            return;
        }
        let Some(what) = reign.writing.clone() else {
            return;
        };
        let ask = match reign.chain.next(0) {
            None => Ask::ReadWritten,
            Some(link) => {
                Ask::Write(Write { epoch: reign.epoch, by: standing.id.clone(), link, what })
            }
        };
        self.ask(now, member, tag, ask);
    }

    /// What came of a batch, or of looking for it.
    pub(super) fn on_write(
        &mut self,
        now: Duration,
        member: &mut Member<W>,
        of: u64,
        told: Told,
        brought: &mut Vec<Brought<W>>,
    ) {
        let Role::Candidate(standing) = &mut member.role else {
            return;
        };
        // What an earlier reign asked is nothing to this one.
        let Some(reign) = standing.reign.as_mut().filter(|reign| reign.epoch == of) else {
            return;
        };
        match told {
            Told::Wrote => {
                reign.chain.wrote();
                self.written(member, brought);
            }
            Told::Counted(count, epoch) => {
                return self.on_counted(now, member, &count, &epoch, brought);
            }
            Told::NotWritten | Told::Unknown | Told::Elected(_) | Told::Found(_) => {
                reign.chain.lost();
            }
        }
        self.write_on(now, member);
    }

    fn on_counted(
        &mut self,
        now: Duration,
        member: &mut Member<W>,
        count: &Count,
        epoch: &Epoch,
        brought: &mut Vec<Brought<W>>,
    ) {
        let Role::Candidate(standing) = &mut member.role else {
            return;
        };
        let Some(reign) = &mut standing.reign else {
            return;
        };
        let found = reign.chain.found(count, epoch);
        if found.arrived > 0 {
            self.written(member, brought);
        }
        if let Some(newest) = found.fenced {
            let event = Event::Fenced(format!("epoch {newest} has begun"));
            return self.elect(now, member, event, brought);
        }
        self.write_on(now, member);
    }

    /// The batch that was being written is in the registry, as far as the registrar knows.
    fn written(&mut self, member: &mut Member<W>, brought: &mut Vec<Brought<W>>) {
        let process = member.who.process;
        let Role::Candidate(standing) = &mut member.role else {
            return;
        };
        let Some(reign) = &mut standing.reign else {
            return;
        };
        let Some(what) = reign.writing.take() else {
            return;
        };
        reign.batches += 1;
        if !self.applied.contains(&(standing.id.clone(), reign.batches)) {
            let words = format!("batch {} of {} is not there", reign.batches, standing.id);
            brought.push(Brought::Wrong(KEPT, words));
        }
        brought.push(Brought::Wrote { process, epoch: reign.epoch, what });
    }

    /// Who reigns, and whether it is known that it does.
    pub(crate) fn reigning(&self) -> Vec<(u32, u64, bool)> {
        let reign = |member: &Member<W>| match &member.role {
            Role::Candidate(standing) if member.up => standing
                .reign
                .as_ref()
                .map(|reign| (member.who.process, reign.epoch, reign.begun && !reign.suspended)),
            Role::Candidate(_) | Role::Finder(_) => None,
        };
        self.members.values().filter_map(reign).collect()
    }

    /// Whether this process leads, and knows it.
    pub fn leads(&self, process: u32) -> bool {
        self.reigning().iter().any(|(who, _, knows)| *who == process && *knows)
    }

    /// Whether this process may command at this moment, as far as it can know.
    pub fn may_command(&self, process: u32) -> bool {
        self.members.get(&process).is_some_and(|member| match &member.role {
            Role::Candidate(standing) => standing.reign.is_some() && member.connection.is_some(),
            Role::Finder(_) => false,
        })
    }
}
