//! A scheduler's view is its master's book, as that was when the newest change in the view was made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libactor::Pid;
use protocol::change::What;
use protocol::framework::MasterToFramework;
use protocol::ids::{FrameworkId, TaskId};
use protocol::offer::Offer;
use sdk::logic::Phase;

use super::VIEW;
use crate::machines::domain_of;
use crate::network::Life;
use crate::process::{Body, FrameworkBody};
use crate::world::{World, pid_of};

/// What one master has told each scheduler of the tasks there are, whether it arrived or not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    tasks: BTreeMap<Pid, Tasks>,
    frameworks: BTreeMap<Pid, FrameworkId>,
    /// The scheduler of each framework that was welcomed last.
    newest: BTreeMap<FrameworkId, Pid>,
}

#[derive(Clone, Debug, Default)]
struct Tasks {
    now: BTreeSet<TaskId>,
    /// By number of change. A snapshot may say it again, and otherwise: it leaves out what was told to be lost.
    at: BTreeMap<u64, Vec<BTreeSet<TaskId>>>,
}

/// Older changes than these are not looked at any more.
const CHANGES_MAX: usize = 256;

/// An offer of an agent that is elsewhere than is said of it.
fn misplaced(message: &MasterToFramework) -> Option<String> {
    let nowhere = BTreeMap::new();
    let (offers, domains) = if let MasterToFramework::Offers(offers) = message {
        (offers, &nowhere)
    } else if let MasterToFramework::OffersAt { offers, domains } = message {
        (offers, domains)
    } else {
        return None;
    };
    let is_elsewhere = |offer: &&Arc<Offer>| {
        let hostname = &offer.at.hostname;
        // Authors place agents of other names as they like.
        hostname.starts_with("host-") && domains.get(&offer.agent) != domain_of(hostname).as_ref()
    };
    let offer = offers.iter().find(is_elsewhere)?;
    Some(format!("{} is of {}, which is elsewhere than it says", offer.offer, offer.agent))
}

impl Told {
    /// What should not be told, in words.
    pub(crate) fn see(&mut self, to: Pid, message: &MasterToFramework) -> Option<String> {
        self.see_tasks(to, message);
        if let MasterToFramework::Subscribed { framework, .. } = message {
            self.frameworks.insert(to, framework.clone());
            self.newest.insert(framework.clone(), to);
        }
        let is_for_the_newest = matches!(
            message,
            MasterToFramework::Offers(_)
                | MasterToFramework::OffersAt { .. }
                | MasterToFramework::Deltas(_)
                | MasterToFramework::Updated(_)
        );
        if let Some(words) = misplaced(message) {
            return Some(words);
        }
        let framework = self.frameworks.get(&to).filter(|_| is_for_the_newest)?;
        (self.newest.get(framework) != Some(&to))
            .then(|| format!("a scheduler of {framework} is told what is another's by now"))
    }

    /// The scheduler of a framework that was welcomed last.
    pub(crate) fn newest(&self, framework: &FrameworkId) -> Option<Pid> {
        self.newest.get(framework).copied()
    }

    fn see_tasks(&mut self, to: Pid, message: &MasterToFramework) {
        if let MasterToFramework::Subscribed { tasks, change, .. } = message {
            let known = self.tasks.entry(to).or_default();
            known.now = tasks.iter().map(|report| report.spec.task.clone()).collect();
            known.remember(*change);
        } else if let MasterToFramework::Deltas(changes) = message {
            let known = self.tasks.entry(to).or_default();
            for change in changes {
                if let What::Task(report) = &change.what {
                    known.now.insert(report.spec.task.clone());
                } else if let What::TaskForgotten { task, .. } = &change.what {
                    known.now.remove(task);
                }
                known.remember(change.number);
            }
        }
    }
}

impl Tasks {
    fn remember(&mut self, change: u64) {
        self.at.entry(change).or_default().push(self.now.clone());
        if self.at.len() > CHANGES_MAX {
            self.at.pop_first();
        }
    }
}

impl World {
    /// After a step of a scheduler's driver.
    pub(crate) fn check_view(&mut self, life: Life, body: &FrameworkBody) {
        let driver = body.framework.driver();
        let Phase::Subscribed { master } = driver.phase() else {
            return;
        };
        let of = self.life_of(*master);
        let process = &self.processes[&of.process];
        let Some(Body::Master(leader)) = process.body.as_ref().filter(|_| process.life == of.life)
        else {
            return;
        };
        let view = driver.view();
        let at = leader.told.tasks.get(&pid_of(life)).and_then(|told| told.at.get(&view.change));
        let viewed: BTreeSet<TaskId> = view.tasks.keys().cloned().collect();
        let differs = at.filter(|sets| !sets.contains(&viewed)).cloned();
        self.truth.checks += 1;
        if let Some(sets) = differs {
            let name = self.name_of(life.process).to_owned();
            let words =
                format!("{name} sees {viewed:?} at change {}, which was {sets:?}", view.change);
            self.violate(VIEW, words, vec![name]);
        }
    }
}
