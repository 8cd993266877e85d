//! What is run of an image: its entry point and its words, unless the task says what. Mesos's table, which frameworks were
//! written for. Pure.

use protocol::task::CommandSpec;

/// What an image says of what it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Says<'a> {
    /// What the rest is an argument of.
    pub(crate) entrypoint: &'a [String],
    /// The command, or the arguments of the entry point.
    pub(crate) command: &'a [String],
}

/// The program and its arguments from the zeroth on; `None`: as the task says.
///
/// # Errors
/// Neither says what to run; in words.
pub(crate) fn program(task: &CommandSpec, image: Says<'_>) -> Result<Option<Vec<String>>, String> {
    // A line for the shell, or a program: whatever the image says.
    if task.shell || !task.value.is_empty() {
        return Ok(None);
    }
    let (first, rest) = match (image.entrypoint, image.command) {
        ([], [program, rest @ ..]) => (std::slice::from_ref(program), rest),
        ([], []) => {
            let words = "the image says neither entry point nor command, and the task names no program; give it a command";
            return Err(words.to_owned());
        }
        (entrypoint, rest) => (entrypoint, rest),
    };
    let rest = if task.arguments.is_empty() { rest } else { &task.arguments };
    Ok(Some([first, rest].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[track_caller]
    fn runs(value: &str, arguments: &str, entrypoint: &str, command: &str) -> Option<String> {
        let task = CommandSpec {
            value: value.into(),
            arguments: words(arguments),
            ..CommandSpec::default()
        };
        let (entrypoint, command) = (words(entrypoint), words(command));
        let says = Says { entrypoint: &entrypoint, command: &command };
        program(&task, says).unwrap().map(|all| all.join(" "))
    }

    #[test]
    fn iso_24_what_runs_is_the_tasks_word_or_the_images_as_mesos_has_it() {
        for (arguments, entrypoint, command, all) in [
            ("", "", "c d", "c d"),
            ("", "e f", "", "e f"),
            ("", "e f", "c d", "e f c d"),
            ("a b", "", "c d", "c a b"),
            ("a b", "e f", "", "e f a b"),
            ("a b", "e f", "c d", "e f a b"),
        ] {
            let said = runs("", arguments, entrypoint, command);
            assert_eq!(said.as_deref(), Some(all), "{arguments} {entrypoint} {command}");
        }
        assert_eq!(runs("v", "v a", "e", "c"), None, "the task says it all");
        let none = Says { entrypoint: &[], command: &[] };
        assert!(program(&CommandSpec::default(), none).unwrap_err().contains("give it a command"));
        let line = CommandSpec { shell: true, value: "ls".into(), ..CommandSpec::default() };
        assert_eq!(program(&line, none), Ok(None));
    }
}
