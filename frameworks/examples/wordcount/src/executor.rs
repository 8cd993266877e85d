//! The executor: one process per agent, a thread per task.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sdk::prelude::*;
use sdk::typed::{self, TypedError};

use crate::intervals::{Sign, note};
use crate::plan::Part;
use crate::result::{Piece, Work, cut};
use crate::words::{Counts, count, cut_after};

/// How much is read at a time to find where a part ends.
const LOOK_AHEAD: u64 = 16 << 10;

/// Counts words. Its process is `sdk::run_executor(Counter::default())`.
#[derive(Debug, Default)]
pub struct Counter {
    /// Each task that is at work, and how it is told to end.
    tasks: BTreeMap<TaskId, Arc<AtomicBool>>,
}

/// Why a task did not count to its end.
#[derive(Debug, thiserror::Error)]
enum CountError {
    #[error("read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("note the interval in {path}: {source}")]
    Note { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Result(#[from] TypedError),
    #[error("killed")]
    Killed,
    #[error(transparent)]
    Ended(#[from] sdk::executor::ExecutorEnded),
}

impl Executor for Counter {
    fn launch(&mut self, calls: &mut ExecutorCalls, task: &TaskSpec) {
        let id = task.task.clone();
        let work: Work = match typed::decode(task_data(task)) {
            Ok(work) => work,
            Err(error) => return calls.update(&id, TaskState::Error, &error.to_string(), vec![]),
        };
        calls.update(&id, TaskState::Starting, "", vec![]);
        calls.update(&id, TaskState::Running, "", vec![]);
        self.tasks.retain(|_, end| Arc::strong_count(end) > 1);
        let end = Arc::new(AtomicBool::new(false));
        self.tasks.insert(id.clone(), Arc::clone(&end));
        let (reporter, task) = (calls.reporter(), id.clone());
        let thread = std::thread::Builder::new().name("count".to_owned());
        let started = thread.spawn(move || run(&task, &work, &reporter, &end));
        if let Err(error) = started {
            calls.update(&id, TaskState::Failed, &format!("start a thread: {error}"), vec![]);
        }
    }

    fn kill(&mut self, _: &mut ExecutorCalls, task: &TaskId, _: Duration) {
        if let Some(end) = self.tasks.get(task) {
            end.store(true, Ordering::Relaxed);
        }
    }

    fn shutdown(&mut self, _: &mut ExecutorCalls) {
        for end in self.tasks.values() {
            end.store(true, Ordering::Relaxed);
        }
    }
}

/// A task from its first sign to its last word.
fn run(task: &TaskId, work: &Work, reporter: &Reporter, end: &AtomicBool) {
    let (state, message, data) = match work_on(task, work, reporter, end) {
        Ok(data) => (TaskState::Finished, String::new(), data),
        Err(CountError::Killed) => (TaskState::Killed, "killed".to_owned(), vec![]),
        Err(error) => (TaskState::Failed, error.to_string(), vec![]),
    };
    if reporter.update(task, state, &message, data).is_err() {
        // The process is ending; what was counted is counted again elsewhere.
    }
}

/// Counts all parts and sends the pieces; what is to go with the task's end.
fn work_on(
    task: &TaskId,
    work: &Work,
    reporter: &Reporter,
    end: &AtomicBool,
) -> Result<Vec<u8>, CountError> {
    let intervals = work.intervals.clone().map(|path| PathBuf::from(OsString::from_vec(path)));
    let sign = |sign| {
        note(intervals.as_deref(), &work.job, work.attempt, sign).map_err(|source| {
            let path = intervals.clone().unwrap_or_default();
            CountError::Note { path, source }
        })
    };
    sign(Sign::Start)?;
    let counted = count_parts(work, end, || sign(Sign::Alive));
    let sent = counted.and_then(|counts| {
        let (pieces, whole) = cut(&counts)?;
        for (number, words) in (0..).zip(pieces) {
            reporter.message(typed::encode(&Piece { task: task.clone(), number, words })?)?;
        }
        Ok(typed::encode(&whole)?)
    });
    // Before anybody hears that it has ended: the next try may start as soon as they do.
    sign(Sign::End)?;
    sent
}

fn count_parts(
    work: &Work,
    end: &AtomicBool,
    mut alive: impl FnMut() -> Result<(), CountError>,
) -> Result<Counts, CountError> {
    let mut counts = Counts::new();
    for (n, part) in work.parts.iter().enumerate() {
        if end.load(Ordering::Relaxed) {
            return Err(CountError::Killed);
        }
        let path = part.path();
        let text = read(&path, part).map_err(|source| CountError::Read { path, source })?;
        count(&text, &mut counts);
        if n % 32 == 0 {
            alive()?;
        }
    }
    Ok(counts)
}

/// The bytes of a part, from cut to cut.
fn read(path: &Path, part: &Part) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(part.start))?;
    let mut file = file.take(part.size - part.start);
    let mut text = Vec::new();
    let length = part.end - part.start;
    (&mut file).take(length).read_to_end(&mut text)?;
    let mut looked = text.len();
    let ends = loop {
        if let Some(at) = cut_after(&text, looked).filter(|_| part.end < part.size) {
            break at;
        }
        looked = text.len();
        if (&mut file).take(LOOK_AHEAD).read_to_end(&mut text)? == 0 {
            break text.len();
        }
    };
    text.truncate(ends);
    if part.start > 0 {
        let begins = cut_after(&text, 0).unwrap_or(text.len());
        text.drain(..begins);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::plan::plan;

    fn work(parts: Vec<Part>) -> Work {
        Work { job: "j".into(), attempt: 1, parts, intervals: None }
    }

    #[test]
    fn a_file_counts_the_same_in_however_many_parts() {
        let folder = tempfile::tempdir().unwrap();
        let mut text = Vec::new();
        for n in 0u32..3000 {
            text.extend_from_slice(format!("wörd{} Ünd ", n % 97).as_bytes());
            text.extend(std::iter::repeat_n(b'x', (n % 50) as usize));
            if n % 7 == 0 {
                text.extend_from_slice(b"\xff\xe2\x82");
            }
        }
        std::fs::write(folder.path().join("text"), &text).unwrap();
        let mut whole = Counts::new();
        count(&text, &mut whole);
        for size in [1, 7, 64, 1000, 1 << 20] {
            let plan = plan(&[folder.path().to_owned()], 1 << 30, size).unwrap();
            let mut all = Counts::new();
            for job in plan.jobs {
                let counts = count_parts(&work(job.parts), &AtomicBool::new(false), || Ok(()));
                for (word, n) in counts.unwrap() {
                    *all.entry(word).or_default() += n;
                }
            }
            assert_eq!(all, whole, "in parts of {size}");
        }
    }

    #[test]
    fn a_file_that_vanished_is_named() {
        let path = b"/nowhere/at all".to_vec();
        let parts = vec![Part { path, start: 0, end: 5, size: 5 }];
        let error = count_parts(&work(parts), &AtomicBool::new(false), || Ok(())).unwrap_err();
        assert!(error.to_string().starts_with("read /nowhere/at all: "), "{error}");
    }

    #[test]
    fn a_killed_task_stops_between_parts() {
        let end = AtomicBool::new(false);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("text"), "a b").unwrap();
        let plan = plan(&[folder.path().to_owned()], 100, 1).unwrap();
        let parts: Vec<Part> = plan.jobs.into_iter().flat_map(|job| job.parts).collect();
        let (signs, seen) = mpsc::channel();
        let stopped = count_parts(&work(parts), &end, || {
            end.store(true, Ordering::Relaxed);
            signs.send(()).unwrap();
            Ok(())
        });
        assert!(matches!(stopped, Err(CountError::Killed)));
        assert_eq!(seen.try_iter().count(), 1);
    }
}
