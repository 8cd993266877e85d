//! What a component counts, as Mesos shows it: a name and a number each. Where the numbers come from is said once the component is
//! there; until then, and if it takes too long, all it ever counts are zero.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::timeout;

/// By name.
pub type Snapshot = BTreeMap<String, f64>;

type Source = dyn Fn() -> Pin<Box<dyn Future<Output = Snapshot>>> + Send + Sync;

/// The numbers of one component.
#[derive(Clone, Default)]
pub struct Numbers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// What it counts, whether it has begun to or not.
    names: &'static [&'static str],
    source: OnceLock<Box<Source>>,
}

impl Numbers {
    /// Of a component that counts these, and maybe more.
    pub fn of(names: &'static [&'static str]) -> Self {
        Self(Arc::new(Shared { names, source: OnceLock::new() }))
    }

    /// Says where the numbers come from. The first to say so is heard.
    pub fn come_from<F>(&self, source: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Snapshot> + 'static,
    {
        let _ = self.0.source.set(Box::new(move || Box::pin(source())));
    }

    /// All of them, as they are now; those are zero that take longer.
    pub(crate) async fn read(&self, patience: Duration) -> Snapshot {
        let mut all: Snapshot = self.0.names.iter().map(|name| ((*name).to_owned(), 0.0)).collect();
        if let Some(source) = self.0.source.get() {
            all.extend(timeout(patience, source()).await.unwrap_or_default());
        }
        all
    }
}

/// How the numbers are written.
pub(crate) fn written(all: &Snapshot) -> String {
    // JSON knows no infinity, and Mesos shows none.
    let all = all.iter().filter(|(_, number)| number.is_finite());
    serde_json::json!(all.collect::<BTreeMap<_, _>>()).to_string()
}

/// Families of names that hold an id: what comes before it, how many parts it has, and the family.
const OF_SOMEBODY: [(&str, usize, &str); 4] = [
    ("master/frameworks/", 2, "mesos_master_frameworks"),
    ("allocator/mesos/quota/roles/", 1, "mesos_allocator_quota_roles"),
    ("allocator/mesos/offer_filters/roles/", 1, "mesos_allocator_offer_filters_roles"),
    ("frameworks/", 1, "mesos_frameworks"),
];

/// The same, as Prometheus reads it: a family for each name, but one for all names that differ in whom they are about.
pub(crate) fn prometheus(all: &Snapshot) -> String {
    let mut families: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, number) in all.iter().filter(|(_, number)| number.is_finite()) {
        let (family, labels) = family(name);
        families.entry(family).or_default().push(format!("{labels} {number}"));
    }
    let texts = families.iter().map(|(family, samples)| {
        let samples: String = samples.iter().map(|sample| format!("{family}{sample}\n")).collect();
        format!("# TYPE {family} untyped\n{samples}")
    });
    texts.collect()
}

/// The family of a name, and the labels that tell it from others of the family.
fn family(name: &str) -> (String, String) {
    for (before, parts, family) in OF_SOMEBODY {
        let Some(rest) = name.strip_prefix(before) else { continue };
        let end = rest.match_indices('/').nth(parts - 1).map(|(at, _)| at);
        let Some((whom, what)) = end.and_then(|end| Some((rest.get(..end)?, rest.get(end + 1..)?)))
        else {
            continue;
        };
        let labels = format!("{{of=\"{}\",name=\"{}\"}}", label(whom), label(what));
        return (family.to_owned(), labels);
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    (format!("mesos_{}", name.chars().map(plain).collect::<String>()), String::new())
}

fn label(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lp_22_every_name_is_there_before_anything_is_counted_and_when_it_takes_too_long() {
        let numbers = Numbers::of(&["b/x", "a"]);
        let zeros = "{\"a\":0.0,\"b/x\":0.0}";
        assert_eq!(written(&numbers.read(Duration::from_secs(60)).await), zeros);
        numbers.come_from(|| async {
            let all = [("a", 1.5), ("c", 2.0), ("d", f64::NAN)];
            all.into_iter().map(|(name, number)| (name.to_owned(), number)).collect()
        });
        let read = numbers.read(Duration::from_secs(60)).await;
        assert_eq!(written(&read), "{\"a\":1.5,\"b/x\":0.0,\"c\":2.0}");
        let text = prometheus(&read);
        assert!(text.starts_with("# TYPE mesos_a untyped\nmesos_a 1.5\n"), "{text}");
        assert!(text.contains("mesos_b_x 0\n") && !text.contains("NaN"), "{text}");
        let slow = Numbers::of(&["a", "b/x"]);
        slow.come_from(std::future::pending::<Snapshot>);
        assert_eq!(written(&slow.read(Duration::ZERO).await), zeros);
    }
    #[test]
    fn what_is_counted_of_many_is_one_family_whose_labels_are_sound() {
        let named = |name: &str| Snapshot::from([(name.to_owned(), 3.0)]);
        for (name, expected) in [
            (
                "master/frameworks/my%20web/c-0000/calls/accept",
                "mesos_master_frameworks{of=\"my%20web/c-0000\",name=\"calls/accept\"} 3\n",
            ),
            (
                "frameworks/o\"ps\\/messages_received",
                "mesos_frameworks{of=\"o\\\"ps\\\\\",name=\"messages_received\"} 3\n",
            ),
            ("master/uptime_secs", "mesos_master_uptime_secs 3\n"),
        ] {
            let text = prometheus(&named(name));
            let sample = text.split_once('\n').map(|(_, sample)| sample);
            assert_eq!(sample, Some(expected));
        }
    }
}
