//! Free ports. ZooKeeper wants to know all ports of all servers beforehand, and the same ones after a restart; so they are
//! below those that the kernel gives to outgoing connections, which might take one in between.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::EnsembleError;

/// Below the kernel's own range, above what is mostly in use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A process never looks at a port twice, and different ones begin at different places: between our look and the server's
/// nobody should find the same port free.
static LOOKED_AT: AtomicU32 = AtomicU32::new(0);

/// So many different ports that nobody listens on.
pub(crate) fn free(ip: Ipv4Addr, count: usize) -> Result<Vec<u16>, EnsembleError> {
    let begin = std::process::id().wrapping_mul(7919);
    let mut held = Vec::new();
    for _ in 0..COUNT {
        if held.len() == count {
            break;
        }
        let step = LOOKED_AT.fetch_add(1, Ordering::Relaxed);
        let offset = begin.wrapping_add(step) % u32::from(COUNT);
        let offset = u16::try_from(offset).expect("it is below COUNT");
        if let Ok(listener) = TcpListener::bind((ip, FIRST + offset)) {
            // Held until all are found, or one would be found twice.
            held.push((FIRST + offset, listener));
        }
    }
    if held.len() < count {
        return Err(EnsembleError::NoPorts);
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}
