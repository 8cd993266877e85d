//! What frameworks said is to become of their tasks while an agent cannot be reached: what is to end is told to be lost and
//! killed once its agent is back, what is to be kept comes back with it.

use master::logic::Effect;
use protocol::agent::MasterToAgent;
use protocol::change::AgentState;
use protocol::fate::Fate;
use protocol::ids::AgentId;
use protocol::task::{Reason, TaskState, TaskStatus};

use super::FATE;
use crate::network::Life;
use crate::process::MasterBody;
use crate::truth::TaskKey;
use crate::world::World;

impl World {
    /// A task is launched, for the first time or anew.
    pub(crate) fn see_fate(&mut self, key: &TaskKey, fate: Option<Fate>) {
        self.truth.given_up.remove(key);
        match fate {
            Some(fate) => drop(self.truth.fates.insert(key.clone(), fate)),
            None => drop(self.truth.fates.remove(key)),
        }
    }

    /// A master has news of a task.
    pub(crate) fn see_given_up(&mut self, status: &TaskStatus) {
        let key = (status.framework.clone(), status.task.clone());
        let is_given_up =
            (status.state, status.reason) == (TaskState::Lost, Some(Reason::AgentRemoved));
        if is_given_up && self.truth.fates.get(&key) == Some(&Fate::End) {
            self.truth.given_up.insert(key);
        }
    }

    /// A scheduler is told of a task whose agent was given up.
    pub(crate) fn check_fate_told(&mut self, status: &TaskStatus) {
        let key = (status.framework.clone(), status.task.clone());
        let Some(fate) =
            self.truth.fates.get(&key).filter(|_| status.reason == Some(Reason::AgentRemoved))
        else {
            return;
        };
        let never = match fate {
            Fate::Keep => TaskState::Lost,
            Fate::End => TaskState::Unreachable,
        };
        if status.state == never {
            let words = format!("{} is told to be {never:?}, and it was to {}", key.1, fate.word());
            self.violate(FATE, words, vec![key.1.to_string()]);
        }
    }

    /// A master is about to welcome an agent that it had given up.
    pub(crate) fn check_fates(&mut self, life: Life, body: &MasterBody, effects: &[Effect]) {
        for effect in effects {
            let Effect::TellAgent { to, message: MasterToAgent::Registered { agent, .. } } = effect
            else {
                continue;
            };
            if body.agents.get(agent) == Some(&AgentState::Unreachable) {
                self.check_back(life, body, self.life_of(*to), agent, effects);
            }
        }
    }

    fn check_back(
        &mut self,
        life: Life,
        body: &MasterBody,
        back: Life,
        id: &AgentId,
        effects: &[Effect],
    ) {
        let Some(agent) =
            self.agent_in(back.process).filter(|_| self.present_life(back.process) == back)
        else {
            return;
        };
        let live = agent.tasks().filter(|(.., state)| !state.is_end());
        let live: Vec<TaskKey> = live.map(|(f, task, _)| (f.clone(), task.clone())).collect();
        for key in live {
            self.truth.checks += 1;
            let is_ended = effects.iter().any(|effect| ends(effect, &key));
            let to_end = self.truth.given_up.remove(&key);
            let booked = body
                .master
                .task_states()
                .find(|(framework, task, at, _)| (*framework, *task, *at) == (&key.0, &key.1, id));
            let keeps = self.truth.fates.get(&key) == Some(&Fate::Keep);
            let words = if to_end && !is_ended {
                format!("{} was given up and is back, and is not killed", key.1)
            } else if keeps && booked.is_some_and(|(.., state)| state.is_end()) {
                format!("{} was to be kept and is back, and the master has {booked:?}", key.1)
            } else {
                continue;
            };
            let name = self.name_of(life.process).to_owned();
            self.violate(FATE, words, vec![key.1.to_string(), name]);
        }
    }
}

fn ends(effect: &Effect, key: &TaskKey) -> bool {
    let Effect::TellAgent { message, .. } = effect else {
        return false;
    };
    if let MasterToAgent::Kill { framework, task, .. } = message {
        return (framework, task) == (&key.0, &key.1);
    }
    matches!(message, MasterToAgent::ShutdownFramework { framework, .. } if *framework == key.0)
}
