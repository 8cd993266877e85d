//! What is to be run.

use std::collections::BTreeSet;

use sdk::prelude::*;
use sdk::protocol::ids::check_id;

/// One thing to be done, however many tries it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Unique in its batch; its tries are the tasks `<name>.1`, `<name>.2` and so on.
    pub name: String,
    /// What to run; its id is replaced for each try.
    pub task: TaskSpec,
}

/// How often to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most tries that end by a fault of the task's own; at least one is made.
    pub attempts: u32,
    /// The most tries that end by a fault of the cluster's: lost agents, dropped launches.
    pub losses: u32,
    /// The most tries at work at once.
    pub at_once: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attempts: 3, losses: 50, at_once: usize::MAX }
    }
}

/// Why a list of jobs is no batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBatch {
    /// Two jobs cannot be told apart.
    #[error("make a batch: two jobs are named '{0}'")]
    TwoOfOneName(String),
    /// A name of which no task id can be made.
    #[error("make a batch: a job's name: {0}")]
    Name(String),
}

/// A job for each line, named `<prefix>-1` and so on.
pub fn shell_lines<'a>(
    prefix: &str,
    lines: impl IntoIterator<Item = &'a str>,
    each: &Resources,
) -> Vec<Job> {
    let job = |(n, line): (usize, &str)| {
        let name = format!("{prefix}-{}", n + 1);
        Job { task: task::shell(&name, line, each), name }
    };
    lines.into_iter().enumerate().map(job).collect()
}

pub(crate) fn check(jobs: &[Job]) -> Result<(), BadBatch> {
    let mut names = BTreeSet::new();
    for job in jobs {
        // Room for the number of the try.
        check_id(&format!("{}.0000000000", job.name))
            .map_err(|error| BadBatch::Name(error.to_string()))?;
        if !names.insert(job.name.as_str()) {
            return Err(BadBatch::TwoOfOneName(job.name.clone()));
        }
    }
    Ok(())
}

/// The job and the number of a try, by its task's id.
pub(crate) fn parts(task: &TaskId) -> Option<(&str, u32)> {
    let (name, number) = task.as_str().rsplit_once('.')?;
    Some((name, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_cannot_be_told_apart_are_refused() {
        let small = Resources::cpus_mem(0.1, 1.0);
        let job = |name: &str| Job { name: name.to_owned(), task: task::shell(name, "x", &small) };
        assert_eq!(check(&[job("a"), job("a.1"), job("ä b")]), Ok(()));
        assert_eq!(check(&[job("a"), job("a")]), Err(BadBatch::TwoOfOneName("a".into())));
        for bad in ["a/b", " a", "a\n", &"x".repeat(250)] {
            assert!(matches!(check(&[job(bad)]), Err(BadBatch::Name(_))), "{bad}");
        }
    }

    #[test]
    fn a_try_is_known_by_its_task() {
        assert_eq!(parts(&TaskId::new("a.b.12")), Some(("a.b", 12)));
        assert_eq!(parts(&TaskId::new("a")), None);
        assert_eq!(parts(&TaskId::new("a.x")), None);
    }
}
