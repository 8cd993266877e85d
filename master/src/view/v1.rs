//! A master's state as the messages of Mesos's v1 operator API.

pub(crate) mod agents;
mod events;
pub(crate) mod frameworks;
pub(crate) mod roles;
mod tasks;

use ::api::v1::{TimeInfo, master::response};
use protocol::resources::Resources;
use protocol::time::WallTime;

use super::View;
pub(crate) use events::event;

impl View {
    /// `GET_STATE`: all lists at one moment.
    pub fn get_state(&self) -> response::GetState {
        response::GetState {
            get_tasks: Some(self.get_tasks()),
            get_executors: Some(self.get_executors()),
            get_frameworks: Some(self.get_frameworks()),
            get_agents: Some(self.get_agents()),
        }
    }
}

fn time(at: WallTime) -> TimeInfo {
    TimeInfo { nanoseconds: i64::try_from(at.0).unwrap_or(i64::MAX) }
}

/// Resources as operators read them: in both forms, as far as the older one can say it.
fn shown(resources: &Resources) -> Vec<::api::v1::Resource> {
    let mut all = resources.to_v1();
    all.iter_mut().for_each(::api::resources::to_endpoint);
    all
}
