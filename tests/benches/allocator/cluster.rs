//! Master and allocator together.

use crate::Measured;

pub(crate) fn offers(_: usize, _: usize, _: usize, _: usize) -> Measured {
    Ok(Vec::new())
}
