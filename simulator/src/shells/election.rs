//! The part of a master's process that outlives its reigns, and what it means to others who leads: what elections bring,
//! done to the world.

use agent::logic::Event as AgentEvent;
use master::logic::Event as MasterEvent;
use master::logic::registry::RegistryOperation;
use protocol::ids::MasterId;
use sdk::logic::Event as FrameworkEvent;

use crate::elections::{Brought, Happening};
use crate::network::Life;
use crate::process::{Body, MasterBody, Seat};
use crate::properties::SUSPENDED;
use crate::said::Event;
use crate::world::{Due, World};

type Batch = Vec<RegistryOperation>;

impl World {
    /// Something happens between a process and the ensemble.
    pub(crate) fn on_election(&mut self, happening: Happening<Batch>) {
        let now = self.queue.now();
        if let Some(elections) = &mut self.elections {
            let brought = elections.happen(now, happening);
            self.bring_from_election(brought);
        }
    }

    pub(crate) fn bring_from_election(&mut self, brought: Vec<Brought<Batch>>) {
        for brought in brought {
            match brought {
                Brought::Leads { process, id, epoch } => {
                    self.note(process, format_args!("leads as {id} in epoch {epoch}"));
                    self.end(self.present_life(process), false);
                    self.begin_reign(process, MasterId::new(id), epoch);
                }
                Brought::Suspends(process) => {
                    self.note(process, "is suspended");
                    if let Some(body) = self.master_of(process) {
                        body.suspended = true;
                    }
                }
                Brought::Resumes(process) => self.resumes(process),
                Brought::Deposed(process, why) => {
                    self.note(process, format_args!("is deposed: {why}"));
                    self.end(self.present_life(process), false);
                }
                Brought::Finds { process, leader, is_other } => {
                    self.finds_leader(process, leader, is_other);
                }
                Brought::Applied(batch) => {
                    self.truth.checks += 1;
                    batch.iter().for_each(|operation| self.registry.apply(operation));
                }
                Brought::Wrote { process, epoch, what } => self.wrote(process, epoch, what),
                Brought::Wrong(property, words) => self.violate(property, words, Vec::new()),
            }
        }
    }

    fn master_of(&mut self, process: u32) -> Option<&mut MasterBody> {
        match &mut self.processes.get_mut(&process)?.body {
            Some(Body::Master(body)) => Some(body),
            Some(Body::Agent(_) | Body::Executor(_) | Body::Custom(_) | Body::Framework(_))
            | None => None,
        }
    }

    /// It still leads: what came meanwhile comes now.
    fn resumes(&mut self, process: u32) {
        self.note(process, "leads again");
        let life = self.present_life(process);
        let Some(body) = self.master_of(process) else {
            return;
        };
        body.suspended = false;
        for event in std::mem::take(&mut body.waiting) {
            self.step(life, event);
        }
    }

    fn finds_leader(&mut self, process: u32, leader: Option<String>, is_other: bool) {
        let life = self.present_life(process);
        let event = match &self.processes[&process].body {
            Some(Body::Framework(_)) if is_other => Event::Framework(FrameworkEvent::OtherLeader),
            Some(Body::Agent(_)) => Event::Agent(AgentEvent::MasterDetected(leader)),
            Some(Body::Framework(_) | Body::Master(_) | Body::Executor(_) | Body::Custom(_))
            | None => return,
        };
        self.step(life, event);
    }

    fn wrote(&mut self, process: u32, epoch: u64, batch: Batch) {
        let life = self.present_life(process);
        match self.master_of(process) {
            Some(body) if body.master.epoch() == epoch => body.writing = false,
            Some(_) | None => return,
        }
        for operation in batch {
            self.step(life, Event::Master(MasterEvent::Written(operation)));
        }
        let process = self.processes.get_mut(&life.process).expect("it was there above");
        let body = process.body.take();
        match body {
            Some(Body::Master(mut body)) => {
                self.write_batch(life.process, &mut body);
                self.put_back(life, Body::Master(body));
            }
            Some(other) => self.put_back(life, other),
            None => (),
        }
    }

    fn put_back(&mut self, life: Life, body: Body) {
        let process = self.processes.get_mut(&life.process).expect("it was taken from there");
        process.body = Some(body);
    }

    /// What waits to be written is written together, unless something is on its way.
    pub(crate) fn write_batch(&mut self, process: u32, body: &mut MasterBody) {
        let now = self.queue.now();
        if body.writing {
            return;
        }
        let batch: Batch = std::iter::from_fn(|| body.pending.done()).collect();
        if let Some(elections) = self.elections.as_mut().filter(|_| !batch.is_empty()) {
            body.writing = true;
            elections.write(now, process, batch);
        }
    }

    /// A master's process starts, and stands for election.
    pub(crate) fn start_candidate(&mut self, process: u32) {
        let now = self.queue.now();
        if let Some(elections) = self.elections.as_mut().filter(|e| !e.is_up(process)) {
            elections.stand(now, process);
            self.note(process, "stands for election");
        }
    }

    /// A master's process is killed, whether it leads or not; it comes back.
    pub(crate) fn candidate_dies(&mut self, process: u32) {
        let is_master = matches!(self.processes[&process].seat, Seat::Master);
        if let Some(elections) = self.elections.as_mut().filter(|e| is_master && e.is_up(process)) {
            elections.end(process);
            let after = self.chance.millis(200, 8_000);
            self.queue.after(after, Due::Start(process));
        }
    }

    /// A master has ended its reign by itself.
    pub(crate) fn steps_down(&mut self, process: u32) {
        let now = self.queue.now();
        if let Some(elections) = &mut self.elections {
            elections.step_down(now, process);
        }
    }

    /// An agent or a scheduler starts.
    pub(crate) fn looks_for_leader(&mut self, process: u32) {
        let now = self.queue.now();
        if let Some(elections) = &mut self.elections {
            elections.look(now, process);
        }
    }

    /// A master is about to tell an agent something.
    pub(crate) fn check_may_command(&mut self, life: Life) {
        let Some(elections) = &self.elections else {
            return;
        };
        self.truth.checks += 1;
        if !elections.may_command(life.process) {
            let name = self.name_of(life.process).to_owned();
            let words = format!("{name} commands an agent, and cannot know whether it leads");
            self.violate(SUSPENDED, words, vec![name]);
        }
    }
}
