//! What goes wrong between processes and the ensemble, and how each finds out.

use std::collections::BTreeSet;
use std::time::Duration;

use coordination::zookeeper::logic::{self, detection};
use coordination::zookeeper::model::Told;

use super::{Brought, Elections, Happening, Member, TICK};

impl<W: Clone> Elections<W> {
    /// A process stands still: it says nothing and hears nothing, and does not know.
    pub fn freeze(&mut self, process: u32, until: Duration) {
        if let Some(member) = self.members.get_mut(&process) {
            member.frozen_until = member.frozen_until.max(until);
        }
    }

    /// Its clock stands still as well: it does not notice how long it has not heard of the servers.
    pub fn forgets_time(&mut self, process: u32, span: Duration) {
        if let Some(member) = self.members.get_mut(&process) {
            member.heard += span;
        }
    }

    /// Until when it stands still.
    pub fn frozen_until(&self, process: u32) -> Option<Duration> {
        self.members.get(&process).filter(|member| member.up).map(|member| member.frozen_until)
    }

    /// Nothing from a process reaches the servers until then.
    pub fn mute(&mut self, process: u32, until: Duration) {
        if let Some(member) = self.members.get_mut(&process) {
            member.mute_until = member.mute_until.max(until);
        }
    }

    /// Nothing from the servers reaches a process until then.
    pub fn deafen(&mut self, process: u32, until: Duration) {
        if let Some(member) = self.members.get_mut(&process) {
            member.deaf_until = member.deaf_until.max(until);
        }
    }

    /// No server answers anybody until then.
    pub fn go_away(&mut self, until: Duration) {
        self.is_away = true;
        self.away_until = self.away_until.max(until);
    }

    /// Everything takes long until then.
    pub fn slow_down(&mut self, until: Duration) {
        self.slow_until = self.slow_until.max(until);
    }

    /// Somebody deletes the lowest seat by hand.
    pub fn delete_lowest(&mut self, now: Duration) {
        let lowest = self.ensemble.seats().next().map(|seat| seat.name.clone());
        if let Some(lowest) = lowest {
            self.ensemble.delete(&lowest);
            self.tell_watchers(now);
        }
    }

    /// The servers end the session of a process, which finds out when it says something.
    pub fn end_session(&mut self, now: Duration, process: u32) {
        if let Some(session) = self.members.get(&process).and_then(|member| member.session) {
            self.ensemble.end(session);
            self.tell_watchers(now);
        }
    }

    /// Somebody who does not stand raises the epoch.
    pub fn raise_by_hand(&mut self) {
        self.ensemble.raise_by_hand("a person");
        self.raised_by_hand = true;
    }

    /// The servers start anew, one after the other: every connection is lost.
    pub fn restart_servers(&mut self) {
        self.ensemble.close_all();
        self.raised_by_hand = false;
    }

    /// The connection is lost by which the next batch comes, once it is written, or just before.
    pub fn lose_answer(&mut self, written: bool) {
        self.lose_answer = Some(written);
    }

    /// The connection of a process breaks; it can dial again at once.
    pub fn break_connection(&mut self, now: Duration, process: u32) -> Vec<Brought<W>> {
        let mut brought = Vec::new();
        if let Some(mut member) = self.members.remove(&process) {
            if member.up && member.frozen_until <= now && member.connection.is_some() {
                self.disconnect(now, &mut member, &mut brought);
            }
            self.members.insert(process, member);
        }
        brought
    }

    /// All is put right, but for what stands still.
    pub fn heal(&mut self, now: Duration) {
        self.away_until = now;
        self.slow_until = now;
        self.lose_answer = None;
        if self.raised_by_hand {
            self.restart_servers();
        }
        for member in self.members.values_mut() {
            (member.mute_until, member.deaf_until) = (now, now);
        }
    }

    /// Servers and clients look at who was heard of.
    pub(super) fn tick(&mut self, now: Duration) -> Vec<Brought<W>> {
        let mut brought = Vec::new();
        self.due.push((now + TICK, Happening::Tick));
        if self.is_away && now >= self.away_until {
            self.is_away = false;
            self.ensemble.is_back(now);
        }
        if !self.is_away {
            self.ensemble.expire(now);
            self.tell_watchers(now);
        }
        let processes: Vec<u32> = self.members.keys().copied().collect();
        for process in processes {
            if let Some(mut member) = self.members.remove(&process) {
                if member.up && member.frozen_until <= now {
                    self.look_at(now, &mut member, &mut brought);
                }
                self.members.insert(process, member);
            }
        }
        brought
    }

    /// A client gives a connection up after half of the time-out, and its session a little before the servers may.
    fn look_at(&mut self, now: Duration, member: &mut Member<W>, brought: &mut Vec<Brought<W>>) {
        let timeout = self.ensemble.timeout();
        let is_heard = !self.is_away && member.mute_until <= now;
        let hears = !self.is_away && member.deaf_until <= now;
        match (member.connection, member.session) {
            (Some(connection), Some(session)) => {
                let known = !is_heard || self.ensemble.hears(now, session, connection);
                if is_heard && hears && known {
                    member.heard = now;
                }
                // The servers close the connection of a session that is over.
                if (!known && hears) || now >= member.heard + timeout / 2 {
                    self.disconnect(now, member, brought);
                }
            }
            (_, Some(session)) => {
                let given_up = now >= member.heard + timeout * 7 / 8;
                if given_up {
                    return self.expire(now, member, brought);
                }
                if is_heard && hears {
                    self.connections += 1;
                    match self.ensemble.go_on(now, session, self.connections) {
                        true => self.connect(now, member, session, brought),
                        false => self.expire(now, member, brought),
                    }
                }
            }
            (_, None) => {
                if is_heard && hears {
                    self.connections += 1;
                    let session = self.ensemble.open(now, self.connections);
                    self.connect(now, member, session, brought);
                }
            }
        }
    }

    fn connect(
        &mut self,
        now: Duration,
        member: &mut Member<W>,
        session: i64,
        brought: &mut Vec<Brought<W>>,
    ) {
        member.session = Some(session);
        member.connection = Some(self.connections);
        member.heard = now;
        let timeout = self.ensemble.timeout();
        self.elect(now, member, logic::Event::Connected { session, timeout }, brought);
        self.detect(now, member, detection::Event::Connected, brought);
        self.write_on(now, member);
    }

    /// What was not answered may have happened or not.
    fn disconnect(&mut self, now: Duration, member: &mut Member<W>, brought: &mut Vec<Brought<W>>) {
        member.connection = None;
        let unanswered = std::mem::take(&mut member.unanswered);
        self.elect(now, member, logic::Event::Disconnected, brought);
        for tag in unanswered {
            self.is_told(now, member, tag, Told::Unknown, brought);
        }
    }

    fn expire(&mut self, now: Duration, member: &mut Member<W>, brought: &mut Vec<Brought<W>>) {
        (member.session, member.connection) = (None, None);
        member.unanswered = BTreeSet::new();
        self.elect(now, member, logic::Event::Expired, brought);
        self.detect(now, member, detection::Event::Expired, brought);
    }
}
