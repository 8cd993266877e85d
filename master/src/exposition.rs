//! Figures as Prometheus reads them: one line each, and a bound on how many lines one name has, since whoever stores them pays for
//! each for ever.

use std::fmt::{Display, Write};

use gateway::Spans;

/// Lines of one name at most; those with the largest values come first.
pub(crate) const LINES_MAX: usize = 1000;

/// What has been written so far.
pub(crate) struct Page(pub(crate) String);

impl Page {
    pub(crate) fn new() -> Self {
        Self(String::new())
    }

    pub(crate) fn one(&mut self, kind: &str, name: &str, value: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# TYPE airside_{name} {kind}\nairside_{name} {value}");
    }

    /// Of the master.
    pub(crate) fn gauge(&mut self, name: &str, value: impl Display) {
        self.one("gauge", &format!("master_{name}"), value);
    }

    /// Likewise.
    pub(crate) fn counter(&mut self, name: &str, value: impl Display) {
        self.one("counter", &format!("master_{name}"), value);
    }

    /// A figure that is there once for each of something: its labels, then its value. The first [`LINES_MAX`] are shown, and how many
    /// are not.
    pub(crate) fn each(
        &mut self,
        kind: &str,
        name: &str,
        lines: impl IntoIterator<Item = (String, String)>,
    ) {
        let mut lines = lines.into_iter();
        for (n, (labels, value)) in lines.by_ref().take(LINES_MAX).enumerate() {
            if n == 0 {
                let _ = writeln!(self.0, "# TYPE airside_{name} {kind}");
            }
            let _ = writeln!(self.0, "airside_{name}{{{labels}}} {value}");
        }
        let left_out = lines.count();
        if left_out > 0 {
            self.one("gauge", &format!("{name}_left_out"), left_out);
        }
    }

    /// A gauge of things whose number nobody bounds: the largest values are shown, and how many are not.
    pub(crate) fn largest(&mut self, name: &str, lines: impl Iterator<Item = (String, f64)>) {
        let mut all: Vec<(String, f64)> = lines.collect();
        if all.len() > LINES_MAX {
            all.sort_by(|(a, one), (b, other)| other.total_cmp(one).then_with(|| a.cmp(b)));
        }
        let lines = all.into_iter().map(|(labels, value)| (labels, value.to_string()));
        self.each("gauge", name, lines);
    }

    pub(crate) fn histogram(&mut self, name: &str, spans: &Spans) {
        let name = format!("airside_{name}_seconds");
        let _ = writeln!(self.0, "# TYPE {name} histogram");
        let mut count = 0;
        for (most, within) in spans.within() {
            count += within;
            let most = most.as_secs_f64();
            let _ = writeln!(self.0, "{name}_bucket{{le=\"{most}\"}} {count}");
        }
        let (count, sum) = (spans.count(), spans.sum().as_secs_f64());
        let _ = writeln!(
            self.0,
            "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}"
        );
    }
}

/// Labels with their values, of which some may have a quote in them; none has a line's end.
pub(crate) fn labels<const N: usize>(all: [(&str, &str); N]) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    all.map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).join(",")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn spans_are_counted_within_the_least_that_is_not_shorter() {
        let mut spans = Spans::default();
        for micros in [1, 10, 11, 1_000_000, 60_000_000] {
            spans.add(Duration::from_micros(micros));
        }
        let mut page = Page::new();
        page.histogram("x", &spans);
        let lines: Vec<&str> = page.0.lines().collect();
        assert_eq!(lines.len(), 1 + spans.within().count() + 3);
        for line in [
            "# TYPE airside_x_seconds histogram",
            "airside_x_seconds_bucket{le=\"0.00001\"} 2",
            "airside_x_seconds_bucket{le=\"0.000025\"} 3",
            "airside_x_seconds_bucket{le=\"0.25\"} 3",
            "airside_x_seconds_bucket{le=\"1\"} 4",
            "airside_x_seconds_bucket{le=\"+Inf\"} 5",
            "airside_x_seconds_sum 61.000022",
            "airside_x_seconds_count 5",
        ] {
            assert!(lines.contains(&line), "{line} in {lines:#?}");
        }
    }

    #[test]
    fn of_more_than_can_be_shown_the_largest_are_and_the_rest_is_counted() {
        let all = |count: usize| (0..count).map(|n| (labels([("n", &n.to_string())]), n as f64));
        let mut page = Page::new();
        page.largest("few", all(LINES_MAX));
        assert_eq!(page.0.lines().count(), LINES_MAX + 1);
        let mut page = Page::new();
        page.largest("many", all(LINES_MAX + 3));
        assert_eq!(page.0.lines().count(), LINES_MAX + 3);
        assert!(page.0.contains(&format!("airside_many{{n=\"{}\"}} ", LINES_MAX + 2)));
        assert!(!page.0.contains("airside_many{n=\"2\"}"), "the smallest are left out");
        assert!(page.0.ends_with("airside_many_left_out 3\n"));
    }

    #[test]
    fn values_of_labels_cannot_end_them() {
        assert_eq!(labels([("a", "x\"y\\"), ("b", "c\nd")]), r#"a="x\"y\\",b="c\nd""#);
    }

    #[test]
    fn a_name_has_no_more_lines_than_it_may_and_says_how_many_are_left_out() {
        let mut page = Page::new();
        page.each("gauge", "weight", (0..1234).map(|n| (format!("role=\"{n}\""), n.to_string())));
        let lines = page.0.lines().filter(|line| line.starts_with("airside_weight{")).count();
        assert_eq!(lines, LINES_MAX);
        assert!(page.0.ends_with("airside_weight_left_out 234\n"), "{}", page.0);
    }
}
