//! What users get can make no deliberate mistakes: the feature `testing`, which brings them, is off in every crate of the
//! program. cargo itself says so, for a build of that program alone. The build of the workspace, in which the tests run, has
//! the feature on for the simulator's sake; and to build everything a second time without it would take minutes.

use crate::cargo::{self, cargo};
use crate::steps::Failure;

/// The package of the program.
const PROGRAM: &str = "cli";
const MISTAKES: &str = "testing";
/// Crates with mistakes of which the program is made: if cargo does not name them, it was not understood.
const MADE_OF: [&str; 4] = ["agent", "coordination", "executor", "master"];

pub(crate) fn has_no_mistakes() -> Result<(), Failure> {
    let mut command = cargo();
    command.args(["tree", "--package", PROGRAM, "--edges", "normal,build", "--prefix", "none"]);
    let text = cargo::output(command.args(["--format", "{p} [{f}]"]))?;
    Failure::unless_empty(complaints(&text))
}

fn complaints(tree: &str) -> Vec<String> {
    let packages = || tree.lines().filter_map(read);
    let with = packages()
        .filter(|(_, features)| features.split(',').any(|feature| feature == MISTAKES))
        .map(|(name, _)| format!("{name} is released with the feature {MISTAKES}"));
    let missing = MADE_OF
        .into_iter()
        .filter(|name| !packages().any(|(its, _)| its == *name))
        .map(|name| format!("`cargo tree` does not name {name}"));
    with.chain(missing).collect()
}

/// A line such as `master v0.1.0 (/…/master) [a,b] (*)`: the package's name and its features.
fn read(line: &str) -> Option<(&str, &str)> {
    let (package, features) = line.trim_end_matches(" (*)").rsplit_once(" [")?;
    Some((package.split_once(' ')?.0, features.strip_suffix(']')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "cli v0.1.0 (/a/cli) []
agent v0.1.0 (/a/agent) []
serde v1.0.0 [default,derive,std]
coordination v0.1.0 (/a/coordination) []
executor v0.1.0 (/a/executor) []
master v0.1.0 (/a/master) [metrics]
master v0.1.0 (/a/master) [metrics] (*)
";

    #[test]
    fn a_program_with_deliberate_mistakes_is_not_released() {
        assert!(complaints(TREE).is_empty());
        let with = TREE.replace("(/a/agent) []", "(/a/agent) [default,testing] (*)");
        assert_eq!(complaints(&with), ["agent is released with the feature testing"]);
    }

    #[test]
    fn an_answer_that_is_not_understood_is_no_good_news() {
        assert_eq!(complaints("cli v0.1.0 (/a/cli) []\n").len(), MADE_OF.len());
    }
}
