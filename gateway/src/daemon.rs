//! The pages that every daemon serves, whatever else it does: its version and what it counts.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libactor::Node;
use libactor::http::Figures;

use crate::answer::{json, plain};
use crate::realm::{Realm, Realms};
use crate::route::Route;

/// How long what a component counts may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A daemon, as its pages show it. Made before its node, which is told later.
#[derive(Clone)]
pub struct Daemon(Arc<Shared>);

/// What a daemon is made of.
pub struct Parts {
    /// What the program says of itself, as JSON.
    pub version: String,
    /// What it counts.
    pub figures: Figures,
    /// Which of its pages are guarded.
    pub realms: Realms,
}

struct Shared {
    parts: Parts,
    node: OnceLock<Node>,
}

impl Daemon {
    /// Made of these.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Shared { parts, node: OnceLock::new() }))
    }

    /// Which of its pages are guarded.
    pub fn realms(&self) -> &Realms {
        &self.0.parts.realms
    }

    /// The node on which it is.
    pub fn is_on(&self, node: &Node) {
        // It is said once.
        let _ = self.0.node.set(node.clone());
    }

    /// Once there is one: calls come only then.
    pub fn node(&self) -> Option<&Node> {
        self.0.node.get()
    }

    /// `/version` and `/metrics`.
    pub fn routes(&self) -> Vec<Route> {
        let (of_version, of_figures) = (self.clone(), self.clone());
        vec![
            Route::new("version", "", move |call| {
                let daemon = of_version.clone();
                async move { json(&call, daemon.0.parts.version.clone()) }
            })
            .realm(Realm::Open),
            Route::new("metrics", "", move |call| {
                let daemon = of_figures.clone();
                async move {
                    let own = daemon.node().map(|node| node.metrics().prometheus());
                    let text = own.unwrap_or_default() + &daemon.0.parts.figures.text(PATIENCE).await;
                    plain(&call, "text/plain; version=0.0.4; charset=utf-8", text)
                }
            })
            .realm(Realm::ReadOnly),
        ]
    }
}
