//! What must be true, looked at after every step: of the processes that took it, of what they said, and of what really
//! happened. What must be true once all is healed is in `properties/agreement.rs`.

mod agents;
mod agreement;
mod fairness;
mod fate;
mod pace;
mod patience;
mod policy;
mod proposals;
mod standby;
mod suits;
mod told;
mod view;
mod written;

pub(crate) use pace::Pace;
pub(crate) use patience::Watch;
pub(crate) use policy::Policy;
pub(crate) use proposals::Generations;
pub(crate) use view::Told;

use agent::logic::{Effect as AgentEffect, End, Event as AgentEvent, Notice};
use executor::logic::Effect as ExecutorEffect;
use master::config::Config;
use master::logic::allocator::{Effect as AllocatorEffect, Event as AllocatorEvent};
use master::logic::{Event, Step};
use protocol::agent::AgentToMaster;
use protocol::change::{AgentState, Change, What};
use protocol::ids::AgentId;
use protocol::time::Instant;

use crate::careless::ON_GONE_OFFER;
use crate::elections::{FENCED, KEPT, ONE_LEADER, RESUMES};
use crate::network::Life;
use crate::process::{AgentBody, Body, MasterBody, Seat};
use crate::truth::TaskKey;
use crate::world::World;

/// One step of a master.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) config: &'a Config,
    pub(crate) now: Instant,
    pub(crate) heard: &'a Event,
    pub(crate) step: &'a Step,
}

/// Every property by its name, for people.
pub const PROPERTIES: [&str; 55] = [
    BOOKS,
    EQUAL_BOOKS,
    FITS,
    TWICE,
    STATES,
    TRUTH,
    ONCE,
    WRITTEN,
    EPOCHS,
    MESSAGES,
    CHANGES,
    LIVES,
    RELAUNCH,
    AGREEMENT,
    QUIET,
    PATIENCE,
    ORDER,
    ALONE,
    KILLED,
    GONE,
    VIEW,
    ONE_LEADER,
    RESUMES,
    KEPT,
    FENCED,
    SUSPENDED,
    LEADER,
    PACE,
    KNOWS,
    SURVIVES,
    DISK,
    BACK,
    HEIR,
    REPLAYED,
    STALE,
    SPEAKS,
    TAKES_OVER,
    ACTS,
    LED,
    FATE,
    SYNCED,
    LIMITS,
    GUARANTEES,
    REFUSED,
    UNWANTED,
    OVERLOOKED,
    LEASES,
    KEEPS,
    AWAITED,
    FAIR,
    OWNERS,
    ABLE,
    FAR,
    PLACES,
    LEAST,
];

const BOOKS: &str = "nothing is offered twice, and no more than there is";
const EQUAL_BOOKS: &str = "the master's and the allocator's books are equal at rest";
const FITS: &str = "what is launched fits on its agent";
const TWICE: &str = "no task id runs twice at once";
const STATES: &str = "a task's states move legally";
const TRUTH: &str = "an end that is told has happened";
const ONCE: &str = "nothing follows an end that was dealt with";
const WRITTEN: &str = "what is told was written before";
const EPOCHS: &str = "no agent obeys a lower epoch";
const MESSAGES: &str = "every message is accounted for";
const CHANGES: &str = "changes are numbered without gaps";
const LIVES: &str = "nobody is refused who belongs to the cluster";
const RELAUNCH: &str = "no task is launched again before its end is dealt with";
const PATIENCE: &str = "nobody is given up before their time";
const PACE: &str = "no more are given up, or let in, at once than there may be";
const KNOWS: &str = "a new reign knows what the registry says";
const HEIR: &str = "only the newest scheduler of a framework is told of its tasks and offers";
const STALE: &str = "what is offered is of its agent as it is now";
const REPLAYED: &str = "a new life tells what its former one had not been heard with";
const DISK: &str = "a disk gives back what was written, but for a torn end";
const SURVIVES: &str = "no task ends because its agent is away";
const ORDER: &str = "the news of a task is told in order";
const ALONE: &str = "nothing of an agent's former life runs unseen when it registers";
const KILLED: &str = "a task that is to be killed does not start any more";
const GONE: &str = "an offer that is gone is not used";
const VIEW: &str = "a scheduler sees what its master has";
const SPEAKS: &str = "a scheduler that cannot know whether it leads says nothing";
const TAKES_OVER: &str = "a scheduler that takes over begins with what was kept";
const ACTS: &str = "only the newest scheduler of a framework acts for it";
const LED: &str = "after healing one of a framework's schedulers leads in time";
const FATE: &str = "what is to become of a task without its agent becomes of it";
const SYNCED: &str = "what an agent acts by outlives the power of its machine";
const LIMITS: &str = "nothing is proposed to a role beyond its limit";
const GUARANTEES: &str = "what others are guaranteed and lack is left to them";
const REFUSED: &str = "what was refused is not proposed before its time";
const UNWANTED: &str = "who wants no offers gets none";
const OVERLOOKED: &str = "a run overlooks nobody, and a sweep finds no more than time brings";
const AWAITED: &str = "roles with quota wait until most agents of an earlier reign are back";
const FAIR: &str = "who has the smallest share comes next";
const OWNERS: &str = "what is reserved for a role is proposed to nobody outside it";
const ABLE: &str = "what only some can deal with is proposed to none but those";
const FAR: &str = "agents of another region are for those that know of regions";
const PLACES: &str = "what a role says of agents holds of each of which it is proposed something";
const LEAST: &str = "nobody is proposed less than the least that they take";
const LEASES: &str = "an offer that nobody answers is taken back when its lease ends";
pub(crate) const KEEPS: &str = "what an operator was answered holds in every later reign";
const QUIET: &str = "nothing goes round in circles";
pub(crate) const SUSPENDED: &str = "who may not lead any more commands no agent";
pub(crate) const LEADER: &str = "after healing one leads in time, and all know who";
pub(crate) const BACK: &str = "after healing all come back to who leads in time";
const AGREEMENT: &str = "after healing all agree within a bounded time";

/// More steps than any run needs, many times over.
const STEPS_MAX: u64 = 400_000;

impl World {
    pub(crate) fn check_network(&mut self) {
        self.truth.checks += 1;
        // Counting what is in flight costs more than everything else here.
        if self.truth.checks.is_multiple_of(16) || self.network.accounts().sent < 64 {
            self.check_messages();
        }
    }

    pub(crate) fn check_messages(&mut self) {
        let in_flight = self.network.in_flight();
        let accounts = self.network.accounts();
        if !accounts.add_up(in_flight) {
            let words = format!("{accounts:?}, {in_flight} in flight");
            self.violate(MESSAGES, words, Vec::new());
        }
    }

    /// After every step of a process.
    pub(crate) fn check_after(&mut self, life: Life) {
        self.truth.checks += 1;
        if self.steps > STEPS_MAX {
            let name = self.name_of(life.process).to_owned();
            return self.violate(QUIET, format!("{} steps, and no end", self.steps), vec![name]);
        }
        let process = &self.processes[&life.process];
        let found = match &process.body {
            Some(Body::Master(body)) => check_master(body),
            Some(Body::Agent(body)) => {
                if let Some(id) = body.agent.id().filter(|_| body.agent.master().is_some()) {
                    let member = (id.clone(), body.agent.epoch());
                    self.truth.members.insert(life.process, member);
                }
                check_agent(body, &process.seat)
            }
            Some(Body::Executor(_) | Body::Custom(_) | Body::Framework(_)) | None => None,
        };
        if let Some((property, words)) = found {
            let name = process.name.clone();
            self.violate(property, words, vec![name]);
        }
    }

    /// A process of a task is about to run.
    pub(crate) fn check_task_starts(&mut self, key: &TaskKey, number: u64) {
        self.truth.checks += 1;
        self.truth.tasks_run += 1;
        if key.1.as_str().starts_with(ON_GONE_OFFER) {
            let words = format!("{} runs, which was launched on an offer that was gone", key.1);
            self.violate(GONE, words, vec![key.1.to_string()]);
        }
        if let Some(other) = self.truth.running.insert(key.clone(), number) {
            let words = format!("{} of {} runs as process {other} and as {number}", key.1, key.0);
            self.violate(TWICE, words, vec![key.1.to_string()]);
        }
    }

    /// A command of a reign that the agent knows to be over comes to nothing but an answer.
    pub(crate) fn check_epoch_obeyed(
        &mut self,
        life: Life,
        seen: u64,
        heard: &AgentEvent,
        effects: &[AgentEffect],
    ) {
        let AgentEvent::FromMaster { message, .. } = heard else {
            return;
        };
        self.truth.checks += 1;
        let is_refusal = |effect: &AgentEffect| match effect {
            AgentEffect::TellMaster { message: AgentToMaster::EpochRefused { .. }, .. } => true,
            AgentEffect::Note(_) => true,
            AgentEffect::TellMaster { .. } | AgentEffect::ContactMaster(_) => false,
            AgentEffect::TellExecutor { .. } | AgentEffect::Link(_) | AgentEffect::Unlink(_) => {
                false
            }
            AgentEffect::Write(_) | AgentEffect::EndOldExecutor(_) => false,
            AgentEffect::FindExecutor(_) | AgentEffect::DropRecords(_) => false,
            AgentEffect::DismissGateway(_) | AgentEffect::GiveContainer { .. } => false,
            AgentEffect::StartExecutor(_) | AgentEffect::SignalExecutor { .. } => false,
            AgentEffect::StartTimer { .. } | AgentEffect::Stop(_) => false,
        };
        if message.epoch() < seen && !effects.iter().all(is_refusal) {
            let words =
                format!("epoch {} is over since {seen}, but it did {effects:?}", message.epoch());
            let name = self.name_of(life.process).to_owned();
            self.violate(EPOCHS, words, vec![name]);
        }
    }

    /// An agent that has no room for a task was told to run more than it has.
    pub(crate) fn check_notice(&mut self, life: Life, notice: &Notice) {
        if let Notice::TaskRefused { task, words, .. } = notice
            && words.contains("is free; the offer")
        {
            let name = self.name_of(life.process).to_owned();
            let words = format!("{name} refused {task}: {words}");
            self.violate(FITS, words, vec![task.to_string(), name]);
        }
    }

    pub(crate) fn check_agent_may_stop(&mut self, life: Life, end: &End) {
        match end {
            End::Left => (),
            End::Refused(_)
            | End::OtherCluster { .. }
            | End::OldExecutorsLive(_)
            | End::CannotRemember(_)
            | End::CleanedUp
            | End::Reconfigured(_)
            | End::NodeEnded => {
                let name = self.name_of(life.process).to_owned();
                self.violate(LIVES, format!("{name} stops: {end}"), vec![name]);
            }
        }
    }

    /// A master did more at once than it may.
    pub(crate) fn violate_pace(&mut self, life: Life, words: String) {
        let name = self.name_of(life.process).to_owned();
        self.violate(PACE, words, vec![name]);
    }

    /// What an allocator did is looked at against what it was told.
    pub(crate) fn check_policy(
        &mut self,
        life: Life,
        body: &mut MasterBody,
        heard: &AllocatorEvent,
        effects: &[AllocatorEffect],
    ) {
        self.truth.checks += 1;
        let now = self.shown(life.process).steady;
        if let Some((property, words)) =
            body.policy.see(now, heard, effects, (&body.allocator, &body.master))
        {
            let name = self.name_of(life.process).to_owned();
            self.violate(property, words, vec![name]);
        }
    }

    /// The timer of leases has fired.
    pub(crate) fn check_leases(&mut self, life: Life, body: &MasterBody) {
        self.truth.checks += 1;
        let now = self.shown(life.process).steady;
        if let Some((offer, framework)) = body.master.overdue(now).first() {
            let words = format!("{offer} is still held by {framework}");
            let name = self.name_of(life.process).to_owned();
            self.violate(LEASES, words, vec![name]);
        }
    }

    /// A master offered what an agent was before it came back.
    pub(crate) fn violate_stale(&mut self, life: Life, words: String) {
        let name = self.name_of(life.process).to_owned();
        self.violate(STALE, words, vec![name]);
    }

    /// A master told somebody what is another's.
    pub(crate) fn violate_heir(&mut self, life: Life, words: String) {
        let name = self.name_of(life.process).to_owned();
        self.violate(HEIR, words, vec![name]);
    }

    /// A life of an agent reads something else than was written.
    pub(crate) fn violate_disk(&mut self, process: u32, words: String) {
        let name = self.name_of(process).to_owned();
        self.violate(DISK, words, vec![name]);
    }

    /// A reign has begun, and these agents were written down as unreachable.
    pub(crate) fn check_new_reign(&mut self, life: Life, away: &[AgentId]) {
        self.truth.checks += 1;
        let Some(Body::Master(body)) = &self.processes[&life.process].body else {
            return;
        };
        let unknown = away.iter().find(|agent| {
            body.agents.get(*agent).is_some_and(|state| *state != AgentState::Unreachable)
        });
        if let Some(agent) = unknown {
            let words = format!("{agent} is unreachable, and the reign takes it for reachable");
            let name = self.name_of(life.process).to_owned();
            self.violate(KNOWS, words, vec![name, agent.to_string()]);
        }
    }

    /// An executor that has just lost its agent, and what it is about to do.
    pub(crate) fn check_task_survives(&mut self, life: Life, effects: &[ExecutorEffect]) {
        self.truth.checks += 1;
        let ends = |effect: &ExecutorEffect| match effect {
            ExecutorEffect::TerminateTree | ExecutorEffect::ClearTree => true,
            ExecutorEffect::ContactAgent(_) | ExecutorEffect::TellAgent { .. } => false,
            ExecutorEffect::Link(_) | ExecutorEffect::NoteEnd(_) | ExecutorEffect::Spawn(_) => {
                false
            }
            ExecutorEffect::StartTimer { .. } | ExecutorEffect::Exit(_) => false,
        };
        if effects.iter().any(ends) {
            let name = self.name_of(life.process).to_owned();
            self.violate(SURVIVES, format!("{name} ends its task"), vec![name]);
        }
    }

    /// A master gave somebody up too early.
    pub(crate) fn violate_patience(&mut self, life: Life, words: String) {
        let name = self.name_of(life.process).to_owned();
        self.violate(PATIENCE, words, vec![name]);
    }

    /// The view's numbers, and what it says of each agent's book.
    pub(crate) fn check_changes(&mut self, life: Life, body: &mut MasterBody, changes: &[Change]) {
        for change in changes {
            self.truth.checks += 1;
            if change.number != body.change + 1 {
                let words = format!("change {} follows {}", change.number, body.change);
                let name = self.name_of(life.process).to_owned();
                self.violate(CHANGES, words, vec![name]);
            }
            body.change = change.number;
            match &change.what {
                What::AgentBook { agent, used, offered } => {
                    body.books.insert(agent.clone(), (used.clone(), offered.clone()));
                }
                What::Agent { agent, state, .. } | What::AgentState { agent, state } => {
                    body.agents.insert(agent.clone(), *state);
                }
                What::Framework { .. } | What::FrameworkState { .. } => (),
                What::AgentDomain { .. } | What::OfferConstraints { .. } => (),
                What::OfferMade(_) | What::OfferEnded(_) | What::OfferLeased { .. } => (),
                What::AgentNews { .. } => (),
                What::TaskStatus(status) => self.see_given_up(status),
                What::Task(_) | What::TaskForgotten { .. } => (),
                What::Quotas(_) | What::Weights(_) => (),
                What::ExecutorBooked { .. } | What::ExecutorUnbooked { .. } => (),
            }
        }
    }
}

fn check_master(body: &MasterBody) -> Option<(&'static str, String)> {
    if let Err(words) = body.master.check() {
        return Some((BOOKS, words));
    }
    if body.between > 0 {
        return None;
    }
    let (mut mine, mut theirs) = (body.master.holdings(), body.allocator.holdings());
    mine.retain(|_, held| !held.is_empty());
    theirs.retain(|_, held| !held.is_empty());
    if mine != theirs {
        return Some((EQUAL_BOOKS, format!("{mine:?} against {theirs:?}")));
    }
    let (mine, theirs) = (body.master.free(), body.allocator.free());
    (mine != theirs).then(|| (EQUAL_BOOKS, format!("free are {mine:?} against {theirs:?}")))
}

fn check_agent(body: &AgentBody, seat: &Seat) -> Option<(&'static str, String)> {
    let agent = &body.agent;
    let (used, total) = (agent.used(), agent.total());
    if !total.contains(&used) {
        return Some((FITS, format!("{used} is used of {total}")));
    }
    let Seat::Agent { checkpoint, .. } = seat else {
        return None;
    };
    let written = checkpoint.member.as_ref().map(|(id, _)| id);
    if agent.master().is_some() && (written != agent.id() || checkpoint.epoch < agent.epoch()) {
        let words = format!(
            "it is registered as {:?} in epoch {}, but its checkpoint says {written:?} in epoch {}",
            agent.id(),
            agent.epoch(),
            checkpoint.epoch
        );
        return Some((WRITTEN, words));
    }
    None
}
