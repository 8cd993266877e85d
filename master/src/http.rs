//! The public HTTP APIs of a master's node. A *gateway* stands for each client that has subscribed; it speaks to the master as a
//! scheduler does, and the master does not know the difference.

mod leading;
mod pages;
mod scheduler;

use gateway::{Limits, Route, Routes, serve};
use libactor::Foreign;

pub use leading::Gateways;

/// A hook for the node: all that is served on a master's port.
pub fn foreign(gateways: &Gateways) -> Foreign {
    let routes = scheduler::routes(gateways).into_iter().chain(pages::routes(gateways));
    let routes: Vec<Route> = routes.collect();
    let realms = gateways.daemon().realms().clone();
    serve(Routes::new(coordination::detect::MASTER, realms, routes), Limits::default())
}
