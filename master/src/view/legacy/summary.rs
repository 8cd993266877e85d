//! `/state-summary`: agents and frameworks with the numbers of their tasks.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ids::{AgentId, FrameworkId};
use protocol::legacy::{Each, Written, written};
use protocol::task::TaskState;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::super::v1::frameworks::is_connected;
use super::super::{Framework, View};
use super::frameworks::head;
use super::state::About;

/// The states that are counted.
const COUNTED: [(TaskState, &str); 10] = [
    (TaskState::Staging, "TASK_STAGING"),
    (TaskState::Starting, "TASK_STARTING"),
    (TaskState::Running, "TASK_RUNNING"),
    (TaskState::Killing, "TASK_KILLING"),
    (TaskState::Finished, "TASK_FINISHED"),
    (TaskState::Killed, "TASK_KILLED"),
    (TaskState::Failed, "TASK_FAILED"),
    (TaskState::Lost, "TASK_LOST"),
    (TaskState::Error, "TASK_ERROR"),
    (TaskState::Unreachable, "TASK_UNREACHABLE"),
];

/// Tasks of one agent, or of one framework, by their states, and who the others are.
#[derive(Default)]
struct Count<'v> {
    states: BTreeMap<TaskState, u64>,
    others: BTreeSet<&'v str>,
}

impl<'v> Count<'v> {
    fn add(&mut self, state: TaskState, other: &'v str) {
        *self.states.entry(state).or_default() += 1;
        self.others.insert(other);
    }

    fn write<M: SerializeMap>(&self, others: &'static str, map: &mut M) -> Result<(), M::Error> {
        for (state, name) in COUNTED {
            map.serialize_entry(name, self.states.get(&state).unwrap_or(&0))?;
        }
        map.serialize_entry(others, &self.others)
    }
}

struct SlaveSummary<'v, S: Serialize> {
    slave: S,
    count: Option<&'v Count<'v>>,
}

#[derive(Serialize)]
struct Slave<'v, S: Serialize> {
    #[serde(flatten)]
    slave: &'v S,
    #[serde(flatten)]
    counted: Counted<'v>,
}

struct Counted<'v>(Option<&'v Count<'v>>);

impl Serialize for Counted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.0.unwrap_or(&Count::default()).write("framework_ids", &mut map)?;
        map.end()
    }
}

impl<S: Serialize> Serialize for SlaveSummary<'_, S> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        Slave { slave: &self.slave, counted: Counted(self.count) }.serialize(serializer)
    }
}

struct FrameworkSummary<'v> {
    id: &'v FrameworkId,
    framework: &'v Framework,
    count: Option<&'v Count<'v>>,
}

impl Serialize for FrameworkSummary<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let info = self.framework.info_to_v1();
        let mut map = serializer.serialize_map(None)?;
        head(self.id, self.framework, &info).write(&mut map)?;
        self.count.unwrap_or(&Count::default()).write("slave_ids", &mut map)?;
        map.end()
    }
}

impl View {
    /// `/state-summary`. Ended tasks are counted, as long as they are remembered.
    pub(crate) fn summary_page(&self, about: &About) -> Written {
        let mut of_agents: BTreeMap<&AgentId, Count<'_>> = BTreeMap::new();
        let mut of_frameworks: BTreeMap<&FrameworkId, Count<'_>> = BTreeMap::new();
        for (id, framework) in self.frameworks.iter() {
            for task in framework.tasks.values() {
                let (state, agent) = (task.report.state, &task.report.agent);
                of_agents.entry(agent).or_default().add(state, id.as_str());
                of_frameworks.entry(id).or_default().add(state, agent.as_str());
            }
        }
        #[derive(Serialize)]
        struct Summary<'a, S: Serialize, F: Serialize> {
            hostname: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            cluster: Option<&'a str>,
            slaves: S,
            frameworks: F,
        }
        let (of_agents, of_frameworks) = (&of_agents, &of_frameworks);
        written(&Summary {
            hostname: &about.hostname,
            cluster: about.cluster.as_deref(),
            slaves: Each(move || {
                self.members().map(move |(id, agent)| SlaveSummary {
                    slave: self.slave(id, agent),
                    count: of_agents.get(id),
                })
            }),
            frameworks: Each(move || {
                let all = self.frameworks.iter();
                let here = all.filter(|(_, one)| !one.is_removed() || is_connected(one.state));
                here.map(move |(id, framework)| FrameworkSummary {
                    id,
                    framework,
                    count: of_frameworks.get(id),
                })
            }),
        })
    }
}
