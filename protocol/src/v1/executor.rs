//! What an executor is told of itself, its agent and its tasks, as v1 messages.

use ::api::v1;

use crate::agent::AgentInfo;
use crate::carried::{BadCarried, Carried};
use crate::ids::{AgentId, ContainerId, FrameworkId};
use crate::resources::Attribute;
use crate::task::ExecutorSpec;
use crate::wishes::FaultDomain;

use super::secret::hide_of_executor;

use v1::agent_info::capability::Type as Capability;

/// What each agent of ours can do.
pub const AGENT_CAPABILITIES: [Capability; 3] =
    [Capability::MultiRole, Capability::HierarchicalRole, Capability::ReservationRefinement];

/// Where agents listen that do not say so.
const PORT: u16 = 5051;

/// The port in `host:port`.
pub fn agent_port(listens: &str) -> u16 {
    listens.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(PORT)
}

/// The name of an agent's actor, in Mesos's form.
pub fn agent_pid(listens: &str) -> String {
    format!("slave(1)@{listens}")
}

impl ContainerId {
    /// As a v1 message.
    pub fn to_v1(&self) -> v1::ContainerId {
        v1::ContainerId { value: self.to_string(), parent: None }
    }
}

impl AgentInfo {
    /// As a v1 message, of the agent with this id and at this place.
    pub fn to_v1(&self, agent: &AgentId, domain: Option<&FaultDomain>) -> v1::AgentInfo {
        let port = self.at.host_and_port().map(|(_, port)| i32::from(port));
        v1::AgentInfo {
            hostname: self.at.hostname.clone(),
            port,
            resources: self.resources.to_v1(),
            attributes: self.attributes.iter().map(Attribute::to_v1).collect(),
            id: Some(agent.to_v1()),
            domain: domain.map(super::domain_to_v1),
        }
    }
}

impl ExecutorSpec {
    /// As a v1 message: as the task described it with which it came, if that is known, with what the cluster knows better.
    pub fn described_to_v1(
        &self,
        framework: &FrameworkId,
        task: Option<&Carried<v1::TaskInfo>>,
    ) -> Result<v1::ExecutorInfo, BadCarried> {
        let came = task.map(Carried::decode).transpose()?.and_then(|task| task.executor);
        let info = self.to_v1_over(came.unwrap_or_default())?;
        Ok(v1::ExecutorInfo { framework_id: Some(framework.to_v1()), ..info })
    }

    /// The same without secrets, for whoever only shows it.
    pub fn shown_to_v1(
        &self,
        framework: &FrameworkId,
        task: Option<&Carried<v1::TaskInfo>>,
    ) -> Result<v1::ExecutorInfo, BadCarried> {
        let mut info = self.described_to_v1(framework, task)?;
        hide_of_executor(&mut info);
        Ok(info)
    }
}
