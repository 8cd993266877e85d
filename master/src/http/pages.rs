//! The pages of every daemon, and where the leader is.

use std::time::Duration;

use gateway::{Refused, Route, empty, json, plain};

use super::Gateways;

/// How long what a component counts may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn routes(gateways: &Gateways) -> Vec<Route> {
    let (to_leader, of_version, of_figures) =
        (gateways.clone(), gateways.clone(), gateways.clone());
    vec![
        Route::new("master", "/health", |_| async { empty(200) }),
        Route::new("master", "/redirect", move |call| {
            let gateways = to_leader.clone();
            async move {
                // Only the page itself.
                let is_page = call.rest.is_empty();
                if is_page { gateways.to_leader() } else { Refused::plainly(404) }.into()
            }
        }),
        Route::new("version", "", move |call| {
            let gateways = of_version.clone();
            async move { json(&call, gateways.version()) }
        }),
        Route::new("metrics", "", move |call| {
            let gateways = of_figures.clone();
            async move {
                let own = gateways.node().map(|node| node.metrics().prometheus());
                let text = own.unwrap_or_default() + &gateways.figures().text(PATIENCE).await;
                plain(&call, "text/plain; version=0.0.4; charset=utf-8", text)
            }
        }),
    ]
}
