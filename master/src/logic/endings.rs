//! What operators end for good: frameworks with all their tasks, and agents that will never come back. It is written before anybody is
//! told, and who asked is answered once it is.

use libactor::Pid;
use protocol::agent::MasterToAgent;
use protocol::ids::{AgentId, FrameworkId};
use protocol::operator::{Refusal, RefusalKind, SetAnswer};
use serde::{Deserialize, Serialize};

use super::authorize::{Action, Who, authorize};
use super::{Effect, Master, Turn};

/// What is to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// A framework, with all its tasks.
    Framework(FrameworkId),
    /// An agent, with all that runs on it.
    Agent(AgentId),
}

/// Who waits until something has ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Endings {
    waiting: Vec<(Ending, u64)>,
    /// Agents that are to be told to end once it is written that they are gone.
    condemned: Vec<(AgentId, Pid)>,
}

/// Questions that may wait; who asks more often than the registry can be written may ask again.
const WAITING_MAX: usize = 1024;

impl Master {
    pub(super) fn on_end_asked(&mut self, turn: &mut Turn, asked: u64, who: Who, what: Ending) {
        let answer = match &what {
            Ending::Framework(framework) => self.judge_teardown(turn, who, framework),
            Ending::Agent(agent) => self.judge_gone(turn, who, agent),
        };
        match answer {
            Some(answer) => turn.effects.push(Effect::AnswerSet { asked, answer }),
            None => self.endings.waiting.push((what, asked)),
        }
    }

    /// `None`: it is being written.
    fn judge_teardown(&mut self, turn: &mut Turn, who: Who, id: &FrameworkId) -> Option<SetAnswer> {
        if let Err(refused) = authorize(who, Action::TeardownFramework, id.as_str()) {
            return Some(SetAnswer::Refused(refused.into()));
        }
        if self.frameworks.get(id).is_none_or(|framework| framework.is_removed()) {
            return Some(unknown("No framework found with specified ID".into()));
        }
        if self.endings.waiting.len() >= WAITING_MAX {
            return Some(busy());
        }
        self.remove_framework(turn, id);
        None
    }

    /// `None`: it is being written.
    fn judge_gone(&mut self, turn: &mut Turn, who: Who, id: &AgentId) -> Option<SetAnswer> {
        if let Err(refused) = authorize(who, Action::RemoveAgent, id.as_str()) {
            return Some(SetAnswer::Refused(refused.into()));
        }
        if self.registry.gone.contains_key(id) {
            return Some(SetAnswer::SetAt(self.moment(turn)));
        }
        if !self.agents.contains_key(id) {
            return Some(unknown(format!("Agent '{id}' not found")));
        }
        if self.endings.waiting.len() >= WAITING_MAX {
            return Some(busy());
        }
        if let Some(pid) = self.send_away(turn, id) {
            self.endings.condemned.push((id.clone(), pid));
        }
        None
    }

    /// It is written that a framework is gone.
    pub(super) fn framework_has_ended(&mut self, turn: &mut Turn, id: &FrameworkId) {
        self.answer_endings(turn, &Ending::Framework(id.clone()));
    }

    /// It is written that an agent is gone. It is told, if it can be: if not, it hears of it when it comes back.
    pub(super) fn agent_has_ended(&mut self, turn: &mut Turn, id: &AgentId) {
        self.answer_endings(turn, &Ending::Agent(id.clone()));
        let (epoch, cluster) = (self.epoch(), self.registry.cluster.clone());
        let told: Vec<Pid> = self
            .endings
            .condemned
            .extract_if(.., |(agent, _)| agent == id)
            .map(|(_, pid)| pid)
            .collect();
        for pid in told {
            let reason = format!("an operator has marked agent {id} as gone");
            let cluster = cluster.clone();
            turn.tell_agent(pid, MasterToAgent::Shutdown { epoch, reason, cluster });
        }
    }

    fn answer_endings(&mut self, turn: &mut Turn, what: &Ending) {
        let answer = SetAnswer::SetAt(self.moment(turn));
        for (_, asked) in self.endings.waiting.extract_if(.., |(waits, _)| waits == what) {
            turn.effects.push(Effect::AnswerSet { asked, answer: answer.clone() });
        }
    }
}

fn busy() -> SetAnswer {
    let why = "many such calls wait to be written: try again in a moment".into();
    SetAnswer::Refused(Refusal { kind: RefusalKind::Busy, why })
}

fn unknown(why: String) -> SetAnswer {
    SetAnswer::Refused(Refusal { kind: RefusalKind::NotFound, why })
}
