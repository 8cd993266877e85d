//! What is true of a master at every moment. Tests and the simulator ask after each step.

use std::collections::BTreeMap;

use protocol::ids::{AgentId, FrameworkId, Role, TaskId};
use protocol::resources::Resources;
use protocol::task::TaskState;

use super::Master;

/// Who holds what: offers, tasks and executors together. Two books that are equal at rest have equal ones.
pub type Holdings = BTreeMap<(AgentId, FrameworkId, Role), Resources>;

impl Master {
    /// The first broken invariant, in words.
    pub fn check(&self) -> Result<(), String> {
        for id in self.agents.keys() {
            self.check_agent(id)?;
        }
        for (id, framework) in &self.frameworks {
            for (task_id, task) in &framework.tasks {
                let key = (id.clone(), task_id.clone());
                if !self
                    .agents
                    .get(&task.agent)
                    .is_some_and(|agent| agent.book.tasks.contains(&key))
                {
                    return Err(format!(
                        "task {task_id} of {id} is not in the book of {}",
                        task.agent
                    ));
                }
            }
            for number in &framework.offers {
                if self.offers.find(*number).is_none_or(|offer| offer.framework != *id) {
                    return Err(format!("framework {id} has offer {number}, which is not its own"));
                }
            }
        }
        for (number, offer) in self.offers.open() {
            let framework = self.frameworks.get(&offer.framework);
            if framework.is_none_or(|framework| !framework.offers.contains(&number)) {
                return Err(format!("offer {number} is not in the book of {}", offer.framework));
            }
            if !self.agents.get(&offer.agent).is_some_and(|agent| agent.is_active()) {
                return Err(format!(
                    "offer {number} is open on {}, which is not active",
                    offer.agent
                ));
            }
        }
        if self.offers.leases_ascend() {
            Ok(())
        } else {
            Err("an offer ends before one that is older, or nothing ends them".into())
        }
    }

    fn check_agent(&self, id: &AgentId) -> Result<(), String> {
        let Some(agent) = self.agents.get(id) else { return Ok(()) };
        let book = &agent.book;
        let used = self.used_on(id);
        if book.used != used {
            return Err(format!("agent {id}: {} is booked as used, but {used} is held", book.used));
        }
        let mut offered = Resources::none();
        let open = self.offers.open().filter(|(_, offer)| offer.agent == *id);
        let mut numbers = Vec::new();
        for (number, offer) in open {
            offered.add(&offer.resources);
            numbers.push(number);
        }
        if book.offered != offered || book.offers[..] != numbers[..] {
            return Err(format!(
                "agent {id}: {} is booked as offered, but {offered} is",
                book.offered
            ));
        }
        if agent.is_active() && !book.total.minus(&used).contains(&offered) {
            return Err(format!(
                "agent {id} has {} but {used} is used and {offered} offered",
                book.total
            ));
        }
        for (framework, task) in &book.tasks {
            if self.task(framework, task).is_none_or(|task| task.agent != *id) {
                return Err(format!(
                    "agent {id} has task {task} of {framework}, which is not there"
                ));
            }
        }
        Ok(())
    }

    /// Who holds what on agents that are active, or may be back any moment.
    pub fn holdings(&self) -> Holdings {
        let mut all = Holdings::new();
        for (id, _) in self.agents.iter().filter(|(_, agent)| agent.counts()) {
            let holders = self.holders_on(id).into_iter();
            for (framework, role, resources) in holders.filter(|(.., held)| !held.is_empty()) {
                all.entry((id.clone(), framework, role)).or_default().add(&resources);
            }
        }
        for (_, offer) in self.offers.open() {
            let key = (offer.agent.clone(), offer.framework.clone(), offer.role.clone());
            all.entry(key).or_default().add(&offer.resources);
        }
        all
    }

    /// What is free on each active agent.
    pub fn free(&self) -> BTreeMap<AgentId, Resources> {
        let active = self.agents.iter().filter(|(_, agent)| agent.is_active());
        active.map(|(id, agent)| (id.clone(), agent.book.free())).collect()
    }

    /// How many agents of earlier reigns may have tasks of which nobody has heard, and how many there were at first.
    pub fn awaits(&self) -> (usize, usize) {
        // One that was given up meanwhile is not awaited any more, also while it comes back.
        let missing =
            self.agents.values().filter(|agent| agent.is_awaited() && !agent.was_given_up);
        (missing.count(), self.awaited_at_first)
    }

    /// The tasks in the books, with their agent and newest state.
    pub fn task_states(
        &self,
    ) -> impl Iterator<Item = (&FrameworkId, &TaskId, &AgentId, TaskState)> {
        self.frameworks.iter().flat_map(|(framework, entry)| {
            entry.tasks.iter().map(move |(id, task)| (framework, id, &task.agent, task.state))
        })
    }

    /// Where the last task of this id ended, if that is remembered.
    pub fn ended_on(&self, framework: &FrameworkId, task: &TaskId) -> Option<&AgentId> {
        self.frameworks.get(framework)?.ended.end_of(task)?.agent.as_ref()
    }
}
