//! Whether something in a container went beyond its limits, as its groups say.

use libactor::{Context, Pid};
use protocol::executor::ExecutorToAgent;
use protocol::ids::ContainerId;
use protocol::task::TaskState;

use super::agent::AgentActor;
use super::process::of_memory;
use crate::logic::{Event, Limitation};

impl AgentActor {
    /// The kernel says that a container's memory runs out.
    pub(super) fn out_of_memory(&self, container: &ContainerId) -> Option<Limitation> {
        self.agent.allowance(container).map(|allowance| of_memory(&allowance))
    }

    fn has_run_out(&self, container: &ContainerId) -> Option<Limitation> {
        self.trees.as_ref()?.has_run_out(container, &self.agent.allowance(container)?)
    }

    /// An executor does not know why the kernel ended what it ran, and may say that it ended before the kernel tells.
    pub(super) fn look_for_limits(
        &mut self,
        from: Pid,
        said: &ExecutorToAgent,
        ctx: &mut Context<Self>,
    ) {
        let ExecutorToAgent::Updated(status) = said else { return };
        if self.trees.is_none() || status.state != TaskState::Failed {
            return;
        }
        if let Some(container) = self.agent.container_of(from).cloned()
            && let Some(limitation) = self.has_run_out(&container)
        {
            self.advance(Event::ContainerLimited { container, limitation }, ctx);
        }
    }
}
