//! Reads what Rust's test harness prints, line by line: which tests ran and how each went. Pure
//! text in, values out.

/// How one test went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// By an attribute, or by its own word: it could not show anything here.
    Ignored,
}

/// One test that the harness told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestResult {
    pub(crate) package: String,
    /// With its modules, as the harness prints it.
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
}

/// What one test binary printed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) results: Vec<TestResult>,
    /// The harness's own sum: passed, failed, ignored. Missing when the binary died half-way.
    pub(crate) summary: Option<(usize, usize, usize)>,
}

impl Report {
    /// Reads the output of one test binary of a package. A test that printed `skipped: WHY` did not show what its name
    /// says, whatever the harness made of it.
    pub(crate) fn read(package: &str, output: &str) -> Self {
        let mut report = Self::default();
        let (mut speaker, mut skipped) = (None, Vec::new());
        for line in output.lines() {
            if let Some((name, outcome)) = read_test(line) {
                let package = package.to_owned();
                report.results.push(TestResult { package, name: name.to_owned(), outcome });
            } else if let Some(summary) = read_summary(line) {
                // Examples in documentation that are built apart are counted apart.
                let (passed, failed, ignored) = report.summary.unwrap_or_default();
                let sum = (passed + summary.0, failed + summary.1, ignored + summary.2);
                report.summary = Some(sum);
            } else if let Some(name) = read_speaker(line) {
                speaker = Some(name);
            } else if line.starts_with("skipped: ") {
                skipped.extend(speaker);
            }
        }
        report.skip(&skipped);
        report
    }

    fn skip(&mut self, skipped: &[&str]) {
        for test in &mut self.results {
            if test.outcome == Outcome::Passed && skipped.contains(&test.name.as_str()) {
                test.outcome = Outcome::Ignored;
                if let Some((passed, _, ignored)) = &mut self.summary {
                    *passed = passed.saturating_sub(1);
                    *ignored += 1;
                }
            }
        }
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.results.iter().filter(|test| test.outcome == outcome).count()
    }

    /// What is wrong with the run as a whole, if anything: it did not come to its end, or what was
    /// read is not what the harness counted (a test's output fell into a line of the harness).
    pub(crate) fn complaint(&self) -> Option<String> {
        let read = (
            self.count(Outcome::Passed),
            self.count(Outcome::Failed),
            self.count(Outcome::Ignored),
        );
        match self.summary {
            None => Some("did not come to its end".into()),
            Some(summary) if summary != read => Some(format!(
                "counted (passed, failed, ignored) {summary:?}, but its lines say {read:?}"
            )),
            Some(_) => None,
        }
    }
}

/// `test some::name ... ok`
fn read_test(line: &str) -> Option<(&str, Outcome)> {
    let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let outcome = match outcome.trim() {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed,
        other if other.starts_with("ignored") => Outcome::Ignored,
        _ => return None,
    };
    Some((name.trim_end_matches(" - should panic"), outcome))
}

/// `---- some::name stdout ----`, above what a test printed.
fn read_speaker(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// `test result: ok. 6 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s`
fn read_summary(line: &str) -> Option<(usize, usize, usize)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut numbers = ["passed", "failed", "ignored"].into_iter().zip(counts.split("; "));
    let mut next = || {
        let (word, part) = numbers.next()?;
        part.strip_suffix(word)?.trim().parse().ok()
    };
    Some((next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 4 tests
test frames::a_long_frame_is_refused ... ok
test frames::lp_06_a_link_tells_once - should panic ... ok
test src/lib.rs - (line 10) ... FAILED
test slow::waits ... ignored, needs a machine of its own

failures: ...
test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s
";

    #[test]
    fn each_test_is_read_with_its_outcome() {
        let report = Report::read("libactor", OUTPUT);
        let read: Vec<_> = report.results.iter().map(|t| (t.name.as_str(), t.outcome)).collect();
        assert_eq!(
            read,
            [
                ("frames::a_long_frame_is_refused", Outcome::Passed),
                ("frames::lp_06_a_link_tells_once", Outcome::Passed),
                ("src/lib.rs - (line 10)", Outcome::Failed),
                ("slow::waits", Outcome::Ignored),
            ]
        );
        assert_eq!(report.summary, Some((2, 1, 1)));
        assert_eq!(report.complaint(), None);
    }

    #[test]
    fn a_test_that_says_it_was_skipped_has_not_passed() {
        let output = "test a::one ... ok\ntest a::two ... ok\n\nsuccesses:\n\n\
            ---- a::two stdout ----\nskipped: only root may\n\nsuccesses:\n    a::one\n    a::two\n\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s\n";
        let report = Report::read("tests", output);
        let outcomes: Vec<_> = report.results.iter().map(|test| test.outcome).collect();
        assert_eq!(outcomes, [Outcome::Passed, Outcome::Ignored]);
        assert_eq!((report.summary, report.complaint()), (Some((1, 0, 1)), None));
    }

    #[test]
    fn examples_that_are_built_apart_are_counted_together() {
        let one = |name| {
            format!(
                "running 1 test\ntest {name} ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s\n\n"
            )
        };
        let report =
            Report::read("sdk", &(one("src/lib.rs - (line 8)") + &one("src/lib.rs - (line 53)")));
        assert_eq!((report.summary, report.complaint()), (Some((2, 0, 0)), None));
    }

    #[test]
    fn a_binary_that_died_is_noticed() {
        let cut = OUTPUT.split("test result").next().expect("split gives one part");
        let complaint = Report::read("libactor", cut).complaint();
        assert_eq!(complaint.as_deref(), Some("did not come to its end"));
    }

    #[test]
    fn a_line_that_was_written_over_is_noticed() {
        let torn = OUTPUT.replace("refused ... ok", "refused ... hi\nok");
        let complaint = Report::read("libactor", &torn).complaint().expect("one is missing");
        assert!(complaint.contains("(1, 1, 1)"), "{complaint}");
    }
}
