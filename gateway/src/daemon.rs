//! The pages that every daemon serves, whatever else it does: its version and what it counts.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libactor::Node;
use libactor::http::Figures;

use crate::answer::{json, plain};
use crate::route::Route;

/// How long what a component counts may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A daemon, as its pages show it. Made before its node, which is told later.
#[derive(Clone)]
pub struct Daemon(Arc<Shared>);

struct Shared {
    /// What the program says of itself, as JSON.
    version: String,
    figures: Figures,
    node: OnceLock<Node>,
}

impl Daemon {
    /// Of a program that says this of its version, as JSON, and counts this.
    pub fn new(version: String, figures: Figures) -> Self {
        Self(Arc::new(Shared { version, figures, node: OnceLock::new() }))
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

    /// What the program says of its version, as JSON.
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// `/version` and `/metrics`.
    pub fn routes(&self) -> Vec<Route> {
        let (of_version, of_figures) = (self.clone(), self.clone());
        vec![
            Route::new("version", "", move |call| {
                let daemon = of_version.clone();
                async move { json(&call, daemon.0.version.clone()) }
            }),
            Route::new("metrics", "", move |call| {
                let daemon = of_figures.clone();
                async move {
                    let own = daemon.node().map(|node| node.metrics().prometheus());
                    let text = own.unwrap_or_default() + &daemon.0.figures.text(PATIENCE).await;
                    plain(&call, "text/plain; version=0.0.4; charset=utf-8", text)
                }
            }),
        ]
    }
}
