//! What a master hears and says, counted under the names of Mesos's metrics. Pure: it is shown each event, and the step that the event
//! led to.

use std::collections::{BTreeMap, BTreeSet};

use api::v1::scheduler::call::Type;
use libactor::Pid;
use protocol::agent::AgentToMaster;
use protocol::change::{FrameworkState, What};
use protocol::framework::{
    Capability, FrameworkInfo, FrameworkToMaster, MasterToFramework, Operation,
};
use protocol::ids::FrameworkId;
use protocol::task::{Reason, Source, TaskState, TaskStatus};

use crate::exposition::LINES_MAX;
use crate::logic::{Effect, Event, Step};
use crate::view::names::{ENDS, of_framework, of_reason, word};

/// What is counted of each framework from its first moment.
const CALLS: [&str; 17] = [
    "accept",
    "accept_inverse_offers",
    "acknowledge",
    "acknowledge_operation_status",
    "decline",
    "decline_inverse_offers",
    "kill",
    "message",
    "reconcile",
    "reconcile_operations",
    "request",
    "revive",
    "shutdown",
    "subscribe",
    "suppress",
    "teardown",
    "update_framework",
];
const EVENTS: [&str; 7] =
    ["subscribed", "offers", "rescind", "update", "message", "failure", "error"];
const OFFERS: [&str; 4] = ["sent", "accepted", "declined", "rescinded"];

type Counts = BTreeMap<&'static str, u64>;

/// Since the reign began.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: Counts,
    /// Whose schedulers these are.
    pids: BTreeMap<Pid, FrameworkId>,
    frameworks: BTreeMap<FrameworkId, OfFramework>,
    /// Messages of the frameworks of each principal.
    principals: BTreeMap<String, u64>,
    /// Tasks that never came into the books.
    refused: BTreeMap<(TaskState, Reason), u64>,
}

#[derive(Debug, Default)]
struct OfFramework {
    /// How the names of what is counted of it begin.
    named: String,
    principal: Option<String>,
    /// By Mesos's API, which has no event for what is not understood, nor for the end of a framework.
    is_by_http: bool,
    calls: Counts,
    events: Counts,
    offers: Counts,
    launches: u64,
    ended: BTreeMap<TaskState, u64>,
}

/// What an event was, until it is known what came of it.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    valid: Option<Checked>,
    /// Of which framework, and how its offers are answered, if they are.
    framework: Option<FrameworkId>,
    answer: Option<&'static str>,
}

/// What may be said in vain.
#[derive(Clone, Copy, Debug)]
enum Checked {
    StatusUpdate,
    Acknowledgement,
    ToExecutor,
    FromExecutor,
}

fn more(counts: &mut Counts, name: &'static str, by: usize) {
    *counts.entry(name).or_default() += by as u64;
}

/// A message of a scheduler's: as what it is counted, and which call of Mesos's it is.
fn names(message: &FrameworkToMaster) -> (Option<&'static str>, Option<&'static str>) {
    use FrameworkToMaster as Says;
    let (message, call) = match message {
        Says::Subscribe { framework, .. } | Says::SubscribeWith { framework, .. } => {
            let again = framework.is_some();
            (if again { "reregister_framework" } else { "register_framework" }, "subscribe")
        }
        // Each launch is counted.
        Says::Accept { .. } => return (None, Some("accept")),
        Says::Decline { .. } => ("decline_offers", "decline"),
        Says::Demand(_) | Says::Wishes(_) => return (None, None),
        Says::Revive | Says::ReviveRoles(_) => ("revive_offers", "revive"),
        Says::Suppress | Says::SuppressRoles(_) => ("suppress_offers", "suppress"),
        Says::Kill { .. } => ("kill_task", "kill"),
        Says::Acknowledge { .. } => ("status_update_acknowledgement", "acknowledge"),
        Says::Reconcile(_) => ("reconcile_tasks", "reconcile"),
        Says::ToExecutor { .. } => ("framework_to_executor", "message"),
        Says::ShutdownExecutor { .. } => return (None, Some("shutdown")),
        Says::Teardown => ("unregister_framework", "teardown"),
        Says::UpdateFramework { .. } => return (None, Some("update_framework")),
    };
    (Some(message), Some(call))
}

fn of_agent(message: &AgentToMaster) -> Option<&'static str> {
    match message {
        AgentToMaster::Register { .. } | AgentToMaster::RegisterAt { .. } => Some("register_slave"),
        AgentToMaster::Reregister { .. } | AgentToMaster::ReregisterAt { .. } => {
            Some("reregister_slave")
        }
        AgentToMaster::Updated { .. } => Some("status_update"),
        AgentToMaster::ExecutorEnded { .. } => Some("exited_executor"),
        AgentToMaster::FromExecutor { .. } => Some("executor_to_framework"),
        AgentToMaster::Unregister => Some("unregister_slave"),
        AgentToMaster::Pong { .. } | AgentToMaster::MayReturn { .. } => None,
        AgentToMaster::EpochRefused { .. } => None,
    }
}

/// What a scheduler is told: which event of Mesos's it is, and how many.
fn event(message: &MasterToFramework) -> Option<(&'static str, usize)> {
    match message {
        MasterToFramework::Subscribed { .. } => Some(("subscribed", 1)),
        MasterToFramework::Offers(_) | MasterToFramework::OffersAt { .. } => Some(("offers", 1)),
        MasterToFramework::Rescinded(offers) => Some(("rescind", offers.len())),
        MasterToFramework::Updated(_) => Some(("update", 1)),
        MasterToFramework::FromExecutor { .. } => Some(("message", 1)),
        MasterToFramework::ExecutorEnded { .. } | MasterToFramework::AgentLost(_) => {
            Some(("failure", 1))
        }
        MasterToFramework::Refused { .. } | MasterToFramework::FailedOver => Some(("error", 1)),
        MasterToFramework::TornDown | MasterToFramework::Error { .. } => Some(("error", 1)),
        MasterToFramework::Deltas(_) | MasterToFramework::Unmet(_) => None,
        MasterToFramework::FrameworkUpdated { .. } => None,
    }
}

impl Tally {
    /// A framework is told of a task that was refused before the master heard of it.
    pub(crate) fn refuse(&mut self, framework: &FrameworkId, status: &TaskStatus) {
        if let Some(why) = status.reason {
            *self.refused.entry((status.state, why)).or_default() += 1;
        }
        if let Some(of) = self.frameworks.get_mut(framework) {
            more(&mut of.events, "update", 1);
        }
    }

    /// A gateway does not pass on an update that the master told it.
    pub(crate) fn keep_back(&mut self, framework: &FrameworkId) {
        let of = self.frameworks.get_mut(framework);
        if let Some(count) = of.and_then(|of| of.events.get_mut("update")) {
            *count = count.saturating_sub(1);
        }
    }

    /// Before the master is shown it.
    pub(crate) fn hear(&mut self, event: &Event) -> Heard {
        match event {
            Event::FromFramework { from, message, .. } => self.hear_framework(*from, message),
            Event::FromAgent { message, .. } => {
                if let Some(name) = of_agent(message) {
                    more(&mut self.counts, name, 1);
                }
                let is_update = matches!(message, AgentToMaster::Updated { .. });
                let is_message = matches!(message, AgentToMaster::FromExecutor { .. });
                let update = is_update.then_some(Checked::StatusUpdate);
                let valid = update.or(is_message.then_some(Checked::FromExecutor));
                Heard { valid, ..Heard::default() }
            }
            Event::Down { pid, .. } => {
                self.pids.remove(pid);
                Heard::default()
            }
            Event::Started | Event::Proposed(_) | Event::Written(_) => Heard::default(),
            Event::Untold(_) | Event::TimerFired(_) => Heard::default(),
            Event::KillAsked { .. } | Event::SetAsked { .. } | Event::EndAsked { .. } => {
                Heard::default()
            }
        }
    }

    fn hear_framework(&mut self, from: Pid, message: &FrameworkToMaster) -> Heard {
        let (name, call) = names(message);
        let framework = self.pids.get(&from).cloned();
        if let Some(name) = name {
            more(&mut self.counts, name, 1);
        }
        let mut launches = 0;
        if let FrameworkToMaster::Accept { operations, .. } = message {
            launches = operations.len() as u64;
            for Operation::Launch(tasks) in operations {
                let name = if tasks.is_empty() { "decline_offers" } else { "launch_tasks" };
                more(&mut self.counts, name, 1);
            }
        }
        if let Some(framework) = &framework {
            self.calls(framework, call, launches);
        }
        let answer = match call {
            Some("accept") => Some("accepted"),
            Some("decline") => Some("declined"),
            Some(_) | None => None,
        };
        let valid = match call {
            Some("acknowledge") => Some(Checked::Acknowledgement),
            Some("message") => Some(Checked::ToExecutor),
            Some(_) | None => None,
        };
        Heard { valid, framework, answer }
    }

    fn calls(&mut self, framework: &FrameworkId, call: Option<&'static str>, launches: u64) {
        let Some(of) = self.frameworks.get_mut(framework) else { return };
        of.launches += launches;
        if let Some(call) = call {
            more(&mut of.calls, call, 1);
        }
        if let Some(principal) = &of.principal
            && let Some(count) = self.principals.get_mut(principal)
        {
            *count += 1;
        }
    }

    /// A call of a framework's of which the master is not told.
    pub(crate) fn hear_call(&mut self, framework: &FrameworkId, call: Type) {
        if call == Type::Request {
            more(&mut self.counts, "resource_request", 1);
        }
        let name = call.as_str_name();
        let call = CALLS.iter().find(|call| call.eq_ignore_ascii_case(name)).copied();
        self.calls(framework, call, 0);
    }

    /// What came of it.
    pub(crate) fn say(&mut self, heard: Heard, step: &Step) {
        if let Some(checked) = heard.valid {
            let is_done = match checked {
                Checked::StatusUpdate => !step.effects.is_empty() || !step.changes.is_empty(),
                Checked::Acknowledgement | Checked::ToExecutor => {
                    step.effects.iter().any(|e| matches!(e, Effect::TellAgent { .. }))
                }
                Checked::FromExecutor => {
                    step.effects.iter().any(|e| matches!(e, Effect::TellFramework { .. }))
                }
            };
            more(&mut self.counts, checked.name(is_done), 1);
        }
        for change in &step.changes {
            self.see(&change.what);
        }
        if let (Some(answer), Some(framework)) = (heard.answer, &heard.framework)
            && let Some(of) = self.frameworks.get_mut(framework)
        {
            let ended =
                step.changes.iter().filter(|change| matches!(change.what, What::OfferEnded(_)));
            more(&mut of.offers, answer, ended.count());
        }
        for effect in &step.effects {
            if let Effect::TellFramework { to, message } = effect {
                self.tell(*to, message);
            }
        }
        self.see_refused(step);
    }

    /// What ends without having been in the books is told of, and changes nothing.
    fn see_refused(&mut self, step: &Step) {
        let ends = step.effects.iter().filter_map(|effect| {
            let Effect::TellFramework { message, .. } = effect else { return None };
            let MasterToFramework::Updated(status) = message else { return None };
            let is_end = status.source == Source::Master && status.state.is_end();
            let why = status.reason.filter(|why| is_end && *why != Reason::Reconciliation);
            why.map(|why| (status, why))
        });
        let mut ends = ends.peekable();
        if ends.peek().is_none() {
            return;
        }
        let changed = step.changes.iter().filter_map(|change| {
            let What::TaskStatus(status) = &change.what else { return None };
            Some((&status.framework, &status.task))
        });
        let changed: BTreeSet<_> = changed.collect();
        for (status, why) in ends {
            if !changed.contains(&(&status.framework, &status.task)) {
                *self.refused.entry((status.state, why)).or_default() += 1;
            }
        }
    }

    fn tell(&mut self, to: Pid, message: &MasterToFramework) {
        if let MasterToFramework::Subscribed { framework, .. } = message {
            let before = self.pids.insert(to, framework.clone());
            if before.is_none() {
                self.calls(framework, Some("subscribe"), 0);
            }
        }
        let Some(of) = self.pids.get(&to).and_then(|id| self.frameworks.get_mut(id)) else {
            return;
        };
        let says_nothing = of.is_by_http
            && matches!(message, MasterToFramework::TornDown | MasterToFramework::Error { .. });
        if let Some((name, count)) = event(message).filter(|_| !says_nothing) {
            more(&mut of.events, name, count);
        }
        if let MasterToFramework::Offers(offers) | MasterToFramework::OffersAt { offers, .. } =
            message
        {
            more(&mut of.offers, "sent", offers.len());
        } else if let MasterToFramework::Rescinded(offers) = message {
            more(&mut of.offers, "rescinded", offers.len());
        }
    }

    fn see(&mut self, what: &What) {
        if let What::Framework { info, state } = what
            && *state != FrameworkState::Removed
        {
            self.name(info);
        } else if let What::FrameworkState { framework, state: FrameworkState::Removed } = what {
            self.forget(framework);
        } else if let What::TaskForgotten { framework, state, .. } = what
            && let Some(of) = self.frameworks.get_mut(framework)
        {
            *of.ended.entry(*state).or_default() += 1;
        }
    }

    fn name(&mut self, info: &FrameworkInfo) {
        let principal = info.carried.decode().ok().and_then(|info| info.principal);
        let of = self.frameworks.entry(info.framework.clone()).or_default();
        of.named = of_framework(info);
        of.is_by_http = info.capabilities.contains(&Capability::NamesItself);
        let before = std::mem::replace(&mut of.principal, principal.clone());
        if before != principal {
            self.leave(before);
        }
        if let Some(principal) = principal {
            self.principals.entry(principal).or_default();
        }
    }

    fn forget(&mut self, framework: &FrameworkId) {
        let Some(of) = self.frameworks.remove(framework) else { return };
        self.pids.retain(|_, id| id != framework);
        self.leave(of.principal);
    }

    /// What is counted of a principal goes with the last of its frameworks.
    fn leave(&mut self, principal: Option<String>) {
        if let Some(left) = principal
            && !self.frameworks.values().any(|of| of.principal.as_ref() == Some(&left))
        {
            self.principals.remove(&left);
        }
    }

    /// Adds tasks that were refused to those that have ended.
    pub(crate) fn add_refused(&self, all: &mut BTreeMap<String, f64>) {
        for ((state, why), count) in &self.refused {
            let of_state = format!("master/tasks_{}", word(*state));
            for name in [of_state, of_reason(*state, Source::Master, *why)] {
                *all.entry(name).or_default() += *count as f64;
            }
        }
    }

    /// All of it, and what others count of frameworks.
    pub(crate) fn numbers<'a>(
        &self,
        others: impl IntoIterator<Item = &'a (FrameworkId, String, f64)>,
    ) -> BTreeMap<String, f64> {
        let mut all = BTreeMap::new();
        for (name, count) in &self.counts {
            let is_message = !name.starts_with("valid_") && !name.starts_with("invalid_");
            let kind = if is_message { "messages_" } else { "" };
            all.insert(format!("master/{kind}{name}"), *count as f64);
        }
        for (principal, count) in self.principals.iter().take(LINES_MAX) {
            for what in ["received", "processed"] {
                all.insert(format!("frameworks/{principal}/messages_{what}"), *count as f64);
            }
        }
        for of in self.frameworks.values().take(LINES_MAX) {
            of.numbers(&mut all);
        }
        for (framework, name, number) in others {
            if let Some(of) = self.frameworks.get(framework) {
                all.insert(format!("{}/{name}", of.named), *number);
            }
        }
        all
    }
}

impl Checked {
    fn name(self, is_valid: bool) -> &'static str {
        match (self, is_valid) {
            (Self::StatusUpdate, true) => "valid_status_updates",
            (Self::StatusUpdate, false) => "invalid_status_updates",
            (Self::Acknowledgement, true) => "valid_status_update_acknowledgements",
            (Self::Acknowledgement, false) => "invalid_status_update_acknowledgements",
            (Self::ToExecutor, true) => "valid_framework_to_executor_messages",
            (Self::ToExecutor, false) => "invalid_framework_to_executor_messages",
            (Self::FromExecutor, true) => "valid_executor_to_framework_messages",
            (Self::FromExecutor, false) => "invalid_executor_to_framework_messages",
        }
    }
}

impl OfFramework {
    fn numbers(&self, all: &mut BTreeMap<String, f64>) {
        let named = &self.named;
        let mut group = |name: &str, kinds: &[&'static str], counts: &Counts, with_sum: bool| {
            for kind in kinds {
                let count = counts.get(kind).copied().unwrap_or_default();
                all.insert(format!("{named}/{name}/{kind}"), count as f64);
            }
            if with_sum {
                let sum: u64 = counts.values().sum();
                all.insert(format!("{named}/{name}"), sum as f64);
            }
        };
        group("calls", &CALLS, &self.calls, true);
        group("events", &EVENTS, &self.events, true);
        group("offers", &OFFERS, &self.offers, false);
        let launches = Counts::from([("launch", self.launches)]);
        group("operations", &["launch"], &launches, true);
        for state in ENDS {
            let count = self.ended.get(&state).copied().unwrap_or_default();
            all.insert(format!("{named}/tasks/terminal/task_{}", word(state)), count as f64);
        }
    }
}
