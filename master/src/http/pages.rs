//! The pages of a master, and where the leader is.

use gateway::{Realm, Refused, Route, empty};

use super::Gateways;

pub(super) fn routes(gateways: &Gateways) -> Vec<Route> {
    let to_leader = gateways.clone();
    let own = [
        Route::new("master", "/health", |_| async { empty(200) }).realm(Realm::Open),
        Route::new("master", "/redirect", move |call| {
            let gateways = to_leader.clone();
            async move {
                // Only the page itself.
                let is_page = call.rest.is_empty();
                if is_page { gateways.to_leader() } else { Refused::plainly(404) }.into()
            }
        })
        .realm(Realm::Open),
    ];
    own.into_iter().chain(gateways.daemon().routes()).collect()
}
