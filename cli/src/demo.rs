//! `airside demo`: words are counted on a cluster of this machine, and shown how.

mod holdings;
