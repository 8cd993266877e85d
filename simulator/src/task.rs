//! What a simulated task does. Nothing is run: how long it takes and how it ends is read from what it was asked to run.

use std::time::Duration;

use protocol::task::{CommandSpec, Exit, Run, TaskSpec};

/// How a task behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// How long it runs if nobody ends it.
    pub runs: Duration,
    /// How it ends then.
    pub exit: Exit,
    /// Whether it goes on when it is asked to end politely.
    pub stubborn: bool,
    /// Whether it can be started at all.
    pub starts: bool,
}

impl Behaviour {
    /// Reads a line of the shell for the words that this simulator knows: `sleep SECONDS`, `exit STATUS`,
    /// `trap '' TERM`. Whatever else there is takes a second and ends well; `/missing` cannot be started.
    pub fn of_command(command: &CommandSpec) -> Self {
        let mut behaviour = Self {
            runs: Duration::from_secs(1),
            exit: Exit::Code(0),
            stubborn: command.value.contains("trap '' TERM"),
            starts: !command.value.starts_with("/missing"),
        };
        let arguments = command.arguments.join(" ");
        for part in command.value.split(';').chain([arguments.as_str()]) {
            let mut words = part.split_whitespace();
            match (words.next(), words.next()) {
                (Some("sleep"), Some(seconds)) => {
                    let seconds =
                        seconds.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
                    behaviour.runs = seconds.unwrap_or(behaviour.runs);
                }
                (Some("exit"), Some(code)) => {
                    behaviour.exit = Exit::Code(code.parse().unwrap_or(1));
                }
                (Some(_) | None, _) => (),
            }
        }
        behaviour
    }

    /// What a task of this description does.
    pub fn of(spec: &TaskSpec) -> Self {
        match &spec.run {
            Run::Command(command) => Self::of_command(command),
            Run::Executor { data, .. } => {
                let value = String::from_utf8_lossy(data).into_owned();
                Self::of_command(&CommandSpec { value, ..CommandSpec::default() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_shell_says_how_long_and_how_it_ends() {
        let read = |value: &str| {
            Behaviour::of_command(&CommandSpec { value: value.into(), ..CommandSpec::default() })
        };
        let stubborn = read("trap '' TERM; sleep 2.5; exit 3");
        assert_eq!(stubborn.runs, Duration::from_millis(2500));
        assert_eq!((stubborn.exit, stubborn.stubborn), (Exit::Code(3), true));
        assert_eq!(read("make"), Behaviour { stubborn: false, ..read("sleep 1") });
        assert!(!read("/missing/program").starts);
    }
}
