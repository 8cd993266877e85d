//! Deliberate mistakes in the components, switched on one at a time by name, to show that the simulator would notice.

use std::fmt;

/// A mistake of one component's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// Of the master or the allocator.
    Master(master::logic::bugs::Bug),
    /// Of the agent.
    Agent(agent::logic::Bug),
    /// Of the scheduler's side.
    Sdk(sdk::logic::Bug),
    /// Of the executor of command tasks.
    Executor(executor::logic::Bug),
    /// Of the election, of those who look for the leader, or of the registry's writer.
    Coordination(coordination::zookeeper::logic::bugs::Bug),
}

impl Bug {
    /// All that there are.
    pub fn all() -> Vec<Self> {
        let master = master::logic::bugs::Bug::ALL.into_iter().map(Self::Master);
        let agent = agent::logic::Bug::ALL.into_iter().map(Self::Agent);
        let sdk = sdk::logic::Bug::ALL.into_iter().map(Self::Sdk);
        let executor = executor::logic::Bug::ALL.into_iter().map(Self::Executor);
        let coordination = coordination::zookeeper::logic::bugs::Bug::ALL.into_iter();
        let coordination = coordination.map(Self::Coordination);
        master.chain(agent).chain(sdk).chain(executor).chain(coordination).collect()
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|bug| bug.to_string() == name)
    }
}

/// `component/NameOfTheMistake`.
impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Master(bug) => format!("master/{bug:?}"),
            Self::Agent(bug) => format!("agent/{bug:?}"),
            Self::Sdk(bug) => format!("sdk/{bug:?}"),
            Self::Executor(bug) => format!("executor/{bug:?}"),
            Self::Coordination(bug) => format!("coordination/{bug:?}"),
        };
        f.pad(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_is_found_by_its_name() {
        let all = Bug::all();
        assert!(all.len() >= 65);
        for bug in all {
            assert_eq!(Bug::named(&bug.to_string()), Some(bug));
        }
        assert_eq!(Bug::named("agent/None"), None);
    }
}
