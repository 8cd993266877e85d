//! What became of a batch.

use std::fmt;
use std::time::Duration;

use sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// One try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its task.
    pub task: TaskId,
    /// Where it ran.
    pub agent: Option<AgentId>,
    /// Its newest state.
    pub state: TaskState,
    /// How its process ended.
    pub exit: Option<Exit>,
    /// Why, in words.
    pub message: String,
    /// Its end was a fault of the cluster's, not its own.
    pub lost: bool,
    /// From launch to the word that it runs, if it came; not known of tries of an earlier life.
    pub started_after: Option<Duration>,
    /// From launch to end.
    pub ended_after: Option<Duration>,
}

/// How it stands with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Not tried yet, or to be tried again.
    Waiting,
    /// A try is at work.
    Trying,
    /// A try finished well.
    Succeeded,
    /// Tried often enough.
    GivenUp,
    /// Somebody killed it.
    Cancelled,
}

impl Verdict {
    /// Whether no more is done.
    pub fn is_final(self) -> bool {
        match self {
            Self::Succeeded | Self::GivenUp | Self::Cancelled => true,
            Self::Waiting | Self::Trying => false,
        }
    }
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub verdict: Verdict,
    /// Its tries, the last one last.
    pub attempts: Vec<Attempt>,
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its jobs, as they were given.
    pub jobs: Vec<JobReport>,
}

impl Report {
    /// How many jobs have a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.jobs.iter().filter(|job| job.verdict == verdict).count()
    }

    /// Whether every job succeeded.
    pub fn all_succeeded(&self) -> bool {
        self.count(Verdict::Succeeded) == self.jobs.len()
    }
}

impl fmt::Display for Report {
    /// One line in all, and one for each job that did not succeed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tries: usize = self.jobs.iter().map(|job| job.attempts.len()).sum();
        let succeeded = self.count(Verdict::Succeeded);
        write!(f, "{succeeded} of {} succeeded, in {tries} attempts", self.jobs.len())?;
        for job in self.jobs.iter().filter(|job| job.verdict != Verdict::Succeeded) {
            write!(f, "\n{}: {:?} after {} attempts", job.name, job.verdict, job.attempts.len())?;
            if let Some(last) = job.attempts.last() {
                write!(f, "; the last, {}, {}", last.task, how(last))?;
            }
        }
        Ok(())
    }
}

fn how(attempt: &Attempt) -> String {
    let exit = match attempt.exit {
        Some(Exit::Code(code)) => format!(" with exit code {code}"),
        Some(Exit::Signal(signal)) => format!(" by signal {signal}"),
        None => String::new(),
    };
    let colon = if attempt.message.is_empty() { "" } else { ": " };
    format!("is {:?}{exit}{colon}{}", attempt.state, attempt.message)
}
