//! What is to be run, and when that is due.

use std::collections::BTreeSet;
use std::time::Duration;

use sdk::prelude::*;
use sdk::protocol::ids::check_id;
use sdk::protocol::time::WallTime;

/// Something to be run again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Unique among the jobs. Its runs are the tasks `<name>.<seconds since 1970 when it was due>`.
    pub name: String,
    /// Whole seconds from one time it is due to the next.
    pub every: Duration,
    /// What to run; its id is replaced for each run.
    pub task: TaskSpec,
}

/// Why this is no list of jobs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadJob {
    /// Two jobs cannot be told apart.
    #[error("run jobs periodically: two of them are named '{0}'")]
    TwoOfOneName(String),
    /// A name of which no task id can be made.
    #[error("run jobs periodically: the name of one: {0}")]
    Name(String),
    /// A period that cannot be kept.
    #[error("run job {name} every {every:?}: a period has whole seconds, and at least one")]
    Every {
        /// Of the job.
        name: String,
        /// Its period.
        every: Duration,
    },
}

impl Job {
    /// The newest time at or before `now` at which it was due, in seconds since 1970.
    pub(crate) fn due(&self, now: WallTime) -> u64 {
        let seconds = now.0 / 1_000_000_000;
        seconds - seconds % self.every.as_secs()
    }

    /// How long until it is due the next time.
    pub(crate) fn until_next(&self, now: WallTime) -> Duration {
        let next = (self.due(now) + self.every.as_secs()).saturating_mul(1_000_000_000);
        Duration::from_nanos(next.saturating_sub(now.0))
    }

    /// The task of the run that was due then.
    pub(crate) fn run(&self, due: u64) -> TaskSpec {
        TaskSpec { task: TaskId::new(format!("{}.{due}", self.name)), ..self.task.clone() }
    }
}

pub(crate) fn check(jobs: &[Job]) -> Result<(), BadJob> {
    let mut names = BTreeSet::new();
    for Job { name, every, .. } in jobs {
        // Room for when it was due.
        check_id(&format!("{name}.00000000000000000000"))
            .map_err(|error| BadJob::Name(error.to_string()))?;
        if every.as_secs() == 0 || every.subsec_nanos() > 0 {
            return Err(BadJob::Every { name: name.clone(), every: *every });
        }
        if !names.insert(name.as_str()) {
            return Err(BadJob::TwoOfOneName(name.clone()));
        }
    }
    Ok(())
}

/// The job of a run, and when that was due, by its task's id.
pub(crate) fn parts(task: &TaskId) -> Option<(&str, u64)> {
    let (name, due) = task.as_str().rsplit_once('.')?;
    Some((name, due.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, every: u64) -> Job {
        let task = task::shell(name, "true", &Resources::cpus_mem(0.1, 16.0));
        Job { name: name.into(), every: Duration::from_secs(every), task }
    }

    fn at(seconds: u64) -> WallTime {
        WallTime(seconds * 1_000_000_000)
    }

    #[test]
    fn a_job_is_due_at_whole_multiples_of_its_period() {
        let job = job("a", 30);
        assert_eq!((job.due(at(0)), job.until_next(at(0))), (0, Duration::from_secs(30)));
        assert_eq!((job.due(at(59)), job.until_next(at(59))), (30, Duration::from_secs(1)));
        assert_eq!(job.due(WallTime(at(60).0 - 1)), 30);
        assert_eq!(job.until_next(WallTime(at(60).0 - 1)), Duration::from_nanos(1));
        assert_eq!(job.due(at(60)), 60);
    }

    #[test]
    fn a_run_is_known_by_its_task() {
        let run = job("a.b", 30).run(1_767_225_600);
        assert_eq!(parts(&run.task), Some(("a.b", 1_767_225_600)));
        assert_eq!(run.name, "a.b");
        assert_eq!(parts(&TaskId::new("a.b")), None);
    }

    #[test]
    fn what_is_no_list_of_jobs_is_refused_in_words() {
        assert_eq!(check(&[job("a", 1), job("b", 86_400)]), Ok(()));
        assert_eq!(check(&[job("a", 1), job("a", 2)]), Err(BadJob::TwoOfOneName("a".into())));
        assert!(matches!(check(&[job("a/b", 1)]), Err(BadJob::Name(_))));
        assert!(matches!(check(&[job("a", 0)]), Err(BadJob::Every { .. })));
        let half = Job { every: Duration::from_millis(1500), ..job("a", 1) };
        let words = check(&[half]).unwrap_err().to_string();
        assert!(words.contains("1.5s") && words.contains("whole seconds"), "{words}");
    }
}
