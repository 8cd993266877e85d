//! `simulate --seeds N`, `--seed S`, `--bugs`: many seeds on all cores, one seed in full, or every deliberate mistake.
#![allow(clippy::print_stdout)] // a command line's whole purpose

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::bugs::Bug;
use crate::healing::Healing;
use crate::properties::PROPERTIES;
use crate::run::{Outcome, Told, run_with};

const USAGE: &str = "usage: simulate [--seeds N] [--from SEED] | --seed S [--bug NAME] [--all] | --bugs [NAME...] [--seeds N]
  --seeds N   runs N seeds (default 1000; 200 with --bugs) and says what they found
  --from S    the first of them (default 1)
  --seed S    repeats one seed byte for byte and prints the flow of what went wrong
  --all       prints all that happened instead; with --bugs it runs every seed and says how many caught each mistake
  --bug NAME  with a deliberate mistake switched on
  --no-drops  connections always have room for a tell
  --bugs      switches on every deliberate mistake, one at a time, and says which were caught";

/// What was asked for.
#[derive(Debug, Default)]
struct Wish {
    seeds: Option<u64>,
    from: Option<u64>,
    seed: Option<u64>,
    bug: Option<Bug>,
    bugs: bool,
    no_drops: bool,
    all: bool,
    names: Vec<Bug>,
}

/// The whole command; its arguments without the program's name.
pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    match wish(arguments) {
        Ok(wish) if wish.bugs => hunt(&wish),
        Ok(wish) => match wish.seed {
            Some(seed) => repeat(seed, &wish),
            None => survey(&wish),
        },
        Err(words) => {
            println!("{words}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn wish(mut arguments: impl Iterator<Item = String>) -> Result<Wish, String> {
    let mut wish = Wish::default();
    let bug_named = |name: &str| {
        let known = || Bug::all().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Bug::named(name)
            .ok_or_else(|| format!("no mistake is called {name}; there are {}", known()))
    };
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let text = arguments.next().ok_or_else(|| format!("{argument} needs a number"))?;
            text.parse::<u64>().map_err(|_| format!("{argument} needs a number, not '{text}'"))
        };
        match argument.as_str() {
            "--seeds" => wish.seeds = Some(number()?),
            "--from" => wish.from = Some(number()?),
            "--seed" => wish.seed = Some(number()?),
            "--bug" => {
                let name = arguments.next().ok_or("--bug needs a name")?;
                wish.bug = Some(bug_named(&name)?);
            }
            "--bugs" => wish.bugs = true,
            "--no-drops" => wish.no_drops = true,
            "--all" => wish.all = true,
            name if wish.bugs && !name.starts_with('-') => wish.names.push(bug_named(name)?),
            other => return Err(format!("what is '{other}'?")),
        }
    }
    Ok(wish)
}

/// Sums over many runs.
#[derive(Debug, Default)]
struct Totals {
    steps: AtomicU64,
    checks: AtomicU64,
    tasks: AtomicU64,
    messages: AtomicU64,
    seconds: AtomicU64,
    done: AtomicU64,
    led: Longest,
    back: Longest,
    followed: Longest,
    truth: Longest,
    agreed: Longest,
}

/// The longest, and the seed in which it was.
#[derive(Debug, Default)]
struct Longest(Mutex<(Duration, u64)>);

impl Longest {
    fn add(&self, took: Duration, seed: u64) {
        let mut longest = self.0.lock().expect("no thread panics with it");
        *longest = (*longest).max((took, seed));
    }

    fn said(&self, until: &str) {
        let (took, seed) = *self.0.lock().expect("no thread panics with it");
        println!("                  at most {:.1} s (seed {seed}) {until}", took.as_secs_f64());
    }
}

impl Totals {
    fn add(&self, outcome: &Outcome) {
        self.steps.fetch_add(outcome.steps, Relaxed);
        self.checks.fetch_add(outcome.checks, Relaxed);
        self.tasks.fetch_add(outcome.tasks, Relaxed);
        self.messages.fetch_add(outcome.messages, Relaxed);
        self.seconds.fetch_add(outcome.time.as_secs(), Relaxed);
        self.done.fetch_add(1, Relaxed);
        let Healing { led, back, followed, truth, agreed } = outcome.healing;
        self.led.add(led, outcome.seed);
        self.back.add(back, outcome.seed);
        self.followed.add(followed, outcome.seed);
        self.truth.add(truth, outcome.seed);
        self.agreed.add(agreed, outcome.seed);
    }
}

/// Runs seeds on all cores until one is wrong, if `first_only`. Returns what was wrong, by seed.
fn run_seeds(
    seeds: &[u64],
    bug: Option<Bug>,
    first_only: bool,
    progress: bool,
    drops: bool,
) -> (Totals, Vec<Outcome>) {
    let (totals, next, stop) = (Totals::default(), AtomicUsize::new(0), AtomicBool::new(false));
    let wrong = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (started, count) = (Instant::now(), seeds.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    let Some(seed) = seeds.get(next.fetch_add(1, Relaxed)).copied() else {
                        break;
                    };
                    let outcome = run_with(seed, bug, Told::Nothing, drops);
                    totals.add(&outcome);
                    let done = totals.done.load(Relaxed);
                    if progress && done.is_multiple_of(50) {
                        println!(
                            "{done:>6} of {count} seeds, {:.0} s",
                            started.elapsed().as_secs_f64()
                        );
                    }
                    if outcome.violation.is_some() {
                        stop.fetch_or(first_only, Relaxed);
                        wrong.lock().expect("no thread panics with it").push(outcome);
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().expect("no thread panics with it");
    wrong.sort_by_key(|outcome| outcome.seed);
    (totals, wrong)
}

fn survey(wish: &Wish) -> ExitCode {
    let (from, count) = (wish.from.unwrap_or(1), wish.seeds.unwrap_or(1000));
    let started = Instant::now();
    let seeds: Vec<u64> = (from..from.saturating_add(count)).collect();
    let (totals, wrong) = run_seeds(&seeds, wish.bug, false, true, !wish.no_drops);
    let took = started.elapsed();
    print_totals(&totals, took);
    if wrong.is_empty() {
        println!("all {count} seeds passed");
        return ExitCode::SUCCESS;
    }
    println!("{} of {count} seeds failed:", wrong.len());
    for outcome in wrong.iter().take(20) {
        if let Some(violation) = &outcome.violation {
            println!("  seed {}: {violation}", outcome.seed);
        }
    }
    println!("repeat one with `cargo xtask simulate --seed S`");
    ExitCode::FAILURE
}

fn print_totals(totals: &Totals, took: Duration) {
    let simulated = Duration::from_secs(totals.seconds.load(Relaxed));
    println!("seeds             {}", totals.done.load(Relaxed));
    println!("steps             {}", totals.steps.load(Relaxed));
    println!("messages          {}", totals.messages.load(Relaxed));
    println!("tasks run         {}", totals.tasks.load(Relaxed));
    println!(
        "properties        {}, looked at {} times",
        PROPERTIES.len(),
        totals.checks.load(Relaxed)
    );
    println!("simulated time    {:.1} hours", simulated.as_secs_f64() / 3600.0);
    println!("after healing");
    totals.led.said("until one leads");
    totals.back.said("from then until all are with it");
    totals.followed.said("from then until elected schedulers are, too");
    totals.truth.said("from then until all say the same");
    totals.agreed.said("from then until all have done what they had to");
    println!("took              {:.1} s", took.as_secs_f64());
}

fn repeat(seed: u64, wish: &Wish) -> ExitCode {
    let told = if wish.all { Told::Everything } else { Told::Violation };
    let outcome = run_with(seed, wish.bug, told, !wish.no_drops);
    for line in &outcome.flow {
        println!("{line}");
    }
    println!(
        "seed {seed}: {} steps, {} tasks, {:.1} s simulated, transcript {:016x}",
        outcome.steps,
        outcome.tasks,
        outcome.time.as_secs_f64(),
        outcome.hash
    );
    match &outcome.violation {
        None => {
            println!("nothing went wrong");
            ExitCode::SUCCESS
        }
        Some(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

/// Switches on each mistake in turn. Seeds that fail without any say nothing about a mistake, so they are left out.
fn hunt(wish: &Wish) -> ExitCode {
    let (from, count) = (wish.from.unwrap_or(1), wish.seeds.unwrap_or(200));
    let seeds: Vec<u64> = (from..from.saturating_add(count)).collect();
    let (_, sick) = run_seeds(&seeds, None, false, false, !wish.no_drops);
    let sick: Vec<u64> = sick.iter().map(|outcome| outcome.seed).collect();
    let sound: Vec<u64> = seeds.iter().copied().filter(|seed| !sick.contains(seed)).collect();
    let bugs = if wish.names.is_empty() { Bug::all() } else { wish.names.clone() };
    let column = if wish.all { "caught" } else { "seed" };
    println!("{:<44} {column:>6}  property", "mistake");
    let mut caught = 0_u32;
    for bug in &bugs {
        let (_, wrong) = run_seeds(&sound, Some(*bug), !wish.all, false, !wish.no_drops);
        match wrong.first().and_then(|outcome| Some((outcome.seed, outcome.violation.as_ref()?))) {
            Some((seed, violation)) => {
                caught += 1;
                let number = if wish.all { wrong.len() as u64 } else { seed };
                println!("{bug:<44} {number:>6}  {}", violation.property);
            }
            None => println!("{bug:<44}      -  not caught"),
        }
    }
    let all = f64::from(u32::try_from(bugs.len()).unwrap_or(u32::MAX));
    let share = f64::from(caught) * 100.0 / all;
    println!("caught {caught} of {} ({share:.0} %) within {count} seeds", bugs.len());
    match sick.as_slice() {
        [] => println!("without any mistake all of the same {count} seeds passed"),
        sick => println!("left out, since they fail without any mistake: {sick:?}"),
    }
    let every = usize::try_from(caught).is_ok_and(|caught| caught == bugs.len());
    if every && sick.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
