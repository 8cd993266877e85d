//! Where asks arrive: at the servers, which answer, and what is to be seen there of what really happened.

use std::time::Duration;

use coordination::zookeeper::logic::{self, Answer};
use coordination::zookeeper::model::{Ask, Told, Write};

use super::{Answered, Asked, Brought, Elections, FENCED, HELD, Happening, KEPT, ONE_LEADER};

impl<W: Clone> Elections<W> {
    /// An ask comes to the servers, if it does.
    pub(super) fn arrive(&mut self, now: Duration, asked: Asked<W>, brought: &mut Vec<Brought<W>>) {
        let Some(member) = self.members.get(&asked.who.process) else {
            return;
        };
        let is_open =
            member.up && member.who == asked.who && member.connection == Some(asked.connection);
        if self.is_away || member.mute_until > now {
            if is_open {
                self.due.push((now + HELD, Happening::Arrive(asked)));
            }
            return;
        }
        // The connection is lost: what was on it is done or not.
        if !is_open && self.chance.in_thousand(500) {
            return;
        }
        if !self.ensemble.hears(now, asked.session, asked.connection) {
            return;
        }
        let is_write = matches!(asked.ask, Ask::Write(_));
        let lost = if is_write { self.lose_answer.take() } else { None };
        if lost.is_some() {
            self.ensemble.close(asked.session);
        }
        if lost == Some(false) {
            return;
        }
        let address = format!("{}:5050", asked.who.process);
        let told = self.ensemble.perform(asked.session, &address, &asked.ask);
        self.see(&asked, &told, brought);
        self.tell_watchers(now);
        if lost.is_some() {
            return;
        }
        let delay = self.delay(now);
        let Some(member) = self.members.get_mut(&asked.who.process) else {
            return;
        };
        let at = (now + delay).max(member.from_servers + Duration::from_nanos(1));
        member.from_servers = at;
        let (who, connection, tag) = (asked.who, Some(asked.connection), asked.tag);
        self.due.push((at, Happening::Answer(Answered { who, connection, tag, told })));
    }

    /// What really happened at the servers.
    fn see(&mut self, asked: &Asked<W>, told: &Told, brought: &mut Vec<Brought<W>>) {
        if let Some(words) = self.ensemble.take_wrong() {
            brought.push(Brought::Wrong(ONE_LEADER, words));
        }
        match (&asked.ask, told) {
            (Ask::Write(write), Told::Wrote) => {
                let epoch = self.ensemble.epoch().number;
                let Some(by) = self.ensemble.raised_by(epoch).filter(|by| *by != write.by) else {
                    return self.see_applied(write, brought);
                };
                let words = format!(
                    "{} writes in epoch {}, and {by} reigns in {epoch}",
                    write.by, write.epoch
                );
                brought.push(Brought::Wrong(FENCED, words));
            }
            (Ask::Elect(logic::Request::ReadEpoch), Told::Elected(Answer::Epoch { by, .. })) => {
                self.see_confirmed(asked.who, by);
            }
            (Ask::Elect(_) | Ask::Look | Ask::Write(_) | Ask::ReadWritten, _) => (),
        }
    }

    fn see_applied(&mut self, write: &Write<W>, brought: &mut Vec<Brought<W>>) {
        if !self.applied.insert((write.by.clone(), write.link.batches)) {
            let words = format!("batch {} of {} is written again", write.link.batches, write.by);
            return brought.push(Brought::Wrong(KEPT, words));
        }
        brought.push(Brought::Applied(write.what.clone()));
    }

    pub(super) fn tell_watchers(&mut self, now: Duration) {
        for session in self.ensemble.take_fired() {
            let delay = self.delay(now);
            let member = self.members.values_mut().find(|member| member.session == Some(session));
            if let Some(member) = member.filter(|member| member.up)
                && let Some(connection) = member.connection
            {
                let at = (now + delay).max(member.from_servers + Duration::from_nanos(1));
                member.from_servers = at;
                let who = member.who;
                self.due.push((at, Happening::Watch { who, connection }));
            }
        }
    }

    pub(super) fn delay(&mut self, now: Duration) -> Duration {
        if self.slow_until > now {
            return self.chance.millis(200, 2_000);
        }
        match self.chance.below(50) {
            0 => self.chance.millis(50, 400),
            _ => self.chance.span(Duration::from_micros(200), Duration::from_millis(10)),
        }
    }
}
