//! One process that looks for the leader: the detection's logic, and whom it has found.

use std::time::Duration;

use coordination::election::Candidate;
use coordination::zookeeper::logic::bugs::Bugs;
use coordination::zookeeper::logic::detection::{Detection, Effect, Event};
use coordination::zookeeper::model::Ask;

use super::{Brought, Elections, Happening, Member, Role, Tag};

/// A process that wants to know who leads.
#[derive(Debug)]
pub(super) struct Finding {
    detection: Detection,
    known: Option<Candidate>,
    /// Whom it found last: that nobody leads changes nothing.
    followed: Option<Candidate>,
}

impl Finding {
    pub(super) fn new(bugs: &Bugs) -> Self {
        let detection = Detection::default().with_bugs(bugs.clone());
        Self { detection, known: None, followed: None }
    }
}

impl<W: Clone> Elections<W> {
    /// Something happens to a process that looks for the leader.
    pub(super) fn detect(
        &mut self,
        now: Duration,
        member: &mut Member<W>,
        event: Event,
        brought: &mut Vec<Brought<W>>,
    ) {
        let who = member.who;
        let Role::Finder(finding) = &mut member.role else {
            return;
        };
        for effect in finding.detection.step(event) {
            let Role::Finder(finding) = &mut member.role else {
                return;
            };
            match effect {
                Effect::Look(number) => self.ask(now, member, Tag::Detection(number), Ask::Look),
                Effect::StartTimer(number, after) => {
                    self.due.push((now + after, Happening::Timer(who, number)));
                }
                Effect::Name(leader) => {
                    let is_other = leader.is_some() && leader != finding.followed;
                    if is_other {
                        finding.followed.clone_from(&leader);
                    }
                    let words = leader.as_ref().map(|at| format!("{} {}", at.address, at.id));
                    let process = who.process;
                    brought.push(Brought::Finds { process, leader: words, is_other });
                    finding.known = leader;
                }
                Effect::Warn(_) => (),
            }
        }
    }

    /// The process that leads, as this one knows it.
    pub fn leader_of(&self, process: u32) -> Option<u32> {
        let member = self.members.get(&process).filter(|member| member.up)?;
        match &member.role {
            Role::Finder(finding) => process_of(finding.known.as_ref()?),
            Role::Candidate(_) => None,
        }
    }

    /// What is not yet as it has to be when nothing goes wrong any more, in words: one leads, and everybody knows who.
    pub fn unsettled(&self) -> Option<String> {
        let reigning = self.reigning();
        let [(leader, epoch, true)] = reigning[..] else {
            return Some(format!("not one leads: {reigning:?}"));
        };
        let newest = self.ensemble.epoch().number;
        if epoch != newest {
            return Some(format!("{leader} leads in epoch {epoch}, and {newest} has begun"));
        }
        let is_lost = |member: &&Member<W>| match &member.role {
            Role::Finder(finding) => {
                member.up && finding.known.as_ref().and_then(process_of) != Some(leader)
            }
            Role::Candidate(_) => false,
        };
        let lost = self.members.values().find(is_lost)?;
        Some(format!("process {} does not know that process {leader} leads", lost.who.process))
    }
}

/// Addresses are made from numbers of processes.
fn process_of(candidate: &Candidate) -> Option<u32> {
    candidate.address.split(':').next()?.parse().ok()
}
