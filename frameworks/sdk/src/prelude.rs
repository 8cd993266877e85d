//! What most frameworks use.

pub use protocol::fate::Fate;
pub use protocol::framework::FrameworkInfo;
pub use protocol::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role, TaskId};
pub use protocol::offer::{Constraint, Demand, Offer};
pub use protocol::resources::{Milli, Resources};
pub use protocol::task::{
    CommandSpec, ExecutorSpec, Exit, Reason, Run, TaskSpec, TaskState, TaskStatus,
};
pub use protocol::wishes::{
    AttributeConstraint, FaultDomain, OfferConstraints, Predicate, Selector,
};

pub use crate::executor::{Executor, ExecutorCalls, Reporter, run_executor, task_data};
pub use crate::logic::{Calls, NotLaunched, Outcome, Scheduler, Settings};
pub use crate::run::{
    Options, RunError, framework, run, run_elected, run_scheduler, start_scheduler,
};
pub use crate::task;
