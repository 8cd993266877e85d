//! Whether something in a container went beyond its limits, as isolators say.

use libactor::{Context, Pid};
use protocol::executor::ExecutorToAgent;
use protocol::task::TaskState;

use super::agent::AgentActor;
use crate::isolators;
use crate::logic::Event;

impl AgentActor {
    /// An executor does not know why the kernel ended what it ran, and may say that it ended before the kernel tells.
    pub(super) fn look_for_limits(
        &mut self,
        from: Pid,
        said: &ExecutorToAgent,
        ctx: &mut Context<Self>,
    ) {
        let ExecutorToAgent::Updated(status) = said else { return };
        if self.isolators.is_empty() || status.state != TaskState::Failed {
            return;
        }
        if let Some(container) = self.agent.container_of(from).cloned()
            && let Ok(id) = isolators::id(&container)
            && let Some(limitation) = self.isolators.exceeded(&id)
        {
            self.advance(Event::ContainerLimited { container, limitation }, ctx);
        }
    }
}
