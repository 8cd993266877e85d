//! The tests of what is left behind, at length: agents that are killed at random moments, and containers that are started and
//! killed. The tests themselves are among all others, where they are short.

use crate::cargo::{self, cargo};
use crate::steps::Failure;

/// How often each, unless it is said otherwise.
const KILLS: u64 = 200;
const CYCLES: u64 = 10_000;

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chaos {
    kills: u64,
    cycles: u64,
    seed: Option<u64>,
}

impl Chaos {
    /// Understands the words after the chore's name.
    pub(crate) fn read(words: &[&str]) -> Result<Self, String> {
        let mut chaos = Self { kills: KILLS, cycles: CYCLES, seed: None };
        for pair in words.chunks(2) {
            let number = pair.get(1).and_then(|word| word.parse().ok());
            match (pair[0], number) {
                ("--kills", Some(number)) => chaos.kills = number,
                ("--cycles", Some(number)) => chaos.cycles = number,
                ("--seed", Some(number)) => chaos.seed = Some(number),
                (word, _) => {
                    let known = "--kills, --cycles and --seed, each with a number";
                    return Err(format!("test-chaos: {word} is not understood; it takes {known}"));
                }
            }
        }
        Ok(chaos)
    }

    /// Starts and kills containers, without any agent.
    pub(crate) fn cycles(&self) -> Result<(), Failure> {
        let mut command = cargo();
        command.args(["test", "--workspace", "--test", "containers", "--", "cycles"]);
        command.env("CHAOS_CYCLES", self.cycles.to_string());
        cargo::finish(command.arg("--nocapture"))
    }

    /// Kills agents with containers. The seed is told, whoever chose it.
    pub(crate) fn kills(&self) -> Result<(), Failure> {
        let mut command = cargo();
        command.args(["test", "--workspace", "--test", "http", "--", "images::chaos"]);
        command.env("CHAOS_KILLS", self.kills.to_string());
        command.envs(self.seed.map(|seed| ("CHAOS_SEED", seed.to_string())));
        cargo::finish(command.arg("--nocapture"))
    }
}

/// The launcher of the tests, and the programs of stories.
pub(crate) fn build() -> Result<(), Failure> {
    // With the features of a whole build, or all that these need is built once more.
    cargo::run(&["build", "--workspace", "--bins", "--examples"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_often_as_the_issue_asks_and_nonsense_is_named() {
        let usual = Chaos { kills: 200, cycles: 10_000, seed: None };
        assert_eq!(Chaos::read(&[]), Ok(usual));
        let said = Chaos::read(&["--seed", "7", "--kills", "3", "--cycles", "5"]);
        assert_eq!(said, Ok(Chaos { kills: 3, cycles: 5, seed: Some(7) }));
        for words in [&["--kills"][..], &["--kills", "many"], &["--often", "3"]] {
            let refused = Chaos::read(words).unwrap_err();
            assert!(refused.contains(words[0]), "{refused}");
        }
    }
}
