//! What the actors do around each logic, done by the world: messages become events, effects are performed. One file each.

mod agent;
mod election;
mod executor;
mod framework;
mod master;
mod office;

use libactor::{DownReason, Pid, Principal};

use crate::network::Life;
use crate::process::Body;
use crate::said::{Event, Said};
use crate::world::World;

impl World {
    /// A message as the event that it is to its receiver; nothing if that one does not accept it.
    pub(crate) fn heard(&self, to: Life, from: Pid, said: Said) -> Option<Event> {
        let process = self.processes.get(&to.process)?;
        let body = process.body.as_ref().filter(|_| process.life == to.life)?;
        let principal = Principal::Anonymous;
        Some(match (body, said) {
            (Body::Master(_), Said::AgentToMaster(message)) => {
                Event::Master(::master::logic::Event::FromAgent { from, principal, message })
            }
            (Body::Master(_), Said::FrameworkToMaster(message)) => {
                Event::Master(::master::logic::Event::FromFramework { from, principal, message })
            }
            (Body::Agent(_), Said::MasterToAgent(message)) => {
                Event::Agent(::agent::logic::Event::FromMaster { from, message })
            }
            (Body::Agent(_), Said::ExecutorToAgent(message)) => {
                Event::Agent(::agent::logic::Event::FromExecutor { from, message })
            }
            (Body::Executor(_), Said::AgentToExecutor(message)) => {
                Event::Executor(::executor::logic::Event::FromAgent { from, message })
            }
            (Body::Custom(_), Said::AgentToExecutor(message)) => {
                Event::Custom(sdk::executor::logic::Event::FromAgent { from, message })
            }
            (Body::Framework(_), Said::MasterToFramework(message)) => {
                Event::Framework(sdk::logic::Event::FromMaster { from, message })
            }
            (
                Body::Master(_)
                | Body::Agent(_)
                | Body::Executor(_)
                | Body::Custom(_)
                | Body::Framework(_),
                _,
            ) => return None,
        })
    }

    /// The end of a link as the event that it is to the one who watched.
    pub(crate) fn down(&self, watcher: Life, pid: Pid, reached: bool) -> Option<Event> {
        let process = self.processes.get(&watcher.process)?;
        let body = process.body.as_ref().filter(|_| process.life == watcher.life)?;
        let words = if reached { "the connection was lost" } else { "no route" };
        Some(match body {
            Body::Master(_) => {
                let reason = if reached {
                    DownReason::ConnectionLost
                } else {
                    DownReason::Unreachable(words.to_owned())
                };
                Event::Master(::master::logic::Event::Down { pid, reason })
            }
            Body::Agent(_) => {
                Event::Agent(::agent::logic::Event::Down { pid, words: words.to_owned() })
            }
            Body::Executor(_) => Event::Executor(::executor::logic::Event::AgentDown { pid }),
            Body::Custom(_) => Event::Custom(sdk::executor::logic::Event::Down { pid }),
            Body::Framework(_) => Event::Framework(sdk::logic::Event::Down { pid }),
        })
    }
}
