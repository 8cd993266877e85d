//! The public HTTP APIs of a master's node. A *gateway* stands for each client that has subscribed; it speaks to the master as a
//! scheduler does, and the master does not know the difference.

mod changes;
mod leading;
mod legacy;
mod operator;
mod pages;
mod reads;
mod scheduler;

use gateway::{Encoding, Limits, Refused, Route, Routes, serve};
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
    serve(Routes::new(coordination::detect::MASTER, routes), Limits::default())
}

/// A call, as its client wrote it.
fn read<M: prost::Message + prost::Name + Default>(
    encoding: Encoding,
    body: &[u8],
) -> Result<M, Refused> {
    match encoding {
        Encoding::Json => {
            api::json::read(body).map_err(|error| Refused::new(400, shortened(error.to_string())))
        }
        Encoding::Protobuf => api::wire::read(body)
            .map_err(|_| Refused::new(400, "Failed to parse body into Call protobuf")),
    }
}

/// What is wrong may be wrong very often.
fn shortened(mut words: String) -> String {
    const WORDS_MAX: usize = 2048;
    if words.len() > WORDS_MAX {
        words.truncate(words.floor_char_boundary(WORDS_MAX));
        words += "…";
    }
    words
}
