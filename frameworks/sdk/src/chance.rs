//! Chance, for what must be unique.

/// A number from the kernel that nobody else has.
pub(crate) fn random() -> Result<u64, String> {
    getrandom::u64().map_err(|error| error.to_string())
}
