//! What is counted of an allocator, as Prometheus reads it; the names are those of Mesos's metrics where there is one. How long
//! runs take is measured by the actor; the rest is gathered when somebody asks.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway::Spans;
use protocol::ids::FrameworkId;

use crate::exposition::{LINES_MAX, Page, labels};
use crate::logic::allocator::Figures;

/// How long runs took, and how long what asked for one had to wait.
#[derive(Default)]
pub(super) struct Runs {
    took: Spans,
    waited: Spans,
    /// When the run that is due was asked for.
    asked: Option<Duration>,
}

impl Runs {
    pub(super) fn ask(&mut self, now: Duration) {
        self.asked.get_or_insert(now);
    }

    /// A run began and ended.
    pub(super) fn add(&mut self, began: Duration, ended: Duration) {
        if let Some(asked) = self.asked.take() {
            self.waited.add(began.saturating_sub(asked));
        }
        self.took.add(ended.saturating_sub(began));
    }
}

/// All of it, but for what waits for the allocator: see [`waiting`].
pub(super) fn page(figures: &Figures, runs: &Runs) -> String {
    let mut page = Page::new();
    page.one("counter", "allocator_allocation_runs", figures.runs);
    page.histogram("allocator_allocation_run", &runs.took);
    page.histogram("allocator_allocation_run_latency", &runs.waited);
    let scalars = || figures.scalars.iter();
    let totals =
        scalars().map(|(name, total, _)| (labels([("resource", name)]), total.to_string()));
    page.each("gauge", "allocator_resources_total", totals);
    let held = scalars().map(|(name, _, held)| (labels([("resource", name)]), held.to_string()));
    page.each("gauge", "allocator_resources_offered_or_allocated", held);
    let filters = figures.filters.iter();
    page.largest(
        "allocator_offer_filters_active",
        filters.map(|(role, count)| (labels([("role", role.as_str())]), *count as f64)),
    );
    let suppressed = figures.suppressed.iter();
    page.largest(
        "allocator_framework_suppressed",
        suppressed.map(|((framework, role), is)| {
            let of = labels([("framework", framework.as_str()), ("role", role.as_str())]);
            (of, f64::from(u8::from(*is)))
        }),
    );
    page.largest(
        "allocator_role_share_dominant",
        figures.role_shares.iter().map(|(role, share)| (labels([("role", role.as_str())]), *share)),
    );
    page.largest(
        "allocator_framework_share_dominant",
        figures.shares.iter().map(|((framework, role), share)| {
            (labels([("framework", framework.as_str()), ("role", role.as_str())]), *share)
        }),
    );
    page.0
}

/// The same under Mesos's names, as far as it has them.
pub(super) fn numbers(figures: &Figures, runs: &Runs) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::from([("allocation_runs".to_owned(), figures.runs as f64)]);
    all.extend(runs.took.milliseconds("allocation_run_ms"));
    all.extend(runs.waited.milliseconds("allocation_run_latency_ms"));
    for (name, total, held) in &figures.scalars {
        all.insert(format!("resources/{name}/total"), total.as_f64());
        all.insert(format!("resources/{name}/offered_or_allocated"), held.as_f64());
    }
    let roles = figures.filters.iter().take(LINES_MAX);
    all.extend(roles.map(|(role, n)| (format!("offer_filters/roles/{role}/active"), *n as f64)));
    let shares = figures.role_shares.iter().take(LINES_MAX);
    all.extend(shares.map(|(role, share)| (format!("roles/{role}/shares/dominant"), *share)));
    all.into_iter().map(|(name, number)| (format!("allocator/mesos/{name}"), number)).collect()
}

/// What is counted of frameworks: the names are what follows the framework's.
pub(super) fn of_frameworks(figures: &Figures) -> Vec<(FrameworkId, String, f64)> {
    let suppressed = figures.suppressed.iter().take(LINES_MAX);
    let named = suppressed.map(|((framework, role), is)| {
        (framework.clone(), format!("roles/{role}/suppressed"), f64::from(u8::from(*is)))
    });
    named.collect()
}

/// Messages that wait for the allocator, as they are before it is asked for the rest.
pub(crate) fn waiting(messages: u64) -> String {
    let mut page = Page::new();
    page.one("gauge", "allocator_event_queue_dispatches", messages);
    page.0
}

#[cfg(test)]
mod tests {
    use protocol::ids::Role;
    use protocol::resources::Milli;

    use super::*;

    #[test]
    fn alloc_19_all_that_an_allocator_counts_has_a_line_and_the_number_of_lines_a_bound() {
        let role: Role = "eng/web".parse().unwrap();
        let key = (FrameworkId::new("c-0001"), role.clone());
        let figures = Figures {
            runs: 7,
            scalars: vec![("cpus".into(), Milli(8000), Milli(2500))],
            filters: BTreeMap::from([(role.clone(), 3)]),
            suppressed: BTreeMap::from([(key.clone(), true)]),
            role_shares: BTreeMap::from([(role, 0.25)]),
            shares: BTreeMap::from([(key, 0.125)]),
        };
        let mut runs = Runs::default();
        let millis = Duration::from_millis;
        // A second event before the run waits no longer than the first.
        runs.ask(millis(1000));
        runs.ask(millis(1001));
        runs.add(millis(1002), millis(1003));
        let numbers = numbers(&figures, &runs);
        for (name, number) in [
            ("allocation_runs", 7.0),
            ("allocation_run_ms", 1.0),
            ("allocation_run_ms/count", 1.0),
            ("allocation_run_latency_ms/max", 2.0),
            ("resources/cpus/total", 8.0),
            ("resources/cpus/offered_or_allocated", 2.5),
            ("offer_filters/roles/eng/web/active", 3.0),
            ("roles/eng/web/shares/dominant", 0.25),
        ] {
            assert_eq!(numbers.get(&format!("allocator/mesos/{name}")), Some(&number), "{name}");
        }
        let of_frameworks = [(FrameworkId::new("c-0001"), "roles/eng/web/suppressed".into(), 1.0)];
        assert_eq!(super::of_frameworks(&figures), of_frameworks);
        let text = page(&figures, &runs) + &waiting(5);
        for line in [
            "allocator_allocation_runs 7",
            "allocator_allocation_run_seconds_sum 0.001",
            "allocator_allocation_run_seconds_count 1",
            "allocator_allocation_run_latency_seconds_sum 0.002",
            "allocator_event_queue_dispatches 5",
            r#"allocator_resources_total{resource="cpus"} 8"#,
            r#"allocator_resources_offered_or_allocated{resource="cpus"} 2.5"#,
            r#"allocator_offer_filters_active{role="eng/web"} 3"#,
            r#"allocator_framework_suppressed{framework="c-0001",role="eng/web"} 1"#,
            r#"allocator_role_share_dominant{role="eng/web"} 0.25"#,
            r#"allocator_framework_share_dominant{framework="c-0001",role="eng/web"} 0.125"#,
        ] {
            assert!(text.contains(&format!("airside_{line}\n")), "{line} in {text}");
        }
        let role = |n: usize| format!("r{n}").parse::<Role>().unwrap();
        let of_roles = (0..5_000).map(role);
        let many = Figures {
            filters: of_roles.clone().map(|role| (role, 1)).collect(),
            role_shares: of_roles.map(|role| (role, 0.0)).collect(),
            ..figures
        };
        let lines = page(&many, &runs).lines().count();
        assert!(lines < 2_100, "{lines} lines");
    }
}
