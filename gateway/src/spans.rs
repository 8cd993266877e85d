//! How long things took, as timers of Mesos's metrics show it: in bounded memory, however many they are.

use std::time::Duration;

/// The most that each counts, in microseconds.
const MOST: [u64; 15] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 250_000, 1_000_000,
    5_000_000,
];

/// How long something took, so often.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    within: [u64; MOST.len()],
    count: u64,
    sum: Duration,
    last: Duration,
    least: Option<Duration>,
    most: Duration,
}

impl Spans {
    /// One more.
    pub fn add(&mut self, span: Duration) {
        let place = MOST.partition_point(|most| Duration::from_micros(*most) < span);
        if let Some(within) = self.within.get_mut(place) {
            *within += 1;
        }
        self.count += 1;
        self.sum += span;
        self.last = span;
        self.least = Some(self.least.map_or(span, |least| least.min(span)));
        self.most = self.most.max(span);
    }

    /// How often.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How many took no longer than each of some bounds, and longer than the bound before.
    pub fn within(&self) -> impl Iterator<Item = (Duration, u64)> {
        MOST.iter().map(|most| Duration::from_micros(*most)).zip(self.within)
    }

    /// As Mesos shows what took time: the last one, and how they were. Of a percentile the bound is known that it is not above, and
    /// none is above the longest.
    pub fn milliseconds(&self, name: &str) -> Vec<(String, f64)> {
        let millis = |span: Duration| span.as_secs_f64() * 1000.0;
        let Some(least) = self.least else { return Vec::new() };
        let mut all = vec![
            (name.to_owned(), millis(self.last)),
            (format!("{name}/count"), self.count as f64),
            (format!("{name}/min"), millis(least)),
            (format!("{name}/max"), millis(self.most)),
        ];
        let percentiles = [
            ("p50", 0.5),
            ("p90", 0.9),
            ("p95", 0.95),
            ("p99", 0.99),
            ("p999", 0.999),
            ("p9999", 0.9999),
        ];
        for (percentile, share) in percentiles {
            all.push((format!("{name}/{percentile}"), millis(self.not_above(share))));
        }
        all
    }

    /// What so large a share of all took at most.
    fn not_above(&self, share: f64) -> Duration {
        let mut count = 0;
        for (bound, within) in MOST.iter().zip(&self.within) {
            count += within;
            if count as f64 >= share * self.count as f64 {
                return Duration::from_micros(*bound).min(self.most);
            }
        }
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lp_23_a_timer_has_its_last_span_and_how_they_were() {
        let mut spans = Spans::default();
        assert!(spans.milliseconds("x_ms").is_empty(), "nothing was measured yet");
        (0..98).for_each(|_| spans.add(Duration::from_micros(200)));
        spans.add(Duration::from_millis(7_000));
        spans.add(Duration::from_millis(2));
        let all: std::collections::BTreeMap<_, _> =
            spans.milliseconds("x_ms").into_iter().collect();
        for (name, number) in [
            ("x_ms", 2.0),
            ("x_ms/count", 100.0),
            ("x_ms/min", 0.2),
            ("x_ms/max", 7_000.0),
            ("x_ms/p50", 0.25),
            ("x_ms/p95", 0.25),
            ("x_ms/p99", 2.5),
            ("x_ms/p9999", 7_000.0),
        ] {
            assert_eq!(all.get(name), Some(&number), "{name} in {all:?}");
        }
    }
}
