//! What dies while the demo runs, and what that interrupts. A victim is killed only while a task is at work, which is held by
//! a signal until the victim is dead: so each story interrupts something, and says what came of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use nix::sys::signal::Signal;
use procfs::process::{ProcState, Process};
use tests::cluster::{eventually, signal_process};
use wordcount::Interval;

use super::{Demo, is_of_wordcount};

/// A log of the demo, read to its end although the demo removes it.
struct Log(File);

impl Log {
    fn read(mut self) -> String {
        let mut text = Vec::new();
        self.0.read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }
}

/// The values that follow `key` in the lines that hold `words`.
fn values<'a>(log: &'a str, words: &str, key: &str) -> Vec<&'a str> {
    let lines = log.lines().filter(|line| line.contains(words));
    lines.filter_map(|line| line.split_once(key)?.1.split_whitespace().next()).collect()
}

fn process(number: u32) -> Option<Process> {
    Process::new(i32::try_from(number).unwrap()).ok()
}

/// Stops a process and waits until none of its threads runs. Not, if it has ended.
fn hold(number: u32) -> bool {
    signal_process(number, Signal::SIGSTOP);
    let mut lives = true;
    eventually("it stands still", || {
        let Some(process) = process(number) else {
            lives = false;
            return true;
        };
        let states: Vec<_> = process
            .tasks()
            .into_iter()
            .flatten()
            .filter_map(|thread| thread.ok()?.stat().ok()?.state().ok())
            .collect();
        let is_over = |state: &ProcState| matches!(state, ProcState::Zombie | ProcState::Dead);
        lives = !states.iter().all(is_over);
        states.iter().all(|state| *state == ProcState::Stopped || is_over(state))
    });
    lives
}

/// The process that is `airside <command>` and from which another one came, or which it is.
fn ancestor(number: u32, command: &str) -> Option<u32> {
    let mut number = number;
    loop {
        let found = process(number)?;
        if found.cmdline().ok()?.get(1).is_some_and(|word| word == command) {
            return Some(number);
        }
        number = u32::try_from(found.stat().ok()?.ppid).ok().filter(|parent| *parent > 1)?;
    }
}

impl Demo {
    fn log(&self, name: &str) -> Log {
        let path = self.folder().unwrap().join("logs").join(format!("{name}.log"));
        Log(File::open(path).unwrap())
    }

    /// Kills a process while a task is at work; `victim` names the process for a task, if it will do. The task.
    #[track_caller]
    fn kill(&mut self, victim: impl Fn(&Demo, &Interval) -> Option<u32>) -> Interval {
        self.process.says("A master at");
        let mut interrupted = None;
        eventually("a task is at work", || {
            let at_work = self.intervals().into_iter().filter(|interval| !interval.ended);
            interrupted = at_work.into_iter().find(|task| {
                victim(self, task).is_some_and(|victim| self.kill_during(victim, task))
            });
            interrupted.is_some()
        });
        interrupted.unwrap()
    }

    /// Kills a process if a task is at work, which it still is when the process is dead.
    fn kill_during(&self, victim: u32, task: &Interval) -> bool {
        let same = |other: &Interval| (&other.job, other.attempt) == (&task.job, task.attempt);
        let held = hold(task.process);
        let is_at_work = held && self.intervals().iter().any(|other| same(other) && !other.ended);
        if is_at_work {
            signal_process(victim, Signal::SIGKILL);
            eventually("it is dead", || {
                let state = process(victim).and_then(|process| process.stat().ok()?.state().ok());
                state.is_none_or(|state| matches!(state, ProcState::Zombie | ProcState::Dead))
            });
        }
        signal_process(task.process, Signal::SIGCONT);
        is_at_work
    }

    /// The only process of a kind, whatever is at work.
    fn only(&self, command: &str) -> Option<u32> {
        self.home.processes_of(command).first().copied()
    }
}

/// A task that was interrupted was tried again.
#[track_caller]
fn was_tried_again(task: &Interval, intervals: &[Interval]) {
    let next = intervals.iter().find(|i| i.job == task.job && i.attempt > task.attempt);
    let next = next.unwrap_or_else(|| panic!("{task} was not tried again: {intervals:#?}"));
    assert_ne!(next.process, task.process, "in another process");
}

/// A task whose agent died runs on in its process, to its end. That it is not tried again is not asserted: what it counted
/// travels in messages, which nobody keeps for an agent that is away, and without them its job is counted once more.
#[track_caller]
fn went_on(task: &Interval, intervals: &[Interval]) {
    let same =
        |i: &&Interval| (&i.job, i.attempt, i.process) == (&task.job, task.attempt, task.process);
    let ended = intervals.iter().find(same).is_some_and(|i| i.ended);
    assert!(ended, "{task}: {intervals:#?}");
}

#[test]
fn the_demo_survives_the_death_of_an_agent() {
    let mut demo = Demo::start(8);
    let task = demo.kill(|_, task| ancestor(task.process, "agent"));
    went_on(&task, &demo.ends_well());
}

#[test]
fn the_demo_survives_the_death_of_an_executor() {
    let mut demo = Demo::start(8);
    let is_executor = |task: &Interval| {
        is_of_wordcount(task).then(|| ancestor(task.process, "wordcount-executor")).flatten()
    };
    let task = demo.kill(|_, task| is_executor(task));
    let intervals = demo.ends_well();
    let same = |i: &&Interval| (&i.job, i.attempt) == (&task.job, task.attempt);
    assert!(!intervals.iter().find(same).unwrap().ended, "it was killed at work: {task}");
    was_tried_again(&task, &intervals);
}

#[test]
fn the_demo_survives_the_death_of_the_framework() {
    let mut demo = Demo::start(8);
    demo.process.says("A master at");
    demo.kill(|demo, task| {
        is_of_wordcount(task).then(|| demo.only("wordcount-scheduler")).flatten()
    });
    let log = demo.log("wordcount");
    demo.ends_well();
    let log = log.read();
    let subscribed = values(&log, "subscribed", "framework=");
    assert!(subscribed.len() >= 2, "it subscribed before and after its death: {log}");
    assert!(subscribed.iter().all(|id| *id == subscribed[0]), "under one id: {subscribed:?}");
}

#[test]
fn the_demo_survives_the_death_of_the_master() {
    let mut demo = Demo::start(8);
    demo.kill(|demo, _| demo.only("master"));
    let (master, agents) =
        (demo.log("master"), ["agent-1", "agent-2", "agent-3"].map(|name| demo.log(name)));
    demo.ends_well();
    let master = master.read();
    let mut recovered = values(&master, "state=Recovered", "agent=");
    recovered.sort_unstable();
    let mut known = Vec::new();
    for log in agents.map(Log::read) {
        let ids = values(&log, "registered as", "registered as ");
        let epochs = values(&log, "registered as", "master of epoch ");
        assert!(ids.len() >= 2, "it registered with both masters: {log}");
        assert!(ids.iter().all(|id| *id == ids[0]), "under one id: {ids:?}");
        let epochs: BTreeMap<_, _> = epochs.iter().zip(&ids).collect();
        assert!(epochs.len() >= 2, "of two reigns: {epochs:?}");
        known.push(ids[0].to_owned());
    }
    known.sort_unstable();
    assert_eq!(recovered, known, "the second master read its registry: {master}");
}
