//! Coming to a master and staying with it: first contact, return after a loss, and the ends.

use std::collections::BTreeMap;
use std::time::Duration;

use libactor::Pid;
use protocol::change::Change;
use protocol::framework::MasterToFramework;
use protocol::ids::{FrameworkId, MasterId};
use protocol::task::TaskReport;
use serde::{Deserialize, Serialize};

use super::{Bug, Driver, Effect, News, Outcome, Timer, Turn};

/// The most messages of a master that are kept while the framework's id is written down.
const KEPT_MOST: usize = 1024;

/// With very many tasks `Subscribe` is not repeated sooner than after so long for each of them,
const AGAIN_FOR_EACH_TASK: Duration = Duration::from_micros(100);
/// and never later than this for their sake.
const AGAIN_MAX: Duration = Duration::from_secs(10);

/// `Idle -> Subscribing <-> Remembering -> Subscribed -> Subscribing …`, and `Ended` from anywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    /// Not started.
    Idle,
    /// `Subscribe` is repeated until it is answered.
    Subscribing {
        /// Of the timer for the next repeat.
        generation: u64,
    },
    /// A master answered; the id it gave is being written down, and what it says meanwhile is kept.
    Remembering {
        /// Who answered.
        master: Pid,
        /// The id.
        framework: FrameworkId,
        /// What it said first, and since.
        kept: Vec<MasterToFramework>,
    },
    /// With a master.
    Subscribed {
        /// Who is followed.
        master: Pid,
    },
    /// Nothing more will happen.
    Ended,
}

/// The parts of `Subscribed`.
pub(super) struct Snapshot {
    pub(super) epoch: u64,
    pub(super) framework: FrameworkId,
    pub(super) leader: MasterId,
    pub(super) tasks: Vec<TaskReport>,
    pub(super) change: u64,
}

impl Driver {
    pub(super) fn on_started(&mut self, turn: &mut Turn) {
        if matches!(self.phase, Phase::Idle) {
            self.subscribe(turn);
        }
    }

    pub(super) fn subscribe(&mut self, turn: &mut Turn) {
        let generation = self.next_generation();
        self.phase = Phase::Subscribing { generation };
        let message = self.subscription();
        if !self.suspended {
            turn.effects.push(Effect::TellMaster { to: None, message });
        }
        // The answer may be much, and a master of an earlier version says it as often as it is asked.
        let tasks = u32::try_from(self.book.len()).unwrap_or(u32::MAX);
        let most = AGAIN_FOR_EACH_TASK.saturating_mul(tasks).min(AGAIN_MAX);
        let most = most.max(self.settings.backoff_most);
        let after = self.settings.backoff.saturating_mul(1 << self.attempts.min(16)).min(most);
        self.attempts = self.attempts.saturating_add(1);
        let after = self.jittered(after);
        turn.start(Timer::Subscribe(generation), after);
    }

    /// Between three quarters of `span` and all of it, so that a thousand schedulers do not come back as one.
    fn jittered(&mut self, span: Duration) -> Duration {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let quarter = span / 4;
        let part = u32::try_from(self.chance % 1024).unwrap_or(0);
        span - quarter * part / 1024
    }

    pub(super) fn on_subscribe_due(&mut self, turn: &mut Turn, due: u64) {
        if matches!(self.phase, Phase::Subscribing { generation } if generation == due) {
            self.subscribe(turn);
        }
    }

    /// Everything is learned anew from the next master; only what was launched and is unsettled stays in the book.
    pub(super) fn resubscribe(&mut self, turn: &mut Turn) {
        self.attempts = 0;
        let offers = self.drop_offers();
        if !offers.is_empty() {
            turn.news.push_back(News::Rescinded(offers));
        }
        if matches!(self.phase, Phase::Subscribed { .. }) {
            turn.news.push_back(News::Disconnected);
        }
        self.drop_withheld(turn);
        self.subscribe(turn);
    }

    pub(super) fn on_down(&mut self, turn: &mut Turn, pid: Pid) {
        match self.phase {
            Phase::Subscribed { master } | Phase::Remembering { master, .. } if master == pid => {
                self.resubscribe(turn);
            }
            Phase::Subscribed { .. } | Phase::Remembering { .. } => (),
            Phase::Idle | Phase::Subscribing { .. } | Phase::Ended => (),
        }
    }

    /// The old master may not know yet that it was deposed, and may never say so.
    pub(super) fn on_other_leader(&mut self, turn: &mut Turn) {
        match self.phase {
            Phase::Subscribed { master } | Phase::Remembering { master, .. } => {
                turn.effects.push(Effect::Unlink(master));
                self.resubscribe(turn);
            }
            Phase::Subscribing { .. } => {
                self.attempts = 0;
                self.subscribe(turn);
            }
            Phase::Idle | Phase::Ended => (),
        }
    }

    /// The master did not hear something it should have heard: the snapshot of a new subscription heals all.
    pub(super) fn on_not_sent(&mut self, turn: &mut Turn, to: Option<Pid>) {
        match (&self.phase, to) {
            (Phase::Subscribed { master }, Some(to)) if *master == to => {
                turn.effects.push(Effect::Unlink(to));
                self.resubscribe(turn);
            }
            (Phase::Idle | Phase::Subscribing { .. } | Phase::Remembering { .. }, _) => (),
            (Phase::Subscribed { .. } | Phase::Ended, _) => (),
        }
    }

    pub(super) fn on_message(&mut self, turn: &mut Turn, from: Pid, message: MasterToFramework) {
        match (&mut self.phase, message) {
            (
                _,
                MasterToFramework::Subscribed { epoch, framework, master: leader, tasks, change },
            ) => {
                self.on_subscribed(
                    turn,
                    from,
                    Snapshot { epoch, framework, leader, tasks, change },
                );
            }
            (Phase::Subscribing { .. }, MasterToFramework::Refused { reason }) => {
                self.on_refused(turn, reason);
            }
            (Phase::Subscribing { .. }, MasterToFramework::FailedOver) => {
                self.end(turn, Outcome::FailedOver);
            }
            (Phase::Remembering { master, kept, .. }, message) if *master == from => {
                if kept.len() < KEPT_MOST {
                    kept.push(message);
                } else {
                    turn.effects.push(Effect::Unlink(from));
                    self.resubscribe(turn);
                }
            }
            (Phase::Subscribed { master }, message) if *master == from => {
                self.on_word(turn, message);
            }
            (Phase::Idle | Phase::Subscribing { .. } | Phase::Ended, _) => (),
            (Phase::Remembering { .. } | Phase::Subscribed { .. }, _) => (),
        }
    }

    /// From the master that is followed.
    fn on_word(&mut self, turn: &mut Turn, message: MasterToFramework) {
        match message {
            MasterToFramework::Subscribed { .. } => (),
            MasterToFramework::Refused { reason } => self.on_refused(turn, reason),
            MasterToFramework::FailedOver => self.end(turn, Outcome::FailedOver),
            MasterToFramework::Offers(offers) => self.on_offers(turn, offers, &BTreeMap::new()),
            MasterToFramework::OffersAt { offers, domains } => {
                self.on_offers(turn, offers, &domains);
            }
            MasterToFramework::Rescinded(offers) => self.on_rescinded(turn, offers),
            MasterToFramework::Updated(status) => self.on_updated(turn, status),
            MasterToFramework::Deltas(changes) => self.on_deltas(turn, changes),
            MasterToFramework::FromExecutor { agent, executor, data } => {
                turn.news.push_back(News::Message { agent, executor, data });
            }
            MasterToFramework::ExecutorEnded { agent, executor, exit } => {
                turn.news.push_back(News::ExecutorEnded { agent, executor, exit });
            }
            MasterToFramework::AgentLost(agent) => {
                self.executors.agent_lost(&agent);
                turn.news.push_back(News::AgentLost(agent));
            }
            MasterToFramework::TornDown => self.on_torn_down(turn),
            MasterToFramework::Error { reason } => turn.news.push_back(News::Error(reason)),
            MasterToFramework::Unmet(unmet) => self.on_unmet(turn, unmet),
            // It updates itself by subscribing.
            MasterToFramework::FrameworkUpdated { .. } => (),
        }
    }

    /// A repeat from the same master is normal, since `Subscribe` is repeated; a lower epoch is a master that does not
    /// know yet that it was deposed.
    fn on_subscribed(&mut self, turn: &mut Turn, from: Pid, snapshot: Snapshot) {
        if snapshot.epoch < self.epoch {
            return;
        }
        let followed = match self.phase {
            Phase::Subscribed { master } | Phase::Remembering { master, .. } => Some(master),
            Phase::Idle | Phase::Subscribing { .. } | Phase::Ended => None,
        };
        if followed != Some(from) {
            if let Some(old) = followed {
                turn.effects.push(Effect::Unlink(old));
            }
            turn.effects.push(Effect::Link(from));
        }
        self.epoch = snapshot.epoch;
        if self.framework.as_ref() == Some(&snapshot.framework) {
            return self.enter(turn, from, snapshot);
        }
        let framework = snapshot.framework.clone();
        turn.effects.push(Effect::Remember(framework.clone()));
        self.phase =
            Phase::Remembering { master: from, framework, kept: vec![snapshot.repacked()] };
    }

    pub(super) fn on_remembered(&mut self, turn: &mut Turn, written: &FrameworkId) {
        let (from, kept) = match &mut self.phase {
            Phase::Remembering { master, framework, kept } if framework == written => {
                (*master, std::mem::take(kept))
            }
            Phase::Remembering { .. } | Phase::Subscribed { .. } => return,
            Phase::Idle | Phase::Subscribing { .. } | Phase::Ended => {
                // The connection was lost meanwhile; the id is written and counts all the same.
                self.framework = Some(written.clone());
                return;
            }
        };
        self.framework = Some(written.clone());
        for message in kept {
            self.on_message(turn, from, message);
        }
    }

    fn enter(&mut self, turn: &mut Turn, master: Pid, snapshot: Snapshot) {
        let again = matches!(self.phase, Phase::Subscribed { master: old } if old == master);
        self.phase = Phase::Subscribed { master };
        self.attempts = 0;
        self.tear_down_told = false;
        if self.tearing_down {
            return; // Said when this step ends.
        }
        if !again {
            let offers = self.drop_offers();
            if !offers.is_empty() {
                turn.news.push_back(News::Rescinded(offers));
            }
            turn.news.push_back(News::Subscribed(snapshot.framework.clone()));
        }
        self.on_snapshot(turn, snapshot);
        self.start_reconciling(turn);
    }

    pub(super) fn on_deltas(&mut self, turn: &mut Turn, changes: Vec<Change>) {
        for change in changes {
            let expected = self.view.change + 1;
            if change.number < expected {
                continue;
            }
            if change.number > expected && !self.has(Bug::IgnoresDeltaGap) {
                if let Phase::Subscribed { master } = self.phase {
                    turn.effects.push(Effect::Unlink(master));
                }
                return self.resubscribe(turn);
            }
            self.on_change(turn, change);
        }
    }

    fn on_refused(&mut self, turn: &mut Turn, reason: String) {
        if self.tearing_down {
            // The first word of the end was lost: the id is not valid any more, as was wanted.
            return self.on_torn_down(turn);
        }
        let kept = self.framework.as_ref().map(|id| {
            format!("; its id {id} was kept by an earlier life: to start as a new framework, give another --state-dir or --elect")
        });
        self.end(turn, Outcome::Refused(reason + &kept.unwrap_or_default()));
    }

    fn on_torn_down(&mut self, turn: &mut Turn) {
        turn.effects.push(Effect::Forget);
        self.end(turn, Outcome::TornDown);
    }

    pub(super) fn end(&mut self, turn: &mut Turn, outcome: Outcome) {
        self.phase = Phase::Ended;
        turn.effects.push(Effect::End(outcome));
    }
}

impl Snapshot {
    /// As it came, to be heard again once the id is written.
    fn repacked(self) -> MasterToFramework {
        MasterToFramework::Subscribed {
            epoch: self.epoch,
            framework: self.framework,
            master: self.leader,
            tasks: self.tasks,
            change: self.change,
        }
    }
}
