//! What must come true once all is healed: everybody is with the one master, and its books, the agents' and the schedulers'
//! say the same.

use std::collections::BTreeMap;

use protocol::ids::{AgentId, FrameworkId, TaskId};
use protocol::task::TaskState;
use sdk::logic::Phase;

use super::AGREEMENT;
use crate::process::{Body, MasterBody, Process, Seat};
use crate::world::{World, pid_of};

/// Deltas tell which tasks there are and where; their states are told by updates.
const NO_STATE: TaskState = TaskState::Unknown;

type Tasks = BTreeMap<(FrameworkId, TaskId), (AgentId, TaskState)>;

impl World {
    /// The first thing on which they do not agree, in words.
    pub(crate) fn disagreement(&self) -> Option<String> {
        let now = self.queue.now();
        let frozen = |process: &&Process| process.is_up() && process.frozen > Some(now);
        if let Some(process) = self.processes.values().find(frozen) {
            return Some(format!("{} stands still", process.name));
        }
        if let Some(words) = self.led_by_nobody() {
            return Some(words);
        }
        let Some(Body::Master(body)) = &self.processes[&self.leader].body else {
            return Some("the master is not up".to_owned());
        };
        let booked: Tasks = body
            .master
            .task_states()
            .map(|(framework, task, agent, state)| {
                ((framework.clone(), task.clone()), (agent.clone(), state))
            })
            .collect();
        self.agents_disagree(body, &booked).or_else(|| self.schedulers_disagree(&booked)).or_else(
            || {
                let stray = self.truth.running.keys().find(|key| !booked.contains_key(*key))?;
                Some(format!("{} of {} runs, and the master does not know it", stray.1, stray.0))
            },
        )
    }

    fn agents_disagree(&self, body: &MasterBody, booked: &Tasks) -> Option<String> {
        let leader = pid_of(self.present_life(self.leader));
        let mut theirs = Tasks::new();
        for (number, process) in &self.processes {
            if !matches!(process.seat, Seat::Agent { .. }) || self.is_over(*number) {
                continue;
            }
            let Some(agent) = self.agent_in(*number) else {
                return Some(format!("{} is not up", process.name));
            };
            let Some(id) = agent.id().filter(|_| agent.master() == Some(leader)) else {
                let (id, master) = (agent.id(), agent.master().map(|pid| self.life_of(pid)));
                let (name, leader) = (&process.name, self.name_of(self.leader));
                return Some(format!("{name} is {id:?} with {master:?} and not with {leader}"));
            };
            for (framework, task, state) in agent.tasks() {
                let key = (framework.clone(), task.clone());
                // Of an id that was used again two ends may wait; without its scheduler nobody takes note of either, or of the
                // other one any more.
                let elsewhere = match booked.get(&key) {
                    Some((agent, _)) => agent != id,
                    None => {
                        let ended_on = body.master.ended_on(framework, task);
                        ended_on.is_some_and(|agent| agent != id)
                    }
                };
                if elsewhere && state.is_end() && !self.has_scheduler(framework) {
                    continue;
                }
                // What its machine has lost of how it ended, the master may have been told before.
                let heard = booked.get(&key).filter(|(of, heard)| of == id && heard.is_end());
                let heard = heard.filter(|_| state == TaskState::Lost);
                let state = heard.map_or(state, |(_, heard)| *heard);
                theirs.insert(key, (id.clone(), state));
            }
            let used = body.books.get(id).map(|(used, _)| used.clone()).unwrap_or_default();
            if used != agent.used() {
                let mine = agent.used();
                return Some(format!(
                    "{} uses {mine}, and the master's book says {used}",
                    process.name
                ));
            }
        }
        let of_agents = |tasks: &Tasks| tasks.clone();
        (of_agents(&theirs) != *booked).then(|| {
            format!(
                "the agents have {}, and the master has {}",
                shown(&theirs, booked),
                shown(booked, &theirs)
            )
        })
    }

    /// Whether somebody speaks for this framework, or will again.
    fn has_scheduler(&self, framework: &FrameworkId) -> bool {
        self.processes.iter().filter(|(number, _)| !self.is_over(**number)).any(|(_, process)| {
            match &process.body {
                Some(Body::Framework(body)) => {
                    body.framework.driver().framework() == Some(framework)
                }
                Some(Body::Master(_) | Body::Agent(_) | Body::Executor(_) | Body::Custom(_)) => {
                    false
                }
                None => false,
            }
        })
    }

    fn schedulers_disagree(&self, booked: &Tasks) -> Option<String> {
        let leader = pid_of(self.present_life(self.leader));
        for (number, process) in &self.processes {
            if !matches!(process.seat, Seat::Framework(_)) || self.is_over(*number) {
                continue;
            }
            if self.stands_by(*number) && !process.is_up() {
                continue;
            }
            let Some(Body::Framework(body)) = &process.body else {
                return Some(format!("{} is not up", process.name));
            };
            let driver = body.framework.driver();
            let (Phase::Subscribed { master }, Some(id)) = (driver.phase(), driver.framework())
            else {
                return Some(format!("{} is not subscribed", process.name));
            };
            if *master != leader {
                return Some(format!("{} follows another master", process.name));
            }
            let viewed: Tasks = driver
                .view()
                .tasks
                .iter()
                .map(|(task, viewed)| {
                    ((id.clone(), task.clone()), (viewed.agent.clone(), NO_STATE))
                })
                .collect();
            let of_it = booked.iter().filter(|((framework, _), _)| framework == id);
            let of_it: Tasks =
                of_it.map(|(key, (agent, _))| (key.clone(), (agent.clone(), NO_STATE))).collect();
            if viewed != of_it {
                let (theirs, ours) = (shown(&viewed, &of_it), shown(&of_it, &viewed));
                return Some(format!("{} sees {theirs}, and the master has {ours}", process.name));
            }
            let told = driver.book().map(|(task, booked)| (task, booked.state));
            for (task, state) in told {
                let in_book = booked.get(&(id.clone(), task.clone())).map(|(_, state)| *state);
                if in_book != Some(state) {
                    let name = &process.name;
                    return Some(format!(
                        "{name} was told {state:?} of {task}, and the master has {in_book:?}"
                    ));
                }
            }
        }
        None
    }

    /// They did not agree in time.
    pub(crate) fn violate_agreement(&mut self, words: String) {
        let subjects = self.subjects_in(&words);
        self.violate(AGREEMENT, words, subjects);
    }

    /// The tasks and processes that a text names.
    fn subjects_in(&self, words: &str) -> Vec<String> {
        let tasks = self.truth.known.keys().map(|(_, task)| task.to_string());
        let names = self.processes.values().map(|process| process.name.clone());
        let mut found: Vec<String> =
            tasks.chain(names).filter(|s| words.contains(s.as_str())).collect();
        found.sort();
        found.dedup();
        found.truncate(8);
        found
    }
}

/// What the one has and the other has not.
fn shown(one: &Tasks, other: &Tasks) -> String {
    let only = one.iter().filter(|(key, value)| other.get(*key) != Some(*value));
    let only: Vec<String> = only
        .take(4)
        .map(|((_, task), (agent, state))| format!("{task} {state:?} on {agent}"))
        .collect();
    if only.is_empty() { "nothing more".to_owned() } else { only.join(", ") }
}
