//! What components say.
