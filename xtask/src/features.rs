//! `tests/features.tsv` says which test shows which feature. A row is a promise: the test exists,
//! ran, passed, and carries the feature's id in its name (`LP-01` as `lp_01`), so that the list
//! cannot drift from the tests.

use std::collections::BTreeSet;

use crate::cargo;
use crate::report::{Outcome, TestResult};
use crate::steps::Failure;

const HEADER: &str = "id\tcrate\ttest";

pub(crate) fn check(results: &[TestResult]) -> Result<(), Failure> {
    let table = cargo::read(&cargo::root().join("tests/features.tsv"))?;
    Failure::unless_empty(complaints(&table, results))
}

/// What is wrong with the table, given what the tests came to.
fn complaints(table: &str, results: &[TestResult]) -> Vec<String> {
    let mut lines = table.lines();
    if lines.next() != Some(HEADER) {
        return vec![format!("tests/features.tsv must begin with the line {HEADER:?}")];
    }
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for line in lines {
        let [id, package, test] = line.split('\t').collect::<Vec<_>>()[..] else {
            found.push(format!("not three columns: {line:?}"));
            continue;
        };
        if !seen.insert((id, package, test)) {
            found.push(format!("{id}: {test} is listed twice"));
        }
        found.extend(complaint(id, package, test, results).map(|what| format!("{id}: {what}")));
    }
    found
}

fn complaint(id: &str, package: &str, test: &str, results: &[TestResult]) -> Option<String> {
    let mark = id.to_lowercase().replace('-', "_");
    let name = test.rsplit("::").next().unwrap_or(test);
    if !carries(name, &mark) {
        return Some(format!("the name of {test} does not carry {mark}"));
    }
    let ran = results.iter().find(|result| {
        let is_it = result.name == test || result.name.ends_with(&format!("::{test}"));
        result.package == package && is_it
    });
    match ran.map(|result| result.outcome) {
        None => Some(format!("there is no test {test} in {package}, or it did not run")),
        Some(Outcome::Failed) => Some(format!("{test} failed")),
        Some(Outcome::Ignored) => Some(format!("{test} was skipped")),
        Some(Outcome::Passed) => None,
    }
}

/// Whether a test's name holds the id as words of its own: `lp_01_links` holds `lp_01`, not `lp_0`.
fn carries(name: &str, mark: &str) -> bool {
    format!("_{name}_").contains(&format!("_{mark}_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(name: &str, outcome: Outcome) -> TestResult {
        TestResult { package: "libactor".into(), name: name.into(), outcome }
    }

    #[track_caller]
    fn said(row: &str, results: &[TestResult], expected: &[&str]) {
        assert_eq!(complaints(&format!("{HEADER}\n{row}\n"), results), expected);
    }

    #[test]
    fn a_row_whose_test_passed_is_fine() {
        let results = [ran("link::lp_06_a_link_tells_once", Outcome::Passed)];
        said("LP-06\tlibactor\tlp_06_a_link_tells_once", &results, &[]);
        said("LP-06\tlibactor\tlink::lp_06_a_link_tells_once", &results, &[]);
    }

    #[test]
    fn a_test_that_did_not_pass_is_told() {
        let row = "LP-06\tlibactor\tlp_06_x";
        said(row, &[], &["LP-06: there is no test lp_06_x in libactor, or it did not run"]);
        said(row, &[ran("lp_06_x", Outcome::Failed)], &["LP-06: lp_06_x failed"]);
        said(row, &[ran("lp_06_x", Outcome::Ignored)], &["LP-06: lp_06_x was skipped"]);
    }

    #[test]
    fn the_right_test_in_the_wrong_crate_is_told() {
        let results = [ran("lp_06_x", Outcome::Passed)];
        let expected = "LP-06: there is no test lp_06_x in agent, or it did not run";
        said("LP-06\tagent\tlp_06_x", &results, &[expected]);
    }

    #[test]
    fn the_name_must_carry_the_id_as_words() {
        let results = [ran("lp_061_x", Outcome::Passed)];
        let expected = "LP-06: the name of lp_061_x does not carry lp_06";
        said("LP-06\tlibactor\tlp_061_x", &results, &[expected]);
    }

    #[test]
    fn a_broken_table_is_told() {
        assert_eq!(complaints("nothing\n", &[]).len(), 1);
        said("LP-06 libactor", &[], &["not three columns: \"LP-06 libactor\""]);
    }
}
