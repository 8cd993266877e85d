//! What happened, line by line: hashed always, so that two runs can be compared byte for byte, and kept in bounded form
//! when somebody wants to read it.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::time::Duration;

/// The most lines kept; the oldest make room.
const LINES_MAX: usize = 200_000;

/// One line: something happened at a process, and what it did.
#[derive(Clone, Debug)]
pub struct Line {
    /// When.
    pub at: Duration,
    /// Where.
    pub who: String,
    /// What.
    pub what: String,
}

/// A transcript of a run.
#[derive(Debug)]
pub struct Transcript {
    hash: u64,
    lines: u64,
    kept: Option<VecDeque<Line>>,
}

impl Transcript {
    /// An empty one; lines are kept to be read if `keep`.
    pub fn new(keep: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: 0, kept: keep.then(VecDeque::new) }
    }

    /// Whether lines are kept.
    pub fn keeps(&self) -> bool {
        self.kept.is_some()
    }

    /// Adds a line.
    pub fn add(&mut self, at: Duration, who: impl fmt::Display, what: impl fmt::Display) {
        self.lines += 1;
        write!(self, "{} {who} {what}", at.as_nanos()).expect("hashing cannot fail");
        if let Some(kept) = &mut self.kept {
            if kept.len() == LINES_MAX {
                kept.pop_front();
            }
            kept.push_back(Line { at, who: who.to_string(), what: what.to_string() });
        }
    }

    /// Of all lines so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many lines there were.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The kept lines that name any of `subjects`, or all if there are none; of more than `most`, the first and the last.
    pub fn about(&self, subjects: &[String], most: usize) -> Vec<&Line> {
        let concerns = |line: &&Line| {
            subjects.is_empty()
                || matches!(line.who.as_str(), "fault" | "VIOLATED")
                || subjects.iter().any(|s| names(&line.what, s) || names(&line.who, s))
        };
        let mut lines: Vec<&Line> = self.kept.iter().flatten().filter(concerns).collect();
        if lines.len() > most {
            let last = lines.split_off(lines.len() - most / 2);
            lines.truncate(most - most / 2);
            lines.extend(last);
        }
        lines
    }
}

/// Whether an id is in a text as a word of its own.
fn names(text: &str, id: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.match_indices(id).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + id.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// FNV-1a over what is written.
impl Write for Transcript {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.as_bytes() {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12.6}s  {:<12} {}", self.at.as_secs_f64(), self.who, self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_whole_ids_and_the_hash_tells_runs_apart() {
        let mut transcript = Transcript::new(true);
        transcript.add(Duration::from_secs(1), "agent-1", "launch t-1");
        transcript.add(Duration::from_secs(2), "agent-1", "launch t-10");
        let about = transcript.about(&["t-1".to_owned()], 10);
        assert_eq!(about.len(), 1);
        assert_eq!(about[0].to_string(), "    1.000000s  agent-1      launch t-1");
        let mut other = Transcript::new(false);
        other.add(Duration::from_secs(1), "agent-1", "launch t-1");
        assert_ne!(other.hash(), transcript.hash());
    }
}
