//! The public HTTP APIs of a master's node. A *gateway* stands for each client that has subscribed; it speaks to the master as a
//! scheduler does, and the master does not know the difference.

mod changes;
mod leading;
mod legacy;
mod operator;
mod pages;
mod reads;
mod scheduler;

use gateway::{Limits, Route, Routes, serve};
use libactor::Foreign;

pub use leading::Gateways;

/// A hook for the node: all that is served on a master's port.
pub fn foreign(gateways: &Gateways) -> Foreign {
    let routes: [Vec<Route>; 4] = [
        scheduler::routes(gateways),
        operator::routes(gateways),
        legacy::routes(gateways),
        pages::routes(gateways),
    ];
    let routes = routes.into_iter().flatten().collect();
    let realms = gateways.daemon().realms().clone();
    serve(Routes::new(coordination::detect::MASTER, realms, routes), Limits::default())
}
