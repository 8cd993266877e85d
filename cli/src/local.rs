//! A cluster on this machine: a master and agents as processes of their own, below one folder.

pub(crate) mod leftovers;
pub(crate) mod share;
