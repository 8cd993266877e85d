//! A scheduler that does what schedulers do, at random: it has work, and between launching and relaunching that it
//! declines, holds, kills, talks, loses interest, restarts and sometimes gives everything up.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::fate::Fate;
use protocol::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role, TaskId};
use protocol::offer::{Constraint, Demand, Offer};
use protocol::resources::Resources;
use protocol::task::{CommandSpec, ExecutorSpec, Run, TaskSpec, TaskState, TaskStatus};
use sdk::logic::{Calls, Driver, Outcome, Scheduler};

use crate::author::{AnyFramework, MakeScheduler, witnessed};
use crate::chance::Chance;
use crate::places::{Place, RoleWish, demanded};

const ITS_ROLE: &str = "it is one of its roles";

/// One piece of work: done when a task of it has finished.
#[derive(Clone, Debug)]
struct Item {
    /// As a line for the shell.
    runs: String,
    /// So many attempts fail before one can succeed.
    failures: u32,
    needs: Resources,
    /// Where it may run.
    constraints: Vec<Constraint>,
    /// In an executor of the framework's own.
    custom: bool,
    /// What is to become of its tasks while their agent cannot be reached.
    fate: Option<Fate>,
    state: State,
    /// The id of an attempt that ended so that it may be used again.
    reuse: Option<TaskId>,
}

/// `Waiting -> Live -> Waiting | Done`.
#[derive(Clone, Debug, PartialEq)]
enum State {
    Waiting,
    Live(TaskId),
    Done,
}

/// The scheduler.
#[derive(Clone, Debug)]
pub(crate) struct Scripted {
    chance: Chance,
    items: BTreeMap<String, Item>,
    /// Of this life; in the ids of its tasks.
    tag: String,
    attempts: u32,
    /// How much it may still do that brings nothing.
    mischief: u32,
    /// Whether that may be the end of the framework.
    may_tear_down: bool,
    lost_interest: bool,
    /// So many offers it does not want before it has looked around.
    declines: u32,
    /// It thinks long about so many offers. Whoever did so for ever could keep an agent in parts that are too small for its
    /// own tasks.
    thinks: u32,
    executor: ExecutorSpec,
    /// For its roles in turn.
    wishes: Vec<RoleWish>,
    states_demand: bool,
    /// Decides where it wants to be.
    places: Chance,
}

/// Makes one for each life, with ids of its own.
pub(crate) struct ScriptedMaker {
    pub(crate) first: Scripted,
    pub(crate) lives: u32,
    pub(crate) process: String,
}

impl MakeScheduler for ScriptedMaker {
    fn make(&mut self, driver: Driver) -> Box<dyn AnyFramework> {
        self.lives += 1;
        let mut scheduler = self.first.clone();
        scheduler.tag = format!("{}-{}", self.process, self.lives);
        scheduler.chance = self.first.chance.split();
        scheduler.mischief /= self.lives;
        witnessed(driver, scheduler)
    }

    fn again(&self) -> Box<dyn MakeScheduler> {
        let process = format!("{}h{}", self.process, self.lives);
        Box::new(Self { first: self.first.clone(), lives: 0, process })
    }
}

impl Scripted {
    /// Work by the seed.
    pub(crate) fn new(mut chance: Chance, may_tear_down: bool, states_demand: bool) -> Self {
        // Of their own: what else it does is the same without fates, and without places.
        let (mut fates, mut long) = (chance.clone().split(), 2);
        let mut places = Chance::new(chance.clone().draw());
        let wishes = (0..2).map(|_| RoleWish::by(&mut places, states_demand)).collect();
        let count = chance.between(1, 14);
        let mischief = u32::try_from(chance.below(12)).expect("it is below twelve");
        let all_custom = chance.in_thousand(300);
        let thinks = if chance.in_thousand(200) { 12 } else { 0 };
        let declines = if chance.in_thousand(200) { chance.between(4, 10) } else { 0 };
        let items = (0..count).map(|n| {
            let fate = [None, Some(Fate::Keep), Some(Fate::End)][fates.index(3)];
            let mut item = Item { fate, ..Item::new(&mut chance, all_custom) };
            item.constraints = demanded(&mut places);
            // Agents are not given up at once. Much of this would take longer than all may take to come to agree.
            if fate.is_some() && long > 0 && fates.in_thousand(400) {
                long -= 1;
                item.runs = format!("sleep {}; exit 0", fates.between(60, 120));
            }
            (format!("w{n}"), item)
        });
        let items: BTreeMap<String, Item> = items.collect();
        let executor = ExecutorSpec {
            executor: ExecutorId::new("own"),
            name: "an executor of its own".to_owned(),
            command: CommandSpec { value: "./executor".to_owned(), ..CommandSpec::default() },
            resources: Resources::cpus_mem(0.1, 32.0),
            shutdown_grace: None,
        };
        Self {
            chance,
            items,
            tag: String::new(),
            attempts: 0,
            mischief,
            may_tear_down,
            lost_interest: false,
            declines: u32::try_from(declines).expect("at most ten"),
            thinks,
            executor,
            wishes,
            states_demand,
            places,
        }
    }

    /// Whether there is nothing left to do.
    pub(crate) fn is_done(&self) -> bool {
        self.items.values().all(|item| item.state == State::Done)
    }

    /// What is left to do, for people.
    pub(crate) fn left(&self) -> String {
        let left = self.items.iter().filter(|(_, item)| item.state != State::Done);
        let left: Vec<String> =
            left.map(|(name, item)| format!("{name} {:?}", item.state)).collect();
        left.join(", ")
    }

    fn item_of(&mut self, task: &TaskId) -> Option<&mut Item> {
        let (name, _) = task.as_str().split_once('.')?;
        self.items.get_mut(name)
    }

    fn want(&self, calls: &mut Calls) {
        let roles = calls.roles().to_vec();
        let mut demands: BTreeMap<&Role, Vec<Demand>> = BTreeMap::new();
        roles.iter().for_each(|role| drop(demands.insert(role, Vec::new())));
        if !self.lost_interest {
            let waiting = self.items.values().enumerate();
            for (n, item) in waiting.filter(|(_, item)| item.state == State::Waiting) {
                let each = if item.custom {
                    item.needs.plus(&self.executor.resources)
                } else {
                    item.needs.clone()
                };
                let one = Demand { each, count: 1, constraints: item.constraints.clone() };
                demands.entry(&roles[n % roles.len()]).or_default().push(one);
            }
        }
        for (role, demand) in demands {
            calls.demand_for(role, demand).expect(ITS_ROLE);
        }
        for (role, wish) in roles.iter().zip(self.wishes.iter().cycle()) {
            calls.require_for(role, wish.constraints.clone()).expect(ITS_ROLE);
            calls.least_offer_for(role, wish.least.clone()).expect(ITS_ROLE);
        }
    }

    fn task(&mut self, name: &str) -> TaskSpec {
        self.attempts += 1;
        let fresh = TaskId::new(format!("{name}.{}.{}", self.tag, self.attempts));
        let item = self.items.get_mut(name).expect("names come from the list");
        let task = item.reuse.take().unwrap_or(fresh);
        let runs = if item.failures > 0 {
            item.failures -= 1;
            if item.failures.is_multiple_of(2) { "sleep 0.5; exit 3" } else { "/missing/program" }
        } else {
            item.runs.as_str()
        };
        let run = if item.custom {
            Run::Executor { executor: self.executor.clone(), data: runs.as_bytes().to_vec() }
        } else {
            Run::Command(CommandSpec {
                value: runs.to_owned(),
                shell: true,
                ..CommandSpec::default()
            })
        };
        let (resources, fate) = (item.needs.clone(), item.fate);
        let (name, kill_grace, carried) = (name.to_owned(), None, Default::default());
        let spec = TaskSpec { task, name, resources, run, kill_grace, carried };
        match fate {
            Some(fate) => spec.when_unreachable(fate),
            None => spec,
        }
    }

    fn use_offer(&mut self, calls: &mut Calls, offer: &Offer) {
        let (hostname, attributes) = (&*offer.at.hostname, &*offer.attributes);
        let place = Place { hostname, attributes, domain: calls.domain_of(offer) };
        let may_run =
            |item: &Item| item.state == State::Waiting && place.will_do(&item.constraints);
        let waiting = self.items.iter().filter(|(_, item)| may_run(item));
        let waiting: Vec<String> = waiting.map(|(name, _)| name.clone()).collect();
        for name in waiting {
            let before = self.items[&name].clone();
            let spec = self.task(&name);
            let task = spec.task.clone();
            let item = self.items.get_mut(&name).expect("names come from the list");
            match calls.launch(offer, spec) {
                Ok(()) => item.state = State::Live(task),
                Err(_) => *item = before,
            }
        }
    }

    fn mischief(&mut self, calls: &mut Calls) {
        let live: Vec<TaskId> = self
            .items
            .values()
            .filter_map(|item| match &item.state {
                State::Live(task) => Some(task.clone()),
                State::Waiting | State::Done => None,
            })
            .collect();
        match self.chance.below(11) {
            0..4 => {
                if let Some(task) = self.chance.one_of(&live) {
                    calls.kill(task);
                }
            }
            4 | 5 => {
                let one = self.chance.one_of(&live).and_then(|task| calls.task(task).cloned());
                if let Some(viewed) = one {
                    calls.message(&viewed.agent, &viewed.executor, b"hello".to_vec());
                }
            }
            6 => {
                self.lost_interest = true;
                // Half of them say so, too.
                if self.attempts.is_multiple_of(2) {
                    for role in calls.roles().to_vec() {
                        calls.suppress_for(&role).expect(ITS_ROLE);
                    }
                }
                calls.after(self.chance.millis(500, 20_000), 2);
            }
            7 => {
                let one = self.chance.one_of(&live).and_then(|task| calls.task(task).cloned());
                if let Some(viewed) = one {
                    calls.shutdown_executor(&viewed.agent, &viewed.executor);
                }
            }
            8 => calls.revive(),
            9 => {
                let wish = RoleWish::by(&mut self.places, self.states_demand);
                let role = self.places.index(self.wishes.len());
                self.wishes[role] = wish;
            }
            _ if self.may_tear_down && self.chance.in_thousand(300) => calls.tear_down(),
            _ => calls.stop(),
        }
    }
}

fn item_name(task: &TaskId) -> &str {
    task.as_str().split_once('.').map_or("", |(name, _)| name)
}

impl Item {
    fn new(chance: &mut Chance, all_custom: bool) -> Self {
        let seconds = match chance.below(10) {
            0 => chance.between(20, 90),
            1..4 => chance.between(5, 20),
            _ => chance.between(0, 5),
        };
        let stubborn = if chance.in_thousand(150) { "trap '' TERM; " } else { "" };
        let failures = if chance.in_thousand(250) { chance.between(1, 3) } else { 0 };
        let cpus = [0.1, 0.5, 1.0, 1.5][chance.index(4)];
        Self {
            runs: format!("{stubborn}sleep {seconds}.{}; exit 0", chance.below(10)),
            failures: u32::try_from(failures).expect("at most three"),
            needs: Resources::cpus_mem(cpus, 64.0),
            constraints: Vec::new(),
            custom: all_custom || chance.in_thousand(150),
            fate: None,
            state: State::Waiting,
            reuse: None,
        }
    }
}

impl Scheduler for Scripted {
    fn started(&mut self, calls: &mut Calls, stored: BTreeMap<String, Vec<u8>>) {
        for name in stored.keys() {
            if let Some(item) = self.items.get_mut(name) {
                item.state = State::Done;
            }
        }
        self.want(calls);
        calls.after(self.chance.millis(500, 8_000), 1);
    }

    /// Tasks of earlier lives are taken over, unless something else does their work already.
    fn subscribed(&mut self, calls: &mut Calls, _: &FrameworkId) {
        let live = calls.tasks().filter(|(_, viewed)| !viewed.state.is_end());
        let tasks: Vec<TaskId> = live.map(|(task, _)| task.clone()).collect();
        for task in tasks {
            let Some(item) = self.item_of(&task) else {
                continue;
            };
            match &item.state {
                State::Waiting => item.state = State::Live(task),
                State::Live(live) if *live == task => (),
                State::Live(_) | State::Done => calls.kill(&task),
            }
        }
        self.want(calls);
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in offers {
            let mood = self.chance.below(10);
            match mood {
                _ if self.declines > 0 => self.declines -= 1,
                _ if self.thinks > 0 && mood < 6 => {
                    self.thinks -= 1;
                    calls.hold(&offer);
                }
                0 if self.mischief > 0 => self.mischief -= 1,
                1 if self.mischief > 0 => {
                    self.mischief -= 1;
                    calls.hold(&offer);
                }
                _ => self.use_offer(calls, &offer),
            }
        }
        self.want(calls);
    }

    fn rescinded(&mut self, _: &mut Calls, _: &[OfferId]) {}

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        let task = status.task.clone();
        let end = status.state.is_end();
        let Some(item) = self.item_of(&task) else {
            return;
        };
        match &item.state {
            State::Waiting if status.state == TaskState::Finished => {
                item.state = State::Done;
                calls.store(item_name(&task), Vec::new());
            }
            State::Live(live) if *live == task => {
                if status.state == TaskState::Finished {
                    item.state = State::Done;
                    calls.store(item_name(&task), Vec::new());
                } else if end {
                    item.state = State::Waiting;
                    // Of a task that was given up nobody knows whether it runs.
                    item.reuse = (status.state != TaskState::Lost).then_some(task);
                }
            }
            State::Waiting if !end => item.state = State::Live(task),
            State::Live(_) | State::Done if !end => calls.kill(&task),
            State::Waiting | State::Live(_) | State::Done => (),
        }
        self.want(calls);
    }

    fn message(&mut self, _: &mut Calls, _: &AgentId, _: &ExecutorId, _: &[u8]) {}

    fn timer(&mut self, calls: &mut Calls, key: u64) {
        if key == 2 {
            self.lost_interest = false;
            calls.revive();
        } else if self.mischief > 0 && !self.is_done() {
            self.mischief -= 1;
            self.mischief(calls);
            calls.after(self.chance.millis(300, 15_000), 1);
        }
        self.want(calls);
    }

    fn ended(&mut self, _: &Outcome) {}
}

/// How long a scheduler may take over an offer, and the like; a little different with each.
pub(crate) fn settings(chance: &mut Chance) -> sdk::logic::Settings {
    sdk::logic::Settings {
        hold_most: match chance.below(4) {
            0 => chance.millis(15_000, 60_000),
            _ => chance.millis(500, 15_000),
        },
        refuse_for: chance.millis(0, 10_000),
        reconcile_every: Duration::from_secs(chance.between(30, 300)),
        ..sdk::logic::Settings::default()
    }
}
