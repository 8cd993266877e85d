//! When each try of each job was at work and in which process, on the boot clock, which all processes of a machine share.
//! One line each for its start, for signs of life and for its end, appended at once; so that it can be proven that no job ran
//! twice at a time. Tasks of other frameworks may note theirs in the same file, in the same words.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;

use nix::time::{ClockId, clock_gettime};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It starts.
    Start,
    /// It is at work.
    Alive,
    /// It has ended.
    End,
}

impl Sign {
    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Alive => "alive",
            Self::End => "end",
        }
    }
}

/// Notes a sign of a try, if there is a file to note it in.
pub(crate) fn note(path: Option<&Path>, job: &str, attempt: u32, sign: Sign) -> io::Result<()> {
    let Some(path) = path else {
        return Ok(());
    };
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map_err(io::Error::from)?;
    let nanos = i128::from(now.tv_sec()) * 1_000_000_000 + i128::from(now.tv_nsec());
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    // One write, so that lines of several processes do not mix.
    let process = std::process::id();
    file.write_all(format!("{} {job} {attempt} {nanos} {process}\n", sign.word()).as_bytes())
}

/// When one try was at work, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The job.
    pub job: String,
    /// Which try of it.
    pub attempt: u32,
    /// Its first sign, in nanoseconds on the boot clock.
    pub first: u64,
    /// Its last sign.
    pub last: u64,
    /// Whether the last sign is its end; else it was killed some time after.
    pub ended: bool,
    /// The process that was at work on it.
    pub process: u32,
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} attempt {}: {}..{}", self.job, self.attempt, self.first, self.last)
    }
}

/// A file of intervals that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "read intervals: line '{0}' is not `start|alive|end <job> <attempt> <nanoseconds> <process>`"
)]
pub struct BadInterval(String);

/// All tries that a file has signs of, in order of their start.
pub fn read_intervals(text: &str) -> Result<Vec<Interval>, BadInterval> {
    let mut all: Vec<Interval> = Vec::new();
    for line in text.lines() {
        let (sign, job, attempt, at, process) =
            parse(line).ok_or_else(|| BadInterval(line.to_owned()))?;
        let same = |known: &&mut Interval| known.job == job && known.attempt == attempt;
        match all.iter_mut().rev().find(same).filter(|_| sign != Sign::Start) {
            Some(known) => {
                known.last = known.last.max(at);
                known.ended |= sign == Sign::End;
            }
            None => {
                let (job, ended) = (job.to_owned(), sign == Sign::End);
                all.push(Interval { job, attempt, first: at, last: at, ended, process });
            }
        }
    }
    all.sort_by_key(|interval| interval.first);
    Ok(all)
}

/// Two tries of one job that were at work at once, if there are such. What shares only its last and first moment was not: a
/// clock may be coarse.
pub fn at_once(intervals: &[Interval]) -> Option<[&Interval; 2]> {
    let mut in_order: Vec<&Interval> = intervals.iter().collect();
    in_order.sort_by_key(|interval| (&interval.job, interval.first));
    let mut pairs = in_order.windows(2).map(|two| [two[0], two[1]]);
    pairs.find(|[one, next]| one.job == next.job && one.last > next.first)
}

fn parse(line: &str) -> Option<(Sign, &str, u32, u64, u32)> {
    let mut words = line.split(' ');
    let sign = words.next()?;
    let sign = [Sign::Start, Sign::Alive, Sign::End].into_iter().find(|s| s.word() == sign)?;
    let job = words.next()?;
    let attempt = u32::from_str(words.next()?).ok()?;
    let at = u64::from_str(words.next()?).ok()?;
    let process = u32::from_str(words.next()?).ok()?;
    words.next().is_none().then_some((sign, job, attempt, at, process))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("intervals");
        for (job, attempt, sign) in [
            ("a", 1, Sign::Start),
            ("b", 1, Sign::Start),
            ("a", 1, Sign::Alive),
            ("b", 1, Sign::End),
        ] {
            note(Some(&path), job, attempt, sign).unwrap();
        }
        note(None, "c", 1, Sign::Start).unwrap();
        let all = read_intervals(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let ended: Vec<_> =
            all.iter().map(|i| (i.job.as_str(), i.first < i.last, i.ended)).collect();
        assert_eq!(ended, [("a", true, false), ("b", true, true)]);
        assert!(all.iter().all(|interval| interval.process == std::process::id()));
    }

    #[test]
    fn a_try_that_starts_twice_is_two_intervals() {
        let text = "start a 1 10 7\nstart a 1 12 8\nend a 1 20 8\n";
        let all = read_intervals(text).unwrap();
        assert_eq!(all.len(), 2);
        assert!(read_intervals("start a 1\n").is_err());
    }

    #[test]
    fn tries_of_one_job_at_once_are_found() {
        let found = |text: &str| {
            let all = read_intervals(text).unwrap();
            at_once(&all).map(|two| two.map(|interval| interval.attempt))
        };
        let one = "start a 1 10 7\nalive a 1 30 7\n";
        assert_eq!(found(&format!("{one}start a 2 30 8\nstart b 1 20 9\n")), None);
        assert_eq!(found(&format!("{one}start a 2 29 8\n")), Some([1, 2]));
        assert_eq!(found(&format!("{one}start b 1 1 8\nstart a 1 15 8\n")), Some([1, 1]));
    }
}
