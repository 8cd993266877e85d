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
        let slow = Numbers::of(&["a", "b/x"]);
        slow.come_from(std::future::pending::<Snapshot>);
        assert_eq!(written(&slow.read(Duration::ZERO).await), zeros);
    }
}
