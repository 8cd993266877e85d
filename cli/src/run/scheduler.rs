//! The framework behind `airside run`: launches one task on the first offer that holds it, and tells the command what
//! happens.

use std::time::Duration;

use protocol::ids::{FrameworkId, TaskId};
use protocol::offer::{Constraint, Demand, Offer, Unmet};
use protocol::resources::Resources;
use protocol::task::{Run, TaskSpec, TaskStatus};
use sdk::{Calls, Outcome, Scheduler};
use tokio::sync::mpsc::UnboundedSender;

use super::narration::Said;

/// What [`Scheduler::input`] hears when the task is to be ended.
pub(crate) const END_TASK: &[u8] = b"end the task";
/// The same, without grace.
pub(crate) const END_TASK_AT_ONCE: &[u8] = b"end the task at once";

/// The key of the only timer.
const TEAR_DOWN: u64 = 1;

/// Launches one task, once.
pub(crate) struct OneTask {
    task: TaskSpec,
    /// How many ports it gets beside.
    ports: u16,
    launched: bool,
    /// A handful of words in all: one per step of one task.
    say: UnboundedSender<Said>,
}

impl OneTask {
    /// A framework for this task.
    pub(crate) fn new(task: TaskSpec, ports: u16, say: UnboundedSender<Said>) -> Self {
        Self { task, ports, launched: false, say }
    }

    fn say(&self, said: Said) {
        // The command may have ended; then nobody wants to know.
        let _ = self.say.send(said);
    }

    /// The task with ports of the offer, which it finds in `PORTS`, and each in `PORT0` and so on.
    fn with_ports(&self, offered: &Resources) -> Option<TaskSpec> {
        let mut task = self.task.clone();
        if self.ports == 0 {
            return Some(task);
        }
        let ports = offered.ranges("ports").take(u64::from(self.ports))?;
        task.resources = task.resources.with_ranges("ports", ports.clone());
        let numbers: Vec<String> =
            ports.iter().flat_map(|(first, last)| first..=last).map(|p| p.to_string()).collect();
        if let Run::Command(command) = &mut task.run {
            command.environment.push(("PORTS".into(), numbers.join(",")));
            for (n, number) in numbers.into_iter().enumerate() {
                command.environment.push((format!("PORT{n}"), number));
            }
        }
        Some(task)
    }
}

impl Scheduler for OneTask {
    fn started(&mut self, calls: &mut Calls, _: std::collections::BTreeMap<String, Vec<u8>>) {
        let each = self.task.resources.clone();
        let ports = (self.ports > 0).then_some(Constraint::Ports { each: self.ports });
        calls.demand(vec![Demand { each, count: 1, constraints: ports.into_iter().collect() }]);
    }

    fn subscribed(&mut self, _: &mut Calls, framework: &FrameworkId) {
        self.say(Said::Subscribed(framework.clone()));
    }

    fn disconnected(&mut self, _: &mut Calls) {
        self.say(Said::Disconnected);
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in offers {
            if self.launched {
                return;
            }
            let Some(task) = self.with_ports(&offer.resources) else { continue };
            match calls.launch(&offer, task) {
                Ok(()) => {
                    self.launched = true;
                    calls.demand(vec![]);
                    let task: TaskId = self.task.task.clone();
                    self.say(Said::Launched { offer: Box::new(offer), task });
                }
                // The next offer may hold it.
                Err(error) => tracing::info!(%error, "not launched on an offer"),
            }
        }
    }

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        self.say(Said::Updated(Box::new(status.clone())));
        if status.state.is_end() {
            // First the end is acknowledged, when this returns.
            calls.after(Duration::ZERO, TEAR_DOWN);
        }
    }

    fn timer(&mut self, calls: &mut Calls, _: u64) {
        // Its sandbox stays; the framework has nothing left to do.
        calls.tear_down();
    }

    fn input(&mut self, calls: &mut Calls, data: &[u8]) {
        match data {
            END_TASK | END_TASK_AT_ONCE if !self.launched => calls.tear_down(),
            END_TASK => calls.kill(&self.task.task),
            END_TASK_AT_ONCE => calls.kill_within(&self.task.task, Duration::ZERO),
            _ => {}
        }
    }

    /// Nobody waits for what may never come.
    fn unmet(&mut self, calls: &mut Calls, unmet: &[Unmet]) {
        for one in unmet.iter().filter(|_| !self.launched) {
            self.say(Said::Unmet(one.why.clone()));
            calls.tear_down();
        }
    }

    fn error(&mut self, _: &mut Calls, reason: &str) {
        self.say(Said::Refused(reason.into()));
    }

    fn ended(&mut self, outcome: &Outcome) {
        self.say(Said::Ended(outcome.clone()));
    }
}
