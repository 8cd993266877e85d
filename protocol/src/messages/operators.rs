//! The questions of operators and of commands, and their answers.

use libactor::{Message, Question, Subjects};

use crate::change::Moment;
use crate::operator::{
    ExecutorsAnswer, KillAnswer, KillTask, MarkAgentGone, Read, ReadAnswer, ReadExecutors,
    ReadMoment, ReadSandbox, SandboxAnswer, SetAnswer, SetQuotas, SetWeights, Teardown,
};
use crate::since::Since;

impl Message for Read {
    const NAME: &'static str = "Read";

    fn label(&self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Agents => "Agents",
            Self::Frameworks => "Frameworks",
            Self::Tasks => "Tasks",
            Self::After { .. } => "After",
            Self::TasksBehind { .. } => "TasksBehind",
            Self::AgentsBehind(_) => "AgentsBehind",
            Self::FrameworksBehind(_) => "FrameworksBehind",
            Self::Roles => "Roles",
            Self::RolesBehind(_) => "RolesBehind",
            Self::Domains => "Domains",
            Self::DomainsBehind(_) => "DomainsBehind",
            Self::Offers => "Offers",
            Self::OffersBehind(_) => "OffersBehind",
        }
    }

    fn since(&self) -> u32 {
        self.parts().0.since()
    }
}

impl Message for ReadAnswer {
    const NAME: &'static str = "ReadAnswer";

    /// Who asks in an older version is told in words that it could not read the answer.
    fn since(&self) -> u32 {
        Since::since(self)
    }
}

impl Question for Read {
    type Answer = ReadAnswer;
}

impl Message for ReadMoment {
    const NAME: &'static str = "ReadMoment";
}

impl Message for Moment {
    const NAME: &'static str = "Moment";
}

impl Question for ReadMoment {
    type Answer = Moment;
}

impl Message for KillTask {
    const NAME: &'static str = "KillTask";

    fn subjects(&self, out: &mut Subjects) {
        out.add(self.task.as_str());
        out.add(self.framework.as_str());
    }
}

impl Message for KillAnswer {
    const NAME: &'static str = "KillAnswer";
}

impl Question for KillTask {
    type Answer = KillAnswer;
}

impl Message for SetQuotas {
    const NAME: &'static str = "SetQuotas";

    fn since(&self) -> u32 {
        2
    }
}

impl Question for SetQuotas {
    type Answer = SetAnswer;
}

impl Message for SetWeights {
    const NAME: &'static str = "SetWeights";

    fn since(&self) -> u32 {
        2
    }
}

impl Question for SetWeights {
    type Answer = SetAnswer;
}

impl Message for Teardown {
    const NAME: &'static str = "Teardown";

    fn since(&self) -> u32 {
        2
    }

    fn subjects(&self, out: &mut Subjects) {
        out.add(self.framework.as_str());
    }
}

impl Question for Teardown {
    type Answer = SetAnswer;
}

impl Message for MarkAgentGone {
    const NAME: &'static str = "MarkAgentGone";

    fn since(&self) -> u32 {
        2
    }

    fn subjects(&self, out: &mut Subjects) {
        out.add(self.agent.as_str());
    }
}

impl Question for MarkAgentGone {
    type Answer = SetAnswer;
}

impl Message for SetAnswer {
    const NAME: &'static str = "SetAnswer";

    fn since(&self) -> u32 {
        2
    }
}

impl Message for ReadSandbox {
    const NAME: &'static str = "ReadSandbox";
}

impl Message for SandboxAnswer {
    const NAME: &'static str = "SandboxAnswer";
}

impl Question for ReadSandbox {
    type Answer = SandboxAnswer;
}

impl Message for ReadExecutors {
    const NAME: &'static str = "ReadExecutors";
}

impl Message for ExecutorsAnswer {
    const NAME: &'static str = "ExecutorsAnswer";
}

impl Question for ReadExecutors {
    type Answer = ExecutorsAnswer;
}
