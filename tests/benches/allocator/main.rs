//! What the allocator costs: whole cycles beside a minimal one of the same size, one change at a time, what is refused, quota, who
//! joins; how soon a demand is met by a real master, and what a million tasks weigh. `--airside PATH` names the program;
//! `--json` prints one object a line; a case's name measures that one only. `picture`
//! draws instead.

mod cluster;
mod cycles;
mod demand;
mod draw;
mod instructions;
mod live;
mod million;
mod minimal;
mod mixture;
mod pictures;
mod reserved;
mod shares;
mod upstream;

use std::env;
use std::error::Error;
use std::path::PathBuf;

use measure::each_alone;

// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Each has a process of its own, so that none finds the memory of another.
const CASES: [&str; 22] = [
    "decision",
    "offers",
    "changes",
    "declined",
    "quota",
    "join",
    "demand",
    "million",
    "labelled",
    "sizes",
    "shapes",
    "large-and-small-quota",
    "non-quota-vs-quota",
    "declined-again",
    "resource-labels",
    "persistent-volumes",
    "suppressed",
    "add-and-update",
    "backlog",
    "trees",
    "mixture",
    "instructions",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let mut airside = PathBuf::from("airside");
    let (mut json, mut case) = (false, None);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--airside") => airside = arguments.next().map(PathBuf::from).unwrap_or_default(),
            Some("--json") => json = true,
            // Cargo starts a bench in its package's folder.
            Some("--from") => env::set_current_dir(arguments.next().unwrap_or_default())?,
            Some(word) if word.starts_with(instructions::COUNT) => {
                return instructions::perform(&word[instructions::COUNT.len()..]);
            }
            Some("picture") => return pictures::draw(airside, arguments),
            Some(name) if CASES.contains(&name) => case = Some(name.to_owned()),
            // Cargo's own `--bench`, which is not for us.
            _ => (),
        }
    }
    let Some(case) = case else { return each_alone(&CASES, &airside, json) };
    let measured = match case.as_str() {
        "decision" => cycles::decision(),
        "offers" => cycles::offers(),
        "changes" => cycles::changes(),
        "declined" => cycles::declined(),
        "quota" => cycles::quota(),
        "join" => cycles::join(),
        "demand" => tokio::runtime::Runtime::new()?.block_on(demand::to_offer(&airside)),
        "million" => million::tasks(),
        "labelled" => million::labelled(),
        "shapes" => cycles::shapes(),
        "large-and-small-quota" => upstream::large_and_small_quota(),
        "non-quota-vs-quota" => upstream::non_quota_vs_quota(),
        "declined-again" => upstream::declined(),
        "resource-labels" => reserved::labels_compared(),
        "persistent-volumes" => reserved::volumes(),
        "suppressed" => upstream::suppressed(),
        "add-and-update" => upstream::add_and_update(),
        "backlog" => upstream::backlog(),
        "trees" => upstream::trees(),
        "instructions" => instructions::counted(),
        "mixture" => mixture::of_frameworks(),
        _ => cycles::sizes(),
    };
    measured?.iter().for_each(|row| row.print("allocator", json));
    Ok(())
}
