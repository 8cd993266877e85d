//! The demo: the counts are right, no task runs twice at once, nothing is left. What dies during it is in [`deaths`].

mod deaths;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::Signal;
use tests::cluster::{Home, Outcome, Process, eventually};
use wordcount::{Interval, at_once, read_intervals};

/// Texts to count, written for one story.
fn write_texts(folder: &Path, megabytes: usize) {
    let words =
        ["Airside", "offers", "the", "machines", "of", "many", "to", "many", "it's", "naïve"];
    fs::create_dir_all(folder.join("below")).unwrap();
    // A generator of its own, so that every run counts the same.
    let mut state = 12345u32;
    for file in 0..8 {
        let mut text = String::new();
        while text.len() < megabytes * 1024 * 1024 / 8 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let n = usize::try_from(state >> 16).unwrap();
            text += words[n % words.len()];
            text.push_str(if n % 11 == 0 { ".\n" } else { " " });
        }
        let folder = if file % 2 == 0 { folder.to_path_buf() } else { folder.join("below") };
        fs::write(folder.join(format!("text-{file}.txt")), text).unwrap();
    }
}

/// The same count by other means: this test's own reading of all files at once.
fn counted_otherwise(folder: &Path) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            for word in words {
                *counts.entry(word.to_lowercase()).or_default() += 1;
            }
        }
    }
    counts
}

fn counted_by_airside(file: &Path) -> BTreeMap<String, u64> {
    let text = fs::read_to_string(file).unwrap();
    let read = |line: &str| {
        let (word, count) = line.rsplit_once(' ').unwrap();
        (word.to_owned(), count.parse().unwrap())
    };
    text.lines().map(read).collect()
}

/// What the demo says of the most frequent words.
fn top(counts: &BTreeMap<String, u64>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(word, count)| (std::cmp::Reverse(**count), *word));
    let lines = counts.iter().take(10).map(|(word, count)| format!("  {count:>9}  {word}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// When a message of a flow was sent, how long it was on its way, and how long it was handled, in milliseconds.
fn times(line: &str) -> [Option<f64>; 3] {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |word: Option<&&str>| word.and_then(|word| word.parse().ok());
    [number(words.first()), number(words.get(words.len().wrapping_sub(2))), number(words.last())]
}

/// The shell tasks beside, whose jobs are named `job-1` and so on.
const BATCH_TASKS: usize = 10;

fn is_of_wordcount(interval: &Interval) -> bool {
    !interval.job.starts_with("job-")
}

/// A demo fills a machine; two of them only make each other slow.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A demo over texts of its own.
struct Demo {
    home: Home,
    process: Process,
    /// The folder of the home in which it makes its own.
    within: &'static str,
    _alone: MutexGuard<'static, ()>,
}

impl Demo {
    fn start(megabytes: usize) -> Self {
        Self::start_within("", megabytes)
    }

    fn start_within(within: &'static str, megabytes: usize) -> Self {
        // One that failed ends nothing for the others.
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let home = Home::new();
        let texts = home.path("texts");
        write_texts(&texts, megabytes);
        let process = Self::process(&home, within);
        Self { home, process, within, _alone: alone }
    }

    fn process(home: &Home, within: &str) -> Process {
        let tasks = format!("--batch-tasks={BATCH_TASKS}");
        let mut command = home.command(&["demo", "--log=debug", "--agents=3", &tasks]);
        for (flag, name) in
            [("--input", "texts"), ("--counts", "counts"), ("--intervals", "intervals")]
        {
            command.arg(flag).arg(home.path(name));
        }
        if !within.is_empty() {
            command.arg("--work-dir").arg(home.path(within));
        }
        Process::start("demo", &mut command)
    }

    /// Where the demo works.
    fn folder(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.home.path(self.within)).unwrap().flatten();
        entries.map(|entry| entry.path()).find(|path| {
            path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("airside-demo-"))
        })
    }

    /// Waits until a task of wordcount has begun.
    fn runs(&mut self) {
        self.process.says("A master at");
        let file = self.home.path("intervals");
        eventually("a task runs", || fs::read_to_string(&file).is_ok_and(|text| !text.is_empty()));
    }

    /// When each try of each task was at work so far.
    fn intervals(&self) -> Vec<Interval> {
        let text = fs::read_to_string(self.home.path("intervals")).unwrap_or_default();
        // Of a line that is just being written, a part may be there.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        read_intervals(&text[..whole]).unwrap()
    }

    /// Waits for the end, and checks everything that is true of every demo; when each try was at work.
    #[track_caller]
    fn ends_well(mut self) -> Vec<Interval> {
        let status = self.process.ended();
        assert!(status.success(), "{status}: {:#?}", self.process.said);
        let (ours, theirs) = (
            counted_by_airside(&self.home.path("counts")),
            counted_otherwise(&self.home.path("texts")),
        );
        assert_eq!(ours, theirs);
        let intervals = self.intervals();
        assert_eq!(at_once(&intervals), None, "two tries of one task at once");
        for job in (1..=BATCH_TASKS).map(|n| format!("job-{n}")) {
            let ended = intervals.iter().any(|interval| interval.job == job && interval.ended);
            assert!(ended, "{job} of batch noted no interval: {intervals:#?}");
        }
        assert!(intervals.iter().any(is_of_wordcount), "{intervals:#?}");
        self.home.is_quiet();
        assert_eq!(self.folder(), None, "the demo's folder is gone");
        let left = fs::read_dir(self.home.path("")).unwrap().flatten();
        let mut left: Vec<_> = left.map(|entry| entry.file_name()).collect();
        left.sort_unstable();
        assert_eq!(left, ["counts", "intervals", "texts"], "and nothing is left beside it");
        intervals
    }
}

#[test]
fn the_demo_counts_as_others_do_and_shows_what_it_did() {
    let mut demo = Demo::start(1);
    demo.process.says("All processes have ended and all files are gone");
    let said = demo.process.said.join("\n");
    let mut rest = said.as_str();
    let flow = ["Flow of task", "Offers", "Accept", "Launch", "Updated: finished", "Acknowledge"];
    let top =
        format!("the most frequent:\n{}\n", top(&counted_otherwise(&demo.home.path("texts"))));
    let parts = ["and 3 agents at ", "batch 10\n", &top, "Who held how much"];
    for words in parts.into_iter().chain(flow) {
        let found = rest.split_once(words);
        (_, rest) = found.unwrap_or_else(|| panic!("'{words}' is missing, or late, in {said}"));
    }
    let agents = said.lines().filter(|line| line.contains("all, with executors"));
    assert_eq!(agents.count(), 3, "who held how much of each agent: {said}");
    // The executor's node is not asked; all others say when they had it and for how long.
    let handled = |line: &&str| line.contains(" -> master ") && line.contains("Updated: finished");
    let handled = said.lines().find(handled).unwrap_or_else(|| panic!("no end in {said}"));
    assert!(times(handled).iter().all(Option::is_some), "{handled}");
    demo.ends_well();
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    let mut demo = Demo::start_within("demos", 8);
    demo.runs();
    assert!(demo.folder().is_some(), "it works where it was told to");
    demo.process.signal(Signal::SIGINT);
    assert_eq!(demo.process.ended().code(), Some(1), "{:#?}", demo.process.said);
    demo.process.says("airside: interrupted");
    demo.home.is_quiet();
    assert_eq!(demo.folder(), None);
}

#[test]
fn what_is_left_of_a_killed_demo_is_removed_by_the_next() {
    let mut demo = Demo::start(1);
    demo.runs();
    demo.process.signal(Signal::SIGKILL);
    demo.process.ended();
    demo.home.is_quiet();
    assert!(demo.folder().is_some(), "nobody was left to remove it");
    fs::remove_file(demo.home.path("intervals")).unwrap();
    demo.process = Demo::process(&demo.home, demo.within);
    demo.ends_well();
}

#[test]
fn an_input_that_is_no_folder_is_named() {
    let outcome: Outcome = Home::new().airside(&["demo", "--input", "/no/such/folder"]);
    let words =
        "airside: /no/such/folder is no folder that can be read; give another with --input\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), words));
}
