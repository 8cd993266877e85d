//! A master's state as the messages of Mesos's v1 operator API.

pub(crate) mod agents;
mod events;
pub(crate) mod frameworks;
pub(crate) mod roles;
mod tasks;

use ::api::v1::master::response;
use ::api::wire::Parts;

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

    /// The same, encoded. Tasks are as they were for whoever asked before, unless they have changed.
    pub fn put_state(&self, into: &mut Parts) {
        into.message("get_tasks", |tasks| self.put_tasks(tasks));
        into.rest(&response::GetState {
            get_tasks: None,
            get_executors: Some(self.get_executors()),
            get_frameworks: Some(self.get_frameworks()),
            get_agents: Some(self.get_agents()),
        });
    }
}
