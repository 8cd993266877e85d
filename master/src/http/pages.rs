//! The pages of a master, and where the leader is.

use gateway::{Realm, Refused, Route};

use super::Gateways;

pub(super) fn routes(gateways: &Gateways) -> Vec<Route> {
    let to_leader = gateways.clone();
    let daemon = gateways.daemon();
    let own = [
        daemon.health_of("master"),
        daemon.flags_of("master"),
        Route::new("master", "/redirect", move |call| {
            let gateways = to_leader.clone();
            async move {
                // Only the page itself.
                let is_page = call.rest.is_empty();
                if is_page { gateways.to_leader() } else { Refused::plainly(404) }.into()
            }
        })
        .realm(Realm::Open)
        .about("To the first page of the master that leads."),
    ];
    own.into_iter().chain(daemon.routes()).collect()
}
